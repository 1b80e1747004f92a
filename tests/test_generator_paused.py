"""A generator that is stopped inside its window says for how long, and the run is void."""

import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest
from support.fault_server import FaultServer
from support.generator import Generated, generate, get

from loopwise.analysis.checks.load import MAX_PAUSE_S, paused
from loopwise.generator.client import GeneratorProcess
from loopwise.generator.protocol import Event
from loopwise.model import GeneratorFigures

pytestmark = pytest.mark.e2e

STOPPED_S = 1.0


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
