"""The comparison of two results in a terminal."""

from rich.console import Group, RenderableType
from rich.text import Text

from loopwise.analysis.gates import Outcome
from loopwise.report import format as fmt
from loopwise.report.terminal.answer import VERDICT_STYLES
from loopwise.report.terminal.screen import plain
from loopwise.report.terminal.tables import WordTable
from loopwise.report.words import compared
from loopwise.visible import clean


def compare_table(outcome: Outcome) -> RenderableType:
    """A line per shared case and metric: other ÷ base with its interval and verdict; other differences come first."""
    base, other = outcome.base, outcome.other
    notes = [
        plain(f"differs: {key}: {before} in {base}, {after} in {other}", style="yellow")
        for key, before, after in outcome.different
    ]
    rows: list[tuple[Text | str, ...]] = []
    case_id = ""
    for verdict in outcome.verdicts:
        if verdict.candidate_case != case_id:
            case_id = verdict.candidate_case
            rows.append((plain(outcome.names.get(case_id, case_id), "bold"), "", ""))
        rows.append(
            (
                Text(f"  {clean(compared(verdict))}"),
                fmt.ratio(verdict.ratio, verdict.ci_low, verdict.ci_high),
                Text(verdict.verdict, style=VERDICT_STYLES[verdict.verdict]),
            )
        )
    headings, title = ("case, and what is compared", "ratio", "verdict"), clean(f"{other} ÷ {base}")
    return Group(*notes, WordTable(headings, rows, ("ratio",), title))
