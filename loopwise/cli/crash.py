"""Internal crashes: the traceback goes to a file, the user gets one sentence that names it."""

import os
import shlex
import sys
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from loopwise import __version__
from loopwise.cli.refused import refusal_of
from loopwise.errors import InternalError, LoopwiseError
from loopwise.interrupts import requested
from loopwise.results.files import open_to_append

CRASH_LOG = "crash.log"
"""In the folder of the result that was being made or read."""
MESSAGE_LIMIT = 300
"""Characters of the exception's own message that the sentence quotes."""


@contextmanager
def crashes_logged(folder: Path | None = None) -> Iterator[None]:
    """Turn an unexpected exception of the `with` block into an InternalError, and log its traceback.

    Args:
        folder: of the result; the log goes to its crash.log. None: to a temporary file, which is kept.

    Raises:
        RefusedError: the system refused what the block needs; no fault of ours.
        UsageError: a name is too long for a file.
        Interrupted: somebody asked to stop, and the code that this hit made another exception of it.
        InternalError: the block raised another exception that Loopwise does not raise on purpose.
    """
    try:
        yield
    except LoopwiseError:
        raise
    except Exception as error:
        if interruption := requested():
            raise interruption from error
        if refusal := refusal_of(error, folder):
            raise refusal from error
        raise InternalError(_sentence(error, _write(error, folder))) from error


def _sentence(error: Exception, log: Path | None) -> str:
    message = " ".join(str(error).split())[:MESSAGE_LIMIT]
    what = f"{type(error).__name__}: {message}" if message else type(error).__name__
    where = f"the traceback is in {log}" if log else "the traceback is above, since no file could be written"
    return (
        f"this is a fault of Loopwise itself ({what}); {where}; please report it together with the traceback "
        "(README.md, Exit status)"
    )


def _write(error: Exception, folder: Path | None) -> Path | None:
    """Log the traceback: in the folder, else in a temporary file, else on stderr (None)."""
    command = shlex.join(sys.argv)
    text = f"loopwise {__version__}, Python {sys.version.split()[0]}: {command}\n"
    text += "".join(traceback.format_exception(error))
    try:
        if folder is not None and folder.is_dir():
            path = folder / CRASH_LOG
            with open_to_append(path) as file:
                file.write(text)
            return path
    except OSError:
        pass  # a folder that can't be written to: the temporary file is next
    try:
        handle, name = tempfile.mkstemp(prefix="loopwise-crash-", suffix=".log")
        with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as file:
            file.write(text)
    except OSError:
        sys.stderr.write(text)
        return None
    return Path(name)
