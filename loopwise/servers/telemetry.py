"""Sample the server's processes and the machine from outside during a run."""

import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from loopwise.machine import cpu_clock
from loopwise.results.columns import HOST_PID, ProbeLine, Sample
from loopwise.servers import probe_logs

INTERVAL_S = 0.1
FAMILY_INTERVAL_S = 1.0
"""How often new child processes are looked for, which walks the whole process table."""


@dataclass
class Telemetry:
    """Thread that takes samples until it is stopped.

    Args:
        server_pid: root of the server's process tree; None: sample the machine only.
        probes: folder that the probes write to; None: there are none.
    """

    server_pid: int | None
    probes: Path | None = None
    samples: list[Sample] = field(default_factory=list)
    logs: dict[int, list[ProbeLine]] = field(default_factory=dict)
    """By worker, what its probe wrote; empty until it is stopped."""

    def __post_init__(self) -> None:
        self._family: dict[int, psutil.Process] = {}
        self._family_due_s = 0.0
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._watch, name="telemetry", daemon=True)

    def start(self) -> None:
        """Start sampling."""
        self.sample()
        self._thread.start()

    def stop(self) -> None:
        """Stop sampling, and join the probes' logs; harmless if it was never started."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()
        if self.probes is not None:
            self.logs = probe_logs.read(self.probes)
            self.samples[:] = probe_logs.join(self.samples, self.logs)

    def sample(self, *, is_thorough: bool = False) -> int:
        """Take a sample of everything now; returns its time, nanoseconds since the epoch.

        Args:
            is_thorough: look for new child processes first, so that none is missed at an end of the window; and ask for
                their shared memory, which the kernel counts page by page.
        """
        with self._lock:
            if is_thorough:
                self._family_due_s = 0.0
                self._processes()
            clock = cpu_clock()
            now_ns = time.time_ns()
            host = Sample(now_ns, HOST_PID, "host", clock.busy_s, steal_s=clock.steal_s, total_s=clock.total_s)
            self.samples.append(host)
            for process in self._processes():
                with suppress(psutil.NoSuchProcess):
                    self.samples.append(_sample_process(process, now_ns))
            if is_thorough:  # after all of them: it takes milliseconds, and the times must be alike
                self._add_shared_memory(now_ns)
            return now_ns

    def _add_shared_memory(self, now_ns: int) -> None:
        for sample in reversed(self.samples):
            if sample.time_ns != now_ns:
                return
            if sample.role == "server":
                sample.pss_mb = pss_mb(sample.pid)

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
        psutil.NoSuchProcess: it has ended; a zombie has, too.
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


def pss_mb(pid: int) -> float | None:
    """Memory of a process, each page divided by the number of processes that share it; None where Linux tells not."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("Pss:")), None)


def _cpu_s(pid: int) -> float | None:
    """CPU time of a process to the nanosecond, if the system has a clock per process (clock_getcpuclockid)."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        return time.clock_gettime(~pid << 3 | 2)
    except OSError:
        return None
