"""What the explorer draws from: every figure of every case as a whole, compact; and the library that draws it."""

import gzip
from base64 import b64encode
from collections.abc import Iterable
from functools import cache
from typing import Any

from loopwise.analysis.metrics import METRICS
from loopwise.analysis.summary import Summary
from loopwise.model import Case
from loopwise.report.cells import Cell, Cells, mode_name, server_name
from loopwise.report.charts.kit.style import MODES, ModeStyle
from loopwise.report.format import clean
from loopwise.report.html import vega
from loopwise.report.html.table import anchors
from loopwise.report.words import case_name, metric_name

DIGITS = 6
"""Significant digits in the page; summary.csv has all of them."""
_SHAPES = {
    "o": "circle",
    "s": "square",
    "^": "triangle-up",
    "D": "diamond",
    "P": "cross",
    "X": "M-1,-.6L-.6,-1L0,-.4L.6,-1L1,-.6L.4,0L1,.6L.6,1L0,.4L-.6,1L-1,.6L-.4,0Z",
}
"""matplotlib's markers as Vega's, so that a mode has the same one in every chart."""
_DASHES = {
    "async": [],
    "sync": [6, 2],
    "blocking": [2, 2],
    "to_thread": [6, 2, 2, 2],
    "process": [4, 2, 2, 2],
}


def explorer_data(summary: Summary) -> dict[str, Any]:
    """Metrics, and cases with a cell for each metric: [value, low, high, replicates], or null where there is none.

    A case that is invalid has its reason instead, and no cell: what must not be used is not in the page.
    """
    cells = Cells(summary)
    cases = summary.experiment.suite.cases
    known = [name for name in METRICS if any(_is_there(cells, case, name) for case in cases)]
    metrics = known or ["throughput_rps"]
    links = anchors(summary)
    return {
        "name": clean(summary.experiment.name),
        "confidence": summary.experiment.suite.compare.confidence,
        "metrics": [
            {
                "id": name,
                "label": metric_name(name),
                "unit": METRICS[name].unit,
                "better": METRICS[name].better,
            }
            for name in metrics
        ],
        "looks": {mode_of(mode): _look(mode, looks) for mode, looks in MODES.items()},
        "cases": [_case(cells, case, cases, metrics, links[case.case_id]) for case in cases],
    }


def mode_of(mode: str) -> str:
    """A mode as the page calls it."""
    return "your app" if mode == "own" else mode


@cache
def library() -> str:
    """The library's script, to the letter: its hash allows it to run."""
    return gzip.decompress(vega.packed()).decode()


@cache
def packed_library() -> str:
    """The same, packed, as base64: less than half the size. The page unpacks it when the explorer comes into view."""
    return b64encode(vega.packed()).decode()


def _is_there(cells: Cells, case: Case, metric: str) -> bool:
    return cells.why_invalid(case) is None and cells.cell(case, metric).usable


def _case(
    cells: Cells, case: Case, rivals: Iterable[Case], metrics: list[str], anchor: str
) -> dict[str, Any]:
    invalid = cells.why_invalid(case)
    open_load = case.load.model == "open"
    return {
        "id": case.case_id,
        "link": anchor,
        "name": case_name(case, tuple(rivals)),
        "workload": clean(case.subject),
        "mode": mode_name(case),
        "workers": case.workers,
        "server": clean(server_name(case.server, case.url)),
        "load": clean(case.load.label),
        "rate_rps": case.load.rate_rps if open_load and case.load.ramp_to_rps is None else None,
        "users": None if open_load else case.load.users,
        "invalid": invalid,
        "cells": [] if invalid is not None else [_numbers(cells.cell(case, name)) for name in metrics],
    }


def _numbers(cell: Cell) -> list[float | int | None] | None:
    if not cell.usable:
        return None
    return [_short(cell.value), _short(cell.low), _short(cell.high), cell.replicates]


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.{DIGITS}g}")


def _look(mode: str, looks: ModeStyle) -> dict[str, Any]:
    return {"colour": looks.colour, "shape": _SHAPES[looks.marker], "dash": _DASHES.get(mode, [8, 2])}
