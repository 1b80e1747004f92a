"""Where the threads and tasks of a worker process stand: lines of the app's own code, sampled a few times a second.

Copied beside the probe as `loopwise_stacks.py`, so: standard library only, Python 3.9 or newer, and nothing of ours but
`loopwise_places.py` (blame/places.py).

A full pool tells that calls wait, not what they wait for. Each thread of a pool is followed from its innermost frame
outwards, each task from its coroutine inwards, to the innermost line of the app itself. Nothing in the app is called or
changed, and the loop is asked for nothing. Looks that cost more CPU come less often.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import time
from contextlib import suppress
from itertools import islice
from types import AsyncGeneratorType, CodeType, CoroutineType, FrameType, GeneratorType
from typing import Any, NamedTuple

from loopwise_places import Places, columns_at, line_of, name_of, stack_of

INTERVALS_S = {"threads": 0.2, "tasks": 0.5}
MAX_COST = 0.002
"""Share of a core that either kind of look may cost."""
EARLY_S = 0.02
MAX_TASKS = 50
"""Tasks of a look, of however many; in turn, so that all are seen."""
MAX_PLACES = 8
MAX_KNOWN = 4096
"""Instructions whose lines are remembered: apps that generate code have no end of them."""
MAX_DEPTH = 200

OWN, BORDER, OTHER = "own", "border", "other"
LINKS: dict[type, tuple[str, str, str]] = {
    CoroutineType: ("cr_code", "cr_frame", "cr_await"),
    GeneratorType: ("gi_code", "gi_frame", "gi_yieldfrom"),
    AsyncGeneratorType: ("ag_code", "ag_frame", "ag_await"),
}
"""What a suspended coroutine tells: its code, its frame, and what it awaits. Other awaitables end a chain."""
WRAPPERS = ("coroutine_wrapper", "async_generator_asend", "async_generator_athrow", "anext_awaitable")
"""Types of awaitables that hide the one that they pass on."""
LIFESPAN = "_run_lifespan"
"""Function of the probe in which the app's lifespan waits for the server's end."""
THREADING = threading.Thread.run.__code__.co_filename


class Place(NamedTuple):
    """A line at which somebody stands."""

    path: str
    line: int
    function: str
    """The one that the line is in."""
    columns: tuple[int, int, int, int] | None
    """Place of the expression (columns_at)."""
    callee: str | None
    """The Python function that was called there; None: C code, or the line itself."""


class Stacks:
    """Samples where threads and tasks stand.

    Args:
        files: tells the app's own files from others.
        loop: running in the caller's thread, which is no thread of a pool; None: there is none.
    """

    def __init__(self, files: Places, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self._files = files
        self._loop = loop
        self._loop_thread = None if loop is None else threading.get_ident()
        self._due_s = dict.fromkeys(INTERVALS_S, 0.0)
        self._next_task = 0
        self._roles: dict[str, str] = {}
        self._known: dict[tuple[CodeType, int, CodeType | None], Place] = {}

    def look(self, *, is_blocked: bool = False) -> dict[str, Any]:
        """Take the looks that are due.

        Args:
            is_blocked: code keeps the loop at this moment, so that its thread stands, too.

        Returns:
            By kind, `of`: how many stand in the app's own code, and `at`: places, with their number, the most
            frequent first. Kinds are `threads`, `tasks` (an estimate, where there are many), and `loop` (the loop's
            thread, while it is blocked); one that was not due is missing.
        """
        looks: dict[str, Any] = {}
        if not _has_gil():
            return looks
        for kind, interval_s in INTERVALS_S.items():
            if time.monotonic() < self._due_s[kind]:
                continue
            began_s = time.thread_time()
            with suppress(RuntimeError):  # A collection of garbage changed the tasks while they were listed.
                looks.update(self._threads(is_blocked) if kind == "threads" else self._tasks())
            pause_s = max(interval_s, (time.thread_time() - began_s) / MAX_COST)
            # The caller comes ten times a second, at times a little early.
            self._due_s[kind] = time.monotonic() + pause_s - EARLY_S
        return looks

    def _threads(self, is_blocked: bool) -> dict[str, Any]:
        mine = threading.get_ident()
        counts: dict[Place, float] = {}
        looks: dict[str, Any] = {}
        # The dictionary has no name: it holds our own frame, which would keep it, and the frames of all threads.
        for ident, frame in sys._current_frames().items():
            if ident == mine or (ident == self._loop_thread and not is_blocked):
                continue
            is_loop = ident == self._loop_thread
            place = self._in_stack(frame, is_loop=is_loop) or (self._in_library(frame) if is_loop else None)
            if place is not None and is_loop:
                looks["loop"] = _ranked({place: 1})
            elif place is not None:
                counts[place] = counts.get(place, 0) + 1
        return {"threads": _ranked(counts), **looks}

    def _tasks(self) -> dict[str, Any]:
        if self._loop is None:
            return {}
        tasks, number = self._some_tasks()
        counts: dict[Place, float] = {}
        for task in tasks:
            awaited: Any = getattr(task, "_fut_waiter", None)
            if task.get_loop() is not self._loop or awaited is None:
                continue  # It is another loop's, or waits for this one alone.
            if isinstance(awaited, asyncio.Task) or hasattr(awaited, "_children"):
                continue  # It waits for tasks that are counted themselves.
            place = self._in_chain(task.get_coro())
            if place is not None:
                counts[place] = counts.get(place, 0) + number / len(tasks)
        return {"tasks": _ranked(counts)}

    def _some_tasks(self) -> tuple[list[asyncio.Task[Any]], int]:
        """Some tasks, and the number of all."""
        module: Any = asyncio.tasks
        if sys.version_info >= (3, 14):  # There it is a list in C, which is fast to copy.
            everything = list(asyncio.all_tasks(self._loop))
            start = self._next_start(len(everything))
            return everything[start : start + MAX_TASKS], len(everything)
        known: Any = getattr(module, "_scheduled_tasks", None)
        references: set[Any] = (module._all_tasks if known is None else known).data
        start = self._next_start(len(references))
        # One call into C, during which the loop's thread can't change the set.
        some = list(islice(references, start, start + MAX_TASKS))
        number = len(references)
        return [task for reference in some if (task := reference()) is not None], number

    def _next_start(self, number: int) -> int:
        start = max(0, min(self._next_task, number - MAX_TASKS))
        self._next_task = start + MAX_TASKS if start + MAX_TASKS < number else 0
        return start

    def _in_stack(self, frame: FrameType | None, *, is_loop: bool) -> Place | None:
        """The app's innermost line in a thread; None: there is none, or the thread is the app's own from its begin."""
        inner: CodeType | None = None
        role = OTHER
        while frame is not None:
            role = self._role(frame.f_code.co_filename)
            if role != OTHER:
                break
            inner, frame = frame.f_code, frame.f_back
        if frame is None or role == BORDER:
            return None
        outer, begun_by = frame.f_back, OWN
        while outer is not None:
            path, outer = outer.f_code.co_filename, outer.f_back
            begun_by = begun_by if path == THREADING else self._role(path)
        if begun_by == OWN and not is_loop:
            return None
        return self._place(frame, inner)

    def _in_library(self, frame: FrameType) -> Place | None:
        """The line of a library that keeps the loop while no line of the app is executed, as a blame pass names it."""
        spot = self._files.spot(stack_of(frame))
        return spot and Place(spot.path, spot.line, spot.function, spot.columns, spot.callee)

    def _in_chain(self, awaited: Any) -> Place | None:
        """The app's innermost line in what a suspended coroutine awaits, and that awaits, and so on."""
        found: FrameType | None = None
        inner: CodeType | None = None
        for _ in range(MAX_DEPTH):
            links = LINKS.get(type(awaited))
            if links is None:
                awaited = _wrapped(awaited)
                if awaited is None:
                    break
                continue
            code: CodeType = getattr(awaited, links[0])
            role = self._role(code.co_filename)
            if role == OWN:
                found, inner = getattr(awaited, links[1]), None
            elif role == BORDER:
                found = inner = None
                if code.co_name == LIFESPAN:
                    break
            elif inner is None:
                inner = code
            awaited = getattr(awaited, links[2])
        if found is None:
            return None
        return self._place(found, inner)

    def _role(self, path: str) -> str:
        """Whether a file is the app's own, calls the app, or is neither."""
        role = self._roles.get(path)
        if role is None:
            kind = self._files.kind(path)
            role = OWN if self._files.is_own(path) else BORDER if kind in ("dispatcher", "own", "border") else OTHER
            self._roles[path] = role
        return role

    def _place(self, frame: FrameType, inner: CodeType | None) -> Place:
        code, at = frame.f_code, frame.f_lasti
        key = code, at, inner
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= MAX_KNOWN:
                self._known.clear()
            path, line = self._files.real(code.co_filename), line_of(code, at, frame.f_lineno)
            callee = None if inner is None else name_of(inner)
            found = self._known[key] = Place(path, line, name_of(code), columns_at(code, at), callee)
        return found


def _has_gil() -> bool:
    """Whether threads stop while we follow their frames; without a GIL these may be gone in the middle of it."""
    known: Any = getattr(sys, "_is_gil_enabled", None)
    return known is None or bool(known())


def _wrapped(awaitable: Any) -> Any:
    """What such a wrapper passes on; None: it is none."""
    if type(awaitable).__name__ not in WRAPPERS:
        return None
    inside = gc.get_referents(awaitable)
    return next((each for each in inside if type(each) in LINKS or type(each).__name__ in WRAPPERS), None)


def _ranked(counts: dict[Place, float]) -> dict[str, Any]:
    most = sorted(counts.items(), key=lambda each: -each[1])[:MAX_PLACES]
    return {"of": round(sum(counts.values()), 1), "at": [[*place, round(number, 1)] for place, number in most]}
