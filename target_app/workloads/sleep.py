"""sleep: a wait without work, as a slow upstream service causes it."""

import asyncio
import time

from pydantic import Field

from target_app.workload import Answer, Cost, Params, Workload


class SleepParams(Params):
    """How long to wait."""

    ms: float = Field(50, ge=0, le=60_000, allow_inf_nan=False, description="Time waited, in milliseconds.")


def run(params: SleepParams) -> Answer:
    """Waits in time.sleep: the thread is held, the GIL is not."""
    time.sleep(params.ms / 1000)
    return {"ms": params.ms}


async def run_async(params: SleepParams) -> Answer:
    """Waits in asyncio.sleep: nothing is held but a timer."""
    await asyncio.sleep(params.ms / 1000)
    return {"ms": params.ms}


WORKLOAD = Workload(
    name="sleep",
    description="Waits for a given time without using the CPU, like a call to a slow service.",
    params=SleepParams,
    run=run,
    run_async=run_async,
    cost=lambda params: Cost(wait_ms=params.ms, cpu_ms=0.0),
)
