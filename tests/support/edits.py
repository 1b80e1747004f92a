"""Sources with a blamed expression, and the edits that are offered of them."""

import re
from pathlib import Path

from loopwise.blame.edits import Edit, Offer
from loopwise.blame.findings import BlamedLine
from loopwise.blame.watched import Site

MARKS = re.compile("[«»]")


def line_at(path: Path, line: int, columns: tuple[int, int, int, int] | None, function: str = "f") -> BlamedLine:
    """A blamed line in an `async def`."""
    site = Site(path=str(path), line=line, columns=columns, function=function)
    figures = {"total_ms": 9.0, "longest_ms": 9.0, "times": 1, "share": 1.0, "function": None, "source": ""}
    return BlamedLine.model_validate(
        {"endpoint": "GET /x", "path": str(path), "line": line, "is_app": True, "columns": columns, "site": site}
        | figures
    )


def marked(folder: Path, text: str, name: str = "app.py") -> BlamedLine:
    """A source whose blamed expression stands between « and »."""
    start, _, rest = text.partition("«")
    inner = rest.partition("»")[0]
    path = folder / name
    path.write_text(MARKS.sub("", text), encoding="utf-8")
    first, last = start.count("\n") + 1, (start + inner).count("\n") + 1
    columns = tuple(len(each.rpartition("\n")[2].encode()) for each in (start, start + inner))
    return line_at(path, first, (first, last, columns[0], columns[1]))


def of_kind(offer: Offer, kind: str) -> Edit:
    """The edit of a kind."""
    found = {each.kind: each for each in offer.edits}
    assert kind in found, [str(each) for each in offer.refused]
    return found[kind]


def whole(head: str, body: str) -> str:
    """A module with one function."""
    return (f"{head}\n\n" if head else "") + f"async def f():\n    {body}\n"
