"""How long a start is waited for, and what is seen of a starting server's processes."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from loopwise.model import Server
from loopwise.servers import processes
from loopwise.servers.startup import DEFAULT_S, Patience, Watch, has_supervisor, longest_s

# limit, seconds since the start, seconds since the app was seen to work (None: never), may load -> is it over?
PATIENCE = [
    (DEFAULT_S, 30, None, True, False),
    (DEFAULT_S, 31, None, True, True),
    (DEFAULT_S, 31, 1, True, False),
    (DEFAULT_S, 65, 9, True, False),
    (DEFAULT_S, 65, 11, True, True),
    (DEFAULT_S, 299, 1, True, False),
    (DEFAULT_S, 301, 1, True, True),
    (DEFAULT_S, 31, 1, False, True),
    (5.0, 5, None, True, False),
    (5.0, 6, 1, True, True),
    (600.0, 599, None, True, False),
    (600.0, 601, 1, True, True),
]


@pytest.mark.parametrize(("limit_s", "waited_s", "idle_s", "may_load", "is_over"), PATIENCE)
def test_only_the_default_limit_is_extended_and_only_by_work(
    limit_s: float, waited_s: float, idle_s: float | None, may_load: bool, is_over: bool
) -> None:
    patience = Patience(limit_s, began_s=100.0)
    now_s = 100.0 + waited_s
    if idle_s is not None:
        patience.note_work(now_s - idle_s)
    assert patience.is_over(now_s, may_load=may_load) is is_over


def test_time_in_which_a_server_was_suspended_counts_for_nothing() -> None:
    patience = Patience(DEFAULT_S, began_s=0.0)
    patience.note_work(25.0)
    patience.extend(100.0)
    assert not patience.is_over(134.0, may_load=True)
    assert patience.is_over(140.0, may_load=True)


@contextmanager
def running(code: str) -> Iterator[subprocess.Popen[str]]:
    """A Python program that has printed a line."""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
    finally:
        process.kill()
        process.communicate()


BUSY = "print(flush=True)\nwhile True: pass"
READS = "print(flush=True)\nimport time\nwhile True: open('/dev/zero', 'rb').read(1 << 16); time.sleep(0.01)"
WAITS = "print(flush=True)\nimport time\nwhile True: time.sleep(1)"


@pytest.mark.parametrize(("code", "works"), [(BUSY, True), (READS, True), (WAITS, False)])
def test_work_is_computing_or_reading_and_not_waiting(code: str, works: bool) -> None:
    with running(code) as process:
        watch = Watch(process.pid, sampled_s=0.0)
        assert not watch.has_worked(1.0)  # nothing to compare with yet
        time.sleep(0.3)
        assert watch.has_worked(2.0) is works
        assert not watch.has_worked(2.1)  # too early
        assert not watch.has_worked(4.0, besides={process.pid})


ENDS = """
import subprocess, sys
for _ in range(2):
    subprocess.run([sys.executable, "-c", "import time; time.sleep(0.2)"])
subprocess.run(["sleep", "0.3"])
print(flush=True)
input()
"""


def test_workers_that_ended_are_counted_and_other_programs_are_not() -> None:
    process = subprocess.Popen([sys.executable, "-c", ENDS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        watch = Watch(process.pid, sampled_s=0.0)
        until_s = time.monotonic() + 10
        while watch.count_ended() < 2 and time.monotonic() < until_s:
            time.sleep(0.005)
        assert process.stdout is not None
        process.stdout.readline()
        assert watch.count_ended() == 2
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("server", "expected"),
    [
        (Server(), False),
        (Server(workers=2), True),
        (Server(name="gunicorn"), True),
        (Server(name="gunicorn", workers=2, server_args=("--preload",)), False),
    ],
)
def test_children_are_workers_where_there_is_a_supervisor(server: Server, expected: bool) -> None:
    assert has_supervisor(server) is expected


def test_a_limit_of_ones_own_is_the_longest_time() -> None:
    assert (longest_s(Server()), longest_s(Server(startup_timeout_s=40.0))) == (300.0, 40.0)


def test_quoted_lines_are_the_apps_and_not_our_readiness_requests(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    ours = '127.0.0.1:1 - "GET /.loopwise/ready HTTP/1.1" 503\n'
    log.write_text("loading\n" + 500 * ours + "out of luck\n" + 20 * ours)
    assert processes.last_lines(log) == "    loading\n    out of luck"
    assert processes.lines_of(log, len("loading\n")) == ["out of luck"]
    assert processes.lines_of(tmp_path / "none") == []
