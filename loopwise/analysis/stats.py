"""Statistics of replicates: percentiles, intervals, ratios, and Holm's step-down over families of comparisons.

The replicate is the unit: requests of one run depend on each other, runs on fresh servers do not. With few of them,
Student's t on the log scale keeps its promise where a percentile bootstrap covers too little (docs/method.md, "The
replicate is the process").
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from loopwise.model import Estimate


def nearest_rank(ascending: NDArray[np.float64], quantile: float) -> float:
    """The exact percentile by nearest rank: the smallest value with at least that share of values at or below it.

    Args:
        ascending: sorted values, not empty.
        quantile: 0–1.
    """
    return float(ascending[rank(quantile, ascending.size) - 1])


def rank(quantile: float, count: int) -> int:
    """The nearest rank of a percentile among so many values, from 1."""
    # The product's rounding error must not lift an exact rank to the next one (0.07 × 100 is 7.000000000000001).
    return min(max(math.ceil(quantile * count - 1e-9), 1), count)


def student_quantile(freedom: float, probability: float) -> float:
    """The quantile of Student's t."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, probability))


def t_half_width(values: Sequence[float], confidence: float) -> float:
    """Half-width of Student's t interval of the mean; NaN with fewer than two values."""
    n = len(values)
    if n < 2:
        return math.nan
    quantile = student_quantile(n - 1, 0.5 + confidence / 2)
    return quantile * float(np.std(values, ddof=1)) / math.sqrt(n)


def estimate(values: Sequence[float], *, unit: str = "", confidence: float = 0.95, is_log: bool = True) -> Estimate:
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
        middle = _exp(middle)
        low, high = (None if end is None else _exp(end) for end in (low, high))
    return Estimate(value=middle, low=low, high=high, unit=unit, replicates=len(values), confidence=confidence)


@dataclass(frozen=True)
class LogRatio:
    """Candidate ÷ baseline before a confidence is chosen: a mean log ratio and its error."""

    mean: float
    error: float
    """Standard error of the mean; NaN with fewer than two values. Zero if all ratios are equal."""
    freedom: float
    """Degrees of freedom of Student's t."""
    replicates: int
    """Pairs; without pairs, the replicates of the side that has fewer."""

    @property
    def has_interval(self) -> bool:
        """Whether there is anything to decide on."""
        return math.isfinite(self.mean) and math.isfinite(self.error) and self.freedom > 0

    @property
    def width(self) -> float:
        """Half-width of the 95 % interval of the log ratio: how well it is known; NaN where it has none."""
        return student_quantile(self.freedom, 0.975) * self.error if self.has_interval else math.nan

    def estimate(self, confidence: float) -> Estimate:
        """The ratio with its interval; without one where there is none."""
        point = _exp(self.mean)
        if not self.has_interval:
            return Estimate(value=point, replicates=self.replicates, confidence=confidence)
        half = student_quantile(self.freedom, 0.5 + confidence / 2) * self.error
        return Estimate(
            value=point,
            low=_exp(self.mean - half),
            high=_exp(self.mean + half),
            replicates=self.replicates,
            confidence=confidence,
        )

    def alpha_beyond(self, log_distance: float) -> float:
        """The smallest 1 − confidence whose interval reaches no further than this from the mean: two-sided p."""
        if not self.has_interval:
            return 1.0
        if self.error == 0:
            return 0.0
        from scipy.special import stdtr

        return 2 * float(stdtr(self.freedom, -abs(log_distance) / self.error))


def paired(baseline: Sequence[float], candidate: Sequence[float]) -> LogRatio:
    """The mean log ratio of values that were measured as pairs: in one block, one round.

    Args:
        baseline: one positive value per pair.
        candidate: the values of the same pairs, in the same order.

    Raises:
        ValueError: lengths differ, or there are no pairs.
    """
    logs = [math.log(c) - math.log(b) for b, c in zip(baseline, candidate, strict=True)]
    if not logs:
        raise ValueError("a ratio needs at least one pair")
    n = len(logs)
    error = float(np.std(logs, ddof=1)) / math.sqrt(n) if n > 1 else math.nan
    return LogRatio(float(np.mean(logs)), error, n - 1, n)


def unpaired(baseline: Sequence[float], candidate: Sequence[float]) -> LogRatio:
    """The difference of the mean logs of two independent sets of positive values, with Welch's degrees of freedom.

    Source: B. L. Welch, "The generalization of 'Student's' problem when several different population variances are
    involved", Biometrika 34 (1947).
    """
    logs = [[math.log(value) for value in values] for values in (baseline, candidate)]
    difference = float(np.mean(logs[1]) - np.mean(logs[0]))
    sizes = [len(values) for values in logs]
    if min(sizes) < 2:
        return LogRatio(difference, math.nan, 0, min(sizes))
    squares = [float(np.var(values, ddof=1)) / n for values, n in zip(logs, sizes, strict=True)]
    error = math.sqrt(sum(squares))
    spread = sum(square**2 / (n - 1) for square, n in zip(squares, sizes, strict=True))
    freedom = error**4 / spread if spread else float(sum(sizes) - 2)
    return LogRatio(difference, error, freedom, min(sizes))


def paired_ratio(baseline: Sequence[float], candidate: Sequence[float], *, confidence: float = 0.95) -> Estimate:
    """Candidate ÷ baseline from pairs, with its interval; see `paired`."""
    return paired(baseline, candidate).estimate(confidence)


def unpaired_ratio(baseline: Sequence[float], candidate: Sequence[float], *, confidence: float = 0.95) -> Estimate:
    """Candidate ÷ baseline from independent replicates, with its interval; see `unpaired`."""
    return unpaired(baseline, candidate).estimate(confidence)


def step_down(
    alphas: Sequence[float | None], confidence: float, is_decided: Callable[[int, float], bool]
) -> list[float]:
    """The confidence at which each comparison of a family is judged: Holm's step-down.

    The comparison that decides most easily is judged at alpha ÷ n, the next at alpha ÷ (n − 1), and so on; the first
    that stays undecided ends it, and those behind it are shown at its level.

    Args:
        alphas: the smallest 1 − confidence of each comparison that decides; None: no test, and no member.
        confidence: that no decision of the family is wrong.
        is_decided: whether a comparison (by its index) is decided at a confidence.

    Source: S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian J. of Statistics 6 (1979).
    """
    levels = [confidence] * len(alphas)
    tested = sorted((alpha, index) for index, alpha in enumerate(alphas) if alpha is not None)
    level, is_over = confidence, False
    for step, (_, index) in enumerate(tested):
        if not is_over:
            level = 1 - (1 - confidence) / (len(tested) - step)
        levels[index] = level
        is_over = is_over or not is_decided(index, level)
    return levels


MAX_LOG = 700.0
"""Beyond it a double overflows; an interval that reaches there says nothing, and is cut off to stay a number."""


def _exp(log: float) -> float:
    return math.exp(min(max(log, -MAX_LOG), MAX_LOG))


def relative_half_width(known: Estimate) -> float:
    """Half the interval's width relative to the value; infinite without an interval."""
    if known.low is None or known.high is None or not known.value:
        return math.inf
    return (known.high - known.low) / 2 / abs(known.value)
