"""Start processes that end when we do, and end them with everything they started."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import psutil

LAUNCHER = Path(__file__).with_name("launch.py")


def start(
    argv: Sequence[str],
    *,
    log: Path,
    env: Mapping[str, str] | None = None,
    cwd: str | Path | None = None,
    stdin: int | IO[Any] = subprocess.DEVNULL,
    stdout: int | None = None,
) -> subprocess.Popen[str]:
    """Start a program in a session of its own (Ctrl-C in our terminal is ours alone), its output appended to a log.

    Args:
        argv: program and arguments.
        log: file for stderr, and for stdout unless that is redirected.
        env: the whole environment; None: ours.
        cwd: working directory.
        stdin: as in subprocess.
        stdout: as in subprocess; None: the log.
    """
    with log.open("ab") as sink:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", str(LAUNCHER), str(os.getpid()), *argv],
            stdin=stdin,
            stdout=sink if stdout is None else stdout,
            stderr=sink,
            env=None if env is None else dict(env),
            cwd=cwd,
            text=True,
            start_new_session=True,
        )


def end(process: subprocess.Popen[str], *, grace_s: float) -> None:
    """End a process and all its descendants: SIGTERM, and SIGKILL for what is left after the grace period."""
    family = _family(process)
    if grace_s > 0:
        _signal_group(process, signal.SIGTERM)
        psutil.wait_procs(family, timeout=grace_s)
    _signal_group(process, signal.SIGKILL)
    for member in family + _family(process):
        with suppress(psutil.NoSuchProcess):
            member.kill()
    process.wait()
    psutil.wait_procs(family, timeout=5)
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(BrokenPipeError):
                pipe.close()


def _family(process: subprocess.Popen[str]) -> list[psutil.Process]:
    try:
        root = psutil.Process(process.pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _signal_group(process: subprocess.Popen[str], number: signal.Signals) -> None:
    """Signal the whole session we made for the process, which workers stay in even when their parent has ended."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def last_lines(log: Path, count: int = 12) -> str:
    """The end of a log, for an error's message."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    except OSError:
        return ""
    return "\n".join(f"    {line}" for line in lines[-count:])
