"""A request to stop arrives wherever it hits, cleans up undisturbed, and the second one ends the process."""

import gc
import os
import shlex
import signal
import subprocess
import sys
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from support.fakes import case_of, measured, suite_with

from loopwise.cli.crash import crashes_logged
from loopwise.errors import Interrupted
from loopwise.interrupts import AGAIN_S, REMIND_S, interruptible, requested, uninterrupted

ROOT = Path(__file__).parents[1]
BOUND_S = 60.0


@pytest.fixture(autouse=True)
def _listening() -> Iterator[None]:
    """A shell that starts us in the background has SIGINT ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def stop(number: signal.Signals = signal.SIGINT) -> None:
    os.kill(os.getpid(), number)
    for _ in range(100):  # Python calls the handler between two instructions
        pass


class Thing:
    """Can be referred to weakly."""


class Stopping(Thing):
    """Is hit while it is deleted."""

    def __del__(self) -> None:
        stop()


def in_a_destructor() -> None:
    Stopping()
    gc.collect()


def in_a_weak_references_callback() -> None:
    thing = Thing()
    reference = weakref.ref(thing, lambda _: stop())
    del thing
    assert reference() is None


def in_code_that_goes_on_after_any_error() -> None:
    with suppress(BaseException):
        stop()


def in_an_import_that_has_a_substitute() -> None:
    with suppress(Exception):
        stop()
    raise AssertionError("it did not get through")


def waited(block: Callable[[], None]) -> None:
    block()
    time.sleep(BOUND_S)


def interrupted(block: Callable[[], None]) -> str:
    """The sentence of the interruption that ends the block; it has to come soon."""
    with pytest.raises(Interrupted) as raised, interruptible():
        waited(block)
    assert requested() is None
    return str(raised.value)


@pytest.mark.parametrize(
    "hit",
    [
        in_a_destructor,
        in_a_weak_references_callback,
        in_code_that_goes_on_after_any_error,
        in_an_import_that_has_a_substitute,
    ],
)
def test_a_request_arrives_wherever_it_hits(hit: Callable[[], None]) -> None:
    assert interrupted(hit) == "interrupted by SIGINT"


def test_an_import_that_breaks_by_it_is_no_crash(tmp_path: Path) -> None:
    def broken() -> None:
        try:
            stop()
        except Interrupted:
            raise ImportError("numpy.core.multiarray failed to import") from None

    with pytest.raises(Interrupted), interruptible(), crashes_logged(tmp_path):
        broken()
    assert not list(tmp_path.iterdir())


def test_what_cleans_up_is_not_disturbed() -> None:
    done = []

    def clean_up() -> None:
        try:
            stop(signal.SIGTERM)
        finally:
            stop(signal.SIGHUP)
            time.sleep(3 * REMIND_S)
            done.append("cleaned up")

    assert interrupted(clean_up) == "interrupted by SIGTERM"
    assert done == ["cleaned up"]


def test_what_must_not_be_left_half_done_is_done_first() -> None:
    done = []

    def end() -> None:
        with uninterrupted(), uninterrupted():
            stop(signal.SIGHUP)
            time.sleep(3 * REMIND_S)
            done.append("ended")
        done.append("went on")

    assert interrupted(end) == "interrupted by SIGHUP"
    assert done == ["ended"]


def test_handlers_and_timers_are_as_before_when_a_command_has_ended() -> None:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM)
    before = [signal.getsignal(number) for number in numbers], sys.unraisablehook
    with suppress(Interrupted), interruptible():
        stop()
    assert ([signal.getsignal(number) for number in numbers], sys.unraisablehook) == before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


STUCK = """
import sys, time
from loopwise.interrupts import interruptible
with interruptible():
    try:
        print("up", flush=True)
        time.sleep(60)
    finally:
        print("cleaning up", flush=True)
        time.sleep(60)
"""


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
def test_the_second_request_ends_the_process_at_once(second: signal.Signals) -> None:
    command = [sys.executable, "-c", STUCK]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "cleaning up\n"
        process.send_signal(second)  # the same request, passed on by a wrapper
        process.send_signal(signal.SIGHUP)
        time.sleep(AGAIN_S + 0.1)
        assert process.poll() is None
        process.send_signal(second)
        _, error = process.communicate(timeout=BOUND_S)
    assert process.returncode == 130
    assert (
        error
        == "interrupted again: ended at once; what was measured is kept, and servers that still run are being ended\n"
    )


def test_a_report_interrupted_in_the_midst_of_imports_says_how_to_go_on(tmp_path: Path) -> None:
    result = measured(tmp_path / "r", suite_with(case_of("sync"), replicates=(1, 1))).path
    command = [sys.executable, str(ROOT / "bench.py"), "report", str(result)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while "matplotlib" not in Path(f"/proc/{process.pid}/maps").read_text():
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=BOUND_S)
    go_on = shlex.join(command)
    assert (process.returncode, error) == (130, f"interrupted by SIGINT: every run is kept; then: {go_on}\n")
    assert subprocess.run(shlex.split(go_on), check=False, capture_output=True).returncode == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("start", [[str(ROOT / "bench.py")], ["-m", "loopwise"]], ids=["bench.py", "-m"])
def test_an_interruption_of_our_own_imports_is_one_line(
    start: list[str], number: signal.Signals, tmp_path: Path
) -> None:
    (tmp_path / "typer.py").write_text("import time\nprint('importing', flush=True)\ntime.sleep(60)\n")
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    command, pipe = [sys.executable, *start], subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, env=env, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "importing\n"
        process.send_signal(number)
        assert process.communicate(timeout=BOUND_S) == ("", f"interrupted by {number.name}\n")
    assert process.returncode == 130 == Interrupted.exit_status
