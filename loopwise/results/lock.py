"""One harness at a time in a result: a lock that lives as long as the process that holds it."""

import fcntl
import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from loopwise.errors import ResultError

LOCK = ".lock"
"""File in a result's folder while something is measured there; says process and host."""
_held: set[Path] = set()
"""Folders that this process has locked."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a result's lock within a `with` block; one that this process holds already is held on.

    The kernel releases it when the process dies, however that happens.

    Raises:
        ResultError: another process holds it.
        OSError: the folder can't be written to.
    """
    place = folder.resolve()
    if place in _held:
        yield
        return
    path = place / LOCK
    handle = _acquire(path, folder)
    _held.add(place)
    try:
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()} {socket.gethostname()}\n".encode(), 0)
        yield
    finally:
        _held.discard(place)
        if _is_at(handle, path):  # the folder may have been moved, and another stand in its place
            path.unlink(missing_ok=True)
        os.close(handle)


def _acquire(path: Path, folder: Path) -> int:
    """Lock the file at the path; not one that its holder has removed meanwhile."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(handle, path):
                return handle
        except BlockingIOError:
            holder = _holder(os.pread(handle, 300, 0))
            os.close(handle)
            raise ResultError(
                f"{folder}: {holder} is measuring there; wait until it has ended, or end it, or name another folder"
            ) from None
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def _is_at(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except (FileNotFoundError, NotADirectoryError):
        return False


def _holder(text: bytes) -> str:
    said = re.fullmatch(rb"(\d+) ([\w.-]+)\n", text)
    return f"process {said[1].decode()} on {said[2].decode()}" if said else "another process"
