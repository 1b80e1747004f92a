"""results/index.html: every result and comparison, newest first, and the command that compares the picked ones."""

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from loopwise.errors import writing
from loopwise.report.html import page
from loopwise.report.html.compare import DOCUMENT, PAGE
from loopwise.results.folder import ResultFolder
from loopwise.visible import clean

INDEX = "index.html"


class Existing(NamedTuple):
    """A comparison that was made earlier."""

    folder: str
    link: str
    names: list[str]
    """The base first."""
    headline: str


def write_index(rows: Sequence[Mapping[str, Any]], results: Path, path: Path, *, program: Sequence[str]) -> Path:
    """Write the page.

    Args:
        rows: from listing.results.
        results: folder of the results and comparisons.
        path: of the page; its links are relative to it.
        program: the words that start Loopwise here, for the command to copy.

    Raises:
        UsageError: the page can't be written.
    """
    lines = [_line(row, path.parent) for row in rows]
    lines.sort(key=lambda line: str(line["created_at"]), reverse=True)
    comparisons = existing(results, path.parent)
    contents = {
        "lines": lines,
        "filters": [("suite", "Suite", sorted({clean(line["suite"]) for line in lines if line["suite"]}))],
        "existing": comparisons,
        "command": shlex.join([*program, "compare"]),
        "out": shlex.quote(str(_from_here(results))),
        "known": page.data([{"names": each.names, "link": each.link} for each in comparisons]),
        "unreadable": sum(not line["suite"] for line in lines),
    }
    text = page.render(
        "index.html.j2",
        contents,
        title="Results",
        styles=["index.css", "sift.css"],
        scripts=["sift.js", "pick.js"],
    )
    with writing("--out", path, is_file=True):
        if path.parent == results:
            results.mkdir(parents=True, exist_ok=True)
        return page.write(text, path)


def _line(row: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """A row with two more keys.

    `report` is a relative link, or empty without a report. `argument` is the folder as a word of a shell's command
    line, or empty for a result that has no rows to compare or can't be read.
    """
    path = Path(row["path"])
    is_typable = bool(row["suite"]) and clean(row["name"]) == row["name"] and str(path).isprintable()
    return {
        **row,
        "report": page.link(path / "report.html", folder),
        "argument": shlex.quote(str(_from_here(path))) if is_typable and ResultFolder(path).has_rows() else "",
    }


def _from_here(path: Path) -> Path:
    """The path as one would type it in the working directory."""
    path, here = path.resolve(), Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) and path != here else path


def existing(results: Path, folder: Path) -> list[Existing]:
    """Comparisons below the folder of results, by name; one whose compare.json can't be read is left out."""
    readable = []
    for path in sorted(results.glob(f"*/{DOCUMENT}")):
        link = page.link(path.parent / PAGE, folder)
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            others = [(str(each["name"]), str(each["headline"])) for each in document["others"]]
            names = [str(document["base"]), *(name for name, _ in others)]
        except (OSError, ValueError, TypeError, KeyError):
            continue
        if link and others:
            readable.append(Existing(path.parent.name, link, names, others[0][1]))
    return readable
