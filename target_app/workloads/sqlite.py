"""sqlite: reads and committed writes of a real file, by sqlite3 or by aiosqlite."""

import os
import sqlite3
import tempfile
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from target_app.workload import Answer, Params, Workload

SCRATCH = "LOOPWISE_SCRATCH"
"""The environment variable with the database's folder; all worker processes of a server share the file."""

FILE_NAME = "target.sqlite3"
SEEDED_ROWS = 10_000
BUSY_TIMEOUT_S = 30.0
"""How long a request waits for others' writes. SQLite's waiters queue unfairly: far above the mean."""

READ_SQL = "SELECT id, name, price_cents FROM items WHERE id > ? ORDER BY id LIMIT ?"
WRITE_SQL = "UPDATE items SET stock = stock + 1 WHERE id > ? AND id <= ? + ?"

_databases: list[Path] = []
"""The file of each running app of this process, the newest last; a server has one."""


class SqliteParams(Params):
    """What to do to how many rows."""

    operation: Literal["read", "write"] = Field(
        "read", description="read selects the rows; write updates them and commits."
    )
    rows: int = Field(10, ge=1, le=1000, description="Rows read or updated by a request.")
    after: int = Field(
        0,
        ge=0,
        le=SEEDED_ROWS - 1000,
        description="The rows that follow this id, so that requests can differ.",
    )


def _create(path: Path) -> None:
    """Makes the database complete or not at all, however many worker processes start at once.

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
            ((row, f"item {row}", 100 + row * 7919 % 9901) for row in range(1, SEEDED_ROWS + 1)),
        )
        connection.commit()
    with suppress(FileExistsError):
        path.hardlink_to(draft)
    draft.unlink()


@contextmanager
def start() -> Iterator[None]:
    """Creates the file, in LOOPWISE_SCRATCH or in a temporary folder that is removed afterwards."""
    scratch = os.environ.get(SCRATCH)
    with tempfile.TemporaryDirectory(prefix="loopwise-") if not scratch else _folder(Path(scratch)) as folder:
        path = Path(folder) / FILE_NAME
        if not path.exists():
            _create(path)
        _databases.append(path)
        try:
            yield
        finally:
            _databases.remove(path)


@contextmanager
def _folder(path: Path) -> Iterator[str]:
    path.mkdir(parents=True, exist_ok=True)
    yield str(path)


def database() -> Path:
    """The file that requests use.

    Raises:
        RuntimeError: the app has not been started.
    """
    if not _databases:
        raise RuntimeError(
            "sqlite has no database: the server must run the app's lifespan (uvicorn --lifespan on)"
        )
    return _databases[-1]


def run(params: SqliteParams) -> Answer:
    """One connection, one statement, by the standard library."""
    with closing(sqlite3.connect(database(), timeout=BUSY_TIMEOUT_S)) as connection:
        if params.operation == "read":
            rows = connection.execute(READ_SQL, (params.after, params.rows)).fetchall()
            return _read_answer(rows)
        changed = connection.execute(WRITE_SQL, (params.after, params.after, params.rows)).rowcount
        connection.commit()
        return _write_answer(changed)


async def run_async(params: SqliteParams) -> Answer:
    """One connection, one statement, by aiosqlite: its connection is a thread of its own."""
    import aiosqlite  # noqa: PLC0415 - describing the workload must not load it

    async with aiosqlite.connect(database(), timeout=BUSY_TIMEOUT_S) as connection:
        if params.operation == "read":
            async with connection.execute(READ_SQL, (params.after, params.rows)) as cursor:
                return _read_answer(list(await cursor.fetchall()))
        async with connection.execute(WRITE_SQL, (params.after, params.after, params.rows)) as cursor:
            changed = cursor.rowcount
        await connection.commit()
        return _write_answer(changed)


def _read_answer(rows: Collection[Any]) -> Answer:
    return {"operation": "read", "rows": len(rows), "checksum": sum(row[2] for row in rows)}


def _write_answer(changed: int) -> Answer:
    return {"operation": "write", "rows": changed}


WORKLOAD = Workload(
    name="sqlite",
    description="Reads rows of a real SQLite file, or updates and commits them, on a connection per request.",
    params=SqliteParams,
    run=run,
    run_async=run_async,
    cost=lambda _params: None,
    lacks={
        "process": "a query waits for the file and for other writers, which more processes do not shorten"
    },
    start=start,
)
