"""Decisions from figures: what is worth confirming, and what is advised. Pure functions."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from loopwise.advise.candidates import PREFERENCE, Candidate
from loopwise.advise.rows import Kind
from loopwise.analysis.metrics import CANARY
from loopwise.analysis.paired import PairedComparison, round_ratio
from loopwise.analysis.verdicts import judge_family, judge_rounds
from loopwise.model import TOTAL, Round, Verdict

MARGIN = 0.05
"""Of throughput: smaller differences do not matter."""
CANARY_MARGIN = 0.25
"""Of the canary's 99th percentile, which few answers give."""
CONFIDENCE = 0.95
ALIKE = 0.15
"""Changes whose gains are so close are told apart by PREFERENCE, not by what one round says."""
KEPT = 0.9
"""Part of the requests that a change must still serve to be confirmed and advised for the canary's sake."""
CALMED = 1.5
"""So many times shorter must the canary's 99th percentile be for that."""


@dataclass(frozen=True)
class Screened:
    """A change after its first rounds."""

    candidate: Candidate
    gain: float | None
    """Requests, changed ÷ as written; None: no round gave it."""
    calm: float | None = None
    """The canary's 99th percentile, as written ÷ changed."""
    fault: str = ""
    """Why there is no gain to tell."""
    rounds: int = 1
    """That are valid."""


def screened(candidate: Candidate, rounds: Sequence[Round]) -> Screened:
    """The figures of a change over its rounds so far, without a verdict."""
    valid = [each for each in rounds if each.status == "ok"]
    if not valid:
        return Screened(candidate, None, fault=next((each.error or "" for each in rounds), "") or "no round was valid")
    longer = _ratio(valid, CANARY)
    return Screened(candidate, gain(valid), None if longer is None else 1 / longer, rounds=len(valid))


def gain(rounds: Iterable[Round]) -> float | None:
    """Requests, changed ÷ as written, over the valid rounds; None where there is none."""
    return _ratio(rounds, "throughput_rps")


def _ratio(rounds: Iterable[Round], metric: str) -> float | None:
    found = round_ratio(rounds, TOTAL, metric)
    return None if found is None else found.estimate(CONFIDENCE).value


def winner(found: Sequence[Screened]) -> Screened | None:
    """The change of one endpoint that is worth confirming; None: none is.

    That with the most requests; among those that are alike the one that is preferred. Where none serves more, the one
    that leaves the canary the most.
    """
    gaining = [each for each in found if each.gain is not None and each.gain > 1 + MARGIN]
    if gaining:
        most = max(each.gain or 0.0 for each in gaining)
        alike = [each for each in gaining if (each.gain or 0.0) * (1 + ALIKE) >= most]
        return min(alike, key=lambda each: (PREFERENCE.index(each.candidate.kind), -(each.gain or 0.0)))
    calming = [
        each
        for each in found
        if each.gain is not None and each.gain >= KEPT and each.calm is not None and each.calm >= CALMED
    ]
    if not calming:
        return None
    most = max(each.calm or 0.0 for each in calming)
    alike = [each for each in calming if (each.calm or 0.0) * (1 + CANARY_MARGIN) >= most]
    return min(alike, key=lambda each: (PREFERENCE.index(each.candidate.kind), -(each.calm or 0.0)))


def is_contested(found: Sequence[Screened]) -> bool:
    """Whether a second look could change the winner: changes of one kind are close to each other."""
    best = winner(found)
    if best is None or best.gain is None:
        return False
    gain = best.gain
    kind: Kind = best.candidate.kind
    return any(
        each is not best and each.candidate.kind == kind and each.gain is not None and each.gain * (1 + ALIKE) >= gain
        for each in found
    )


@dataclass(frozen=True)
class Judged:
    """One comparison after its last round."""

    throughput: Verdict
    canary: Verdict | None = None
    canary_p99_ms: tuple[float, float] | None = None
    """As written and changed, medians over the rounds."""


def judged(rounds: Sequence[Round]) -> dict[tuple[str, str], Judged]:
    """The verdicts of all comparisons that were confirmed together, by their two case_ids; a family per metric."""
    throughputs = {
        (each.baseline_case, each.candidate_case): each
        for each in judge_rounds(rounds, margin=MARGIN, confidence=CONFIDENCE)
        if each.metric == "throughput_rps" and each.endpoint in {"", TOTAL}
    }
    by_pair: dict[tuple[str, str], list[Round]] = {}
    for each in rounds:
        by_pair.setdefault((each.baseline_case, each.candidate_case), []).append(each)
    compared = [
        PairedComparison(*pair, CANARY, ratio, (pair[1], pair[0]), pairing="slices")
        for pair, mine in by_pair.items()
        if (ratio := round_ratio(mine, TOTAL, CANARY)) is not None
    ]
    canaries = {
        (each.baseline_case, each.candidate_case): each
        for each in judge_family(compared, margin=CANARY_MARGIN, confidence=CONFIDENCE)
    }
    return {
        pair: Judged(throughputs[pair], canaries.get(pair), canary_medians(mine))
        for pair, mine in by_pair.items()
        if pair in throughputs
    }


def canary_medians(rounds: Iterable[Round]) -> tuple[float, float] | None:
    """The canary's 99th percentile of both sides, each the median over the valid rounds; None without a canary."""
    pairs = [
        tuple(side.metrics.get(TOTAL, {}).get(CANARY) for side in (each.baseline, each.candidate))
        for each in rounds
        if each.status == "ok"
    ]
    whole = [(before, after) for before, after in pairs if before is not None and after is not None]
    if not whole:
        return None
    before, after = zip(*whole, strict=True)
    return statistics.median(before), statistics.median(after)


@dataclass(frozen=True)
class Decision:
    """Whether a change is advised, by which metric, and if not why not."""

    is_advised: bool
    verdict: Verdict
    """Of the metric that counts."""
    reason: str = ""


def decide(found: Judged, harmed: Mapping[str, Verdict]) -> Decision:
    """Decide on a change.

    Args:
        found: its comparison.
        harmed: endpoints that were not changed and surely lose beside the change, with their verdicts.
    """
    throughput, canary = found.throughput, found.canary
    if throughput.verdict == "better":
        gain = Decision(is_advised=True, verdict=throughput)
    elif canary is not None and canary.verdict == "better" and throughput.verdict in {"same", "undecided"}:
        if (throughput.ratio or 0.0) < KEPT:
            return Decision(is_advised=False, verdict=throughput, reason="it spares the canary, and may cost requests")
        gain = Decision(is_advised=True, verdict=canary)
    else:
        return Decision(is_advised=False, verdict=throughput)
    if throughput.verdict == "better" and canary is not None and canary.verdict == "worse":
        return Decision(is_advised=False, verdict=throughput, reason="its gain costs the canary")
    if harmed:
        names = ", ".join(
            f"{name} ({each.ratio:.2f} times the requests)" for name, each in harmed.items() if each.ratio is not None
        )
        return Decision(is_advised=False, verdict=gain.verdict, reason=f"its gain costs others: {names}")
    return gain


def is_precise(found: Judged, half_width: float) -> bool:
    """Whether the ratio is known well enough; looks at the interval's width alone, never at where it lies."""
    width = found.throughput.half_width
    return width is not None and width <= half_width


def gains(low: float | None, least: float) -> bool:
    """Whether a gain surely is at least so large: 0.2 for +20 %."""
    return low is not None and low >= 1 + least
