"""Watch what requests wait for, from before the app is imported."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from . import executors, locks, pools
from .imports import ImportWatch
from .places import Lines
from .resources import RESOURCES, Figures

MAX_WRITTEN = 20
"""Resources in a sample; those that nobody waits for are the last."""


def watch(files: Any) -> None:
    """Wrap what makes resources, in this interpreter and for good; call it once, before the app is imported.

    Args:
        files: tells the app's own files from others, as blame/places.py does.
    """
    RESOURCES.lines = Lines(files)
    ImportWatch(pools.readies()).install()
    locks.watch()
    executors.watch()


def sample(leave_out: Iterable[Any] = ()) -> list[Figures]:
    """Resources that are in use or waited for, those that most wait for first; see Resources.sample."""
    return RESOURCES.sample(leave_out)[:MAX_WRITTEN]


def fullest_pool(figures: Iterable[Figures]) -> list[int] | None:
    """Places, those in use, and waiting callers of the connection pool that most wait for; None: there is none."""
    found = [each for each in figures if each.kind == "pool"]
    return [found[0].places, found[0].busy, found[0].waiting] if found else None
