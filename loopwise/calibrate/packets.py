"""Captures loopback traffic with tcpdump, and reads requests and answers from the packets.

Source: the classic format of libpcap, `man 5 pcap-savefile`; link types, tcpdump.org/linktypes.html.
"""

import re
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TypeVar

import psutil

from loopwise.calibrate.bench import find_program
from loopwise.calibrate.records import Missing
from loopwise.errors import RunError
from loopwise.servers import processes

INTERFACE = "lo0" if sys.platform == "darwin" else "lo"
BUFFER_KIB = 131_072
"""Kernel buffer for packets that tcpdump fetches late, since the run takes the cores. At about 200 bytes a packet it
holds four seconds of the highest rates measured so far."""
SNAP_BYTES = 96
"""Ethernet, IP and TCP headers with options are 66; the payload is not needed."""
START_TIMEOUT_S = 10.0
QUIET_S = 1.2
"""The kernel hands packets over within a second; once tcpdump has been idle for longer it has them all."""
QUIET_CPU_S = 0.02
DRAIN_TIMEOUT_S = 15.0
EFFECT = "reported latencies are not compared with packets"
REMEDY = (
    "install it (`sudo apt install tcpdump`) and run as root, "
    "or allow it: `sudo setcap cap_net_raw,cap_net_admin+ep $(which tcpdump)`"
)

T = TypeVar("T")
MAGIC: dict[bytes, tuple[str, int]] = {
    b"\x4d\x3c\xb2\xa1": ("<", 1),
    b"\xa1\xb2\x3c\x4d": (">", 1),
    b"\xd4\xc3\xb2\xa1": ("<", 1000),
    b"\xa1\xb2\xc3\xd4": (">", 1000),
}
"""First bytes of the file -> byte order, and nanoseconds per unit of a stamp's fraction."""
FILE_HEADER_BYTES = 24
LINK_HEADER_BYTES = {1: 14, 0: 4, 108: 4, 113: 16, 276: 20, 101: 0}
"""By link type: Ethernet (Linux's loopback, too), BSD loopback (two kinds), Linux SLL, SLL2, bare IP."""
IPV4, TCP = 4, 6
MIN_IP_BYTES, MIN_TCP_BYTES = 20, 20


class Segment(NamedTuple):
    """A TCP segment of the capture."""

    time_ns: int
    """Nanoseconds since the epoch."""
    source_port: int
    target_port: int
    payload_bytes: int


class Exchange(NamedTuple):
    """Times of a request and its answer on the wire."""

    request_ns: int
    """Its first packet."""
    response_ns: int | None
    """The last packet of the answer; None: there was none."""


def read_segments(data: bytes) -> Iterator[Segment]:
    """Yield the IPv4 TCP segments of a capture file in file order, up to a record that is cut off.

    Raises:
        RunError: it is not a capture file, or has an unknown link type.
    """
    if data[:4] not in MAGIC or len(data) < FILE_HEADER_BYTES:
        raise RunError(
            f"the packet capture begins with {data[:4].hex() or 'nothing'}, so it is not a pcap file; "
            "check that `tcpdump` is the real one"
        )
    order, unit_ns = MAGIC[data[:4]]
    link_type = struct.unpack_from(order + "I", data, 20)[0] & 0xFFFF
    if link_type not in LINK_HEADER_BYTES:
        known = ", ".join(map(str, sorted(LINK_HEADER_BYTES)))
        raise RunError(f"the packet capture has link type {link_type}, known are {known}; capture on loopback")
    link_bytes = LINK_HEADER_BYTES[link_type]
    record, ports = struct.Struct(order + "IIII"), struct.Struct("!HH")
    offset = FILE_HEADER_BYTES
    while offset + record.size <= len(data):
        seconds, fraction, captured, _ = record.unpack_from(data, offset)
        ip = offset + record.size + link_bytes
        offset += record.size + captured
        if offset > len(data):
            return
        if ip + MIN_IP_BYTES + MIN_TCP_BYTES > offset or data[ip] >> 4 != IPV4 or data[ip + 9] != TCP:
            continue
        tcp = ip + (data[ip] & 0xF) * 4
        if tcp + MIN_TCP_BYTES > offset:
            continue
        # The IP header knows the length; the capture holds only the headers of long packets.
        payload = int.from_bytes(data[ip + 2 : ip + 4], "big") - (tcp - ip) - (data[tcp + 12] >> 4) * 4
        source, target = ports.unpack_from(data, tcp)
        yield Segment(seconds * 1_000_000_000 + fraction * unit_ns, source, target, payload)


