"""Connection pools of known client libraries: their places, those in use, and the callers that wait for one.

Once the app has imported a library, the method by which its pools hand out a connection is wrapped. The wrapper counts
the callers inside, and costs about a microsecond.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, NamedTuple

from .foreign import Foreign
from .imports import Ready
from .resources import RESOURCES, Measure, Resource


class Kind(NamedTuple):
    """A class of pools."""

    module: str
    owner: str
    method: str
    """Hands out a connection, and waits until there is one."""
    name: str
    """For people."""
    measure: Measure
    """Most connections (0: no limit) and those in use."""
    is_exact: bool = False
    """As of a Resource."""


def _sqlalchemy(pool: Any) -> tuple[int, int]:
    return (pool.size() + pool._max_overflow if pool._max_overflow >= 0 else 0), pool.checkedout()


def _psycopg(pool: Any) -> tuple[int, int]:
    return pool.max_size, int(pool._nconns) - len(pool._pool)


def _asyncpg(pool: Any) -> tuple[int, int]:
    return pool.get_max_size(), pool.get_max_size() - pool._queue.qsize()


def _redis(pool: Any) -> tuple[int, int]:
    most = int(pool.max_connections)
    free: Any = getattr(pool, "pool", None)  # a queue, of those that block in threads
    return most, len(pool._in_use_connections) if free is None else most - free.qsize()


def _httpcore(pool: Any) -> tuple[int, int]:
    return pool._max_connections, sum(not each.is_idle() for each in list(pool._connections))


KINDS = (
    Kind("sqlalchemy.pool.impl", "QueuePool", "_do_get", "SQLAlchemy's QueuePool", _sqlalchemy),
    Kind("psycopg_pool.pool", "ConnectionPool", "getconn", "psycopg_pool's ConnectionPool", _psycopg),
    Kind("psycopg_pool.pool_async", "AsyncConnectionPool", "getconn", "psycopg_pool's AsyncConnectionPool", _psycopg),
    Kind("asyncpg.pool", "Pool", "_acquire", "asyncpg's Pool", _asyncpg),
    Kind("redis.connection", "BlockingConnectionPool", "get_connection", "redis's BlockingConnectionPool", _redis),
    Kind("redis.connection", "ConnectionPool", "get_connection", "redis's ConnectionPool", _redis),
    Kind(
        *("redis.asyncio.connection", "BlockingConnectionPool", "get_connection"),
        *("redis's asyncio BlockingConnectionPool", _redis),
    ),
    Kind("redis.asyncio.connection", "ConnectionPool", "get_connection", "redis's asyncio ConnectionPool", _redis),
    Kind(
        *("httpcore._async.connection_pool", "AsyncConnectionPool", "wait_for_connection"),
        *("httpx's connection pool (async)", _httpcore, True),
    ),
    Kind(
        *("httpcore._sync.connection_pool", "ConnectionPool", "wait_for_connection"),
        *("httpx's connection pool", _httpcore, True),
    ),
    Kind("aiosqlite.core", "Connection", "_execute", "aiosqlite's connection", lambda _: (1, 0), True),
)


def readies() -> Mapping[str, Ready]:
    """By module: what wraps its pools once it has been imported."""
    return {module: functools.partial(_wrap, module) for module in {kind.module for kind in KINDS}}


def _wrap(name: str, module: ModuleType) -> None:
    for kind in KINDS:
        if kind.module != name:
            continue
        owner = getattr(module, kind.owner, None)
        if owner is None:
            continue
        watch_made(owner, functools.partial(_made, kind))
        waits = {"wait_for_connection": _wrap_requests, "_execute": _wrap_calls}.get(kind.method, _wrap_method)
        waits(kind, module, owner)


def watch_made(owner: Any, made: Callable[[Any, Any], None]) -> None:
    """Call a function with each object that a class makes, as yet empty, and with the frame that makes it.

    `__init__` stays as it is: SQLAlchemy reads the names of its arguments off its code.
    """
    create = owner.__new__

    def new(cls: Any, *arguments: Any, **options: Any) -> Any:
        self = create(cls) if create is object.__new__ else create(cls, *arguments, **options)
        with Foreign(owner.__qualname__):
            made(self, sys._getframe(1))
        return self

    replacement: Any = new
    # What inspects the class finds the arguments of `__init__`.
    replacement.__signature__ = inspect.signature(owner.__init__)
    owner.__new__ = replacement


def _made(kind: Kind, pool: Any, frame: Any) -> None:
    _add(kind, pool, RESOURCES.lines.nearest(frame))


def _of(kind: Kind, pool: Any) -> Resource:
    """The resource of a pool; one that was made before the library was wrapped is known from its first use on."""
    return RESOURCES.of(pool) or _add(kind, pool, "")


def _add(kind: Kind, pool: Any, made_at: str) -> Resource:
    return RESOURCES.add(pool, Resource("pool", kind.name, made_at, kind.measure, is_exact=kind.is_exact))


def _wrap_method(kind: Kind, _module: ModuleType, owner: type) -> None:
    method: Any = vars(owner).get(kind.method)
    if method is None:
        return  # Another version, or inherited from one that is wrapped.

    @functools.wraps(method)
    def take(pool: Any, *arguments: Any, **options: Any) -> Any:
        resource = _of(kind, pool)
        token = resource.begin()
        try:
            return method(pool, *arguments, **options)
        finally:
            resource.end(token)

    @functools.wraps(method)
    async def take_async(pool: Any, *arguments: Any, **options: Any) -> Any:
        resource = _of(kind, pool)
        token = resource.begin()
        try:
            return await method(pool, *arguments, **options)
        finally:
            resource.end(token)

    setattr(owner, kind.method, take_async if inspect.iscoroutinefunction(method) else take)


def _wrap_requests(kind: Kind, module: ModuleType, owner: type) -> None:
    """httpcore: a request without a connection waits in its pool's list."""
    requests: Any = getattr(module, "AsyncPoolRequest" if owner.__name__.startswith("Async") else "PoolRequest")
    method = requests.wait_for_connection

    def begin(request: Any) -> tuple[Resource, object] | None:
        for resource in RESOURCES.named(kind.name):
            if request in getattr(resource.owner(), "_requests", ()):
                return resource, resource.begin(3)
        return None

    @functools.wraps(method)
    def wait(request: Any, *arguments: Any, **options: Any) -> Any:
        begun = None if request.connection is not None else begin(request)
        try:
            return method(request, *arguments, **options)
        finally:
            if begun is not None:
                begun[0].end(begun[1])

    @functools.wraps(method)
    async def wait_async(request: Any, *arguments: Any, **options: Any) -> Any:
        begun = None if request.connection is not None else begin(request)
        try:
            return await method(request, *arguments, **options)
        finally:
            if begun is not None:
                begun[0].end(begun[1])

    requests.wait_for_connection = wait_async if inspect.iscoroutinefunction(method) else wait


def _wrap_calls(kind: Kind, _module: ModuleType, owner: Any) -> None:
    """aiosqlite: a call waits for those before it in the connection's thread, until the thread begins it."""
    method = owner._execute

    @functools.wraps(method)
    async def execute(connection: Any, call: Any, *arguments: Any, **options: Any) -> Any:
        resource = _of(kind, connection)
        token, begin = None, call
        if resource.held:
            token = resource.begin()

            def begin(*arguments: Any, **options: Any) -> Any:
                resource.end(token)
                return call(*arguments, **options)

        resource.held.append(None)
        try:
            return await method(connection, begin, *arguments, **options)
        finally:
            resource.held.pop()
            if token is not None:
                resource.end(token)

    owner._execute = execute
