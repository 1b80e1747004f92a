"""Which runs, in which order, and when there are enough of them. Pure functions of suite, seed and results."""

import random
from collections.abc import Sequence

from loopwise.factors import baseline_pairs
from loopwise.model import Experiment, PlannedRun, Run, Suite
from loopwise.stats import estimate, relative_half_width


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
    by_case: dict[str, list[float]] = {}
    for run in runs:
        if run.status == "ok" and run.window is not None and run.counts["ok"]:
            by_case.setdefault(run.case.case_id, []).append(run.counts["ok"] / run.window.duration_s)
    wide = {
        case_id
        for case_id, values in by_case.items()
        if relative_half_width(estimate(values, confidence=suite.compare.confidence))
        > settings.target_half_width
    }
    wide |= {baseline for baseline, candidate in baseline_pairs(suite) if candidate in wide}
    return tuple(_block([c.case_id for c in suite.cases if c.case_id in wide], experiment.seed, done + 1))
