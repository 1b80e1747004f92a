"""How long an experiment takes, before it is begun and while it goes on. Pure arithmetic; reports not included."""

from collections.abc import Mapping
from typing import NamedTuple

from loopwise.analysis.bounds import bounds
from loopwise.measure.plan import REPEATED_PART, wide_cases
from loopwise.model import Case, Estimate, Experiment, Suite
from loopwise.model.modes import uses_pool

START_S, WORKER_START_S, POOL_START_S = 0.1, 0.07, 0.1
"""What the start of a server, of each of its workers and of each worker's process pool adds to a run. Most of it is
done ahead, while earlier runs warm up. Measured on a two-core machine with the target app."""
SETTLE_S = 0.15
"""From the order to the first request (connections are opened beforehand), and from the last row to the next start."""
EXPERIMENT_START_S = 2.0
"""The generator's start and the machine's description, once."""


def run_s(case: Case, cores: int) -> float:
    """One run: server start, warm-up, window.

    Closed load's warm-up lasts until every user was answered: users ÷ the throughput that arithmetic allows at most.
    """
    load, server = case.load, case.server
    warm_s = load.warmup_s
    limits = [bound for bound in bounds(case, cores) if bound.throughput_rps > 0]
    if load.model == "closed" and limits:
        first_s = load.users / limits[0].throughput_rps
        if load.spawn_rate is not None:
            first_s = max(first_s, load.users / load.spawn_rate)
        warm_s = max(warm_s, min(first_s, load.warmup_max_s))
    start_s = 0.0
    if server is not None:
        each_s = WORKER_START_S + (POOL_START_S if uses_pool(case) else 0.0)
        start_s = START_S + server.workers * each_s
    return start_s + SETTLE_S + warm_s + load.measure_s


class Span(NamedTuple):
    """Seconds."""

    least: float
    most: float


def duration(suite: Suite, cores: int) -> Span:
    """The whole suite. Least: no case needs more than `min` replicates, no run is disturbed, all is decided by then.
    Most: every case needs `max`, runs are repeated, and slices take all their time.

    Args:
        suite: what is to be measured.
        cores: that the server may use.
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
    """How far an experiment has come."""

    throughputs: Mapping[str, Estimate]
    """By case_id, of the cases that have valid runs."""
    precise: int
    """Cases whose throughput is known well enough."""
    cases: int
    left: Span
    """Time that the rest takes by arithmetic: of the planned runs; and with every further block that may be wanted."""
    done_s: float
    """Time that the runs measured so far should have taken, by the same arithmetic."""


def standing(experiment: Experiment, throughputs: Mapping[str, Estimate]) -> Standing:
    """Where an experiment stands, from its plan and from what is known of each case."""
    suite = experiment.suite
    cost_s = {case.case_id: run_s(case, experiment.environment["cores"]) for case in suite.cases}
    wide = wide_cases(suite, throughputs)
    planned_s = sum(cost_s[each.case_id] for each in experiment.plan if each.state == "planned")
    done_s = sum(cost_s[each.case_id] for each in experiment.plan if each.state != "planned")
    last = max((each.replicate for each in experiment.plan), default=0)
    unknown = {case.case_id for case in suite.cases} - set(throughputs)
    further_s = (suite.replicates.max - last) * sum(cost_s[case_id] for case_id in wide | unknown)
    return Standing(
        throughputs=throughputs,
        precise=len(set(throughputs) - wide),
        cases=len(suite.cases),
        left=Span(planned_s, planned_s + further_s),
        done_s=done_s,
    )
