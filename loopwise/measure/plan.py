"""What is measured, in which order and for how long. Pure functions of suite, seed and results."""

import random
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from loopwise.analysis.bounds import bounds
from loopwise.analysis.causes import deadlock_of
from loopwise.analysis.checks import disturbance
from loopwise.analysis.stats import estimate, relative_half_width
from loopwise.machine import cores
from loopwise.model import Case, Estimate, Experiment, PlannedRun, Run, Suite
from loopwise.model.factors import baseline_pairs
from loopwise.model.modes import uses_pool

REPEATED_PART = 3
"""At most one in so many runs of a block is repeated (and one in any case): a machine that is disturbed all the time
would double the time it takes, and be disturbed during the repetitions, too."""
START_S, WORKER_START_S, POOL_START_S = 0.1, 0.07, 0.1
"""What the start of a server, of each of its workers and of each worker's process pool adds to a run. Most of it is
done ahead, while earlier runs warm up. Measured on a two-core machine with the target app."""
SETTLE_S = 0.15
"""From the order to the first request (connections are opened beforehand), and from the last row to the next start."""
EXPERIMENT_START_S = 2.0
"""The generator's start and the machine's description, once."""


class Key(NamedTuple):
    """Identifies a run within an experiment."""

    case_id: str
    replicate: int
    attempt: int


def key_of(run: PlannedRun | Run) -> Key:
    """Identify a planned or measured run."""
    return Key(run.case_id if isinstance(run, PlannedRun) else run.case.case_id, run.replicate, run.attempt)


# Order


def plan(suite: Suite, seed: int) -> tuple[PlannedRun, ...]:
    """Plan the first blocks over all cases, each shuffled by the seed."""
    case_ids = [case.case_id for case in suite.cases]
    blocks = [_block(case_ids, seed, replicate) for replicate in range(1, suite.replicates.min + 1)]
    return tuple(planned for block in blocks for planned in block)


def _block(case_ids: Sequence[str], seed: int, replicate: int) -> list[PlannedRun]:
    order = list(case_ids)
    random.Random(f"{seed}/{replicate}").shuffle(order)
    return [PlannedRun(case_id=case_id, replicate=replicate) for case_id in order]


def next_block(experiment: Experiment, runs: Sequence[Run]) -> tuple[PlannedRun, ...]:
    """Plan one more replicate of the cases whose throughput is not precise enough, and of their baselines.

    Stopping depends on precision alone, never on what the numbers say: peeking at significance would make a verdict of
    noise. Empty when every interval is narrow enough or the maximum of replicates is reached.
    """
    settings, suite = experiment.suite.replicates, experiment.suite
    done = max((planned.replicate for planned in experiment.plan), default=0)
    if done >= settings.max:
        return ()
    wide = wide_cases(suite, known(suite, runs))
    return tuple(_block([c.case_id for c in suite.cases if c.case_id in wide], experiment.seed, done + 1))


def known(suite: Suite, runs: Iterable[Run]) -> dict[str, Estimate]:
    """Estimate the throughput of each case that has valid runs."""
    by_case: dict[str, list[float]] = {}
    for run in runs:
        if run.status == "ok" and run.window is not None and run.counts["ok"]:
            by_case.setdefault(run.case.case_id, []).append(run.counts["ok"] / run.window.duration_s)
    confidence = suite.compare.confidence
    return {case_id: estimate(values, unit="1/s", confidence=confidence) for case_id, values in by_case.items()}


def wide_cases(suite: Suite, throughputs: Mapping[str, Estimate]) -> set[str]:
    """Cases that are not precise enough, and their baselines: a pair needs both in the same block."""
    target = suite.replicates.target_half_width
    wide = {case_id for case_id, each in throughputs.items() if relative_half_width(each) > target}
    return wide | {baseline for baseline, candidate in baseline_pairs(suite) if candidate in wide}


