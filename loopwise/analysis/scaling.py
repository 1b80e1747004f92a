"""Throughput against workers: laws of scaling, and how many workers are enough.

Fitted is Gunther's Universal Scalability Law, or Amdahl's:

    throughput(N) = λ N ÷ (1 + σ (N − 1) + κ N (N − 1))

σ, contention, is the share of the work that waits for its turn; κ, coherency, the price of agreeing with each other.
With κ = 0 it is Amdahl's law.

Sources: N. J. Gunther, "Guerrilla Capacity Planning", Springer (2007), chapters 4–6. G. M. Amdahl, "Validity of the
single processor approach to achieving large scale computing capabilities", AFIPS Conference Proceedings 30 (1967).
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from loopwise.analysis.bounds import Bound, bounds
from loopwise.analysis.conclusions import fewest_as_good
from loopwise.analysis.figures import CaseFigures
from loopwise.analysis.paired import is_usable
from loopwise.analysis.rows import FLOATS
from loopwise.analysis.stats import estimate, student_quantile
from loopwise.analysis.wording import count, percent
from loopwise.model import Experiment, Noun
from loopwise.model.factors import identity
from loopwise.model.naming import name_among

METRIC = "throughput_rps"
MIN_AMDAHL, MIN_USL = 3, 4
"""Worker counts that a law of two or three parameters needs, so that one is left to contradict it."""
NONE = 1e-6
"""Contention or coherency below a millionth moves no throughput by what anybody could measure."""
POOR_FIT = 0.1
"""A curve further than this from a measured throughput does not describe it; cores that are used up make a kink."""


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
        workers: estimate([value for (of, _), value in points.items() if of == workers]).value for workers in counts
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
        nearest = self._search(is_usl=is_usl, is_bounded=True)
        values = [*(float(value) for value in nearest.x), 0.0]
        # The search stays a hair inside its bounds.
        contention, coherency = (0.0 if value < NONE else value for value in values[:2])
        return contention, coherency

    def _search(self, *, is_usl: bool, is_bounded: bool) -> Any:
        from scipy.optimize import least_squares

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
        laws = [self._ends(is_usl=is_usl, confidence=confidence)]
        if is_usl and point[1] == 0:
            laws.append(self._ends(is_usl=False, confidence=confidence))
        if not laws[0]:
            return (None, None), (None, None)
        ends = []
        for index, value in enumerate(point):
            mine = [each[index] for each in laws if index < len(each)]
            low = min([value, *(low for low, _ in mine)])
            high = max([value, *(high for _, high in mine)])
            ends.append((max(low, 0.0), max(high, 0.0)))
        return ends[0], ends[1]

    def _ends(self, *, is_usl: bool, confidence: float) -> list[tuple[float, float]]:
        """Student's t intervals from the curvature at the nearest curve, without bounds; none from too few points."""
        free = self._search(is_usl=is_usl, is_bounded=False)
        freedom = self.logs.size - len(set(self.blocks.tolist())) - free.x.size
        if freedom < 1:
            return []
        variance = 2 * float(free.cost) / freedom
        covariance = np.linalg.pinv(free.jac.T @ free.jac) * variance
        half = student_quantile(freedom, 0.5 + confidence / 2) * np.sqrt(np.diag(covariance))
        return [(float(x - h), float(x + h)) for x, h in zip(free.x, half, strict=True)]


class Scaling(Noun):
    """How throughput grows with the workers of otherwise equal cases; an entry of summary.json's `scaling`."""

    case_ids: tuple[str, ...]
    """By rising number of workers."""
    workers: tuple[int, ...]
    law: Literal["usl", "amdahl"]
    one_worker_rps: float
    """The curve's throughput on one worker."""
    contention: float
    """σ, 0–1: the share of the work that only one worker can do at a time."""
    contention_low: float | None
    """Ends of its interval; null with one replicate."""
    contention_high: float | None
    coherency: float | None
    """κ ≥ 0: what each pair of workers costs; null: Amdahl's law, which has none."""
    coherency_low: float | None
    coherency_high: float | None
    confidence: float
    """Of the intervals."""
    misfit_ratio: float
    """The greatest distance of the curve from a measured throughput, relative to it."""
    best_workers: int
    """Workers of the highest throughput."""
    recommended_workers: int
    """The fewest whose throughput has the verdict `same` as the best."""
    sentence: str

    def throughput_rps(self, workers: float) -> float:
        """The fitted curve."""
        return self.one_worker_rps * workers / divisor(self.contention, self.coherency or 0.0, workers)


