"""From verdicts to rates of false alarms and of detection, with intervals. Pure."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from scipy.stats import binomtest

from loopwise.model import Estimate, Verdict

ALARMS = frozenset({"better", "worse"})


class Outcome(NamedTuple):
    """What one trial came to."""

    method: str
    """`blocks, then slices`, or `duel`."""
    workload: str
    difference: float
    """Injected; 0: the sides are equal."""
    verdict: Verdict | None
    """On throughput, which decides a trial; None: it could not be measured."""
    cpu: Verdict | None = None
    """On CPU per request, where it was measured."""
    rounds: int = 0
    """Replicates and rounds that it took."""
    duration_s: float = 0.0


class Rate(NamedTuple):
    """How often trials of one kind raised an alarm, rightly or falsely."""

    method: str
    workload: str
    difference: float
    trials: int
    words: dict[str, int]
    """Verdict -> how often."""
    alarms: Estimate
    """Share of trials with better or worse: false alarms where nothing was injected, else power."""
    wrong_way: int
    """Alarms in the wrong direction."""
    half_width: float | None
    """Median half-width of the ratio's interval, relative."""
    duration_s: float
    """Median time a trial took."""


def rate_of(outcomes: Sequence[Outcome]) -> Rate:
    """The rate of alarms among trials of one kind.

    The interval is Clopper and Pearson's, which covers at least what it says however few the trials (Biometrika 26,
    1934).

    Raises:
        ValueError: there are no outcomes.
    """
    if not outcomes:
        raise ValueError("a rate needs at least one trial")
    first = outcomes[0]
    words: Counter[str] = Counter(each.verdict.verdict if each.verdict else "invalid" for each in outcomes)
    alarms = sum(words[word] for word in ALARMS)
    interval = binomtest(alarms, len(outcomes)).proportion_ci(confidence_level=0.95, method="exact")
    widths = sorted(
        (each.verdict.ci_high - each.verdict.ci_low) / 2 / each.verdict.ratio
        for each in outcomes
        if each.verdict
        and each.verdict.ratio
        and each.verdict.ci_high is not None
        and each.verdict.ci_low is not None
    )
    durations = sorted(each.duration_s for each in outcomes)
    return Rate(
        method=first.method,
        workload=first.workload,
        difference=first.difference,
        trials=len(outcomes),
        words=dict(words),
        alarms=Estimate(
            value=alarms / len(outcomes),
            low=float(interval.low),
            high=float(interval.high),
            replicates=len(outcomes),
        ),
        wrong_way=words["better"] if first.difference > 0 else 0,
        half_width=widths[len(widths) // 2] if widths else None,
        duration_s=durations[len(durations) // 2],
    )


def rates(outcomes: Iterable[Outcome]) -> list[Rate]:
    """A rate per method, workload and difference, and one over all equal pairs of a method."""
    groups: dict[tuple[str, float, str], list[Outcome]] = {}
    for each in outcomes:
        groups.setdefault((each.method, each.difference, each.workload), []).append(each)
    found = [rate_of(groups[key]) for key in sorted(groups)]
    for method in dict.fromkeys(key[0] for key in sorted(groups)):
        equal = [each for key, group in groups.items() if key[:2] == (method, 0.0) for each in group]
        if len({each.workload for each in equal}) > 1:
            found.append(rate_of([each._replace(workload="all") for each in equal]))
    return sorted(found, key=lambda rate: (rate.method, rate.difference, rate.workload))
