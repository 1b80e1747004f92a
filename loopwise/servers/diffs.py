"""Apply a unified diff to an app's files in memory, by git on a temporary copy of them."""

import hashlib
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path, PurePosixPath

from loopwise.errors import ServerError
from loopwise.model import Patch, PatchedFile

STRIPS = (1, 0)
"""Leading parts that paths of a diff may have too many: git writes `a/` and `b/` before them, `diff -u` does not."""
FAILED = re.compile(r"error: patch failed: (.*):(\d+)")
"""Of git: the path, and the line at which the hunk begins in the file that the diff was made from."""
CORRUPT = re.compile(r"error: corrupt patch at (?:.*:|line )(\d+)")
SUFFIX = ".py"


class DiffError(Exception):
    """The diff can't be applied; the message completes "fix.diff: "."""


def patch_of(name: str, text: str, app_dir: str) -> Patch:
    """Make a patch of a diff.

    Args:
        name: path of the diff, or what people shall call it.
        text: a unified diff, as `git diff` or `diff -u` writes it; its paths begin in the app's folder or in the
            root of the repository that the folder is in.
        app_dir: folder that the app is imported from.

    Raises:
        DiffError: it does not apply to the files that are there, or changes something other than Python source.
        ServerError: git is not installed.
    """
    found = _edited(text, app_dir)
    files = (PatchedFile(path=path, sha256=_sha256(before)) for path, (before, _) in sorted(found.items()))
    return Patch(name=name, text=text, files=tuple(files))


def edited(patch: Patch, app_dir: str) -> dict[PatchedFile, bytes]:
    """Return the edited text of each file of a patch.

    Raises:
        ServerError: the files are not those that the patch was made from.
    """
    for each in patch.files:
        path = Path(os.path.realpath(app_dir), each.path)
        if _sha256(path.read_bytes() if path.is_file() else None) != each.sha256:
            raise ServerError(
                f"{patch.name}: {each.path} in {app_dir} is not the file that the patch was made from; make it anew"
            )
    try:
        found = _edited(patch.text, app_dir)
    except DiffError as error:
        raise ServerError(f"{patch.name}: {error}") from None
    return {each: found[each.path][1] for each in patch.files}


_Edits = Mapping[str, tuple[bytes | None, bytes]]
"""Path from the app's folder -> its bytes, None if there is no such file, and those that it would have."""


def _edited(text: str, app_dir: str) -> _Edits:
    """Apply a diff where its files lie.

    Raises:
        DiffError: it applies nowhere.
    """
    folder = Path(os.path.realpath(app_dir))
    errors = []
    for root, strip, names in _meant(text, folder):
        try:
            _refuse_unfit(names)
            found = _applied(text, root, strip, names)
        except DiffError as error:
            errors.append(error)
            continue
        edits = {os.path.relpath(root / name, folder): each for name, each in found.items() if each[0] != each[1]}
        if not edits:
            raise DiffError("it changes nothing; make the diff anew")
        return edits
    raise errors[0]


def _meant(text: str, folder: Path) -> list[tuple[Path, int, list[str]]]:
    """Where the paths of a diff begin, how many parts are before them, and the files: those of which most are there.

    Raises:
        DiffError: it is no diff.
    """
    named, errors = [], []
    for strip in STRIPS:
        try:
            named.append((strip, _names(text, strip)))
        except DiffError as error:
            errors.append(error)
    if not named:
        raise errors[0]
    places = [(root, strip, names) for root, (strip, names) in product(_roots(folder), named)]
    there = [_there(root, names) for root, _, names in places]
    return [place for place, number in zip(places, there, strict=True) if number == max(there)]


def _there(root: Path, names: Sequence[str]) -> tuple[int, int]:
    """How many of these files there are, and how few of their folders are missing."""
    files = sum((root / name).is_file() for name in names)
    return files, -sum(not each.is_dir() for name in names for each in (root / name).parents)


def _roots(folder: Path) -> Iterator[Path]:
    """The app's folder, and the root of the repository that it is in."""
    yield folder
    repository = next((each for each in folder.parents if (each / ".git").exists()), None)
    if repository is not None and not (folder / ".git").exists():
        yield repository


