"""Verdicts on comparisons: better, worse, same, undecided or invalid.

better and worse need the whole interval beyond the practical margin, same needs it inside; everything else is
undecided, one replicate included. So a noisy measurement says less, never something else. With many comparisons the
interval widens (`confidences`), and stays the one that is printed.
"""

import math
from collections.abc import Callable, Iterable, Sequence

from loopwise.analysis.metrics import METRICS
from loopwise.analysis.paired import PairedComparison, round_comparisons
from loopwise.analysis.stats import LogRatio, step_down
from loopwise.analysis.wording import sentence
from loopwise.model import Estimate, Round, Verdict, VerdictWord


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


RULES: dict[VerdictWord, Callable[[float, float, float], bool]] = {
    "better": is_better,
    "worse": is_worse,
    "same": is_same,
}
"""Verdict by rule: (low, high, margin) of the improvement factor -> holds. The rules exclude each other."""


def decide(ratio: Estimate | None, metric: str, margin: float) -> VerdictWord:
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


def smallest_alpha(ratio: LogRatio, margin: float) -> float:
    """The smallest 1 − confidence at which the ratio's interval decides: beyond the margin, or inside it.

    It is twice the one-sided p of the nearest decision, of which "same" is the pair of tests by D. J. Schuirmann,
    "A comparison of the two one-sided tests procedure and the power approach for assessing the equivalence of
    average bioavailability", J. Pharmacokinetics and Biopharmaceutics 15 (1987). 1 where there is no interval.
    """
    return ratio.alpha_beyond(abs(ratio.mean) - math.log1p(margin))


def confidences(ratios: Sequence[LogRatio | None], metric: str, margin: float, confidence: float) -> list[float]:
    """The confidence at which each comparison of a family is judged (Holm's step-down)."""

    def is_decided(index: int, level: float) -> bool:
        ratio = ratios[index]
        return ratio is not None and decide(ratio.estimate(level), metric, margin) != "undecided"

    alphas = [smallest_alpha(each, margin) if each is not None and each.has_interval else None for each in ratios]
    return step_down(alphas, confidence, is_decided)


def judge_family(comparisons: Iterable[PairedComparison], *, margin: float, confidence: float) -> list[Verdict]:
    """Decide comparisons that a reader sees together, in their order; those on one metric are one family.

    Args:
        comparisons: of one result, of two results, or of one duel.
        margin: the practical margin, 0.05 for ±5 %.
        confidence: that no verdict of a family is wrong.
    """
    comparisons = list(comparisons)
    judged: dict[int, Verdict] = {}
    for metric in dict.fromkeys(each.metric for each in comparisons):
        family = [index for index, each in enumerate(comparisons) if each.metric == metric]
        levels = confidences([comparisons[index].ratio for index in family], metric, margin, confidence)
        for index, level in zip(family, levels, strict=True):
            judged[index] = _verdict(comparisons[index], margin, level)
    return [judged[index] for index in range(len(comparisons))]


def _verdict(comparison: PairedComparison, margin: float, confidence: float) -> Verdict:
    ratio = comparison.ratio.estimate(confidence) if comparison.ratio else None
    word = decide(ratio, comparison.metric, margin)
    return Verdict(
        baseline_case=comparison.baseline_case,
        candidate_case=comparison.candidate_case,
        endpoint=comparison.endpoint,
        metric=comparison.metric,
        pairing=comparison.pairing,
        replicates=ratio.replicates if ratio else 0,
        confidence=confidence,
        ratio=ratio.value if ratio else None,
        ci_low=ratio.low if ratio else None,
        ci_high=ratio.high if ratio else None,
        verdict=word,
        reason=sentence(comparison, word, ratio, margin),
        because=comparison.because(word) if ratio else comparison.invalid_because or "no valid run",
    )


def judge_rounds(rounds: Iterable[Round], *, margin: float, confidence: float) -> list[Verdict]:
    """Verdicts of what was measured head to head: per pair, metric and endpoint, in this order.

    The cases of the rounds may be labels (`main`, `my branch`): sentences call the sides by them.
    """
    return judge_family(round_comparisons(rounds), margin=margin, confidence=confidence)


def undecided_pairs(verdicts: Iterable[Verdict]) -> list[tuple[str, str]]:
    """`(baseline_case, candidate_case)` of each pair that blocks left undecided in throughput: what slices are for."""
    return [
        (verdict.baseline_case, verdict.candidate_case)
        for verdict in verdicts
        if (verdict.metric, verdict.pairing, verdict.verdict) == ("throughput_rps", "blocks", "undecided")
    ]
