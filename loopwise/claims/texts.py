"""What there is to say about each claim before it is measured: why it is believed, what arithmetic says, what to do.

Sources are named as a reader finds them: FastAPI's documentation ("Concurrency and async / await"), AnyIO's ("Working
with threads"), Python's (asyncio, concurrent.futures, sys), and the sources of uvicorn, httpx and aiosqlite.
"""

from collections.abc import Iterable

from loopwise.claims.claim import Text
from loopwise.claims.texts_computing import COMPUTING
from loopwise.claims.texts_services import SERVICES
from loopwise.claims.texts_waiting import WAITING
from loopwise.errors import UsageError

TEXTS: dict[str, Text] = {
    text.claim_id: text for text in sorted((*WAITING, *COMPUTING, *SERVICES), key=lambda text: text.claim_id)
}
"""By claim_id, `C01` to `C20`."""


def chosen(claim_ids: Iterable[str]) -> list[Text]:
    """The claims with these ids, each once, in the order of the table.

    Raises:
        UsageError: there is no such claim.
    """
    wanted = {claim_id.upper() for claim_id in claim_ids}
    for claim_id in wanted - set(TEXTS):
        raise UsageError(
            f"claims: got {claim_id}, allowed are {min(TEXTS)} to {max(TEXTS)}; see them with: bench.py claims list"
        )
    return [text for claim_id, text in TEXTS.items() if claim_id in wanted]