def _names(text: str, strip: int) -> list[str]:
    """The files that a diff is about.

    Raises:
        DiffError: it is no diff.
    """
    with tempfile.TemporaryDirectory(prefix="loopwise-") as folder:
        asked = _git(Path(folder), "--numstat", "-z", f"-p{strip}", text=text)
    if asked.returncode:
        raise DiffError(_unread(asked.stderr.decode(errors="replace")))
    return [line.split("\t", 2)[2] for line in asked.stdout.decode(errors="replace").split("\0") if line]


def _unread(said: str) -> str:
    """Say why git can't read a diff."""
    if corrupt := CORRUPT.search(said):
        return f"line {corrupt[1]}: the diff is cut off or was edited by hand there; make it anew"
    lines = said.strip().splitlines() or ["git says nothing of it"]
    is_none = "No valid patches" in said or "unrecognized input" in said
    what = "is no unified diff" if is_none else f"can't be read ({lines[0].removeprefix('error: ')})"
    return f"it {what}; write one by `git diff` or `diff -u`"


def _refuse_unfit(names: Sequence[str]) -> None:
    for name in names:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts:
            raise DiffError(f"it changes {name}, which lies elsewhere; make the diff in the app's folder or repository")
        if path.suffix != SUFFIX:
            raise DiffError(
                f"it changes {name}, and only Python source can be changed in memory; leave that file out of the diff"
            )


def _applied(text: str, root: Path, strip: int, names: Sequence[str]) -> _Edits:
    """Apply a diff to copies of its files.

    Raises:
        DiffError: it doesn't apply, or removes a file.
    """
    with tempfile.TemporaryDirectory(prefix="loopwise-") as scratch:
        copies, before = Path(scratch), {}
        for name in names:
            source, copy = root / name, copies / name
            before[name] = source.read_bytes() if source.is_file() else None
            copy.parent.mkdir(parents=True, exist_ok=True)
            if (content := before[name]) is not None:
                copy.write_bytes(content)
        asked = _git(copies, f"-p{strip}", text=text)
        if asked.returncode:
            raise DiffError(_unapplied(asked.stderr.decode(errors="replace"), text, root))
        for name in names:
            if not (copies / name).is_file() or (copies / name).is_symlink():
                raise DiffError(
                    f"it removes or renames {name}, and a patch in memory changes and adds files alone; "
                    "leave that file out of the diff"
                )
        return {name: (before[name], (copies / name).read_bytes()) for name in names}


def _unapplied(said: str, text: str, root: Path) -> str:
    """Say which hunk does not apply."""
    if failed := FAILED.search(said):
        name, line = failed[1], int(failed[2])
        number, at = _hunk(text, name, line)
        return (
            f"line {at}: hunk {number} of {name} does not apply at line {line} of {root / name}; "
            "make the diff anew from the file as it is now"
        )
    first = (said.strip().splitlines() or ["git says nothing of it"])[0].removeprefix("error: ")
    return f"it does not apply in {root} ({first}); its paths begin in the app's folder or in its repository's root"


def _hunk(text: str, name: str, line: int) -> tuple[int, int]:
    """Number of a file's hunk that begins at a line, and the line of the diff that it has; 1, 1 if it isn't found."""
    number, is_in = 0, False
    for at, each in enumerate(text.split("\n"), start=1):
        if each.startswith("+++ "):
            number, is_in = 0, each.removeprefix("+++ ").partition("\t")[0].strip().endswith(name)
        elif is_in and (start := re.match(r"@@ -(\d+)", each)):
            number += 1
            if int(start[1]) == line:
                return number, at
    return 1, 1


def _git(folder: Path, *options: str, text: str) -> subprocess.CompletedProcess[bytes]:
    """Let git apply a diff in a folder that is in no repository, whatever its user has set.

    Raises:
        ServerError: it is not installed.
    """
    own = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    env = {
        **own,
        "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CEILING_DIRECTORIES": os.path.realpath(folder.parent),
    }
    argv = ["git", "-c", "core.autocrlf=false", "apply", "--whitespace=nowarn", *options, "-"]
    try:
        return subprocess.run(argv, input=text.encode(), capture_output=True, check=False, cwd=folder, env=env)
    except FileNotFoundError:
        raise ServerError("patch: a diff is applied by git, which is not installed; install it") from None


def _sha256(content: bytes | None) -> str | None:
    return None if content is None else hashlib.sha256(content).hexdigest()
