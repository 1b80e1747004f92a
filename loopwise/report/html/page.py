"""The report's page: the answer, then the figures and their evidence, down to every case."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from loopwise.analysis.summary import Summary
from loopwise.report import words as page_data
from loopwise.report.cells import Cells
from loopwise.report.charts.kit.chart import ChartFile
from loopwise.report.html import explorer as page_explorer
from loopwise.report.html import facts as page_facts
from loopwise.report.html import skeleton
from loopwise.report.html import table as page_table
from loopwise.report.html.cases import PERCENTILES, case_sections
from loopwise.suite.to_toml import repeat_command

SCRIPTS = ("sift.js", "cases.js", "explorer_chart.js", "explorer.js")
CHARTS_BYTES_MOST = 1_200_000
"""Of charts inside the page; what comes after is linked. A page of a hundred cases stays below 3 MB with them."""


def render_page(summary: Summary, chart_files: Sequence[ChartFile]) -> str:
    """The page as text."""
    contents = _contents(summary, chart_files)
    return skeleton.render(
        "report.html.j2",
        contents,
        title=summary.experiment.suite.name,
        sections=_sections(contents),
        styles=["report.css", "sift.css"],
        scripts=SCRIPTS,
        allowed=[page_explorer.library()],
    )


def write_page(summary: Summary, chart_files: Sequence[ChartFile], path: Path) -> Path:
    """Writes the page."""
    return skeleton.write(render_page(summary, chart_files), path)


def _sections(contents: dict[str, Any]) -> list[tuple[str, str]]:
    offered = [
        ("answers", "Answer", True),
        ("charts", "Charts", contents["charts"] or contents["charts_beside"]),
        ("explore", "Explore", True),
        ("verdicts", "Verdicts", contents["verdicts"]),
        ("cases", "Cases", True),
        ("trouble", "Problems", contents["trouble"]),
        ("method", "Method", True),
    ]
    return [(id_, label) for id_, label, is_there in offered if is_there]


def _contents(summary: Summary, chart_files: Sequence[ChartFile]) -> dict[str, Any]:
    experiment = summary.experiment
    charts, beside = _charts(chart_files)
    return {
        "experiment": experiment,
        "suite": experiment.suite,
        "status": page_facts.status_counts(summary),
        "interval_note": Cells(summary).interval_note,
        "answers": summary.answers,
        "charts": charts,
        "charts_beside": beside,
        **_verdicts(summary),
        **_cases(summary),
        "trouble": page_data.trouble(summary),
        "facts": page_facts.facts(summary),
        "environment": page_facts.environment(experiment),
        "checks": page_facts.check_rows(summary.duel or summary.runs),
        "is_duel": bool(summary.duel),
        "command": repeat_command(experiment),
        "stamps": sorted({run.generator.stamp for run in summary.runs if run.generator.stamp}),
        "explorer": skeleton.data(page_explorer.explorer_data(summary)),
        "library": Markup(page_explorer.packed_library()),
    }


def _cases(summary: Summary) -> dict[str, Any]:
    groups = page_table.case_groups(summary)
    rows = [row for group in groups for row in group.rows]
    return {
        "groups": groups,
        "filters": page_table.filters(groups),
        "has_verdicts": any(row.verdict for row in rows),
        "has_causes": any(row.cause_name for row in rows),
        "sections_of_cases": case_sections(summary, rows),
        "percentiles": list(PERCENTILES),
    }


def _verdicts(summary: Summary) -> dict[str, Any]:
    """Of a duel all; else those on throughput, since each case's section has all of its own."""
    rows = page_data.verdict_rows(summary)
    shown = [
        row
        for row, verdict in zip(rows, summary.verdicts, strict=True)
        if summary.duel or verdict.metric == "throughput_rps"
    ]
    return {"verdicts": shown, "more_verdicts": len(shown) < len(rows)}


def _charts(chart_files: Sequence[ChartFile]) -> tuple[list[dict[str, Any]], list[ChartFile]]:
    """Charts to show in the page, as far as there is room, and those to link."""
    shown: list[dict[str, Any]] = []
    beside: list[ChartFile] = []
    left_bytes = CHARTS_BYTES_MOST
    for chart in chart_files:
        drawn = _chart(chart)
        size_bytes = sum(len(panel.encode()) for panel in drawn["panels"])
        if size_bytes > left_bytes:
            beside.append(chart)
            continue
        left_bytes -= size_bytes
        shown.append(drawn)
    return shown, beside


def _chart(chart: ChartFile) -> dict[str, Any]:
    panels = [panel.element(f"{chart.name}-{index}-") for index, panel in enumerate(chart.panels)]
    return {"name": chart.name, "title": chart.title, "caption": chart.caption, "panels": panels}
