"""sqlite: reads and committed writes of a real file, by sqlite3 or by aiosqlite."""

import os
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from target_app import items_table
from target_app.connection_pool import AsyncConnectionPool, ConnectionPool
from target_app.workload import Answer, Params, Workload

if TYPE_CHECKING:
    from aiosqlite import Connection

SCRATCH = "LOOPWISE_SCRATCH"
"""The environment variable with the database's folder; all worker processes of a server share the file."""

FILE_NAME = "target.sqlite3"
BUSY_TIMEOUT_S = 30.0
"""How long a request waits for others' writes. SQLite's waiters queue unfairly: far above the mean."""

READ_SQL = "SELECT id, name, price_cents FROM items WHERE id > ? ORDER BY id LIMIT ?"
WRITE_SQL = "UPDATE items SET stock = stock + 1 WHERE id > ? AND id <= ? + ?"

_databases: list[Path] = []
"""The file of each running app of this process, the newest last; a server has one."""
_pools: dict[tuple[Path, int], ConnectionPool[sqlite3.Connection]] = {}
_async_pools: dict[tuple[Path, int], "AsyncConnectionPool[Connection]"] = {}
"""Connections that outlive a request, by file and number; made with the first request that wants them."""


class SqliteParams(Params):
    """Operation, rows and connection."""

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
    connection: Literal["request", "pool", "shared"] = Field(
        "request", description="One per request, one out of a pool, or one for all requests of a process."
    )
    pool_size: int = Field(5, ge=1, le=64, description="Connections per process where connection is pool.")


def _create(path: Path) -> None:
    """Create the database, complete or not at all, however many worker processes start at once.

    It is built under a name of this process and linked to the shared one: the first wins, all use its file.
    """
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)  # a killed process of the same number may have left one
    with closing(sqlite3.connect(draft)) as connection:
        # WAL stays with the file: readers and the one writer then don't block each other.
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(
            "CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT NOT NULL,"
            " price_cents INTEGER NOT NULL, stock INTEGER NOT NULL)"
        )
        connection.executemany(
            "INSERT INTO items VALUES (?, ?, ?, 0)",
            ((row, f"item {row}", items_table.price_cents(row)) for row in range(1, items_table.SEEDED_ROWS + 1)),
        )
        connection.commit()
    with suppress(FileExistsError):
        path.hardlink_to(draft)
    draft.unlink()


@contextmanager
def start() -> Iterator[None]:
    """Create the file, in LOOPWISE_SCRATCH or in a temporary folder that is removed afterwards."""
    with scratch_folder() as folder:
        path = folder / FILE_NAME
        if not path.exists():
            _create(path)
        _databases.append(path)
        try:
            yield
        finally:
            _databases.remove(path)
            for key in [key for key in _pools if key[0] == path]:
                _pools.pop(key).close()


@asynccontextmanager
async def start_with_loop() -> AsyncIterator[None]:
    """As `start`, and close the connections of the app's event loop as well."""
    with start():
        path = database()
        try:
            yield
        finally:
            for key in [key for key in _async_pools if key[0] == path]:
                await _async_pools.pop(key).close()


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Provide a folder for files: the harness's, which removes it, or a temporary one that goes with the app."""
    scratch = os.environ.get(SCRATCH)
    if scratch:
        Path(scratch).mkdir(parents=True, exist_ok=True)
        yield Path(scratch)
        return
    with tempfile.TemporaryDirectory(prefix="loopwise-") as folder:
        yield Path(folder)


def database() -> Path:
    """Return the file that requests use.

    Raises:
        RuntimeError: the app has not been started.
    """
    if not _databases:
        raise RuntimeError("sqlite has no database: the server must run the app's lifespan (uvicorn --lifespan on)")
    return _databases[-1]


def _size(params: SqliteParams) -> int:
    """A shared connection is a pool of one: a request has it alone, from its statement to its commit."""
    return params.pool_size if params.connection == "pool" else 1


def _connect(path: Path) -> sqlite3.Connection:
    # A lent connection goes from thread to thread, but one thread has it at a time.
    return sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, check_same_thread=False)


def run(params: SqliteParams) -> Answer:
    """Execute one statement by the standard library's sqlite3."""
    path = database()
    if params.connection == "request":
        with closing(_connect(path)) as connection:
            return _answer(params, connection)
    key = path, _size(params)
    pool = _pools.get(key)
    if pool is None:  # setdefault is one step: threads that come here together agree on one
        new = ConnectionPool(lambda: _connect(path), sqlite3.Connection.close, key[1])
        pool = _pools.setdefault(key, new)
    with pool.acquire() as connection:
        return _answer(params, connection)


def _answer(params: SqliteParams, connection: sqlite3.Connection) -> Answer:
    if params.operation == "read":
        found = connection.execute(READ_SQL, (params.after, params.rows)).fetchall()
        return items_table.read_answer(params.after, params.rows, [row[2] for row in found])
    with connection:  # commits, or rolls back what failed
        changed = connection.execute(WRITE_SQL, (params.after, params.after, params.rows)).rowcount
    return items_table.write_answer(params.rows, changed)


async def run_async(params: SqliteParams) -> Answer:
    """Execute one statement by aiosqlite, each of whose connections is a thread."""
    import aiosqlite  # describing the workload must not load it

    path = database()
    if params.connection == "request":
        async with aiosqlite.connect(path, timeout=BUSY_TIMEOUT_S) as connection:
            return await _answer_async(params, connection)

    async def connect() -> "Connection":
        return await aiosqlite.connect(path, timeout=BUSY_TIMEOUT_S)

    key = path, _size(params)
    if key not in _async_pools:
        _async_pools[key] = AsyncConnectionPool(connect, aiosqlite.Connection.close, key[1])
    async with _async_pools[key].acquire() as connection:
        return await _answer_async(params, connection)


async def _answer_async(params: SqliteParams, connection: "Connection") -> Answer:
    if params.operation == "read":
        async with connection.execute(READ_SQL, (params.after, params.rows)) as cursor:
            found: list[Any] = list(await cursor.fetchall())
        return items_table.read_answer(params.after, params.rows, [row[2] for row in found])
    try:
        async with connection.execute(WRITE_SQL, (params.after, params.after, params.rows)) as cursor:
            changed = cursor.rowcount
        await connection.commit()
    except BaseException:
        await connection.rollback()
        raise
    return items_table.write_answer(params.rows, changed)


WORKLOAD = Workload(
    name="sqlite",
    description="Reads rows of a real SQLite file, or updates and commits them; a connection per request, or kept.",
    params=SqliteParams,
    run=run,
    run_async=run_async,
    cost=lambda _params: None,
    lacks={"process": "a query waits for the file and for other writers, which more processes do not shorten"},
    start=start_with_loop,
)