def scale_all(experiment: Experiment, cases: Mapping[str, CaseFigures]) -> Iterator[Scaling]:
    """Describe each set of cases that differ in workers alone, and were measured on three worker counts or more."""
    known = [each.case for each in cases.values()]
    groups: dict[object, list[CaseFigures]] = {}
    for each in cases.values():
        # In open load the schedule sets the throughput, whatever the workers could do.
        if each.case.workers is not None and each.case.load.model == "closed":
            groups.setdefault(identity(each.case, {"workers": None}), []).append(each)
    for group in groups.values():
        members = sorted(
            (each for each in group if any(is_usable(value) for value in each.values(METRIC).values())),
            key=lambda each: each.case.workers or 0,
        )
        throughput = {each.case.workers or 0: each.values(METRIC) for each in members}
        law = fit(throughput, experiment.suite.compare.confidence)
        if law is not None:
            yield _scaling(experiment, members, law, name_among(members[0].case, known))


def _scaling(experiment: Experiment, members: Sequence[CaseFigures], law: Fit, name: str) -> Scaling:
    settings, cores = experiment.suite.compare, experiment.environment["cores"]
    best = max(members, key=lambda each: _typical(each, settings.confidence))
    fewest, _ = fewest_as_good(best, members, margin=settings.margin, confidence=settings.confidence)
    contention, coherency = law.contention, law.coherency
    scaling = Scaling(
        case_ids=tuple(each.case.case_id for each in members),
        workers=tuple(each.case.workers or 0 for each in members),
        law=law.law,
        one_worker_rps=law.one_worker_rps,
        contention=contention.value,
        contention_low=contention.low,
        contention_high=contention.high,
        coherency=coherency.value if coherency else None,
        coherency_low=coherency.low if coherency else None,
        coherency_high=coherency.high if coherency else None,
        confidence=settings.confidence,
        misfit_ratio=law.misfit_ratio,
        best_workers=best.case.workers or 0,
        recommended_workers=fewest.case.workers or 0,
        sentence="",
    )
    limits = bounds(best.case, cores)
    clauses = "".join(_clauses(scaling, law, settings.margin, limits[0] if limits else None))
    return scaling.model_copy(update={"sentence": f"{name} {clauses}."})


def _typical(each: CaseFigures, confidence: float) -> float:
    throughput = each.estimate(METRIC, confidence)
    return throughput.value if throughput else 0.0


def _clauses(scaling: Scaling, law: Fit, margin: float, bound: Bound | None) -> Iterator[str]:
    """A sentence about it, but for the name."""
    best, chosen = scaling.best_workers, scaling.recommended_workers
    words = f"contention {_shown(law.contention)}"
    if law.coherency is not None:
        words += f", coherency {_shown(law.coherency)}"
    grows = f"scales to {count(best, 'worker')}" if best > scaling.workers[0] else "gains nothing from more workers"
    yield f"{grows}: {words}"
    if chosen < best:
        serve = "serves" if chosen == 1 else "serve"
        yield f"; {count(chosen, 'worker')} already {serve} the same within ±{percent(margin)}"
    if bound is not None and bound.kind == "users":
        yield f"; its {bound.name} are all there is to serve, so more of them may show more"
    if scaling.misfit_ratio > POOR_FIT:
        yield f"; the curve misses a point by {100 * scaling.misfit_ratio:.0f} % and describes it badly"


def _shown(parameter: Parameter) -> str:
    """`3.1 % [1.2, 5]`."""
    value = f"{_digits(parameter.value)} %"
    if parameter.low is None or parameter.high is None:
        return value
    return f"{value} [{_digits(parameter.low)}, {_digits(parameter.high)}]"


def _digits(share: float) -> str:
    """In percent, two significant digits; below a thousandth of a percent it is zero."""
    return f"{share * 100:.2g}" if share >= 1e-5 and share < 0.995 else f"{share * 100:.0f}"
