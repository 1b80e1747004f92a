"""Summaries of the claims' own suites, made by arithmetic: a world in which every figure of every case is known."""

import math
import random
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import pandas as pd

from loopwise.analysis.figures import CaseFigures, RunFigures
from loopwise.analysis.summary import COLUMNS, Summary
from loopwise.claims.table import CLAIMS
from loopwise.model import Case, Run, Suite
from loopwise.servers.target import Description
from loopwise.suite import load_suite
from support.fakes import experiment_of, run_of

CLAIM_IDS = tuple(CLAIMS)
METRICS = (
    "throughput_rps",
    "victim_p50_ms",
    "victim_p99_ms",
    "response_time_p99_ms",
    "rss_mb",
    "cpu_ms_per_request",
    "threads",
    "context_switches_per_request",
)
World = Callable[[Case, str, str], float]
"""(case, metric, endpoint) -> its value without noise."""
SLOTS = {"blocking": 1.0, "sync": 40.0, "to_thread": 6.0}


def describe_any(requests: Sequence[Mapping[str, Any]]) -> list[Description]:
    """Answers as target_app would, for every workload."""
    return [
        Description(
            ok=True,
            path=f"/{each['workload']}/{each['mode']}?" + "&".join(f"{k}={v}" for k, v in each["params"].items()),
            params=dict(each["params"]),
            features=each["features"],
        )
        for each in requests
    ]


@cache
def suite_of_claim(claim_id: str) -> Suite:
    """The claim's own suite."""
    return load_suite(CLAIMS[claim_id].suite, describe=describe_any)


def typical(case: Case, metric: str, endpoint: str) -> float:
    """A two-core machine on which arithmetic holds."""
    return {
        "throughput_rps": lambda: _throughput(case),
        "victim_p50_ms": lambda: 0.5 * _victim_ms(case),
        "victim_p99_ms": lambda: _victim_ms(case),
        "response_time_p99_ms": lambda: _response_ms(case, endpoint),
        "rss_mb": lambda: 55.0 if case.mode == "async" else 60.0,
        "cpu_ms_per_request": lambda: 5.3 if case.workload == "cpu" else 0.2 if case.mode == "async" else 0.3,
        "threads": lambda: 5.0 if case.mode == "async" else 35.0,
        "context_switches_per_request": lambda: 0.3 if case.mode == "async" else 2.0,
    }[metric]()


def _throughput(case: Case) -> float:
    ms, workers = float(case.params.get("ms", 50)), case.workers or 1
    if case.load.model == "open":
        return min(case.load.rate_rps, workers * (40 if case.mode == "sync" else math.inf) / ms * 1e3)
    users = case.load.users
    if case.workload in {"sleep", "upstream"}:
        given = case.server.threads if case.server and case.mode == "sync" else None
        slots: float = given or SLOTS.get(case.mode, math.inf)
        cap = workers * slots / ms * 1e3
        made = 8.0 if case.params.get("client") == "request" else 1.0
        return min(users / ms * 1e3, cap) / made
    if case.workload == "cpu":
        hop_ms = {"sync": 0.1, "process": 0.6}.get(case.mode, 0.0)
        return min(2, workers * (2 if case.mode == "process" else 1)) / (ms + hop_ms + 0.2) * 1e3
    if case.workload == "sqlite":
        alone_rps = {"async": 800.0, "sync": 1000.0, "blocking": 1300.0}[case.mode]
        return alone_rps / (1 + float(case.params["rows"]) / 500)
    if case.workload == "cache":
        miss_ms = {"async": 2.0, "sync": 1.0}[case.mode] * (1 - float(case.params["hit_ratio"]))
        return 1e3 / (miss_ms + {"async": 0.3, "sync": 0.5}[case.mode])
    server = {"hypercorn": 0.4, "granian": 1.5}.get(case.server.name if case.server else "", 1.0)
    return {"async": 4000.0, "sync": 2500.0}.get(case.mode, 1000.0) * server


