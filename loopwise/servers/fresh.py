"""Copies of files and folders that an app writes to, one for every start of its server; originals stay untouched."""

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from loopwise.errors import ServerError
from loopwise.servers import processes

PLACE = re.compile(r"\{fresh(?:\.([^{}]+))?\}")
"""In a variable or an argument: the path of a copy, `{fresh.NAME}`, or `{fresh}` of the only one."""
SIDECARS = ("-wal", "-shm", "-journal")
"""Files beside a SQLite database without which it lacks what was written last."""

State = dict[str, tuple[int, int]]
"""Path -> size and time of the last change."""


@dataclass(frozen=True)
class Copies:
    """The copies that were made for one start of a server."""

    paths: Mapping[str, str] = field(default_factory=dict)
    """Name -> path of the copy."""
    originals: Mapping[str, State] = field(default_factory=dict)
    """Path of an original -> its state when it was copied."""

    def fill(self, value: Any) -> Any:
        """The value with the paths of copies in all of its texts."""
        if isinstance(value, str):
            return PLACE.sub(lambda place: self.paths.get(place[1], place[0]), value)
        if isinstance(value, Mapping):
            return {name: self.fill(each) for name, each in value.items()}
        return [self.fill(each) for each in value] if isinstance(value, list) else value

    def refuse_touched(self) -> None:
        """Void what was measured if an original has changed meanwhile.

        Raises:
            ServerError: it has.
        """
        for path, before in self.originals.items():
            now = state(Path(path))
            changed = sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))
            if changed:
                raise ServerError(
                    f"{changed[0]} was changed during the run, though `fresh` names {path}: the app does not use its "
                    "copy; give it the copy's path by a variable in `fresh` or `env`, or end what else writes there"
                )


@contextmanager
def copied(sources: Mapping[str, str], scratch: Path) -> Iterator[Copies]:
    """Copy files and folders for the duration of a `with` block.

    A copy lies on its original's file system: a database on another would be another database. Where the scratch folder
    is on another one, the copy is made in a hidden folder beside the original.

    Args:
        sources: name -> absolute path.
        scratch: folder that the caller removes.

    Raises:
        ServerError: something can't be copied.
    """
    with ExitStack() as stack:
        paths, originals = {}, {}
        for name, source in sources.items():
            try:
                originals[source] = state(Path(source))
                folder = stack.enter_context(_folder_for(Path(source), scratch))
                paths[name] = str(_copy(Path(source), folder))
            except (OSError, shutil.Error) as error:
                reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)[:200]
                raise ServerError(
                    f"fresh: {source} can't be copied: {reason}; make it readable, free some space, or name less"
                ) from None
        yield Copies(paths, originals)


def _folder_for(source: Path, scratch: Path) -> AbstractContextManager[Path]:
    """A new folder on the source's file system."""
    is_near = source.stat().st_dev == scratch.stat().st_dev
    return processes.temporary_folder(
        prefix="fresh-" if is_near else ".loopwise-", parent=scratch if is_near else source.parent
    )


def _copy(source: Path, folder: Path) -> Path:
    target = folder / source.name
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True)
        return target
    for each in (source, *(source.with_name(source.name + ending) for ending in SIDECARS)):
        if each is source or each.exists():
            shutil.copy2(each, folder / each.name)
    return target


def state(path: Path) -> State:
    """Sizes and times of a file, or of all files below a folder; {} for nothing."""
    found: State = {}
    for each in (path, *(Path(folder) / name for folder, _, names in os.walk(path) for name in names)):
        try:
            stat = each.lstat()
        except FileNotFoundError:
            continue
        if not each.is_dir() or each.is_symlink():
            found[str(each)] = (stat.st_size, stat.st_mtime_ns)
    return found
