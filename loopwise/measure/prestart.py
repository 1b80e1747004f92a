"""Starts the servers of coming runs before their turn, and holds them still while something is measured.

A server needs a second of CPU to start; a run that waits for it spends half its time on that. So the next ones start
during warm-ups and between runs. While a window is open they are stopped (SIGSTOP): a process that is stopped gets no
CPU at all, and disturbs nobody. Should the harness be killed meanwhile, the guard kills those that wait.
"""

import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from loopwise.errors import ServerError
from loopwise.model import PlannedRun
from loopwise.servers import processes
from loopwise.servers.lifecycle import RunningServer
from loopwise.servers.watchdog import Guard

DEPTH = 4
"""Servers that may wait at a time: warm-ups of blocked loops are long enough to start as many."""

Key = tuple[str, int, int]


@dataclass(eq=False)
class Start:
    """A server that was started, is being started, or could not be."""

    hold: Callable[[], float] = lambda: 0.0
    """Waits while nothing may be started; the seconds that it waited."""
    stack: ExitStack = field(default_factory=ExitStack)
    """Ends the server when it is closed."""
    process: "subprocess.Popen[str] | None" = None
    server: RunningServer | None = None
    error: Exception | None = None
    was_held: bool = False
    """It was stopped in the middle: what failed then proves nothing."""
    is_held: Callable[[], bool] = lambda: False
    guard: Guard | None = None
    """Knows the server while it may be stopped."""

    def note(self, process: "subprocess.Popen[str]") -> None:
        """The process is there, ready or not."""
        self.process = process
        if self.guard is not None:
            self.guard.watch(process.pid)
        self.stack.callback(self.release)
        if self.is_held():
            processes.freeze([process])
        self.stack.callback(processes.end, process, grace_s=0.0)

    def release(self) -> None:
        """The server has ended, or is stopped no more: it needs no guard."""
        if self.guard is not None and self.process is not None:
            self.guard.forget(self.process.pid)
            self.guard = None

    def end(self) -> None:
        """End the server, if there is one."""
        self.stack.close()


Begin = Callable[[PlannedRun, Start], RunningServer]
"""Starts a run's server; whatever ends it is put on the start's stack. May raise RunError."""


class Ahead:
    """Servers of coming runs.

    Args:
        begin: starts one; called from a thread of this object, or from the one that takes.
        depth: how many may wait; 0 starts none before its turn.
    """

    def __init__(self, begin: Begin, depth: int = DEPTH) -> None:
        self._begin = begin
        self._depth = depth
        self._coming: list[PlannedRun] = []
        self._ready: dict[Key, Start] = {}
        self._frozen: list[Start] = []
        self._starting: tuple[Key, Start] | None = None
        self._is_allowed = False
        self._is_closed = False
        self._changed = threading.Condition()
        # One thread for all: Linux ends a child together with the thread that started it (PR_SET_PDEATHSIG).
        self._thread = threading.Thread(target=self._work, name="ahead", daemon=True)
        self._guard: Guard | None = None
        self._guarding = ExitStack()

    def __enter__(self) -> "Ahead":
        if self._depth:
            self._guard = self._guarding.enter_context(Guard())
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End what waits, and what is being started."""
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
        self._guarding.close()

    def expect(self, coming: Sequence[PlannedRun]) -> None:
        """Say which runs come next, in order; servers that wait for one of them stay, others are ended."""
        with self._changed:
            wanted = {key_of(each) for each in coming}
            stale = [self._ready.pop(key) for key in set(self._ready) - wanted]
            self._frozen = [each for each in self._frozen if each not in stale]
            known = set(self._ready) | ({self._starting[0]} if self._starting else set())
            self._coming = [each for each in coming if key_of(each) not in known]
            self._changed.notify_all()
        for start in stale:
            start.end()

    def take(self, planned: PlannedRun) -> Start:
        """The run's server, started by now or in this call; ending it is the caller's business.

        Raises:
            RunError: it could not be started.
        """
        key = key_of(planned)
        with self._changed:
            self._coming = [each for each in self._coming if key_of(each) != key]
            is_at_hand = self._starting is not None and self._starting[0] == key
        if is_at_hand and self._is_paused():
            self.go_on()  # the window that it is held for never closed: nobody else would say so
        with self._changed:
            while self._starting is not None and self._starting[0] == key:
                self._changed.wait()
            start = self._ready.pop(key, None)
            self._changed.notify_all()  # there is room for another
        if start is not None and start.error is not None and start.was_held:
            start.end()
            start = None
        if start is None:
            start = Start()
            try:
                self._carry_out(planned, start)
            except BaseException:  # an interrupt: nobody else knows this start
                start.end()
                raise
        if start in self._frozen:
            # The window that it was stopped for never closed.
            self._frozen.remove(start)
            _signal([start], processes.thaw)
        if start.error is not None:
            start.end()
            raise start.error
        start.release()
        return start

    def pause(self) -> None:
        """Start no other server, and stop those that wait and the one that is being started."""
        with self._changed:
            self._is_allowed = False
            if self._starting is not None:
                self._starting[1].was_held = True
            self._frozen = [*self._ready.values(), *([self._starting[1]] if self._starting else [])]
        _signal(self._frozen, processes.freeze)

    def go_on(self) -> None:
        """Let those that wait run again, and start further ones."""
        frozen, self._frozen = self._frozen, []
        _signal(frozen, processes.thaw)
        with self._changed:
            self._is_allowed = True
            self._changed.notify_all()

    def _is_paused(self) -> bool:
        return not (self._is_allowed or self._is_closed)

    def _hold(self) -> float:
        began_s = time.monotonic()
        with self._changed:
            while self._is_paused():
                self._changed.wait()
        return time.monotonic() - began_s

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._is_closed and not self._may_start():
                    self._changed.wait()
                if self._is_closed:
                    return
                planned, start = (
                    self._coming.pop(0),
                    Start(self._hold, is_held=self._is_paused, guard=self._guard),
                )
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
            start.error = ServerError(
                f"the server can't be started: {error}; is a folder gone, or the disk full?"
            )
        except Exception as error:  # whatever it is belongs to the run's turn, not to this thread
            start.error = error


def _signal(starts: Sequence[Start], action: Callable[[Sequence["subprocess.Popen[str]"]], None]) -> None:
    action([each.process for each in starts if each.process is not None])


def key_of(planned: PlannedRun) -> Key:
    """What tells a planned run from the others."""
    return planned.case_id, planned.replicate, planned.attempt
