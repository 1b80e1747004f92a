"""Waiting: one loop for many waits, and what takes that away (C01, C02, C14, C20)."""

import asyncio
import time

from fastapi import APIRouter

router = APIRouter()
lock = asyncio.Lock()


# C01: a sync route handles one request at a time per worker.


@router.get("/c01/wrong")
async def c01_wrong() -> dict[str, float]:
    """`async def`, for fear that `def` would serve one request at a time."""
    # Now it does: the sleep holds the event loop, and with it every other request of this worker.
    time.sleep(0.05)
    return {"waited_s": 0.05}


@router.get("/c01/right")
def c01_right() -> dict[str, float]:
    """`def`: FastAPI gives each request a thread, 40 at a time."""
    time.sleep(0.05)
    return {"waited_s": 0.05}


# C02: one async worker overlaps many waits.


@router.get("/c02/wrong")
async def c02_wrong() -> dict[str, float]:
    """A lock held across an `await`."""
    # The loop stays free for others, but requests to this route wait one after the other.
    async with lock:
        await asyncio.sleep(0.02)
    return {"waited_s": 0.02}


@router.get("/c02/right")
async def c02_right() -> dict[str, float]:
    """The wait outside of any lock: as many at a time as there are requests."""
    await asyncio.sleep(0.02)
    return {"waited_s": 0.02}


# C14: sync routes for I/O scale poorly under heavy load.


@router.get("/c14/wrong")
def c14_wrong() -> dict[str, float]:
    """A long wait in `def`, on a busy route."""
    # Each wait keeps one of the worker's 40 threads: beyond 40 ÷ 0.1 s = 400 requests a second a line grows, in which
    # every other `def` route of the app stands as well.
    time.sleep(0.1)
    return {"waited_s": 0.1}


@router.get("/c14/right")
async def c14_right() -> dict[str, float]:
    """The same wait, awaited: it keeps nothing but a timer."""
    await asyncio.sleep(0.1)
    return {"waited_s": 0.1}


# C20: the server matters little beside the route's mode. Neither route is wrong; the first has the lower ceiling.


@router.get("/c20/wrong")
def c20_wrong() -> dict[str, float]:
    """A wait in `def`: 40 at a time under every server."""
    # A faster server does not help those who wait for a thread.
    time.sleep(0.1)
    return {"waited_s": 0.1}


@router.get("/c20/right")
async def c20_right() -> dict[str, float]:
    """The same wait in `async def`: as many at a time as the server has connections."""
    await asyncio.sleep(0.1)
    return {"waited_s": 0.1}