def repeats(experiment: Experiment, runs: Sequence[Run]) -> tuple[PlannedRun, ...]:
    """Plan to repeat runs of ended blocks during which the machine was disturbed; the worst where not all can be.

    Depends on the machine alone, never on what the numbers say. Planning again adds nothing: repetitions in the plan
    count against the bounds.
    """
    planned = {key_of(each) for each in experiment.plan}
    disturbed: dict[int, list[tuple[float, Run]]] = {}
    for run in runs:
        worst = disturbance(run.checks)
        again = key_of(run)._replace(attempt=run.attempt + 1)
        is_last = run.attempt > experiment.suite.replicates.repeats or again in planned
        if worst and not is_last and deadlock_of(run) is None and run.status in {"ok", "invalid"}:
            disturbed.setdefault(run.replicate, []).append((worst, run))
    wanted: list[PlannedRun] = []
    for replicate in sorted(disturbed):
        block = [each for each in experiment.plan if each.replicate == replicate]
        if any(each.state == "planned" for each in block):
            continue
        first = sum(each.attempt == 1 for each in block)
        left = max(1, first // REPEATED_PART) - (len(block) - first)
        worst_first = sorted(disturbed[replicate], key=lambda pair: -pair[0])[: max(left, 0)]
        wanted += [
            PlannedRun(case_id=run.case.case_id, replicate=replicate, attempt=run.attempt + 1)
            for _, run in sorted(worst_first, key=lambda pair: pair[1].order)
        ]
    return tuple(wanted)


# Time


class Span(NamedTuple):
    """Seconds."""

    least: float
    most: float


def run_s(case: Case, cores: int) -> float:
    """Estimate the time of one run: server start, warm-up, window.

    Closed load's warm-up lasts until every user was answered: users ÷ the throughput that arithmetic allows at most.
    """
    load, server = case.load, case.server
    warm_s = load.warmup_s
    limits = [bound for bound in bounds(case, cores) if bound.throughput_rps > 0]
    if load.model == "closed" and limits:
        first_s = (load.fixed_users or 0) / limits[0].throughput_rps
        if load.spawn_rate is not None:
            first_s = max(first_s, load.users / load.spawn_rate)
        warm_s = max(warm_s, min(first_s, load.warmup_max_s))
    start_s = 0.0
    if server is not None:
        each_s = WORKER_START_S + (POOL_START_S if uses_pool(case) else 0.0)
        start_s = START_S + server.workers * each_s
    return start_s + SETTLE_S + warm_s + load.measure_s


def duration(suite: Suite, cores: int) -> Span:
    """Estimate the time of a whole suite; reports not included.

    Least: no case needs more than `min` replicates, no run is disturbed, and all comparisons are decided by then.
    Most: every case needs `max`, runs are repeated, and slices take all their time.
    """
    each_s = [run_s(case, cores) for case in suite.cases]
    block_s, replicates = sum(each_s), suite.replicates
    repeated_s = 0.0
    if replicates.repeats:
        repeated = max(1, len(each_s) // REPEATED_PART)
        repeated_s = sum(sorted(each_s)[-repeated:])
    compare = suite.compare
    slices_s = compare.slices_max_s if compare.baseline and compare.slices_max else 0.0
    return Span(
        EXPERIMENT_START_S + replicates.min * block_s,
        EXPERIMENT_START_S + replicates.max * (block_s + repeated_s) + slices_s,
    )


class Standing(NamedTuple):
    """Progress of an experiment."""

    throughputs: Mapping[str, Estimate]
    """By case_id, of the cases that have valid runs."""
    precise: int
    """Cases whose throughput is precise enough."""
    cases: int
    left: Span
    """Time that the rest takes by arithmetic: of the planned runs; and with every further block that may be wanted."""
    done_s: float
    """Time that the runs measured so far should have taken, by the same arithmetic."""


def standing(experiment: Experiment, throughputs: Mapping[str, Estimate]) -> Standing:
    """Compute the progress of an experiment from its plan and the throughputs known so far."""
    suite = experiment.suite
    cost_s = {case.case_id: run_s(case, experiment.environment["cores"]) for case in suite.cases}
    wide = wide_cases(suite, throughputs)
    planned_s = sum(cost_s[each.case_id] for each in experiment.plan if each.state == "planned")
    done_s = sum(cost_s[each.case_id] for each in experiment.plan if each.state != "planned")
    last = max((each.replicate for each in experiment.plan), default=0)
    unknown = set(cost_s) - set(throughputs)
    further_s = (suite.replicates.max - last) * sum(cost_s[case_id] for case_id in wide | unknown)
    return Standing(
        throughputs=throughputs,
        precise=len(set(throughputs) - wide),
        cases=len(suite.cases),
        left=Span(planned_s, planned_s + further_s),
        done_s=done_s,
    )


# Outline, as `check --json` prints it


def outline(suite: Suite, seed: int) -> dict[str, Any]:
    """Describe the plan as data: cases, order of the first replicates, seconds at least and at most."""
    baselines = {candidate: baseline for baseline, candidate in baseline_pairs(suite)}
    span_s = duration(suite, cores())
    limits = {case.case_id: next(iter(bounds(case, cores())), None) for case in suite.cases}
    return {
        "suite": suite.name,
        "description": suite.description,
        "cases": [
            {
                "case_id": case.case_id,
                "workload": case.subject,
                "mode": case.mode,
                "server": case.server.name if case.server else None,
                "workers": case.workers,
                "load": case.load.label,
                "baseline": baselines.get(case.case_id),
                "predicted_rps": limit.throughput_rps if (limit := limits[case.case_id]) else None,
                "predicted_by": limit.name if limit else None,
            }
            for case in suite.cases
        ],
        "order": [each.model_dump(include={"case_id", "replicate"}) for each in plan(suite, seed)],
        "duration_s": {"least": round(span_s.least, 1), "most": round(span_s.most, 1)},
    }
