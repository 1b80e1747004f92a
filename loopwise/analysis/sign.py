"""The evidence of one cause in a run."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Sign:
    """The evidence of one cause in a run: numbers, and the words that they fill."""

    share: float
    """Share of the window, or of the quantity that the cause is about; 0–1, cut off at 1."""
    words: str
    """With a place for the share and each number."""
    numbers: Mapping[str, float] = field(default_factory=dict)
    remedy: str = ""
    """Advice, with such places, too; empty: the remedy of the cause's spec."""
    is_disturbance: bool = False
    """Whether processes outside of the run did it: without them another cause would hold it."""

    @property
    def evidence(self) -> str:
        """The evidence in words."""
        return self.fill(self.words)

    def fill(self, words: str) -> str:
        """A sentence with the share and the numbers."""
        return words.format(share=min(1.0, self.share), **self.numbers).replace("%", " %")
