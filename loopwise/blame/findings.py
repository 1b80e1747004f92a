"""What the blame probe found, as lines with shares. Pure but for reading source files."""

import ast
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from loopwise.model import Noun

SHORT_CALL_FRAMES = " <- "


class BlamedLine(Noun):
    """A line that held the loop."""

    endpoint: str
    path: str
    line: int
    is_app: bool
    """False: library code, since no line of the app's own folder was being executed."""
    function: str | None
    """What the line was calling, as it is written there; None: the line's own work."""
    source: str
    total_ms: float
    longest_ms: float
    """Most that it had of one callback."""
    times: int
    """Callbacks that it held."""
    share: float
    """Of the time in which this endpoint was seen to hold the loop, 0–1."""


class ShortCall(Noun):
    """A call that can block, made on the loop, too short here to hold it."""

    endpoint: str
    call: str
    path: str
    line: int
    times: int


def blamed_lines(found: Mapping[str, Any], names: Mapping[str, str]) -> list[BlamedLine]:
    """The lines of all endpoints, most time first. `names`: what the probe calls an endpoint -> its name."""
    lines = []
    for key, tally in found["endpoints"].items():
        seen_ns = tally["held_ns"] - tally["unseen_ns"]
        for spot in tally["spots"]:
            source = source_line(spot["path"], spot["line"])
            lines.append(
                BlamedLine(
                    endpoint=names.get(key, key),
                    path=spot["path"],
                    line=spot["line"],
                    is_app=spot["is_app"],
                    function=called(spot["path"], spot["columns"]) or spot["callee"],
                    source=source,
                    total_ms=spot["total_ns"] / 1e6,
                    longest_ms=spot["longest_ns"] / 1e6,
                    times=spot["times"],
                    share=spot["total_ns"] / seen_ns if seen_ns else 0.0,
                )
            )
    return sorted(lines, key=lambda each: -each.total_ms)


def short_calls(found: Mapping[str, Any], names: Mapping[str, str]) -> list[ShortCall]:
    """Calls that can block, from lines of the app that are not blamed: elsewhere they may be slow."""
    blamed = {
        (key, spot["path"], spot["line"])
        for key, tally in found["endpoints"].items()
        for spot in tally["spots"]
    }
    counted: dict[tuple[str, str, str, int], int] = {}
    for key, tally in found["endpoints"].items():
        for call in tally["calls"]:
            place = _place(call["frame"], found["files"])
            if place is not None and (key, *place) not in blamed:
                row = (names.get(key, key), call["call"], *place)
                counted[row] = counted.get(row, 0) + call["times"]
    return [
        ShortCall(endpoint=endpoint, call=call, path=path, line=line, times=times)
        for (endpoint, call, path, line), times in counted.items()
    ]


def _place(trace: str, files: Mapping[str, str]) -> tuple[str, int] | None:
    """The innermost line of the app in `path:line:function <- …`."""
    for frame in trace.split(SHORT_CALL_FRAMES):
        path, _, rest = frame.rpartition(":")[0].rpartition(":")
        if path in files:
            return files[path], int(rest)
    return None


def source_line(path: str, line: int) -> str:
    """The line's text without indent; empty where it can't be read."""
    try:
        return Path(path).read_text(encoding="utf-8").splitlines()[line - 1].strip()
    except (OSError, IndexError, UnicodeDecodeError):
        return ""


def called(path: str, columns: list[int] | None) -> str | None:
    """What is called by the expression in these columns: `json.loads`; None if it is no call."""
    if columns is None:
        return None
    first, last, start, end = columns
    try:
        lines = Path(path).read_bytes().splitlines()[first - 1 : last]
        lines[-1] = lines[-1][:end]
        lines[0] = lines[0][start:]
        node = ast.parse(b"\n".join(lines), mode="eval").body
    except (OSError, IndexError, SyntaxError, ValueError):
        return None
    if isinstance(node, ast.Await):
        node = node.value
    return ast.unparse(node.func) if isinstance(node, ast.Call) else None
