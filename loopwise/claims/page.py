"""claims.html: the verdicts at a glance, then a section for each claim; one file with everything in it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from markupsafe import Markup, escape

from loopwise.claims import charts
from loopwise.claims.archive import PAGE, ClaimFolder, folders_in
from loopwise.claims.chart_data import Panel, panel_of
from loopwise.claims.claim import Finding, Text, Word
from loopwise.claims.opinion import crossover_words
from loopwise.claims.sources import source_of
from loopwise.claims.tables import lesson_sentence
from loopwise.report.charts.kit.svg import inline
from loopwise.report.html import page

ICONS: dict[Word, str] = {"confirmed": "✓", "refuted": "✗", "depends": "±", "undecided": "?", "invalid": "!"}
"""A verdict is told by its word and its mark, never by colour alone."""


class Entry(NamedTuple):
    """A claim of the page."""

    text: Text
    finding: Finding
    place: ClaimFolder
    panel: Panel | None


def entries(folder: Path, texts: Mapping[str, Text]) -> list[Entry]:
    """All claims of an occasion that have a finding, in their order.

    Raises:
        ResultError: there is none.
    """
    found = []
    for place in folders_in(folder, texts):
        finding = place.finding()
        if finding is not None:
            panel = panel_of(place.summary(), finding) if place.is_measured else None
            found.append(Entry(texts[place.claim_id], finding, place, panel))
    return found


def render(found: list[Entry]) -> str:
    """The page as text."""
    counts = Counter(each.finding.verdict for each in found)
    measured = first_measured(found)
    contents = {
        "claims": [_claim(each) for each in found],
        "counts": [(word, counts[word]) for word in ICONS if counts[word]],
        "machine": measured.machine,
        "measured_at": measured.measured_at,
    }
    return page.render(
        "claims.html.j2",
        contents,
        title="Claims",
        styles=["claims.css"],
    )


def first_measured(found: Sequence[Entry]) -> Finding:
    """The finding whose date and machine stand for all of an occasion's."""
    return next((each.finding for each in found if each.finding.measured_at), found[0].finding)


def write_page(folder: Path, texts: Mapping[str, Text]) -> Path:
    """Write the page of an occasion."""
    return page.write(render(entries(folder, texts)), folder / PAGE)


def _claim(entry: Entry) -> dict[str, Any]:
    text, finding, place, panel = entry
    report = place.path / "report.html"
    return {
        "text": text,
        "finding": finding,
        "icon": ICONS[finding.verdict],
        "chart": _chart(text, panel),
        "caption": charts.explain(panel) if panel else "",
        "crossover": crossover_words(finding.crossover) if finding.crossover else "",
        "lesson": lesson_sentence(finding),
        "code": [(heading, _code(name)) for heading, name in (("Wrong", text.wrong), ("Right", text.right))],
        "report": f"{place.claim_id}/report.html" if report.is_file() else "",
    }


def _code(name: str) -> Markup:
    """The source of a route, escaped here: other texts of a page are put on one line."""
    return escape(source_of(name))


def _chart(text: Text, panel: Panel | None) -> Markup | None:
    if panel is None:
        return None
    drawn = charts.svg(panel, text.statement)
    return Markup(inline(drawn, f"{text.claim_id}-", charts.describe(panel)))
