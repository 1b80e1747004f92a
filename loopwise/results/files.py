"""Write files so that neither a crash nor a link that somebody put there changes anything else; read what ends."""

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TextIO

from loopwise.errors import writing

NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
"""Flags that make a file where nothing is; of a link they fail."""


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Yield a new file, which takes the path's place when the block ends, and is removed when it fails.

    Its temporary name is random, so that two processes never write to one file.
    """
    temporary = path.with_name(f".{path.name[:200]}.{secrets.token_hex(6)}.new")
    handle = os.open(temporary, NEW_FILE, 0o666)  # what stands there already is not ours to remove
    try:
        with os.fdopen(handle, "wb") as sink:
            yield sink
            sink.flush()
            os.fsync(sink.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_atomically(path: Path, content: str | bytes) -> None:
    """Replace a file's content so that neither a reader nor a crash leaves half of it; a link is replaced itself."""
    with replacing(path) as sink:
        sink.write(content.encode(errors="backslashreplace") if isinstance(content, str) else content)


def refuse_unwritable(option: str, path: Path, *, is_file: bool = False) -> None:
    """Refuse what an option names before hours of measuring, where it could not be written after them.

    Args:
        option: for the sentence.
        path: of a file whose folder exists, or of a folder that may be made.
        is_file: which of them.

    Raises:
        UsageError: something else is in its place, or its folder is missing or can't be written to.
    """
    at = path.parent if is_file else path
    while not is_file and not at.exists():
        at = at.parent
    target = path if is_file and path.exists() else at
    with writing(option, path, is_file=is_file):
        if not at.is_dir():
            raise refusal(errno.ENOTDIR if at.exists() else errno.ENOENT, at)
        if is_file and path.is_dir():
            raise refusal(errno.EISDIR, path)
        check_writable(target)


def check_writable(path: Path) -> None:
    """Look whether a file or folder can be written to.

    Raises:
        OSError: it can't.
    """
    if not os.access(path, os.W_OK):
        raise refusal(errno.EROFS if os.statvfs(path).f_flag & os.ST_RDONLY else errno.EACCES, path)


def refusal(number: int, path: Path) -> OSError:
    """The error that the system would raise."""
    return OSError(number, os.strerror(number), str(path))


def open_to_append(path: Path) -> TextIO:
    """Open a log to append to.

    Raises:
        OSError: there is a link in its place.
    """
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o666)
    return os.fdopen(handle, "a", encoding="utf-8", errors="replace")


def read_regular(path: Path) -> bytes:
    """The bytes of a file.

    Raises:
        OSError: it can't be read, or is a pipe or a device.
    """
    refuse_other_than_file(path)
    return path.read_bytes()


def refuse_other_than_file(path: Path) -> None:
    """Raise OSError for a pipe or a device, whose reading might never end."""
    if path.exists() and not path.is_file() and not path.is_dir():
        raise OSError(errno.EINVAL, "it is no regular file")
