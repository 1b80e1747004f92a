"""Locks and semaphores that the app's own code makes: by the line that makes them, with those who wait.

`threading.Lock` and `RLock` are written in C: what the app gets instead is a lock that holds the real one. Semaphores
and conditions, and asyncio's locks, stay what they are: each that the app makes is given a subclass of its class, which
tells when it waits. Whatever the standard library and installed packages make is left alone.

An acquisition without a wait costs 0.2 to 1 µs more, and nothing is recorded.
"""

from __future__ import annotations

import asyncio
import functools
import sys
import threading
from typing import Any

from .foreign import Foreign
from .resources import RESOURCES, Resource


def watch() -> None:
    """Watch all that is made from now on."""
    for name in ("Lock", "RLock"):
        setattr(threading, name, _factory(name, getattr(threading, name)))
    for module, name, mixin in (
        (threading, "Semaphore", _Semaphore),
        (threading, "BoundedSemaphore", _Semaphore),
        (threading, "Condition", _Condition),
        (asyncio, "Lock", _TaskLock),
        (asyncio, "Semaphore", _TaskSemaphore),
        (asyncio, "BoundedSemaphore", _TaskSemaphore),
    ):
        _watch_class(getattr(module, name), f"{module.__name__}.{name}", mixin)


class HeldLock:
    """A lock that holds the real one; a waiting caller is told to its resource."""

    __slots__ = ("__weakref__", "_release", "_take", "lock", "waits")

    def __init__(self, lock: Any, name: str, made_at: str, kind: str = "lock") -> None:
        self.lock = lock
        self._take, self._release = lock.acquire, lock.release
        self.waits = RESOURCES.at_line(self, kind, name, made_at, _of_lock)

    def acquire(self, blocking: bool = True, timeout: float = -1) -> Any:
        """Acquire it, as the real one."""
        take = self._take
        if not blocking:
            return take(blocking, timeout)
        if take(False):
            return True
        token = self.waits.begin()
        try:
            return take(blocking, timeout)
        finally:
            self.waits.end(token)

    __enter__ = acquire

    def release(self) -> None:
        """Release it."""
        self._release()

    def __exit__(self, *_: object) -> None:
        self._release()

    def locked(self) -> bool:
        """Whether anybody holds it."""
        try:
            return bool(self.lock.locked())
        except AttributeError:  # an RLock before Python 3.14
            return "unlocked" not in repr(self.lock)

    def __getattr__(self, name: str) -> Any:
        """What conditions and forks ask for."""
        return getattr(self.lock, name)

    def __repr__(self) -> str:
        return repr(self.lock)

    def __reduce_ex__(self, _protocol: Any) -> Any:
        return self.lock.__reduce_ex__(2)


class _Factory(type):
    """Class of `threading.Lock` and `RLock`: calls give the app a HeldLock, and all others the real thing."""

    _make: Any

    def __call__(cls, *arguments: Any, **options: Any) -> Any:
        frame = sys._getframe(1)
        lock = cls._make(*arguments, **options)
        if RESOURCES.lines.known.get(frame.f_code.co_filename) == "":
            return lock  # Most are made by the standard library, one for every future.
        made_at = RESOURCES.lines.maker(frame)
        return HeldLock(lock, f"threading.{cls.__name__}", made_at) if made_at else lock

    def __instancecheck__(cls, instance: Any) -> bool:
        real = instance.lock if type(instance) is HeldLock else instance
        return isinstance(real, type(cls._make()))


def _factory(name: str, make: Any) -> type:
    return _Factory(name, (), {"_make": staticmethod(make), "__module__": "threading", "__doc__": make.__doc__})


