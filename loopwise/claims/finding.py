"""Findings: what became of a claim on one machine, in words, and beside the finding of another run."""

from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

from loopwise.model import Estimate, Noun
from loopwise.report.format import number

CLAIMS_SCHEMA_VERSION = 1
"""Version of finding.json. History: 1, first."""

Word = Literal["confirmed", "refuted", "depends", "undecided", "invalid"]
DECIDED: frozenset[Word] = frozenset({"confirmed", "refuted", "depends"})


class Bracket(Noun):
    """Two values of a factor between which something begins to hold. Both ends are decided verdicts."""

    factor: str
    """What was varied, with its unit in words: `users`, `ms of blocking`."""
    begins: str
    """What holds from there on: `async serves more than sync`."""
    low: float | None = None
    """Largest value at which it did not hold yet; None: it held at the smallest that was tried."""
    high: float | None = None
    """Smallest value from which it held; None: it did not hold at the largest that was tried."""
    point: float | None = None
    """Where it begins, by interpolation between the ends; None where an end is missing."""
    tried: tuple[float, ...] = ()
    """All values that were measured, ascending."""

    @property
    def between(self) -> str:
        """`between 40 and 48 users`; where an end is missing, what is known instead."""
        low, high = (None if end is None else number_of(end) for end in (self.low, self.high))
        if low is None:
            return f"at {high} {self.factor} or fewer" if high else f"at no known number of {self.factor}"
        return f"between {low} and {high} {self.factor}" if high else f"beyond {low} {self.factor}"

    def __str__(self) -> str:
        about = f", about {float(f'{self.point:.3g}'):g}" if self.point is not None else ""
        return f"{self.begins}: {self.between}{about}"


class Lesson(Noun):
    """What the right route brings over the wrong one."""

    metric: str
    words: str
    """Completes "the right route …", with the ratio at the braces."""
    ratio: Estimate
    """right ÷ wrong."""

    def __str__(self) -> str:
        return f"The right route {self.words.format(times(self.ratio))}."


class Finding(Noun):
    """finding.json: what became of a claim on one machine."""

    schema_version: int = CLAIMS_SCHEMA_VERSION
    claim_id: str
    verdict: Word
    sentence: str
    """What was measured, with the ratio and its interval."""
    ratio: Estimate | None = None
    """The ratio that decided it; None where there is none."""
    cause: str = ""
    """The first cause in the telemetry of the slower side; empty where there is none."""
    crossover: Bracket | None = None
    """Where it begins to hold, if that depends on a factor."""
    lesson: Lesson | None = None
    """The lesson's two routes compared; None: not measured."""
    needs_cores: int = 0
    """Above 0: the machine has fewer cores than this, and the claim was not decided."""
    measured_at: str = ""
    """ISO 8601, UTC."""
    machine: str = ""
    """`Example CPU @ 2.50GHz, 2 cores`."""

    @property
    def label(self) -> str:
        """The verdict for tables, or the cores that this machine lacks."""
        return f"needs {self.needs_cores} cores" if self.needs_cores else self.verdict


def times(ratio: Estimate) -> str:
    """`1,650 times [1,010, 2,700]`: a claim's ratios reach from thousandths to thousands."""
    interval = "" if ratio.low is None else f" [{number(ratio.low)}, {number(ratio.high)}]"
    return f"{number(ratio.value)} times{interval}"


def number_of(value: float) -> str:
    """A value of a factor as it was set: `40`, `0.2`."""
    return f"{value:g}" if value < 1000 else number(value)


class Change(NamedTuple):
    """The verdicts of two runs on one claim."""

    claim_id: str
    base: str | None
    """The verdict; None: the run has none."""
    other: str | None

    @property
    def is_same(self) -> bool:
        """Both have the same verdict."""
        return self.base == self.other

    @property
    def is_flipped(self) -> bool:
        """Both decided, and they contradict each other."""
        return self.base in DECIDED and self.other in DECIDED and not self.is_same

    @property
    def word(self) -> str:
        """`same`, `flipped`, or which side decided nothing."""
        if self.is_same:
            return "same"
        if self.is_flipped:
            return "flipped"
        return "only in one" if None in (self.base, self.other) else "no longer the same, none contradicts"


def changes(claim_ids: Iterable[str], base: Mapping[str, Finding], other: Mapping[str, Finding]) -> list[Change]:
    """Every claim that at least one of two runs has."""
    labels = [{claim_id: each.label for claim_id, each in side.items()} for side in (base, other)]
    return [
        Change(claim_id, *(side.get(claim_id) for side in labels))
        for claim_id in claim_ids
        if claim_id in base or claim_id in other
    ]
