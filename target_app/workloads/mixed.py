"""mixed: waits, computes in pure Python and waits again, like a route that reads, computes and stores."""

import asyncio
import time

from pydantic import Field

from target_app.workload import Answer, Cost, Params, Workload
from target_app.workloads import cpu


class MixedParams(Params):
    """Length of each part."""

    io_ms: float = Field(
        10,
        ge=0,
        le=60_000,
        allow_inf_nan=False,
        description="Time waited before, and again after computing, in milliseconds.",
    )
    cpu_ms: float = Field(
        2,
        ge=0.01,
        le=60_000,
        allow_inf_nan=False,
        description="CPU time in between on this machine when idle, in milliseconds, as in cpu.",
    )


def run(params: MixedParams) -> Answer:
    """Wait in time.sleep; the thread is held throughout, the GIL only while it computes."""
    time.sleep(params.io_ms / 1000)
    computed = cpu.run(cpu.CpuParams(ms=params.cpu_ms))
    time.sleep(params.io_ms / 1000)
    return {"io_ms": params.io_ms, **computed}


async def run_async(params: MixedParams) -> Answer:
    """Wait in asyncio.sleep; the event loop is blocked only while it computes."""
    await asyncio.sleep(params.io_ms / 1000)
    computed = cpu.run(cpu.CpuParams(ms=params.cpu_ms))
    await asyncio.sleep(params.io_ms / 1000)
    return {"io_ms": params.io_ms, **computed}


WORKLOAD = Workload(
    name="mixed",
    description="Waits, computes in pure Python and waits again, like a route that reads, computes and stores.",
    params=MixedParams,
    run=run,
    run_async=run_async,
    cost=lambda params: Cost(wait_ms=2 * params.io_ms, cpu_ms=params.cpu_ms),
    start=cpu.start,
    is_calibrated=True,
)
