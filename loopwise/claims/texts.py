"""What there is to say about each claim before it is measured: why it is believed, what arithmetic says, what to do.

Sources are named as a reader finds them: FastAPI's documentation ("Concurrency and async / await"), AnyIO's ("Working
with threads"), Python's (asyncio, concurrent.futures, sys), and the sources of uvicorn, httpx and aiosqlite.
"""

from loopwise.claims.claim import Text
from loopwise.claims.texts_computing import COMPUTING
from loopwise.claims.texts_services import SERVICES
from loopwise.claims.texts_waiting import WAITING

TEXTS: dict[str, Text] = {
    text.claim_id: text for text in sorted((*WAITING, *COMPUTING, *SERVICES), key=lambda text: text.claim_id)
}
"""By claim_id, `C01` to `C20`."""
