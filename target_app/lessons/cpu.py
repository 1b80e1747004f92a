"""Computing: what `async` can't do for it, and what processes can (C04, C09, C10, C12, C13, C18)."""

import asyncio
import multiprocessing
from collections.abc import AsyncIterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import asynccontextmanager

from fastapi import APIRouter, FastAPI, Request

from target_app.lessons.work import LARGE, SMALL, compute
from target_app.process_pool import pool_processes, settle

router = APIRouter()
PRICES_CENT = {"tea": 250, "coffee": 320}


@asynccontextmanager
async def resources(app: FastAPI) -> AsyncIterator[None]:
    """A pool for the whole app: starting a process per request would cost more than the work."""
    # spawn: a fork would copy the event loop and its sockets. No process starts before the first call.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(pool_processes(), mp_context=context, initializer=settle) as processes:
        app.state.processes = processes
        yield


# C04: CPU-heavy code gains nothing from async.


@router.get("/c04/wrong")
async def c04_wrong() -> dict[str, int]:
    """`async` in front of computing."""
    # As fast as below, since there is nothing to await; but the loop is held, so that others wait longer.
    return {"result": compute(SMALL)}


@router.get("/c04/right")
def c04_right() -> dict[str, int]:
    """`def`: no faster either, but the loop gets its turn every few milliseconds."""
    return {"result": compute(SMALL)}


# C09: CPU-bound work on the loop hurts everyone else.


@router.get("/c09/wrong")
async def c09_wrong() -> dict[str, int]:
    """Computing on the event loop."""
    # With n of these requests in line, /health waits for n × 10 ms.
    return {"result": compute(LARGE)}


@router.get("/c09/right")
async def c09_right(request: Request) -> dict[str, int]:
    """Computing in another process: it has a GIL of its own, and the loop only waits for it."""
    pool: Executor = request.app.state.processes
    result = await asyncio.get_running_loop().run_in_executor(pool, compute, LARGE)
    return {"result": result}


# C10: async is not faster for every task. It is for this one, by the hop to a thread that `def` costs.


@router.get("/c10/wrong")
def c10_wrong() -> dict[str, int]:
    """A thread for looking into a dictionary."""
    # The hop to the thread and back costs more than the route.
    return dict(PRICES_CENT)


@router.get("/c10/right")
async def c10_right() -> dict[str, int]:
    """Nothing here blocks or computes: it may as well happen on the loop."""
    return dict(PRICES_CENT)


# C12: async alone uses one core; workers use more.


async def part() -> int:
    """A coroutine that never awaits: once begun, it runs to its end."""
    return compute(SMALL // 4)


@router.get("/c12/wrong")
async def c12_wrong() -> dict[str, int]:
    """Four parts under gather, in the hope of four cores."""
    # They run one after the other on one core, and nobody else gets a turn in between.
    return {"result": sum(await asyncio.gather(part(), part(), part(), part()))}


@router.get("/c12/right")
async def c12_right() -> dict[str, int]:
    """The same work plainly. More cores come from more processes: `uvicorn … --workers 2`."""
    return {"result": sum(compute(SMALL // 4) for _ in range(4))}


# C13: a process pool lets an async app use more cores.


@router.get("/c13/wrong")
async def c13_wrong() -> dict[str, int]:
    """One process, one GIL, one core."""
    # The machine's other cores have nothing to do, whatever the load.
    return {"result": compute(LARGE)}


@router.get("/c13/right")
async def c13_right(request: Request) -> dict[str, int]:
    """A pool of one process per core. Worth it for milliseconds of work; less costs more to send than to do."""
    pool: Executor = request.app.state.processes
    result = await asyncio.get_running_loop().run_in_executor(pool, compute, LARGE)
    return {"result": result}


# C18: for CPU-bound work sync routes and more workers may be better. The first has one worker, the second two.


@router.get("/c18/wrong")
async def c18_wrong() -> dict[str, int]:
    """Computing on the loop of the only worker."""
    # One core is used, and the loop is held for 5 ms a request.
    return {"result": compute(SMALL)}


@router.get("/c18/right")
def c18_right() -> dict[str, int]:
    """`def` keeps the loop able to answer; the workers bring the cores."""
    return {"result": compute(SMALL)}
