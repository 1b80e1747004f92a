"""Schedules of open load: due times as a pure function of rate and seed, drawn before anything is sent."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from loopwise.model import Arrivals, Load

CHUNK = 4096
"""Arrivals drawn at a time: large enough that drawing costs nothing per request, small enough to start at once."""

Times = NDArray[np.float64]


class Stretch(NamedTuple):
    """A stretch of a schedule with a steady or linearly changing rate."""

    duration_s: float
    from_rps: float
    to_rps: float


def stretches(load: Load) -> list[Stretch]:
    """The rate over a run's time: steady in warm-up; steady, ramped or stepped in the window; then its last value."""
    first, last = load.rate_rps, load.ramp_to_rps
    if last is None:
        return [Stretch(np.inf, first, first)]
    levels = [Stretch(load.measure_s, first, last)]
    if load.steps is not None:
        rates = np.linspace(first, last, load.steps).tolist()
        levels = [Stretch(load.measure_s / load.steps, rate, rate) for rate in rates]
    return [Stretch(load.warmup_s, first, first), *levels, Stretch(np.inf, last, last)]


def arrival_times(rate: Sequence[Stretch], arrivals: Arrivals, seed: int, phase: float = 0.0) -> Iterator[int]:
    """Yield the arrival times of an endless schedule in ascending order.

    Arrivals at a rate of one a second are drawn and their time is stretched by the integral of the rate: exact for
    any rate (E. Çinlar, Introduction to Stochastic Processes, 1975, ch. 4.7).

    Args:
        rate: pieces in order of time; the last one must not end.
        arrivals: `poisson` (exponential gaps) or `constant` (equal gaps, the first at time 0).
        seed: the same seed gives the same schedule.
        phase: part of a gap by which constant arrivals begin later, 0–1.

    Yields:
        Nanoseconds since the start of the schedule.
    """
    rng = np.random.default_rng(seed)
    base = 0.0
    drawn = 0
    counts: Times
    while True:
        if arrivals == "poisson":
            counts = base + np.cumsum(rng.exponential(1.0, CHUNK))
            base = float(counts[-1])
        else:
            counts = np.arange(drawn, drawn + CHUNK, dtype=np.float64) + phase
        drawn += CHUNK
        yield from (_times_of(counts, rate) * 1e9).astype(np.int64).tolist()


def _times_of(counts: Times, rate: Sequence[Stretch]) -> Times:
    """The time in seconds by which that many arrivals are expected: the inverse of the rate's integral."""
    lengths = [piece.duration_s * (piece.from_rps + piece.to_rps) / 2 for piece in rate[:-1]]
    begin_counts = np.cumsum([0.0, *lengths])
    begin_s = np.cumsum([0.0, *(piece.duration_s for piece in rate[:-1])])
    index = np.searchsorted(begin_counts, counts, side="right") - 1
    rest = counts - begin_counts[index]
    first = np.array([piece.from_rps for piece in rate])[index]
    slope = np.array([(piece.to_rps - piece.from_rps) / piece.duration_s for piece in rate])[index]
    # rest = first·t + slope·t²/2, solved in the form that holds for slope 0, too
    t = 2 * rest / (first + np.sqrt(np.maximum(first * first + 2 * slope * rest, 0.0)))
    return np.asarray(begin_s[index] + t)
