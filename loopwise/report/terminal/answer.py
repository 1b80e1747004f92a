"""The answers and the tables of cases in a terminal of any width, without colour, and in a log file."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from loopwise.analysis.causes import first_causes
from loopwise.analysis.metrics import CANARY
from loopwise.analysis.summary import Summary
from loopwise.model import Verdict
from loopwise.model.modes import MODES, OWN
from loopwise.report import format as fmt
from loopwise.report.cells import Cell, Cells, Facet, bar_ratios
from loopwise.report.errors import NUMBERS, SHOWN, error_lines, has_several, retries
from loopwise.report.terminal.screen import plain
from loopwise.report.terminal.tables import WordTable
from loopwise.report.words import (
    busy_words,
    canary_lines,
    deadlocked,
    far_off,
    flagged,
    kill_words,
    short_causes,
    verdicts_by_candidate,
)
from loopwise.visible import clean

# The terminal's own palette is readable on its own background. A word always stands beside a colour.
MODE_COLOURS = {
    **dict(zip(MODES, ("blue", "yellow", "red", "green", "magenta"), strict=False)),
    OWN.name: "cyan",
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
"""Room of a name before other columns are left out for it; before one that matters is left out."""
FEW_CASES = 8
"""With more, what is told of each case would push the answer and the tables off the screen."""
MORE = "Causes, remedies, canaries, marks of each case: `report RESULT --details`"
_AGAINST, _P50, _BAR, _BOUND, _CANARY, _CPU, _MEMORY, _CAUSE = range(1, 9)
"""The order in which columns are left out, the last first."""
_MATTERS = _P50
"""Columns up to this one are left out only where names are as narrow as they can be."""
_EIGHTHS = " ▏▎▍▌▋▊▉"


@dataclass(frozen=True)
class Answer:
    """The answers, then a table per group of cases that are compared, then a note about the intervals."""

    summary: Summary
    is_detailed: bool | None = None
    """Whether each case's cause, remedy, canary, prediction and marks are told; None: if there are few cases."""

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> RenderResult:
        """Lay it out for the available width."""
        cells = Cells(self.summary)
        if busy := busy_words(self.summary):
            yield plain(busy, "bold yellow")
        for answer in self.summary.answers:
            yield Padding(plain(answer, "bold"), (0, 0, 1, 0))
        is_detailed = len(cells.cases) <= FEW_CASES if self.is_detailed is None else self.is_detailed
        for facet in cells.facets:
            yield _facet(cells, facet, options.max_width, is_ascii=options.ascii_only, is_detailed=is_detailed)
        more = "" if is_detailed else MORE
        yield from (plain(note, "dim") for note in (more, cells.interval_note, cells.log_note) if note)


def print_tidily(console: Console, renderable: RenderableType) -> None:
    """Print; outside a terminal without the blanks that fill lines up to the width."""
    if console.is_terminal:
        console.print(renderable)
        return
    with console.capture() as captured:
        console.print(renderable)
    tidy = "\n".join(line.rstrip() for line in captured.get().splitlines())
    console.print(tidy, markup=False, highlight=False, soft_wrap=True)


