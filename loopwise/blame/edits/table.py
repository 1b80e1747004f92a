"""The candidates, by name, in the order in which they are offered."""

from loopwise.blame.edits.candidate import Candidate
from loopwise.blame.edits.definitions import ASYNC_DEF, DEF
from loopwise.blame.edits.threads import TO_THREAD

CANDIDATES: dict[str, Candidate] = {each.name: each for each in (TO_THREAD, DEF, ASYNC_DEF)}
