"""From the rows of one run to its figures. Pure: tables in, numbers out."""

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
import pyarrow as pa

from loopwise.analysis.rows import FLOATS, INTS, RunRows
from loopwise.analysis.stats import nearest_rank, rank
from loopwise.model import TOTAL, Run


class Metric(NamedTuple):
    """What a metric is measured in, and which way is good."""

    unit: str
    better: Literal["higher", "lower"] | None = None
    """None: it describes the run; nobody wins by it."""
    is_log: bool = True
    """Intervals on the log scale: for quantities that are positive and whose noise is proportional."""


_LATENCIES = {
    f"{kind}_time_{name}_ms": Metric("ms", "lower")
    for kind in ("service", "response")
    for name in ("mean", "p50", "p90", "p99", "p999")
}
METRICS: dict[str, Metric] = {
    "throughput_rps": Metric("1/s", "higher"),
    **_LATENCIES,
    "error_ratio": Metric("", "lower", is_log=False),
    "cpu_ms_per_request": Metric("ms", "lower"),
    "rss_mb": Metric("MB", "lower"),
    "loop_lag_p99_ms": Metric("ms", "lower", is_log=False),
    "loop_stall_max_ms": Metric("ms", "lower", is_log=False),
    "worker_share_max": Metric("", is_log=False),
    "victim_p50_ms": Metric("ms", "lower"),
    "victim_p99_ms": Metric("ms", "lower"),
    "generator_lag_mean_ms": Metric("ms"),
    "generator_lag_p99_ms": Metric("ms"),
    "generator_cpu_ratio": Metric("", is_log=False),
    "steal_ratio": Metric("", is_log=False),
}
PERCENTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p999": 0.999}
ROWS_ABOVE = 10
"""A percentile in the far tail is shown with at least so many rows above it; fewer are single events."""
GRID = [round(step / 100, 2) for step in range(100)] + [0.995, 0.999, 0.9995, 0.9999, 1.0]
"""Quantiles that the distribution charts are drawn from."""


@dataclass
class RunFigures:
    """All figures of one run."""

    endpoint: str = TOTAL
    """Where the figures of the whole case stand: its only endpoint, or TOTAL for a mix."""
    metrics: dict[tuple[str, str], float] = field(default_factory=dict)
    """By endpoint and metric."""
    quantiles: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    """By endpoint: (quantile, service time in ms)."""
    counts: dict[str, int] = field(default_factory=dict)


def figures(table: pa.Table, run: Run) -> RunFigures:
    """Compute a run's figures from all its rows; which of them count, `RunRows` says."""
    if run.window is None:
        return RunFigures(counts={"rows": table.num_rows})
    return figures_of(RunRows(table, run))


def figures_of(rows: RunRows) -> RunFigures:
    """The figures of rows that were made ready."""
    whole = rows.whole
    result = RunFigures(endpoint=whole, counts={"rows": rows.count})
    for name in rows.groups:
        _requests(result, name, rows)
    is_ok, arrived, due, is_victim = rows.is_ok, rows.arrived, rows.due, rows.is_victim
    mine = ~is_victim & arrived
    result.counts |= {
        "window_rows": int((due & ~is_victim).sum()),
        "ok": int((mine & is_ok).sum()),
        "errors": int((due & ~is_victim & ~is_ok).sum()),
        "victim_rows": int((arrived & is_victim).sum()),
    }
    lag_ns = (rows.column["read_ns"] - rows.column["received_ns"])[mine & is_ok]
    if lag_ns.size:
        result.metrics[whole, "generator_lag_mean_ms"] = float((lag_ns / 1e6).mean())
        result.metrics[whole, "generator_lag_p99_ms"] = _one_rank(lag_ns, 0.99) / 1e6
    waited_ns = rows.duration_ns("response", arrived & is_victim & is_ok)
    if waited_ns.size:
        for name in ("p50", "p99"):
            result.metrics[whole, f"victim_{name}_ms"] = _one_rank(waited_ns, PERCENTILES[name]) / 1e6
    _host(result, whole, rows.run)
    return result


def _requests(result: RunFigures, name: str, rows: RunRows) -> None:
    """Throughput, latencies and errors of one endpoint."""
    metrics, mine = result.metrics, rows.of(name)
    metrics[name, "throughput_rps"] = float((rows.arrived & mine & rows.is_ok).sum()) / rows.window.duration_s
    due = rows.due & mine
    count = int(due.sum())
    if count:
        metrics[name, "error_ratio"] = float((due & ~rows.is_ok).sum()) / count
    for kind in rows.kinds:
        _latencies(metrics, name, kind, rows.latencies_ms(name, kind))
    service_ms = rows.latencies_ms(name, "service")
    result.quantiles[name] = [
        (q, nearest_rank(service_ms, q)) for q in GRID if service_ms.size and is_shown(q, service_ms.size)
    ]


def _one_rank(values: INTS, quantile: float) -> float:
    """The percentile of values in any order: they are parted at its rank, which is cheaper than to sort them."""
    index = rank(quantile, values.size) - 1
    return float(np.partition(values, index)[index])


def is_shown(quantile: float, rows: int) -> bool:
    """Whether so many rows carry a percentile: one beyond p99 needs ROWS_ABOVE rows above it."""
    return quantile <= 0.99 or quantile == 1.0 or rows - rank(quantile, rows) >= ROWS_ABOVE


def _latencies(metrics: dict[tuple[str, str], float], name: str, kind: str, sorted_ms: FLOATS) -> None:
    if not sorted_ms.size:
        return
    metrics[name, f"{kind}_time_mean_ms"] = float(sorted_ms.mean())
    for label, quantile in PERCENTILES.items():
        if is_shown(quantile, sorted_ms.size):
            metrics[name, f"{kind}_time_{label}_ms"] = nearest_rank(sorted_ms, quantile)


def _host(result: RunFigures, whole: str, run: Run) -> None:
    """Figures of the case as a whole, from outside the requests."""
    host, ok = run.host, result.counts["ok"]
    shares = [worker.share for worker in run.workers if worker.share is not None]
    found = {
        "cpu_ms_per_request": host.server_cpu_s * 1e3 / ok if host.server_cpu_s is not None and ok else None,
        "rss_mb": host.server_rss_mb,
        "steal_ratio": host.steal_ratio,
        "loop_lag_p99_ms": host.loop_lag_p99_ms,
        "loop_stall_max_ms": host.loop_stall_max_ms,
        "worker_share_max": max(shares) if len(shares) > 1 else None,
        "generator_cpu_ratio": run.generator.cpu_ratio,
    }
    result.metrics |= {(whole, name): value for name, value in found.items() if value is not None}
