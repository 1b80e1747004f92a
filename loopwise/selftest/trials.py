"""Measures pairs that are equal or differ by a known amount: by blocks and slices as a suite does, and by duels."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from loopwise.analysis.figures import CaseFigures
from loopwise.analysis.paired import within_blocks
from loopwise.analysis.summary import summarise
from loopwise.analysis.verdicts import judge_family, judge_rounds
from loopwise.errors import RunError
from loopwise.generator.client import Generator
from loopwise.measure import duel
from loopwise.measure.experiment import Execution, design
from loopwise.measure.pairs import measure_round
from loopwise.measure.prestart import DEPTH as AHEAD
from loopwise.measure.slices import Escalation, round_s, sliced
from loopwise.measure.testbed import Testbed
from loopwise.model import Case, Comparison, Experiment, Replicates, Suite, Verdict
from loopwise.report.terminal.progress import Quiet
from loopwise.results.folder import ResultFolder
from loopwise.selftest.rates import Outcome
from loopwise.servers.services import Services
from loopwise.suite import make_suite

BLOCKS, DUEL = "blocks, then slices", "duel"
DUEL_DIFFERENCE = 0.03
"""Injected into duels; too small for an ordinary benchmark on a shared machine."""
DIFFERENCES = (0.03, 0.05, 0.10, 0.20)
"""Injected differences: the candidate waits or computes this much longer."""
Tell = Callable[[str], None]


class Effort(NamedTuple):
    """Amount that is measured."""

    pairs: int = 14
    """Equal pairs of each workload."""
    repeats: int = 5
    """Pairs of each injected difference, for each workload."""
    duels: int = 10
    """Duels of equal sides, and as many with more CPU work on one."""
    replicates: int = 3
    rounds: int = 7
    """Rounds of slices at most; with the replicates no more than ten."""
    measure_s: float = 1.5
    """Window of a replicate, and of a round of slices over both sides."""
    warmup_s: float = 0.2


FULL = Effort()
QUICK = Effort(pairs=2, repeats=1, duels=1)


@dataclass(frozen=True)
class Subject:
    """Workload, mode and load of a pair."""

    workload: str
    mode: str
    ms: float | None
    """The parameter that a difference is injected into; None if the workload has none."""
    users: int

    def params(self, difference: float) -> Mapping[str, Any]:
        """Parameters of a side that is slower by the difference."""
        return {} if self.ms is None else {"ms": round(self.ms * (1 + difference), 6)}


NOOP = Subject("noop", "async", None, 16)
SLEEP = Subject("sleep", "async", 20.0, 16)
CPU = Subject("cpu", "async", 5.0, 8)
EQUAL = (NOOP, SLEEP, CPU)
UNEQUAL = (SLEEP, CPU)


@dataclass(frozen=True)
class Trial:
    """One pair and its injected difference."""

    subject: Subject
    difference: float
    number: int

    @property
    def name(self) -> str:
        """`cpu-10-3`: workload, injected percent, number."""
        return f"{self.subject.workload}-{self.difference * 100:g}-{self.number}"


def cases_of(trial: Trial, measure_s: float, warmup_s: float) -> tuple[Case, Case]:
    """Make the two sides of a trial, `NAME-a` and `NAME-b`."""
    subject = trial.subject
    sides = [subject.params(0.0), subject.params(trial.difference)]
    cases = []
    for letter, params in zip("ab", sides, strict=True):
        document = {
            "name": "selftest",
            "load": {"users": subject.users, "measure_s": measure_s, "warmup_s": warmup_s},
            "matrix": [{"workload": subject.workload, "mode": subject.mode, "params": params}],
        }
        (case,) = make_suite(document, label="selftest", folder=Path.cwd()).cases
        cases.append(case.model_copy(update={"case_id": f"{trial.name}-{letter}"}))
    return cases[0], cases[1]


def trials(pairs: int, repeats: int, differences: tuple[float, ...] = DIFFERENCES) -> list[Trial]:
    """Plan equal pairs of each subject, then `repeats` pairs of each injected difference."""
    equal = [Trial(subject, 0.0, number) for number in range(1, pairs + 1) for subject in EQUAL]
    unequal = [
        Trial(subject, difference, number)
        for number in range(1, repeats + 1)
        for difference in differences
        for subject in UNEQUAL
    ]
    return equal + unequal


def run_blocks(
    trials: Sequence[Trial], effort: Effort, folder: Path, generator: Generator, *, seed: int, tell: Tell
) -> list[Outcome]:
    """Decide every trial as a suite of its own would: replicates in blocks over all trials, then its own slices."""
    sides = {trial.name: cases_of(trial, effort.measure_s, effort.warmup_s) for trial in trials}
    suite = Suite(
        name="selftest",
        seed=seed,
        replicates=Replicates(min=effort.replicates, max=effort.replicates),
        # No baseline: each trial is escalated to slices by itself below, not all together.
        compare=Comparison(slices_max=effort.rounds, slices_max_s=86_400),
        cases=tuple(case for pair in sides.values() for case in pair),
    )
    result = ResultFolder(folder)
    experiment = design(suite, seed=seed, label=None, name=folder.name)
    result.begin(experiment)
    tell(f"{len(trials)} pairs in {effort.replicates} blocks")
    began_s = time.monotonic()
    experiment = Execution(result, experiment, generator, Quiet(), ahead=AHEAD).run()
    share_s = (time.monotonic() - began_s) / max(len(trials), 1)
    cases = summarise(result).cases
    outcomes = []
    for trial in trials:
        pair = [cases[case.case_id] for case in sides[trial.name]]
        outcome = _trial(trial, (pair[0], pair[1]), result, experiment, generator)
        outcomes.append(
            outcome._replace(rounds=outcome.rounds + effort.replicates, duration_s=outcome.duration_s + share_s)
        )
        tell(_line(trial.name, outcomes[-1]))
    return outcomes


def _trial(
    trial: Trial,
    pair: tuple[CaseFigures, CaseFigures],
    result: ResultFolder,
    experiment: Experiment,
    generator: Generator,
) -> Outcome:
    """Decide a trial by its blocks or, if they leave it undecided, by slices."""
    compare = experiment.suite.compare
    contests = [within_blocks(*pair, metric) for metric in ("throughput_rps", "cpu_ms_per_request")]
    verdicts = judge_family([each for each in contests if each], margin=compare.margin, confidence=compare.confidence)
    began_s, rounds = time.monotonic(), 0
    decided = _on(verdicts, "throughput_rps")
    if decided is None or decided.verdict == "undecided":
        throughputs = {
            each.case.case_id: known.value for each in pair if (known := each.estimate("throughput_rps", 0.95))
        }
        sliced_pair = sliced(pair[0].case, pair[1].case, throughputs)
        if sliced_pair is not None:
            with Services(result.path) as services:
                testbed = Testbed(result, experiment, generator, services)
                escalation = Escalation(partial(measure_round, testbed), compare, lambda _: None)
                escalation.run([(sliced_pair, round_s(sliced_pair, throughputs))])
            mine = [each for each in result.rounds()[0] if each.baseline_case == pair[0].case.case_id]
            rounds = len(mine)
            verdicts = judge_rounds(mine, margin=compare.margin, confidence=compare.confidence) or verdicts
    return Outcome(
        method=BLOCKS,
        workload=trial.subject.workload,
        difference=trial.difference,
        verdict=_on(verdicts, "throughput_rps"),
        cpu=_on(verdicts, "cpu_ms_per_request"),
        rounds=rounds,
        duration_s=time.monotonic() - began_s,
    )


def run_duels(effort: Effort, folder: Path, generator: Generator, *, seed: int, tell: Tell) -> list[Outcome]:
    """Run duels of the CPU-bound route, alternately with equal sides and with more work on one."""
    outcomes = []
    for number in range(1, effort.duels + 1):
        for difference in (0.0, DUEL_DIFFERENCE):
            trial = Trial(CPU, difference, number)
            baseline, candidate = cases_of(trial, duel.Effort().measure_s, duel.WARMUP_S)
            experiment = duel.design(
                baseline,
                candidate,
                name=trial.name,
                margin=duel.MARGIN,
                effort=duel.Effort(),
                seed=seed,
                label=None,
            )
            result = ResultFolder(folder / trial.name)
            result.begin(experiment)
            began_s = time.monotonic()
            try:
                verdicts = duel.fight(result, experiment, generator, lambda _round, _verdicts: None)
            except RunError:  # no round is valid; the other trials are worth a report all the same
                verdicts = []
            outcomes.append(
                Outcome(
                    method=DUEL,
                    workload=trial.subject.workload,
                    difference=difference,
                    verdict=_on(verdicts, "throughput_rps"),
                    cpu=_on(verdicts, "cpu_ms_per_request"),
                    rounds=len(result.rounds()[0]),
                    duration_s=time.monotonic() - began_s,
                )
            )
            tell(_line(trial.name, outcomes[-1]))
    return outcomes


def _on(verdicts: Sequence[Verdict], metric: str) -> Verdict | None:
    return next((each for each in verdicts if each.metric == metric), None)


def _line(name: str, outcome: Outcome) -> str:
    verdict = outcome.verdict
    if verdict is None or verdict.ratio is None:
        return f"{name}: not measured"
    interval = "" if verdict.ci_low is None else f" [{verdict.ci_low:.4f}, {verdict.ci_high:.4f}]"
    return f"{name}: ×{verdict.ratio:.4f}{interval} {verdict.verdict} ({verdict.pairing}, {outcome.rounds} replicates)"
