"""Which runs, in which order, and when there are enough of them. Pure functions of suite, seed and results."""

import random
from collections.abc import Iterable, Mapping, Sequence

from loopwise.analysis.checks import disturbance
from loopwise.analysis.stats import estimate, relative_half_width
from loopwise.model import Estimate, Experiment, PlannedRun, Run, Suite
from loopwise.model.factors import baseline_pairs

REPEATED_PART = 3
"""At most one in so many runs of a block is repeated (and one in any case): a machine that is disturbed all the time
would double the time it takes, and be disturbed during the repetitions, too."""


def plan(suite: Suite, seed: int) -> tuple[PlannedRun, ...]:
    """The order of execution: blocks over all cases, each shuffled, a pure function of the seed."""
    case_ids = [case.case_id for case in suite.cases]
    blocks = [_block(case_ids, seed, replicate) for replicate in range(1, suite.replicates.min + 1)]
    return tuple(planned for block in blocks for planned in block)


def _block(case_ids: Sequence[str], seed: int, replicate: int) -> list[PlannedRun]:
    order = list(case_ids)
    random.Random(f"{seed}/{replicate}").shuffle(order)
    return [PlannedRun(case_id=case_id, replicate=replicate) for case_id in order]


def next_block(experiment: Experiment, runs: Sequence[Run]) -> tuple[PlannedRun, ...]:
    """One more replicate of the cases whose throughput is not known well enough, and of their baselines.

    Stopping looks at precision alone, never at what the numbers say: peeking at significance would make a verdict of
    noise. Empty when every interval is narrow enough or the most replicates are done.
    """
    settings, suite = experiment.suite.replicates, experiment.suite
    done = max((planned.replicate for planned in experiment.plan), default=0)
    if done >= settings.max:
        return ()
    wide = wide_cases(suite, known(suite, runs))
    return tuple(_block([c.case_id for c in suite.cases if c.case_id in wide], experiment.seed, done + 1))


def known(suite: Suite, runs: Iterable[Run]) -> dict[str, Estimate]:
    """Throughput of each case that has valid runs, as far as it is known."""
    by_case: dict[str, list[float]] = {}
    for run in runs:
        if run.status == "ok" and run.window is not None and run.counts["ok"]:
            by_case.setdefault(run.case.case_id, []).append(run.counts["ok"] / run.window.duration_s)
    confidence = suite.compare.confidence
    return {
        case_id: estimate(values, unit="1/s", confidence=confidence) for case_id, values in by_case.items()
    }


def wide_cases(suite: Suite, throughputs: Mapping[str, Estimate]) -> set[str]:
    """Cases that are not known well enough, and their baselines: a pair needs both in the same block."""
    target = suite.replicates.target_half_width
    wide = {case_id for case_id, each in throughputs.items() if relative_half_width(each) > target}
    return wide | {baseline for baseline, candidate in baseline_pairs(suite) if candidate in wide}


def repeats(experiment: Experiment, runs: Sequence[Run]) -> tuple[PlannedRun, ...]:
    """Runs of ended blocks to measure again because the machine was disturbed, the worst where not all can be.

    Looks at the machine alone, never at what the numbers say. Asked again it adds nothing: what the plan holds counts
    against the bounds.
    """
    states = {(each.case_id, each.replicate, each.attempt): each.state for each in experiment.plan}
    found: dict[int, list[tuple[float, Run]]] = {}
    for run in runs:
        again = (run.case.case_id, run.replicate, run.attempt + 1)
        worst = disturbance(run.checks)
        is_last = run.attempt > experiment.suite.replicates.repeats or again in states
        if worst and not is_last and run.status in {"ok", "invalid"}:
            found.setdefault(run.replicate, []).append((worst, run))
    wanted: list[PlannedRun] = []
    for replicate in sorted(found):
        block = [each for each in experiment.plan if each.replicate == replicate]
        if any(each.state == "planned" for each in block):
            continue
        first = sum(each.attempt == 1 for each in block)
        left = max(1, first // REPEATED_PART) - (len(block) - first)
        worst_first = sorted(found[replicate], key=lambda pair: -pair[0])[: max(left, 0)]
        wanted += [
            PlannedRun(case_id=run.case.case_id, replicate=replicate, attempt=run.attempt + 1)
            for _, run in sorted(worst_first, key=lambda pair: pair[1].order)
        ]
    return tuple(wanted)
