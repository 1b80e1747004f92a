"""Files that requests are made of: read whole, and known by their content."""

import hashlib
from pathlib import Path

from loopwise.errors import DataError
from loopwise.results.files import read_regular


def read_bytes(path: Path, sha256: str | None = None) -> bytes:
    """The bytes of a file.

    Raises:
        DataError: it can't be read, or is not the one that has this hash.
    """
    try:
        data = read_regular(path)
    except OSError as error:
        raise DataError(f"{path} can't be read ({error.strerror}); restore it or correct the path") from None
    if sha256 is not None and hash_of(data) != sha256:
        raise DataError(f"{path} has changed since the suite was read; restore it, or begin a new result")
    return data


def hash_of(data: bytes) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()
