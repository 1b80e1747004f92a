"""Answers to single requests as a table, with what went wrong below it."""

from collections.abc import Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table

from loopwise.measure.asking import Reply
from loopwise.report.terminal.screen import plain


def asked_table(rows: Sequence[Reply]) -> RenderableType:
    """Make a table of what was asked, and a paragraph for each answer that was not expected."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title="Asked once each, no load", title_justify="left")
    table.add_column("app", overflow="fold")
    table.add_column("endpoint", overflow="fold")
    for column in ("status", "bytes", "ms"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("answered by", overflow="fold")
    for each in rows:
        figures = (each.status, each.size_bytes, each.time_ms)
        texts = ["–" if figure is None else f"{figure:,}" for figure in figures]
        table.add_row(plain(each.place), plain(each.endpoint), *texts, plain(each.answered_by or "–"))
    return Group(table, *(plain(each.error, style="bold red") for each in rows if each.error))
