"""Edits of the app's source as candidates, and several of them as one patch of a server."""

from collections.abc import Sequence

from loopwise.advise.candidates import Candidate
from loopwise.advise.diagnosis import Diagnosis
from loopwise.blame.edits import CollisionError, Edit, Offer, merged
from loopwise.errors import ServerError
from loopwise.model import Case, Endpoint, Patch
from loopwise.servers.diffs import DiffError, patch_of

OFFERED = 3
"""Edits of an endpoint that are tried at most, the most promising first."""
WAITING = ("asyncio_sleep", "to_thread", "httpx", "aiosqlite", "once", "def")
COMPUTING = ("to_thread", "process", "def")
"""Kinds of edits by what holds the loop, the most promising first. Who waits gains nothing from other processes; of
what computes, much lets go of the GIL."""
AS_MODE = {"def": "sync", "process": "process"}
"""Kind of an edit -> the mode that does the same, and need not be measured then."""
NAME = "the changes"


def edit_candidates(endpoint: Endpoint, diagnosis: Diagnosis, offer: Offer) -> list[Candidate]:
    """The edits worth a try.

    Args:
        endpoint: which.
        diagnosis: of it.
        offer: what can be made of the line that holds the loop.
    """
    order = COMPUTING if diagnosis.computes else WAITING
    fitting = sorted((each for each in offer.edits if each.kind in order), key=lambda each: order.index(each.kind))
    distinct = list({each.diff: each for each in fitting}.values())[:OFFERED]
    return [Candidate(endpoint, "edit", each.words, each.where, diff=each.diff, edit=each) for each in distinct]


def without_modes_of(candidates: Sequence[Candidate], edits: Sequence[Candidate]) -> list[Candidate]:
    """The candidates but for modes that an edit is as well."""
    doubled = {AS_MODE.get(each.edit.kind) for each in edits if each.edit is not None}
    return [each for each in candidates if each.kind != "mode" or each.mode not in doubled]


def edits_of(candidates: Sequence[Candidate]) -> list[Edit]:
    """The edits among the candidates."""
    return [each.edit for each in candidates if each.edit is not None]


def go_together(candidates: Sequence[Candidate]) -> bool:
    """Whether the edits of all can be made at once."""
    try:
        merged(edits_of(candidates))
    except CollisionError:
        return False
    return True


def patched(case: Case, candidates: Sequence[Candidate]) -> Case:
    """The case with the edits of all candidates, which go together.

    Raises:
        ServerError: the files have changed meanwhile, or git is not installed.
    """
    edits = edits_of(candidates)
    if not edits or case.app is None:
        return case
    return case.model_copy(update={"patch": _patch(merged(edits).diff, case.app.app_dir)})


def _patch(diff: str, app_dir: str) -> Patch:
    try:
        return patch_of(NAME, diff, app_dir)
    except DiffError as error:
        raise ServerError(f"{NAME}: {error}") from None


def winning_patch(candidates: Sequence[Candidate]) -> str:
    """One unified diff of the edits among the candidates, relative to the app's folder; empty without any."""
    edits = edits_of(candidates)
    return merged(edits).diff if edits else ""


def offer_words(offer: Offer) -> str:
    """Why there is no edit; empty where there is one."""
    return "" if offer.edits or not offer.refused else str(offer.refused[0])
