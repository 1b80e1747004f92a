"""From the rows of one run to its figures. Pure: tables in, numbers out."""

from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from loopwise.model import TOTAL, VICTIM, Run
from loopwise.stats import nearest_rank

FLOATS = NDArray[np.float64]
INTS = NDArray[np.int64]
MASK = NDArray[np.bool_]


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
    """Compute a run's figures.

    In closed load the window's rows are those whose answer arrived in it. In open load latencies are those of the
    requests that were due in it, however late their answer: leaving late ones out is what coordinated omission is.
    """
    result = RunFigures(counts={"rows": table.num_rows})
    window = run.window
    if window is None:
        return result
    names = pc.cast(table.column("endpoint"), pa.string()).to_pylist() if table.num_rows else []
    column = {name: _times(table, name) for name in ("scheduled_ns", "sent_ns", "received_ns", "read_ns")}
    is_ok = np.asarray(pc.is_null(table.column("error")), dtype=bool)
    arrived = (column["received_ns"] >= window.start_ns) & (column["received_ns"] < window.end_ns)
    due = arrived
    if run.case.load.model == "open":
        due = (column["scheduled_ns"] >= window.start_ns) & (column["scheduled_ns"] < window.end_ns)
    endpoint = np.array(names, dtype=object)
    is_victim = np.array([name.startswith(VICTIM) for name in names], dtype=bool)
    # Declared endpoints count even unseen: replicates of a case must agree on where its figures stand.
    declared = set() if run.case.scenario else {each.name for each in run.case.endpoints}
    load_names = sorted(declared | {name for name in names if not name.startswith(VICTIM)})
    result.endpoint = load_names[0] if len(load_names) == 1 else TOTAL
    groups: dict[str, MASK] = {name: endpoint == name for name in load_names}
    if len(groups) > 1:
        groups[TOTAL] = ~is_victim
    for name, mask in groups.items():
        _requests(result, name, Selection(column, is_ok, due & mask, arrived & mask), run)
    whole = result.endpoint
    mine = ~is_victim & arrived
    result.counts |= {
        "window_rows": int((due & ~is_victim).sum()),
        "ok": int((mine & is_ok).sum()),
        "errors": int((due & ~is_victim & ~is_ok).sum()),
        "victim_rows": int((arrived & is_victim).sum()),
    }
    lag_ms = (column["read_ns"] - column["received_ns"])[mine & is_ok] / 1e6
    if lag_ms.size:
        result.metrics[whole, "generator_lag_mean_ms"] = float(lag_ms.mean())
        result.metrics[whole, "generator_lag_p99_ms"] = nearest_rank(np.sort(lag_ms), 0.99)
    waited_ms = (column["received_ns"] - column["scheduled_ns"])[arrived & is_victim & is_ok] / 1e6
    if waited_ms.size:
        result.metrics[whole, "victim_p99_ms"] = nearest_rank(np.sort(waited_ms), 0.99)
    _host(result, whole, run)
    return result


def _times(table: pa.Table, name: str) -> INTS:
    """A column of times as int64, null as 0: float64 can't hold nanoseconds since the epoch exactly."""
    return np.asarray(pc.fill_null(table.column(name), 0).to_numpy(zero_copy_only=False), dtype=np.int64)


class Selection(NamedTuple):
    """The rows of one endpoint."""

    column: dict[str, INTS]
    is_ok: MASK
    due: MASK
    """Rows whose latency counts."""
    arrived: MASK
    """Rows that count as done in the window."""


def _requests(result: RunFigures, name: str, rows: Selection, run: Run) -> None:
    """Throughput, latencies and errors of one endpoint."""
    column, is_ok, due, arrived = rows
    assert run.window is not None
    metrics = result.metrics
    metrics[name, "throughput_rps"] = float((arrived & is_ok).sum()) / run.window.duration_s
    count = int(due.sum())
    if count:
        metrics[name, "error_ratio"] = float((due & ~is_ok).sum()) / count
    good = due & is_ok
    service_ms = np.sort(column["received_ns"][good] - column["sent_ns"][good]) / 1e6
    _latencies(metrics, name, "service", service_ms)
    result.quantiles[name] = [
        (q, nearest_rank(service_ms, q)) for q in GRID if service_ms.size and is_shown(q, service_ms.size)
    ]
    if run.case.load.model == "open":
        _latencies(
            metrics,
            name,
            "response",
            np.sort(column["received_ns"][good] - column["scheduled_ns"][good]) / 1e6,
        )


def is_shown(quantile: float, rows: int) -> bool:
    """Whether so many rows carry a percentile: one beyond p99 needs ROWS_ABOVE rows above it."""
    return quantile <= 0.99 or quantile == 1.0 or rows * (1 - quantile) >= ROWS_ABOVE


def _latencies(metrics: dict[tuple[str, str], float], name: str, kind: str, sorted_ms: FLOATS) -> None:
    if not sorted_ms.size:
        return
    metrics[name, f"{kind}_time_mean_ms"] = float(sorted_ms.mean())
    for label, quantile in PERCENTILES.items():
        if is_shown(quantile, sorted_ms.size):
            metrics[name, f"{kind}_time_{label}_ms"] = nearest_rank(sorted_ms, quantile)


def _host(result: RunFigures, whole: str, run: Run) -> None:
    """Figures of the case as a whole, from outside the requests."""
    host: dict[str, Any] = run.host
    ok = result.counts["ok"]
    if "server_cpu_s" in host and ok:
        result.metrics[whole, "cpu_ms_per_request"] = host["server_cpu_s"] * 1e3 / ok
    if "server_rss_mb" in host:
        result.metrics[whole, "rss_mb"] = host["server_rss_mb"]
    for name in ("steal_ratio", "loop_lag_p99_ms", "loop_stall_max_ms"):
        if name in host:
            result.metrics[whole, name] = host[name]
    shares = [worker.share for worker in run.workers if worker.share is not None]
    if len(shares) > 1:
        result.metrics[whole, "worker_share_max"] = max(shares)
    if run.generator.get("wall_s"):
        result.metrics[whole, "generator_cpu_ratio"] = (
            run.generator["busiest_cpu_s"] / run.generator["wall_s"]
        )
