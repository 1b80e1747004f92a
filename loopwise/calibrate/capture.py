"""What really went over the wire: tcpdump beside a run."""

import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TypeVar

import psutil

from loopwise.calibrate.document import Missing
from loopwise.calibrate.pcap import Exchange, exchanges, read_segments
from loopwise.calibrate.static_server import find_program
from loopwise.errors import RunError
from loopwise.servers import processes

INTERFACE = "lo0" if sys.platform == "darwin" else "lo"
BUFFER_KIB = 131_072
"""Room in the kernel for what tcpdump is too late to fetch: the run takes the cores. At a packet of about 200 bytes,
four seconds of the highest rates seen here."""
SNAP_BYTES = 96
"""Ethernet, IP and TCP headers with options are 66; the payload is not needed."""
START_TIMEOUT_S = 10.0
QUIET_S = 1.2
"""The kernel hands packets over in blocks after a second at most; tcpdump that did nothing for longer has them all."""
QUIET_CPU_S = 0.02
DRAIN_TIMEOUT_S = 15.0
EFFECT = "reported latencies are not set against the packets"
REMEDY = (
    "install it (`sudo apt install tcpdump`) and run as root, "
    "or allow it: `sudo setcap cap_net_raw,cap_net_admin+ep $(which tcpdump)`"
)

T = TypeVar("T")


class Capture(NamedTuple):
    """What was on the wire."""

    exchanges: list[Exchange]
    dropped: int
    """Packets that the kernel could not hand over."""


def capture(port: int, folder: Path, run: Callable[[], T]) -> tuple[T, Capture]:
    """Capture the traffic of a port of loopback while something runs; returns what it returned, and the packets.

    Raises:
        RunError: there is no tcpdump, it is not permitted, or it failed.
    """
    path, log = folder / "packets.pcap", folder / "tcpdump.log"
    with _tcpdump(port, path, log) as process:
        result = run()
        _wait_quiet(process)
    found = exchanges(read_segments(path.read_bytes()), port)
    path.unlink()
    return result, Capture(found, dropped_packets(log.read_text(encoding="utf-8", errors="replace")))


def obstacle(folder: Path) -> Missing | None:
    """Why nothing can be captured here, or None."""
    path = folder / "trial.pcap"
    try:
        with _tcpdump(1, path, folder / "tcpdump.log"):
            return None
    except RunError as error:
        return Missing(tool="tcpdump", effect=f"{EFFECT} ({' '.join(str(error).split())})", remedy=REMEDY)
    finally:
        path.unlink(missing_ok=True)


def tcpdump_argv(program: str, port: int) -> list[str]:
    """Segments with data only, headers only, stamps in nanoseconds, to stdout."""
    has_data = "(ip[2:2] - ((ip[0] & 0xf) << 2) - ((tcp[12] & 0xf0) >> 2)) != 0"
    argv = [program, "-i", INTERFACE, "-n", "-B", str(BUFFER_KIB), "-s", str(SNAP_BYTES)]
    return [*argv, "--time-stamp-precision=nano", "-w", "-", f"tcp port {port} and {has_data}"]


def dropped_packets(log: str) -> int:
    """Tcpdump's last word: `12 packets dropped by kernel`.

    Raises:
        RunError: it did not say; then nothing is known of the packets.
    """
    told = re.findall(r"(\d+) packets? dropped by kernel", log)
    if not told:
        raise RunError("tcpdump ended without its statistics, so packets may be lost; calibrate again")
    return int(told[-1])


@contextmanager
def _tcpdump(port: int, path: Path, log: Path) -> Iterator[subprocess.Popen[str]]:
    """A tcpdump that listens. We open the file: tcpdump started by root changes its user and could not."""
    program = find_program("tcpdump")
    if program is None:
        raise RunError("there is no tcpdump")
    log.unlink(missing_ok=True)
    with path.open("wb") as sink:
        process = processes.start(tcpdump_argv(program, port), log=log, stdout=sink.fileno())
    try:
        _wait_listening(process, log)
        yield process
    finally:
        processes.end(process, grace_s=5.0)


def _wait_listening(process: subprocess.Popen[str], log: Path) -> None:
    deadline_s = time.monotonic() + START_TIMEOUT_S
    while "listening on" not in log.read_text(encoding="utf-8", errors="replace"):
        if process.poll() is not None or time.monotonic() > deadline_s:
            raise RunError(f"tcpdump cannot capture. {processes.quoted(log)}")
        time.sleep(0.02)


def _wait_quiet(process: subprocess.Popen[str]) -> None:
    """Wait until tcpdump has fetched everything: it throws away what it has not when it ends."""
    deadline_s = time.monotonic() + DRAIN_TIMEOUT_S
    before_s, used_s = -1.0, _cpu_s(process)
    while used_s - before_s > QUIET_CPU_S and time.monotonic() < deadline_s:
        time.sleep(QUIET_S)
        before_s, used_s = used_s, _cpu_s(process)


def _cpu_s(process: subprocess.Popen[str]) -> float:
    try:
        times = psutil.Process(process.pid).cpu_times()
    except psutil.NoSuchProcess:
        raise RunError("tcpdump ended in the middle of the run; calibrate again") from None
    return float(times.user + times.system)
