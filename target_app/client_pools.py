"""Connection pools of known client libraries: their places, those in use, and the callers that wait for one.

Copied beside the probe as `loopwise_client_pools.py`, so: standard library only, Python 3.9 or newer, nothing of ours.
Nothing is imported, and no app is edited: once the app has imported a library, the method by which its pools hand out a
connection is wrapped. The wrapper counts the callers inside, remembers the pool weakly, and costs about a microsecond.
"""

from __future__ import annotations

import functools
import inspect
import sys
import weakref
from collections.abc import Callable
from typing import Any, NamedTuple


class Kind(NamedTuple):
    """A class of pools."""

    module: str
    name: str
    method: str
    """Hands out a connection, and waits until there is one."""
    places: Callable[[Any], int]
    """Most connections; 0: no limit."""
    busy: Callable[[Any], int]


def _of_psycopg(pool: Any) -> int:
    return int(pool._nconns) - len(pool._pool)


KINDS = (
    Kind(
        "sqlalchemy.pool.impl",
        "QueuePool",
        "_do_get",
        lambda pool: pool.size() + pool._max_overflow if pool._max_overflow >= 0 else 0,
        lambda pool: pool.checkedout(),
    ),
    Kind("psycopg_pool.pool", "ConnectionPool", "getconn", lambda pool: pool.max_size, _of_psycopg),
    Kind("psycopg_pool.pool_async", "AsyncConnectionPool", "getconn", lambda pool: pool.max_size, _of_psycopg),
    Kind(
        "asyncpg.pool",
        "Pool",
        "_acquire",
        lambda pool: pool.get_max_size(),
        lambda pool: pool.get_max_size() - pool._queue.qsize(),
    ),
    Kind(
        "redis.connection",
        "BlockingConnectionPool",
        "get_connection",
        lambda pool: pool.max_connections,
        lambda pool: pool.max_connections - pool.pool.qsize(),
    ),
)


class Pools:
    """The pools of this process that have handed out a connection."""

    def __init__(self) -> None:
        self._hidden = list(KINDS)
        """Kinds whose library the app has not imported yet."""
        self._seen: weakref.WeakKeyDictionary[Any, tuple[Kind, list[None]]] = weakref.WeakKeyDictionary()
        """By pool: its kind, and an entry for each caller inside (appending and popping are atomic, sums are not)."""

    def look(self) -> None:
        """Wrap pools of libraries that were imported since the last look."""
        for kind in list(self._hidden):
            module = sys.modules.get(kind.module)
            owner = getattr(module, kind.name, None)
            if owner is None or not hasattr(owner, kind.method):
                continue  # Not imported, in the middle of it, or another version.
            self._hidden.remove(kind)
            setattr(owner, kind.method, self._wrapped(kind, getattr(owner, kind.method)))

    def figures(self) -> list[int] | None:
        """Places, those in use, and waiting callers of the pool that most wait for; None where there is no pool."""
        found = []
        for pool, (kind, inside) in list(self._seen.items()):
            try:
                places, busy = int(kind.places(pool)), int(kind.busy(pool))
            except Exception:
                continue  # Another version of the library; the app must go on.
            if places > 0:
                found.append([places, busy, len(inside) if busy >= places else 0])
        return max(found, key=lambda each: (each[2], each[1] / each[0]), default=None)

    def _inside(self, kind: Kind, pool: Any) -> list[None]:
        known = self._seen.get(pool)
        if known is None:
            known = self._seen.setdefault(pool, (kind, []))
        return known[1]

    def _wrapped(self, kind: Kind, method: Callable[..., Any]) -> Callable[..., Any]:
        find = self._inside

        @functools.wraps(method)
        def take(pool: Any, *arguments: Any, **options: Any) -> Any:
            inside = find(kind, pool)
            inside.append(None)
            try:
                return method(pool, *arguments, **options)
            finally:
                inside.pop()

        @functools.wraps(method)
        async def take_async(pool: Any, *arguments: Any, **options: Any) -> Any:
            inside = find(kind, pool)
            inside.append(None)
            try:
                return await method(pool, *arguments, **options)
            finally:
                inside.pop()

        return take_async if inspect.iscoroutinefunction(method) else take
