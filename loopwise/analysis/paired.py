"""Paired comparison of two cases in one metric: which values pair, their ratio, and what holds the slower side back.

verdicts.py decides what becomes of a comparison.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby

from loopwise.analysis.bounds import Bound, bounds
from loopwise.analysis.checks import void_reason
from loopwise.analysis.figures import CaseFigures
from loopwise.analysis.metrics import COMPARED
from loopwise.analysis.stats import LogRatio, paired
from loopwise.model import Case, Pairing, Round
from loopwise.model.naming import tell_apart

AT_BOUND = 0.8
"""From this share of its smallest bound on, a case is said to be held back by it: routing, parsing and the thread hop
take what is missing. Below, something else holds it back."""
MIN_ROUNDS = 3
"""Fewer valid rounds have an interval that decides nothing."""


@dataclass(frozen=True)
class PairedComparison:
    """A candidate beside its baseline in one metric, before a verdict.

    With pairing `none` (two results measured apart) the ratio is that of independent samples.
    """

    baseline_case: str
    candidate_case: str
    metric: str
    ratio: LogRatio | None
    """candidate ÷ baseline; None where a side has no valid measurement."""
    names: tuple[str, str]
    """What a sentence calls the candidate and the baseline."""
    pairing: Pairing = "blocks"
    endpoint: str = ""
    """Empty: the case as a whole."""
    invalid_because: str = ""
    explained_by: Mapping[str, Bound] = field(default_factory=dict)
    """Verdict -> the bound at which its slower side runs, where that bound is its own."""

    def because(self, verdict: str) -> str:
        """Why the slower side of a verdict is slower: `sync waits for its 40 threads`; empty where it isn't known."""
        bound = self.explained_by.get(verdict)
        slower = self.names[1] if verdict == "better" else self.names[0]
        return f"{slower} {bound.because}" if bound else ""


def pair_up(one: Mapping[int, float], other: Mapping[int, float]) -> LogRatio | None:
    """The ratio from values with the same number (of block or round); None where no pair has a logarithm.

    A value that is zero, negative or not finite belongs to no pair: it is no measurement.
    """
    shared = [k for k in one if k in other and is_usable(one[k]) and is_usable(other[k])]
    return paired([one[k] for k in shared], [other[k] for k in shared]) if shared else None


def is_usable(value: float) -> bool:
    """Whether a value has a logarithm; zero, NaN and infinity are no measurements to compare."""
    return math.isfinite(value) and value > 0


def within_blocks(
    baseline: CaseFigures,
    candidate: CaseFigures,
    metric: str,
    explained_by: Mapping[str, Bound] | None = None,
) -> PairedComparison | None:
    """Compare two cases of one result, paired within blocks; None for a metric that neither side has."""
    ratio = pair_up(baseline.values(metric), candidate.values(metric))
    if ratio is None and metric != "throughput_rps" and baseline.runs and candidate.runs:
        return None
    return PairedComparison(
        baseline.case.case_id,
        candidate.case.case_id,
        metric,
        ratio,
        tell_apart(candidate.case, baseline.case),
        invalid_because=baseline.reason or candidate.reason or "no block holds a valid run of both",
        explained_by=explained_by or {},
    )


def round_ratio(rounds: Iterable[Round], endpoint: str, metric: str) -> LogRatio | None:
    """The ratio over the valid rounds of one pair; None where none of them has the metric."""
    valid = [each for each in rounds if each.status == "ok"]
    sides = [
        {
            each.number: values[metric]
            for each in valid
            if metric in (values := getattr(each, side).metrics.get(endpoint, {}))
        }
        for side in ("baseline", "candidate")
    ]
    return pair_up(sides[0], sides[1])


def settled_by_slices(comparison: PairedComparison, rounds: Sequence[Round], endpoint: str) -> PairedComparison:
    """Take the ratio that slices gave, where there are enough of them and their interval is narrower.

    Only the width of both intervals counts, never where they lie.

    Args:
        comparison: paired within blocks.
        rounds: of any pairs and pairings.
        endpoint: where the figures of the whole case are.
    """
    pair = (comparison.baseline_case, comparison.candidate_case)
    mine = [r for r in rounds if r.pairing == "slices" and (r.baseline_case, r.candidate_case) == pair]
    ratio, blocks = round_ratio(mine, endpoint, comparison.metric), comparison.ratio
    if ratio is None or ratio.replicates < MIN_ROUNDS:
        return comparison
    if blocks is not None and blocks.has_interval and blocks.width < ratio.width:
        return comparison
    return replace(comparison, ratio=ratio, pairing="slices", invalid_because="")


def round_comparisons(rounds: Iterable[Round]) -> Iterator[PairedComparison]:
    """A comparison per pair, endpoint and metric of what was measured head to head; the cases are called as they are.

    A missing ratio is yielded once per endpoint, as an invalid throughput; not where only the CPU is counted.
    """
    ordered = sorted(rounds, key=_pair)
    for (baseline, candidate), group in groupby(ordered, key=_pair):
        mine = sorted(group, key=lambda each: each.number)
        sides = [side for each in mine for side in (each.baseline, each.candidate)]
        endpoints = dict.fromkeys(name for side in sides for name in side.metrics) or {"": None}
        for metric in COMPARED:
            for endpoint in endpoints:
                ratio = round_ratio(mine, endpoint, metric)
                if ratio is None and not (metric == "throughput_rps" and _has_throughput(mine, endpoint)):
                    continue
                yield PairedComparison(
                    baseline,
                    candidate,
                    metric,
                    ratio,
                    (candidate, baseline),
                    pairing=mine[0].pairing,
                    endpoint=endpoint,
                    invalid_because=_why_no_round(mine),
                )


def _pair(each: Round) -> tuple[str, str]:
    return each.baseline_case, each.candidate_case


def _has_throughput(rounds: Sequence[Round], endpoint: str) -> bool:
    """Whether a valid round counts requests of the endpoint; also if no round is valid."""
    sides = [side for each in rounds if each.status == "ok" for side in (each.baseline, each.candidate)]
    return not sides or any("throughput_rps" in side.metrics.get(endpoint, {}) for side in sides)


def _why_no_round(rounds: Sequence[Round]) -> str:
    for each in rounds:
        if each.status != "ok":
            return each.error or void_reason(each.checks) or "no round is valid"
    return "no round holds a figure of both"


def explain(baseline: Case, candidate: Case, measured_rps: Mapping[str, float], cores: int) -> dict[str, Bound]:
    """The bound that explains a throughput verdict: the slower side runs at its smallest bound, which is its own.

    Args:
        baseline: loses in `better`.
        candidate: loses in `worse`.
        measured_rps: throughput by case_id.
        cores: of the machine.
    """
    explained = {}
    for verdict, slower, faster in (("better", baseline, candidate), ("worse", candidate, baseline)):
        limits, others = (bounds(side, cores) for side in (slower, faster))
        if not limits or measured_rps.get(slower.case_id, 0.0) < AT_BOUND * limits[0].throughput_rps:
            continue
        if others and others[0].throughput_rps <= limits[0].throughput_rps:
            continue  # the faster side has that bound, too
        explained[verdict] = limits[0]
    return explained
