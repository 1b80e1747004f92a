"""Start processes that end with the harness; suspend, resume and end whole process trees."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import psutil

from loopwise.results.files import open_to_append

POLL_S = 0.005
KILL_TIMEOUT_S = 5.0
"""A killed process ends at once, unless the kernel holds it, and then nothing helps."""
SUPERVISOR_LEAD_S = 0.02
"""Time for workers to answer their supervisor's ping."""
LAUNCHER = Path(__file__).with_name("launch.py")


def start(
    argv: Sequence[str],
    *,
    log: Path,
    env: Mapping[str, str] | None = None,
    cwd: str | Path | None = None,
    stdin: int | IO[Any] = subprocess.DEVNULL,
    stdout: int | None = None,
    cores: Sequence[int] = (),
) -> subprocess.Popen[str]:
    """Start a program in its own session (Ctrl-C in our terminal does not reach it), its output appended to a log.

    Args:
        argv: program and arguments.
        log: file for stderr, and for stdout unless that is redirected.
        env: the whole environment; None: our own.
        cwd: working directory.
        stdin: as in subprocess.
        stdout: as in subprocess; None: the log.
        cores: it and its children run on these alone; empty: on any.
    """
    pinned = ",".join(map(str, cores)) or "-"
    with open_to_append(log) as sink:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", str(LAUNCHER), str(os.getpid()), pinned, *argv],
            stdin=stdin,
            stdout=sink if stdout is None else stdout,
            stderr=sink,
            env=None if env is None else dict(env),
            cwd=cwd,
            text=True,
            start_new_session=True,
        )


def end(process: subprocess.Popen[str], *, grace_s: float, root_alone: bool = False) -> None:
    """End a process and all its descendants: SIGTERM, and SIGKILL for those left after the grace period.

    Args:
        process: as `start` returned it.
        grace_s: 0: SIGKILL at once.
        root_alone: send SIGTERM to the process alone; it ends its children itself.
    """
    with _uninterrupted():
        family = _family(process)
        if grace_s > 0:
            if root_alone:
                process.terminate()
            else:
                _signal_group(process, signal.SIGTERM)
            # A suspended process receives SIGTERM only after it has been resumed.
            _signal_group(process, signal.SIGCONT)
            _wait(family, grace_s)
        _signal_group(process, signal.SIGKILL)
        for member in family + _family(process):
            with suppress(psutil.NoSuchProcess):
                member.kill()
        process.wait()
        _wait(family, KILL_TIMEOUT_S)
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()


def suspend(roots: Iterable[subprocess.Popen[str]]) -> None:
    """Suspend processes with all their descendants (SIGSTOP): they get no CPU until `resume`.

    A supervisor is suspended a moment before its children, so that their answers await it when it resumes.
    """
    families = [_family(root) for root in roots]
    _signal_all((family[0] for family in families if family), signal.SIGSTOP)
    if any(len(family) > 1 for family in families):
        time.sleep(SUPERVISOR_LEAD_S)
    _signal_all((member for family in families for member in family[1:]), signal.SIGSTOP)


def resume(roots: Iterable[subprocess.Popen[str]]) -> None:
    """Resume suspended processes, children a moment before their supervisor, which must not take them for dead."""
    families = [_family(root) for root in roots]
    _signal_all((member for family in families for member in family[1:]), signal.SIGCONT)
    if any(len(family) > 1 for family in families):
        time.sleep(SUPERVISOR_LEAD_S)
    _signal_all((family[0] for family in families if family), signal.SIGCONT)


def _signal_all(members: Iterable[psutil.Process], number: signal.Signals) -> None:
    for member in members:
        with suppress(psutil.NoSuchProcess):
            member.send_signal(number)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Delay SIGINT and SIGTERM: an exception while processes are being ended would leave some of them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    caught: list[int] = []
    before = {
        each: signal.signal(each, lambda number, _: caught.append(number)) for each in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
        for number in caught[:1]:
            signal.raise_signal(number)


def _wait(family: Sequence[psutil.Process], timeout_s: float) -> None:
    """Wait until all have ended. Zombies count as ended: their new parent may reap them late."""
    deadline_s = time.monotonic() + timeout_s
    while any(map(_runs, family)) and time.monotonic() < deadline_s:
        time.sleep(POLL_S)


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _family(process: subprocess.Popen[str]) -> list[psutil.Process]:
    try:
        root = psutil.Process(process.pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _signal_group(process: subprocess.Popen[str], number: signal.Signals) -> None:
    """Signal the session made for the process; workers stay in it even when their parent has ended."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def quoted(log: Path) -> str:
    """The last lines of a log, as the end of an error's message."""
    lines = last_lines(log)
    return f"Its last lines:\n{lines}" if lines else "It printed nothing."


def last_lines(log: Path, count: int = 12) -> str:
    """The end of a log, indented."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    except OSError:
        return ""
    return "\n".join(f"    {line}" for line in lines[-count:])
