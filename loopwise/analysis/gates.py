"""Gates of a comparison: thresholds that fail on verdicts, never on a bare difference."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from loopwise.analysis.metrics import COMPARED
from loopwise.errors import UsageError
from loopwise.model import Verdict
from loopwise.model.naming import NO_NAMES

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
    match = GATE.fullmatch(text.replace(" ", ""))
    if not match:
        raise UsageError(
            f"--fail-on: got {text!r}, allowed is METRIC:+N% or METRIC:-N%; write for example throughput_rps:-5%"
        )
    if match["metric"] not in COMPARED:
        raise UsageError(
            f"--fail-on: {match['metric']!r} gets no verdict, allowed are {', '.join(COMPARED)}; choose one of them"
        )
    gate = Gate(match["metric"], float(match["sign"] + match["percent"]) / 100)
    if gate.change <= -1:
        raise UsageError(f"--fail-on: got {text!r}, allowed is a fall of less than 100%; nothing can fall further")
    return gate


def subject(verdict: Verdict, names: Mapping[str, str] = NO_NAMES) -> str:
    """Name the subject of a gate: the candidate, and the endpoint where verdicts are given per endpoint."""
    return " ".join(filter(None, [names.get(verdict.candidate_case, verdict.candidate_case), verdict.endpoint]))


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


def complaints(gates: Sequence[Gate], verdicts: Sequence[Verdict], names: Mapping[str, str] = NO_NAMES) -> list[str]:
    """A sentence for each gate that fails or can't be judged."""
    return [f"gate {gate} {clause}" for gate, clause in clauses(gates, verdicts, names)]


def clauses(
    gates: Sequence[Gate], verdicts: Sequence[Verdict], names: Mapping[str, str] = NO_NAMES
) -> list[tuple[Gate, str]]:
    """Each gate that fails or can't be judged, with the rest of the sentence that begins with its name."""
    failed = [(gate, f"failed: {verdict.reason}") for gate, verdict in failures(gates, verdicts)]
    called = {**names, **{subject(each): subject(each, names) for each in verdicts}}
    return failed + [
        (
            gate,
            f"can't be judged: {called.get(name, name)} has no interval of this metric from two sides",
        )
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
    names: Mapping[str, str] = field(default_factory=dict)
    """Of the cases, by case_id, for people; default: their ids."""

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
        """Every gate that a verdict fails."""
        return failures(self.gates, self.verdicts)

    @property
    def unjudged(self) -> list[tuple[Gate, str]]:
        """Every gate that a shared case says nothing about, with the case."""
        return unjudged(self.gates, self.verdicts)

    @property
    def complaints(self) -> list[str]:
        """A sentence for each gate that fails or can't be judged."""
        return complaints(self.gates, self.verdicts, self.names)
