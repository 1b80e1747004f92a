"""The latency distribution of each case as a ridge on a log axis; a row per case."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from loopwise.analysis.digest import EDGES_MS, Digest, Latencies
from loopwise.analysis.rows import FLOATS
from loopwise.analysis.summary import Summary
from loopwise.report import format as fmt
from loopwise.report.cells import Cell, Cells, Facet, latency_metric
from loopwise.report.charts.kit.axes import latency_axis
from loopwise.report.charts.kit.frame import Frame
from loopwise.report.charts.kit.row_panel import (
    Column,
    Rows,
    RowSizes,
    describe_rows,
    draw_strokes,
    rows_height_in,
    why,
)
from loopwise.report.charts.kit.style import INK, mode_style

_SIZES = RowSizes(row_in=0.33)
_RIDGE_IN = 0.27
_SPAN_BINS = 80
"""Bins over the range of a panel at most: a plot has no room for more."""


@dataclass(frozen=True)
class Ridge:
    """Shares of a case's requests by bin of latency, all valid runs together; they add up to 1."""

    edges_ms: tuple[float, ...]
    """One more than there are shares."""
    service: tuple[float, ...]
    response: tuple[float, ...] | None
    """In open load, from when a request was due; else None."""


@dataclass(frozen=True)
class HistogramPanel:
    """Distributions of the cases of a facet; None where there is none."""

    facet: Facet
    ridges: tuple[Ridge | None, ...]
    medians: tuple[Cell, ...]
    tails: tuple[Cell, ...]


def histogram_panels(summary: Summary) -> list[HistogramPanel]:
    """One panel per facet that has a valid case whose rows were kept."""
    cells = Cells(summary)
    panels = []
    for facet in cells.facets:
        found = {
            case.case_id: _valid(summary.digests.get(case.case_id, ()))
            for case in facet.cases
            if cells.why_invalid(case) is None
        }
        bins = _bins([latencies for digests in found.values() for latencies in _all(digests)])
        ridges = tuple(_ridge(found.get(case.case_id, []), bins) for case in facet.cases)
        if any(ridges):
            medians, tails = (
                tuple(cells.cell(case, latency_metric(case, name)) for case in facet.cases)
                for name in ("p50", "p99")
            )
            panels.append(HistogramPanel(facet, ridges, medians, tails))
    return panels


def panel_height_in(panel: HistogramPanel) -> float:
    """Height that the panel's rows, heading and axis need."""
    return rows_height_in(panel.facet, _SIZES)


def draw_histogram(frame: Frame, panel: HistogramPanel) -> None:
    """Per case a filled outline, as high at its most frequent latency as the row allows; a tick at the median."""
    rows = Rows(frame, panel.facet, [Column("p50 · p99", _texts(panel))], _SIZES)
    known = [ridge for ridge in panel.ridges if ridge]
    latency_axis(rows.axes, "x", [end for ridge in known for end in _reach(ridge)], rows.plot_width_in)
    medians = []
    for middle_in, ridge, cell in zip(rows.middles_in, panel.ridges, panel.medians, strict=True):
        if ridge is None:
            rows.void(middle_in, cell)
            continue
        base_in = middle_in + _RIDGE_IN / 2
        colour = mode_style(cell.case.mode).colour
        across, up_in = _outline(ridge.edges_ms, ridge.service)
        rows.axes.fill(across, base_in - up_in, facecolor=colour, edgecolor=colour, lw=0.8, alpha=0.75)
        if ridge.response is not None:
            across, up_in = _outline(ridge.edges_ms, ridge.response)
            rows.axes.plot(across, base_in - up_in, color=INK, lw=1.0)
        if cell.usable and cell.value:
            medians.append(((cell.value, base_in), (cell.value, base_in - _RIDGE_IN)))
    draw_strokes(rows.axes, medians, color=INK, lw=1.2, ls=(0, (2, 1)))


