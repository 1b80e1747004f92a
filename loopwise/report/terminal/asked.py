"""Answers to single requests as a table, with what went wrong below it."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from loopwise.measure.asking import Reply
from loopwise.report.terminal.screen import plain
from loopwise.report.terminal.tables import WordTable


def asked_table(rows: Sequence[Reply]) -> RenderableType:
    """Make a table of what was asked, and a paragraph for each answer that was not expected."""
    numbers = ("status", "bytes", "ms")
    lines: list[tuple[Text | str, ...]] = []
    for each in rows:
        figures = (each.status, each.size_bytes, each.time_ms)
        texts = ["–" if figure is None else f"{figure:,}" for figure in figures]
        lines.append((plain(each.place), plain(each.endpoint), *texts, plain(each.answered_by or "–")))
    table = WordTable(("app", "endpoint", *numbers, "answered by"), lines, numbers, "Asked once each, no load")
    return Group(table, *(plain(each.error, style="bold red") for each in rows if each.error))
