"""Sides of a duel: an app in the working copy or at a git revision, made into a case that can be served."""

import re
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loopwise.errors import UsageError
from loopwise.model import Case
from loopwise.suite import make_suite

REVISION = "git:"


@dataclass(frozen=True)
class Version:
    """One side of a duel, as the command line names it."""

    text: str
    """`shop.main:app`, or `git:main`."""
    app: str | None
    """`module:app`, for a git revision."""
    app_dir: Path
    python: Path | None

    @property
    def is_revision(self) -> bool:
        """Whether the app is taken from a revision of the checkout that holds `app_dir`."""
        return self.text.startswith(REVISION)

    @property
    def target(self) -> str:
        """`module:app`.

        Raises:
            UsageError: a git revision without `--app`.
        """
        if not self.is_revision:
            return self.text
        if self.app is None:
            raise UsageError(f"duel: {self.text} is a revision and names no app; add --app module:app")
        return self.app


@contextmanager
def served_from(baseline: Version, candidate: Version) -> Iterator[tuple[Path, Path]]:
    """Make the folders that the two apps are imported from, for the duration of a `with` block.

    Both are links of equal length in a temporary folder: the length of a path moves a process's memory, and the two
    sides must differ in their code alone. Worktrees of revisions are removed at the end.

    Raises:
        UsageError: a folder does not exist, is not in a git checkout, or has no such revision.
    """
    with tempfile.TemporaryDirectory(prefix="loopwise-") as scratch:
        worktrees: list[tuple[Path, Path]] = []
        try:
            links = []
            for name, version in (("a", baseline), ("b", candidate)):
                folder = version.app_dir.resolve()
                if version.is_revision:
                    root = _checkout_of(folder, version)
                    tree = Path(scratch) / f"tree-{name}"
                    _add_worktree(root, tree, version)
                    worktrees.append((root, tree))
                    folder = tree / folder.relative_to(root)
                if not folder.is_dir():
                    raise UsageError(
                        f"duel: {version.text}: there is no folder {version.app_dir}; correct --app-dir"
                    )
                link = Path(scratch) / name
                link.symlink_to(folder)
                links.append(link)
            yield links[0], links[1]
        finally:
            for root, tree in worktrees:
                _git(root, "worktree", "remove", "--force", str(tree))


def _checkout_of(folder: Path, version: Version) -> Path:
    answer = _git(folder, "rev-parse", "--show-toplevel") if folder.is_dir() else None
    if answer is None or answer.returncode:
        raise UsageError(
            f"duel: {version.text}: {version.app_dir} is not in a git checkout; name a folder that is by --app-dir"
        )
    return Path(answer.stdout.strip()).resolve()


def _add_worktree(root: Path, tree: Path, version: Version) -> None:
    revision = version.text.removeprefix(REVISION)
    # --end-of-options: a revision that begins with a dash is not an option of git.
    known = _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    if known.returncode:
        raise UsageError(
            f"duel: {version.text}: {root} has no such revision; see `git log --all --oneline`, or fetch it first"
        )
    added = _git(root, "worktree", "add", "--detach", str(tree), known.stdout.strip())
    if added.returncode:
        raise UsageError(
            f"duel: {version.text}: git could not make a worktree ({added.stderr.strip()}); repair the checkout"
        )


def _git(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except FileNotFoundError:
        raise UsageError(
            "duel: git is not installed; install it, or name module:app for both sides"
        ) from None


def case_of(
    version: Version, folder: Path, endpoints: Sequence[str], load: Mapping[str, Any], *, case_id: str
) -> Case:
    """Make a case of a version.

    Raises:
        SuiteError: the app, the interpreter or an endpoint is invalid.
    """
    entry: dict[str, Any] = {"app": version.target, "app_dir": str(folder)}
    if version.python is not None:
        entry["python"] = str(version.python)
    if len(endpoints) == 1:
        entry["endpoint"] = endpoints[0]
    else:
        entry["mix"] = [{"endpoint": endpoint} for endpoint in endpoints]
    document = {"name": "duel", "load": dict(load), "matrix": [entry]}
    (case,) = make_suite(document, label="duel", folder=Path.cwd()).cases
    assert case.app is not None
    # A suite follows links; the app is imported through this one, whose path is as long as the other side's.
    app = case.app.model_copy(update={"app_dir": str(folder)})
    return case.model_copy(update={"case_id": case_id, "app": app})


def names_of(baseline: str, candidate: str) -> tuple[str, str]:
    """Name the two sides in tables and folders, `git-main` and `shop.main-app`; never the same."""
    names = [
        re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.")[:60] or "app" for text in (baseline, candidate)
    ]
    if names[0] == names[1]:
        return f"{names[0]}-base", f"{names[1]}-candidate"
    return names[0], names[1]
