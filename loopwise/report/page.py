"""The page: one HTML file with everything in it, that asks nothing of any network."""

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import DictLoader, Environment, StrictUndefined
from markupsafe import Markup

from loopwise.report import page_data
from loopwise.report.charts import ChartFile
from loopwise.report.format import NONE, clean
from loopwise.report.rows import Cells
from loopwise.report.style import MODES
from loopwise.report.svg import inline
from loopwise.summary import Summary

_TEMPLATES = ("report.html.j2", "report.css")


def render_page(summary: Summary, chart_files: Sequence[ChartFile]) -> str:
    """The page as text. Names and reasons are other people's, and stay text whatever they hold."""
    folder = files("loopwise.report") / "templates"
    sources = {name: (folder / name).read_text(encoding="utf-8") for name in _TEMPLATES}
    templates = Environment(
        loader=DictLoader(sources),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_printable,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return templates.get_template("report.html.j2").render(
        _contents(summary, chart_files, sources["report.css"])
    )


def write_page(summary: Summary, chart_files: Sequence[ChartFile], path: Path) -> Path:
    """Writes the page; whoever has the old one open never reads half a new one."""
    beside = path.with_name(f".{path.name}.part")
    beside.write_text(render_page(summary, chart_files), encoding="utf-8")
    beside.replace(path)
    return path


def _contents(summary: Summary, chart_files: Sequence[ChartFile], css: str) -> dict[str, Any]:
    experiment = summary.experiment
    verdicts = page_data.verdict_rows(summary)
    return {
        "css": Markup(css),
        "mode_colours": {mode: looks.colour for mode, looks in MODES.items()},
        "experiment": experiment,
        "suite": experiment.suite,
        "status": page_data.status_counts(summary),
        "interval_note": Cells(summary).interval_note,
        "answers": summary.answers,
        "charts": [_chart(chart) for chart in chart_files],
        "verdicts": verdicts,
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


def _printable(value: Any) -> Any:
    # Markup is ours; text of others may hold characters that break a file or turn the reading order around.
    return clean(value) if isinstance(value, str) and not isinstance(value, Markup) else value
