"""When open load's requests are due: pure functions of rate and seed, drawn before anything is sent."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from loopwise.model import Arrivals

CHUNK = 4096
"""Arrivals drawn at a time: large enough that drawing costs nothing per request, small enough to start at once."""


def arrival_chunks(rate_rps: float, arrivals: Arrivals, seed: int) -> Iterator[NDArray[np.int64]]:
    """Yield the arrival times of an endless schedule in ascending order, in chunks.

    Args:
        rate_rps: mean arrivals a second.
        arrivals: `poisson` (exponential gaps) or `constant` (equal gaps).
        seed: the same seed gives the same schedule.

    Yields:
        int64 arrays of nanoseconds since the start of the schedule.
    """
    gap_ns = 1e9 / rate_rps
    rng = np.random.default_rng(seed)
    base = 0.0
    drawn = 0
    times: NDArray[np.float64]
    while True:
        if arrivals == "poisson":
            times = base + np.cumsum(rng.exponential(gap_ns, CHUNK))
            base = float(times[-1])
        else:
            times = np.arange(drawn, drawn + CHUNK, dtype=np.float64) * gap_ns
        drawn += CHUNK
        yield times.astype(np.int64)


def arrival_times(rate_rps: float, arrivals: Arrivals, seed: int) -> Iterator[int]:
    """Yield one arrival time after the other, in nanoseconds since the start of the schedule."""
    for chunk in arrival_chunks(rate_rps, arrivals, seed):
        yield from chunk.tolist()
