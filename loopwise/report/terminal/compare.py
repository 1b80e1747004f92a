"""The comparison of two results in a terminal."""

from collections.abc import Sequence
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from loopwise.model import Verdict
from loopwise.report import format as fmt
from loopwise.report.terminal.answer import VERDICT_STYLES
from loopwise.report.words import metric_name


def compare_table(
    base: str, other: str, verdicts: Sequence[Verdict], different: Sequence[tuple[str, Any, Any]]
) -> RenderableType:
    """A line per shared case and metric: other ÷ base with its interval and verdict; other differences come first."""
    notes = [
        Text(f"differs: {key}: {before} in {base}, {after} in {other}", style="yellow")
        for key, before, after in different
    ]
    table = Table(title=f"{other} ÷ {base}", box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False)
    table.add_column("case, and what is compared", overflow="fold")
    table.add_column("ratio", justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    case_id = ""
    for verdict in verdicts:
        if verdict.candidate_case != case_id:
            case_id = verdict.candidate_case
            table.add_row(Text(case_id, style="bold"), "", "")
        table.add_row(
            Text(f"  {metric_name(verdict.metric)}"),
            fmt.ratio(verdict.ratio, verdict.ci_low, verdict.ci_high),
            Text(verdict.verdict, style=VERDICT_STYLES[verdict.verdict]),
        )
    return Group(*notes, table)
