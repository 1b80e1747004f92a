"""The explorer's data, and the library that draws it.

The library is one script with Vega, Vega-Lite and Vega-Embed, made by the package vl-convert-python. Making it takes a
second and a hundred megabytes, so it is kept, packed, in the user's cache folder, one file per version of the package.
If the folder can't be written, it is made for each report.
"""

import gzip
import importlib.metadata
import os
from base64 import b64encode
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from loopwise.analysis.metrics import METRICS
from loopwise.analysis.summary import Summary
from loopwise.model import Case
from loopwise.model.naming import mode_labels
from loopwise.report.cells import Cell, Cells, mode_name, served_by
from loopwise.report.charts.kit.style import MODES
from loopwise.report.html.cases import anchors
from loopwise.report.words import case_name, metric_name
from loopwise.results.files import write_atomically
from loopwise.visible import clean

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
_DASH_SCALE = 1.5
"""matplotlib counts the dashes of a line in its widths, Vega in pixels."""
PACKAGE = "vl-convert-python"
GLOBAL = b"loopwiseEmbed"
"""The only name that the library defines; the explorer calls it."""


def explorer_data(summary: Summary) -> dict[str, Any]:
    """Metrics, styles of modes, and cases with a cell per metric: [value, low, high, replicates], or null.

    An invalid case has its reason and no cells: numbers that must not be used are not in the page.
    """
    cells = Cells(summary)
    valid = [case for case in cells.cases if cells.why_invalid(case) is None]
    known = [name for name in METRICS if any(cells.cell(case, name).usable for case in valid)]
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
        "styles": {
            label: {
                "colour": style.colour,
                "shape": _SHAPES[style.marker],
                "dash": [] if style.line == "-" else [round(_DASH_SCALE * each) for each in style.line[1]],
            }
            for mode, style in MODES.items()
            for label in mode_labels(mode)
        },
        "cases": [_case(cells, case, metrics, links[case.case_id]) for case in cells.cases],
    }


def _case(cells: Cells, case: Case, metrics: list[str], anchor: str) -> dict[str, Any]:
    invalid = cells.why_invalid(case)
    is_open = case.load.model == "open"
    return {
        "id": case.case_id,
        "link": anchor,
        "name": case_name(case, cells.cases),
        "workload": clean(case.subject),
        "mode": mode_name(case, cells.cases),
        "workers": case.workers,
        "server": served_by(case),
        "load": clean(case.load.label),
        "rate_rps": case.load.rate_rps if is_open and case.load.ramp_to_rps is None else None,
        "users": case.load.fixed_users,
        "invalid": invalid,
        "cells": [] if invalid is not None else [_numbers(cells.cell(case, name)) for name in metrics],
    }


def _numbers(cell: Cell) -> list[float | int | None] | None:
    if not cell.usable:
        return None
    numbers = (cell.value, cell.low, cell.high)
    return [
        *(None if number is None else float(f"{number:.{DIGITS}g}") for number in numbers),
        cell.replicates,
    ]


@cache
def library() -> str:
    """The exact text of the library: its hash allows it to run."""
    return gzip.decompress(packed()).decode()


@cache
def packed_library() -> str:
    """The library packed, as base64: less than half the size. The page unpacks it after its first frame."""
    return b64encode(packed()).decode()


@cache
def packed() -> bytes:
    """The library, packed by gzip; the same bytes from the same version of the package."""
    kept = cache_file()
    if kept is None:
        return make_library()
    with suppress(OSError, EOFError, gzip.BadGzipFile):
        content = kept.read_bytes()
        if GLOBAL in gzip.decompress(content):
            return content
    made = make_library()
    with suppress(OSError):
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(kept, made)
    return made


def make_library() -> bytes:
    """Make the library anew, packed by gzip."""
    import vl_convert  # heavy, and needed once

    script = str(vl_convert.javascript_bundle(f"window.{GLOBAL.decode()} = vegaEmbed;"))
    return gzip.compress(script.encode(), compresslevel=9, mtime=0)


def cache_file() -> Path | None:
    """Where the library is kept: `$XDG_CACHE_HOME/loopwise/`, or `~/.cache/loopwise/`; None: there is no home."""
    folder = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    version = importlib.metadata.version(PACKAGE)
    try:
        return Path(folder).expanduser() / "loopwise" / f"vega-{version}.js.gz"
    except RuntimeError:
        return None
