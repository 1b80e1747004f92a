"""Lines of the app's own code in a stack, as path:line."""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

DEEPEST = 60
"""Frames that are looked through: a driver below an ORM below a framework has some thirty."""
LOOPS = ("run_forever", "run_until_complete")
"""Functions whose callers don't wait for a task, but for all."""


class Lines:
    """Names lines of the app, relative to its folder.

    Args:
        files: tells the app's own files from others, as blame/places.py does.
    """

    def __init__(self, files: Any) -> None:
        self._files = files
        self.known: dict[str, str] = {}
        """By file: how it is shown; empty: it is none of the app's."""

    def shown(self, path: str) -> str:
        """A file of the app, from its folder on; empty: it is none."""
        known = self.known.get(path)
        if known is None:
            known = self.known[path] = self._files.shown(path) if self._files.is_own(path) else ""
        return known

    def maker(self, frame: FrameType | None) -> str:
        """The line at which the app's own code called; empty: somebody else's did.

        Generated code, such as a dataclass's `__init__`, is passed over: the line that called it is meant.
        """
        while frame is not None and frame.f_code.co_filename.startswith("<string"):
            frame = frame.f_back
        shown = self.shown(frame.f_code.co_filename) if frame is not None else ""
        return f"{shown}:{frame.f_lineno}" if shown and frame is not None else ""

    def nearest(self, frame: FrameType | None) -> str:
        """The innermost line of the app; empty: there is none."""
        return self._nearest(frame) or self._nearest(_caller_of_greenlet())

    def _nearest(self, frame: FrameType | None) -> str:
        for _ in range(DEEPEST):
            if frame is None or frame.f_code.co_name in LOOPS:
                break
            shown = self.shown(frame.f_code.co_filename)
            if shown:
                return f"{shown}:{frame.f_lineno}"
            frame = frame.f_back
        return ""


def _caller_of_greenlet() -> FrameType | None:
    """The frame that waits for this greenlet: SQLAlchemy runs its drivers in one, where the app's frames aren't."""
    greenlet: Any = sys.modules.get("greenlet")
    parent = greenlet.getcurrent().parent if greenlet is not None else None
    return parent.gr_frame if parent is not None else None
