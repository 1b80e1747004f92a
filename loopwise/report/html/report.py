"""report.html: the answer, then the figures and their evidence, down to every case."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from loopwise.analysis.summary import Summary
from loopwise.report.cells import Cells
from loopwise.report.charts import choice
from loopwise.report.charts.kit.chart import ChartFile
from loopwise.report.errors import SHOWN, error_lines
from loopwise.report.html import cards, cases, explorer, facts, page
from loopwise.report.words import ICONS, busy_words, trouble, verdict_rows
from loopwise.results.folder import ADVICE_PAGE
from loopwise.suite.to_toml import repeat_command

SCRIPTS = ("sift.js", "folds.js", "explorer_chart.js", "explorer.js")
LONG_TABLE = 12
"""Lines of a table or list from which on it is folded."""
CHARTS_BYTES_MOST = 1_200_000
"""Of charts inside the page; later ones are linked. A page of a hundred cases stays below 3 MB with them."""


def render_report(summary: Summary, chart_files: Sequence[ChartFile], *, advice: str = "") -> str:
    """The page as text. `advice`: a link to the page of advice; empty: there is none."""
    contents = {
        "advice": advice,
        **_overview(summary),
        **_charts(summary, chart_files),
        **_verdicts(summary),
        **_cases(summary),
        **_method(summary),
        "explorer": page.data(explorer.explorer_data(summary)),
        "library": Markup(explorer.packed_library()),
    }
    return page.render(
        "report.html.j2",
        contents,
        title=summary.experiment.suite.name,
        styles=["report.css", "sift.css"],
        scripts=SCRIPTS,
        allowed=[explorer.library()],
    )


def write_report(summary: Summary, chart_files: Sequence[ChartFile], path: Path) -> Path:
    """Write the page."""
    advice = page.link(path.parent / ADVICE_PAGE, path.parent)
    return page.write(render_report(summary, chart_files, advice=advice), path)


def _overview(summary: Summary) -> dict[str, Any]:
    cells = Cells(summary)
    return {
        "experiment": summary.experiment,
        "suite": summary.experiment.suite,
        "is_duel": bool(summary.duel),
        "invalid": sum(cells.why_invalid(case) is not None for case in cells.cases),
        "measurements": len(summary.duel or summary.runs),
        "interval_note": cells.interval_note,
        "log_note": cells.log_note,
        "is_running": all(case.server is None for case in cells.cases),
        "busy": busy_words(summary),
        **_answers(summary),
        "trouble": trouble(summary),
        "long": LONG_TABLE,
    }


def _answers(summary: Summary) -> dict[str, Any]:
    """Cards, the sentences behind them, and those on which there is no card: of scaling, and of a duel."""
    views = cards.card_views(summary, cases.anchors(summary))
    return {
        "cards": views[: cards.SHOWN],
        "more_cards": views[cards.SHOWN :],
        "answers": summary.answers[: len(views)],
        "further_answers": summary.answers[len(views) :],
    }


def _charts(summary: Summary, chart_files: Sequence[ChartFile]) -> dict[str, Any]:
    """Charts that matter, and all others; in the page, as far as there is room, else to link."""
    by_name = {chart.name: chart for chart in chart_files}
    chosen = choice.choose(summary, by_name)
    shown: list[dict[str, Any]] = []
    beside: list[ChartFile] = []
    left_bytes = CHARTS_BYTES_MOST
    for chart in (*(by_name.pop(name) for name in chosen), *by_name.values()):
        drawn = page.inline_chart(chart)
        size_bytes = sum(len(panel.encode()) for panel in drawn["panels"])
        if size_bytes > left_bytes:
            beside.append(chart)
            continue
        left_bytes -= size_bytes
        shown.append(drawn)
    return {
        "charts": [drawn for drawn in shown if drawn["name"] in chosen],
        "more_charts": [drawn for drawn in shown if drawn["name"] not in chosen],
        "charts_beside": beside,
    }


def _verdicts(summary: Summary) -> dict[str, Any]:
    """All verdicts of a duel; else those on throughput, since each case's section has all of its own."""
    rows = verdict_rows(summary)
    shown = [
        row
        for row, verdict in zip(rows, summary.verdicts, strict=True)
        if summary.duel or verdict.metric == "throughput_rps"
    ]
    counts = Counter(row.verdict for row in shown)
    said = [f"{counts[word]} {word}" for word in ICONS if counts[word]]
    return {"verdicts": shown, "more_verdicts": len(shown) < len(rows), "verdict_counts": ", ".join(said)}


def _cases(summary: Summary) -> dict[str, Any]:
    groups = cases.case_groups(summary)
    rows = [row for group in groups for row in group.rows]
    return {
        "groups": groups,
        "columns": cases.COLUMNS,
        "filters": cases.filters(groups),
        "has_verdicts": any(row.verdict for row in rows),
        "has_causes": any(row.cause for row in rows),
        "errors": [(row, line) for row in rows for line in error_lines(summary, row.case, SHOWN)],
        "error_headings": cases.error_heads(),
        "sections_of_cases": cases.case_sections(summary, rows),
        "percentiles": list(cases.PERCENTILES),
    }


def _method(summary: Summary) -> dict[str, Any]:
    stamps = {run.generator.stamp for run in summary.runs if run.generator.stamp}
    return {
        "command": repeat_command(summary.experiment),
        "facts": facts.suite_facts(summary),
        "environment": facts.environment(summary.experiment),
        "checks": facts.check_rows(summary.duel or summary.runs),
        "stamps": stamps,
    }
