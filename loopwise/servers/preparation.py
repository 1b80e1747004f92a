"""Run the command that restores an app's data before each replicate (`before_replicate`)."""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from loopwise.errors import ServerError
from loopwise.model import Case, Command, Server
from loopwise.servers import processes
from loopwise.servers.environment import base_environment
from loopwise.servers.fresh import Copies

TIMEOUT_S = 600.0
"""Enough to restore a large database; only a command that waits for something exceeds it."""
SHELL = "/bin/sh"


def prepare(cases: Sequence[Case], replicate: int, log: Path) -> None:
    """Run what cases want to be run before a replicate, while none of their servers runs; the same command once.

    Args:
        cases: of a run one, of a round both sides.
        replicate: its number, variable LOOPWISE_REPLICATE of the commands.
        log: file that their output is appended to.

    Raises:
        ServerError: a command can't be started, fails, or takes longer than TIMEOUT_S.
    """
    done: list[tuple[Command, dict[str, str]]] = []
    for case in cases:
        command = case.before_replicate
        env = base_environment(case.server or Server(), Copies()) | {"LOOPWISE_REPLICATE": str(replicate)}
        if command is not None and (command, env) not in done:
            _run(command, env, log)
            done.append((command, env))


def _run(command: Command, env: Mapping[str, str], log: Path) -> None:
    name = f"before_replicate `{command.text}`"
    size = log.stat().st_size if log.exists() else 0
    try:
        process = processes.start([SHELL, "-c", command.text], log=log, env=env, cwd=command.folder)
    except OSError as error:
        raise ServerError(f"{name} can't be started in {command.folder}: {error.strerror}; restore it") from None
    try:
        status = process.wait(TIMEOUT_S)
    except subprocess.TimeoutExpired:
        raise ServerError(
            f"{name} did not end within {TIMEOUT_S:g} s; start what shall keep running in the background"
        ) from None
    finally:
        if process.poll() is None:
            processes.end(process, grace_s=1.0)
    if status:
        lines = processes.lines_of(log, size)
        said = f"; it printed: {' '.join(lines[-1].split())[:200]}" if lines else ""
        raise ServerError(f"{name} ended with status {status}, so nothing was measured{said}; correct the command")
