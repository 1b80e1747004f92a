"""Summaries with all that charts can show: digests, shares, causes, failed checks, open load. Arithmetic only."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from loopwise.analysis.digest import EDGES_MS, QUANTILES, TIMELINE, Digest, Latencies
from loopwise.analysis.predictions import Prediction
from loopwise.analysis.summary import Summary
from loopwise.model import Case, Cause, Check, Endpoint, Load, Round, Run, Server, Worker
from support.report import Names, fixture_summary, own_app_summary, running_server_summary, summary_of

Gap = Literal["nan", "infinite", "zero", "missing"]
GAPS: tuple[Gap, ...] = ("nan", "infinite", "zero", "missing")
ROWS = 20_000
RATES = (100.0, 200.0, 400.0, 800.0)


def latencies(base_ms: float) -> Latencies:
    """An exponential tail above 80 % of the median, as report_fixtures' quantiles."""
    shown = np.array([q < 0.9996 or q == 1.0 for q in QUANTILES])
    tail = 1 / np.maximum(1 - np.asarray(QUANTILES), 1e-4)
    values = np.where(shown, base_ms * (0.8 + 0.2 * tail**0.35), np.nan)
    ranks = (np.arange(ROWS) + 0.5) / ROWS
    made = base_ms * (0.8 + 0.2 * (1 / (1 - ranks)) ** 0.35)
    return Latencies(ROWS, values, np.histogram(made, EDGES_MS)[0])


def digest_of(run: Run, base_ms: float, rate_rps: float, steps: int = 30) -> Digest:
    """The digest of a run whose rate dips in the middle of its window."""
    case = run.case
    name = case.endpoints[0].name
    seconds = (np.arange(steps) + 0.5) / 10
    dip = 1 - 0.4 * np.exp(-((np.arange(steps) - steps / 2) ** 2) / 4)
    columns: dict[str, Any] = {
        "second": seconds,
        "rate_rps": rate_rps * dip,
        "p50_ms": base_ms / dip,
        "p99_ms": base_ms * 2.2 / dip,
        "errors_rps": np.where(dip < 0.7, 3.0, 0.0),
        "loop_lag_ms": base_ms * (1 - dip),
        "pool_busy": np.full(steps, 38.0 if case.mode == "sync" else 0.0),
        "pool_waiting": np.full(steps, 12.0 if case.mode == "sync" else 0.0),
        "executor_busy": np.full(steps, 6.0 if case.mode == "to_thread" else 0.0),
        "process_pool_busy": np.full(steps, 2.0 if case.mode == "process" else 0.0),
        "steal_ratio": (1 - dip) / 10,
        "cpu_ratio": 0.9 * dip,
    }
    unknown = np.full(steps, math.nan)
    is_open = case.load.model == "open"
    return Digest(
        case_id=case.case_id,
        replicate=run.replicate,
        attempt=run.attempt,
        status=run.status,
        endpoint=name,
        service={name: latencies(base_ms)},
        response={name: latencies(base_ms * 1.7)} if is_open else {},
        timeline=pd.DataFrame({column: columns.get(column, unknown) for column in TIMELINE}),
    )


def complete(summary: Summary) -> Summary:
    """The summary with what only real runs have: digests, shares, causes, marks, predictions."""
    table = summary.table[summary.table["metric"].isin(["throughput_rps", "service_time_p50_ms"])]
    known = table[["case_id", "metric", "ci_high"]].to_numpy().tolist()
    figures = {(case_id, metric): float(value) / 1.03 for case_id, metric, value in known}
    runs = tuple(_run(run, index) for index, run in enumerate(summary.runs))
    digests: dict[str, tuple[Digest, ...]] = {}
    for run in runs:
        case_id = run.case.case_id
        base_ms, rate_rps = (
            _finite(figures.get((case_id, metric)), otherwise)
            for metric, otherwise in (("service_time_p50_ms", 10.0), ("throughput_rps", 100.0))
        )
        made = digest_of(run, base_ms * (1 + 0.02 * run.replicate), rate_rps)
        digests[case_id] = (*digests.get(case_id, ()), made)
    return replace(summary, runs=runs, digests=digests, predictions=_predictions(summary))


def _finite(value: float | None, otherwise: float) -> float:
    return value if value is not None and math.isfinite(value) and value > 0 else otherwise


def _run(run: Run, index: int) -> Run:
    workers = run.case.workers or 0
    weights = [1 + number % 3 for number in range(workers)]
    flag = Check(
        name="drift",
        value=0.2,
        limit=0.1,
        effect="flag",
        ok=False,
        detail="the rate fell by 20 % in the window",
    )
    return run.model_copy(
        update={
            "workers": tuple(
                Worker(pid=number + 1, share=weight / sum(weights)) for number, weight in enumerate(weights)
            ),
            "checks": (*run.checks, *([flag] if index % 4 == 1 else [])),
            "causes": (Cause(cause="thread_pool_full", share=0.9, evidence="40 of 40 threads were busy"),)
            if run.case.mode == "sync"
            else (),
        }
    )


