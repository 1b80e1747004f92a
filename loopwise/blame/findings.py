"""Findings of a blame pass: lines that held the event loop, and short calls that could."""

import ast
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel, Field
from rich import box
from rich.table import Table
from rich.text import Text

from loopwise.model import Noun

FRAME_SEPARATOR = " <- "


class Spot(BaseModel):
    """A line and the time for which it held the loop, as the probe counts it."""

    path: str
    line: int
    is_app: bool
    columns: tuple[int, int, int, int] | None
    """First and last line, first and last column of what was executed; None before Python 3.11."""
    callee: str | None
    total_ns: int
    longest_ns: int
    times: int


class Call(BaseModel):
    """A call that can block, with its stack: `path:line:function <- path:line:function …`, innermost first."""

    call: str
    frame: str
    times: int


class Tally(BaseModel):
    """Spots and calls of one endpoint."""

    held_ns: int
    unseen_ns: int
    """Part of held_ns in which no line could be named."""
    spots: list[Spot]
    calls: list[Call]


class ProbeReport(BaseModel):
    """The blame probe's answer (target_app/blame)."""

    endpoints: dict[str, Tally]
    """By the number that the session gave the endpoint, or the probe's name for requests that are nobody's."""
    files: dict[str, str]
    """Files of the app: as the stacks name them -> path."""


class BlamedLine(Noun):
    """A line that held the loop."""

    endpoint: str
    path: str
    line: int
    is_app: bool
    """False: library code, since no line of the app's own folder was being executed."""
    function: str | None
    """The call that the line was making, as it is written there; None: the line's own work."""
    source: str
    total_ms: float
    longest_ms: float
    """The longest that it held a single callback."""
    times: int
    """Callbacks that it held."""
    share: float
    """Of the time for which this endpoint held the loop, 0–1."""

    @property
    def place(self) -> str:
        """`shop/main.py:12`, marked where it is a library's line."""
        return f"{_shown(self.path)}:{self.line}{'' if self.is_app else ' (library)'}"

    def __str__(self) -> str:
        return (
            f"{self.place}: {self.endpoint}: {self.function or self.source}: {self.total_ms:.1f} ms in all, "
            f"{self.longest_ms:.1f} ms at most, {self.times}×, share {self.share:.2f}"
        )


class ShortCall(Noun):
    """A call that can block, made on the loop, too short here to hold it."""

    endpoint: str
    call: str
    path: str
    line: int
    times: int

    def __str__(self) -> str:
        return (
            f"short here, but can block: {self.endpoint}: {_shown(self.path)}:{self.line} "
            f"made {self.call} {self.times}× on the loop"
        )


class Findings(Noun):
    """The outcome of a pass; `blame --json` prints it."""

    lines: list[BlamedLine] = Field(default_factory=list)
    """Most time first."""
    short_calls: list[ShortCall] = Field(default_factory=list)
    answers: dict[str, dict[str, int]] = Field(default_factory=dict)
    """Endpoint -> status, or name of the error -> requests."""
    loops: list[str] = Field(default_factory=list)
    """Event loops that were observed: `asyncio`, `uvloop`."""
    notes: list[str] = Field(default_factory=list)

    @property
    def complaints(self) -> list[str]:
        """A sentence for each endpoint that answered otherwise than with success."""
        return [
            f"{name}: answered {', '.join(f'{count}× {status}' for status, count in statuses.items())}; "
            "is it asked as it should be?"
            for name, statuses in self.answers.items()
            if any(not status.startswith("2") for status in statuses)
        ]


def blamed_lines(report: ProbeReport, names: Mapping[str, str]) -> list[BlamedLine]:
    """The lines of all endpoints, most time first. `names`: the probe's key of an endpoint -> its name."""
    lines = [
        BlamedLine(
            endpoint=names.get(key, key),
            path=spot.path,
            line=spot.line,
            is_app=spot.is_app,
            function=called(spot.path, spot.columns) or spot.callee,
            source=_source_line(spot.path, spot.line),
            total_ms=spot.total_ns / 1e6,
            longest_ms=spot.longest_ns / 1e6,
            times=spot.times,
            share=spot.total_ns / seen_ns if (seen_ns := tally.held_ns - tally.unseen_ns) else 0.0,
        )
        for key, tally in report.endpoints.items()
        for spot in tally.spots
    ]
    return sorted(lines, key=lambda each: -each.total_ms)


def short_calls(report: ProbeReport, names: Mapping[str, str]) -> list[ShortCall]:
    """Calls that can block, from lines of the app that are not blamed: they may be slow elsewhere."""
    counted: dict[tuple[str, str, str, int], int] = {}
    for key, tally in report.endpoints.items():
        blamed = {(spot.path, spot.line) for spot in tally.spots}
        for call in tally.calls:
            place = _app_frame(call.frame, report.files)
            if place is not None and place not in blamed:
                row = (names.get(key, key), call.call, *place)
                counted[row] = counted.get(row, 0) + call.times
    return [
        ShortCall(endpoint=endpoint, call=call, path=path, line=line, times=times)
        for (endpoint, call, path, line), times in counted.items()
    ]


def blame_table(lines: Sequence[BlamedLine]) -> Table:
    """The lines for a terminal."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title="Lines that hold the event loop")
    for column in ("endpoint", "line", "calls"):
        table.add_column(column, overflow="fold")
    for column in ("total ms", "longest ms", "times", "share"):
        table.add_column(column, justify="right", no_wrap=True)
    for each in lines:
        table.add_row(
            Text(each.endpoint),
            Text(each.place),
            Text(each.function or each.source),
            f"{each.total_ms:.1f}",
            f"{each.longest_ms:.1f}",
            str(each.times),
            f"{each.share:.2f}",
        )
    return table


def called(path: str, columns: Sequence[int] | None) -> str | None:
    """The function that the expression in these columns calls: `json.loads`; None if it is no call."""
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


def _app_frame(stack: str, files: Mapping[str, str]) -> tuple[str, int] | None:
    """Path and line of the innermost frame that lies in the app."""
    for frame in stack.split(FRAME_SEPARATOR):
        path, _, line = frame.rpartition(":")[0].rpartition(":")
        if path in files:
            return files[path], int(line)
    return None


def _source_line(path: str, line: int) -> str:
    """The line's text without indent; empty where it can't be read."""
    try:
        return Path(path).read_text(encoding="utf-8").splitlines()[line - 1].strip()
    except (OSError, IndexError, UnicodeDecodeError):
        return ""


def _shown(path: str) -> str:
    """Relative to the working directory where it lies below it."""
    return os.path.relpath(path) if Path(path).is_relative_to(Path.cwd()) else path