def _victim_ms(case: Case) -> float:
    line_ms = case.load.users * float(case.params.get("ms", 5))
    if case.mode == "blocking" or (case.workload, case.mode) == ("cpu", "async"):
        return line_ms
    return line_ms * 0.3 if (case.workload, case.mode) == ("cpu", "sync") else 2.0


def _response_ms(case: Case, endpoint: str) -> float:
    if case.parts:
        total = sum(part.weight for part in case.parts)
        blocked = [part for part in case.parts if part.mode == "blocking"]
        alone_ms = float(case.parts[0].params["ms"]) + 2
        if not blocked:
            return alone_ms
        share = blocked[0].weight / total
        doubles_at_ms = 12.0 if share < 0.05 else 7.0 if share < 0.2 else 3.0
        return alone_ms * (1 + float(blocked[0].params["ms"]) / doubles_at_ms)
    ms = float(case.params.get("ms", 10))
    over = max(0.0, case.load.rate_rps / 400 - 1) if case.mode == "sync" else 0.0
    return ms + 2 + 1500 * over


def summary_in(
    world: World,
    suite: Suite,
    *,
    replicates: int = 3,
    noise: float = 0.01,
    invalid: frozenset[str] = frozenset(),
    missing: frozenset[str] = frozenset(),
    seed: int = 1,
    cores: int = 2,
) -> Summary:
    """What a suite would give in a world.

    Args:
        world: tells every figure.
        suite: whose cases are measured.
        replicates: valid runs of each case.
        noise: standard deviation of the log of every value.
        invalid: cases whose runs all failed a check.
        missing: cases that the result doesn't have.
        seed: of the noise.
        cores: of the machine.
    """
    kept = tuple(case for case in suite.cases if case.case_id not in missing)
    suite = suite.model_copy(update={"cases": kept})
    cases, runs = {}, []
    for case in kept:
        found = [_run(world, case, replicate, noise, seed) for replicate in range(1, replicates + 1)]
        is_invalid = case.case_id in invalid
        figures = {run.replicate: each for run, each in found}
        cases[case.case_id] = CaseFigures(
            case,
            {} if is_invalid else figures,
            figures if is_invalid else {},
            "a check failed" if is_invalid else "",
        )
        runs += [run.model_copy(update={"status": "invalid" if is_invalid else "ok"}) for run, _ in found]
    experiment = experiment_of(suite)
    experiment = experiment.model_copy(update={"environment": {**experiment.environment, "cores": cores}})
    return Summary(
        experiment=experiment,
        runs=tuple(runs),
        table=pd.DataFrame(columns=COLUMNS),
        quantiles=pd.DataFrame(),
        verdicts=(),
        answers=(),
        damaged=(),
        cases=cases,
    )


def _run(world: World, case: Case, replicate: int, noise: float, seed: int) -> tuple[Run, RunFigures]:
    def value(metric: str, endpoint: str) -> float:
        dice = random.Random(f"{seed}/{case.case_id}/{metric}/{endpoint}/{replicate}")
        return world(case, metric, endpoint) * math.exp(dice.gauss(0.0, noise))

    names = [each.name for each in case.endpoints]
    whole = names[0] if len(names) == 1 else "all"
    figures = RunFigures(endpoint=whole, counts={"ok": 1000, "victim_rows": 30})
    for metric in METRICS:
        for endpoint in {whole, *names}:
            if metric in {"threads", "context_switches_per_request"}:
                continue
            if metric == "response_time_p99_ms" and case.load.model != "open":
                continue
            if not metric.startswith("victim_") or case.load.victim:
                figures.metrics[endpoint, metric] = value(metric, endpoint)
    host = {
        "server_threads": value("threads", whole),
        "server_context_switches": 1000 * value("context_switches_per_request", whole),
    }
    cause = {"cause": "loop_blocked", "share": 0.9, "evidence": f"seen in {case.case_id}"}
    run = run_of(case, replicate=replicate, host=host, counts={"ok": 1000}, causes=(cause,))
    return run, figures
