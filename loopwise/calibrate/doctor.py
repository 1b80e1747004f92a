"""Is this machine fit to measure? One line per check, with the remedy."""

import shutil
import socket
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import psutil
from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from loopwise import machine
from loopwise.analysis.checks import MAX_STEAL_RATIO
from loopwise.paths import results_dir

STEAL_WATCH_S = 1.0
MIN_OPEN_FILES = 4096
MIN_FREE_GB = 1.0
MAX_LOAD_PER_CORE = 0.5


class Symptom(NamedTuple):
    """What one check found."""

    name: str
    state: Literal["ok", "warn", "fail"]
    """warn: numbers will be less exact; fail: nothing can be measured."""
    found: str
    remedy: str
    """Empty when the check is ok."""


def _symptom(
    name: str, is_ok: bool, found: str, remedy: str, *, otherwise: Literal["warn", "fail"] = "warn"
) -> Symptom:
    return Symptom(name, "ok", found, "") if is_ok else Symptom(name, otherwise, found, remedy)


def python() -> Symptom:
    """The interpreter."""
    version = ".".join(map(str, sys.version_info[:3]))
    return _symptom(
        "python", sys.version_info >= (3, 11), version, "install Python 3.11 or newer", otherwise="fail"
    )


def cores() -> Symptom:
    """Room for server and generator."""
    count = machine.cores()
    return _symptom(
        "cores",
        count >= 2,
        f"{count} for this process",
        "use a machine with two cores or more: generator and server share one here",
    )


def steal() -> Symptom:
    """What the hypervisor takes."""
    ratio = machine.steal_ratio(STEAL_WATCH_S)
    return _symptom(
        "steal",
        ratio <= MAX_STEAL_RATIO,
        f"{100 * ratio:.1f} % of the CPU in the last {STEAL_WATCH_S:g} s",
        "measure when the host is quieter, or compare by ratios only",
    )


def load() -> Symptom:
    """What other processes take."""
    busy = psutil.cpu_percent(interval=0.5) / 100
    return _symptom(
        "idle",
        busy <= MAX_LOAD_PER_CORE,
        f"CPU {100 * busy:.0f} % busy before we begin",
        "end what else runs (see `top`)",
    )


def governor() -> Symptom:
    """Steady clock frequency."""
    name = machine.cpu_governor()
    return _symptom(
        "governor",
        name in {None, "performance"},
        name or "not offered by this machine",
        "run `sudo cpupower frequency-set -g performance`",
    )


def swap() -> Symptom:
    """Memory that is memory."""
    used = psutil.swap_memory().percent / 100
    return _symptom(
        "swap", used < 0.1, f"{100 * used:.0f} % in use", "free memory, or turn swap off (`sudo swapoff -a`)"
    )


def open_files() -> Symptom:
    """Sockets for many users."""
    limit = machine.raise_open_files_limit()
    return _symptom(
        "open files",
        limit >= MIN_OPEN_FILES,
        f"limit {limit:,}",
        "raise it: `ulimit -n 65536` before the command",
    )


def stamps() -> Symptom:
    """Arrival times from the kernel."""
    has = kernel_stamps()
    return _symptom(
        "kernel stamps",
        has,
        "arrival times come from the kernel" if has else "not offered by this system",
        "measure on Linux; here latencies include the generator's own delay (stamp = user)",
    )


def kernel_stamps() -> bool:
    """Whether a byte over loopback arrives with a kernel stamp (SO_TIMESTAMPING)."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as client:
        try:
            client.setsockopt(socket.SOL_SOCKET, 37, 8 | 16)  # as in generator/http.py
            time.sleep(0.05)  # the kernel switches stamps on a moment after the first socket asks
            client.connect(listener.getsockname())
            with listener.accept()[0] as server:
                server.send(b"x")
                return bool(client.recvmsg(1, 128)[1])
        except OSError:
            return False


def loopback() -> Symptom:
    """A port to serve on."""
    try:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            return Symptom("loopback", "ok", f"port {listener.getsockname()[1]} could be bound", "")
    except OSError as error:
        return Symptom("loopback", "fail", str(error), "allow this user to listen on 127.0.0.1")


def disk() -> Symptom:
    """Room for results."""
    folder = results_dir()
    while not folder.exists():
        folder = folder.parent
    free_gb = shutil.disk_usage(folder).free / 2**30
    return _symptom(
        "disk", free_gb >= MIN_FREE_GB, f"{free_gb:.1f} GB free for results", f"free space on {Path(folder)}"
    )


CHECKUPS: tuple[Callable[[], Symptom], ...] = (
    python,
    cores,
    steal,
    load,
    governor,
    swap,
    open_files,
    stamps,
    loopback,
    disk,
)


def diagnose() -> list[Symptom]:
    """Apply every check; takes about two seconds, mostly watching the CPU."""
    return [checkup() for checkup in CHECKUPS]


def is_fit(symptoms: Sequence[Symptom]) -> bool:
    """Whether anything can be measured at all."""
    return all(symptom.state != "fail" for symptom in symptoms)


def diagnosis_table(symptoms: Sequence[Symptom]) -> RenderableType:
    """One line per check."""
    styles = {"ok": "green", "warn": "yellow", "fail": "bold red"}
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("", "check", "found", "remedy"):
        table.add_column(column, overflow="fold")
    for symptom in symptoms:
        state = Text(symptom.state, style=styles[symptom.state])
        table.add_row(state, symptom.name, Text(symptom.found), Text(symptom.remedy))
    return table
