"""A unified diff as two sides of lines beside each other."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

HUNK = re.compile(r"@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@")


@dataclass(frozen=True)
class Line:
    """A line of both sides, or of one."""

    kind: Literal["same", "changed", "removed", "added", "file", "gap"]
    old: str = ""
    new: str = ""
    old_number: int | None = None
    new_number: int | None = None


def beside(diff: str) -> list[Line]:
    """The lines of a diff; removed and added ones that follow one another stand beside each other.

    A line of kind `file` names a file, one of kind `gap` stands for what lies between two hunks.
    """
    found: list[Line] = []
    removed: list[tuple[int, str]] = []
    added: list[tuple[int, str]] = []
    old = new = 0
    is_first = True
    for text in diff.rstrip("\n").split("\n") if diff else ():
        if text.startswith("+++ "):
            found.append(Line("file", new=text.removeprefix("+++ ").removeprefix("b/").partition("\t")[0]))
            is_first = True
        elif hunk := HUNK.match(text):
            found += _paired(removed, added)
            removed, added = [], []
            old, new = int(hunk[1]), int(hunk[2])
            if not is_first:
                found.append(Line("gap"))
            is_first = False
        elif text.startswith("--- ") or text.startswith("\\"):
            found += _paired(removed, added)
            removed, added = [], []
        elif text.startswith("-"):
            removed.append((old, text[1:]))
            old += 1
        elif text.startswith("+"):
            added.append((new, text[1:]))
            new += 1
        else:
            found += _paired(removed, added)
            removed, added = [], []
            found.append(Line("same", text[1:], text[1:], old, new))
            old, new = old + 1, new + 1
    return [*found, *_paired(removed, added)]


def _paired(removed: list[tuple[int, str]], added: list[tuple[int, str]]) -> Iterator[Line]:
    for index in range(max(len(removed), len(added))):
        old = removed[index] if index < len(removed) else None
        new = added[index] if index < len(added) else None
        yield Line(
            "changed" if old and new else "removed" if old else "added",
            old[1] if old else "",
            new[1] if new else "",
            old[0] if old else None,
            new[0] if new else None,
        )
