"""Kills servers that stand still when the harness is gone: `python guard.py`, told by its standard input.

A server ends when it hears that its parent did (launch.py). One that is stopped (`processes.freeze`) hears nothing, and
would stand there for ever after a harness that was killed. So while servers wait stopped, this small program knows
them: a line `+ PID` names a process group, `- PID` takes it back, and at the end of its input, whatever ended it, the
groups that are left are killed. Standard library only: it starts in 20 ms.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress


class Guard:
    """The harness's end of the guard; leaving it ends the guard, and all that is still named."""

    def __enter__(self) -> "Guard":
        reading, writing = os.pipe()
        try:
            argv = [sys.executable, "-I", "-S", __file__]
            self._process = subprocess.Popen(argv, stdin=reading, start_new_session=True)
        finally:
            os.close(reading)
        self._lines = os.fdopen(writing, "w", buffering=1)
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(BrokenPipeError):
            self._lines.close()
        self._process.wait()

    def watch(self, group: int) -> None:
        """From now on this process group dies with the harness."""
        self._tell("+", group)

    def forget(self, group: int) -> None:
        """It no longer does: it ended, or hears of its parent's end by itself."""
        self._tell("-", group)

    def _tell(self, sign: str, group: int) -> None:
        with suppress(BrokenPipeError):  # somebody killed the guard: then there is none
            self._lines.write(f"{sign} {group}\n")


def main(lines: Iterable[str]) -> None:
    """Follow the lines to their end, then kill what they left."""
    watched: set[int] = set()
    for line in lines:
        sign, group = line.split()
        if sign == "+":
            watched.add(int(group))
        else:
            watched.discard(int(group))
    for left in watched:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(left, signal.SIGKILL)


if __name__ == "__main__":
    main(sys.stdin)
