"""A bounded number of things that cost something to make, lent to one user at a time: connections, above all."""

import asyncio
import queue
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Generic, TypeVar

T = TypeVar("T")


class Lender(Generic[T]):
    """Lends to threads. At most `size` things exist; each is made when first needed, the last used goes first."""

    def __init__(self, make: Callable[[], T], close: Callable[[T], None], size: int) -> None:
        self._make, self._close = make, close
        self._free: queue.LifoQueue[T | None] = queue.LifoQueue()
        for _ in range(size):
            self._free.put(None)  # stands for one that is not made yet
        self._size = size

    @contextmanager
    def lend(self) -> Iterator[T]:
        """One thing for the duration of a `with` block; who finds all lent out waits."""
        thing = self._free.get()
        try:
            if thing is None:
                thing = self._make()
            yield thing
        finally:
            self._free.put(thing)

    def close(self) -> None:
        """Closes them all, waiting for those that are lent out."""
        for _ in range(self._size):
            thing = self._free.get()
            if thing is not None:
                self._close(thing)


class AsyncLender(Generic[T]):
    """The same for the coroutines of one event loop."""

    def __init__(self, make: Callable[[], Awaitable[T]], close: Callable[[T], Awaitable[None]], size: int):
        self._make, self._close = make, close
        self._free: asyncio.LifoQueue[T | None] = asyncio.LifoQueue()
        for _ in range(size):
            self._free.put_nowait(None)
        self._size = size

    @asynccontextmanager
    async def lend(self) -> AsyncIterator[T]:
        """One thing for the duration of an `async with` block; who finds all lent out waits."""
        thing = await self._free.get()
        try:
            if thing is None:
                thing = await self._make()
            yield thing
        finally:
            self._free.put_nowait(thing)

    async def close(self) -> None:
        """Closes them all, waiting for those that are lent out."""
        for _ in range(self._size):
            thing = await self._free.get()
            if thing is not None:
                await self._close(thing)