def describe_histogram(panel: HistogramPanel) -> str:
    """What the chart shows, in words, for those who can't see it."""
    figures = [
        why(cell) if ridge is None else _spoken(ridge, cell)
        for ridge, cell in zip(panel.ridges, panel.medians, strict=True)
    ]
    return describe_rows(f"Latencies of {panel.facet.name}.", panel.facet, figures)


def _spoken(ridge: Ridge, median: Cell) -> str:
    low, high = _mode(ridge.edges_ms, ridge.service)
    return (
        f"half below {fmt.duration(median.value)}, most often {fmt.duration(low)} to {fmt.duration(high)},"
        f" from {fmt.duration(_reach(ridge)[0])} to {fmt.duration(_reach(ridge)[1])}"
    )


def _texts(panel: HistogramPanel) -> list[str]:
    return [
        f"{fmt.duration(median.value)} · {fmt.duration(tail.value if tail.usable else None)}"
        if ridge is not None and median.usable
        else ""
        for ridge, median, tail in zip(panel.ridges, panel.medians, panel.tails, strict=True)
    ]


def _valid(digests: Sequence[Digest]) -> list[Digest]:
    return [digest for digest in digests if digest.status == "ok" and digest.endpoint in digest.service]


def _all(digests: Sequence[Digest]) -> list[Latencies]:
    return [
        kind[digest.endpoint]
        for digest in digests
        for kind in (digest.service, digest.response)
        if digest.endpoint in kind
    ]


def _bins(found: Sequence[Latencies]) -> FLOATS:
    """Indexes into EDGES_MS that span what any of them has, wider where the span is long."""
    counts = sum((latencies.counts for latencies in found), np.zeros(EDGES_MS.size - 1, dtype=np.int64))
    filled = np.flatnonzero(counts)
    if not filled.size:
        return np.array([])
    first, last = int(filled[0]), int(filled[-1]) + 1
    step = -(-(last - first) // _SPAN_BINS)
    count = -(-(last - first) // step)
    return np.minimum(first + step * np.arange(count + 1), EDGES_MS.size - 1)


def _ridge(digests: Sequence[Digest], bins: FLOATS) -> Ridge | None:
    service = _pooled([digest.service[digest.endpoint] for digest in digests], bins)
    if service is None:
        return None
    late = [digest.response[digest.endpoint] for digest in digests if digest.endpoint in digest.response]
    return Ridge(tuple(EDGES_MS[bins].tolist()), service, _pooled(late, bins))


def _pooled(found: Sequence[Latencies], bins: FLOATS) -> tuple[float, ...] | None:
    """Shares by bin over all runs together; None without a row."""
    total = sum(latencies.rows for latencies in found)
    if not total or not bins.size:
        return None
    counts = np.add.reduce([latencies.counts for latencies in found])
    before = np.concatenate(([0], np.cumsum(counts)))
    return tuple((np.diff(before[bins]) / total).tolist())


def _outline(edges_ms: Sequence[float], shares: Sequence[float]) -> tuple[FLOATS, FLOATS]:
    """A staircase over the bins that hold something, from the ground back to it."""
    values = np.asarray(shares)
    filled = np.flatnonzero(values)
    first, last = int(filled[0]), int(filled[-1]) + 1
    across = np.repeat(np.asarray(edges_ms)[first : last + 1], 2)
    up = np.concatenate(([0.0], np.repeat(values[first:last], 2), [0.0]))
    return across, up / values.max() * _RIDGE_IN


def _reach(ridge: Ridge) -> tuple[float, float]:
    """From where to where there is anything."""
    shares = np.asarray(ridge.service) + (0.0 if ridge.response is None else np.asarray(ridge.response))
    filled = np.flatnonzero(shares)
    return ridge.edges_ms[int(filled[0])], ridge.edges_ms[int(filled[-1]) + 1]


def _mode(edges_ms: Sequence[float], shares: Sequence[float]) -> tuple[float, float]:
    """The bin that holds most."""
    most = int(np.argmax(shares))
    return edges_ms[most], edges_ms[most + 1]
