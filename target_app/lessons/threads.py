"""Threads: FastAPI's own, asyncio's, and what they cost (C06, C07, C08)."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio.to_thread
from anyio import CapacityLimiter
from fastapi import APIRouter, FastAPI, Request
from fastapi.concurrency import run_in_threadpool

router = APIRouter()
SLOW_CALLS = 100
"""How many calls to the slow service may run at a time: what that service bears, not what Python defaults to."""


@asynccontextmanager
async def resources(app: FastAPI) -> AsyncIterator[None]:
    """A limiter for the calls to one slow service, so that they don't use up the threads of all `def` routes."""
    app.state.slow_calls = CapacityLimiter(SLOW_CALLS)
    yield


# C06: FastAPI runs `def` routes in a thread pool by itself. Neither route is wrong; the first says more than it need.


@router.get("/c06/wrong")
async def c06_wrong() -> dict[str, float]:
    """The hop to a thread, written by hand."""
    # The same pool and the same 40 threads as below. And easily forgotten, which makes it C05.
    await run_in_threadpool(time.sleep, 0.05)
    return {"waited_s": 0.05}


@router.get("/c06/right")
def c06_right() -> dict[str, float]:
    """`def`: FastAPI makes the hop."""
    time.sleep(0.05)
    return {"waited_s": 0.05}


# C07: a thread repairs a blocking call.


@router.get("/c07/wrong")
async def c07_wrong() -> dict[str, float]:
    """A blocking call on the loop."""
    # One request at a time, and nobody else in between.
    time.sleep(0.02)
    return {"waited_s": 0.02}


@router.get("/c07/right")
async def c07_right() -> dict[str, float]:
    """The threads of asyncio: min(32, cores + 4) of them, for all that the app gives to to_thread."""
    await asyncio.to_thread(time.sleep, 0.02)
    return {"waited_s": 0.02}


@router.get("/c07/better")
async def c07_better(request: Request) -> dict[str, float]:
    """AnyIO's threads with a limiter for this kind of call: its number is a decision, and takes nothing from others."""
    await anyio.to_thread.run_sync(time.sleep, 0.02, limiter=request.app.state.slow_calls)
    return {"waited_s": 0.02}


# C08: tasks cost less memory and switching than threads. Both work; the first needs `threads = 200`.


@router.get("/c08/wrong")
def c08_wrong() -> dict[str, float]:
    """Many long waits, each on a thread of its own."""
    # Each waiting request keeps a stack and wakes a thread; the pool of 40 must be raised for all `def` routes.
    time.sleep(0.2)
    return {"waited_s": 0.2}


@router.get("/c08/right")
async def c08_right() -> dict[str, float]:
    """Many long waits as tasks: some kilobytes each, on one thread."""
    await asyncio.sleep(0.2)
    return {"waited_s": 0.2}
