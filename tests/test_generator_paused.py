"""A generator, one of its processes or the harness that is stopped inside the window is noticed, and the run void."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest
from support.fault_server import FaultServer
from support.generator import Generated, generate, get

from loopwise.analysis.checks.load import MAX_PAUSE_S, paused
from loopwise.analysis.checks.machine import MAX_HARNESS_PAUSE_S, harness_paused
from loopwise.generator.client import GeneratorProcess
from loopwise.generator.protocol import Event
from loopwise.model import GeneratorFigures, HostFigures

pytestmark = pytest.mark.e2e

STOPPED_S = 1.0
ROOT = Path(__file__).parents[1]


@pytest.fixture
def generator(tmp_path: Path) -> Iterator[tuple[GeneratorProcess, psutil.Process]]:
    before = set(psutil.Process().children())
    with closing(GeneratorProcess(tmp_path / "generator.log")) as own:
        started = set(psutil.Process().children()) - before  # the watchdog may be among them
        (process,) = [each for each in started if "loopwise.generator" in each.cmdline()]
        yield own, process


def stopped_at(event: str, own: GeneratorProcess, process: psutil.Process, folder: Path) -> Generated:
    """A run of 0.4 s whose generator is stopped for a second when it reports that event."""

    def stop(heard: Event) -> None:
        if heard.event == event:
            process.suspend()
            threading.Timer(STOPPED_S, process.resume).start()

    with FaultServer() as server:
        return generate(own, folder, server.url, get("/ok"), users=2, measure_s=0.4, on_event=stop)


def figures_of(run: Generated) -> GeneratorFigures:
    return run.events[-1].figures


def test_a_generator_stopped_within_its_window_is_noticed(
    generator: tuple[GeneratorProcess, psutil.Process], tmp_path: Path
) -> None:
    figures = figures_of(stopped_at("window_opened", *generator, tmp_path))
    assert figures.longest_pause_s is not None
    assert figures.longest_pause_s > MAX_PAUSE_S
    reading = paused(figures)
    assert reading is not None
    assert reading.value > reading.limit


def test_a_stop_after_the_window_is_no_pause_of_it(
    generator: tuple[GeneratorProcess, psutil.Process], tmp_path: Path
) -> None:
    figures = figures_of(stopped_at("window_closed", *generator, tmp_path))
    assert figures.longest_pause_s is not None
    assert figures.longest_pause_s < STOPPED_S


def test_a_process_of_several_that_is_stopped_within_the_window_is_noticed(
    generator: tuple[GeneratorProcess, psutil.Process], tmp_path: Path
) -> None:
    own, process = generator

    def stop(heard: Event) -> None:
        if heard.event == "window_opened":
            worker = process.children()[0]
            worker.suspend()
            threading.Timer(STOPPED_S, worker.resume).start()

    with FaultServer() as server:
        run = generate(own, tmp_path, server.url, get("/ok"), users=2, measure_s=0.4, on_event=stop, processes=2)
    pause_s = figures_of(run).longest_pause_s
    assert pause_s is not None
    assert MAX_PAUSE_S < pause_s < 2 * STOPPED_S


HARNESS = """
import sys, time
from loopwise.generator.protocol import Event
from loopwise.measure.testbed import Recording
from loopwise.servers.lifecycle import RunningServer

recording = Recording({"server": RunningServer("http://127.0.0.1:9")})
recording.start()
for name in ("window_opened", "window_closed"):
    print(name, flush=True)
    recording.note(Event(event=name, time_ns=int(sys.stdin.readline())))
recording.stop()
print(recording.figures("server")["harness_pause_s"], flush=True)
"""
"""What the harness does while the generator, here the test, reports the ends of the window."""


def in_the_midst(harness: psutil.Process, report: Callable[[], None]) -> None:
    report()
    time.sleep(0.2)
    harness.suspend()
    time.sleep(STOPPED_S + 0.2)
    harness.resume()
    report()


def at_its_beginning(harness: psutil.Process, report: Callable[[], None]) -> None:
    harness.suspend()
    report()
    time.sleep(STOPPED_S + 0.2)
    harness.resume()
    time.sleep(0.2)
    report()


@pytest.mark.parametrize("stopped", [in_the_midst, at_its_beginning])
def test_a_harness_that_is_stopped_within_the_window_is_noticed(
    stopped: Callable[[psutil.Process, Callable[[], None]], None],
) -> None:
    command = [sys.executable, "-c", HARNESS]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True) as harness:
        assert harness.stdin is not None
        assert harness.stdout is not None
        assert harness.stdout.readline() == "window_opened\n"

        def report() -> None:
            assert harness.stdin is not None
            harness.stdin.write(f"{time.time_ns()}\n")
            harness.stdin.flush()

        stopped(psutil.Process(harness.pid), report)
        assert harness.stdout.readline() == "window_closed\n"
        pause_s = float(harness.stdout.readline())
    reading = harness_paused(HostFigures(harness_pause_s=pause_s))
    assert reading is not None
    assert MAX_HARNESS_PAUSE_S < reading.value < 3 * STOPPED_S
