"""End what a dead harness has left: `python watchdog.py GRACE_S`, which reads its standard input.

A process that the harness starts is signalled when the harness dies (launch.py), but it may not heed that: its event
loop hangs, it shuts down slowly, it is suspended, or it has started processes of its own. So this program knows every
process that the harness has started and not yet seen to end: a line `+ MARK PID` adds one, `- MARK` removes it. At the
end of its input, however that came, what is left gets SIGTERM, and SIGKILL after a grace period. Then the harness's
temporary folders are removed: `/+ PATH` adds one, `/- PATH` takes it away, the path in hexadecimal digits.

To a process belong its session and group, its descendants, and all that inherited its mark in the environment,
whatever session they made for themselves. Standard library only: it starts in 20 ms.
"""

import atexit
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

MARK = "LOOPWISE_PROCESS"
"""Environment variable with the mark of a started process, always of the same length."""
OWN_APP_GRACE_S = 5.0
"""Time for a user's own app to shut down, whether the harness lives (lifecycle.py) or not."""
KILL_S = 5.0
"""Time for killed processes to end, and for those that they started meanwhile."""
POLL_S = 0.05
PROC = Path("/proc")


class _Row(NamedTuple):
    """A living process."""

    parent: int
    group: int
    session: int
    started: int
    """With the id it names a process for ever: ids are used again."""


class Watchdog:
    """The harness's end of the watchdog, which is started with the first process that it watches.

    Args:
        grace_s: time from SIGTERM to SIGKILL.
    """

    def __init__(self, grace_s: float = OWN_APP_GRACE_S) -> None:
        self._grace_s = grace_s
        self._lock = threading.Lock()
        self._watched: dict[str, int] = {}
        self._folders: set[str] = set()
        self._process: subprocess.Popen[str] | None = None

    def watch(self, mark: str, pid: int = 0) -> None:
        """End the process with this mark if the harness dies; its id follows when it is known."""
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                self._start()
            self._watched[mark] = pid
            self._write(f"+ {mark} {pid}")

    def forget(self, mark: str) -> None:
        """Leave a process alone that has ended."""
        with self._lock:
            if self._watched.pop(mark, None) is not None:
                self._write(f"- {mark}")

    def watch_folder(self, path: Path) -> None:
        """Remove the folder if the harness dies while, or after, it watches a process."""
        with self._lock:
            name = os.fsencode(path.absolute()).hex()
            self._folders.add(name)
            self._write(f"/+ {name}")

    def forget_folder(self, path: Path) -> None:
        """Leave a folder alone that has been removed."""
        with self._lock:
            name = os.fsencode(path.absolute()).hex()
            self._folders.discard(name)
            self._write(f"/- {name}")

    def mark_of(self, pid: int) -> str | None:
        """The mark of a watched process."""
        with self._lock:
            return next((mark for mark, each in self._watched.items() if each == pid), None)

    def close(self) -> None:
        """End the watchdog, and whatever it still knows."""
        with self._lock:
            if self._process is not None and self._process.stdin is not None:
                with suppress(BrokenPipeError):
                    self._process.stdin.close()
                self._process.wait()
                self._process = None

    def _start(self) -> None:
        if self._process is None:
            atexit.register(self.close)
        elif self._process.stdin is not None:
            with suppress(BrokenPipeError):
                self._process.stdin.close()
        # Its own session: what ends the harness's terminal does not end it. No terminal: nobody waits for its output.
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__, str(self._grace_s)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
            bufsize=1,
            start_new_session=True,
        )
        for mark, pid in self._watched.items():
            self._write(f"+ {mark} {pid}")
        for name in self._folders:
            self._write(f"/+ {name}")

    def _write(self, line: str) -> None:
        if self._process is not None and self._process.stdin is not None:
            with suppress(BrokenPipeError):  # it was killed: the next process starts another
                self._process.stdin.write(f"{line}\n")


def members(watched: Mapping[str, int], known: Iterable[tuple[int, int]] = ()) -> set[tuple[int, int]]:
    """Living processes, each with its start time, that belong to watched ones (mark -> id) or are known to.

    Empty where the system has no /proc.
    """
    table = _table()
    roots = set(watched.values()) - {0}
    found = {pid for pid, row in table.items() if {row.session, row.group} & roots or (pid, row.started) in set(known)}
    marks = [f"{MARK}={mark}".encode() for mark in watched]
    found |= {pid for pid in table.keys() - found if _has_mark(pid, marks)}
    while children := {pid for pid, row in table.items() if row.parent in found} - found:
        found |= children
    return {(pid, table[pid].started) for pid in found - {os.getpid()}}


def _table() -> dict[int, _Row]:
    """The living processes by id; zombies have ended."""
    table = {}
    for folder in PROC.iterdir() if PROC.is_dir() else ():
        if folder.name.isdecimal():
            with suppress(OSError):
                fields = (folder / "stat").read_bytes().rpartition(b")")[2].split()
                if fields[0] not in {b"Z", b"X"}:
                    table[int(folder.name)] = _Row(*(int(fields[at]) for at in (1, 2, 3, 19)))
    return table


def _has_mark(pid: int, marks: Iterable[bytes]) -> bool:
    try:
        variables = (PROC / str(pid) / "environ").read_bytes().split(b"\0")
    except OSError:  # it has ended, or is somebody else's
        return False
    return any(mark in variables for mark in marks)


def main(lines: Iterable[str], grace_s: float) -> None:
    """Read the lines to their end, then end what is left, and remove what it worked in."""
    watched: dict[str, int] = {}
    folders: set[str] = set()
    for line in lines:
        sign, mark, *pid = line.split()
        if sign == "+":
            watched[mark] = int(pid[0])
        elif sign == "-":
            watched.pop(mark, None)
        elif sign == "/+":
            folders.add(mark)
        else:
            folders.discard(mark)
    if watched:
        _end_all(watched, grace_s)
    for name in folders:
        shutil.rmtree(bytes.fromhex(name), ignore_errors=True)


def _end_all(watched: Mapping[str, int], grace_s: float) -> None:
    known = members(watched)
    _signal(watched, known, signal.SIGTERM)
    _signal(watched, known, signal.SIGCONT)  # a suspended process receives SIGTERM only when it goes on
    deadline_s = time.monotonic() + grace_s
    while (left := members(watched, known)) and time.monotonic() < deadline_s:
        known |= left
        time.sleep(POLL_S)
    deadline_s = time.monotonic() + KILL_S
    _signal(watched, left, signal.SIGKILL)
    while (left := members(watched, known)) and time.monotonic() < deadline_s:
        _signal({}, left, signal.SIGKILL)
        time.sleep(POLL_S)


def _signal(watched: Mapping[str, int], found: Iterable[tuple[int, int]], number: signal.Signals) -> None:
    for pid, _ in found:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)
    for group in () if PROC.is_dir() else set(watched.values()) - {0}:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, number)


if __name__ == "__main__":
    main(sys.stdin, float(sys.argv[1]))
