"""Errors of the operating system (disk full, read-only, no temporary folder, a deleted folder) as sentences."""

import errno
import os
import tempfile
from pathlib import Path

from loopwise.errors import LoopwiseError, RefusedError, UsageError

CAUSES = {
    errno.ENOSPC: ("the disk is full", "make room"),
    errno.EDQUOT: ("the disk quota is used up", "make room"),
    errno.EFBIG: ("the file would exceed the largest size that is allowed", "raise the limit (ulimit -f)"),
    errno.EROFS: ("the file system is read-only", "make it writable"),
    errno.EACCES: ("permission is denied", "correct its owner and permissions"),
    errno.EPERM: ("the operation is not permitted", "correct its owner and permissions"),
    errno.EIO: ("the device fails", "look after the disk"),
    errno.ESTALE: ("the network file system lost it", "mount it again"),
    errno.EMFILE: ("too many files are open", "raise the limit (ulimit -n)"),
    errno.ENFILE: ("too many files are open on this machine", "end other programs"),
    errno.ENOMEM: ("no memory is left", "end other programs, or measure fewer users"),
    errno.EAGAIN: ("no process can be started", "raise the limit (ulimit -u), or end other programs"),
    errno.E2BIG: ("arguments and variables are too long for a process", "shorten the suite's, or the environment"),
}
"""errno of an error with which no run can go on -> its meaning, and the remedy."""
FOREIGN = frozenset({errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.ENOTEMPTY, errno.ELOOP})
"""errno of a path in a result's folder at which something lies that Loopwise did not write."""


def refusal_of(error: Exception, folder: Path | None) -> LoopwiseError | None:
    """Turn an error of the operating system into a sentence that names the place, the cause and the remedy.

    Args:
        error: as it was raised.
        folder: of the result that was being made or read.

    Returns:
        None: the error has another reason.
    """
    if isinstance(error, MemoryError):
        return RefusedError("; ".join(CAUSES[errno.ENOMEM]))
    if not isinstance(error, OSError):
        return None
    place = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else str(folder or "")
    if error.errno == errno.ENAMETOOLONG:
        return UsageError(f"{place[:60]}…: the name is too long for a file; shorten it")
    if error.errno in CAUSES:
        return RefusedError(f"{place or 'the system'}: {'; '.join(CAUSES[error.errno])}")
    sentence = _misplaced(error.errno, place, folder)
    return RefusedError(sentence) if sentence else None


def _misplaced(number: int | None, place: str, folder: Path | None) -> str | None:
    """Name a folder that is missing, or a path at which something else lies; None: neither explains the error."""
    if not _has_temporary_folder():
        return "there is no temporary folder that can be written to; set TMPDIR to one"
    if number == errno.ENOENT and not _has_working_directory():
        return "the working directory was moved or deleted; change to one that exists"
    if folder is None:
        return None
    if number in {errno.ENOENT, errno.ENOTDIR} and not folder.is_dir():
        return f"{folder}: the folder was moved or deleted meanwhile; restore it, or begin anew"
    if number in FOREIGN and place and Path(place).is_relative_to(folder):
        return f"{place}: lies where a file of the result belongs ({os.strerror(number or 0)}); move it elsewhere"
    return None


def _has_temporary_folder() -> bool:
    try:
        tempfile.gettempdir()
    except FileNotFoundError:
        return False
    return True


def _has_working_directory() -> bool:
    try:
        Path.cwd()
    except FileNotFoundError:
        return False
    return True
