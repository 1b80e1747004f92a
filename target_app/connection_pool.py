"""Bounded pools of connections, for threads and for coroutines."""

import asyncio
import queue
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Generic, TypeVar

T = TypeVar("T")


class ConnectionPool(Generic[T]):
    """Pool for threads: at most `size` connections, made when first needed, the most recently used handed out first."""

    def __init__(self, make: Callable[[], T], close: Callable[[T], None], size: int) -> None:
        self._make, self._close = make, close
        self._free: queue.LifoQueue[T | None] = queue.LifoQueue()
        for _ in range(size):
            self._free.put(None)  # stands for one that is not made yet
        self._size = size

    @contextmanager
    def acquire(self) -> Iterator[T]:
        """Hold one connection for a `with` block; waits while all are in use."""
        thing = self._free.get()
        try:
            if thing is None:
                thing = self._make()
            yield thing
        finally:
            self._free.put(thing)

    def close(self) -> None:
        """Close all connections, waiting for those in use."""
        for _ in range(self._size):
            thing = self._free.get()
            if thing is not None:
                self._close(thing)


class AsyncConnectionPool(Generic[T]):
    """Pool for the coroutines of one event loop."""

    def __init__(self, make: Callable[[], Awaitable[T]], close: Callable[[T], Awaitable[None]], size: int):
        self._make, self._close = make, close
        self._free: asyncio.LifoQueue[T | None] = asyncio.LifoQueue()
        for _ in range(size):
            self._free.put_nowait(None)
        self._size = size

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[T]:
        """Hold one connection for an `async with` block; waits while all are in use."""
        thing = await self._free.get()
        try:
            if thing is None:
                thing = await self._make()
            yield thing
        finally:
            self._free.put_nowait(thing)

    async def close(self) -> None:
        """Close all connections, waiting for those in use."""
        for _ in range(self._size):
            thing = await self._free.get()
            if thing is not None:
                await self._close(thing)
