"""The nouns of claims: what is said, what was found, and from where on."""

from typing import Literal

from pydantic import Field

from loopwise.model import Estimate, Noun

CLAIMS_SCHEMA_VERSION = 1
"""Version of finding.json. History: 1, first."""

Word = Literal["confirmed", "refuted", "depends", "undecided", "invalid"]
DECIDED: frozenset[Word] = frozenset({"confirmed", "refuted", "depends"})


class Text(Noun):
    """What there is to say about a claim before anything is measured."""

    claim_id: str
    """`C01` … `C20`."""
    statement: str
    """The claim, in one sentence."""
    belief: str
    """Why people believe it."""
    experiment: str
    """What is measured and what is compared."""
    prediction: str
    """What arithmetic says, and where that comes from."""
    truth: str = ""
    """What is true instead, or under which condition it is true; empty where the claim may stand as it is."""
    wrong: str
    """Route of target_app/lessons that does it wrong: the name of its function."""
    right: str
    """Route that does it right."""
    advice: str
    """What to do in one's own code."""
    needs_cores: int = Field(default=0, ge=0)
    """Cores without which the claim can't be decided; 0: any machine will do."""


class Bracket(Noun):
    """Between which two values of a factor something begins to hold. Both ends are decided verdicts."""

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


class Lesson(Noun):
    """What the right route brings over the wrong one."""

    metric: str
    words: str
    """Completes "the right route …", with the ratio at the braces."""
    ratio: Estimate
    """right ÷ wrong."""


class Finding(Noun):
    """finding.json: what became of a claim on one machine."""

    schema_version: int = CLAIMS_SCHEMA_VERSION
    claim_id: str
    verdict: Word
    sentence: str
    """The finding as a person would say it, with the ratio and its interval."""
    ratio: Estimate | None = None
    """The ratio that decided it; None where there is none."""
    cause: str = ""
    """What the telemetry of the slower side saw; empty where it saw nothing."""
    crossover: Bracket | None = None
    """From where on, where it depends."""
    lesson: Lesson | None = None
    """The lesson's two routes beside each other; None: not measured."""
    needs_cores: int = 0
    """Above 0: the machine has fewer cores than this, and the claim was not decided."""
    measured_at: str = ""
    """ISO 8601, UTC."""
    machine: str = ""
    """Where: `Example CPU @ 2.50GHz, 2 cores`."""

    @property
    def said(self) -> str:
        """The verdict in one word for tables; a machine that is too small stands in its place."""
        return f"needs {self.needs_cores} cores" if self.needs_cores else self.verdict
