"""The blamed lines for a terminal."""

import os
from collections.abc import Sequence
from pathlib import Path

from rich import box
from rich.table import Table
from rich.text import Text

from loopwise.blame.findings import BlamedLine, ShortCall


def blame_table(lines: Sequence[BlamedLine]) -> Table:
    """Most time first."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title="Lines that hold the event loop")
    for column in ("endpoint", "line", "calls", "total ms", "longest ms", "times", "share"):
        is_number = column in {"total ms", "longest ms", "times", "share"}
        table.add_column(column, overflow="fold", justify="right" if is_number else "left", no_wrap=is_number)
    for each in lines:
        mark = "" if each.is_app else " (library)"
        table.add_row(
            Text(each.endpoint),
            Text(f"{shown_path(each.path)}:{each.line}{mark}"),
            Text(each.function or each.source),
            f"{each.total_ms:.1f}",
            f"{each.longest_ms:.1f}",
            str(each.times),
            f"{each.share:.2f}",
        )
    return table


def blame_lines(lines: Sequence[BlamedLine]) -> list[str]:
    """The same without a terminal: a line each, whose place can be clicked and searched for."""
    return [
        f"{shown_path(each.path)}:{each.line}{'' if each.is_app else ' (library)'}: {each.endpoint}: "
        f"{each.function or each.source}: {each.total_ms:.1f} ms in all, {each.longest_ms:.1f} ms at most, "
        f"{each.times}×, share {each.share:.2f}"
        for each in lines
    ]


def short_sentence(call: ShortCall) -> str:
    """A call that was short here, in words."""
    return (
        f"short here, but can block: {call.endpoint}: {shown_path(call.path)}:{call.line} "
        f"made {call.call} {call.times}× on the loop"
    )


def shown_path(path: str) -> str:
    """Relative to the working directory where it lies below it."""
    return os.path.relpath(path) if Path(path).is_relative_to(Path.cwd()) else path
