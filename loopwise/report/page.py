"""The report's page: the answer, then the figures and their evidence, down to every case."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from loopwise.report import page_data, skeleton
from loopwise.report.charts import ChartFile
from loopwise.report.format import NONE
from loopwise.report.rows import Cells
from loopwise.report.svg import inline
from loopwise.summary import Summary


def render_page(summary: Summary, chart_files: Sequence[ChartFile]) -> str:
    """The page as text."""
    contents = _contents(summary, chart_files)
    return skeleton.render(
        "report.html.j2",
        contents,
        title=summary.experiment.suite.name,
        sections=_sections(contents),
        styles=["report.css"],
    )


def write_page(summary: Summary, chart_files: Sequence[ChartFile], path: Path) -> Path:
    """Writes the page."""
    return skeleton.write(render_page(summary, chart_files), path)


def _sections(contents: dict[str, Any]) -> list[tuple[str, str]]:
    offered = [
        ("answers", "Answer", True),
        ("charts", "Charts", contents["charts"]),
        ("verdicts", "Verdicts", contents["verdicts"]),
        ("cases", "Cases", True),
        ("trouble", "Problems", contents["trouble"]),
        ("method", "Method", True),
    ]
    return [(id_, label) for id_, label, is_there in offered if is_there]


def _contents(summary: Summary, chart_files: Sequence[ChartFile]) -> dict[str, Any]:
    experiment = summary.experiment
    return {
        "experiment": experiment,
        "suite": experiment.suite,
        "status": page_data.status_counts(summary),
        "interval_note": Cells(summary).interval_note,
        "answers": summary.answers,
        "charts": [_chart(chart) for chart in chart_files],
        "verdicts": page_data.verdict_rows(summary),
        "groups": page_data.case_groups(summary),
        "trouble": page_data.trouble(summary),
        "facts": page_data.facts(summary),
        "environment": page_data.environment(experiment),
        "checks": page_data.check_rows(summary.duel or summary.runs),
        "is_duel": bool(summary.duel),
        "command": page_data.repeat_command(experiment),
        "stamps": sorted({str(run.generator["stamp"]) for run in summary.runs if run.generator.get("stamp")}),
        "none": NONE,
    }


def _chart(chart: ChartFile) -> dict[str, Any]:
    panels = [
        Markup(inline(panel.svg, f"{chart.name}-{index}-", panel.alt))
        for index, panel in enumerate(chart.panels)
    ]
    return {"name": chart.name, "title": chart.title, "caption": chart.caption, "panels": panels}
