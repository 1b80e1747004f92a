"""Write files so that neither a crash nor a link that somebody put there changes anything else."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TextIO

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
        sink.write(content.encode() if isinstance(content, str) else content)


def open_to_append(path: Path) -> TextIO:
    """Open a log to append to.

    Raises:
        OSError: there is a link in its place.
    """
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o666)
    return os.fdopen(handle, "a", encoding="utf-8", errors="replace")
