"""Start processes that end with the harness; suspend, resume and end whole process trees."""

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import psutil

from loopwise.interrupts import uninterrupted
from loopwise.results.files import open_to_append
from loopwise.servers.watchdog import MARK, Watchdog, members

POLL_S = 0.005
KILL_TIMEOUT_S = 5.0
"""A killed process ends at once, unless the kernel holds it, and then nothing helps."""
SUPERVISOR_LEAD_S = 0.02
"""Time for workers to answer their supervisor's ping."""
READY_PATH = "/.loopwise/ready"
"""What the harness asks a server until it answers (target_app/probe.py); an access log may be full of it."""
LAUNCHER = Path(__file__).with_name("launch.py")
WATCHDOG = Watchdog()
"""Knows every process from its start until it has been seen to end."""


@contextmanager
def temporary_folder(*, prefix: str = "loopwise-", parent: Path | None = None) -> Iterator[Path]:
    """A new folder for the duration of a `with` block; if the harness dies in it, the watchdog removes the folder."""
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    WATCHDOG.watch_folder(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        WATCHDOG.forget_folder(folder)


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
    with open_to_append(log) as sink:
        output = sink if stdout is None else stdout
        return _spawn(argv, cores, env, stdin=stdin, stdout=output, stderr=sink, cwd=cwd)


def ask(
    argv: Sequence[str],
    *,
    timeout_s: float,
    question: str = "",
    env: Mapping[str, str] | None = None,
    cwd: str | Path | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end as `start` does, and end whatever it has started.

    Raises:
        subprocess.TimeoutExpired: it took longer.
    """
    pipe = subprocess.PIPE
    process = _spawn(argv, (), env, stdin=pipe, stdout=pipe, stderr=pipe, cwd=cwd)
    try:
        answer, errors = process.communicate(question, timeout_s)
    finally:
        end(process, grace_s=0.0)
    return subprocess.CompletedProcess(argv, process.returncode, answer, errors)


def _spawn(
    argv: Sequence[str], cores: Sequence[int], env: Mapping[str, str] | None, **options: Any
) -> subprocess.Popen[str]:
    """Start a program under the eyes of the watchdog, which knows it before it runs."""
    pinned, mark = ",".join(map(str, cores)) or "-", secrets.token_hex(8)
    WATCHDOG.watch(mark)
    try:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(LAUNCHER), str(os.getpid()), pinned, *argv],
            env={**(os.environ if env is None else env), MARK: mark},
            text=True,
            errors="replace",
            start_new_session=True,
            **options,
        )
    except BaseException:
        WATCHDOG.forget(mark)
        raise
    WATCHDOG.watch(mark, process.pid)
    return process


def end(process: subprocess.Popen[str], *, grace_s: float, root_alone: bool = False) -> None:
    """End a process and all its descendants: SIGTERM, and SIGKILL for those left after the grace period.

    Args:
        process: as `start` returned it.
        grace_s: 0: SIGKILL at once.
        root_alone: send SIGTERM to the process alone; it ends its children itself.
    """
    with uninterrupted():
        mark = WATCHDOG.mark_of(process.pid)
        living = family(process.pid)
        if grace_s > 0:
            if root_alone:
                process.terminate()
            else:
                _signal_group(process, signal.SIGTERM)
            # A suspended process receives SIGTERM only after it has been resumed.
            _signal_group(process, signal.SIGCONT)
            _wait(living, grace_s)
        _signal_group(process, signal.SIGKILL)
        living += family(process.pid) + _strays(process, mark)
        for member in living:
            with suppress(psutil.NoSuchProcess):
                member.kill()
        process.wait()
        _wait(living, KILL_TIMEOUT_S)
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()
        if mark is not None and not any(map(_runs, living)):
            WATCHDOG.forget(mark)


def suspend(roots: Iterable[subprocess.Popen[str]]) -> None:
    """Suspend processes with all their descendants (SIGSTOP): they get no CPU until `resume`.

    A supervisor is suspended a moment before its children, so that their answers await it when it resumes.
    """
    families = [family(root.pid) for root in roots]
    _signal_all((members[0] for members in families if members), signal.SIGSTOP)
    if any(len(members) > 1 for members in families):
        time.sleep(SUPERVISOR_LEAD_S)
    _signal_all((member for members in families for member in members[1:]), signal.SIGSTOP)


def resume(roots: Iterable[subprocess.Popen[str]]) -> None:
    """Resume suspended processes, children a moment before their supervisor, which must not take them for dead."""
    families = [family(root.pid) for root in roots]
    _signal_all((member for members in families for member in members[1:]), signal.SIGCONT)
    if any(len(members) > 1 for members in families):
        time.sleep(SUPERVISOR_LEAD_S)
    _signal_all((members[0] for members in families if members), signal.SIGCONT)


def _signal_all(members: Iterable[psutil.Process], number: signal.Signals) -> None:
    for member in members:
        with suppress(psutil.NoSuchProcess):
            member.send_signal(number)


def _wait(members: Sequence[psutil.Process], timeout_s: float) -> None:
    """Wait until all have ended. Zombies count as ended: their new parent may reap them late."""
    deadline_s = time.monotonic() + timeout_s
    while any(map(_runs, members)) and time.monotonic() < deadline_s:
        time.sleep(POLL_S)


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def family(pid: int) -> list[psutil.Process]:
    """A process and all its descendants; [] if it has ended."""
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _strays(process: subprocess.Popen[str], mark: str | None) -> list[psutil.Process]:
    """Processes that it has started, and that are no longer its descendants."""
    found = []
    for pid, _ in members({mark: process.pid}) if mark is not None else ():
        with suppress(psutil.NoSuchProcess):
            found.append(psutil.Process(pid))
    return found


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
    return "\n".join(f"    {line}" for line in lines_of(log)[-count:])


def lines_of(log: Path, begin: int = 0) -> list[str]:
    """The lines of a log from a byte on, without those about our own requests; [] where there is no log."""
    try:
        written = log.read_bytes()[begin:].decode(errors="replace")
    except OSError:
        return []
    return [line for line in written.strip().splitlines() if READY_PATH not in line]
