"""A digest of a run's rows to draw it from: quantiles, a histogram and a time line, some kilobytes.

A report reads the rows of one run at a time and goes on with their digests; invalid and disturbed runs have one as
well, since their time line is what explains them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
import pyarrow as pa

from loopwise.analysis.metrics import is_shown
from loopwise.analysis.rows import FLOATS, INTS, Kind, RunRows
from loopwise.analysis.stats import rank

QUANTILES: tuple[float, ...] = (
    *(round(step / 100, 2) for step in range(100)),
    *(round(0.99 + step / 1_000, 3) for step in range(1, 10)),
    *(round(0.999 + step / 10_000, 4) for step in range(1, 10)),
    *(round(0.9999 + step / 100_000, 5) for step in range(1, 10)),
    1.0,
)
"""The grid of Latencies.quantiles_ms: p0 to p99, then ten steps for each further nine, then the maximum."""
DRAWN = frozenset((*QUANTILES[:100], 0.995, 0.999, 0.9995, 0.9999, 1.0))
"""Quantiles that the distribution charts are drawn from."""
EDGES_MS: FLOATS = np.logspace(-3, 5, 401)
"""Edges of the histogram's bins: 50 per decade, each 4.7 % wide, from 1 µs to 100 s."""
STEP_S = 0.1
"""The shortest step of a time line, which is that of the telemetry."""
MAX_STEPS = 120
"""Points of a time line at most: a chart has no room for more."""
MAX_ENDPOINTS = 20
"""Endpoints with latencies of their own; a script can name thousands, and the rarest stand in the whole only."""
TIMELINE = (
    "second",
    "rate_rps",
    "p50_ms",
    "p99_ms",
    "errors_rps",
    "loop_lag_ms",
    "pool_busy",
    "pool_waiting",
    "executor_busy",
    "executor_waiting",
    "process_pool_busy",
    "in_flight",
    "steal_ratio",
    "cpu_ratio",
    "rss_mb",
)
TELEMETRY = (
    *("time_ns", "pid", "role", "cpu_s", "rss_mb", "steal_s", "total_s", "loop_lag_max_ms", "limiter_busy"),
    *("limiter_queued", "executor_busy", "executor_queued", "process_pool_busy", "in_flight"),
)
"""The columns of telemetry.parquet that a time line needs."""
_SUMS = {
    "pool_busy": "limiter_busy",
    "pool_waiting": "limiter_queued",
    "executor_busy": "executor_busy",
    "executor_waiting": "executor_queued",
    "process_pool_busy": "process_pool_busy",
    "in_flight": "in_flight",
    "rss_mb": "rss_mb",
}
"""Columns of a time line that are sums over the server's processes at each sample, averaged over a step's samples."""


@dataclass(frozen=True)
class Latencies:
    """The distribution of one kind of latency of an endpoint, over the successes that count."""

    rows: int
    quantiles_ms: FLOATS
    """By QUANTILES, exact nearest ranks; NaN where too few rows lie above."""
    counts: INTS
    """By the bins of EDGES_MS; what lies outside is in the first or last one. Add those of runs to have them pooled."""

    def curve(self) -> tuple[FLOATS, FLOATS]:
        """The quantiles (0–1) that are known, and their values in ms."""
        known = ~np.isnan(self.quantiles_ms)
        return np.asarray(QUANTILES)[known], self.quantiles_ms[known]


@dataclass(frozen=True)
class Digest:
    """What is kept of the rows and the telemetry of one run."""

    case_id: str
    replicate: int
    attempt: int
    status: Literal["ok", "invalid", "failed", "disturbed"]
    endpoint: str
    """Where the whole stands in `service` and `response`: the only endpoint, or `all`."""
    service: dict[str, Latencies]
    """By endpoint: sent → last byte."""
    response: dict[str, Latencies]
    """By endpoint, in open load: due → last byte. Empty in closed load."""
    timeline: pd.DataFrame
    """TIMELINE, a row per step over the window; NaN: not known.

    `second` is the step's middle, counted from the window's start. p50_ms and p99_ms are response times in open load
    (of the requests due in the step), else service times; p99_ms is the step's slowest where it holds few. loop_lag_ms
    is the greatest of any worker. Occupancies are sums over the workers, ratios are of the whole machine.
    """

    @property
    def kind(self) -> Kind:
        """Which latency the time line shows."""
        return "response" if self.response else "service"


def digest(rows: RunRows, telemetry: pa.Table | None) -> Digest:
    """Keep of a run what charts are drawn from.

    Args:
        rows: all its rows.
        telemetry: its TELEMETRY columns, or those of them that there are; None: only the rows are known.
    """
    run = rows.run
    named = _named(rows)
    by_kind = {kind: {name: _latencies(rows.latencies_ms(name, kind)) for name in named} for kind in rows.kinds}
    return Digest(
        case_id=run.case.case_id,
        replicate=run.replicate,
        attempt=run.attempt,
        status=run.status,
        endpoint=rows.whole,
        service=by_kind["service"],
        response=by_kind.get("response", {}),
        timeline=_timeline(rows, telemetry),
    )


def _named(rows: RunRows) -> Sequence[str]:
    """The whole, then the endpoints with most successes."""
    if len(rows.groups) == 1:
        return rows.groups
    sizes = {name: rows.latencies_ms(name, "service").size for name in rows.endpoints}
    kept = sorted(rows.endpoints, key=lambda name: -sizes[name])[:MAX_ENDPOINTS]
    return (rows.whole, *(name for name in rows.endpoints if name in kept))


