"""Kill suspended servers after the death of the harness: `python watchdog.py`, which reads its standard input.

A server ends when it is signalled that its parent has (launch.py). A suspended server does not receive that signal and
would remain for ever if the harness were killed. So while servers are suspended, this program knows them: a line
`+ PID` adds a process group, `- PID` removes it, and at the end of its input, for whatever reason, the groups left are
killed. Standard library only: it starts in 20 ms.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress


class Watchdog:
    """The harness's end of the watchdog; leaving it kills the groups that it still knows."""

    def __enter__(self) -> "Watchdog":
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
        """Kill this process group if the harness dies."""
        self._write("+", group)

    def forget(self, group: int) -> None:
        """Leave this process group alone: it has ended, or has been resumed."""
        self._write("-", group)

    def _write(self, sign: str, group: int) -> None:
        with suppress(BrokenPipeError):  # the watchdog was killed: then there is none
            self._lines.write(f"{sign} {group}\n")


def main(lines: Iterable[str]) -> None:
    """Read the lines to their end, then kill the groups that are left."""
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
