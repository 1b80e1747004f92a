"""Servers of coming runs: started in order, bounded in number, still in windows, and gone in the end."""

import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from e2e_fixtures import BOUND_S, until

from loopwise import processes
from loopwise.ahead import Ahead, Start
from loopwise.errors import Interrupted, ServerError
from loopwise.model import PlannedRun
from loopwise.servers import RunningServer

A, B, C, D = (PlannedRun(case_id=name, replicate=1) for name in "abcd")


class Starter:
    """Stands for `_begin`: notes what happens, and holds the starts that it is told to."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.starts: dict[str, Start] = {}
        self.ended: list[str] = []
        self.threads: dict[str, threading.Thread] = {}
        self.errors: dict[str, BaseException] = {}
        self.gates: dict[str, threading.Event] = {}
        self.processes: dict[str, subprocess.Popen[str]] = {}
        self.has_begun: dict[str, threading.Event] = defaultdict(threading.Event)

    def hold(self, name: str) -> threading.Event:
        """The start will take until the event is set."""
        self.gates[name] = gate = threading.Event()
        return gate

    def __call__(self, planned: PlannedRun, start: Start) -> RunningServer:
        name, stack = planned.case_id, start.stack
        if name in self.processes:
            start.note(self.processes[name])
        stack.callback(self.ended.append, name)
        self.begun.append(name)
        self.starts[name] = start
        self.threads[name] = threading.current_thread()
        self.has_begun[name].set()
        if name in self.gates:
            # What ends a server makes the start that waits for it end, too.
            stack.callback(self.gates[name].set)
            assert self.gates[name].wait(BOUND_S)
        if name in self.errors:
            raise self.errors[name]
        return RunningServer(f"http://{name}", self.processes.get(name))


@pytest.fixture
def starter() -> Starter:
    return Starter()


def wait_for(starter: Starter, *names: str) -> None:
    for name in names:
        assert starter.has_begun[name].wait(BOUND_S)


def aside(action: Callable[[], Any]) -> tuple[threading.Thread, list[Any]]:
    """Do something in a thread of its own; its outcome is put in the list."""
    outcome: list[Any] = []
    thread = threading.Thread(target=lambda: outcome.append(action()), daemon=True)
    thread.start()
    return thread, outcome


def ended(thread: threading.Thread) -> bool:
    thread.join(BOUND_S)
    return not thread.is_alive()


def test_servers_start_in_the_order_expected_and_no_more_wait_than_may(starter: Starter) -> None:
    with Ahead(starter, depth=2) as ahead:
        ahead.expect([B, A, D, C])
        ahead.go_on()
        until(lambda: len(ahead._ready) == 2)
        assert starter.begun == ["b", "a"]
        assert ahead.take(B).server is not None
        until(lambda: len(ahead._ready) == 2)
        assert starter.begun == ["b", "a", "d"]


def test_a_server_that_waits_is_taken_as_it_is_and_ends_when_its_taker_says(starter: Starter) -> None:
    with Ahead(starter, depth=1) as ahead:
        ahead.expect([A])
        ahead.go_on()
        wait_for(starter, "a")
        start = ahead.take(A)
        assert start.server is not None
        assert start.server.url == "http://a"
        assert starter.threads["a"] is not threading.current_thread()
        assert starter.ended == []
        start.end()
        assert starter.ended == ["a"]
    assert (starter.begun, starter.ended) == (["a"], ["a"])


def test_taking_one_that_is_being_started_waits_for_it(starter: Starter) -> None:
    gate = starter.hold("a")
    with Ahead(starter, depth=1) as ahead:
        ahead.expect([A])
        ahead.go_on()
        wait_for(starter, "a")
        taker, outcome = aside(lambda: ahead.take(A))
        assert outcome == []
        gate.set()
        assert ended(taker)
        assert outcome[0].server.url == "http://a"
        assert starter.begun == ["a"]
        outcome[0].end()


@pytest.mark.parametrize("depth", [0, 2])
def test_taking_one_that_nobody_started_starts_it_at_once(starter: Starter, depth: int) -> None:
    with Ahead(starter, depth) as ahead:
        ahead.expect([A, B])  # no start is allowed before the first go_on()
        start = ahead.take(A)
        assert starter.threads["a"] is threading.current_thread()
        start.end()
        if depth == 0:
            ahead.go_on()
            ahead.pause()
    assert starter.begun == ["a"]


@pytest.mark.parametrize(
    ("error", "raised", "sentence"),
    [
        (ServerError("it died"), ServerError, "it died"),
        (OSError(28, "No space left on device"), ServerError, "can't be started: .*No space left.*; is a "),
        (ZeroDivisionError("a defect of ours"), ZeroDivisionError, "a defect of ours"),
    ],
)
def test_the_error_of_a_start_is_raised_at_its_turn_and_only_then(
    starter: Starter, error: Exception, raised: type[Exception], sentence: str
) -> None:
    starter.errors["a"] = error
    with Ahead(starter, depth=2) as ahead:
        ahead.expect([A, B])
        ahead.go_on()
        until(lambda: len(ahead._ready) == 2)
        ahead.take(B).end()
        with pytest.raises(raised, match=sentence):
            ahead.take(A)
        assert starter.ended == ["b", "a"]


@pytest.mark.parametrize("error", [ServerError("it died"), Interrupted("interrupted by SIGINT")])
def test_a_start_that_fails_while_it_is_taken_leaves_nothing(starter: Starter, error: Exception) -> None:
    starter.errors["a"] = error
    with Ahead(starter, depth=0) as ahead:
        with pytest.raises(type(error)):
            ahead.take(A)
        assert starter.ended == ["a"]


def test_a_pause_begins_no_start_until_it_is_over_and_holds_the_one_at_hand(starter: Starter) -> None:
    gate = starter.hold("a")
    with Ahead(starter, depth=2) as ahead:
        ahead.expect([A, B])
        ahead.go_on()
        wait_for(starter, "a")
        ahead.pause()
        assert starter.starts["a"].was_held
        holder, waited = aside(starter.starts["a"].hold)
        assert waited == []
        gate.set()
        ahead.expect([A, B, C])
        assert starter.begun == ["a"]
        ahead.go_on()
        assert ended(holder)
        assert waited[0] > 0
        wait_for(starter, "b")


def test_a_start_that_failed_while_it_was_held_is_tried_again_at_its_turn(starter: Starter) -> None:
    gate = starter.hold("a")
    starter.errors["a"] = ServerError("it was stopped, and so it was late")
    with Ahead(starter, depth=1) as ahead:
        ahead.expect([A])
        ahead.go_on()
        wait_for(starter, "a")
        ahead.pause()
        gate.set()
        until(lambda: bool(ahead._ready))
        del starter.errors["a"]
        ahead.take(A).end()
        assert starter.begun == ["a", "a"]


def test_one_held_at_hand_is_taken_though_its_window_never_closes() -> None:
    has_begun, may_end = threading.Event(), threading.Event()

    def begin(planned: PlannedRun, start: Start) -> RunningServer:
        has_begun.set()
        assert may_end.wait(BOUND_S)
        start.hold()
        return RunningServer(f"http://{planned.case_id}")

    with Ahead(begin, depth=1) as ahead:
        ahead.expect([A])
        ahead.go_on()
        assert has_begun.wait(BOUND_S)
        ahead.pause()
        may_end.set()
        taker, outcome = aside(lambda: ahead.take(A))
        is_taken = ended(taker)
        ahead.go_on()  # so that a failure ends, too
        assert is_taken
        assert outcome[0].server is not None


def test_servers_of_runs_that_come_no_more_are_ended_and_make_room(starter: Starter) -> None:
    with Ahead(starter, depth=1) as ahead:
        ahead.expect([A, B])
        ahead.go_on()
        until(lambda: bool(ahead._ready))
        ahead.expect([B])
        assert starter.ended == ["a"]
        ahead.go_on()
        wait_for(starter, "b")
        ahead.take(B).end()


def test_leaving_ends_all_that_wait_and_what_is_being_started(starter: Starter) -> None:
    starter.hold("b")  # hangs until its stack is closed
    with Ahead(starter, depth=3) as ahead:
        ahead.expect([A, B, C])
        ahead.go_on()
        wait_for(starter, "a", "b")
    assert starter.begun == ["a", "b"]
    assert sorted(starter.ended) == ["a", "b"]
    assert not starter.threads["b"].is_alive()


BUSY = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "while True: pass"]) if len(sys.argv) > 1 else None
while True:
    pass
"""