def bar(ratio: float, width: int, *, is_ascii: bool = False) -> str:
    """A bar of `ratio` (0–1) of the width, in eighths of a character."""
    if is_ascii:
        return "#" * round(ratio * width)
    eighths = round(ratio * width * 8)
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def _facet(cells: Cells, facet: Facet, width: int, *, is_ascii: bool, is_detailed: bool) -> RenderableType:
    """A heading, the table of its cases, and sentences about invalid cases; detailed, also about all others."""
    summary, row = cells.summary, cells.row(facet.cases, "throughput_rps")
    names = {cell.case.case_id: _case_name(facet, cell) for cell in row}
    causes, dead = first_causes(summary.runs), deadlocked(summary.runs)
    invalid = {cell.case.case_id: cell.invalid for cell in row if cell.invalid is not None}
    deadlocks = {key: causes[key].evidence for key in invalid if key in dead}
    notes = [
        *_errors(summary, facet, names),
        *(plain(f"{_listed(some)}: {text}", "dim") for text, some in _by_text(retries(summary), names)),
        *(
            Text.assemble((f"{_are(some)} invalid: ", "red"), text)
            for text, some in _by_text({key: why for key, why in invalid.items() if key not in deadlocks}, names)
        ),
        *(Text.assemble((f"{_listed(some)}: ", "red"), text) for text, some in _by_text(deadlocks, names)),
        *(_details(summary, names, deadlocks) if is_detailed else _to_do(summary, names)),
        *(
            plain(f"{_listed(some)}: in production, {text}", "red")
            for text, some in _by_text(kill_words(summary.runs), names)
        ),
    ]
    title = Text.assemble((facet.heading, "bold"), "  ", (facet.context, "dim"))
    columns = _columns(cells, facet, is_wide=True, is_ascii=is_ascii)
    if _width([column.width for column in columns]) > width:
        columns = _fitting(_columns(cells, facet, is_wide=False, is_ascii=is_ascii), width)
    return Padding(Group(title, "", _table(columns, width), *notes), (0, 0, 1, 0))


def _details(summary: Summary, names: Mapping[str, str], deadlocks: Collection[str]) -> Iterator[Text]:
    """Causes of the named cases, remedies, canaries, predictions that were missed, and marks; each text once."""
    causes = first_causes(summary.runs)
    evidence = {key: each.evidence for key, each in causes.items() if key not in deadlocks}
    remedies = {key: each.remedy for key, each in causes.items() if each.remedy}
    for texts in (evidence, remedies):
        yield from (plain(f"{_listed(some)}: {text}", "dim") for text, some in _by_text(texts, names))
    yield from (plain(text, "dim") for text in canary_lines(summary, names))
    yield from (plain(sentence) for sentence in far_off(summary, names).values())
    marks = {key: ", ".join(checks) for key, checks in flagged(summary.runs).items()}
    yield from (plain(f"{_are(some)} marked by a check: {text}", "yellow") for text, some in _by_text(marks, names))


def _to_do(summary: Summary, names: Mapping[str, str]) -> Iterator[Text]:
    """The remedy of what holds the recommended case back."""
    for card in summary.cards:
        if card.case_id in names and card.held and card.held.case_id == card.case_id and card.held.remedy:
            yield plain(f"{names[card.case_id]}: {card.held.remedy}", "dim")


def _errors(summary: Summary, facet: Facet, names: Mapping[str, str]) -> list[RenderableType]:
    """A table of the requests that failed; nothing where none did."""
    lines = {case.case_id: error_lines(summary, case, SHOWN) for case in facet.cases}
    has_endpoints = any(has_several(case) for case in facet.cases if lines[case.case_id])
    headings = ("errors of", *(("endpoint",) if has_endpoints else ()), "error", "requests", "share", "first after")
    rows = []
    for case_id, some in lines.items():
        for number, line in enumerate(some):
            endpoint = (line.endpoint,) if has_endpoints else ()
            cells = ("" if number else names[case_id], *endpoint, line.kind, line.requests, line.share, line.when)
            rows.append([plain(cell) for cell in cells])
    return [Text(), WordTable(headings, rows, NUMBERS), Text()] if rows else []


def _case_name(facet: Facet, cell: Cell) -> str:
    """A case's name within its table: `async × 2`."""
    coarse, fine = facet.label(cell.case)
    return f"{coarse} × {cell.case.workers}" if fine and cell.case.workers else f"{coarse} {fine}".strip()


def _by_text(texts: Mapping[str, str], names: Mapping[str, str]) -> Iterable[tuple[str, list[str]]]:
    """Each text with the names of the cases that share it, so that nothing is printed twice; both are by case_id."""
    sharing: dict[str, list[str]] = {}
    for case_id, name in names.items():
        if case_id in texts:
            sharing.setdefault(clean(texts[case_id]), []).append(name)
    return sharing.items()


