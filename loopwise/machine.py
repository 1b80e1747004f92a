"""The machine: its description, its CPU clocks, and what changed between two moments."""

import math
import os
import platform
import resource
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import psutil

REPORTED_PACKAGES = (
    "loopwise",
    "fastapi",
    "starlette",
    "pydantic",
    "anyio",
    "uvloop",
    "locust",
    "gevent",
    "httptools",
    "h11",
    "httpx",
    "psycopg",
    "asyncpg",
    "aiosqlite",
)
"""In the harness's environment, beside the servers'. A run's server reports its own (target_app/probe.py)."""

CPUS, VMSTAT = Path("/sys/devices/system/cpu"), Path("/proc/vmstat")


class CpuClock(NamedTuple):
    """The machine's CPU seconds since boot, over all cores."""

    total_s: float
    busy_s: float
    """Neither idle nor waiting for a disk, and not stolen."""
    steal_s: float
    """Given by the hypervisor to other guests while this one had work."""


def cpu_clock() -> CpuClock:
    """Read the CPU seconds since boot (Linux: /proc/stat). Guest time is part of user time and counted once."""
    times = psutil.cpu_times()
    steal_s = getattr(times, "steal", 0.0)
    idle_s = times.idle + getattr(times, "iowait", 0.0)
    names = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
    total_s = sum(getattr(times, name, 0.0) for name in names)
    return CpuClock(total_s, total_s - idle_s - steal_s, steal_s)


class Condition(NamedTuple):
    """The machine at one moment: figures that should not change from a window's start to its end."""

    cores: int
    """Cores that this process may use."""
    processes_s: float
    """CPU seconds of all processes since boot, system calls included, interrupts not."""
    harness_s: float
    """CPU seconds of this process."""
    frequency_mhz: float | None
    """Clock of the fastest core; None where the kernel does not report it."""
    swapped_mb: float | None
    """Memory moved to and from swap since boot; None where the kernel does not report it."""


def condition() -> Condition:
    """Read the machine's condition; takes well under a millisecond."""
    times = psutil.cpu_times()
    return Condition(
        cores=cores(),
        processes_s=times.user + getattr(times, "nice", 0.0) + times.system,
        harness_s=time.process_time(),
        frequency_mhz=frequency_mhz(),
        swapped_mb=swapped_mb(),
    )


def changes(before: Condition, after: Condition) -> dict[str, float]:
    """Compare the machine at two moments, for `host` in run.json.

    Returns:
        processes_cpu_s and harness_cpu_s, cores_before and cores_after; and, where the kernel reports them,
        frequency_ratio (after ÷ before) and swapped_mb.
    """
    figures = {
        "processes_cpu_s": after.processes_s - before.processes_s,
        "harness_cpu_s": after.harness_s - before.harness_s,
        "cores_before": float(before.cores),
        "cores_after": float(after.cores),
    }
    if before.frequency_mhz and after.frequency_mhz:
        figures["frequency_ratio"] = after.frequency_mhz / before.frequency_mhz
    if before.swapped_mb is not None and after.swapped_mb is not None:
        figures["swapped_mb"] = after.swapped_mb - before.swapped_mb
    return figures


def frequency_mhz(folder: Path = CPUS) -> float | None:
    """Read the clock of the fastest core: under load that is a core at work, whatever idle cores do."""
    clocks = []
    for path in folder.glob("cpu[0-9]*/cpufreq/scaling_cur_freq"):
        with suppress(OSError, ValueError):
            clocks.append(int(path.read_text(encoding="ascii")) / 1e3)
    return max(clocks, default=None)


def swapped_mb(path: Path = VMSTAT) -> float | None:
    """Read the memory moved to and from swap since boot, by any process."""
    try:
        lines = path.read_text(encoding="ascii").splitlines()
        pages = [int(line.split()[1]) for line in lines if line.startswith(("pswpin ", "pswpout "))]
    except (OSError, ValueError, IndexError):
        return None
    return sum(pages) * resource.getpagesize() / 2**20 if pages else None


def cores() -> int:
    """Count the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def core_numbers() -> list[int]:
    """List the cores that this process may use, ascending; empty where the system can't pin."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def cpu_model() -> str:
    """Return the processor's name as the kernel reports it, or the architecture."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return " ".join(line.partition(":")[2].split())
    except OSError:
        pass
    return platform.processor() or platform.machine()


def cpu_governor() -> str | None:
    """Frequency governor of the first core; None where the machine offers none."""
    path = CPUS / "cpu0" / "cpufreq" / "scaling_governor"
    return path.read_text(encoding="ascii").strip() if path.exists() else None


def describe(servers: Sequence[str]) -> dict[str, Any]:
    """Describe the machine and the versions, for experiment.json: what must be equal in results that are compared.

    Args:
        servers: packages of the servers (`loopwise.servers.specs.PACKAGES`).
    """
    return {
        "cpu_model": cpu_model(),
        "cores": cores(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "cpu_governor": cpu_governor(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "versions": versions(servers),
    }


def machine_words(environment: Mapping[str, Any]) -> str:
    """Name a machine that `describe` described: `Example CPU, 2 cores`."""
    number = environment.get("cores")
    named = f"{number} core{'' if number == 1 else 's'}" if isinstance(number, int) else ""
    return ", ".join(part for part in (str(environment.get("cpu_model") or ""), named) if part)


def versions(servers: Sequence[str]) -> dict[str, str]:
    """Versions of the packages whose change may change a number."""
    installed = {}
    for package in (*REPORTED_PACKAGES, *servers):
        try:
            installed[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return installed


def most_open_files() -> float:
    """The most files that a process may have open once the soft limit is raised; infinity: no limit."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return math.inf if hard == resource.RLIM_INFINITY else hard


def raise_open_files_limit() -> int:
    """Raise the soft limit of open files to the hard one, for this process and its children; return the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def steal_ratio(duration_s: float) -> float:
    """Measure for a while the share of CPU time that the hypervisor took, 0–1."""
    before = cpu_clock()
    time.sleep(duration_s)
    after = cpu_clock()
    return (after.steal_s - before.steal_s) / max(after.total_s - before.total_s, 1e-9)
