"""Findings as SARIF 2.1.0, which code scanning shows as annotations of lines.

https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
"""

import difflib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loopwise import __version__
from loopwise.blame.findings import BlamedLine, Findings, ManyShort, ShortCall, Unanswered
from loopwise.visible import clean

if TYPE_CHECKING:
    from loopwise.blame.edits.edit import Edit
    from loopwise.blame.edits.fixes import Fixes

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
ROOT = "SRCROOT"
"""Symbol of the folder that relative paths begin at: the checkout."""
RULES = {
    "loop-held": "A line holds the event loop, so that no other request is answered meanwhile",
    "loop-held-by-many": "Many short callbacks at a line hold the event loop for long in all",
    "may-block": "A call on the event loop that can block, though it was short here",
    "no-answer": "An endpoint did not answer",
}
"""By id, in the order of the document's rules."""


def sarif(findings: Findings, root: Path, limit_ms: float | None = None, fixes: "Fixes | None" = None) -> str:
    """The findings that have a line, as a SARIF log.

    Args:
        findings: of a pass.
        root: paths below it are written relative to it.
        limit_ms: lines that held the loop for longer are errors; None: all are warnings.
        fixes: the edits of each line, which are written as the results' `fixes`.
    """
    results = [
        _result(rule, level, place, message, root=root) for rule, level, place, message in _rows(findings, limit_ms)
    ]
    if fixes is not None:
        lines: list[BlamedLine | ManyShort] = [
            *findings.lines,
            *findings.many_short,
        ]  # results begin with these, in this order
        for result, line, offer in zip(results, lines, [*fixes.lines, *fixes.many_short], strict=False):
            if offer.edits and line.site is not None:
                artifact = _artifact(Path(line.site.path), root)
                result["fixes"] = [_fix(edit, artifact) for edit in offer.edits]
    driver = {
        "name": "Loopwise blame",
        "version": __version__,
        "rules": [{"id": name, "shortDescription": {"text": text}} for name, text in RULES.items()],
    }
    run = {
        "tool": {"driver": driver},
        "originalUriBaseIds": {ROOT: {"uri": f"{root.resolve().as_uri()}/"}},
        "columnKind": "unicodeCodePoints",
        "results": results,
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


Row = tuple[str, str, tuple[str, int], str]


def _rows(findings: Findings, limit_ms: float | None) -> Iterator[Row]:
    """Rule, level, place and message of each result."""
    for line in findings.lines:
        level = "error" if line.is_over(limit_ms) else "warning"
        yield "loop-held", level, (line.path, line.line), _held(line)
    others: Iterable[tuple[str, str, ManyShort | ShortCall | Unanswered]] = [
        *(("loop-held-by-many", "warning", each) for each in findings.many_short),
        *(("may-block", "note", each) for each in findings.short_calls),
        *(("no-answer", "error", each) for each in findings.unanswered),
    ]
    for rule, level, each in others:
        if each.path is not None and each.line is not None:
            yield rule, level, (each.path, each.line), str(each)


def _held(line: BlamedLine) -> str:
    return (
        f"{line.function or line.source} holds the event loop for up to {line.longest_ms:.1f} ms "
        f"({line.endpoint}: {line.times} times, {line.total_ms:.1f} ms in all)"
    )


def _result(rule: str, level: str, where: tuple[str, int], message: str, *, root: Path) -> dict[str, Any]:
    path, line = Path(where[0]), where[1]
    region = {"startLine": max(1, line)}
    return {
        "ruleId": rule,
        "ruleIndex": list(RULES).index(rule),
        "level": level,
        "message": {"text": clean(message)},
        "locations": [{"physicalLocation": {"artifactLocation": _artifact(path, root), "region": region}}],
    }


def _artifact(path: Path, root: Path) -> dict[str, str]:
    if path.is_relative_to(root.resolve()):
        return {"uri": _quoted(path.relative_to(root.resolve())), "uriBaseId": ROOT}
    return {"uri": path.as_uri() if path.is_absolute() else str(path)}


def _fix(edit: "Edit", artifact: dict[str, str]) -> dict[str, Any]:
    """An edit as whole lines that are replaced."""
    before, after = (text.splitlines(keepends=True) for text in (edit.original, edit.source))
    replacements = []
    for tag, start, end, new_start, new_end in difflib.SequenceMatcher(None, before, after, False).get_opcodes():
        if tag == "equal":
            continue
        text, until = "".join(after[new_start:new_end]), (end + 1, 1)
        if 0 < end == len(before):  # no line begins after the last one
            text, until = text.rstrip("\r\n"), (end, len(before[-1].rstrip("\r\n")) + 1)
        region = {"startLine": start + 1, "startColumn": 1, "endLine": until[0], "endColumn": until[1]}
        replacements.append({"deletedRegion": region, "insertedContent": {"text": text}})
    return {
        "description": {"text": clean(f"{edit.kind}: {edit.words}")},
        "artifactChanges": [{"artifactLocation": artifact, "replacements": replacements}],
    }


def _quoted(path: Path) -> str:
    return (Path("/") / path).as_uri().removeprefix("file:///")
