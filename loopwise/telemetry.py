"""Figures of the server's processes and of the machine, sampled from outside while a run goes on."""

import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import psutil

from loopwise import probes
from loopwise.machine import cpu_clock
from loopwise.workers import loop_figures, steady_growth

INTERVAL_S = 0.1
FAMILY_INTERVAL_S = 1.0
"""How often the server is asked for new child processes; looking for them walks the whole process table."""
HOST_PID = 0


@dataclass
class Sample:
    """One row of telemetry.parquet. Times are seconds of CPU since the process (or the machine) began."""

    time_ns: int
    pid: int
    """0: the whole machine."""
    role: str
    """`host` or `server`."""
    cpu_s: float
    rss_mb: float | None = None
    threads: int | None = None
    context_switches: int | None = None
    steal_s: float | None = None
    total_s: float | None = None
    """host: CPU seconds of all cores, idle ones included."""
    loop_lag_p50_ms: float | None = None
    """This and all that follows: from the probe in a worker; None for other processes, or where it is off."""
    loop_lag_p99_ms: float | None = None
    loop_lag_max_ms: float | None = None
    loop_stall_max_ms: float | None = None
    loop_blocked_s: float | None = None
    loop_cpu_s: float | None = None
    loop_wait_s: float | None = None
    limiter_max: int | None = None
    limiter_busy: int | None = None
    limiter_queued: int | None = None
    executor_max: int | None = None
    executor_busy: int | None = None
    executor_queued: int | None = None
    process_pool_max: int | None = None
    process_pool_busy: int | None = None
    process_pool_queued: int | None = None
    dependency_pool_max: int | None = None
    dependency_pool_busy: int | None = None
    dependency_pool_queued: int | None = None
    in_flight: int | None = None
    requests_done: int | None = None
    gc_pause_s: float | None = None
    gc_pause_max_ms: float | None = None
    probe_late_ms: float | None = None
    lags: dict[int, int] | None = None
    """Counts of lag by bucket; on disk as the three loop_lag columns."""


@dataclass
class Telemetry:
    """A thread that samples until it is stopped; `samples` grows.

    Args:
        server_pid: root of the server's process tree, or None to watch the machine only.
        probes: folder that the probes write to, or None if there are none.
    """

    server_pid: int | None
    probes: Path | None = None
    samples: list[Sample] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._family: dict[int, psutil.Process] = {}
        self._family_due_s = 0.0
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._watch, name="telemetry", daemon=True)

    def start(self) -> None:
        """Begin to sample."""
        self.sample()
        self._thread.start()

    def stop(self) -> None:
        """End the thread, and join what the probes wrote; harmless when it never began."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()
        if self.probes is not None:
            self.samples[:] = join(self.samples, probes.read(self.probes))

    def sample(self, *, is_thorough: bool = False) -> int:
        """Take one sample of everything now; returns its time, nanoseconds since the epoch.

        Args:
            is_thorough: look for new child processes before, so that the window's first sample misses none.
        """
        with self._lock:
            if is_thorough:
                self._family_due_s = 0.0
                self._processes()
            clock = cpu_clock()
            now_ns = time.time_ns()
            host = Sample(
                now_ns, HOST_PID, "host", clock.busy_s, steal_s=clock.steal_s, total_s=clock.total_s
            )
            self.samples.append(host)
            for process in self._processes():
                with suppress(psutil.NoSuchProcess):
                    self.samples.append(_sample_process(process, now_ns))
            return now_ns

    def _watch(self) -> None:
        while not self._ended.wait(INTERVAL_S):
            self.sample()

    def _processes(self) -> list[psutil.Process]:
        if self.server_pid is not None and time.monotonic() >= self._family_due_s:
            self._family_due_s = time.monotonic() + FAMILY_INTERVAL_S
            with suppress(psutil.NoSuchProcess):
                root = psutil.Process(self.server_pid)
                for process in [root, *root.children(recursive=True)]:
                    self._family.setdefault(process.pid, process)
        return list(self._family.values())


def _sample_process(process: psutil.Process, now_ns: int) -> Sample:
    """One row of a living process.

    Raises:
        psutil.NoSuchProcess: it has ended; also while it is still in the process table for its parent to ask after.
    """
    with process.oneshot():
        if process.status() == psutil.STATUS_ZOMBIE:
            raise psutil.ZombieProcess(process.pid)
        cpu = process.cpu_times()
        switches = process.num_ctx_switches()
        return Sample(
            now_ns,
            process.pid,
            "server",
            _cpu_s(process.pid) or cpu.user + cpu.system,
            rss_mb=process.memory_info().rss / 2**20,
            threads=process.num_threads(),
            context_switches=switches.voluntary + switches.involuntary,
        )


def _cpu_s(pid: int) -> float | None:
    """CPU time of a process to the nanosecond, where the system has a clock per process (clock_getcpuclockid)."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        return time.clock_gettime(~pid << 3 | 2)
    except OSError:
        return None


def join(samples: list[Sample], looks: dict[int, list[probes.Look]]) -> list[Sample]:
    """The samples, those of a worker with what its probe saw since the sample before."""
    times_ns: dict[int, list[int]] = {}
    for sample in samples:
        times_ns.setdefault(sample.pid, []).append(sample.time_ns)
    inside = {pid: probes.gather(found, times_ns.get(pid, [])) for pid, found in looks.items()}
    return [replace(sample, **inside.get(sample.pid, {}).get(sample.time_ns, {})) for sample in samples]


def window_figures(samples: list[Sample], start_ns: int, end_ns: int) -> dict[str, float]:
    """The window's figures, for `host` in run.json.

    Returns:
        steal_ratio and cpu_ratio of the machine (0–1); with a server, server_cpu_s (user and system, all its
        processes), server_rss_mb (their greatest sum), server_rss_growth_mb (0 unless it grew steadily), server_threads
        and server_context_switches; and, with probes, those of `workers.loop_figures`.
    """
    inside = [s for s in samples if start_ns <= s.time_ns <= end_ns]
    hosts = [s for s in inside if s.role == "host"]
    figures: dict[str, float] = {}
    if len(hosts) >= 2:
        first, last = hosts[0], hosts[-1]
        total_s = max((last.total_s or 0.0) - (first.total_s or 0.0), 1e-9)
        figures["steal_ratio"] = ((last.steal_s or 0.0) - (first.steal_s or 0.0)) / total_s
        figures["cpu_ratio"] = (last.cpu_s - first.cpu_s) / total_s
    by_pid: dict[int, list[Sample]] = {}
    by_time: dict[int, float] = {}
    for sample in inside:
        if sample.role == "server":
            by_pid.setdefault(sample.pid, []).append(sample)
            by_time[sample.time_ns] = by_time.get(sample.time_ns, 0.0) + (sample.rss_mb or 0.0)
    if by_pid:
        figures["server_cpu_s"] = sum(rows[-1].cpu_s - rows[0].cpu_s for rows in by_pid.values())
        figures["server_rss_mb"] = max(by_time.values())
        figures["server_rss_growth_mb"] = steady_growth(list(by_time.values()))
        figures["server_threads"] = float(sum(rows[-1].threads or 0 for rows in by_pid.values()))
        figures["server_context_switches"] = float(
            sum(
                (rows[-1].context_switches or 0) - (rows[0].context_switches or 0) for rows in by_pid.values()
            )
        )
    return figures | loop_figures([sample for sample in inside if sample.time_ns > start_ns])
