"""Variants of an app as it is written, in another mode or with a patch: what makes one, and why one was refused."""

from pathlib import Path

from loopwise.errors import EndpointError
from loopwise.model import App, Case
from loopwise.servers import own_modes, patches
from loopwise.servers.processes import lines_of

REFUSED = (own_modes.REFUSED, patches.REFUSED)
"""Begin the lines of a server's log that say why a variant is not possible."""


def install(case: Case, scratch: Path) -> None:
    """Put what the variant needs where the app's interpreter finds it.

    Raises:
        ServerError: it can't be made.
    """
    own_modes.install(case, scratch)
    patches.install(case, scratch)


def variables(case: Case, app: App | None, scratch: Path) -> dict[str, object]:
    """The variables that make the variant; each is None where the app is served as written."""
    return {**(own_modes.variables(case, app) if app else {}), **patches.variables(case, scratch)}


def refuse_unkept(log: Path, begin: int = 0) -> None:
    """Refuse a server that could not answer as the variant.

    Args:
        log: the server's.
        begin: what stands before this byte is of no interest.

    Raises:
        EndpointError: its log says so; the message is the wrapper's own sentence.
    """
    for line in lines_of(log, begin):
        for prefix in REFUSED:
            if line.startswith(prefix):
                raise EndpointError(line.removeprefix(prefix))
