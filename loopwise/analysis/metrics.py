"""The metrics of a case: name, unit, words, and how each is computed from the requests or the run."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from loopwise.analysis.rows import FLOATS, INTS, Kind, Requests, RunRows
from loopwise.analysis.stats import nearest_rank, rank

PERCENTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p999": 0.999}
ROWS_ABOVE = 10
"""A percentile in the far tail is shown with at least so many rows above it; fewer are single events."""


@dataclass(frozen=True)
class MetricSpec:
    """A metric: a number per run, and its words."""

    name: str
    unit: str
    better: Literal["higher", "lower"] | None
    """None: it describes the run; nobody wins by it."""
    label: str
    """Its name in tables and charts."""
    meaning: str
    """As docs/schema.md has it."""
    phrase: str = ""
    """Stands between candidate and baseline in a verdict: `serves {ratio} the requests of`. Empty: no verdicts."""
    is_log: bool = True
    """Intervals on the log scale: for quantities that are positive and whose noise is proportional."""
    of_requests: Callable[[Requests], float | None] | None = None
    """Computes it for each endpoint, and for all of them; None where there is nothing to compute it from."""
    of_run: Callable[[RunRows], float | None] | None = None
    """Computes it once, for the case as a whole."""


def is_shown(quantile: float, rows: int) -> bool:
    """Whether so many rows carry a percentile: one beyond p99 needs ROWS_ABOVE rows above it."""
    return quantile <= 0.99 or quantile == 1.0 or rows - rank(quantile, rows) >= ROWS_ABOVE


def _throughput(requests: Requests) -> float:
    return requests.served / requests.duration_s if requests.duration_s else 0.0


def _latency(kind: Kind, statistic: str) -> Callable[[Requests], float | None]:
    def compute(requests: Requests) -> float | None:
        ascending_ms: FLOATS | None = requests.latencies_ms.get(kind)
        if ascending_ms is None or not ascending_ms.size:
            return None
        if statistic == "mean":
            return float(ascending_ms.mean())
        quantile = PERCENTILES[statistic]
        return nearest_rank(ascending_ms, quantile) if is_shown(quantile, ascending_ms.size) else None

    return compute


def _latencies(kind: Kind, meanings: dict[str, str]) -> list[MetricSpec]:
    phrases = {"p50": "takes {ratio} the median time of", "p99": "takes {ratio} the p99 time of"}
    return [
        MetricSpec(
            f"{kind}_time_{statistic}_ms",
            "ms",
            "lower",
            f"{statistic} {kind} time",
            meaning,
            phrase=phrases.get(statistic, "") if kind == "service" else "",
            of_requests=_latency(kind, statistic),
        )
        for statistic, meaning in meanings.items()
    ]


def _percentile_ms(values_ns: INTS, quantile: float) -> float | None:
    """The percentile of values in any order: they are parted at its rank, which is cheaper than to sort them."""
    if not values_ns.size:
        return None
    index = rank(quantile, values_ns.size) - 1
    return float(np.partition(values_ns, index)[index]) / 1e6


def _cpu_ms_per_request(rows: RunRows) -> float | None:
    cpu_s = rows.run.host.server_cpu_s
    return None if cpu_s is None or not rows.served else cpu_s * 1e3 / rows.served


def _victim_slowdown(rows: RunRows) -> float | None:
    idle_ms, loaded_ms = rows.run.canary_idle_p99_ms, _percentile_ms(rows.victim_ns, 0.99)
    return loaded_ms / idle_ms if idle_ms and loaded_ms is not None else None


def _worker_share(rows: RunRows) -> float | None:
    shares = [worker.share for worker in rows.run.workers if worker.share is not None]
    return max(shares) if len(shares) > 1 else None


_SPECS = (
    MetricSpec(
        "throughput_rps",
        "1/s",
        "higher",
        "requests a second",
        "rows without error whose answer arrived in the window ÷ its length",
        phrase="serves {ratio} the requests of",
        of_requests=_throughput,
    ),
    *_latencies(
        "service",
        {
            "mean": "sent → last byte, mean over the successes that count",
            "p50": "the same, median; percentiles are exact, by nearest rank",
            "p90": "90th percentile",
            "p99": "99th percentile",
            "p999": "99.9th percentile, only with at least 10 rows above it",
        },
    ),
    *_latencies(
        "response",
        {
            "mean": "open load: scheduled → last byte, mean",
            "p50": "the same, median",
            "p90": "90th percentile",
            "p99": "99th percentile",
            "p999": "99.9th percentile, only with at least 10 rows above it",
        },
    ),
    MetricSpec(
        "error_ratio",
        "",
        "lower",
        "errors",
        "share of the rows that count that failed",
        is_log=False,
        of_requests=lambda requests: requests.failed / requests.due if requests.due else None,
    ),
    MetricSpec(
        "cpu_ms_per_request",
        "ms",
        "lower",
        "CPU per request",
        "CPU of the server's processes ÷ successes, over the window",
        phrase="costs {ratio} the CPU per request of",
        of_run=_cpu_ms_per_request,
    ),
    MetricSpec(
        "rss_mb",
        "MB",
        "lower",
        "memory",
        "the greatest sum of the server's memory in the window",
        of_run=lambda rows: rows.run.host.server_rss_mb,
    ),
    MetricSpec(
        "pss_mb",
        "MB",
        "lower",
        "memory, shared once",
        "the server's memory at the window's end, with what its processes share counted once; Linux",
        of_run=lambda rows: rows.run.host.server_pss_mb,
    ),
    MetricSpec(
        "loop_lag_p99_ms",
        "ms",
        "lower",
        "p99 loop lag",
        "what a callback that is due at any moment waits for the event loop, 99th percentile; with the probe",
        is_log=False,
        of_run=lambda rows: rows.run.host.loop_lag_p99_ms,
    ),
    MetricSpec(
        "loop_stall_max_ms",
        "ms",
        "lower",
        "longest loop stall",
        "the longest time that one piece of code kept an event loop; with the probe",
        is_log=False,
        of_run=lambda rows: rows.run.host.loop_stall_max_ms,
    ),
    MetricSpec(
        "worker_share_max",
        "",
        None,
        "share of the busiest worker",
        "share of the requests that the busiest worker served; several workers, with the probe",
        is_log=False,
        of_run=_worker_share,
    ),
    MetricSpec(
        "victim_p50_ms",
        "ms",
        "lower",
        "p50 of the canary",
        "the canary's median, counted from when it was due",
        of_run=lambda rows: _percentile_ms(rows.victim_ns, 0.5),
    ),
    MetricSpec(
        "victim_p99_ms",
        "ms",
        "lower",
        "p99 of the canary",
        "the canary's 99th percentile, counted from when it was due",
        phrase="takes {ratio} the p99 time of the canary's answers of",
        of_run=lambda rows: _percentile_ms(rows.victim_ns, 0.99),
    ),
    MetricSpec(
        "victim_slowdown",
        "",
        "lower",
        "canary against the idle app",
        "the canary's 99th percentile ÷ that of the idle app before the load",
        of_run=_victim_slowdown,
    ),
    MetricSpec(
        "generator_lag_mean_ms",
        "ms",
        None,
        "mean generator lag",
        "arrived → read by the generator, mean; part of no latency with `stamp` = `kernel`",
        of_run=lambda rows: float((rows.lag_ns / 1e6).mean()) if rows.lag_ns.size else None,
    ),
    MetricSpec(
        "generator_lag_p99_ms",
        "ms",
        None,
        "p99 generator lag",
        "the same, 99th percentile",
        of_run=lambda rows: _percentile_ms(rows.lag_ns, 0.99),
    ),
    MetricSpec(
        "generator_cpu_ratio",
        "",
        None,
        "generator CPU",
        "share of a core that the busiest generator process used",
        is_log=False,
        of_run=lambda rows: rows.run.generator.cpu_ratio,
    ),
    MetricSpec(
        "steal_ratio",
        "",
        None,
        "stolen CPU",
        "share of the machine's CPU that the hypervisor took",
        is_log=False,
        of_run=lambda rows: rows.run.host.steal_ratio,
    ),
)
METRICS = {spec.name: spec for spec in _SPECS}
"""By name, in the order of tables."""
CANARY = "victim_p99_ms"
"""Gets verdicts where both cases have a canary; in blocks alone, for pairs are measured without it."""
COMPARED = tuple(spec.name for spec in _SPECS if spec.phrase and spec.name != CANARY)
"""Metrics that get verdicts."""
