"""Measured beside predicted: how far a case is from its smallest bound, and the likeliest reason. Pure functions.

Nothing is looked for that a run did not record: causes, failed checks, the generator's lag, CPU per request.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from loopwise.analysis.bounds import Bound, bounds
from loopwise.analysis.contest import AT_BOUND
from loopwise.analysis.measured import CaseFigures
from loopwise.analysis.stats import paired
from loopwise.model import Cost, Estimate, Noun, Run

MAX_RATIO = 1.05
"""A bound is arithmetic and can't be exceeded: beyond the default margin an assumption of it is wrong."""
MIN_EXCESS = 1.1
"""CPU per request above the workload's own by less is what every framework adds, and explains no fifth."""
OWN_CAUSES = {
    "sync": "thread_pool_full",
    "to_thread": "executor_full",
    "process": "process_pool_full",
    "blocking": "loop_blocked",
    "CPU": "cpu_saturated",
}
"""First word of a bound's name -> the cause that is this bound: it says what holds the case, not why it is below."""
MACHINE = ("steal", "other_cpu")
"""Flag checks whose value says how much of the CPU was gone."""

Word = Literal["near", "below", "above", "invalid"]


class Prediction(Noun):
    """How a case stands to its smallest bound; an entry of summary.json's `predictions`."""

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
class Seen:
    """What a reason is looked for in."""

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

    @property
    def own_cause(self) -> str:
        """The cause that is the bound itself; empty where there is none."""
        return OWN_CAUSES.get(self.bound.name.split()[0].rstrip(":"), "")


def predict(figures: CaseFigures, runs: Sequence[Run], cores: int, confidence: float) -> Prediction | None:
    """How a case stands to its smallest bound; None where its cost is not known.

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
        seen = Seen(figures, mine, cores, bound, known.value)
        reason = next(_below(seen) if word == "below" else _above(seen))
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

    Below AT_BOUND something else than the bound holds it back (as in contest.explain); above MAX_RATIO the bound is
    wrong.
    """
    if ratio is None:
        return "invalid"
    low, high = (ratio.value if end is None else end for end in (ratio.low, ratio.high))
    if high < AT_BOUND:
        return "below"
    return "above" if low > MAX_RATIO else "near"


def sentence(found: Prediction, name: str) -> str:
    """What is said of a case that is off; empty for one that is not.

    Args:
        found: as `predict` gives it.
        name: what the reader knows the case by.
    """
    if found.verdict not in {"below", "above"} or found.ratio is None:
        return ""
    interval = "" if found.ci_low is None else f" [{found.ci_low:.2f}, {found.ci_high:.2f}]"
    doubt = ", in one replicate" if found.ci_low is None else ""
    return (
        f"{name} reaches {found.ratio:.2f}{interval} of the {_rate(found.predicted_rps)} requests/s that arithmetic "
        f"gives it ({found.bound}){doubt}: {found.reason}"
    )


def _below(seen: Seen) -> Iterator[str]:
    """Reasons for less than the bound, the likeliest first; never empty."""
    causes = [cause for cause in _causes(seen) if cause[0] != seen.own_cause]
    yield from (evidence for name, evidence in causes if name == "generator_bound")
    # A disturbance comes first only if the case would reach its bound without it.
    yield from (words for gone, words in _disturbances(seen) if seen.ratio >= AT_BOUND * (1 - gone))
    yield from (evidence for _, evidence in causes)
    yield from _dear(seen)
    yield from _late(seen)
    yield from _flags(seen)
    yield "nothing that was recorded explains it"


def _causes(seen: Seen) -> list[tuple[str, str]]:
    """Causes that at least half of the runs named, in the order of the run that named most: name and evidence."""
    counted = Counter(cause.cause for run in seen.runs for cause in run.causes)
    longest = max((run.causes for run in seen.runs), key=len, default=())
    return [(cause.cause, cause.evidence) for cause in longest if 2 * counted[cause.cause] >= len(seen.runs)]


def _disturbances(seen: Seen) -> Iterator[tuple[float, str]]:
    """What the machine took from at least half of the runs: its share of the CPU, and in words."""
    for name in MACHINE:
        failed = [check for run in seen.runs for check in run.checks if check.name == name and not check.ok]
        if failed and 2 * len(failed) >= len(seen.runs):
            mean = sum(check.value for check in failed) / len(failed)
            # steal is a share of the machine, other_cpu counts cores
            gone = mean if name == "steal" else mean / max(seen.cores, 1)
            yield min(gone, 1.0), failed[0].detail or f"the check {name} failed"


def _dear(seen: Seen) -> Iterator[str]:
    """Requests that cost more CPU than the workload's own."""
    own_ms, spent_ms = _own_cpu_ms(seen), seen.mean("cpu_ms_per_request")
    if spent_ms is not None and own_ms > 0 and spent_ms >= MIN_EXCESS * own_ms:
        yield f"a request took {spent_ms:.3g} ms of CPU, where the workload's own is {own_ms:.3g} ms"


def _late(seen: Seen) -> Iterator[str]:
    """A generator that reads late asks late: in closed load its users are idle meanwhile."""
    lag_ms, service_ms = seen.mean("generator_lag_mean_ms"), seen.mean("service_time_mean_ms")
    if seen.figures.case.load.model == "closed" and lag_ms and service_ms:
        idle = lag_ms / (lag_ms + service_ms)
        if idle > 1 - AT_BOUND:
            yield f"the generator read answers {lag_ms:.3g} ms late: {100 * idle:.0f} % of its users' time is its own"


def _flags(seen: Seen) -> Iterator[str]:
    """Any other mark that at least half of the runs bear."""
    failed = [check for run in seen.runs for check in run.checks if check.effect == "flag" and not check.ok]
    counted = Counter(check.name for check in failed)
    for check in failed:
        if 2 * counted[check.name] >= len(seen.runs):
            yield check.detail or f"the check {check.name} failed"


def _above(seen: Seen) -> Iterator[str]:
    """Reasons for more than a bound allows, the likeliest first; never empty."""
    if seen.figures.case.load.model == "open" and seen.bound.name == "arrival rate":
        yield "more arrived in the window than the mean rate says, or was left from the warm-up"
    own_ms, spent_ms = _own_cpu_ms(seen), seen.mean("cpu_ms_per_request")
    if spent_ms is not None and own_ms > spent_ms:
        yield (
            f"a request took {spent_ms:.3g} ms of CPU, less than the {own_ms:.3g} ms it was calibrated for: the "
            "machine was slower during the calibration"
        )
    yield from _flags(seen)
    yield "a request costs less than its workload says, or more run at a time than the bound assumes"


def _own_cpu_ms(seen: Seen) -> float:
    """CPU time that the workload itself asks for, per request; of a mix, weighted."""
    case = seen.figures.case
    parts: list[tuple[int, Cost | None]] = [(part.weight, part.cost) for part in case.parts] or [
        (1, case.cost)
    ]
    weights = sum(weight for weight, _ in parts)
    return sum(weight * cost.cpu_ms for weight, cost in parts if cost) / weights


def _rate(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