class _Semaphore:
    """Of `threading.Semaphore` and BoundedSemaphore, before their own methods."""

    loopwise_waits: Resource

    def adopt(self, name: str, made_at: str) -> None:
        """Become a resource."""
        semaphore: Any = self
        semaphore.loopwise_places = semaphore._value
        semaphore.loopwise_waits = RESOURCES.at_line(self, "semaphore", name, made_at, _of_semaphore)

    def acquire(self, blocking: bool = True, timeout: Any = None) -> Any:
        """Acquire it."""
        semaphore: Any = super()
        if not blocking:
            return semaphore.acquire(blocking, timeout)
        if semaphore.acquire(False):
            return True
        token = self.loopwise_waits.begin()
        try:
            return semaphore.acquire(blocking, timeout)
        finally:
            self.loopwise_waits.end(token)

    __enter__ = acquire


class _Condition:
    """Of `threading.Condition`."""

    loopwise_waits: Resource

    def adopt(self, name: str, made_at: str) -> None:
        """Become a resource, with a lock that is watched if it is its own."""
        condition: Any = self
        if isinstance(condition._lock, HeldLock):
            condition.loopwise_waits = RESOURCES.at_line(self, "condition", name, made_at, _of_condition)
            return
        lock = HeldLock(condition._lock, name, made_at, kind="condition")
        condition.__init__(lock)
        condition.loopwise_waits = lock.waits

    def wait(self, timeout: Any = None) -> Any:
        """Wait until it is notified."""
        condition: Any = super()
        if not _serves(threading.current_thread()):
            return condition.wait(timeout)
        token = self.loopwise_waits.begin()
        try:
            return condition.wait(timeout)
        finally:
            self.loopwise_waits.end(token)


class _TaskLock:
    """Of `asyncio.Lock`."""

    loopwise_waits: Resource

    def adopt(self, name: str, made_at: str) -> None:
        """Become a resource."""
        lock: Any = self
        lock.loopwise_waits = RESOURCES.at_line(self, "lock", name, made_at, _of_lock)

    async def acquire(self) -> Any:
        """Acquire it."""
        lock: Any = self
        real: Any = super()
        if not (lock.locked() or lock._waiters):
            return await real.acquire()
        token = self.loopwise_waits.begin()
        try:
            return await real.acquire()
        finally:
            self.loopwise_waits.end(token)


class _TaskSemaphore(_TaskLock):
    """Of `asyncio.Semaphore` and BoundedSemaphore."""

    adopt = _Semaphore.adopt


def _of_lock(lock: Any) -> tuple[int, int]:
    return 1, int(lock.locked())


def _of_semaphore(semaphore: Any) -> tuple[int, int]:
    return semaphore.loopwise_places, semaphore.loopwise_places - semaphore._value


def _of_condition(condition: Any) -> tuple[int, int]:
    return _of_lock(condition._lock)


def _serves(thread: threading.Thread) -> bool:
    """Whether a thread is one of AnyIO's, or of an executor."""
    target = getattr(thread, "_target", None)
    return (
        type(thread).__module__.startswith("anyio") or getattr(target, "__module__", "") == "concurrent.futures.thread"
    )


def _watch_class(owner: Any, name: str, mixin: Any) -> None:
    """Give what the app makes of a class, or of a subclass, the methods of a mixin; its identity stays."""
    initialize = owner.__init__
    watched: dict[type, type] = {}

    @functools.wraps(initialize)
    def make(self: Any, *arguments: Any, **options: Any) -> None:
        frame = sys._getframe(1)
        initialize(self, *arguments, **options)
        if RESOURCES.lines.known.get(frame.f_code.co_filename) == "":
            return
        own = type(self)
        made_at = "" if issubclass(own, mixin) else RESOURCES.lines.maker(frame)
        if not made_at:
            return
        if own not in watched:
            body = {"__module__": own.__module__, "__qualname__": own.__qualname__, "__doc__": own.__doc__}
            watched[own] = type(own.__name__, (mixin, own), body)
        is_adopted = False
        with Foreign(name):
            self.__class__ = watched[own]
            self.adopt(name, made_at)
            is_adopted = True
        if not is_adopted:
            self.__class__ = own

    owner.__init__ = make
