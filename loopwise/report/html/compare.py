"""The folder of a comparison: compare.html, its charts, and what a program may want to know of it."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from loopwise.errors import writing
from loopwise.machine import machine_words
from loopwise.model import SCHEMA_VERSION
from loopwise.report import comparison
from loopwise.report import format as fmt
from loopwise.report.charts import overlay
from loopwise.report.charts.forest import EXPLANATION, forest_panels
from loopwise.report.charts.kit.chart import ChartFile, save_sheets
from loopwise.report.comparison import Side, names_of, only_in, shared_facets
from loopwise.report.html import skeleton
from loopwise.results.folder import write_atomically

PAGE, DOCUMENT = "compare.html", "compare.json"
MOST_NAMES = 100
"""Cases of one result alone that are named; the rest is counted."""
OVERLAYS = (
    (
        "overlay-throughput",
        "Throughput, result by result",
        overlay.THROUGHPUT,
        "Requests a second that succeeded: further right is better. A mark and a letter for each result; the thin"
        " line is the interval of that result alone.",
    ),
    (
        "overlay-latency",
        "Latency, result by result",
        overlay.LATENCY,
        "Service time on a logarithmic axis: further left is better. Filled mark p50, hollow mark p99; the thin"
        " line is the interval of that result alone.",
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
            save_sheets(folder / name, overlay.overlay_panels(sides, metrics), title=title, caption=words)
            for name, title, metrics, words in OVERLAYS
        ]
        page = skeleton.write(_page(sides, paths, folder, forests, overlays), folder / PAGE)
        write_atomically(folder / DOCUMENT, json.dumps(_document(sides), indent=1, allow_nan=False) + "\n")
    files = [path for sheets in (*forests, *overlays) for path in sheets.files]
    return [page, folder / DOCUMENT, *files]


def _forest(sides: Sequence[Side], other: Side, folder: Path) -> ChartFile:
    base, outcome = sides[0], other.outcome
    assert outcome is not None
    panels = forest_panels(
        shared_facets(base.summary, other.summary),
        outcome.verdicts,
        outcome.margin,
        names=names_of(base.summary),
    )
    name = "forest" if len(sides) == 2 else f"forest-{other.letter.lower()}-{file_name(other.name)}"
    title = f"{fmt.clean(other.name)} ÷ {fmt.clean(base.name)}"
    return save_sheets(folder / name, panels, title=title, caption=_caption(outcome.margin))


def _caption(margin: float) -> str:
    return f"What is measured now ÷ what was before; the margin is ±{margin * 100:.4g} %. {EXPLANATION}"


def file_name(text: str) -> str:
    """A text of anybody's as part of a file's name."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", text)[:60].strip("._") or "result"


def _page(
    sides: Sequence[Side],
    paths: Sequence[Path],
    folder: Path,
    forests: Sequence[ChartFile],
    overlays: Sequence[ChartFile],
) -> str:
    base, *others = sides
    names = names_of(base.summary)
    differences = comparison.difference_lines(sides)
    lone = [(letter, found[:MOST_NAMES], len(found) - MOST_NAMES) for letter, found in only_in(sides)]
    gates = comparison.gate_lines(sides)
    contents = {
        "sides": [_about(side, path, folder) for side, path in zip(sides, paths, strict=True)],
        "headlines": [(side.letter, comparison.headline(_outcome(side), names)) for side in others],
        "gates": gates,
        "forests": [(side.letter, _inline(sheets)) for side, sheets in zip(others, forests, strict=True)],
        "overlays": [_inline(sheets) for sheets in overlays],
        "tables": [(side.letter, comparison.verdict_lines(base, side, names)) for side in others],
        "differences": differences,
        "lone": lone,
        "margin": _outcome(others[0]).margin,
        "confidence": fmt.confidence(_outcome(others[0]).confidence),
        "is_paired": any(each.pairing == "blocks" for each in _outcome(others[0]).verdicts),
        "filters": [("verdict", "Verdict", comparison.URGENCY)],
    }
    offered = [
        ("answer", "Answer", True),
        ("gates", "Gates", gates),
        ("ratios", "Ratios", True),
        ("overlay", "Figures", True),
        ("verdicts", "Verdicts", True),
        ("surroundings", "What differs", True),
        ("method", "Method", True),
    ]
    title = f"{others[0].name} against {base.name}" if len(others) == 1 else f"{len(sides)} results compared"
    return skeleton.render(
        "compare.html.j2",
        contents,
        title=title,
        sections=[(id_, label) for id_, label, is_there in offered if is_there],
        styles=["compare.css", "sift.css"],
        scripts=["sift.js"],
    )


def _outcome(side: Side) -> Any:
    assert side.outcome is not None
    return side.outcome


def _about(side: Side, path: Path, folder: Path) -> dict[str, Any]:
    experiment = side.summary.experiment
    return {
        "letter": side.letter,
        "name": side.name,
        "label": experiment.label or "",
        "suite": experiment.suite.name,
        "created_at": experiment.created_at,
        "machine": machine_words(experiment.environment),
        "cases": len(experiment.suite.cases),
        "report": skeleton.link(path / "report.html", folder),
        "damaged": side.summary.damaged,
    }


def _inline(sheets: ChartFile) -> dict[str, Any]:
    panels = [panel.element(f"{sheets.name}-{index}-") for index, panel in enumerate(sheets.panels)]
    return {"name": sheets.name, "title": sheets.title, "caption": sheets.caption, "panels": panels}


def _document(sides: Sequence[Side]) -> dict[str, Any]:
    base, *others = sides
    names = names_of(base.summary)
    return {
        "schema_version": SCHEMA_VERSION,
        "base": fmt.clean(base.name),
        "others": [
            {
                "name": fmt.clean(side.name),
                "headline": comparison.headline(_outcome(side), names),
                "complaints": _outcome(side).complaints,
                "verdicts": [verdict.model_dump() for verdict in _outcome(side).verdicts],
            }
            for side in others
        ],
    }
