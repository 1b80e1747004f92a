"""What a rule makes of a summary, before it is a finding. Pure."""

from dataclasses import dataclass

from loopwise.analysis.figures import CaseFigures
from loopwise.claims.claim import Bracket, Word
from loopwise.claims.questions import Judged
from loopwise.report.format import number


@dataclass(frozen=True)
class Opinion:
    """A verdict and what it stands on."""

    word: Word
    sentence: str
    """What was measured, in words that hold whatever the verdict."""
    decisive: Judged
    """Its ratio is the finding's."""
    slower: CaseFigures
    """Whose telemetry names the cause."""
    crossover: Bracket | None = None


def word(*, confirmed: bool, refuted: bool, depends: bool = False) -> Word:
    """The verdict of conditions that exclude each other; undecided where none holds."""
    if depends:
        return "depends"
    if confirmed and not refuted:
        return "confirmed"
    return "refuted" if refuted and not confirmed else "undecided"


def between(found: Bracket) -> str:
    """`between 40 and 48 users`; where an end is missing, what is known instead."""
    low, high = (None if end is None else number_of(end) for end in (found.low, found.high))
    if low is None and high is None:
        return f"at no known number of {found.factor}"
    if low is None:
        return f"at {high} {found.factor} or fewer"
    if high is None:
        return f"beyond {low} {found.factor}"
    return f"between {low} and {high} {found.factor}"


def number_of(value: float) -> str:
    """A value of a factor as it was set: `40`, `0.2`."""
    return f"{value:g}" if value < 1000 else number(value)


def crossover_words(found: Bracket) -> str:
    """`async def serves more than def between 40 and 48 users, about 44`."""
    about = f", about {float(f'{found.point:.3g}'):g}" if found.point is not None else ""
    return f"{found.begins}: {between(found)}{about}"


def at(value: float, words: str) -> str:
    """`1 user`, `40 users`, `0.2 ms of computing`."""
    return f"{number_of(value)} {words.removesuffix('s') if value == 1 and ' ' not in words else words}"
