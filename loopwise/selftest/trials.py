"""Measures the selftest's pairs: by blocks and then slices as a suite would, and by duels."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from loopwise.analysis.contest import within_blocks
from loopwise.analysis.measured import CaseFigures
from loopwise.analysis.summary import summarise
from loopwise.analysis.verdicts import judge_family, judge_rounds
from loopwise.errors import RunError
from loopwise.generator.client import Generator
from loopwise.measure import duel
from loopwise.measure.experiment import Execution, design
from loopwise.measure.pairs import Rounds
from loopwise.measure.prestart import DEPTH as AHEAD
from loopwise.measure.slices import Escalation, round_s, sliced
from loopwise.model import Comparison, Experiment, Replicates, Suite, Verdict
from loopwise.report.terminal.progress import Quiet
from loopwise.results.folder import ResultFolder
from loopwise.selftest.suites import CPU, Trial, cases_of
from loopwise.selftest.tally import Outcome
from loopwise.servers.services import Services

BLOCKS, DUEL = "blocks, then slices", "duel"
DUEL_DIFFERENCE = 0.03
"""Injected into duels: what a shared runner's usual benchmark can't see."""
Tell = Callable[[str], None]


class Effort(NamedTuple):
    """How much is measured."""

    pairs: int = 14
    """Equal pairs of each workload."""
    repeats: int = 5
    """Pairs of each injected difference, for each workload."""
    duels: int = 10
    """Duels of equal sides, and as many with more CPU work on one."""
    replicates: int = 3
    rounds: int = 7
    """Rounds of slices at most: with the replicates no more than ten."""
    measure_s: float = 1.5
    """Window of a replicate, and of a round of slices over both sides."""
    warmup_s: float = 0.2


FULL = Effort()
QUICK = Effort(pairs=2, repeats=1, duels=1)


def run_blocks(
    trials: Sequence[Trial], effort: Effort, folder: Path, generator: Generator, *, seed: int, tell: Tell
) -> list[Outcome]:
    """Every trial as a suite of its own would decide it: replicates in blocks over all trials, then its own slices."""
    sides = {trial.name: cases_of(trial, effort.measure_s, effort.warmup_s) for trial in trials}
    suite = Suite(
        name="selftest",
        seed=seed,
        replicates=Replicates(min=effort.replicates, max=effort.replicates),
        # No baseline: what the whole suite would escalate together is escalated below, each trial for itself.
        compare=Comparison(slices_max=effort.rounds, slices_max_s=86_400),
        cases=tuple(case for pair in sides.values() for case in pair),
    )
    result = ResultFolder(folder)
    experiment = design(suite, seed=seed, label=None, name=folder.name)
    result.write_experiment(experiment)
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
            outcome._replace(
                rounds=outcome.rounds + effort.replicates, duration_s=outcome.duration_s + share_s
            )
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
    """What blocks decide, or else slices."""
    compare = experiment.suite.compare
    contests = [within_blocks(*pair, metric) for metric in ("throughput_rps", "cpu_ms_per_request")]
    verdicts = judge_family(
        [each for each in contests if each], margin=compare.margin, confidence=compare.confidence
    )
    began_s, rounds = time.monotonic(), 0
    decided = _on(verdicts, "throughput_rps")
    if decided is None or decided.verdict == "undecided":
        throughputs = {
            each.case.case_id: known.value
            for each in pair
            if (known := each.estimate("throughput_rps", 0.95))
        }
        sliced_pair = sliced(pair[0].case, pair[1].case, throughputs)
        if sliced_pair is not None:
            with Services(result.path) as services:
                rounds_of = Rounds(result, generator, experiment.seed, experiment.calibration, services)
                escalation = Escalation(rounds_of, compare, lambda _: None)
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
    """Duels of the CPU-bound route: equal sides, and one with more work, by turns."""
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
            result.write_experiment(experiment)
            began_s = time.monotonic()
            try:
                verdicts = duel.fight(result, experiment, generator, lambda _round, _verdicts: None)
            except RunError:  # no round is valid: the others are worth their report all the same
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
