"""Two results side by side: a verdict per shared case, and gates that fail on verdicts only. Pure."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from loopwise.analysis.contest import COMPARED, Contest, is_usable, pair_up
from loopwise.analysis.stats import LogRatio, unpaired
from loopwise.analysis.summary import Summary
from loopwise.analysis.verdicts import judge_family
from loopwise.errors import UsageError
from loopwise.model import Case, Experiment, Verdict

GATE = re.compile(r"(?P<metric>\w+):(?P<sign>[+-])(?P<percent>\d+(?:\.\d+)?)%")


@dataclass(frozen=True)
class Gate:
    """`service_time_p99_ms:+10%`: fail where the metric surely rose by more than a tenth."""

    metric: str
    change: float
    """0.10 for +10 %, −0.02 for −2 %."""

    def fails(self, verdict: Verdict) -> bool:
        """Whether the whole interval lies beyond the gate; a bare difference never fails."""
        if verdict.metric != self.metric or verdict.ci_low is None or verdict.ci_high is None:
            return False
        if self.is_rise:
            return verdict.ci_low > 1 + self.change
        return verdict.ci_high < 1 + self.change

    @property
    def is_rise(self) -> bool:
        """`+0%` allows no rise, `-0%` no fall: zero has a sign here."""
        return math.copysign(1.0, self.change) > 0

    def __str__(self) -> str:
        return f"{self.metric}:{self.change * 100:+g}%"


def parse_gate(text: str) -> Gate:
    """Read `METRIC:+10%` or `METRIC:-2%`.

    Raises:
        UsageError: it has another form, or the metric is none that gets verdicts.
    """
    found = GATE.fullmatch(text.replace(" ", ""))
    if not found:
        raise UsageError(
            f"--fail-on: got {text!r}, allowed is METRIC:+N% or METRIC:-N%; write for example throughput_rps:-5%"
        )
    if found["metric"] not in COMPARED:
        raise UsageError(
            f"--fail-on: {found['metric']!r} gets no verdict, allowed are {', '.join(COMPARED)}; choose one of them"
        )
    gate = Gate(found["metric"], float(found["sign"] + found["percent"]) / 100)
    if gate.change <= -1:
        raise UsageError(
            f"--fail-on: got {text!r}, allowed is a fall of less than 100%; nothing can fall further"
        )
    return gate


def compare(
    base: Summary, other: Summary, *, margin: float, confidence: float, allowed: Sequence[str] = ()
) -> list[Verdict]:
    """A verdict per case that both results have and per metric that both measured, in the base's order.

    A result and its copy share their blocks and are paired within them. Others were measured at different times, so
    nothing pairs their runs: Welch's interval of independent samples, which is wider.

    Args:
        base: the result that was before.
        other: the result that is now.
        margin: the practical margin.
        confidence: of the family of all comparisons on one metric.
        allowed: keys that may differ; `calibration` allows different work per request in cases that compute.
    """
    is_paired = _is_same_measurement(base.experiment, other.experiment)
    work = "" if "calibration" in allowed else _other_work(base.experiment, other.experiment, margin)
    contests = []
    for case_id, before in base.cases.items():
        after = other.cases.get(case_id)
        for metric in COMPARED if after else ():
            assert after is not None
            why_not = work if _computes_ms(before.case) else ""
            ratio = None if why_not else _ratio(before.values(metric), after.values(metric), is_paired)
            if ratio is None and metric != "throughput_rps":
                continue
            contests.append(
                Contest(
                    case_id,
                    case_id,
                    metric,
                    ratio,
                    (f"{case_id} now", "before"),
                    pairing="blocks" if is_paired else "none",
                    invalid_because=why_not or before.reason or after.reason or "no answers were measured",
                )
            )
    return judge_family(contests, margin=margin, confidence=confidence)


def _is_same_measurement(base: Experiment, other: Experiment) -> bool:
    return (base.created_at, base.seed, base.suite) == (other.created_at, other.seed, other.suite)


def _ratio(before: dict[int, float], after: dict[int, float], is_paired: bool) -> LogRatio | None:
    if is_paired:
        return pair_up(before, after)
    sides = [[value for value in side.values() if is_usable(value)] for side in (before, after)]
    return unpaired(*sides) if all(sides) else None


CALIBRATION = "cpu_iterations_per_ms"


def _computes_ms(case: Case) -> bool:
    """Whether its work is so many milliseconds of computing, which the calibration turns into iterations."""
    costs = (case.cost, *(part.cost for part in case.parts))
    return any(cost is not None and cost.cpu_ms > 0 for cost in costs)


def _other_work(base: Experiment, other: Experiment, margin: float) -> str:
    """Why cases that compute can't be compared: their millisecond of work was calibrated otherwise in each result."""
    one, two = (each.calibration.get(CALIBRATION) for each in (base, other))
    if not one or not two or abs(math.log(two / one)) <= math.log1p(margin):
        return ""
    return (
        f"a request computes {two / one:.3g} times what it did ({CALIBRATION} is {one:.6g} and {two:.6g}); "
        "measure both again, or give --allow-different calibration"
    )


