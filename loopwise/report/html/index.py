"""results/index.html: every result and comparison, newest first, and the command that compares those picked."""

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from loopwise.errors import writing
from loopwise.report.format import clean
from loopwise.report.html import skeleton
from loopwise.report.html.compare import DOCUMENT, PAGE
from loopwise.results.folder import ResultFolder

INDEX = "index.html"


class IndexLine(NamedTuple):
    """A result in the index."""

    name: str
    suite: str
    label: str
    created_at: str
    machine: str
    answer: str
    cases: int
    runs: str
    not_valid: int
    report: str
    """Relative link, or empty: there is no report yet."""
    argument: str
    """The folder as a word of a shell's command line; empty: it has no rows to compare, or can't be read."""
    problem: str
    """Why it can't be read, or what in it can't."""


class Existing(NamedTuple):
    """A comparison that was made before."""

    folder: str
    link: str
    names: list[str]
    """The base first."""
    headline: str


def write_index(
    rows: Sequence[Mapping[str, Any]], results: Path, path: Path, *, program: Sequence[str]
) -> Path:
    """Write the page.

    Args:
        rows: from listing.results.
        results: folder of the results, where comparisons are looked for, too.
        path: of the page; its links are relative to it.
        program: how Loopwise is started here, for the command to copy.

    Raises:
        UsageError: the page can't be written.
    """
    lines = sorted((_line(row, path.parent) for row in rows), key=lambda line: line.created_at, reverse=True)
    found = existing(results, path.parent)
    contents = {
        "lines": lines,
        "filters": [("suite", "Suite", sorted({clean(line.suite) for line in lines if line.suite}))],
        "existing": found,
        "command": shlex.join([*program, "compare"]),
        "out": shlex.quote(str(_from_here(results))),
        "known": skeleton.data([{"names": each.names, "link": each.link} for each in found]),
        "unreadable": sum(not line.suite for line in lines),
    }
    sections = [("results", "Results"), *([("comparisons", "Comparisons")] if found else [])]
    page = skeleton.render(
        "index.html.j2",
        contents,
        title="Results",
        sections=sections,
        styles=["index.css", "sift.css"],
        scripts=["sift.js", "pick.js"],
    )
    with writing("--out", path, is_file=True):
        if path.parent == results:
            results.mkdir(parents=True, exist_ok=True)
        return skeleton.write(page, path)


def _line(row: Mapping[str, Any], folder: Path) -> IndexLine:
    path = Path(row["path"])
    is_typable = bool(row["suite"]) and clean(row["name"]) == row["name"] and str(path).isprintable()
    return IndexLine(
        name=row["name"],
        suite=row["suite"],
        label=row["label"],
        created_at=row["created_at"],
        machine=row["machine"],
        answer=row["answer"],
        cases=row["cases"],
        runs=row["runs"],
        not_valid=row["not valid"],
        report=skeleton.link(path / "report.html", folder),
        argument=shlex.quote(str(_from_here(path))) if is_typable and ResultFolder(path).has_rows() else "",
        problem=row["problem"],
    )


def _from_here(path: Path) -> Path:
    """The path as one would type it in the working directory."""
    path, here = path.resolve(), Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) and path != here else path


def existing(results: Path, folder: Path) -> list[Existing]:
    """Comparisons below the folder of results, by name; one whose compare.json can't be read is left out."""
    found = []
    for path in sorted(results.glob(f"*/{DOCUMENT}")):
        page = skeleton.link(path.parent / PAGE, folder)
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            others = [(str(each["name"]), str(each["headline"])) for each in document["others"]]
            names = [str(document["base"]), *(name for name, _ in others)]
        except (OSError, ValueError, TypeError, KeyError):
            continue
        if page and others:
            found.append(Existing(path.parent.name, page, names, others[0][1]))
    return found
