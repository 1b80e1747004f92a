"""Measured beside predicted: how far a case is from its smallest bound, and the likeliest reason.

A reason is looked for only in what runs record: causes, failed checks, the generator's lag, CPU per request.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from loopwise.analysis.bounds import Bound, bounds
from loopwise.analysis.causes import CAUSES
from loopwise.analysis.checks import CHECKS
from loopwise.analysis.figures import CaseFigures
from loopwise.analysis.paired import AT_BOUND
from loopwise.analysis.stats import paired
from loopwise.analysis.wording import rate
from loopwise.model import Cause, Check, Cost, Estimate, Noun, Run

MAX_RATIO = 1.05
"""A bound is arithmetic and can't be exceeded: beyond the default margin an assumption of it is wrong."""
MIN_EXCESS = 1.1
"""CPU per request above the workload's own by less is what every framework adds, and explains no fifth."""

Word = Literal["near", "below", "above", "invalid"]


class Prediction(Noun):
    """How a case compares with its smallest bound; an entry of summary.json's `predictions`."""

    case_id: str
    bound: str
    """Name of the smallest bound."""
    predicted_rps: float
    ratio: float | None
    """Measured ÷ predicted; null: no valid run."""
    ci_low: float | None
    """Lower end of its interval; null with one replicate."""
    ci_high: float | None
    verdict: Word
    """`below` and `above`: the whole interval (or the only value) lies outside 0.8 to 1.05."""
    reason: str
    """The likeliest reason for a case that is off; empty for one that is not."""


@dataclass(frozen=True)
class Observed:
    """The figures and runs of a case, in which a reason is looked for."""

    figures: CaseFigures
    runs: tuple[Run, ...]
    """Usable runs of the case."""
    cores: int
    bound: Bound
    ratio: float

    def mean(self, metric: str) -> float | None:
        """A metric's mean over the runs that have it."""
        values = list(self.figures.values(metric).values())
        return sum(values) / len(values) if values else None

    def is_common(self, count: int) -> bool:
        """Whether at least half of the runs have it."""
        return 2 * count >= len(self.runs)


def predict(figures: CaseFigures, runs: Sequence[Run], cores: int, confidence: float) -> Prediction | None:
    """Compare a case with its smallest bound; None where its cost is not known.

    Args:
        figures: of the case.
        runs: of any cases.
        cores: that the server can use.
        confidence: of the ratio's interval.
    """
    limits = bounds(figures.case, cores)
    if not limits:
        return None
    bound = limits[0]
    known = _ratio(list(figures.values("throughput_rps").values()), bound, confidence)
    word = judge(known)
    reason = ""
    if known is not None and word in {"below", "above"}:
        mine = tuple(run for run in runs if run.case.case_id == figures.case.case_id and run.status == "ok")
        observed = Observed(figures, mine, cores, bound, known.value)
        reason = next(_below(observed) if word == "below" else _above(observed))
    return Prediction(
        case_id=figures.case.case_id,
        bound=bound.name,
        predicted_rps=bound.throughput_rps,
        ratio=known.value if known else None,
        ci_low=known.low if known else None,
        ci_high=known.high if known else None,
        verdict=word,
        reason=reason,
    )


def _ratio(values: Sequence[float], bound: Bound, confidence: float) -> Estimate | None:
    usable = [value for value in values if value > 0]
    if not usable:
        return None
    return paired([bound.throughput_rps] * len(usable), usable).estimate(confidence)


def judge(ratio: Estimate | None) -> Word:
    """Whether a case is off: its whole interval lies outside the limits; with one replicate, its value does.

    Below AT_BOUND something else than the bound holds it back (as in paired.explain); above MAX_RATIO the bound is
    wrong.
    """
    if ratio is None:
        return "invalid"
    low, high = (ratio.value if end is None else end for end in (ratio.low, ratio.high))
    if high < AT_BOUND:
        return "below"
    return "above" if low > MAX_RATIO else "near"


def sentence(prediction: Prediction, name: str) -> str:
    """Put a prediction that was missed into words; empty for one that was not.

    Args:
        prediction: as `predict` gives it.
        name: what the reader knows the case by.
    """
    if prediction.verdict not in {"below", "above"} or prediction.ratio is None:
        return ""
    low, high = prediction.ci_low, prediction.ci_high
    interval = "" if low is None else f" [{low:.2f}, {high:.2f}]"
    doubt = ", in one replicate" if low is None else ""
    return (
        f"{name} reaches {prediction.ratio:.2f}{interval} of the {rate(prediction.predicted_rps)} requests/s that "
        f"arithmetic gives it ({prediction.bound}){doubt}: {prediction.reason}"
    )


