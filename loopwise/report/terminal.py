"""The answer in a terminal: legible at 80 columns, without colour, and in a log file."""

from collections.abc import Sequence

from rich import box
from rich.bar import Bar
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from loopwise.model import Verdict
from loopwise.report import format as fmt
from loopwise.report.page_data import ICONS, first_causes, flagged, metric_name, verdicts_by_candidate
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
    highest_rps = max((cell.value or 0.0 for cell in row if cell.usable), default=0.0)
    split = any(facet.label(case)[1] and case.workers for case in facet.cases)
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    # A subject may be long and breaks; everything else keeps its line.
    table.add_column("mode × workers" if split else "case", no_wrap=not facet.by_subject, overflow="fold")
    table.add_column("requests/s", justify="right", no_wrap=True)
    table.add_column("")
    table.add_column("p50", justify="right", no_wrap=True)
    table.add_column("p99", justify="right", no_wrap=True)
    compared = any(case.case_id in verdicts for case in facet.cases)
    if compared:
        table.add_column("vs baseline", no_wrap=True)
    for cell in row:
        table.add_row(*_row(cells, facet, cell, highest_rps, verdicts)[: 6 if compared else 5])
    title = Text.assemble((facet.heading, "bold"), "  ", (facet.context, "dim"))
    voids = [
        Text.assemble((_name(facet, cell), "red"), (" is invalid: ", "red"), fmt.clean(cell.invalid or ""))
        for cell in row
        if cell.invalid is not None
    ]
    marked = flagged(cells.summary.runs)
    marks = [
        _text(f"{_name(facet, cell)} is marked by a check: {', '.join(marked[cell.case.case_id])}", "yellow")
        for cell in row
        if cell.case.case_id in marked
    ]
    found = first_causes(cells.summary.runs)
    causes = [
        _text(f"{_name(facet, cell)}: {found[cell.case.case_id]}", "dim")
        for cell in row
        if cell.case.case_id in found
    ]
    return Padding(Group(title, "", table, *voids, *causes, *marks), (0, 0, 1, 0))


def _row(
    cells: Cells, facet: Facet, cell: Cell, highest_rps: float, verdicts: dict[str, Verdict]
) -> list[RenderableType]:
    name = _text(_name(facet, cell), MODE_COLOURS.get(cell.case.mode, ""))
    verdict = verdicts.get(cell.case.case_id)
    if not cell.usable or cell.value is None:
        return [name, _text("invalid" if cell.invalid else fmt.NONE, "red"), "", fmt.NONE, fmt.NONE, ""]
    latencies = [cells.cell(cell.case, f"service_time_{percentile}_ms") for percentile in ("p50", "p99")]
    return [
        name,
        fmt.estimate(cell.value, cell.low, cell.high),
        Bar(highest_rps or 1.0, 0, cell.value, width=_BAR_COLUMNS),
        *(fmt.duration(latency.value if latency.usable else None) for latency in latencies),
        _against(verdict),
    ]


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
