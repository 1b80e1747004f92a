"""Two results side by side: a verdict per shared case, and gates that fail on verdicts only. Pure."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from loopwise.errors import UsageError
from loopwise.measured import CaseFigures
from loopwise.model import Estimate, Experiment, Verdict
from loopwise.stats import unpaired_ratio
from loopwise.verdicts import COMPARED, decide, times

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
    base: dict[str, CaseFigures], other: dict[str, CaseFigures], *, margin: float, confidence: float
) -> list[Verdict]:
    """A verdict per case that both results have and per metric that both measured, in the base's order.

    The results were measured at different times, so nothing pairs their runs: Welch's interval of independent
    samples, which is wider than one paired within blocks.
    """
    found = []
    for case_id, before in base.items():
        after = other.get(case_id)
        if after is None:
            continue
        for metric in COMPARED:
            sides = [list(side.values(metric).values()) for side in (before, after)]
            if not all(sides) or min(map(min, sides)) <= 0:
                if metric == "throughput_rps":
                    reason = before.reason or after.reason or "no answers were measured"
                    found.append(_verdict(case_id, metric, None, margin, reason))
                continue
            ratio = unpaired_ratio(*sides, confidence=confidence)
            found.append(_verdict(case_id, metric, ratio, margin, ""))
    return found


def _verdict(case_id: str, metric: str, ratio: Estimate | None, margin: float, why_not: str) -> Verdict:
    word = decide(ratio, metric, margin)
    if ratio is None:
        reason = f"{case_id} can't be compared: {why_not}"
    else:
        reason = f"{metric} of {case_id} is {times(ratio)} what it was: {word} at ±{margin:.0%}"
    return Verdict(
        baseline_case=case_id,
        candidate_case=case_id,
        metric=metric,
        ratio=ratio.value if ratio else None,
        ci_low=ratio.low if ratio else None,
        ci_high=ratio.high if ratio else None,
        verdict=word,
        reason=reason,
    )


def differences(base: Experiment, other: Experiment) -> list[tuple[str, Any, Any]]:
    """What differs between the environments of two results: (key, base's value, other's value)."""
    one, two = (_flat(each.environment) for each in (base, other))
    return [(key, one.get(key), two.get(key)) for key in sorted(one | two) if one.get(key) != two.get(key)]


def _flat(environment: dict[str, Any]) -> dict[str, Any]:
    flat = {key: value for key, value in environment.items() if not isinstance(value, dict)}
    for key, value in environment.items():
        if isinstance(value, dict):
            flat |= {f"{key}.{inner}": entry for inner, entry in value.items()}
    return flat


def failures(gates: Sequence[Gate], verdicts: Sequence[Verdict]) -> list[tuple[Gate, Verdict]]:
    """Every gate that a verdict fails."""
    return [(gate, verdict) for gate in gates for verdict in verdicts if gate.fails(verdict)]


def unjudged(gates: Sequence[Gate], verdicts: Sequence[Verdict]) -> list[tuple[Gate, str]]:
    """Every gate that a shared case says nothing about, with the case: a crash must not pass as no regression."""
    judged = {(verdict.metric, verdict.candidate_case) for verdict in verdicts if verdict.ratio is not None}
    shared = dict.fromkeys(verdict.candidate_case for verdict in verdicts)
    return [(gate, case_id) for gate in gates for case_id in shared if (gate.metric, case_id) not in judged]


def complaints(gates: Sequence[Gate], verdicts: Sequence[Verdict]) -> list[str]:
    """A sentence for each gate that fails or can't be judged."""
    failed = [f"gate {gate} failed: {verdict.reason}" for gate, verdict in failures(gates, verdicts)]
    return failed + [
        f"gate {gate} can't be judged: {case_id} has no such figure in both results"
        for gate, case_id in unjudged(gates, verdicts)
    ]
