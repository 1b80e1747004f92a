"""Runs other load generators for comparison (wrk, hey), and reads their output.

To add one: a function that makes its command line, one that reads its output, and a line in PEERS.
"""

import os
import re
import resource
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from loopwise.calibrate.bench import CONNECTIONS, StaticServer, find_program
from loopwise.calibrate.records import Missing
from loopwise.errors import GeneratorError
from loopwise.servers import processes

GRACE_S = 10.0
"""A peer that has not ended so long after its time is taken to hang."""


class Answered(NamedTuple):
    """Counts that a peer printed."""

    requests: int
    errors: int


class Peer(NamedTuple):
    """Another load generator: how to call it and read it."""

    argv: Callable[[str, str, float], list[str]]
    """(program, url, duration in seconds) -> command line, for CONNECTIONS connections on one thread."""
    parse: Callable[[str], Answered | None]
    remedy: str


class CostRound(NamedTuple):
    """Figures of one generator in one round; of a peer's whole life, since it doesn't tell when its load begins."""

    requests: int
    errors: int
    cpu_s: float
    wall_s: float
    server_cpu_s: float

    @property
    def cpu_us_per_request(self) -> float:
        """CPU time of the generator per request."""
        return self.cpu_s * 1e6 / self.requests


def wrk_argv(program: str, url: str, duration_s: float) -> list[str]:
    """Make the command line of wrk, which takes whole seconds only."""
    return [program, "-t1", f"-c{CONNECTIONS}", f"-d{max(1, round(duration_s))}s", f"{url}/"]


def parse_wrk(text: str) -> Answered | None:
    """Read `163421 requests in 2.00s`; errors are socket errors and answers other than 2xx and 3xx."""
    total = re.search(r"(\d+) requests in ", text)
    if total is None:
        return None
    sockets = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    errors = sum(map(int, sockets.groups())) if sockets else 0
    return Answered(int(total[1]), errors + (int(refused[1]) if refused else 0))


def hey_argv(program: str, url: str, duration_s: float) -> list[str]:
    """Make the command line of hey on one core."""
    return [program, "-z", f"{duration_s:g}s", "-c", str(CONNECTIONS), "-cpus", "1", f"{url}/"]


def parse_hey(text: str) -> Answered | None:
    """Read `[200] 41220 responses` per status and `[3] Get …: error` per kind of error."""
    by_status = {int(status): int(n) for status, n in re.findall(r"\[(\d{3})\]\s+(\d+) responses", text)}
    if not by_status:
        return None
    _, _, distribution = text.partition("Error distribution:")
    failed = sum(map(int, re.findall(r"^\s*\[(\d+)\]\s", distribution, re.MULTILINE)))
    refused = sum(n for status, n in by_status.items() if not 200 <= status < 400)
    return Answered(sum(by_status.values()) + failed, failed + refused)


PEERS: dict[str, Peer] = {
    "wrk": Peer(wrk_argv, parse_wrk, "install it: `sudo apt install wrk`"),
    "hey": Peer(
        hey_argv,
        parse_hey,
        "install it: `sudo apt install hey`, or `go install github.com/rakyll/hey@latest`",
    ),
}
"""By the program's name."""


def installed() -> tuple[dict[str, str], list[Missing]]:
    """Find the peers on this machine: paths by name, and those that are missing."""
    paths = {name: find_program(name) for name in PEERS}
    missing = [
        Missing(tool=name, effect="CPU per request is not compared with it", remedy=PEERS[name].remedy)
        for name, program in paths.items()
        if program is None
    ]
    return {name: program for name, program in paths.items() if program is not None}, missing


@contextmanager
def children_pinned(core: int | None) -> Iterator[None]:
    """Pin processes that are started in the block to a core; None changes nothing."""
    if core is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def run_peer(name: str, program: str, server: StaticServer, duration_s: float, *, core: int | None) -> CostRound:
    """Load the static server with a peer.

    Raises:
        GeneratorError: it failed, hung, or printed something that can't be read.
    """
    peer = PEERS[name]
    argv = peer.argv(program, server.url, duration_s)
    server_s, used_s, begun_s = server.cpu_s(), _children_cpu_s(), time.monotonic()
    with children_pinned(core):
        # Not by processes.start: the CPU of its launcher would count as the peer's. Peers end by themselves.
        process = subprocess.Popen(
            argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
        )
    try:
        text, _ = process.communicate(timeout=duration_s + GRACE_S)
    except subprocess.TimeoutExpired:
        raise GeneratorError(f"{name} did not end after {duration_s:g} s and was killed; try it by hand") from None
    finally:
        processes.end(process, grace_s=0.0)
    wall_s, cpu_s = time.monotonic() - begun_s, _children_cpu_s() - used_s
    answered = peer.parse(text)
    if process.returncode or answered is None or not answered.requests:
        printed = " ".join(text.split())[-300:] or "nothing"
        raise GeneratorError(f"{name} ended with status {process.returncode}; it printed: {printed}; try it by hand")
    return CostRound(*answered, cpu_s, wall_s, server.cpu_s() - server_s)


def _children_cpu_s() -> float:
    """CPU seconds of all child processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