def _predictions(summary: Summary) -> tuple[Prediction, ...]:
    rows = summary.table[summary.table["metric"] == "throughput_rps"]
    made = []
    for index, row in enumerate(rows.to_dict("records")):
        value = float(row["value"])
        ratio = None if math.isnan(value) else 0.4 + 0.07 * (index % 10)
        made.append(
            Prediction(
                case_id=row["case_id"],
                bound="users",
                predicted_rps=100.0 if ratio is None or value <= 0 or math.isinf(value) else value / ratio,
                ratio=ratio,
                ci_low=None,
                ci_high=None,
                verdict="invalid" if ratio is None else "below" if ratio < 0.8 else "near",
                reason="",
            )
        )
    return tuple(made)


def open_summary(names: Names = "plain", *, replicates: int = 3, modes: tuple[str, ...] = ("async", "sync")) -> Summary:
    """Cases in open load, at several rates; the response time leaves the service time behind as the rate rises."""
    cases = tuple(
        Case(
            case_id=f"sleep-{mode}-r{rate:g}",
            workload="sleep" if names == "plain" else f"sleep{'-and-on' * 40}",
            params={"ms": 50},
            mode=mode,
            server=Server(workers=1),
            endpoints=(Endpoint(path=f"/sleep/{mode}"),),
            load=Load(model="open", rate_rps=rate, victim="/health"),
        )
        for mode in modes
        for rate in RATES
    )
    summary = summary_of(cases, replicates=replicates, names=names)
    service = summary.table[summary.table["metric"].str.startswith("service_time")]
    rates = service["case_id"].str.extract(r"-r(\d+)$")[0].astype(float)
    late = {column: service[column] * (1 + (rates / 200) ** 2) for column in ("value", "ci_low", "ci_high")}
    metric = service["metric"].str.replace("service", "response")
    table = pd.concat([summary.table, service.assign(metric=metric, **late)], ignore_index=True)
    return complete(replace(summary, table=table))


def duel_summary() -> Summary:
    """Two sides that shared their cores: rounds stand in place of runs, one of them flagged, one void."""
    summary = fixture_summary(7)
    cases = summary.experiment.suite.cases[:2]
    suite = summary.experiment.suite.model_copy(update={"cases": cases})
    names = [case.case_id for case in cases]
    flag = Check(name="steal", value=0.2, limit=0.1, effect="flag", ok=False, detail="the hypervisor took 20 %")
    void = flag.model_copy(update={"name": "errors", "effect": "void"})
    rounds = tuple(
        Round(
            pairing="duel",
            number=number,
            baseline_case=names[0],
            candidate_case=names[1],
            status="ok" if check is not void else "invalid",
            started_at="2026-01-02T03:04:05Z",
            checks=(check,),
        )
        for number, check in enumerate((flag, flag, void), start=1)
    )
    return replace(
        summary,
        experiment=summary.experiment.model_copy(update={"suite": suite}),
        table=summary.table[summary.table["case_id"].isin(names)],
        quantiles=summary.quantiles[summary.quantiles["case_id"].isin(names)],
        runs=(),
        duel=rounds,
    )


def with_gap(summary: Summary, gap: Gap) -> Summary:
    """The summary with every second value of its table not a usable number, and no row for it if missing."""
    odd = np.arange(len(summary.table)) % 2 == 1
    if gap == "missing":
        return replace(summary, table=summary.table[~odd])
    value = {"nan": math.nan, "infinite": math.inf, "zero": 0.0}[gap]
    gone = {name: summary.table[name].where(~odd, value) for name in ("value", "ci_low", "ci_high", "predicted")}
    quantiles = summary.quantiles
    spoilt = quantiles["service_time_ms"].where(np.arange(len(quantiles)) % 2 == 0, value)
    return replace(summary, table=summary.table.assign(**gone), quantiles=quantiles.assign(service_time_ms=spoilt))


SHAPES: dict[str, Callable[[], Summary]] = {
    "1 case, one replicate": lambda: complete(fixture_summary(1, replicates=1)),
    "7 cases": lambda: complete(fixture_summary(7)),
    "40 cases, some invalid": lambda: complete(fixture_summary(40, invalid="some")),
    "100 cases": lambda: complete(fixture_summary(100)),
    "all invalid": lambda: complete(fixture_summary(40, invalid="all")),
    "long names": lambda: complete(fixture_summary(40, names="long", invalid="some")),
    "hostile names": lambda: complete(fixture_summary(7, names="hostile", invalid="some")),
    "running server": running_server_summary,
    "own app": lambda: complete(own_app_summary()),
    "own app, long names": lambda: complete(own_app_summary(3, (2,), names="long")),
    "50 endpoints": lambda: complete(own_app_summary(50, (2,))),
    "open load": open_summary,
    "open load, long names, every mode": lambda: open_summary(
        "long", replicates=1, modes=("async", "sync", "blocking", "to_thread", "process")
    ),
    "duel": duel_summary,
    **{
        f"half of the values {gap}": lambda gap=gap: with_gap(complete(fixture_summary(7)), gap)  # type: ignore[misc]
        for gap in GAPS
    },
}
