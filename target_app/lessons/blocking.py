"""Blocking calls on the event loop, large, small and beside others (C05, C11, C17)."""

import asyncio
import itertools
import time

from fastapi import APIRouter

router = APIRouter()
requests_wrong, requests_right = itertools.count(1), itertools.count(1)


# C05: a blocking call inside `async def` freezes the whole app.


@router.get("/c05/wrong")
async def c05_wrong() -> dict[str, float]:
    """`time.sleep` stands for any call that waits without `await`: requests.get, a database driver, subprocess.run."""
    # For 20 ms this worker answers nobody, /health included.
    time.sleep(0.02)
    return {"waited_s": 0.02}


@router.get("/c05/right")
async def c05_right() -> dict[str, float]:
    """The same wait, awaited. Where no async form exists, `def` does as well."""
    await asyncio.sleep(0.02)
    return {"waited_s": 0.02}


# C11: even small blocking calls degrade an async app.


@router.get("/c11/wrong")
async def c11_wrong() -> dict[str, bool]:
    """Nine of ten requests await 10 ms; the tenth makes a call that blocks for 20 ms."""
    if next(requests_wrong) % 10 == 0:
        # Rare, and still all requests that are in flight just now are 20 ms late.
        time.sleep(0.02)
    else:
        await asyncio.sleep(0.01)
    return {"ok": True}


@router.get("/c11/right")
async def c11_right() -> dict[str, bool]:
    """The same; the blocking call has a thread."""
    if next(requests_right) % 10 == 0:
        await asyncio.to_thread(time.sleep, 0.02)
    else:
        await asyncio.sleep(0.01)
    return {"ok": True}


# C17: mixing sync and async routes in one app is fine. /c17/async is the neighbour that is measured beside either.


@router.get("/c17/async")
async def c17_async() -> dict[str, float]:
    """A well-behaved route: it awaits."""
    await asyncio.sleep(0.02)
    return {"waited_s": 0.02}


@router.get("/c17/wrong")
async def c17_wrong() -> dict[str, float]:
    """Made `async def` so that all routes look alike, though it calls blocking code."""
    # The neighbour's answers are late by up to 10 ms for each request here that comes meanwhile.
    time.sleep(0.01)
    return {"waited_s": 0.01}


@router.get("/c17/right")
def c17_right() -> dict[str, float]:
    """Left as `def`: the mixture is what keeps the neighbour quick."""
    time.sleep(0.01)
    return {"waited_s": 0.01}
