"""postgres: reads and committed writes of a real PostgreSQL, by psycopg or asyncpg, on pooled connections."""

import asyncio
import hashlib
import os
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from typing import Any, Literal

from pydantic import Field

from target_app import items_table
from target_app.verification import ServiceMissingError
from target_app.workload import Answer, Params, Workload

DSN = "LOOPWISE_POSTGRES"
"""The environment variable with the server's address: `postgresql://user:password@127.0.0.1:5432/postgres`."""
SERVICE = "postgres"
PACKAGES = {"psycopg": ("psycopg", "psycopg_pool"), "asyncpg": ("asyncpg",)}
TABLES = "loopwise_items_"
"""How the names of our tables begin; each run has its own, so that none finds what an earlier one wrote."""
SEED = "LOOPWISE_SEED"
"""The environment variable that differs from block to block."""
LOCK = 0x10095E
"""Worker processes that start together make the table one after the other; any number no other program uses."""
WAIT_S = 60.0
"""How long a request waits for a free connection: a queue there is what is to be measured, not an error."""

_pools: dict[int, Any] = {}
_async_pools: dict[tuple[str, int], Any] = {}
"""Open pools by size, and by driver and size; made with the first request, closed with the app."""
_making = threading.Lock()


class PostgresParams(Params):
    """Operation, rows and driver."""

    driver: Literal["psycopg", "asyncpg"] = Field(
        "psycopg", description="psycopg has a blocking and an async form; asyncpg is async only."
    )
    operation: Literal["read", "write"] = Field(
        "read", description="read selects the rows; write updates them and commits."
    )
    rows: int = Field(10, ge=1, le=items_table.MOST_ROWS, description="Rows read or updated by a request.")
    after: int = Field(
        0,
        ge=0,
        le=items_table.SEEDED_ROWS - items_table.MOST_ROWS,
        description="The rows that follow this id, so that requests can differ.",
    )
    pool_size: int = Field(10, ge=1, le=64, description="Connections per worker process, open all the time.")


def refuses(params: PostgresParams, mode: str) -> tuple[str, str] | None:
    """Refuse a driver that is not installed, or that has no blocking form in a mode that needs one."""
    if params.driver == "asyncpg" and mode != "async":
        return (
            "params.driver",
            f'got "asyncpg" in mode "{mode}", allowed there is psycopg: asyncpg is async only',
        )
    if missing := [package for package in PACKAGES[params.driver] if find_spec(package) is None]:
        names = " and ".join(name.replace("_", "-") for name in missing)
        return "workload", f'postgres needs {names}; install it: pip install "loopwise[postgres]"'
    return None


def _dsn() -> str:
    dsn = os.environ.get(DSN)
    if not dsn:
        raise ServiceMissingError(
            f"no PostgreSQL runs: {DSN} is not set; set it to postgresql://user:password@host:port/database,"
            " or measure by a suite, which starts one"
        )
    return dsn


def _block() -> str:
    """Prefix of this block's tables: servers that run at the same time share the seed."""
    return TABLES + hashlib.sha256(os.environ.get(SEED, "").encode()).hexdigest()[:12]


def _table() -> str:
    """Name of the server's table: all its worker processes share the scratch folder."""
    return _block() + "_" + hashlib.sha256(os.environ.get("LOOPWISE_SCRATCH", "").encode()).hexdigest()[:12]


def _create_table() -> None:
    """Create the server's table, complete or not at all, and drop those of earlier blocks."""
    import psycopg  # an extra; describing the workload must not load it
    from psycopg import sql

    table = sql.Identifier(_table())
    with psycopg.connect(_dsn()) as connection:
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
        known = "SELECT tablename FROM pg_tables WHERE schemaname = current_schema() AND starts_with(tablename, %s)"
        tables = {name for (name,) in connection.execute(known, (TABLES,)).fetchall()}
        for name in sorted(name for name in tables if not name.startswith(_block())):
            connection.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(name)))
        if _table() in tables:
            return
        connection.execute(
            sql.SQL(
                "CREATE TABLE {} (id integer PRIMARY KEY, name text NOT NULL,"
                " price_cents integer NOT NULL, stock integer NOT NULL)"
            ).format(table)
        )
        rows = [(row, f"item {row}", items_table.price_cents(row), 0) for row in range(1, items_table.SEEDED_ROWS + 1)]
        with connection.cursor().copy(sql.SQL("COPY {} FROM STDIN").format(table)) as copy:
            for row in rows:
                copy.write_row(row)
        connection.execute(sql.SQL("ANALYZE {}").format(table))


def _statement(params: PostgresParams, marks: tuple[str, str]) -> str:
    first, second = marks
    if params.operation == "read":
        return f"SELECT id, name, price_cents FROM {_table()} WHERE id > {first} ORDER BY id LIMIT {second}"
    return f"UPDATE {_table()} SET stock = stock + 1 WHERE id > {first} AND id <= {second}"


