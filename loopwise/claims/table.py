"""CLAIMS: the twenty claims."""

from collections.abc import Iterable

from loopwise.claims import blocking, computing, services, waiting
from loopwise.claims.claim import Claim
from loopwise.errors import UsageError

CLAIMS: dict[str, Claim] = {
    claim.claim_id: claim
    for claim in sorted(
        (*waiting.CLAIMS, *blocking.CLAIMS, *computing.CLAIMS, *services.CLAIMS), key=lambda c: c.claim_id
    )
}
"""By claim_id, `C01` to `C20`."""


def chosen(claim_ids: Iterable[str]) -> list[Claim]:
    """The claims with these ids, each once, in the order of the table.

    Raises:
        UsageError: there is no such claim.
    """
    wanted = {claim_id.upper() for claim_id in claim_ids}
    for claim_id in wanted - set(CLAIMS):
        raise UsageError(
            f"claims: got {claim_id}, allowed are {min(CLAIMS)} to {max(CLAIMS)}; see them with: bench.py claims list"
        )
    return [claim for claim_id, claim in CLAIMS.items() if claim_id in wanted]
