"""Starts the servers of coming runs before their turn, and suspends them while a window is open.

A server needs about a second of CPU to start; a run that waits for it spends half its time on that. So the next servers
start during warm-ups and between runs. While a window is open they are suspended (SIGSTOP): a suspended process gets no
CPU and disturbs nothing. If the harness is killed meanwhile, the watchdog ends the suspended servers.
"""

import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from loopwise.errors import ServerError
from loopwise.interrupts import uninterrupted
from loopwise.measure.plan import Key, key_of
from loopwise.model import PlannedRun
from loopwise.servers import processes
from loopwise.servers.lifecycle import RunningServer

DEPTH = 4
"""Servers that may wait at a time; warm-ups of blocked loops are long enough to start as many."""


@dataclass(eq=False)
class Start:
    """Start of a server: going on, done or failed."""

    hold: Callable[[], float] = lambda: 0.0
    """Waits while starts are suspended; returns the seconds that it waited."""
    stack: ExitStack = field(default_factory=ExitStack)
    """Ends the server when it is closed."""
    process: "subprocess.Popen[str] | None" = None
    server: RunningServer | None = None
    error: Exception | None = None
    was_suspended: bool = False
    """It was suspended in the middle, so a failure proves nothing."""
    is_suspended: Callable[[], bool] = lambda: False

    def note(self, process: "subprocess.Popen[str]") -> None:
        """Keep the process, which may not be ready yet."""
        self.process = process
        if self.is_suspended():
            processes.suspend([process])
        self.stack.callback(processes.end, process, grace_s=0.0)

    def end(self) -> None:
        """End the server if there is one."""
        self.stack.close()


Begin = Callable[[PlannedRun, Start], RunningServer]
"""Starts a run's server, and puts what ends it on the start's stack. May raise RunError."""


class Prestart:
    """Starts servers of coming runs in a thread.

    Args:
        begin: starts one; called in the thread of this object, or in the one that calls `take`.
        depth: how many may wait; 0: none is started before its turn.
    """

    def __init__(self, begin: Begin, depth: int = DEPTH) -> None:
        self._begin = begin
        self._depth = depth
        self._coming: list[PlannedRun] = []
        self._ready: dict[Key, Start] = {}
        self._suspended: list[Start] = []
        self._starting: tuple[Key, Start] | None = None
        self._is_allowed = False
        self._is_closed = False
        self._changed = threading.Condition()
        # One thread for all: Linux ends a child together with the thread that started it (PR_SET_PDEATHSIG).
        self._thread = threading.Thread(target=self._work, name="prestart", daemon=True)

    def __enter__(self) -> "Prestart":
        if self._depth:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End servers that wait or are being started."""
        with uninterrupted():
            with self._changed:
                self._is_closed = True
                self._changed.notify_all()
            while self._thread.is_alive():
                # The thread ends as soon as the server that it waits for is dead.
                with self._changed:
                    starting = self._starting
                if starting is not None:
                    starting[1].end()
                self._thread.join(0.05)
            for start in self._ready.values():
                start.end()
            self._ready.clear()

    @property
    def waiting(self) -> int:
        """Servers that wait for their turn, failed starts included."""
        with self._changed:
            return len(self._ready)

    def expect(self, coming: Sequence[PlannedRun]) -> None:
        """Set the coming runs, in order. Waiting servers of other runs are ended."""
        with self._changed:
            wanted = {key_of(each) for each in coming}
            stale = [self._ready.pop(key) for key in set(self._ready) - wanted]
            self._suspended = [each for each in self._suspended if each not in stale]
            begun = set(self._ready) | ({self._starting[0]} if self._starting else set())
            self._coming = [each for each in coming if key_of(each) not in begun]
            self._changed.notify_all()
        for start in stale:
            start.end()

    def take(self, planned: PlannedRun) -> Start:
        """Hand over the run's server, and start it if that has not been done; the caller ends it.

        Raises:
            RunError: it could not be started.
        """
        key = key_of(planned)
        with self._changed:
            self._coming = [each for each in self._coming if key_of(each) != key]
            is_at_hand = self._starting is not None and self._starting[0] == key
        if is_at_hand and self._must_wait():
            self.resume()  # the window that it waits for never closed
        with self._changed:
            while self._starting is not None and self._starting[0] == key:
                self._changed.wait()
            start = self._ready.pop(key, None)
            self._changed.notify_all()  # there is room for another
        if start is not None and start.error is not None and start.was_suspended:
            start.end()
            start = None
        if start is None:
            start = Start()
            try:
                self._carry_out(planned, start)
            except BaseException:  # an interrupt: nothing else would end this start
                start.end()
                raise
        if start in self._suspended:
            # The window that it was suspended for never closed.
            self._suspended.remove(start)
            _signal([start], processes.resume)
        if start.error is not None:
            start.end()
            raise start.error
        return start

    def suspend(self) -> None:
        """Start no further server, and suspend those that wait or are being started."""
        with self._changed:
            self._is_allowed = False
            if self._starting is not None:
                self._starting[1].was_suspended = True
            self._suspended = [*self._ready.values(), *([self._starting[1]] if self._starting else [])]
        _signal(self._suspended, processes.suspend)

    def resume(self) -> None:
        """Resume suspended servers, and start further ones."""
        suspended, self._suspended = self._suspended, []
        _signal(suspended, processes.resume)
        with self._changed:
            self._is_allowed = True
            self._changed.notify_all()

    def _must_wait(self) -> bool:
        return not (self._is_allowed or self._is_closed)

    def _hold(self) -> float:
        began_s = time.monotonic()
        with self._changed:
            while self._must_wait():
                self._changed.wait()
        return time.monotonic() - began_s

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._is_closed and not self._may_start():
                    self._changed.wait()
                if self._is_closed:
                    return
                planned = self._coming.pop(0)
                start = Start(self._hold, is_suspended=self._must_wait)
                self._starting = key_of(planned), start
            self._carry_out(planned, start)
            with self._changed:
                self._ready[key_of(planned)] = start
                self._starting = None
                self._changed.notify_all()

    def _may_start(self) -> bool:
        return self._is_allowed and bool(self._coming) and len(self._ready) < self._depth

    def _carry_out(self, planned: PlannedRun, start: Start) -> None:
        try:
            start.server = self._begin(planned, start)
        except OSError as error:
            start.error = ServerError(f"the server can't be started: {error}; is a folder gone, or the disk full?")
        except Exception as error:  # raised at the run's turn, not in this thread
            start.error = error


def _signal(starts: Sequence[Start], action: Callable[[Sequence["subprocess.Popen[str]"]], None]) -> None:
    action([each.process for each in starts if each.process is not None])
