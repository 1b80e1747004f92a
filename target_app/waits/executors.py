"""Thread pools of the app and of libraries (a2wsgi, asgiref): their threads, those at work, and the calls that wait."""

from __future__ import annotations

import functools
from concurrent.futures import ThreadPoolExecutor
from types import FrameType
from typing import Any

from .pools import watch_made
from .resources import RESOURCES, Resource

NOT_SERVING = ("asyncio", "loopwise", "gunicorn")
"""Beginnings of the modules that make executors which are reported in another way."""


def watch() -> None:
    """Watch all that are made from now on, but for asyncio's own."""
    owner: Any = ThreadPoolExecutor
    watch_made(owner, _made)
    submit = owner.submit

    @functools.wraps(submit)
    def submit_and_wait(self: Any, call: Any, /, *arguments: Any, **options: Any) -> Any:
        resource = RESOURCES.of(self)
        # Its semaphore of idle threads counts those that go on to the next call as well.
        if resource is None or not self._work_queue.qsize():
            return submit(self, call, *arguments, **options)
        token = resource.begin()

        def begin(*arguments: Any, **options: Any) -> Any:
            resource.end(token)
            return call(*arguments, **options)

        try:
            future = submit(self, begin, *arguments, **options)
        except BaseException:
            resource.end(token)
            raise
        future.add_done_callback(lambda _: resource.end(token))  # it may be cancelled
        return future

    owner.submit = submit_and_wait


def _made(executor: Any, frame: FrameType) -> None:
    made_at = RESOURCES.lines.maker(frame)
    package = frame.f_globals.get("__name__", "").partition(".")[0]
    if not made_at and package.startswith(NOT_SERVING):
        return
    name = "ThreadPoolExecutor" if made_at else f"{package}'s ThreadPoolExecutor"
    made_at = made_at or RESOURCES.lines.nearest(frame)
    RESOURCES.add(executor, Resource("executor", name, made_at, _of_executor))


def _of_executor(executor: Any) -> tuple[int, ...]:
    queued = executor._work_queue.qsize()
    busy = executor._max_workers if queued else len(executor._threads) - executor._idle_semaphore._value
    return executor._max_workers, max(0, busy), queued