def subject(verdict: Verdict) -> str:
    """What a gate is applied to: the candidate, and the endpoint where verdicts are given per endpoint."""
    return " ".join(filter(None, [verdict.candidate_case, verdict.endpoint]))


def failures(gates: Sequence[Gate], verdicts: Sequence[Verdict]) -> list[tuple[Gate, Verdict]]:
    """Every gate that a verdict fails."""
    return [(gate, verdict) for gate in gates for verdict in verdicts if gate.fails(verdict)]


def unjudged(gates: Sequence[Gate], verdicts: Sequence[Verdict]) -> list[tuple[Gate, str]]:
    """Every gate that a shared case says nothing about, with the case: a crash must not pass as no regression."""
    judged = {(each.metric, subject(each)) for each in verdicts if each.ci_low is not None}
    owed = {(each.metric, subject(each)) for each in verdicts}
    # A metric of the whole process (CPU) has no verdict per endpoint: then the case as a whole owes one.
    have = {(each.metric, each.candidate_case) for each in verdicts}
    shared = dict.fromkeys(
        subject(each) if (gate.metric, subject(each)) in owed else each.candidate_case
        for gate in gates
        for each in verdicts
        if (gate.metric, subject(each)) in owed or (gate.metric, each.candidate_case) not in have
    )
    return [(gate, name) for gate in gates for name in shared if (gate.metric, name) not in judged]


def complaints(gates: Sequence[Gate], verdicts: Sequence[Verdict]) -> list[str]:
    """A sentence for each gate that fails or can't be judged."""
    failed = [f"gate {gate} failed: {verdict.reason}" for gate, verdict in failures(gates, verdicts)]
    return failed + [
        f"gate {gate} can't be judged: {name} has no interval of this metric from two sides"
        for gate, name in unjudged(gates, verdicts)
    ]


@dataclass(frozen=True)
class Outcome:
    """One comparison as reports for CI show it: verdicts of two results or of a duel, with their gates."""

    base: str
    other: str
    verdicts: tuple[Verdict, ...]
    margin: float
    confidence: float
    gates: tuple[Gate, ...] = ()
    different: tuple[tuple[str, Any, Any], ...] = ()
    """Key, value in base, value in other: what else is not equal."""
    alone: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
    """case_ids that base has alone, and that other has alone: nothing to compare."""

    @property
    def title(self) -> str:
        """What was compared with what."""
        return f"{self.other} against {self.base}"

    @property
    def gated(self) -> frozenset[str]:
        """Metrics that some gate asks about."""
        return frozenset(gate.metric for gate in self.gates)

    @property
    def failed(self) -> list[tuple[Gate, Verdict]]:
        """As `failures`."""
        return failures(self.gates, self.verdicts)

    @property
    def unjudged(self) -> list[tuple[Gate, str]]:
        """As the function of this name."""
        return unjudged(self.gates, self.verdicts)

    @property
    def complaints(self) -> list[str]:
        """As the function of this name."""
        return complaints(self.gates, self.verdicts)
