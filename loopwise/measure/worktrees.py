"""Worktrees of git revisions that last as long as a duel; what a dead harness left is removed by the next one."""

import re
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from loopwise.errors import ResultError, UsageError
from loopwise.interrupts import uninterrupted
from loopwise.results.lock import locked

PREFIX = "loopwise-"
LEFT = re.compile(rf"worktree (.*/{PREFIX}[a-z0-9_]{{8}}/tree-[ab])")
"""A line of `git worktree list --porcelain` about one of ours."""


class Worktrees:
    """Worktrees in a folder of their own.

    Args:
        folder: holds `a` and `b`, what the two sides are imported from.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._added: list[tuple[Path, Path]] = []

    def checkout_of(self, folder: Path) -> Path | None:
        """The root of the checkout that a folder is in; worktrees that dead harnesses left there are removed.

        Returns:
            None: it is in no checkout.
        """
        answer = git(folder, "rev-parse", "--show-toplevel") if folder.is_dir() else None
        if answer is None or answer.returncode:
            return None
        root = Path(answer.stdout.strip()).resolve()
        for line in git(root, "worktree", "list", "--porcelain").stdout.splitlines():
            left = LEFT.fullmatch(line)
            if left and Path(left[1]).parent != self.folder:
                _remove_left(root, Path(left[1]))
        return root

    def add(self, name: str, root: Path, revision: str) -> Path:
        """Check a revision out; the worktree's folder.

        Raises:
            UsageError: there is no such revision, or git refuses.
        """
        # --end-of-options: a revision that begins with a dash is not an option of git.
        known = git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        if known.returncode:
            raise UsageError(
                f"duel: git:{revision}: {root} has no such revision; see `git log --all --oneline`, or fetch it first"
            )
        tree = self.folder / f"tree-{name}"
        with uninterrupted():  # git cleans up by itself where it is interrupted, and not where it is killed
            added = git(root, "worktree", "add", "--detach", str(tree), known.stdout.strip())
            self._added += [] if added.returncode else [(root, tree)]
        if added.returncode:
            raise UsageError(
                f"duel: git:{revision}: git could not make a worktree ({added.stderr.strip()}); repair the checkout"
            )
        return tree

    def remove(self) -> None:
        """Remove all of them."""
        with uninterrupted():
            for root, tree in self._added:
                _remove(root, tree)


@contextmanager
def worktrees() -> Iterator[Worktrees]:
    """Worktrees for the duration of a `with` block, in a temporary folder that is locked as long as we live."""
    with tempfile.TemporaryDirectory(prefix=PREFIX) as scratch, locked(Path(scratch)):
        made = Worktrees(Path(scratch).resolve())  # as git names it
        try:
            yield made
        finally:
            made.remove()


def git(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run git in a folder.

    Raises:
        UsageError: it is not installed.
    """
    try:
        return subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except FileNotFoundError:
        raise UsageError("duel: git is not installed; install it, or name module:app for both sides") from None


def _remove_left(root: Path, tree: Path) -> None:
    """Remove a worktree unless a harness that lives has locked its folder."""
    scratch = tree.parent
    if not scratch.is_dir():
        _remove(root, tree)
        return
    with suppress(ResultError, OSError):  # it lives, or belongs to somebody else
        with locked(scratch):
            _remove(root, tree)
            for link in (scratch / "a", scratch / "b"):
                if link.is_symlink():
                    link.unlink()
        scratch.rmdir()


def _remove(root: Path, tree: Path) -> None:
    # Twice: also one that git has not finished to make.
    git(root, "worktree", "remove", "--force", "--force", str(tree))
