"""Two versions head to head: rounds on fresh pairs of servers until the ratio is known, within half a minute or so."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

from loopwise import machine
from loopwise.analysis.verdicts import judge_rounds
from loopwise.errors import RunError
from loopwise.generator.client import Generator
from loopwise.measure.pairs import Pair, Rounds
from loopwise.model import Case, Comparison, Experiment, Replicates, Round, Suite, Verdict
from loopwise.results.folder import ResultFolder
from loopwise.servers import target
from loopwise.servers.services import Services
from loopwise.servers.specs import PACKAGES

USERS = 16
"""Enough that both servers always have work, few enough that an answer waits for milliseconds only."""
WARMUP_S = 0.2
"""Beside the warm-up until every user has been answered: imports and caches of the first requests."""
MARGIN = 0.01
"""What is worth knowing of a change: a duel sees 1 %, where blocks of runs see 10."""
MAX_FAILURES = 2
"""After so many rounds without a measurement the rest is not tried."""


class Effort(NamedTuple):
    """How long a duel goes on."""

    measure_s: float = 3.0
    """Load of a round that counts."""
    rounds_min: int = 6
    rounds_max: int = 10
    half_width: float = 0.005
    """Precise enough: the half-width of each ratio's interval of throughput and of CPU per request."""


def design(
    baseline: Case, candidate: Case, *, name: str, margin: float, effort: Effort, seed: int, label: str | None
) -> Experiment:
    """The duel as an experiment without runs: what is compared, and where."""
    suite = Suite(
        name="duel",
        description=f"{candidate.case_id} against {baseline.case_id}",
        seed=seed,
        replicates=Replicates(
            min=effort.rounds_min, max=effort.rounds_max, target_half_width=effort.half_width
        ),
        compare=Comparison(margin=margin),
        cases=(baseline, candidate),
    )
    return Experiment(
        name=name,
        label=label,
        created_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        suite=suite,
        seed=seed,
        environment=machine.describe(PACKAGES),
        calibration=target.calibration(suite.cases),
    )


Tell = Callable[[Round, list[Verdict]], None]
"""Is told each round that ended, and the verdicts so far."""


def fight(result: ResultFolder, experiment: Experiment, generator: Generator, tell: Tell) -> list[Verdict]:
    """Measure rounds until both ratios are precise or there are enough of them; returns the verdicts.

    When to stop is decided by the width of the intervals alone, never by what they say.

    Raises:
        RunError: no round could be measured.
    """
    settings, compare = experiment.suite.replicates, experiment.suite.compare
    baseline, candidate = experiment.suite.cases
    pair = Pair(baseline, candidate, pairing="duel")
    found: list[Round] = []
    verdicts: list[Verdict] = []
    with Services(result.path) as services:
        rounds = Rounds(result, generator, experiment.seed, experiment.calibration, services)
        for number in range(1, settings.max + 1):
            found.append(rounds.measure(pair, number))
            verdicts = judge_rounds(found, margin=compare.margin, confidence=compare.confidence)
            tell(found[-1], verdicts)
            if sum(each.status == "failed" for each in found) >= MAX_FAILURES:
                break
            if number >= settings.min and is_precise(verdicts, settings.target_half_width):
                break
    if not any(each.status == "ok" for each in found):
        raise RunError(f"no round gave a valid measurement: {found[-1].error}")
    result.write_experiment(
        experiment.model_copy(update={"finished_at": datetime.now(UTC).isoformat(timespec="milliseconds")})
    )
    return verdicts


def is_precise(verdicts: list[Verdict], half_width: float) -> bool:
    """Whether throughput and CPU per request are known to the half-width, relative to the ratio."""
    watched = [each for each in verdicts if each.metric in {"throughput_rps", "cpu_ms_per_request"}]
    return bool(watched) and all(_half_width(each) <= half_width for each in watched)


def _half_width(verdict: Verdict) -> float:
    if verdict.ci_low is None or verdict.ci_high is None or not verdict.ratio:
        return float("inf")
    return (verdict.ci_high - verdict.ci_low) / 2 / verdict.ratio
