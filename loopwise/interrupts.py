"""Signals that ask to stop (Ctrl-C, SIGTERM, SIGHUP) as one exception, which arrives whatever swallows it at first.

An exception that a signal raises inside a destructor, a weak reference's callback or the import of a C extension gets
lost there. So a timer raises it again, until some code handles it: while that cleans up, nothing disturbs it.
"""

import os
import select
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from loopwise.errors import Interrupted

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
AGAIN_S = 0.3
"""A signal that follows sooner is the same request: `uv run` and others pass on what the terminal sends as well."""
REMIND_S = 0.1
SHOW_CURSOR = b"\x1b[?25h"
"""The progress display hides it."""
AT_ONCE = b"interrupted again: ended at once; what was measured is kept, and servers that still run are being ended\n"


@contextmanager
def interruptible() -> Iterator[None]:
    """Raise Interrupted in the main thread on SIGINT, SIGTERM or SIGHUP, once; SIGINT or SIGTERM again end the process.

    Under nohup, SIGHUP stays ignored.
    """
    requests, hook = _Requests(), sys.unraisablehook

    def report(unraisable: Any) -> None:
        if not isinstance(unraisable.exc_value, Interrupted):  # that one is raised again
            hook(unraisable)

    before = {number: signal.getsignal(number) for number in SIGNALS}
    if before[signal.SIGHUP] is signal.SIG_IGN:
        del before[signal.SIGHUP]
    _active.append(requests)
    sys.unraisablehook = report
    for number in before:
        signal.signal(number, requests.receive)
    try:
        yield
    finally:
        requests.close()
        for number, handler in before.items():
            signal.signal(number, handler)
        sys.unraisablehook = hook
        _active.remove(requests)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Delay the exception to the end of the block: it would leave half of a clean-up undone.

    Signals are handled in the main thread alone, so other threads are never interrupted.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
    else:
        with _active[-1].held() if _active else _delayed():
            yield


def requested() -> Interrupted | None:
    """The exception of a signal that was received; None: nobody has asked to stop."""
    return _active[-1].interruption() if _active else None


class _Requests:
    """Requests to stop while a command runs."""

    def __init__(self) -> None:
        self._number: int | None = None
        self._received_s = 0.0
        self._holds = 0
        self._alarm: Any = None

    def receive(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal: raise Interrupted at the first, end the process at another."""
        del frame
        if self._number is not None:
            if number != signal.SIGHUP and time.monotonic() - self._received_s >= AGAIN_S:
                _end_at_once()
            return
        self._number, self._received_s = number, time.monotonic()
        self._alarm = signal.signal(signal.SIGALRM, self._remind)
        signal.setitimer(signal.ITIMER_REAL, REMIND_S, REMIND_S)
        self._raise()

    def interruption(self) -> Interrupted | None:
        """The exception of the first signal."""
        return None if self._number is None else Interrupted(f"interrupted by {signal.Signals(self._number).name}")

    @contextmanager
    def held(self) -> Iterator[None]:
        """Raise nothing within a `with` block."""
        had_number = self._number is not None
        self._holds += 1
        try:
            yield
        finally:
            self._holds -= 1
            if not had_number:
                self._raise()

    def close(self) -> None:
        """Remind no more."""
        if self._number is not None:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, self._alarm)

    def _remind(self, number: int, frame: FrameType | None) -> None:
        """Raise the exception again where it was lost: nothing is being handled, and so nothing cleans up."""
        del number, frame
        if sys.exception() is None:
            self._raise()

    def _raise(self) -> None:
        if not self._holds and (interruption := self.interruption()):
            raise interruption


_active: list[_Requests] = []
"""Of the command that this process runs; empty: of none."""


@contextmanager
def _delayed() -> Iterator[None]:
    """Delay the signals themselves, for whoever handles them."""
    caught: list[int] = []
    before = {each: signal.signal(each, lambda number, _: caught.append(number)) for each in SIGNALS}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
        for number in caught[:1]:
            signal.raise_signal(number)


def _end_at_once() -> None:
    """End the process without any clean-up; the watchdog sees to what it started."""
    try:
        for handle, text in ((1, SHOW_CURSOR if os.isatty(1) else b""), (2, AT_ONCE)):
            if select.select([], [handle], [], 0)[1]:  # never wait for somebody who reads no more
                os.write(handle, text)
    finally:
        os._exit(Interrupted.exit_status)
