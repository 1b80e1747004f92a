"""The answer in a terminal: legible at 80 columns, without colour, and in a log file."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from loopwise.analysis.causes import first_causes
from loopwise.analysis.summary import Summary
from loopwise.model import Verdict
from loopwise.report import format as fmt
from loopwise.report.cells import Cells, Facet
from loopwise.report.terminal.console import say
from loopwise.report.terminal.table import (
    VERDICT_STYLES,
    Surroundings,
    case_name,
    facet_table,
    plain,
)
from loopwise.report.words import (
    ICONS,
    far_off,
    flagged,
    metric_name,
    short_causes,
    verdicts_by_candidate,
)

__all__ = ["VERDICT_STYLES", "Answer", "answer_table", "print_tidily", "verdict_table"]


@dataclass(frozen=True)
class Answer:
    """The answers, then a table per group of cases that are compared, then what the intervals stand for."""

    summary: Summary

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> RenderResult:
        """Lay it out for the width that there is."""
        summary, cells = self.summary, Cells(self.summary)
        around = Surroundings(
            verdicts=verdicts_by_candidate(summary.verdicts, "throughput_rps"),
            causes=short_causes(summary.runs),
            width=options.max_width,
            is_ascii=options.ascii_only,
        )
        for answer in summary.answers:
            yield Padding(plain(answer, "bold"), (0, 0, 1, 0))
        for facet in cells.facets:
            yield _facet(cells, facet, around)
        yield plain(cells.interval_note, "dim")


def answer_table(summary: Summary) -> RenderableType:
    """The answer, laid out when it is printed."""
    return Answer(summary)


def print_tidily(console: Console, renderable: RenderableType) -> None:
    """Print; where no terminal shows it, without the blanks that fill its lines up to the width."""
    if console.is_terminal:
        console.print(renderable)
        return
    with console.capture() as captured:
        console.print(renderable)
    text = "\n".join(line.rstrip() for line in captured.get().splitlines())
    say(console, text)


def verdict_table(verdicts: Sequence[Verdict]) -> RenderableType:
    """Every comparison: the verdict, its ratio with interval, and the sentence."""
    if not verdicts:
        return plain("Nothing to compare: no case differs from another in the baseline's factors only.")
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("verdict", no_wrap=True)
    table.add_column("ratio", no_wrap=True)
    table.add_column("of", no_wrap=True)
    table.add_column("in words", overflow="fold")
    for verdict in verdicts:
        table.add_row(
            Text(f"{ICONS[verdict.verdict]} {verdict.verdict}", style=VERDICT_STYLES[verdict.verdict]),
            fmt.ratio(verdict.ratio, verdict.ci_low, verdict.ci_high),
            plain(metric_name(verdict.metric)),
            plain(verdict.reason),
        )
    return table


def _together(said: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """What is said -> the names of all cases of which it is: nothing is said twice. From pairs of name and text."""
    found: dict[str, list[str]] = {}
    for name, text in said:
        found.setdefault(fmt.clean(text), []).append(name)
    return found


def _listed(names: Sequence[str]) -> str:
    """`sync`, `sync and async`, `sync, async and blocking`."""
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _are(names: Sequence[str]) -> str:
    return f"{_listed(names)} {'is' if len(names) == 1 else 'are'}"


def _facet(cells: Cells, facet: Facet, around: Surroundings) -> RenderableType:
    """A heading, the table of its cases, and a sentence for each that is invalid, marked, or has a cause."""
    row = cells.row(facet.cases, "throughput_rps")
    names = {cell.case.case_id: case_name(facet, cell) for cell in row}
    invalid = _together((names[cell.case.case_id], cell.invalid) for cell in row if cell.invalid is not None)
    marked, found = flagged(cells.summary.runs), first_causes(cells.summary.runs)
    causes = _together((name, found[key]) for key, name in names.items() if key in found)
    marks = _together((name, ", ".join(marked[key])) for key, name in names.items() if key in marked)
    notes = [
        *(Text.assemble((f"{_are(who)} invalid: ", "red"), reason) for reason, who in invalid.items()),
        *(plain(f"{_listed(who)}: {evidence}", "dim") for evidence, who in causes.items()),
        *(plain(said) for said in far_off(cells.summary, names).values()),
        *(plain(f"{_are(who)} marked by a check: {checks}", "yellow") for checks, who in marks.items()),
    ]
    title = Text.assemble((facet.heading, "bold"), "  ", (facet.context, "dim"))
    return Padding(Group(title, "", facet_table(cells, facet, around), *notes), (0, 0, 1, 0))
