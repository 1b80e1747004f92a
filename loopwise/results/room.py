"""Look whether the disk has room before something is measured."""

import errno
import os
import shutil
from pathlib import Path

ROOM_BYTES = 32 * 1024 * 1024
"""Left free by a run that begins: its own rows, and the records that close it and the experiment."""


def check_room(folder: Path) -> None:
    """Refuse to measure where little is left: what was measured could not be kept.

    Raises:
        OSError: ENOSPC.
    """
    if shutil.disk_usage(folder).free < ROOM_BYTES:
        least = f"less than {ROOM_BYTES // 1024**2} MiB are free"
        raise OSError(errno.ENOSPC, f"{os.strerror(errno.ENOSPC)}: {least}", str(folder))
