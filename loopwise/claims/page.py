"""The findings of a run of the claims as documents: claims.html, and Markdown such as docs/claims.md."""

import ast
from collections import Counter
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from markupsafe import Markup, escape

from loopwise.claims import charts
from loopwise.claims.archive import PAGE, ClaimFolder, folders_in
from loopwise.claims.claim import Claim
from loopwise.claims.finding import Finding, Word
from loopwise.claims.panels import Panel
from loopwise.claims.table import CLAIMS
from loopwise.paths import target_app_dir
from loopwise.report.charts.kit.svg import inline
from loopwise.report.export.markdown import MAX_SENTENCE
from loopwise.report.export.markdown import escape as in_markdown
from loopwise.report.html import page
from loopwise.visible import clean

ICONS: dict[Word, str] = {"confirmed": "✓", "refuted": "✗", "depends": "±", "undecided": "?", "invalid": "!"}
"""Mark beside the word of a verdict, which colour alone never conveys."""


class Entry(NamedTuple):
    """A claim of the page."""

    claim: Claim
    finding: Finding
    place: ClaimFolder
    panel: Panel | None


def entries(folder: Path) -> list[Entry]:
    """All claims of a run that have a finding, in their order.

    Raises:
        ResultError: there is none.
    """
    listed = []
    for place in folders_in(folder, CLAIMS):
        claim, finding = CLAIMS[place.claim_id], place.finding()
        if finding is not None:
            panel = claim.panel(place.summary(), finding) if place.is_measured else None
            listed.append(Entry(claim, finding, place, panel))
    return listed


def write_page(folder: Path) -> Path:
    """Write claims.html of a run."""
    return page.write(_html(entries(folder)), folder / PAGE)


def source_of(name: str) -> str:
    """A lesson's route with its decorators, read as text from target_app/lessons and never imported.

    Args:
        name: of its function: `c01_wrong`.

    Raises:
        KeyError: no module of the lessons has it.
    """
    return _routes()[name]


@cache
def _routes() -> dict[str, str]:
    sources = {}
    for path in sorted((target_app_dir() / "target_app" / "lessons").glob("*.py")):
        text = path.read_text(encoding="utf-8")
        lines = text.splitlines()
        for node in ast.parse(text).body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.decorator_list:
                start = min(each.lineno for each in node.decorator_list)
                sources[node.name] = "\n".join(lines[start - 1 : node.end_lineno])
    return sources


def _first_measured(listed: Sequence[Entry]) -> Finding:
    """The finding whose date and machine stand for all of a run's."""
    return next((each.finding for each in listed if each.finding.measured_at), listed[0].finding)


def _codes(claim: Claim) -> list[tuple[str, str]]:
    return [("Wrong", source_of(claim.wrong)), ("Right", source_of(claim.right))]


def _html(listed: Sequence[Entry]) -> str:
    counts = Counter(each.finding.verdict for each in listed)
    measured = _first_measured(listed)
    contents = {
        "claims": [_article(each) for each in listed],
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


def _article(entry: Entry) -> dict[str, Any]:
    """Variables of a claim's section in claims.html.j2."""
    claim, finding, place, panel = entry
    chart = caption = None
    if panel is not None:
        drawn = charts.svg(panel, claim.statement)
        chart = Markup(inline(drawn, f"{claim.claim_id}-", charts.describe(panel)))
        caption = charts.explain(panel)
    return {
        "text": claim,
        "finding": finding,
        "icon": ICONS[finding.verdict],
        "chart": chart,
        "caption": caption or "",
        "crossover": str(finding.crossover or ""),
        "lesson": str(finding.lesson or ""),
        # Escaped here, since other texts of a page are put on one line.
        "code": [(heading, escape(source)) for heading, source in _codes(claim)],
        "report": f"{place.claim_id}/report.html" if (place.path / "report.html").is_file() else "",
    }


def markdown(folder: Path) -> str:
    """The findings of a run as a Markdown document.

    Raises:
        ResultError: it has none.
    """
    listed = entries(folder)
    first = _first_measured(listed)
    lines = [
        "# Claims",
        "",
        "What is taught about `def` and `async def` in FastAPI, measured. This page is made by "
        "`python bench.py claims report --markdown docs/claims.md`; make your own with "
        "`python bench.py claims run --all`. How a verdict comes about: [method](method.md).",
        "",
        f"Measured on {in_markdown(first.measured_at[:10])}, on {in_markdown(first.machine)}.",
        "",
        "| claim | what is said | verdict |",
        "|---|---|---|",
    ]
    for claim, finding, _, _ in listed:
        statement = claim.statement.replace("|", "\\|")
        lines.append(f"| [{claim.claim_id}](#{_anchor(_heading(claim))}) | {statement} | {finding.label} |")
    for claim, finding, _, _ in listed:
        lines += ["", *_section(claim, finding)]
    return "\n".join(lines) + "\n"


def _section(claim: Claim, finding: Finding) -> list[str]:
    facts = [
        ("Where it begins", in_markdown(str(finding.crossover or ""), MAX_SENTENCE)),
        ("Cause, by telemetry", in_markdown(finding.cause, MAX_SENTENCE)),
        ("What is true", clean(claim.truth)),
        ("Why it is believed", clean(claim.belief)),
        ("The experiment", clean(claim.experiment)),
        ("What arithmetic says", clean(claim.prediction)),
        ("In your own code", clean(claim.advice)),
    ]
    lesson = in_markdown(str(finding.lesson or ""), MAX_SENTENCE)
    lines = [
        f"## {_heading(claim)}",
        "",
        f"**{finding.label.capitalize()}**: {in_markdown(finding.sentence, MAX_SENTENCE)}.",
        "",
        *(f"- {name}: {text}" for name, text in facts if text),
        "",
        f"Suite: `scenarios/claims/{claim.claim_id.lower()}.toml`. {lesson}".rstrip(),
    ]
    for heading, source in _codes(claim):
        lines += ["", f"{heading}:", "", "```python", source, "```"]
    return lines


def _heading(claim: Claim) -> str:
    return f"{claim.claim_id}: {claim.statement.rstrip('.')}"


def _anchor(heading: str) -> str:
    """The heading's anchor, as GitHub makes it."""
    return "".join(char for char in heading.lower() if char.isalnum() or char in "-_ ").replace(" ", "-")
