"""Two occasions beside each other: the same verdicts? Pure."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from loopwise.claims.claim import DECIDED, Finding


class Change(NamedTuple):
    """One claim on two occasions."""

    claim_id: str
    base: str | None
    """The verdict; None: the occasion has none."""
    other: str | None

    @property
    def is_same(self) -> bool:
        """Both say the same."""
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


def changes(
    claim_ids: Sequence[str], base: Mapping[str, Finding], other: Mapping[str, Finding]
) -> list[Change]:
    """Every claim that at least one occasion has."""
    return [
        Change(claim_id, _said(base.get(claim_id)), _said(other.get(claim_id)))
        for claim_id in claim_ids
        if claim_id in base or claim_id in other
    ]


def _said(finding: Finding | None) -> str | None:
    return None if finding is None else finding.said
