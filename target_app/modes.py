"""Modes: each is one function that builds the endpoint of any workload."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any

from target_app.process_pool import Pool
from target_app.workload import Answer, Params, Workload

Endpoint = Callable[[Any], Answer] | Callable[[Any], Awaitable[Answer]]
"""What FastAPI calls with the validated parameters: `def` or `async def`, which is all that it looks at."""

Build = Callable[[Workload[Any], Pool], Endpoint]


def as_async(workload: Workload[Any], _pool: Pool) -> Endpoint:
    """`async def` that awaits native async code."""

    async def endpoint(params: Params) -> Answer:
        return await workload.run_async(params)

    return endpoint


def as_sync(workload: Workload[Any], _pool: Pool) -> Endpoint:
    """`def`, which FastAPI runs in AnyIO's thread pool."""

    def endpoint(params: Params) -> Answer:
        return workload.run(params)

    return endpoint


def as_blocking(workload: Workload[Any], _pool: Pool) -> Endpoint:
    """`async def` that calls blocking code on the event loop."""

    async def endpoint(params: Params) -> Answer:
        return workload.run(params)

    return endpoint


def as_to_thread(workload: Workload[Any], _pool: Pool) -> Endpoint:
    """`async def` that hands blocking code to asyncio's default thread pool."""

    async def endpoint(params: Params) -> Answer:
        return await asyncio.to_thread(workload.run, params)

    return endpoint


def as_process(workload: Workload[Any], pool: Pool) -> Endpoint:
    """`async def` that hands blocking code to a process pool."""

    async def endpoint(params: Params) -> Answer:
        return await pool.run(workload.run, params)

    return endpoint


MODES: dict[str, Build] = {
    "async": as_async,
    "sync": as_sync,
    "blocking": as_blocking,
    "to_thread": as_to_thread,
    "process": as_process,
}


def description(mode: str) -> str:
    """Return one sentence about a mode."""
    return inspect.getdoc(MODES[mode]) or ""
