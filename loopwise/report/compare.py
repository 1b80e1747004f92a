"""Two results side by side: a table for the terminal, and a chart of ratios with the margin band."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from loopwise.model import Verdict
from loopwise.report import format as fmt
from loopwise.report.page_data import metric_name
from loopwise.report.style import look, mode_style
from loopwise.report.terminal import VERDICT_STYLES
from loopwise.summary import Summary

ROW_HEIGHT_IN = 0.28
MARKS = {"better": "o", "worse": "s", "same": "D", "undecided": "|", "invalid": "x"}
"""A shape per verdict, so that colour is never alone in saying it."""


def compare_table(
    base: str, other: str, verdicts: Sequence[Verdict], different: Sequence[tuple[str, Any, Any]]
) -> RenderableType:
    """Every shared case and metric: other ÷ base with its interval and verdict; first what else differs."""
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


def write_overlay(before: Summary, after: Summary, verdicts: Sequence[Verdict], folder: Path) -> list[Path]:
    """Write a chart per metric, SVG and PNG; returns the files."""
    folder.mkdir(parents=True, exist_ok=True)
    names = (before.experiment.name, after.experiment.name)
    margin = before.experiment.suite.compare.margin
    written = []
    for metric in dict.fromkeys(verdict.metric for verdict in verdicts):
        rows = [verdict for verdict in verdicts if verdict.metric == metric]
        modes = {case.case_id: case.mode for case in before.experiment.suite.cases}
        with look():
            figure = draw_ratios(rows, modes, names, margin)
            for suffix in ("svg", "png"):
                path = folder / f"compare-{metric}-{names[1]}.{suffix}"
                figure.savefig(path, dpi=150)
                written.append(path)
    return written


def draw_ratios(
    verdicts: Sequence[Verdict], modes: dict[str, str], names: tuple[str, str], margin: float
) -> Figure:
    """The ratio of each case with its interval, against the band in which differences do not matter."""
    figure = Figure(figsize=(9.0, 1.6 + ROW_HEIGHT_IN * len(verdicts)), layout="constrained")
    axes = figure.add_subplot()
    axes.axvspan(1 / (1 + margin), 1 + margin, color="#999999", alpha=0.2, lw=0)
    axes.axvline(1.0, color="#555555", lw=0.8)
    for row, verdict in enumerate(verdicts):
        if verdict.ratio is None:
            axes.text(1.0, row, "invalid", va="center", ha="center", fontsize="small", style="italic")
            continue
        colour = mode_style(modes[verdict.candidate_case]).colour
        if verdict.ci_low is not None and verdict.ci_high is not None:
            axes.plot([verdict.ci_low, verdict.ci_high], [row, row], color=colour, lw=1.6)
        axes.plot([verdict.ratio], [row], MARKS[verdict.verdict], color=colour, ms=6)
        label = f"{fmt.ratio(verdict.ratio)} {verdict.verdict}"
        axes.annotate(
            label,
            (1.01, row),
            xycoords=("axes fraction", "data"),
            va="center",
            fontsize="small",
            annotation_clip=False,
        )
    axes.set_yticks(range(len(verdicts)), [fmt.clean(verdict.candidate_case) for verdict in verdicts])
    axes.set_ylim(len(verdicts) - 0.5, -0.5)
    axes.set_xlabel(f"{verdicts[0].metric}: {names[1]} ÷ {names[0]}; the band is ±{margin:.0%}")
    return figure
