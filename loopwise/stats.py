"""Statistics of replicates. Pure functions.

The replicate is the unit: requests of one run depend on each other, runs on fresh servers do not. With few of them,
Student's t on the log scale keeps its promise where a percentile bootstrap covers too little (METHOD §4).
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from loopwise.model import Estimate


def nearest_rank(ascending: NDArray[np.float64], quantile: float) -> float:
    """The exact percentile by nearest rank: the smallest value with at least that share of values at or below it.

    Args:
        ascending: sorted values, not empty.
        quantile: 0–1.
    """
    # The product's rounding error must not lift an exact rank to the next one (0.07 × 100 is 7.000000000000001).
    rank = math.ceil(quantile * ascending.size - 1e-9)
    return float(ascending[min(max(rank, 1), ascending.size) - 1])


def t_half_width(values: Sequence[float], confidence: float) -> float:
    """Half-width of Student's t interval of the mean; NaN with fewer than two values."""
    n = len(values)
    if n < 2:
        return math.nan
    quantile = float(stdtrit(n - 1, 0.5 + confidence / 2))
    return quantile * float(np.std(values, ddof=1)) / math.sqrt(n)


def estimate(
    values: Sequence[float], *, unit: str = "", confidence: float = 0.95, is_log: bool = True
) -> Estimate:
    """The typical value of replicates and its interval.

    On the log scale that is the geometric mean with an interval of ratios; a value of zero or below can't be put
    there, so such data fall back to the plain mean.

    Raises:
        ValueError: there are no values.
    """
    if not values:
        raise ValueError("an estimate needs at least one replicate")
    is_log = is_log and min(values) > 0
    scaled = [math.log(value) for value in values] if is_log else list(values)
    middle, half = float(np.mean(scaled)), t_half_width(scaled, confidence)
    low, high = (None, None) if math.isnan(half) else (middle - half, middle + half)
    if is_log:
        middle = math.exp(middle)
        low, high = (None if end is None else math.exp(end) for end in (low, high))
    return Estimate(
        value=middle, low=low, high=high, unit=unit, replicates=len(values), confidence=confidence
    )


def paired_ratio(
    baseline: Sequence[float], candidate: Sequence[float], *, confidence: float = 0.95
) -> Estimate:
    """Candidate ÷ baseline from values paired within blocks: the mean log ratio per block.

    Args:
        baseline: one positive value per block.
        candidate: the values of the same blocks, in the same order.
        confidence: of the interval.

    Raises:
        ValueError: lengths differ, or there are no pairs.
    """
    ratios = [c / b for b, c in zip(baseline, candidate, strict=True)]
    return estimate(ratios, confidence=confidence)


def unpaired_ratio(
    baseline: Sequence[float], candidate: Sequence[float], *, confidence: float = 0.95
) -> Estimate:
    """Candidate ÷ baseline from two independent sets of replicates: Welch's interval of the log means.

    Source: B. L. Welch, "The generalization of 'Student's' problem when several different population variances are
    involved", Biometrika 34 (1947).
    """
    logs = [[math.log(value) for value in values] for values in (baseline, candidate)]
    difference = float(np.mean(logs[1]) - np.mean(logs[0]))
    sizes = [len(values) for values in logs]
    replicates = min(sizes)
    if replicates < 2:
        return Estimate(value=math.exp(difference), replicates=replicates, confidence=confidence)
    squares = [float(np.var(values, ddof=1)) / n for values, n in zip(logs, sizes, strict=True)]
    error = math.sqrt(sum(squares))
    spread = sum(square**2 / (n - 1) for square, n in zip(squares, sizes, strict=True))
    freedom = error**4 / spread if spread else float(sum(sizes) - 2)
    half = float(stdtrit(freedom, 0.5 + confidence / 2)) * error
    return Estimate(
        value=math.exp(difference),
        low=math.exp(difference - half),
        high=math.exp(difference + half),
        replicates=replicates,
        confidence=confidence,
    )


def relative_half_width(known: Estimate) -> float:
    """Half the interval's width relative to the value; infinite without an interval."""
    if known.low is None or known.high is None or not known.value:
        return math.inf
    return (known.high - known.low) / 2 / abs(known.value)
