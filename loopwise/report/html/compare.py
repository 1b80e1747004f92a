"""The folder of a comparison: compare.html with its charts, and compare.json for programs."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from loopwise.analysis.gates import Outcome
from loopwise.analysis.wording import count
from loopwise.errors import writing
from loopwise.machine import machine_words
from loopwise.model import SCHEMA_VERSION
from loopwise.report import comparison
from loopwise.report import format as fmt
from loopwise.report.charts import forest, overlay
from loopwise.report.charts.kit.chart import ChartFile, save_sheets
from loopwise.report.comparison import Side, only_in, shared_facets
from loopwise.report.html import page
from loopwise.report.words import URGENCY, case_names
from loopwise.results.files import write_atomically
from loopwise.visible import clean

PAGE, DOCUMENT = "compare.html", "compare.json"
MOST_NAMES = 100
"""Cases of one result alone that are named; the rest is counted."""
_ONE_EACH = "A mark and a letter for each result; the thin line is the interval of that result alone."
OVERLAYS = (
    (
        "overlay-throughput",
        "Throughput of each result",
        overlay.THROUGHPUT,
        f"Requests a second that succeeded: further right is better. {_ONE_EACH}",
    ),
    (
        "overlay-latency",
        "Latency of each result",
        overlay.LATENCY,
        f"Service time on a logarithmic axis: further left is better. Filled mark p50, hollow mark p99. {_ONE_EACH}",
    ),
)


def write_comparison(sides: Sequence[Side], paths: Sequence[Path], folder: Path) -> list[Path]:
    """Write page, charts and compare.json; returns the files, the page first.

    Args:
        sides: the base, then the others with their outcomes.
        paths: their folders, in the same order: the page links their reports.
        folder: made if missing.

    Raises:
        UsageError: the folder can't be written.
    """
    with writing("--out", folder):
        folder.mkdir(parents=True, exist_ok=True)
        forests = [_forest(sides, side, folder) for side in sides[1:]]
        overlays = [
            save_sheets(folder / name, overlay.overlay_panels(sides, metrics), title=title, caption=caption)
            for name, title, metrics, caption in OVERLAYS
        ]
        written = page.write(_page(sides, paths, folder, forests, overlays), folder / PAGE)
        write_atomically(folder / DOCUMENT, json.dumps(_document(sides), indent=1, allow_nan=False) + "\n")
    files = [path for sheets in (*forests, *overlays) for path in sheets.files]
    return [written, folder / DOCUMENT, *files]


def _forest(sides: Sequence[Side], other: Side, folder: Path) -> ChartFile:
    base, outcome = sides[0], _outcome(other)
    panels = forest.forest_panels(
        shared_facets(base.summary, other.summary),
        outcome.verdicts,
        outcome.margin,
        names=case_names(base.summary),
    )
    name = "forest" if len(sides) == 2 else f"forest-{other.letter.lower()}-{file_name(other.name)}"
    title = f"{clean(other.name)} ÷ {clean(base.name)}"
    margin = f"±{outcome.margin * 100:.4g} %"
    caption = f"The figure now ÷ the figure before; the margin is {margin}. {forest.EXPLANATION}"
    return save_sheets(folder / name, panels, title=title, caption=caption)


def file_name(text: str) -> str:
    """A foreign text as part of a file's name."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", text)[:60].strip("._") or "result"


def _page(
    sides: Sequence[Side],
    paths: Sequence[Path],
    folder: Path,
    forests: Sequence[ChartFile],
    overlays: Sequence[ChartFile],
) -> str:
    base, *others = sides
    names = case_names(base.summary)
    outcome = _outcome(others[0])
    contents = {
        "sides": [_about(side, path, folder) for side, path in zip(sides, paths, strict=True)],
        "headlines": [(side.letter, comparison.headline(_outcome(side), names)) for side in others],
        "gates": comparison.gate_lines(sides),
        "charts": [page.inline_chart(sheets) for sheets in forests],
        "overlays": [page.inline_chart(sheets) for sheets in overlays],
        "tables": [(side.letter, comparison.verdict_lines(base, side, names)) for side in others],
        "differences": comparison.difference_lines(sides),
        "lone": [(letter, cases[:MOST_NAMES], len(cases)) for letter, cases in only_in(sides)],
        "margin": f"±{outcome.margin * 100:.4g} %",
        "confidence": fmt.confidence(outcome.confidence),
        "is_paired": any(verdict.pairing == "blocks" for verdict in outcome.verdicts),
        "filters": [("verdict", "Verdict", URGENCY)],
    }
    title = f"{others[0].name} against {base.name}" if len(others) == 1 else f"{len(sides)} results compared"
    return page.render(
        "compare.html.j2", contents, title=title, styles=["compare.css", "sift.css"], scripts=["sift.js"]
    )


def _outcome(side: Side) -> Outcome:
    assert side.outcome is not None
    return side.outcome


def _about(side: Side, path: Path, folder: Path) -> dict[str, Any]:
    experiment = side.summary.experiment
    about = [
        experiment.suite.name,
        experiment.label,
        count(len(experiment.suite.cases), "case"),
        f"{experiment.created_at[:16].replace('T', ' ')} UTC",
        machine_words(experiment.environment),
    ]
    return {
        "letter": side.letter,
        "name": side.name,
        "about": " · ".join(filter(None, about)),
        "report": page.link(path / "report.html", folder),
        "damaged": side.summary.damaged,
    }


def _document(sides: Sequence[Side]) -> dict[str, Any]:
    base, *others = sides
    names = case_names(base.summary)
    return {
        "schema_version": SCHEMA_VERSION,
        "base": clean(base.name),
        "others": [
            {
                "name": clean(side.name),
                "headline": comparison.headline(_outcome(side), names),
                "complaints": _outcome(side).complaints,
                "verdicts": [verdict.model_dump() for verdict in _outcome(side).verdicts],
            }
            for side in others
        ],
    }