@pytest.fixture
def busy(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process and its child, both of which compute for ever."""
    process = processes.start([sys.executable, "-c", BUSY, "with a child"], log=tmp_path / "log")
    until(lambda: len(family(process)) == 2 and all(cpu_s(process)))
    yield process
    processes.end(process, grace_s=0.0)


def family(process: subprocess.Popen[str]) -> list[psutil.Process]:
    root = psutil.Process(process.pid)
    return [root, *root.children(recursive=True)]


def cpu_s(process: subprocess.Popen[str]) -> list[float]:
    """CPU time of each, by the scheduler's clock in nanoseconds."""
    return [int(Path(f"/proc/{each.pid}/schedstat").read_text().split()[0]) / 1e9 for each in family(process)]


def is_stopped(process: subprocess.Popen[str]) -> bool:
    return all(each.status() == psutil.STATUS_STOPPED for each in family(process))


def has_gone_on(process: subprocess.Popen[str], since: list[float]) -> bool:
    return all(now > before for now, before in zip(cpu_s(process), since, strict=True))


@pytest.mark.e2e
def test_a_stopped_family_uses_no_cpu_at_all_and_goes_on_afterwards(busy: subprocess.Popen[str]) -> None:
    processes.freeze([busy])
    until(lambda: is_stopped(busy))
    before = cpu_s(busy)
    subprocess.run([sys.executable, "-c", "sum(range(3_000_000))"], check=True)  # others compute meanwhile
    assert cpu_s(busy) == before
    processes.thaw([busy])
    until(lambda: has_gone_on(busy, before))


@pytest.mark.e2e
def test_a_stopped_family_is_ended_and_its_grace_is_not_waited_for(busy: subprocess.Popen[str]) -> None:
    members = family(busy)
    processes.freeze([busy])
    until(lambda: is_stopped(busy))
    processes.end(busy, grace_s=BOUND_S)
    assert busy.returncode == -15  # by SIGTERM: it went on to hear it
    until(lambda: not any(each.is_running() for each in members))


@pytest.mark.e2e
def test_waiting_servers_stand_still_in_a_window_even_if_it_never_closes(
    busy: subprocess.Popen[str], starter: Starter
) -> None:
    starter.processes["a"] = busy
    with Ahead(starter, depth=1) as ahead:
        ahead.expect([A])
        ahead.go_on()
        wait_for(starter, "a")
        ahead.pause()
        until(lambda: is_stopped(busy))
        before = cpu_s(busy)
        start = ahead.take(A)  # the run before it died in its window
        until(lambda: has_gone_on(busy, before))
        start.end()


KILLED = """
import subprocess, sys, time
from contextlib import ExitStack
from pathlib import Path
from loopwise import processes
from loopwise.ahead import Ahead
from loopwise.model import PlannedRun
from loopwise.servers import RunningServer

def begin(planned, start):
    process = processes.start([sys.executable, "-c", sys.argv[2], "with a child"], log=Path(sys.argv[1]))
    start.note(process)
    time.sleep(0.5)
    print(process.pid, flush=True)
    return RunningServer("http://a", process)

with Ahead(begin, depth=1) as ahead:
    ahead.expect([PlannedRun(case_id="a", replicate=1)])
    ahead.go_on()
    while not ahead._ready:
        time.sleep(0.01)
    ahead.pause()
    print("stopped", flush=True)
    time.sleep(60)
"""


@pytest.mark.e2e
def test_servers_that_stand_still_end_when_the_harness_is_killed(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", KILLED, str(tmp_path / "log"), BUSY]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as harness:
        assert harness.stdout is not None
        root = psutil.Process(int(harness.stdout.readline()))
        assert harness.stdout.readline() == "stopped\n"
        members = [root, *root.children(recursive=True)]
        assert len(members) == 2
        until(lambda: all(each.status() == psutil.STATUS_STOPPED for each in members))
        others = [each for each in psutil.Process(harness.pid).children() if each != root]
        harness.kill()
    until(lambda: not any(is_alive(each) for each in (*members, *others)))
    assert len(others) == 1  # the guard


def is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.e2e
def test_a_server_that_was_taken_is_none_of_the_guards_business(
    starter: Starter, busy: subprocess.Popen[str]
) -> None:
    starter.processes["a"] = busy
    with Ahead(starter, depth=1) as ahead:
        ahead.expect([A])
        ahead.go_on()
        wait_for(starter, "a")
        start = ahead.take(A)
    assert busy.poll() is None
    start.end()
    assert busy.poll() is not None
