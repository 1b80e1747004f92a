"""Better, worse, same, undecided or invalid: the one function that decides. Pure.

better and worse need the whole interval beyond the practical margin, same needs it inside; everything else is
undecided, one replicate included. So a noisy measurement says less, never something else.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from loopwise.metrics import METRICS
from loopwise.model import Case, Estimate, Verdict
from loopwise.predict import bounds

Word = Literal["better", "worse", "same", "undecided", "invalid"]
COMPARED = ("throughput_rps", "service_time_p50_ms", "service_time_p99_ms", "cpu_ms_per_request")
"""Metrics that get a verdict."""


def _gains(ratio: Estimate, metric: str) -> tuple[float, float] | None:
    """The interval of the improvement factor: above 1 is better, whichever way the metric runs."""
    if ratio.low is None or ratio.high is None or not 0 < ratio.low <= ratio.high < math.inf:
        return None  # NaN fails every comparison, so it ends here, too
    if METRICS[metric].better == "lower":
        return 1 / ratio.high, 1 / ratio.low
    return ratio.low, ratio.high


def is_better(low: float, _high: float, margin: float) -> bool:
    """The whole interval lies above the margin."""
    return low > 1 + margin


def is_worse(_low: float, high: float, margin: float) -> bool:
    """The whole interval lies below the margin; 1/1.05 down is as far as 1.05 up, so swapped sides swap words."""
    return high < 1 / (1 + margin)


def is_same(low: float, high: float, margin: float) -> bool:
    """The whole interval lies inside the margin."""
    return low >= 1 / (1 + margin) and high <= 1 + margin


RULES: dict[Word, Callable[[float, float, float], bool]] = {
    "better": is_better,
    "worse": is_worse,
    "same": is_same,
}
"""Verdict by rule: (low, high, margin) of the improvement factor -> holds. The rules exclude each other."""


def decide(ratio: Estimate | None, metric: str, margin: float) -> Word:
    """The verdict on candidate ÷ baseline.

    Args:
        ratio: None where a side has no valid measurement.
        metric: a key of METRICS that has a better direction.
        margin: the practical margin, 0.05 for ±5 %.
    """
    if ratio is None:
        return "invalid"
    gains = _gains(ratio, metric)
    if gains is None:
        return "undecided"
    for word, holds in RULES.items():
        if holds(*gains, margin):
            return word
    return "undecided"


@dataclass(frozen=True)
class Contest:
    """Two cases and one metric, put side by side."""

    baseline: Case
    candidate: Case
    metric: str
    ratio: Estimate | None
    """candidate ÷ baseline."""
    invalid_because: str = ""
    measured_rps: Mapping[str, float] | None = None
    """Throughput by case_id, to tell whether a side runs at its bound."""
    cores: int = 1


def judge(contest: Contest, margin: float) -> Verdict:
    """Decide a contest and put it into a sentence."""
    ratio = contest.ratio
    word = decide(ratio, contest.metric, margin)
    return Verdict(
        baseline_case=contest.baseline.case_id,
        candidate_case=contest.candidate.case_id,
        metric=contest.metric,
        ratio=ratio.value if ratio else None,
        ci_low=ratio.low if ratio else None,
        ci_high=ratio.high if ratio else None,
        verdict=word,
        reason=_sentence(contest, word, margin),
    )


SAYS = {
    "throughput_rps": "serves {ratio} the requests of",
    "service_time_p50_ms": "takes {ratio} the median time of",
    "service_time_p99_ms": "takes {ratio} the p99 time of",
    "cpu_ms_per_request": "costs {ratio} the CPU per request of",
}


def _sentence(contest: Contest, word: Word, margin: float) -> str:
    candidate, baseline = tell_apart(contest.candidate, contest.baseline)
    if word == "invalid" or contest.ratio is None:
        return f"{candidate} and {baseline} can't be compared: {contest.invalid_because or 'no valid run'}"
    says = SAYS[contest.metric].format(ratio=times(contest.ratio))
    claim = f"{candidate} {says} {baseline}"
    if word == "same":
        return f"{claim}: the same within ±{margin:.0%}"
    if word == "undecided":
        why = (
            "one replicate has no interval"
            if contest.ratio.low is None
            else f"too wide to decide at ±{margin:.0%}"
        )
        return f"{claim}: undecided, {why}"
    because = _because(contest, word)
    return f"{claim}, because {because}" if because else claim


def times(ratio: Estimate) -> str:
    """`2.41 times [2.3, 2.5]`."""
    interval = "" if ratio.low is None else f" [{ratio.low:.3g}, {ratio.high:.3g}]"
    return f"{ratio.value:.3g} times{interval}"


def tell_apart(first: Case, second: Case) -> tuple[str, str]:
    """What two cases are called beside each other: what differs between them, or the mode."""
    names = _name(first, second), _name(second, first)
    return names if names[0] != names[1] else (first.case_id, second.case_id)


def _name(case: Case, other: Case) -> str:
    words = [case.subject] if case.subject != other.subject else []
    if case.mode != other.mode or not words:
        words.append(case.mode)
    if case.workers != other.workers:
        words.append(
            f"on {case.workers} worker{'s' if case.workers != 1 else ''}"
            if case.workers
            else "on the running server"
        )
    if case.server and other.server and case.server.name != other.server.name:
        words.append(f"under {case.server.name}")
    if case.load.label != other.load.label:
        words.append(f"at {case.load.label}")
    return " ".join(words)


AT_BOUND = 0.8
"""From this share of its smallest bound on, a case is said to be held back by it."""


def _because(contest: Contest, word: Word) -> str:
    """Why the slower side is slower, where arithmetic knows: it runs at its smallest bound, and that is its own."""
    if contest.metric != "throughput_rps" or contest.measured_rps is None:
        return ""
    sides = (contest.baseline, contest.candidate)
    slower, faster = sides if word == "better" else sides[::-1]
    limits, others = (bounds(side, contest.cores) for side in (slower, faster))
    measured = contest.measured_rps.get(slower.case_id, 0.0)
    if not limits or measured < AT_BOUND * limits[0].throughput_rps:
        return ""
    if others and others[0].throughput_rps <= limits[0].throughput_rps:
        return ""  # the faster side has that bound, too
    return f"{tell_apart(slower, faster)[0]} {limits[0].because}"
