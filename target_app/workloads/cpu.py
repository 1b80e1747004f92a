"""cpu: a pure Python loop that holds the GIL, in iterations or in milliseconds of this machine."""

import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

from pydantic import Field, model_validator

from target_app.verification import verify
from target_app.workload import Answer, Cost, Params, Workload

ITERATIONS_PER_MS = "LOOPWISE_CPU_ITERATIONS_PER_MS"
"""The environment variable with the speed of this machine. A variable, because pool processes inherit it."""

CHUNK_ITERATIONS = 20_000
"""One or two milliseconds: short enough for some chunks to run undisturbed, long beside the clock's cost."""
CHUNKS = 250
"""About 0.4 s in all: longer than most bursts of stolen CPU."""


class CpuParams(Params):
    """Amount of computing, as a time or as a number of iterations."""

    ms: float = Field(
        5,
        ge=0.01,
        le=60_000,
        allow_inf_nan=False,
        description="CPU time of the work on this machine when idle, in milliseconds.",
    )
    iterations: int | None = Field(
        None,
        ge=1,
        le=1_000_000_000,
        description="Rounds of the loop, instead of ms: the same work on any machine.",
    )

    @model_validator(mode="after")
    def _one_way(self) -> "CpuParams":
        if {"ms", "iterations"} <= self.model_fields_set:
            raise ValueError("got both ms and iterations, allowed is one of the two; leave one out")
        return self


def spin(iterations: int) -> int:
    """Compute rounds of a linear congruential generator (Numerical Recipes' constants); return its last state."""
    state = 1
    for _ in range(iterations):
        state = (state * 1_664_525 + 1_013_904_223) & 0xFFFF_FFFF
    return state


@lru_cache(maxsize=256)
def expected(iterations: int) -> int:
    """Return the state after so many rounds without computing them: x -> a x + c, squared again and again."""
    factor, shift, step_factor, step_shift = 1, 0, 1_664_525, 1_013_904_223
    while iterations:
        if iterations & 1:
            factor, shift = factor * step_factor & 0xFFFF_FFFF, shift * step_factor + step_shift & 0xFFFF_FFFF
        step_shift = step_factor * step_shift + step_shift & 0xFFFF_FFFF
        step_factor = step_factor * step_factor & 0xFFFF_FFFF
        iterations >>= 1
    return factor + shift & 0xFFFF_FFFF


def calibrate() -> float:
    """Measure the iterations of `spin` per millisecond of undisturbed CPU; takes about 0.4 s.

    The fastest of many short chunks counts: whatever disturbs a chunk can only make it slower.
    """
    spin(CHUNK_ITERATIONS)
    best_ns = min(_chunk_ns() for _ in range(CHUNKS))
    return round(CHUNK_ITERATIONS / (best_ns / 1e6), 1)


def _chunk_ns() -> int:
    start_ns = time.perf_counter_ns()
    spin(CHUNK_ITERATIONS)
    return time.perf_counter_ns() - start_ns


def given_iterations_per_ms() -> float | None:
    """Return the constant from the environment, or None where it is not set.

    Raises:
        ValueError: it is set to something else than a positive number.
    """
    text = os.environ.get(ITERATIONS_PER_MS, "")
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise ValueError(
            f'{ITERATIONS_PER_MS}: got "{text}", allowed is a number above 0;'
            ' take it from "python -m target_app calibrate", or unset it'
        )
    return value


@contextmanager
def start() -> Iterator[None]:
    """Keep the constant in the environment while the app runs, so that every mode does the same work."""
    if given_iterations_per_ms() is not None:
        yield
        return
    os.environ[ITERATIONS_PER_MS] = repr(calibrate())
    try:
        yield
    finally:
        os.environ.pop(ITERATIONS_PER_MS, None)


def iterations_of(params: CpuParams) -> int:
    """Return the rounds that the parameters ask for, at least one.

    Raises:
        RuntimeError: they are given in ms, and nothing has said how fast this machine is.
    """
    if params.iterations is not None:
        return params.iterations
    per_ms = given_iterations_per_ms()
    if per_ms is None:
        raise RuntimeError(f"cpu cannot turn ms into iterations: start the app's lifespan, or set {ITERATIONS_PER_MS}")
    return max(1, round(params.ms * per_ms))


def run(params: CpuParams) -> Answer:
    """Compute on the calling thread, holding the GIL but for the interpreter's usual switches."""
    iterations = iterations_of(params)
    checksum = spin(iterations)
    verify("cpu's checksum", checksum, expected(iterations))
    return {"iterations": iterations, "checksum": checksum}


async def run_async(params: CpuParams) -> Answer:
    """Compute on the event loop: there is nothing to await."""
    return run(params)


def cost(params: CpuParams) -> Cost | None:
    """None for work in iterations where the machine's speed is not known."""
    if params.iterations is None:
        return Cost(wait_ms=0.0, cpu_ms=params.ms)
    per_ms = given_iterations_per_ms()
    return None if per_ms is None else Cost(wait_ms=0.0, cpu_ms=params.iterations / per_ms)


WORKLOAD = Workload(
    name="cpu",
    description="Computes in pure Python: a number of iterations, or as many as fill a time on this machine.",
    params=CpuParams,
    run=run,
    run_async=run_async,
    cost=cost,
    start=start,
    is_calibrated=True,
)
