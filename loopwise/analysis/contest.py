"""Two cases and one metric put side by side: which values pair, and why the slower side is slower. Pure.

What becomes of a contest is decided in verdicts.py.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from loopwise.analysis.bounds import bounds
from loopwise.analysis.measured import CaseFigures
from loopwise.analysis.stats import LogRatio, paired
from loopwise.model import Case, Pairing, Round
from loopwise.model.factors import tell_apart

COMPARED = ("throughput_rps", "service_time_p50_ms", "service_time_p99_ms", "cpu_ms_per_request")
"""Metrics that get a verdict."""
AT_BOUND = 0.8
"""From this share of its smallest bound on, a case is said to be held back by it: routing, parsing and the thread hop
take what is missing. Below, something else holds it back."""


@dataclass(frozen=True)
class Contest:
    """One comparison that is to be judged."""

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
    explains: Mapping[str, str] = field(default_factory=dict)
    """Verdict -> why, where arithmetic knows: `sync waits for its 40 threads`."""


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
    baseline: CaseFigures, candidate: CaseFigures, metric: str, explains: Mapping[str, str] | None = None
) -> Contest | None:
    """The contest of two cases of one result, paired within blocks; None for a metric that neither side has."""
    ratio = pair_up(baseline.values(metric), candidate.values(metric))
    if ratio is None and metric != "throughput_rps" and baseline.runs and candidate.runs:
        return None
    return Contest(
        baseline.case.case_id,
        candidate.case.case_id,
        metric,
        ratio,
        tell_apart(candidate.case, baseline.case),
        invalid_because=baseline.reason or candidate.reason or "no block holds a valid run of both",
        explains=explains or {},
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


MIN_ROUNDS = 3
"""Fewer valid rounds have an interval that decides nothing."""


def settled_by_slices(contest: Contest, rounds: Sequence[Round], endpoint: str) -> Contest:
    """The contest with the ratio that slices gave, where there are enough of them and they know it better.

    What is looked at is the width of both intervals, never where they lie.

    Args:
        contest: paired within blocks.
        rounds: of any pairs and pairings.
        endpoint: where the figures of the whole case stand.
    """
    pair = (contest.baseline_case, contest.candidate_case)
    mine = [r for r in rounds if r.pairing == "slices" and (r.baseline_case, r.candidate_case) == pair]
    ratio = round_ratio(mine, endpoint, contest.metric)
    if ratio is None or ratio.replicates < MIN_ROUNDS:
        return contest
    if contest.ratio is not None and contest.ratio.has_interval and contest.ratio.width < ratio.width:
        return contest
    return Contest(*pair, contest.metric, ratio, contest.names, pairing="slices", explains=contest.explains)


def round_contests(rounds: Iterable[Round]) -> Iterator[Contest]:
    """A contest per pair, endpoint and metric of what was measured head to head; the pairs' names are their labels."""
    ordered = sorted(rounds, key=_pair)
    for (baseline, candidate), found in groupby(ordered, key=_pair):
        mine = sorted(found, key=lambda each: each.number)
        sides = [side for each in mine for side in (each.baseline, each.candidate)]
        endpoints = dict.fromkeys(name for side in sides for name in side.metrics) or {"": None}
        for metric in COMPARED:
            for endpoint in endpoints:
                ratio = round_ratio(mine, endpoint, metric)
                if ratio is None and not _is_owed(mine, endpoint, metric):
                    continue
                yield Contest(
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


def _is_owed(rounds: Sequence[Round], endpoint: str, metric: str) -> bool:
    """Whether a missing ratio must be shown as invalid: once per endpoint, and not where only the CPU is counted."""
    if metric != "throughput_rps":
        return False
    sides = [side for each in rounds if each.status == "ok" for side in (each.baseline, each.candidate)]
    return not sides or any(metric in side.metrics.get(endpoint, {}) for side in sides)


def _why_no_round(rounds: Sequence[Round]) -> str:
    for each in rounds:
        broken = [check for check in each.checks if check.effect == "void" and not check.ok]
        if each.status != "ok":
            return each.error or (f"{broken[0].name}: {broken[0].detail}" if broken else "no round is valid")
    return "no round holds a figure of both"


def explain(baseline: Case, candidate: Case, measured_rps: Mapping[str, float], cores: int) -> dict[str, str]:
    """Why the slower side of a throughput verdict is slower: it runs at its smallest bound, which is its own.

    Args:
        baseline: loses in `better`.
        candidate: loses in `worse`.
        measured_rps: throughput by case_id.
        cores: of the machine.
    """
    found = {}
    for word, slower, faster in (("better", baseline, candidate), ("worse", candidate, baseline)):
        limits, others = (bounds(side, cores) for side in (slower, faster))
        if not limits or measured_rps.get(slower.case_id, 0.0) < AT_BOUND * limits[0].throughput_rps:
            continue
        if others and others[0].throughput_rps <= limits[0].throughput_rps:
            continue  # the faster side has that bound, too
        found[word] = f"{tell_apart(slower, faster)[0]} {limits[0].because}"
    return found
