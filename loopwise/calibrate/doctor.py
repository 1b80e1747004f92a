"""Checks whether this machine is fit to measure: one line per check, with the remedy."""

import shutil
import socket
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import psutil
from rich.console import RenderableType
from rich.text import Text

from loopwise import machine
from loopwise.analysis.checks.machine import MAX_STEAL_RATIO
from loopwise.paths import results_dir
from loopwise.report.terminal.screen import plain
from loopwise.report.terminal.tables import WordTable

STEAL_WATCH_S, LOAD_WATCH_S = 1.0, 0.5
GLANCE_S = 0.2
"""Before every measuring command: nobody should wait for it."""
MIN_OPEN_FILES = 4096
MIN_FREE_GB = 1.0
MAX_LOAD_PER_CORE = 0.5
MAX_SWAP_RATIO = 0.1


class Symptom(NamedTuple):
    """Result of one check."""

    name: str
    state: Literal["ok", "warn", "fail"]
    """warn: numbers will be less exact; fail: nothing can be measured."""
    found: str
    remedy: str
    """Empty when the check is ok."""


@dataclass(frozen=True)
class Checkup:
    """One check of the machine."""

    name: str
    examine: Callable[[], tuple[bool, str]]
    """Whether all is well, and the figure that decides it."""
    remedy: str
    otherwise: Literal["warn", "fail"] = "warn"
    """State of a check that is not ok."""

    def __call__(self) -> Symptom:
        """Examine the machine."""
        is_ok, found = self.examine()
        return Symptom(self.name, "ok" if is_ok else self.otherwise, found, "" if is_ok else self.remedy)


def _python() -> tuple[bool, str]:
    return sys.version_info >= (3, 11), ".".join(map(str, sys.version_info[:3]))


def _cores() -> tuple[bool, str]:
    count = machine.cores()
    return count >= 2, f"{count} for this process"


def _steal() -> tuple[bool, str]:
    ratio = machine.steal_ratio(STEAL_WATCH_S)
    return ratio <= MAX_STEAL_RATIO, f"{100 * ratio:.1f} % of the CPU in the last {STEAL_WATCH_S:g} s"


def _load() -> tuple[bool, str]:
    busy = psutil.cpu_percent(interval=LOAD_WATCH_S) / 100
    return busy <= MAX_LOAD_PER_CORE, f"CPU {100 * busy:.0f} % busy before we begin"


def _governor() -> tuple[bool, str]:
    name = machine.cpu_governor()
    return name in {None, "performance"}, name or "not offered by this machine"


def _swap() -> tuple[bool, str]:
    used = psutil.swap_memory().percent / 100
    return used < MAX_SWAP_RATIO, f"{100 * used:.0f} % in use"


def _open_files() -> tuple[bool, str]:
    limit = machine.raise_open_files_limit()
    return limit >= MIN_OPEN_FILES, f"limit {limit:,}"


def _stamps() -> tuple[bool, str]:
    """Whether a byte over loopback arrives with a kernel time stamp (SO_TIMESTAMPING)."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as client:
        try:
            client.setsockopt(socket.SOL_SOCKET, 37, 8 | 16)  # as the generator's reactor does
            time.sleep(0.05)  # the kernel switches stamps on a moment after the first socket asks
            client.connect(listener.getsockname())
            with listener.accept()[0] as server:
                server.send(b"x")
                has_stamps = bool(client.recvmsg(1, 128)[1])
        except OSError:
            has_stamps = False
    return has_stamps, "arrival times come from the kernel" if has_stamps else "not offered by this system"


def _loopback() -> tuple[bool, str]:
    try:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            return True, f"port {listener.getsockname()[1]} could be bound"
    except OSError as error:
        return False, str(error)


def _disk() -> tuple[bool, str]:
    folder = results_dir()
    while not folder.exists():
        folder = folder.parent
    free_gb = shutil.disk_usage(folder).free / 2**30
    return free_gb >= MIN_FREE_GB, f"{free_gb:.1f} GB free for results in {folder}"


CHECKUPS = (
    Checkup("python", _python, "install Python 3.11 or newer", otherwise="fail"),
    Checkup("cores", _cores, "use a machine with two cores or more: generator and server share this one's core"),
    Checkup("steal", _steal, "measure when the host is quieter, or compare by ratios only"),
    Checkup("idle", _load, "end what else runs (see `top`)"),
    Checkup("governor", _governor, "run `sudo cpupower frequency-set -g performance`"),
    Checkup("swap", _swap, "free memory, or turn swap off (`sudo swapoff -a`)"),
    Checkup("open files", _open_files, "raise it: `ulimit -n 65536` before the command"),
    Checkup(
        "kernel stamps",
        _stamps,
        "measure on Linux; here latencies include the generator's own delay (stamp = user)",
    ),
    Checkup("loopback", _loopback, "allow this user to listen on 127.0.0.1", otherwise="fail"),
    Checkup("disk", _disk, "free disk space there"),
)
"""In the order of the table."""


def diagnose() -> list[Symptom]:
    """Apply every check; takes about two seconds, most of it watching the CPU."""
    return [checkup() for checkup in CHECKUPS]


def busy_now() -> str:
    """Say that the machine is busy with other things; empty if it is not. Watches the CPU only if it was of late."""
    cores = psutil.cpu_count() or 1
    if psutil.getloadavg()[0] < MAX_LOAD_PER_CORE * cores:
        return ""
    before = machine.cpu_clock()
    time.sleep(GLANCE_S)
    after = machine.cpu_clock()
    total_s = max(after.total_s - before.total_s, 1e-9)
    busy, stolen = (after.busy_s - before.busy_s) / total_s, (after.steal_s - before.steal_s) / total_s
    return busy_sentence(busy, stolen)


def busy_sentence(busy: float, stolen: float) -> str:
    """A sentence on shares of the machine's CPU before anything is measured; empty where they are small."""
    if busy > MAX_LOAD_PER_CORE:
        return (
            f"this machine is busy: {100 * busy:.0f} % of its CPU is used before the first run; "
            "end what else runs (see `top`), or expect disturbed runs"
        )
    if stolen > MAX_STEAL_RATIO:
        return (
            f"this machine's host is busy: it took {100 * stolen:.0f} % of the CPU before the first run; "
            "measure when it is quieter, or compare by ratios only"
        )
    return ""


def is_fit(symptoms: Sequence[Symptom]) -> bool:
    """Whether anything can be measured at all."""
    return all(symptom.state != "fail" for symptom in symptoms)


def diagnosis_table(symptoms: Sequence[Symptom]) -> RenderableType:
    """Make a table with a line per check."""
    styles = {"ok": "green", "warn": "yellow", "fail": "bold red"}
    rows = [
        (Text(each.state, style=styles[each.state]), each.name, plain(each.found), plain(each.remedy))
        for each in symptoms
    ]
    return WordTable(("", "check", "found", "remedy"), rows)