def exchanges(segments: Iterable[Segment], server_port: int) -> list[Exchange]:
    """Pair requests with answers, per connection, in the order of their completion.

    A request is the client's first data after an answer (or on a new connection); its answer ends with the server's
    last data before the next request. This holds where a connection has at most one request in flight.
    """
    done: list[Exchange] = []
    open_requests: dict[int, tuple[int, int | None]] = {}
    for segment in segments:
        if segment.payload_bytes <= 0:
            continue
        if segment.target_port == server_port:
            port = segment.source_port
            known = open_requests.get(port)
            if known is None or known[1] is not None:
                if known is not None:
                    done.append(Exchange(*known))
                open_requests[port] = segment.time_ns, None
        elif segment.source_port == server_port and segment.target_port in open_requests:
            request_ns, _ = open_requests[segment.target_port]
            open_requests[segment.target_port] = request_ns, segment.time_ns
    done.extend(Exchange(*known) for known in open_requests.values())
    return done


class Capture(NamedTuple):
    """Requests and answers seen on the wire."""

    exchanges: list[Exchange]
    dropped: int
    """Packets that the kernel could not hand to tcpdump."""


def capture(port: int, folder: Path, run: Callable[[], T]) -> tuple[T, Capture]:
    """Capture the loopback traffic of a port while `run` runs; return its result and the packets.

    Raises:
        RunError: there is no tcpdump, it is not permitted, or it failed.
    """
    path, log = folder / "packets.pcap", folder / "tcpdump.log"
    with _tcpdump(port, path, log) as process:
        result = run()
        _wait_quiet(process)
    pairs = exchanges(read_segments(path.read_bytes()), port)
    path.unlink()
    return result, Capture(pairs, dropped_packets(log.read_text(encoding="utf-8", errors="replace")))


def obstacle(folder: Path) -> Missing | None:
    """Why packets can't be captured on this machine; None where they can."""
    path = folder / "trial.pcap"
    try:
        with _tcpdump(1, path, folder / "tcpdump.log"):
            return None
    except RunError as error:
        return Missing(tool="tcpdump", effect=f"{EFFECT} ({' '.join(str(error).split())})", remedy=REMEDY)
    finally:
        path.unlink(missing_ok=True)


def tcpdump_argv(program: str, port: int) -> list[str]:
    """Command line that writes the headers of segments with data to stdout, time stamps in nanoseconds."""
    has_data = "(ip[2:2] - ((ip[0] & 0xf) << 2) - ((tcp[12] & 0xf0) >> 2)) != 0"
    argv = [program, "-i", INTERFACE, "-n", "-B", str(BUFFER_KIB), "-s", str(SNAP_BYTES)]
    return [*argv, "--time-stamp-precision=nano", "-w", "-", f"tcp port {port} and {has_data}"]


def dropped_packets(log: str) -> int:
    """Read the number of lost packets from tcpdump's log: `12 packets dropped by kernel`.

    Raises:
        RunError: it is not there, so packets may be missing unnoticed.
    """
    counts = re.findall(r"(\d+) packets? dropped by kernel", log)
    if not counts:
        raise RunError("tcpdump ended without its statistics, so packets may be lost; calibrate again")
    return int(counts[-1])


@contextmanager
def _tcpdump(port: int, path: Path, log: Path) -> Iterator[subprocess.Popen[str]]:
    """Run tcpdump until the block ends. We open its file: started by root it changes its user, and could not."""
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
    """Wait until tcpdump has fetched everything: when it ends it discards the rest."""
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
