"""The answer in a terminal: legible at 80 columns, without colour, and in a log file."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.bar import Bar
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from loopwise.causes import first_causes
from loopwise.model import Verdict
from loopwise.report import format as fmt
from loopwise.report.page_data import (
    ICONS,
    far_off,
    flagged,
    metric_name,
    verdicts_by_candidate,
)
from loopwise.report.rows import Cell, Cells, Facet
from loopwise.summary import Summary

# The terminal's own palette is readable on its own background. A word always stands beside a colour.
MODE_COLOURS = {
    "async": "blue",
    "sync": "yellow",
    "blocking": "red",
    "to_thread": "green",
    "process": "magenta",
    "own": "cyan",
}
VERDICT_STYLES = {
    "better": "bold green",
    "worse": "bold red",
    "same": "",
    "undecided": "dim",
    "invalid": "red",
}

_BAR_COLUMNS = 5
_NAME_COLUMNS = 28
_TABLE_COLUMNS = 80
_CPU, _BAR = 1, 2
"""How expendable columns are."""


def answer_table(summary: Summary) -> RenderableType:
    """The answers, then a table per group of cases that are compared, then what the intervals stand for."""
    cells = Cells(summary)
    verdicts = verdicts_by_candidate(summary.verdicts, "throughput_rps")
    answers = [Padding(_text(answer, "bold"), (0, 0, 1, 0)) for answer in summary.answers]
    tables = [_facet_table(cells, facet, verdicts) for facet in cells.facets]
    return Group(*answers, *tables, _text(cells.interval_note, "dim"))


def verdict_table(verdicts: Sequence[Verdict]) -> RenderableType:
    """Every comparison: the verdict, its ratio with interval, and the sentence."""
    if not verdicts:
        return _text("Nothing to compare: no case differs from another in the baseline's factors only.")
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("verdict", no_wrap=True)
    table.add_column("ratio", no_wrap=True)
    table.add_column("of", no_wrap=True)
    table.add_column("in words", overflow="fold")
    for verdict in verdicts:
        table.add_row(
            _verdict(verdict),
            fmt.ratio(verdict.ratio, verdict.ci_low, verdict.ci_high),
            _text(metric_name(verdict.metric)),
            _text(verdict.reason),
        )
    return table


def _facet_table(cells: Cells, facet: Facet, verdicts: dict[str, Verdict]) -> RenderableType:
    row = cells.row(facet.cases, "throughput_rps")
    names = {cell.case.case_id: _name(facet, cell) for cell in row}
    title = Text.assemble((facet.heading, "bold"), "  ", (facet.context, "dim"))
    table = _table(_fitting(_columns(cells, facet, row, verdicts)))
    voids = [
        Text.assemble(
            (names[cell.case.case_id], "red"), (" is invalid: ", "red"), fmt.clean(cell.invalid or "")
        )
        for cell in row
        if cell.invalid is not None
    ]
    marked, found = flagged(cells.summary.runs), first_causes(cells.summary.runs)
    off = far_off(cells.summary, names)
    notes = [
        *(_text(f"{name}: {found[key]}", "dim") for key, name in names.items() if key in found),
        *(_text(said) for said in off.values()),
        *(
            _text(f"{name} is marked by a check: {', '.join(marked[key])}", "yellow")
            for key, name in names.items()
            if key in marked
        ),
    ]
    return Padding(Group(title, "", table, *voids, *notes), (0, 0, 1, 0))


@dataclass(frozen=True)
class _Column:
    """A column of the table of cases."""

    heading: str
    cells: Sequence[Text | Bar]
    expendable: int = 0
    """0: always shown; else the higher, the sooner it is left out of a narrow terminal."""
    is_name: bool = False
    is_right: bool = True

    @property
    def width(self) -> int:
        """Characters that the widest cell takes."""
        widths = [each.cell_len if isinstance(each, Text) else _BAR_COLUMNS for each in self.cells]
        return max([len(self.heading), *widths])


def _columns(cells: Cells, facet: Facet, row: Sequence[Cell], verdicts: dict[str, Verdict]) -> list[_Column]:
    highest_rps = max((cell.value or 0.0 for cell in row if cell.usable), default=0.0)
    split = any(facet.label(case)[1] and case.workers for case in facet.cases)
    latencies = {name: cells.row(facet.cases, f"service_time_{name}_ms") for name in ("p50", "p99")}
    cpu = cells.row(facet.cases, "cpu_ms_per_request")
    columns = [
        _Column(
            "mode × workers" if split else "case",
            [_text(_name(facet, cell), MODE_COLOURS.get(cell.case.mode, "")) for cell in row],
            is_name=True,
            is_right=False,
        ),
        _Column("requests/s", [_throughput(cell) for cell in row]),
        _Column("", [_bar(cell, highest_rps) for cell in row], _BAR, is_right=False),
    ]
    if any(cell.predicted_ratio for cell in row):
        ratios = [_shown(fmt.number(cell.predicted_ratio)) for cell in row]
        columns.append(_Column("÷bound", ratios))
    for name, found in latencies.items():
        columns.append(_Column(name, [_shown(_duration(cell)) for cell in found]))
    if any(cell.usable for cell in cpu):
        columns.append(_Column("CPU/req", [_shown(_duration(cell)) for cell in cpu], _CPU))
    if any(case.case_id in verdicts for case in facet.cases):
        against = [_against(verdicts.get(cell.case.case_id)) if cell.usable else Text() for cell in row]
        columns.append(_Column("vs baseline", against, is_right=False))
    return columns


def _fitting(columns: list[_Column]) -> list[_Column]:
    """The columns that 80 characters have room for, the most expendable left out first; a long name breaks."""
    kept = list(columns)
    while (worst := max(kept, key=lambda each: each.expendable)).expendable:
        widths = [min(each.width, _NAME_COLUMNS) if each.is_name else each.width for each in kept]
        if _width(widths) <= _TABLE_COLUMNS:
            break
        kept.remove(worst)
    return kept


def _width(widths: Sequence[int]) -> int:
    # The box puts a space between columns.
    return sum(widths) + len(widths) - 1


def _table(columns: Sequence[_Column]) -> Table:
    fits = _width([column.width for column in columns]) <= _TABLE_COLUMNS
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=0)
    for column in columns:
        table.add_column(
            column.heading,
            justify="right" if column.is_right else "left",
            no_wrap=fits or not column.is_name,
            overflow="fold",
        )
    for cells in zip(*(column.cells for column in columns), strict=True):
        table.add_row(*cells)
    return table


def _throughput(cell: Cell) -> Text:
    if not cell.usable or cell.value is None:
        return _text("invalid" if cell.invalid else fmt.NONE, "red")
    return _text(fmt.estimate(cell.value, cell.low, cell.high))


def _bar(cell: Cell, highest_rps: float) -> Text | Bar:
    if not cell.usable or cell.value is None:
        return Text()
    return Bar(highest_rps or 1.0, 0, cell.value, width=_BAR_COLUMNS)


def _duration(cell: Cell) -> str:
    return fmt.duration(cell.value) if cell.usable else fmt.NONE


def _shown(text: str) -> Text:
    return Text(text)


def _name(facet: Facet, cell: Cell) -> str:
    coarse, fine = facet.label(cell.case)
    return f"{coarse} × {cell.case.workers}" if fine and cell.case.workers else f"{coarse} {fine}".strip()


def _against(verdict: Verdict | None) -> Text:
    """Ratio and word; the word alone where there is no ratio."""
    if verdict is None:
        return Text()
    ratio = f"{fmt.ratio(verdict.ratio)} " if verdict.ratio is not None else ""
    return Text.assemble(ratio, (verdict.verdict, VERDICT_STYLES[verdict.verdict]))


def _verdict(verdict: Verdict) -> Text:
    return Text(f"{ICONS[verdict.verdict]} {verdict.verdict}", style=VERDICT_STYLES[verdict.verdict])


def _text(text: str, style: str = "") -> Text:
    # Text, not markup: `[red]` in somebody's path is part of the path.
    return Text(fmt.clean(text), style=style)