def _values(params: PostgresParams) -> tuple[int, int]:
    is_read = params.operation == "read"
    return params.after, params.rows if is_read else params.after + params.rows


def _read(params: PostgresParams, rows: Any) -> Answer:
    return items_table.read_answer(params.after, params.rows, [row[2] for row in rows])


def _pool(size: int) -> Any:
    """Return psycopg's pool of that size, its connections open."""
    from psycopg_pool import ConnectionPool  # an extra

    with _making:
        if size not in _pools:
            pool = ConnectionPool(_dsn(), **_pool_options(size))
            pool.open(wait=True)
            _pools[size] = pool
        return _pools[size]


def _pool_options(size: int) -> dict[str, Any]:
    # Each statement is a transaction of its own, as asyncpg has it: one round trip.
    return {
        "min_size": size,
        "max_size": size,
        "timeout": WAIT_S,
        "open": False,
        "kwargs": {"autocommit": True},
    }


async def _async_pool(driver: str, size: int) -> Any:
    """Return a driver's pool of that size, its connections open; concurrent requests wait for the same one."""
    key = driver, size
    if key not in _async_pools:
        _async_pools[key] = asyncio.ensure_future(_make_async_pool(driver, size))
    try:
        return await asyncio.shield(_async_pools[key])
    except Exception:
        _async_pools.pop(key, None)  # the next request tries again
        raise


async def _make_async_pool(driver: str, size: int) -> Any:
    if driver == "asyncpg":
        import asyncpg  # an extra

        return await asyncpg.create_pool(_dsn(), min_size=size, max_size=size)
    from psycopg_pool import AsyncConnectionPool  # an extra

    pool = AsyncConnectionPool(_dsn(), **_pool_options(size))
    await pool.open(wait=True)
    return pool


def occupancy() -> dict[str, int]:
    """Connections of all pools together, those in use, and requests that wait for one; read from any thread."""
    made = [
        task.result()
        for task in list(_async_pools.values())
        if task.done() and not task.cancelled() and not task.exception()
    ]
    found = {"max": 0, "busy": 0, "queued": 0}
    for pool in [*list(_pools.values()), *made]:
        if hasattr(pool, "get_stats"):
            stats = pool.get_stats()
            places = (
                stats["pool_max"],
                stats["pool_size"] - stats["pool_available"],
                stats["requests_waiting"],
            )
        else:  # asyncpg's, which hides who waits
            places = pool.get_max_size(), pool.get_size() - pool.get_idle_size(), len(pool._queue._getters)
        for name, count in zip(found, places, strict=True):
            found[name] += count
    return found


def run(params: PostgresParams) -> Answer:
    """One statement on a pooled connection of psycopg; the calling thread waits."""
    with _pool(params.pool_size).connection() as connection:
        cursor = connection.execute(_statement(params, ("%s", "%s")), _values(params))
        if params.operation == "read":
            return _read(params, cursor.fetchall())
        return items_table.write_answer(params.rows, cursor.rowcount)


async def run_async(params: PostgresParams) -> Answer:
    """One statement on a pooled connection of the driver; nothing waits but the request itself."""
    pool = await _async_pool(params.driver, params.pool_size)
    if params.driver == "asyncpg":
        async with pool.acquire(timeout=WAIT_S) as connection:
            statement, values = _statement(params, ("$1", "$2")), _values(params)
            if params.operation == "read":
                return _read(params, await connection.fetch(statement, *values))
            told = await connection.execute(statement, *values)  # UPDATE 10
            return items_table.write_answer(params.rows, int(told.split(" ")[1]))
    async with pool.connection() as connection:
        cursor = await connection.execute(_statement(params, ("%s", "%s")), _values(params))
        if params.operation == "read":
            return _read(params, await cursor.fetchall())
        return items_table.write_answer(params.rows, cursor.rowcount)


@asynccontextmanager
async def start() -> AsyncIterator[None]:
    """Makes the table, where a server is named; closes the pools with the app."""
    if os.environ.get(DSN):
        await asyncio.to_thread(_create_table)
    probe: Any = sys.modules.get("loopwise_probe")
    if probe is not None:
        probe.GAUGES["dependency_pool"] = occupancy
    try:
        yield
    finally:
        while _pools:
            await asyncio.to_thread(_pools.popitem()[1].close)
        while _async_pools:
            pool = await _async_pools.popitem()[1]
            await pool.close()


WORKLOAD = Workload(
    name="postgres",
    description="Reads rows of a real PostgreSQL, or updates them, by psycopg or asyncpg on pooled connections.",
    params=PostgresParams,
    run=run,
    run_async=run_async,
    cost=lambda _params: None,
    lacks={"process": "a query waits for the database, which more processes do not shorten"},
    needs=lambda _params: (SERVICE,),
    refuses=refuses,
    start=start,
)
