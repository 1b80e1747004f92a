"""Figures of the window from telemetry: the machine, the server's processes, and each worker."""

from collections.abc import Iterable, Sequence
from itertools import pairwise

from loopwise.model import Worker
from loopwise.results.columns import Sample
from loopwise.results.lags import lag_ms, merge_counts

PARTS = 5
"""Memory grows steadily if each fifth of the window holds more than the one before."""


def worker_figures(samples: Sequence[Sample], start_ns: int, end_ns: int, pids: Sequence[int]) -> tuple[Worker, ...]:
    """A worker per process that answered when the server became ready, and per one that came later.

    Args:
        samples: of the whole run.
        start_ns: the window's first sample.
        end_ns: its last. Whoever lives has a row there; a worker without one has ended.
        pids: of the workers that were ready.
    """
    of_server = [sample for sample in samples if sample.role == "server" and sample.time_ns <= end_ns]
    by_pid: dict[int, list[Sample]] = {pid: [] for pid in pids}
    late = {sample.pid for sample in of_server if _done(sample) is not None} - set(pids)
    for sample in of_server:
        if sample.pid in by_pid or sample.pid in late:
            by_pid.setdefault(sample.pid, []).append(sample)
    if not any(by_pid[pid] for pid in pids):
        return ()
    requests = {pid: _requests(rows, start_ns) for pid, rows in by_pid.items()}
    total = sum(count or 0 for count in requests.values())
    workers = []
    for pid, rows in by_pid.items():
        count = requests[pid]
        inside = [row for row in rows if row.time_ns >= start_ns]
        is_gone = not rows or rows[-1].time_ns < end_ns
        workers.append(
            Worker(
                pid=pid,
                requests=count,
                share=count / total if total and count is not None else None,
                cpu_s=inside[-1].cpu_s - inside[0].cpu_s if inside else 0.0,
                fate="ended" if is_gone else "" if pid in pids else "appeared",
            )
        )
    return tuple(workers)


def _done(sample: Sample) -> int | None:
    done = sample.probe.get("requests_done")
    return None if done is None else int(done)


def _requests(rows: Sequence[Sample], start_ns: int) -> int | None:
    """Requests finished between the samples that are nearest to the window's ends."""
    known = [(row.time_ns, done) for row in rows if (done := _done(row)) is not None]
    if not known:
        return None
    before = [done for time_ns, done in known if time_ns <= start_ns]
    return known[-1][1] - (before[-1] if before else known[0][1])


def loop_figures(samples: Sequence[Sample]) -> dict[str, float]:
    """Figures of all event loops together, those of a loop missing where there is none; empty without a probe.

    Args:
        samples: of the window without the one at its beginning, which is about the time before.

    Returns:
        loop_lag_p99_ms, loop_stall_max_ms, gc_pause_max_ms; and loop_blocked_ratio, of the loop that was blocked most.
    """
    inside = [sample for sample in samples if sample.lags is not None]
    pauses_ms = [sample.probe.get("gc_pause_max_ms") or 0.0 for sample in samples if sample.probe or sample.lags]
    figures = {
        "loop_lag_p99_ms": lag_ms(merge_counts(s.lags or {} for s in inside), 0.99),
        "loop_stall_max_ms": max((s.probe.get("loop_stall_max_ms") or 0.0 for s in inside), default=None),
        "loop_blocked_ratio": max((_blocked_ratio(rows) for rows in _by_pid(inside)), default=None),
        "gc_pause_max_ms": max(pauses_ms, default=None),
    }
    return {name: value for name, value in figures.items() if value is not None}


def _by_pid(samples: Iterable[Sample]) -> list[list[Sample]]:
    groups: dict[int, list[Sample]] = {}
    for sample in samples:
        groups.setdefault(sample.pid, []).append(sample)
    return list(groups.values())


def _blocked_ratio(rows: Sequence[Sample]) -> float:
    first, last = rows[0], rows[-1]
    if last.time_ns == first.time_ns:
        return 0.0
    blocked_s = (last.probe.get("loop_blocked_s") or 0.0) - (first.probe.get("loop_blocked_s") or 0.0)
    return min(1.0, max(0.0, blocked_s / ((last.time_ns - first.time_ns) / 1e9)))


def steady_growth(values: Sequence[float]) -> float:
    """By how much values rise from the mean of the first fifth to that of the last; 0 unless every fifth rises.

    >>> steady_growth([1, 2, 3, 4, 5]), steady_growth([1, 9, 3, 4, 5])
    (4.0, 0.0)
    """
    if len(values) < PARTS:
        return 0.0
    bounds = [round(part * len(values) / PARTS) for part in range(PARTS + 1)]
    means = [sum(values[low:high]) / (high - low) for low, high in pairwise(bounds)]
    is_steady = all(later > earlier for earlier, later in pairwise(means))
    return means[-1] - means[0] if is_steady else 0.0


def window_figures(samples: list[Sample], start_ns: int, end_ns: int) -> dict[str, float]:
    """The window's figures, for `host` in run.json.

    Returns:
        steal_ratio and cpu_ratio of the machine (0–1), and harness_pause_s; with a server, server_cpu_s (user and
        system, all its processes), server_rss_mb (their greatest sum), server_rss_growth_mb (0 unless it grew
        steadily), server_threads and server_context_switches; server_pss_mb where all have it; and, with probes, those
        of `loop_figures`.
    """
    inside = [s for s in samples if start_ns <= s.time_ns <= end_ns]
    hosts = [s for s in inside if s.role == "host"]
    figures: dict[str, float] = {}
    if len(hosts) >= 2:
        first, last = hosts[0], hosts[-1]
        total_s = max((last.total_s or 0.0) - (first.total_s or 0.0), 1e-9)
        figures["steal_ratio"] = ((last.steal_s or 0.0) - (first.steal_s or 0.0)) / total_s
        figures["cpu_ratio"] = (last.cpu_s - first.cpu_s) / total_s
        figures["harness_pause_s"] = max(two.time_ns - one.time_ns for one, two in pairwise(hosts)) / 1e9
    by_pid: dict[int, list[Sample]] = {}
    by_time: dict[int, float] = {}
    for sample in inside:
        if sample.role == "server":
            by_pid.setdefault(sample.pid, []).append(sample)
            by_time[sample.time_ns] = by_time.get(sample.time_ns, 0.0) + (sample.rss_mb or 0.0)
    if by_pid:
        figures["server_cpu_s"] = sum(rows[-1].cpu_s - rows[0].cpu_s for rows in by_pid.values())
        figures["server_rss_mb"] = max(by_time.values())
        shared = [rows[-1].pss_mb for rows in by_pid.values() if rows[-1].time_ns == max(by_time)]
        if all(pss_mb is not None for pss_mb in shared):
            figures["server_pss_mb"] = sum(pss_mb or 0.0 for pss_mb in shared)
        figures["server_rss_growth_mb"] = steady_growth(list(by_time.values()))
        figures["server_threads"] = float(sum(rows[-1].threads or 0 for rows in by_pid.values()))
        figures["server_context_switches"] = float(
            sum((rows[-1].context_switches or 0) - (rows[0].context_switches or 0) for rows in by_pid.values())
        )
    return figures | loop_figures([sample for sample in inside if sample.time_ns > start_ns])
