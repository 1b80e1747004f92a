"""A database: which driver on which thread, and a cache in front of it (C15, C19)."""

import os
import sqlite3
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import aiosqlite
from fastapi import APIRouter, FastAPI, Request
from fastapi.concurrency import run_in_threadpool

router = APIRouter()
SALES = 20_000
TOTALS = "SELECT shop, SUM(cents) FROM sales GROUP BY shop ORDER BY shop"
"""Reads every row, for some milliseconds; sqlite3 lets go of the GIL meanwhile, but not of the thread."""
FRESH_S = 60.0

Totals = dict[str, int]
_cached: dict[str, tuple[float, Totals]] = {}
"""By key: the time until which it is fresh, and the answer. Each worker process has a cache of its own."""


@asynccontextmanager
async def resources(app: FastAPI) -> AsyncIterator[None]:
    """A small file of sales, removed with the app; an empty cache."""
    scratch = os.environ.get("LOOPWISE_SCRATCH")  # set while Loopwise measures, which removes that folder in any case
    with tempfile.TemporaryDirectory(prefix="lessons-", dir=scratch) as folder:
        app.state.sales = Path(folder) / "sales.sqlite3"
        with closing(sqlite3.connect(app.state.sales)) as database, database:
            database.execute("CREATE TABLE sales (shop TEXT NOT NULL, cents INTEGER NOT NULL)")
            rows = ((f"shop {number % 5}", number % 997) for number in range(SALES))
            database.executemany("INSERT INTO sales VALUES (?, ?)", rows)
        _cached.clear()
        yield


def totals(path: Path) -> Totals:
    """The sum of each shop's sales: ordinary blocking code."""
    with closing(sqlite3.connect(path)) as database:
        return dict(database.execute(TOTALS).fetchall())


# C15: async database drivers help.


@router.get("/c15/wrong")
async def c15_wrong(request: Request) -> Totals:
    """A sync driver in `async def`."""
    # The loop waits for the query, and everybody else with it; queries never overlap.
    return totals(request.app.state.sales)


@router.get("/c15/right")
def c15_right(request: Request) -> Totals:
    """The sync driver in `def`: queries overlap in threads, the loop is free."""
    return totals(request.app.state.sales)


@router.get("/c15/aiosqlite")
async def c15_aiosqlite(request: Request) -> Totals:
    """The async driver: the loop is free as well; behind it there is a thread for each connection."""
    async with aiosqlite.connect(request.app.state.sales) as database, database.execute(TOTALS) as cursor:
        return {row[0]: row[1] for row in await cursor.fetchall()}


# C19: caching helps.


@router.get("/c19/wrong")
async def c19_wrong(request: Request) -> Totals:
    """The same question to the database for every request."""
    # The loop is free, since it runs in a thread; but every request pays for it, and the database for all of them.
    return await run_in_threadpool(totals, request.app.state.sales)


@router.get("/c19/right")
async def c19_right(request: Request) -> Totals:
    """An answer that may be a minute old is kept: a hit needs neither the database nor a thread."""
    fresh_until_s, found = _cached.get("totals", (0.0, {}))
    if time.monotonic() >= fresh_until_s:
        found = await run_in_threadpool(totals, request.app.state.sales)
        _cached["totals"] = time.monotonic() + FRESH_S, found
    return found
