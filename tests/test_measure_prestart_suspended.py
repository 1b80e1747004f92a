"""Suspended servers: no CPU, no waiting for them, and an end with the harness, however that ends."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from support.e2e import BOUND_S, until
from support.prestart import A, Starter, wait_for

from loopwise.measure.prestart import Prestart
from loopwise.servers import processes

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
def test_a_suspended_family_uses_no_cpu_until_it_is_resumed(busy: subprocess.Popen[str]) -> None:
    processes.suspend([busy])
    until(lambda: is_stopped(busy))
    before = cpu_s(busy)
    subprocess.run([sys.executable, "-c", "sum(range(3_000_000))"], check=True)  # others compute meanwhile
    assert cpu_s(busy) == before
    processes.resume([busy])
    until(lambda: has_gone_on(busy, before))


@pytest.mark.e2e
def test_a_suspended_family_is_ended_without_its_grace_period(busy: subprocess.Popen[str]) -> None:
    members = family(busy)
    processes.suspend([busy])
    until(lambda: is_stopped(busy))
    processes.end(busy, grace_s=BOUND_S)
    assert busy.returncode == -15  # by SIGTERM: it went on to hear it
    until(lambda: not any(each.is_running() for each in members))


@pytest.mark.e2e
def test_waiting_servers_are_suspended_until_taken(busy: subprocess.Popen[str]) -> None:
    starter = Starter()
    starter.processes["a"] = busy
    with Prestart(starter, depth=1) as prestart:
        prestart.expect([A])
        prestart.resume()
        wait_for(starter, "a")
        prestart.suspend()
        until(lambda: is_stopped(busy))
        before = cpu_s(busy)
        start = prestart.take(A)  # the run before it died in its window
        until(lambda: has_gone_on(busy, before))
        start.end()


KILLED = """
import subprocess, sys, time
from contextlib import ExitStack
from pathlib import Path
from loopwise.servers import processes
from loopwise.measure.prestart import Prestart
from loopwise.model import PlannedRun
from loopwise.servers.lifecycle import RunningServer

def begin(planned, start):
    process = processes.start([sys.executable, "-c", sys.argv[2], "with a child"], log=Path(sys.argv[1]))
    start.note(process)
    time.sleep(0.5)
    print(process.pid, flush=True)
    return RunningServer("http://a", process)

with Prestart(begin, depth=1) as prestart:
    prestart.expect([PlannedRun(case_id="a", replicate=1)])
    prestart.resume()
    while not prestart.waiting:
        time.sleep(0.01)
    prestart.suspend()
    print("stopped", flush=True)
    time.sleep(60)
"""


@pytest.mark.e2e
def test_suspended_servers_end_when_the_harness_is_killed(tmp_path: Path) -> None:
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
def test_a_server_that_was_taken_is_not_ended_with_the_others(busy: subprocess.Popen[str]) -> None:
    starter = Starter()
    starter.processes["a"] = busy
    with Prestart(starter, depth=1) as prestart:
        prestart.expect([A])
        prestart.resume()
        wait_for(starter, "a")
        start = prestart.take(A)
    assert busy.poll() is None
    start.end()
    assert busy.poll() is not None
