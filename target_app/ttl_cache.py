"""An in-process cache: least recently used eviction, expiry, and one load per miss."""

import asyncio
import threading
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

V = TypeVar("V")


class TTLCache(Generic[V]):
    """For threads and for the coroutines of one event loop; a loader that raises leaves nothing in it.

    Args:
        capacity: entries at most.
        ttl_s: seconds after which an entry is loaded anew.
        now_s: a clock that only goes forward.
    """

    def __init__(self, capacity: int, ttl_s: float, now_s: Callable[[], float] = time.monotonic) -> None:
        self._capacity, self._ttl_s, self._now_s = capacity, ttl_s, now_s
        self._entries: OrderedDict[int, tuple[float, V]] = OrderedDict()
        """Key -> (when it expires, value), the most recently used last."""
        self._loads: dict[int, Future[V]] = {}
        self._tasks: dict[int, asyncio.Task[V]] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._entries)

    def newest(self) -> int | None:
        """Return the key that was used last; None while the cache is empty."""
        with self._lock:
            return next(reversed(self._entries), None)

    def get(self, key: int, load: Callable[[int], V]) -> tuple[V, bool]:
        """Return a value and whether it was a hit; of threads that miss together one loads, the others wait."""
        with self._lock:
            entry = self._fresh(key)
            if entry is not None:
                return entry[1], True
            waiting = self._loads.get(key)
            if waiting is None:
                self._loads[key] = mine = Future[V]()
        if waiting is not None:
            return waiting.result(), False
        try:
            value = load(key)
        except BaseException as error:
            with self._lock:
                del self._loads[key]
            mine.set_exception(error)
            raise
        with self._lock:
            self._keep(key, value)
            del self._loads[key]
        mine.set_result(value)
        return value, False

    async def get_async(self, key: int, load: Callable[[int], Awaitable[V]]) -> tuple[V, bool]:
        """As `get`, for coroutines; the load is a task of its own, so that a cancelled caller spoils it for nobody."""
        with self._lock:
            entry = self._fresh(key)
        if entry is not None:
            return entry[1], True
        task = self._tasks.get(key)
        if task is None:
            task = self._tasks[key] = asyncio.ensure_future(self._load_async(key, load))
        return await asyncio.shield(task), False

    async def _load_async(self, key: int, load: Callable[[int], Awaitable[V]]) -> V:
        try:
            value = await load(key)
            with self._lock:
                self._keep(key, value)
            return value
        finally:
            del self._tasks[key]

    def _fresh(self, key: int) -> tuple[float, V] | None:
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry[0] <= self._now_s():
            del self._entries[key]
            return None
        self._entries.move_to_end(key)
        return entry

    def _keep(self, key: int, value: V) -> None:
        self._entries[key] = self._now_s() + self._ttl_s, value
        self._entries.move_to_end(key)
        while len(self._entries) > self._capacity:
            self._entries.popitem(last=False)
