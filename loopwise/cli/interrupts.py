"""Turns Ctrl-C, SIGTERM and SIGHUP into one exception, so that every `finally` runs and no process is left behind."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from loopwise.errors import Interrupted


@contextmanager
def interruptible() -> Iterator[None]:
    """Raise Interrupted in the main thread on SIGINT, SIGTERM or SIGHUP; further signals are ignored.

    Under nohup, SIGHUP stays ignored.
    """

    def interrupt(number: int, frame: FrameType | None) -> None:
        del frame
        for each in before:
            signal.signal(each, signal.SIG_IGN)
        raise Interrupted(f"interrupted by {signal.Signals(number).name}")

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    if before[signal.SIGHUP] is signal.SIG_IGN:
        del before[signal.SIGHUP]
    for number in before:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
