"""advice.html: each change with its chart, its diff, and what was tried in vain."""

from collections.abc import Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape

from loopwise.advise.decide import MARGIN
from loopwise.advise.rows import AdviceRow
from loopwise.advise.sides import Line, beside
from loopwise.advise.words import gain_words, tried_words, why
from loopwise.model import Verdict
from loopwise.report.charts.forest import EXPLANATION, ForestGroup, ForestPanel, ForestRow
from loopwise.report.charts.kit.frame import single
from loopwise.report.charts.kit.style import figure_style
from loopwise.report.charts.kit.svg import inline, svg_of
from loopwise.report.html import page
from loopwise.report.words import metric_direction
from loopwise.results.folder import ADVICE_PAGE
from loopwise.visible import clean, visible

KINDS = {"edit": "an edit", "mode": "a mode of the endpoint", "setting": "a setting of the server"}


def write_page(folder: Path, rows: Sequence[AdviceRow], *, app: str, canary: str | None, command: str) -> Path:
    """Write advice.html.

    Args:
        folder: of the result.
        rows: of advice.json.
        app: `shop.main:app`.
        canary: its path.
        command: the command line that measured it.
    """
    return page.write(render(rows, app=app, canary=canary, command=command), folder / ADVICE_PAGE)


def render(rows: Sequence[AdviceRow], *, app: str, canary: str | None, command: str) -> str:
    """The page as text; arguments as of `write_page`."""
    groups = [list(group) for _, group in groupby(rows, key=lambda row: row.endpoint)]
    tried = [group for group in groups if group[0].outcome in {"advised", "tried", "failed"}]
    articles = [_article(number, group, canary) for number, group in enumerate(tried, start=1)]
    contents = {
        "app": app,
        "canary": canary,
        "command": command,
        "advised": [each for each in articles if each["is_advised"]],
        "vain": [each for each in articles if not each["is_advised"]],
        "left": [(row.endpoint, row.reason) for row in rows if row.outcome == "left"],
        "untried": [(row.endpoint, why(row)) for row in rows if row.outcome == "untried"],
        "explanation": EXPLANATION,
    }
    return page.render("advice.html.j2", contents, title=f"Advice for {app}", styles=["advice.css"])


def _article(number: int, group: Sequence[AdviceRow], canary: str | None) -> dict[str, Any]:
    """Variables of an endpoint's part in advice.html.j2."""
    first = group[0]
    is_advised = first.outcome == "advised"
    others = group[1:] if is_advised else group
    return {
        "id": f"advice-{number}",
        "endpoint": first.endpoint,
        "cause": first.cause,
        "is_advised": is_advised,
        "change": first.change,
        "kind": KINDS.get(first.kind, ""),
        "verdict": first.verdict,
        "gain": gain_words(first, canary) if is_advised else "",
        "rounds": first.rounds,
        "where": first.where,
        "chart": _chart(f"advice-{number}-", first.endpoint, group),
        "lines": [_shown(line) for line in beside(first.diff)] if is_advised else [],
        "tried": [(row.change, tried_words(row), row.rounds) for row in others if row.ratio is not None],
        "failed": [(row.change, row.tried_and_failed or row.reason) for row in others if row.ratio is None],
    }


def _shown(line: Line) -> dict[str, Any]:
    """A line of a diff, whose indentation stays."""
    sides = {name: escape(visible(text.expandtabs())) for name, text in (("old", line.old), ("new", line.new))}
    return {**asdict(line), **sides}


def _chart(prefix: str, endpoint: str, group: Sequence[AdviceRow]) -> Markup | None:
    """The ratios of all changes of an endpoint; None where there is no ratio."""
    measured = [row for row in group if row.ratio is not None]
    if not measured:
        return None
    groups = tuple(
        ForestGroup(metric_direction(metric), tuple(_row(row) for row in measured if row.metric == metric))
        for metric in dict.fromkeys(row.metric for row in measured)
    )
    panel = ForestPanel(clean(endpoint), "changed ÷ as written", groups, MARGIN)
    with figure_style():
        drawn = svg_of(single(panel.height_in, panel.draw), endpoint)
    return Markup(inline(drawn, prefix, panel.describe()))


def _row(row: AdviceRow) -> ForestRow:
    verdict = Verdict(
        baseline_case="as written",
        candidate_case=row.change,
        metric=row.metric,
        pairing="slices",
        replicates=row.rounds,
        ratio=row.ratio,
        ci_low=row.ci_low,
        ci_high=row.ci_high,
        verdict=row.verdict,
        reason=row.reason,
    )
    return ForestRow(clean(row.change), verdict)
