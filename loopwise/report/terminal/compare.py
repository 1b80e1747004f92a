"""The comparison of two results in a terminal."""

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from loopwise.analysis.gates import Outcome
from loopwise.report import format as fmt
from loopwise.report.terminal.answer import VERDICT_STYLES
from loopwise.report.terminal.screen import plain
from loopwise.report.words import compared
from loopwise.visible import clean


def compare_table(outcome: Outcome) -> RenderableType:
    """A line per shared case and metric: other ÷ base with its interval and verdict; other differences come first."""
    base, other = outcome.base, outcome.other
    notes = [
        plain(f"differs: {key}: {before} in {base}, {after} in {other}", style="yellow")
        for key, before, after in outcome.different
    ]
    table = Table(title=clean(f"{other} ÷ {base}"), box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False)
    table.add_column("case, and what is compared", overflow="fold")
    table.add_column("ratio", justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    case_id = ""
    for verdict in outcome.verdicts:
        if verdict.candidate_case != case_id:
            case_id = verdict.candidate_case
            table.add_row(plain(outcome.names.get(case_id, case_id), "bold"), "", "")
        table.add_row(
            Text(f"  {clean(compared(verdict))}"),
            fmt.ratio(verdict.ratio, verdict.ci_low, verdict.ci_high),
            Text(verdict.verdict, style=VERDICT_STYLES[verdict.verdict]),
        )
    return Group(*notes, table)
