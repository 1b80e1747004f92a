"""Throughput against workers, fitted by Gunther's Universal Scalability Law, or Amdahl's. Pure functions.

    throughput(N) = λ N ÷ (1 + σ (N − 1) + κ N (N − 1))

σ, contention, is the share of the work that waits for its turn; κ, coherency, the price of agreeing with each other.
With κ = 0 it is Amdahl's law.

Sources: N. J. Gunther, "Guerrilla Capacity Planning", Springer (2007), chapters 4–6. G. M. Amdahl, "Validity of the
single processor approach to achieving large scale computing capabilities", AFIPS Conference Proceedings 30 (1967).
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.special import stdtrit

from loopwise.analysis.contest import is_usable
from loopwise.analysis.stats import estimate

MIN_AMDAHL, MIN_USL = 3, 4
"""Worker counts that a law of two or three parameters needs, so that one is left to contradict it."""
NONE = 1e-6
"""Contention or coherency below a millionth moves no throughput by what anybody could measure."""
FLOATS = NDArray[np.float64]


class Parameter(NamedTuple):
    """A parameter with its interval; the ends are None with one replicate."""

    value: float
    low: float | None
    high: float | None


class Fit(NamedTuple):
    """A law fitted to throughput by worker count."""

    law: Literal["usl", "amdahl"]
    contention: Parameter
    coherency: Parameter | None
    """None in Amdahl's law."""
    one_worker_rps: float
    """λ: the curve's throughput on one worker."""
    misfit_ratio: float
    """The greatest distance of the curve from a typical throughput, relative to it."""


def fit(throughput: Mapping[int, Mapping[int, float]], confidence: float) -> Fit | None:
    """The law that so many worker counts can carry; None with fewer than three.

    Args:
        throughput: workers -> replicate (its block) -> requests a second.
        confidence: of the intervals.
    """
    points = {
        (workers, block): value
        for workers, values in throughput.items()
        for block, value in values.items()
        if is_usable(value)
    }
    counts = sorted({workers for workers, _ in points})
    if len(counts) < MIN_AMDAHL:
        return None
    is_usl = len(counts) >= MIN_USL
    data = _Data.of(points)
    contention, coherency = data.fit(is_usl=is_usl)
    ends = data.intervals((contention, coherency), is_usl=is_usl, confidence=confidence)
    typical = {
        workers: estimate([value for (count, _), value in points.items() if count == workers]).value
        for workers in counts
    }
    logs = [math.log(typical[n] * divisor(contention, coherency, n) / n) for n in counts]
    one_worker_rps = math.exp(sum(logs) / len(logs))
    curve = {n: one_worker_rps * n / divisor(contention, coherency, n) for n in counts}
    return Fit(
        "usl" if is_usl else "amdahl",
        Parameter(contention, *ends[0]),
        Parameter(coherency, *ends[1]) if is_usl else None,
        one_worker_rps,
        max(abs(curve[n] / typical[n] - 1) for n in counts),
    )


def divisor(contention: float, coherency: float, workers: float) -> float:
    """By how much N workers fall short of N times one."""
    return 1 + contention * (workers - 1) + coherency * workers * (workers - 1)


class _Data(NamedTuple):
    """Points of a fit: a throughput per worker count and block."""

    workers: FLOATS
    logs: FLOATS
    blocks: NDArray[np.int64]

    @classmethod
    def of(cls, points: Mapping[tuple[int, int], float]) -> "_Data":
        """From (workers, block) -> requests a second."""
        numbers = {block: index for index, block in enumerate(sorted({block for _, block in points}))}
        return cls(
            np.array([workers for workers, _ in points], dtype=float),
            np.log(np.array(list(points.values()), dtype=float)),
            np.array([numbers[block] for _, block in points], dtype=np.int64),
        )

    def residuals(self, parameters: Sequence[float] | FLOATS) -> FLOATS:
        """Log distances from the curve, each block with a λ of its own: a slow block is slow on every count."""
        contention, coherency = (*parameters, 0.0)[:2]
        n = self.workers
        below = 1 + contention * (n - 1) + coherency * n * (n - 1)
        # Without bounds the search may try a curve that is no throughput: it must find it far away.
        free = self.logs + np.log(np.maximum(below, 1e-6)) - np.log(n)
        sums = np.bincount(self.blocks, weights=free)
        return np.asarray(free - (sums / np.bincount(self.blocks))[self.blocks], dtype=float)

    def fit(self, *, is_usl: bool) -> tuple[float, float]:
        """Contention and coherency of the nearest curve."""
        found = self._search(is_usl=is_usl, is_bounded=True)
        values = [*(float(value) for value in found.x), 0.0]
        # The search stays a hair inside its bounds.
        contention, coherency = (0.0 if value < NONE else value for value in values[:2])
        return contention, coherency

    def _search(self, *, is_usl: bool, is_bounded: bool) -> Any:
        most = float(self.workers.max())
        lowest = [0.0, 0.0] if is_bounded else [-0.9 / (most - 1), -0.9 / (most * (most - 1))]
        size = 2 if is_usl else 1
        return least_squares(
            self.residuals,
            [0.05, 0.001][:size],
            bounds=(lowest[:size], [1.0 if is_bounded else 10.0, 10.0][:size]),
            x_scale=[0.1, 0.01][:size],
            xtol=1e-10,
            ftol=1e-12,
        )

    def intervals(
        self, point: tuple[float, float], *, is_usl: bool, confidence: float
    ) -> tuple[tuple[float | None, float | None], tuple[float | None, float | None]]:
        """Ends of the intervals of contention and coherency, cut off at 0."""
        if len(set(self.blocks.tolist())) < 2:
            return (None, None), (None, None)
        # Free of the bounds the estimate scatters around the truth; at a bound it leans. Where the bound holds
        # coherency at 0, contention is known from the smaller law, too: both are kept.
        found = [self._ends(is_usl=is_usl, confidence=confidence)]
        if is_usl and point[1] == 0:
            found.append(self._ends(is_usl=False, confidence=confidence))
        if not found[0]:
            return (None, None), (None, None)
        ends = []
        for index, value in enumerate(point):
            mine = [each[index] for each in found if index < len(each)]
            low = min([value, *(low for low, _ in mine)])
            high = max([value, *(high for _, high in mine)])
            ends.append((max(low, 0.0), max(high, 0.0)))
        return ends[0], ends[1]

    def _ends(self, *, is_usl: bool, confidence: float) -> list[tuple[float, float]]:
        """Student's t intervals from the curvature at the nearest curve, without bounds; none from too few points."""
        found = self._search(is_usl=is_usl, is_bounded=False)
        freedom = self.logs.size - len(set(self.blocks.tolist())) - found.x.size
        if freedom < 1:
            return []
        variance = 2 * float(found.cost) / freedom
        covariance = np.linalg.pinv(found.jac.T @ found.jac) * variance
        half = float(stdtrit(freedom, 0.5 + confidence / 2)) * np.sqrt(np.diag(covariance))
        return [(float(x - h), float(x + h)) for x, h in zip(found.x, half, strict=True)]
