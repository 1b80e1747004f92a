"""The table of cases in a terminal: which columns a width has room for, and what stands in them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich import box
from rich.table import Table
from rich.text import Text

from loopwise.model import Verdict
from loopwise.report import format as fmt
from loopwise.report.cells import Cell, Cells, Facet, bar_ratios

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
NARROW_BAR, WIDE_BAR = 5, 16
"""Characters of the longest bar."""
NAME_COLUMNS, LEAST_NAME_COLUMNS = 28, 10
"""Room that a name gets before a column is left out for it; and before one is that matters."""
_AGAINST, _P50, _BAR, _BOUND, _CPU, _CAUSE = range(1, 7)
"""How expendable columns are."""
_MATTERS = _P50
"""Columns up to this one are left out only where names are as narrow as they can be."""
_EIGHTHS = " ▏▎▍▌▋▊▉"


@dataclass(frozen=True)
class Surroundings:
    """What a table needs besides the figures of its cases."""

    verdicts: Mapping[str, Verdict]
    """On throughput, by the candidate's case_id."""
    causes: Mapping[str, str]
    """By case_id: `thread pool full`."""
    width: int
    """Characters that there are."""
    is_ascii: bool = False
    """Whether the terminal can show nothing else."""


@dataclass(frozen=True)
class _Column:
    heading: str
    cells: Sequence[Text]
    expendable: int = 0
    """0: always shown; else the higher, the sooner it is left out."""
    is_name: bool = False
    is_right: bool = True

    @property
    def width(self) -> int:
        return max([len(self.heading), *(each.cell_len for each in self.cells)])


def facet_table(cells: Cells, facet: Facet, around: Surroundings) -> Table:
    """A row per case; as wide as there is room, never wider."""
    wide = _columns(cells, facet, around, is_wide=True)
    if _width([column.width for column in wide]) <= around.width:
        return _table(wide, around.width)
    return _table(_fitting(_columns(cells, facet, around, is_wide=False), around.width), around.width)


def case_name(facet: Facet, cell: Cell) -> str:
    """What tells a case from the others of its table: `async × 2`."""
    coarse, fine = facet.label(cell.case)
    return f"{coarse} × {cell.case.workers}" if fine and cell.case.workers else f"{coarse} {fine}".strip()


def bar(ratio: float, width: int, *, is_ascii: bool = False) -> str:
    """A bar of `ratio` (0–1) of the width, in eighths of a character."""
    if is_ascii:
        return "#" * round(ratio * width)
    eighths = round(ratio * width * 8)
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def against(verdict: Verdict | None, *, is_wide: bool = False) -> Text:
    """Ratio and word; the word alone where there is no ratio. Wide: with the interval."""
    if verdict is None:
        return Text()
    ends = (verdict.ci_low, verdict.ci_high) if is_wide else (None, None)
    ratio = f"{fmt.ratio(verdict.ratio, *ends)} " if verdict.ratio is not None else ""
    return Text.assemble(ratio, (verdict.verdict, VERDICT_STYLES[verdict.verdict]))


def plain(text: str, style: str = "") -> Text:
    """Text, not markup: `[red]` in somebody's path is part of the path."""
    return Text(fmt.clean(text), style=style)


def _columns(cells: Cells, facet: Facet, around: Surroundings, *, is_wide: bool) -> list[_Column]:
    row = cells.row(facet.cases, "throughput_rps")
    split = any(facet.label(case)[1] and case.workers for case in facet.cases)
    names = [plain(case_name(facet, cell), MODE_COLOURS.get(cell.case.mode, "")) for cell in row]
    p50, p99, cpu = (
        cells.row(facet.cases, name)
        for name in ("service_time_p50_ms", "service_time_p99_ms", "cpu_ms_per_request")
    )
    columns = [
        _Column("mode × workers" if split else "case", names, is_name=True, is_right=False),
        _Column("requests/s", [_throughput(cell) for cell in row]),
        _Column("", _bars(row, around, WIDE_BAR if is_wide else NARROW_BAR), _BAR, is_right=False),
    ]
    if any(cell.predicted_ratio for cell in row):
        columns.append(_Column("÷bound", [Text(fmt.number(cell.predicted_ratio)) for cell in row], _BOUND))
    columns.append(_Column("p50", [_duration(cell) for cell in p50], _P50))
    columns.append(_Column("p99", [_duration(cell) for cell in p99]))
    if any(cell.usable for cell in cpu):
        columns.append(_Column("CPU/req", [_duration(cell) for cell in cpu], _CPU))
    found = [around.verdicts.get(cell.case.case_id) if cell.usable else None for cell in row]
    if any(found):
        said = [against(verdict, is_wide=is_wide) for verdict in found]
        columns.append(_Column("vs baseline", said, _AGAINST, is_right=False))
    causes = [plain(around.causes.get(cell.case.case_id, "") if cell.usable else "", "dim") for cell in row]
    if any(causes):
        columns.append(_Column("cause", causes, _CAUSE, is_right=False))
    return columns


def _fitting(columns: list[_Column], width: int) -> list[_Column]:
    """The columns that there is room for, the most expendable left out first; a long name breaks."""
    kept = list(columns)
    while (worst := max(kept, key=lambda each: each.expendable)).expendable:
        room = NAME_COLUMNS if worst.expendable > _MATTERS else LEAST_NAME_COLUMNS
        widths = [min(each.width, room) if each.is_name else each.width for each in kept]
        if _width(widths) <= width:
            break
        kept.remove(worst)
    return kept


def _width(widths: Sequence[int]) -> int:
    # The box puts a space between columns.
    return sum(widths) + len(widths) - 1


def _table(columns: Sequence[_Column], width: int) -> Table:
    fits = _width([column.width for column in columns]) <= width
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


def _bars(row: Sequence[Cell], around: Surroundings, width: int) -> list[Text]:
    return [
        Text(bar(ratio, width, is_ascii=around.is_ascii), style=MODE_COLOURS.get(cell.case.mode, ""))
        for cell, ratio in zip(row, bar_ratios(row), strict=True)
    ]


def _throughput(cell: Cell) -> Text:
    if not cell.usable or cell.value is None:
        return plain("invalid" if cell.invalid else fmt.NONE, "red")
    return plain(fmt.estimate(cell.value, cell.low, cell.high))


def _duration(cell: Cell) -> Text:
    return Text(fmt.duration(cell.value) if cell.usable else fmt.NONE)
