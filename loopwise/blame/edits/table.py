"""The candidates, by name, in the order in which they are offered."""

from loopwise.blame.edits.awaitable import AIOSQLITE, ASYNCIO_SLEEP, HTTPX
from loopwise.blame.edits.candidate import Candidate
from loopwise.blame.edits.definitions import ASYNC_DEF, DEF
from loopwise.blame.edits.once import ONCE
from loopwise.blame.edits.processes import PROCESS
from loopwise.blame.edits.threads import TO_THREAD

CANDIDATES: dict[str, Candidate] = {
    each.name: each for each in (ASYNCIO_SLEEP, HTTPX, AIOSQLITE, TO_THREAD, PROCESS, ONCE, DEF, ASYNC_DEF)
}
