"""Trend test of a run over its window: does throughput or service time still change while it is measured?

Each series of sub-windows (throughput, median service time) is put to the test of Mann and Kendall: how many of its
pairs rise, less those that fall. It asks for order alone, so one burst of noise weighs no more than any other
sub-window. The size of a trend is the median slope of all pairs (Theil and Sen), which no single sub-window moves.

Sources: H. B. Mann, "Nonparametric tests against trend", Econometrica 13 (1945); M. G. Kendall, "Rank correlation
methods" (1948); P. K. Sen, "Estimates of the regression coefficient based on Kendall's tau", JASA 63 (1968).
"""

from collections.abc import Sequence
from functools import cache
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SUB_WINDOWS = 10
"""Enough to tell a trend from chance, few enough to hold some answers each in a window of seconds."""
SIGNIFICANCE = 0.01
"""Of both series of a run together: a suite has dozens of runs, and a mark beside every twentieth means nothing."""
MAX_DRIFT = 0.1
"""A window that drifts by a tenth has a mean a twentieth, the default margin, away from what it drifts to."""


class Drift(NamedTuple):
    """The trend of a run over its window."""

    size: float
    """Change from the first sub-window to the last, relative to the typical one; 0 where chance explains it."""
    limit: float
    """The size that is allowed: MAX_DRIFT, or one answer more or less in a sub-window where that is more."""
    what: str
    """`throughput` or `service time`."""
    empty: int = 0
    """Sub-windows without an answer, where they are so many that no trend can be seen; the size is 1 then."""

    @property
    def is_beyond(self) -> bool:
        """Larger than allowed."""
        return abs(self.size) > self.limit


def drift(
    received_ns: NDArray[np.int64],
    service_ms: NDArray[np.float64],
    start_ns: int,
    end_ns: int,
    *,
    has_own_rate: bool,
) -> Drift | None:
    """The strongest trend of a window; None where it holds too few answers for any.

    Args:
        received_ns: when each good answer arrived (open load: when its request was due).
        service_ms: of the same answers.
        start_ns: the window's start.
        end_ns: its end.
        has_own_rate: closed load. Otherwise the schedule decides throughput, and only service time can drift.
    """
    if received_ns.size < 2 * SUB_WINDOWS:
        return None
    edges = start_ns + np.arange(1, SUB_WINDOWS) * ((end_ns - start_ns) // SUB_WINDOWS)
    place = np.searchsorted(edges, received_ns, side="right")
    counts = np.bincount(place, minlength=SUB_WINDOWS).astype(float)
    empty = int((counts == 0).sum())
    if has_own_rate and 2 * empty >= SUB_WINDOWS:
        return Drift(1.0, MAX_DRIFT, "throughput", empty)
    series = {"throughput": counts} if has_own_rate else {}
    if counts.min() > 0:
        medians = [float(np.median(service_ms[place == k])) for k in range(SUB_WINDOWS)]
        series["service time"] = np.array(medians)
    if not series:
        return None
    limit = max(MAX_DRIFT, float(1 / np.mean(counts)))
    trends = [
        Drift(trend_size(each) if p_value(each) <= SIGNIFICANCE / len(series) else 0.0, limit, what)
        for what, each in series.items()
    ]
    return max(trends, key=lambda each: abs(each.size))


def kendall_s(series: Sequence[float] | NDArray[np.float64]) -> int:
    """Pairs that rise, less pairs that fall."""
    return sum(int(np.sign(later - earlier)) for earlier, later in combinations(series, 2))


def p_value(series: Sequence[float] | NDArray[np.float64]) -> float:
    """Two-sided probability of as strong a trend by chance, exact for series without ties.

    With ties it is too large rather than too small: coarse counts raise no false alarm.
    """
    ways = _ways(len(series))
    strength = abs(kendall_s(series))
    most = len(ways) - 1
    rarer = sum(count for inversions, count in enumerate(ways) if abs(most - 2 * inversions) >= strength)
    return rarer / sum(ways)


@cache
def _ways(n: int) -> tuple[int, ...]:
    """How many orders of n values have 0, 1, 2, … pairs that fall (Mahonian numbers)."""
    ways = [1]
    for size in range(2, n + 1):
        longer = [0] * (len(ways) + size - 1)
        for inversions, count in enumerate(ways):
            for more in range(size):
                longer[inversions + more] += count
        ways = longer
    return tuple(ways)


def trend_size(series: Sequence[float] | NDArray[np.float64]) -> float:
    """Theil and Sen's slope over the whole series, relative to its median; 0 if that is 0."""
    slopes = [(series[k] - series[j]) / (k - j) for j, k in combinations(range(len(series)), 2)]
    middle = float(np.median(series))
    return float(np.median(slopes)) * (len(series) - 1) / middle if middle else 0.0