def _latencies(ascending_ms: FLOATS) -> Latencies:
    size = ascending_ms.size
    values = np.full(len(QUANTILES), np.nan)
    if size:
        shown = [index for index, quantile in enumerate(QUANTILES) if is_shown(quantile, size)]
        values[shown] = ascending_ms[[rank(QUANTILES[index], size) - 1 for index in shown]]
    # The outermost edges are open: nothing is lost.
    below = np.searchsorted(ascending_ms, EDGES_MS[1:-1], side="left")
    return Latencies(size, values, np.diff(below, prepend=0, append=size).astype(np.int64))


def _timeline(rows: RunRows, telemetry: pa.Table | None) -> pd.DataFrame:
    window = rows.window
    steps = min(max(round(window.duration_s / STEP_S), 1), MAX_STEPS)
    edges_ns = window.start_ns + (window.end_ns - window.start_ns) * np.arange(steps + 1) // steps
    width_s = np.diff(edges_ns) / 1e9
    mine = ~rows.is_victim
    columns: dict[str, FLOATS] = {
        "second": (edges_ns[:-1] - window.start_ns) / 1e9 + width_s / 2,
        "rate_rps": _counts(rows.column["received_ns"][mine & rows.arrived & rows.is_ok], edges_ns) / width_s,
        "errors_rps": _counts(_clock(rows)[rows.counted & rows.is_failed], edges_ns) / width_s,
    }
    columns["p50_ms"], columns["p99_ms"] = _percentiles(rows, edges_ns)
    if telemetry is not None:
        columns |= _sampled(telemetry, edges_ns)
    unknown = np.full(steps, np.nan)
    return pd.DataFrame({name: columns.get(name, unknown) for name in TIMELINE})


def _clock(rows: RunRows) -> INTS:
    """When a row counts."""
    return rows.column["scheduled_ns" if rows.is_open else "received_ns"]


def _counts(times_ns: INTS, edges_ns: INTS) -> FLOATS:
    return np.bincount(_step(times_ns, edges_ns), minlength=edges_ns.size - 1).astype(np.float64)


def _step(times_ns: INTS, edges_ns: INTS) -> INTS:
    """The step in which each time lies; all lie in the window."""
    return np.searchsorted(edges_ns, times_ns, side="right").astype(np.int64) - 1


def _percentiles(rows: RunRows, edges_ns: INTS) -> tuple[FLOATS, FLOATS]:
    """p50 and p99 of each step."""
    good = ~rows.is_victim & rows.due & rows.is_ok
    times_ns, took_ns = _clock(rows)[good], rows.duration_ns(rows.kinds[-1], good)
    if times_ns.size and (np.diff(times_ns) < 0).any():
        order = np.argsort(times_ns, kind="stable")
        times_ns, took_ns = times_ns[order], took_ns[order]
    bounds = np.searchsorted(times_ns, edges_ns)
    p50, p99 = (np.full(edges_ns.size - 1, np.nan) for _ in range(2))
    for index in range(edges_ns.size - 1):
        inside = took_ns[bounds[index] : bounds[index + 1]]
        if inside.size:
            ranks = [rank(quantile, inside.size) - 1 for quantile in (0.5, 0.99)]
            p50[index], p99[index] = np.partition(inside, ranks)[ranks] / 1e6
    return p50, p99


def _sampled(telemetry: pa.Table, edges_ns: INTS) -> dict[str, FLOATS]:
    """The columns of a time line that come from telemetry. A sample is about the time before it."""
    columns = {name: telemetry.column(name) for name in TELEMETRY if name in telemetry.column_names}
    role = np.asarray(columns["role"].to_numpy(zero_copy_only=False), dtype=object)
    values = {
        name: np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.float64)
        for name, column in columns.items()
        if name not in {"role", "time_ns"}
    }
    time_ns = np.asarray(columns["time_ns"].to_numpy(zero_copy_only=False), dtype=np.int64)
    is_host, is_server = role == "host", role == "server"
    line = _machine(time_ns[is_host], {name: each[is_host] for name, each in values.items()}, edges_ns)
    inside = is_server & (time_ns > edges_ns[0]) & (time_ns <= edges_ns[-1])
    times_ns = time_ns[inside]
    steps = edges_ns.size - 1
    step = np.searchsorted(edges_ns, times_ns, side="left") - 1
    if "loop_lag_max_ms" in values:
        greatest = np.full(steps, -np.inf)
        np.fmax.at(greatest, step, values["loop_lag_max_ms"][inside])
        line["loop_lag_ms"] = np.where(np.isfinite(greatest), greatest, np.nan)
    for name, source in _SUMS.items():
        if source in values:
            line[name] = _mean_of_sums(times_ns, step, values[source][inside], steps)
    return line


def _mean_of_sums(times_ns: INTS, step: INTS, values: FLOATS, steps: int) -> FLOATS:
    """Sums over the processes at each sample, averaged over the samples of each step; NaN without any."""
    known = ~np.isnan(values)
    totals = np.bincount(step[known], weights=values[known], minlength=steps)
    _, firsts = np.unique(times_ns[known], return_index=True)
    samples = np.bincount(step[known][firsts], minlength=steps)
    means: FLOATS = np.divide(totals, samples, out=np.full(steps, np.nan), where=samples > 0)
    return means


def _machine(times_ns: INTS, values: dict[str, FLOATS], edges_ns: INTS) -> dict[str, FLOATS]:
    """Shares of the machine's CPU in each step, from counters that only grow."""
    if times_ns.size < 2 or not {"cpu_s", "steal_s", "total_s"} <= set(values):
        return {}
    grown = {name: np.diff(np.interp(edges_ns, times_ns, values[name])) for name in ("cpu_s", "steal_s", "total_s")}
    total_s = np.where(grown["total_s"] > 0, grown["total_s"], np.nan)
    return {"steal_ratio": grown["steal_s"] / total_s, "cpu_ratio": grown["cpu_s"] / total_s}
