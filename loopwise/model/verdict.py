"""Estimates, rounds of pairs and verdicts."""

from typing import Literal

from pydantic import Field

from loopwise.model.base import SCHEMA_VERSION, CaseId, Noun
from loopwise.model.run import Check, ErrorCount, GeneratorFigures, HostFigures, ServerFacts

Pairing = Literal["blocks", "slices", "duel", "none"]
"""How two cases were paired, which decides what a replicate of their ratio is (docs/method.md).

none: in two results, measured apart."""
SideName = Literal["baseline", "candidate"]
SIDES: tuple[SideName, SideName] = ("baseline", "candidate")
"""The two sides of a pair; in its rows their names precede the endpoint's."""


class Estimate(Noun):
    """A value with its interval, unit and number of replicates."""

    value: float
    low: float | None = None
    """Lower end of the interval; None with fewer than two replicates."""
    high: float | None = None
    unit: str = ""
    replicates: int
    confidence: float = 0.95


class Side(Noun):
    """Figures of one side of a pair over a round."""

    metrics: dict[str, dict[str, float]] = Field(default_factory=dict)
    """Endpoint -> metric -> value over the round; TOTAL is the whole, beside each of several endpoints."""
    counts: dict[str, int] = Field(default_factory=dict)
    errors: tuple[ErrorCount, ...] = ()
    """As in a run."""
    server: ServerFacts = ServerFacts()
    cpu_share: float | None = None
    """CPU of this side's processes ÷ CPU of both sides."""


class Round(Noun):
    """round.json: two cases measured once against each other on a fresh pair of servers; one replicate of a pairing."""

    schema_version: int = SCHEMA_VERSION
    pairing: Literal["slices", "duel"]
    number: int = Field(ge=1)
    """From 1."""
    baseline_case: CaseId
    candidate_case: CaseId
    status: Literal["ok", "invalid", "failed"]
    error: str | None = None
    started_at: str
    duration_s: float = 0.0
    """Measured time under load, of one side."""
    slice_s: float | None = None
    """Length of a slice; None in a duel."""
    first: SideName = "baseline"
    """The side whose server started first and whose slice came first; swaps from round to round."""
    baseline: Side = Side()
    candidate: Side = Side()
    generator: GeneratorFigures = GeneratorFigures()
    host: HostFigures = HostFigures()
    checks: tuple[Check, ...] = ()


VerdictWord = Literal["better", "worse", "same", "undecided", "invalid"]


class Verdict(Noun):
    """The outcome of one comparison; a row of verdicts.json."""

    baseline_case: str
    candidate_case: str
    endpoint: str = ""
    """Empty: the case as a whole."""
    metric: str
    pairing: Pairing = "blocks"
    """The pairing that decided it."""
    replicates: int = 0
    """Pairs of values behind the ratio."""
    confidence: float = 0.95
    """Of this interval, adjusted for the number of comparisons (Holm)."""
    ratio: float | None
    ci_low: float | None
    ci_high: float | None
    verdict: VerdictWord
    reason: str
    """The outcome as one sentence."""
    because: str = Field(default="", exclude=True)
    """What explains it, as far as known: what an invalid one lacks, or why a side wins. Not written to disk."""

    @property
    def half_width(self) -> float | None:
        """Half-width of the ratio's interval, relative to the ratio; None without an interval."""
        if not self.ratio or self.ci_low is None or self.ci_high is None:
            return None
        return (self.ci_high - self.ci_low) / 2 / self.ratio