def _below(observed: Observed) -> Iterator[str]:
    """Reasons for less than the bound, the likeliest first; never empty."""
    # The cause that is the bound itself says what holds the case, not why it is below.
    causes = [each for each in _causes(observed) if not CAUSES[each.cause].is_bound(observed.bound)]
    yield from (each.evidence for each in causes if each.cause == "generator_bound")
    # A disturbance comes first only if the case would reach its bound without it.
    yield from (words for gone, words in _disturbances(observed) if observed.ratio >= AT_BOUND * (1 - gone))
    yield from (each.evidence for each in causes)
    yield from _expensive(observed)
    yield from _late(observed)
    yield from _marks(observed)
    yield "nothing that was recorded explains it"


def _causes(observed: Observed) -> list[Cause]:
    """Causes that at least half of the runs named, in the order of the run that named most."""
    counted = Counter(cause.cause for run in observed.runs for cause in run.causes)
    longest = max((run.causes for run in observed.runs), key=len, default=())
    return [each for each in longest if each.cause in CAUSES and observed.is_common(counted[each.cause])]


def _disturbances(observed: Observed) -> Iterator[tuple[float, str]]:
    """What the machine took from at least half of the runs: its share of the CPU, and in words."""
    for spec in CHECKS.values():
        failed = [check for run in observed.runs for check in run.checks if check.name == spec.name and not check.ok]
        if spec.lost_cpu and failed and observed.is_common(len(failed)):
            gone = spec.lost_cpu(sum(check.value for check in failed) / len(failed), observed.cores)
            yield min(gone, 1.0), _words(failed[0])


def _expensive(observed: Observed) -> Iterator[str]:
    """Requests that cost more CPU than the workload's own."""
    own_ms, spent_ms = _own_cpu_ms(observed), observed.mean("cpu_ms_per_request")
    if spent_ms is not None and own_ms > 0 and spent_ms >= MIN_EXCESS * own_ms:
        yield f"a request took {spent_ms:.3g} ms of CPU, where the workload's own is {own_ms:.3g} ms"


def _late(observed: Observed) -> Iterator[str]:
    """A generator that reads late asks late: in closed load its users are idle meanwhile."""
    lag_ms, service_ms = observed.mean("generator_lag_mean_ms"), observed.mean("service_time_mean_ms")
    if observed.figures.case.load.model == "closed" and lag_ms and service_ms:
        idle = lag_ms / (lag_ms + service_ms)
        if idle > 1 - AT_BOUND:
            yield f"the generator read answers {lag_ms:.3g} ms late: {100 * idle:.0f} % of its users' time is its own"


def _marks(observed: Observed) -> Iterator[str]:
    """Any other check that marked at least half of the runs."""
    failed = [check for run in observed.runs for check in run.checks if check.effect == "flag" and not check.ok]
    counted = Counter(check.name for check in failed)
    yield from (_words(check) for check in failed if observed.is_common(counted[check.name]))


def _words(check: Check) -> str:
    return check.detail or f"the check {check.name} failed"


def _above(observed: Observed) -> Iterator[str]:
    """Reasons for more than a bound allows, the likeliest first; never empty."""
    if observed.bound.kind == "arrivals":
        yield "more arrived in the window than the mean rate says, or was left from the warm-up"
    own_ms, spent_ms = _own_cpu_ms(observed), observed.mean("cpu_ms_per_request")
    if spent_ms is not None and own_ms > spent_ms:
        yield (
            f"a request took {spent_ms:.3g} ms of CPU, less than the {own_ms:.3g} ms it was calibrated for: the "
            "machine was slower during the calibration"
        )
    yield from _marks(observed)
    yield "a request costs less than its workload says, or more run at a time than the bound assumes"


def _own_cpu_ms(observed: Observed) -> float:
    """CPU time that the workload itself asks for, per request; of a mix, weighted."""
    case = observed.figures.case
    parts: list[tuple[int, Cost | None]] = [(part.weight, part.cost) for part in case.parts] or [(1, case.cost)]
    weights = sum(weight for weight, _ in parts)
    return sum(weight * cost.cpu_ms for weight, cost in parts if cost) / weights
