"""A verdict as a person would say it. Pure."""

from loopwise.analysis.contest import Contest
from loopwise.model import Estimate, Pairing

SAYS = {
    "throughput_rps": "serves {ratio} the requests of",
    "service_time_p50_ms": "takes {ratio} the median time of",
    "service_time_p99_ms": "takes {ratio} the p99 time of",
    "cpu_ms_per_request": "costs {ratio} the CPU per request of",
}
"""Metric -> what stands between the names of candidate and baseline."""

MEASURED: dict[Pairing, str] = {
    "blocks": "",
    "slices": ", measured in alternating slices",
    "duel": ", measured side by side",
    "none": "",
}
"""Pairing -> how a sentence names it, where it matters."""


def sentence(contest: Contest, word: str, ratio: Estimate | None, margin: float) -> str:
    """What a contest's verdict says; the interval in it is the one that decided."""
    candidate, baseline = contest.names
    where = f" on {contest.endpoint}" if contest.endpoint else ""
    if ratio is None:
        return f"{candidate} and {baseline} can't be compared{where}: {contest.invalid_because or 'no valid run'}"
    says = SAYS[contest.metric].format(ratio=times(ratio))
    claim = f"{candidate} {says} {baseline}{where}"
    how = MEASURED[contest.pairing]
    if word == "same":
        return f"{claim}{how}: the same within ±{percent(margin)}"
    if word == "undecided":
        why = (
            "one replicate has no interval"
            if ratio.low is None
            else f"too wide to decide at ±{percent(margin)}"
        )
        return f"{claim}{how}: undecided, {why}"
    because = contest.explains.get(word, "")
    return f"{claim} here{how}, because {because}" if because else f"{claim}{how}"


def times(ratio: Estimate) -> str:
    """`2.41 times [2.3, 2.5]`; more digits where three would hide that it is not 1."""
    interval = "" if ratio.low is None else f" [{_short(ratio.low)}, {_short(ratio.high)}]"
    return f"{_short(ratio.value)} times{interval}"


def percent(share: float) -> str:
    """`5 %`, `2.5 %`."""
    return f"{share * 100:.4g} %"


def _short(value: float | None) -> str:
    # A duel knows its ratio to a tenth of a percent: 1.003 must not read as 1.
    return "" if value is None else f"{value:.4g}" if 0.9 < value < 1.1 else f"{value:.3g}"
