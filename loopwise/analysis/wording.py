"""A verdict as a sentence, and the numbers in it."""

from loopwise.analysis.metrics import METRICS
from loopwise.analysis.paired import PairedComparison
from loopwise.model import TOTAL, Estimate, Pairing

MANY = 1e9
"""From here on powers of ten: only ends of intervals from too few replicates lie there."""
_MEASURED: dict[Pairing, str] = {
    "blocks": "",
    "slices": ", measured in alternating slices",
    "duel": ", measured side by side",
    "none": "",
}


def sentence(comparison: PairedComparison, word: str, ratio: Estimate | None, margin: float) -> str:
    """Put a verdict into words.

    Args:
        comparison: what was compared.
        word: the verdict.
        ratio: candidate ÷ baseline with the interval that decided; None: a side has no valid measurement.
        margin: the practical margin.
    """
    candidate, baseline = comparison.names
    where = f" on {comparison.endpoint}" if comparison.endpoint not in {"", TOTAL} else ""
    if ratio is None:
        reason = comparison.invalid_because or "no valid run"
        return f"{candidate} and {baseline} can't be compared{where}: {reason}"
    phrase = METRICS[comparison.metric].phrase.format(ratio=times(ratio))
    claim, how = f"{candidate} {phrase} {baseline}{where}", _MEASURED[comparison.pairing]
    if word == "same":
        return f"{claim}{how}: the same within ±{percent(margin)}"
    if word == "undecided":
        wide = f"too wide to decide at ±{percent(margin)}"
        return f"{claim}{how}: undecided, {wide if ratio.low is not None else 'one replicate has no interval'}"
    because = comparison.because(word)
    return f"{claim} here{how}, because {because}" if because else f"{claim}{how}"


def times(ratio: Estimate) -> str:
    """`2.41 times [2.3, 2.5]`; more digits where three would hide that it is not 1."""
    interval = "" if ratio.low is None else f" [{_short(ratio.low)}, {_short(ratio.high)}]"
    return f"{_short(ratio.value)} times{interval}"


def duration(estimate: Estimate) -> str:
    """A latency in ms, in the unit that suits it: `52.3 [50.1, 54.6] ms`, `5.02 [4.99, 5.05] s`."""
    factor, unit = (1e-3, "s") if estimate.value >= 1000 else (1.0, "ms")
    low, high = (None if each is None else each * factor for each in (estimate.low, estimate.high))
    interval = "" if low is None or high is None else f" [{_digits(low)}, {_digits(high)}]"
    return f"{_digits(estimate.value * factor)}{interval} {unit}"


def percent(share: float) -> str:
    """`5 %`, `2.5 %`."""
    return f"{share * 100:.4g} %"


def rate(value: float) -> str:
    """Requests a second: `1,234`, and three digits below a hundred."""
    return whole(value) if value >= 100 else f"{value:.3g}"


def whole(value: float | None) -> str:
    """Without a fraction: `1,234`, `3e12`; empty where there is none."""
    return "" if value is None else f"{value:,.0f}" if value < MANY else f"{value:.3g}".replace("e+", "e")


def count(number: int, noun: str) -> str:
    """`1 worker`, `2 workers`."""
    return f"{number:,} {noun}{'s' if number != 1 else ''}"


def _short(value: float | None) -> str:
    # A duel knows its ratio to a tenth of a percent: 1.003 must not read as 1.
    return "" if value is None else f"{value:.4g}" if 0.9 < value < 1.1 else _digits(value)


def _digits(value: float) -> str:
    """Three digits, or all before the point: `0.0432`, `52.3`, `2,710`."""
    return whole(value) if value >= 1000 else f"{value:.3g}"
