"""The command line in this process, for thousands of inputs, where it starts nothing; what is wrong with its ending."""

import contextlib
import io
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple
from unittest import mock

from support.suite import FakeTarget

from loopwise import cli, suite
from loopwise.errors import RunError
from loopwise.report.charts.kit.chart import InlinePanel

HANGS_S = 60.0
"""No command on a small input takes so long, on a busy machine either."""
MEASURES = (
    "loopwise.cli.run.execute",
    "loopwise.measure.duel.fight",
    "loopwise.calibrate.calibration.calibrate",
    "loopwise.selftest.trials.run_blocks",
    "loopwise.selftest.trials.run_duels",
    "loopwise.blame.session.blame",
    "loopwise.claims.examine.Examiner.examine",
    "loopwise.measure.asking.ask_all",
    "loopwise.generator.client.GeneratorProcess",
    "loopwise.suite.own_app._ask",
    "loopwise.calibrate.doctor.diagnose",
    "loopwise.servers.target._ask",
    "subprocess.Popen",
)
"""Functions that start processes: none is reached by a fuzzed command."""


class Spoke(NamedTuple):
    """Exit status, stdout and stderr of a command."""

    status: int
    out: str
    err: str


class HungError(BaseException):
    """A command did not end; no `except Exception` holds it."""


def _hung(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise HungError(f"did not end within {HANGS_S:g} s")


def command(*arguments: str | Path) -> Spoke:
    """Carry out a command.

    Raises:
        HungError: it did not end.
    """
    out, err = io.StringIO(), io.StringIO()
    before = signal.signal(signal.SIGALRM, _hung)
    signal.setitimer(signal.ITIMER_REAL, HANGS_S)
    try:
        with (
            mock.patch.object(sys, "argv", ["bench.py", *map(str, arguments)]),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            cli.main()
    except SystemExit as ended:
        code = ended.code
        return Spoke(code if isinstance(code, int) else 0 if code is None else 1, out.getvalue(), err.getvalue())
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    return Spoke(0, out.getvalue(), err.getvalue())


def faults_of(spoke: Spoke, allowed: Sequence[int] = (0, 1, 2, 3)) -> list[str]:
    """What is wrong with how a command ended: a status that is not documented, a traceback, more than a sentence."""
    problems = []
    if spoke.status not in allowed:
        problems.append(f"status {spoke.status}: {spoke.err[-600:]!r}")
    if "Traceback" in spoke.err or "Traceback" in spoke.out:
        problems.append(f"a traceback: {(spoke.err + spoke.out)[-600:]!r}")
    is_sentence = spoke.err.startswith("error: ") and spoke.err.endswith("\n")
    if spoke.status == 2 and not is_sentence and "Usage: " not in spoke.err:
        problems.append(f"no sentence: {spoke.err[:600]!r}")
    if len(spoke.err) > 20_000:
        problems.append(f"an error of {len(spoke.err)} characters: {spoke.err[:300]!r}")
    return problems


def _refuse(*_: object, **__: object) -> Any:
    raise RunError("here nothing is started")


def _undrawn(figure: object, title: str, panels: Sequence[Any], files: tuple[Path, Path]) -> tuple[InlinePanel, ...]:
    """Panels as Chart's own function makes them, whose drawing takes most of a report's time."""
    del figure, title
    for path in files:
        path.touch()
    return tuple(InlinePanel("<svg></svg>", panel.describe()) for panel in panels)


@contextmanager
def nothing_starts(folder: Path) -> Iterator[None]:
    """Within a `with` block no command starts a process, and the working directory is the folder."""
    loading = suite.load_suite

    def load(name: str, overrides: Sequence[str] = (), **options: Any) -> Any:
        return loading(name, overrides, **{"describe": FakeTarget(), **options})

    with ExitStack() as stack:
        for place in MEASURES:
            stack.enter_context(mock.patch(place, _refuse))
        stack.enter_context(mock.patch("loopwise.generator.client.refuse_scripts"))
        stack.enter_context(mock.patch("loopwise.suite.load_suite", load))
        stack.enter_context(mock.patch("loopwise.report.charts.kit.chart._save_sheet", _undrawn))
        stack.enter_context(mock.patch.dict(os.environ, {"XDG_STATE_HOME": str(folder / "state"), "NO_COLOR": "1"}))
        stack.enter_context(contextlib.chdir(folder))
        yield
