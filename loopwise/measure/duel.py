"""Measures a duel: rounds on fresh pairs of servers until the ratio of two versions is precise, about half a minute."""

from collections.abc import Callable
from typing import NamedTuple

from loopwise.analysis.verdicts import judge_rounds
from loopwise.errors import RunError
from loopwise.generator.client import Generator
from loopwise.measure.experiment import described, now
from loopwise.measure.pairs import Pair, measure_round
from loopwise.measure.testbed import Testbed
from loopwise.model import Case, Comparison, Experiment, Replicates, Round, Suite, Verdict
from loopwise.results.folder import ResultFolder
from loopwise.servers.services import Services

USERS = 16
"""Enough that both servers always have work, few enough that an answer waits for milliseconds only."""
WARMUP_S = 0.2
"""At least, beside waiting until every user has been answered: for imports and caches of the first requests."""
MARGIN = 0.01
"""A duel can decide differences of 1 %, where blocks of runs decide 10 %."""
MAX_FAILURES = 2
"""Failed rounds after which a duel gives up."""


class Effort(NamedTuple):
    """Length of a duel."""

    measure_s: float = 3.0
    """Measured part of a round."""
    rounds_min: int = 6
    rounds_max: int = 10
    half_width: float = 0.005
    """The duel stops when the intervals of throughput and of CPU per request are this narrow, relative to the ratio."""


def design(
    baseline: Case, candidate: Case, *, name: str, margin: float, effort: Effort, seed: int, label: str | None
) -> Experiment:
    """Describe the duel as an experiment without runs."""
    suite = Suite(
        name="duel",
        description=f"{candidate.case_id} against {baseline.case_id}",
        seed=seed,
        replicates=Replicates(min=effort.rounds_min, max=effort.rounds_max, target_half_width=effort.half_width),
        compare=Comparison(margin=margin),
        cases=(baseline, candidate),
    )
    return described(suite, seed=seed, name=name, label=label)


OnRound = Callable[[Round, list[Verdict]], None]
"""Receives each round that ended, and the verdicts so far."""


def fight(result: ResultFolder, experiment: Experiment, generator: Generator, on_round: OnRound) -> list[Verdict]:
    """Measure rounds until both ratios are precise or the rounds run out; return the verdicts.

    When to stop depends on the width of the intervals alone, never on what they say.

    Raises:
        RunError: no round gave a valid measurement.
    """
    settings, compare = experiment.suite.replicates, experiment.suite.compare
    baseline, candidate = experiment.suite.cases
    pair = Pair(baseline, candidate, pairing="duel")
    rounds: list[Round] = []
    verdicts: list[Verdict] = []
    with Services(result.path) as services:
        testbed = Testbed(result, experiment, generator, services)
        for number in range(1, settings.max + 1):
            rounds.append(measure_round(testbed, pair, number))
            verdicts = judge_rounds(rounds, margin=compare.margin, confidence=compare.confidence)
            on_round(rounds[-1], verdicts)
            if sum(each.status == "failed" for each in rounds) >= MAX_FAILURES:
                break
            if number >= settings.min and is_precise(verdicts, settings.target_half_width):
                break
    if not any(each.status == "ok" for each in rounds):
        raise RunError(f"no round gave a valid measurement: {rounds[-1].error}")
    finished_at = now()
    result.write_experiment(experiment.model_copy(update={"finished_at": finished_at}))
    return verdicts


def is_precise(verdicts: list[Verdict], half_width: float) -> bool:
    """Whether throughput and CPU per request are known to the half-width, relative to the ratio."""
    watched = [each for each in verdicts if each.metric in {"throughput_rps", "cpu_ms_per_request"}]
    return bool(watched) and all(each.half_width is not None and each.half_width <= half_width for each in watched)