def _listed(names: Sequence[str]) -> str:
    """`sync`, `sync and async`, `sync, async and blocking`."""
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _are(names: Sequence[str]) -> str:
    return f"{_listed(names)} {'is' if len(names) == 1 else 'are'}"


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


def _columns(cells: Cells, facet: Facet, *, is_wide: bool, is_ascii: bool) -> list[_Column]:
    row = cells.row(facet.cases, "throughput_rps")
    verdicts = verdicts_by_candidate(cells.summary.verdicts, "throughput_rps")
    causes, dead = short_causes(cells.summary.runs), deadlocked(cells.summary.runs)
    split = any(facet.label(case)[1] and case.workers for case in facet.cases)
    colours = [MODE_COLOURS.get(cell.case.mode, "") for cell in row]
    names = [plain(_case_name(facet, cell), colour) for cell, colour in zip(row, colours, strict=True)]
    p50, p99, cpu = (
        [Text(fmt.duration(cell.value) if cell.usable else fmt.NONE) for cell in cells.row(facet.cases, metric)]
        for metric in ("service_time_p50_ms", "service_time_p99_ms", "cpu_ms_per_request")
    )
    canary = [_canary(cells, cell) for cell in cells.row(facet.cases, CANARY)]
    bars = [
        Text(bar(ratio, WIDE_BAR if is_wide else NARROW_BAR, is_ascii=is_ascii), style=colour)
        for ratio, colour in zip(bar_ratios(row), colours, strict=True)
    ]
    reached = [Text(fmt.number(cell.predicted_ratio)) for cell in row]
    against = [_against(verdicts.get(cell.case.case_id) if cell.usable else None, is_wide=is_wide) for cell in row]
    memory = [Text(f"{fmt.number(cell.value)} MB" if cell.usable else fmt.NONE) for cell in cells.memory(facet.cases)]
    cause = [plain(causes.get(cell.case.case_id, "") if cell.usable else "", "dim") for cell in row]
    columns = [
        _Column("mode × workers" if split else "case", names, is_name=True, is_right=False),
        _Column("requests/s", [_throughput(cell, dead) for cell in row]),
        _Column("", bars, _BAR, is_right=False),
        _Column("÷bound", reached, _BOUND),
        _Column("p50", p50, _P50),
        _Column("p99", p99),
        _Column("canary p99", canary, _CANARY),
        _Column("CPU/req", cpu, _CPU),
        _Column("memory", memory, _MEMORY),
        _Column("vs baseline", against, _AGAINST, is_right=False),
        _Column("cause", cause, _CAUSE, is_right=False),
    ]
    optional = {_CANARY, _BOUND, _CPU, _MEMORY, _AGAINST, _CAUSE}
    return [
        column
        for column in columns
        if column.expendable not in optional or any(each.plain not in {"", fmt.NONE} for each in column.cells)
    ]


def _throughput(cell: Cell, dead: Collection[str]) -> Text:
    if not cell.usable:
        word = "deadlock" if cell.case.case_id in dead else "invalid"
        return plain(word if cell.invalid else fmt.NONE, "red")
    return plain(fmt.estimate(cell.value, cell.low, cell.high))


def _canary(cells: Cells, cell: Cell) -> Text:
    """The canary's p99; nothing where a case has none."""
    if cell.case.load.victim is None or cells.why_invalid(cell.case):
        return Text()
    return Text(fmt.duration(cell.value)) if cell.usable else Text("no answer", style="red")


def _against(verdict: Verdict | None, *, is_wide: bool) -> Text:
    """Ratio and word; the word alone where there is no ratio. Wide: with the interval."""
    if verdict is None:
        return Text()
    ends = (verdict.ci_low, verdict.ci_high) if is_wide else (None, None)
    ratio = f"{fmt.ratio(verdict.ratio, *ends)} " if verdict.ratio is not None else ""
    return Text.assemble(ratio, (verdict.verdict, VERDICT_STYLES[verdict.verdict]))


def _fitting(columns: Sequence[_Column], width: int) -> list[_Column]:
    """The columns that fit, the most expendable left out first; a long name breaks."""
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
