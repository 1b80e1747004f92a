"""Throughput as bars, and latency percentiles as points; a row per case."""

from collections.abc import Sequence
from dataclasses import dataclass

from loopwise.analysis.summary import Summary
from loopwise.report import format as fmt
from loopwise.report.cells import Cell, Cells, Facet
from loopwise.report.charts.kit.axes import latency_axis, throughput_axis
from loopwise.report.charts.kit.frame import Frame
from loopwise.report.charts.kit.row_panel import (
    BAR_IN,
    Column,
    Rows,
    describe_rows,
    draw_strokes,
    ends,
    rows_height_in,
    sayable,
)
from loopwise.report.charts.kit.style import INK, PAPER, mode_style

PERCENTILES = ("p50", "p90", "p99")

_MARKER_PT = {"p50": 5.6, "p90": 3.4, "p99": 5.6}


@dataclass(frozen=True)
class ThroughputPanel:
    """Requests a second of each case of a facet."""

    facet: Facet
    cells: tuple[Cell, ...]
    highest_rps: float
    """End of the axis, shared by the facets of one subject so that their bars can be compared."""


@dataclass(frozen=True)
class PercentilePanel:
    """Service times of each case of a facet; cells in the order of PERCENTILES."""

    facet: Facet
    rows: tuple[tuple[Cell, ...], ...]


def throughput_panels(summary: Summary) -> list[ThroughputPanel]:
    """One panel per facet that has a case."""
    cells = Cells(summary)
    found = [(facet, tuple(cells.row(facet.cases, "throughput_rps"))) for facet in cells.facets]
    highest_rps: dict[str, float] = {}
    for facet, row in found:
        reach = max((_reach(cell) for cell in row if cell.usable), default=0.0)
        highest_rps[facet.heading] = max(highest_rps.get(facet.heading, 0.0), reach)
    return [ThroughputPanel(facet, row, highest_rps[facet.heading]) for facet, row in found]


def percentile_panels(summary: Summary) -> list[PercentilePanel]:
    """One panel per facet that has a case."""
    cells = Cells(summary)
    return [
        PercentilePanel(
            facet,
            tuple(
                tuple(cells.cell(case, f"service_time_{percentile}_ms") for percentile in PERCENTILES)
                for case in facet.cases
            ),
        )
        for facet in cells.facets
    ]


def panel_height_in(panel: ThroughputPanel | PercentilePanel) -> float:
    """Height that the panel's rows, heading and axis need."""
    return rows_height_in(panel.facet)


def draw_throughput(frame: Frame, panel: ThroughputPanel) -> None:
    """Bars from zero with whiskers, the predicted bound as a tick, the figures in a column beside them."""
    values = [fmt.estimate(cell.value, cell.low, cell.high) if cell.usable else "" for cell in panel.cells]
    rows = Rows(frame, panel.facet, [Column("requests/s", values)])
    throughput_axis(rows.axes, "x", panel.highest_rps)
    rows.bars(panel.cells)
    ticks = []
    for middle_in, cell in zip(rows.middles_in, panel.cells, strict=True):
        if not cell.usable:
            rows.void(middle_in, cell)
        elif cell.predicted is not None:
            reach_in = BAR_IN * 0.72
            ticks.append(((cell.predicted, middle_in - reach_in), (cell.predicted, middle_in + reach_in)))
    draw_strokes(rows.axes, ticks, color=INK, lw=1.8)


def draw_percentiles(frame: Frame, panel: PercentilePanel) -> None:
    """A line from p50 to p99 per case: filled marker p50, small p90, hollow p99."""
    rows = Rows(frame, panel.facet, [Column("p50 · p99", [_range(row) for row in panel.rows])])
    reach_ms = [end for row in panel.rows for cell in row if cell.usable for end in ends(cell) if end > 0]
    latency_axis(rows.axes, "x", reach_ms or [1.0], rows.plot_width_in)
    points: dict[tuple[str, str], list[tuple[float, float]]] = {}
    spans: dict[str, list[tuple[tuple[float, float], tuple[float, float]]]] = {}
    shown: list[tuple[float, Cell]] = []
    for middle_in, row in zip(rows.middles_in, panel.rows, strict=True):
        known = [(name, cell) for name, cell in zip(PERCENTILES, row, strict=True) if _is_drawn(cell)]
        if not known:
            rows.void(middle_in, row[0])
            continue
        mode = row[0].case.mode
        for name, cell in known:
            points.setdefault((mode, name), []).append((cell.value or 0.0, middle_in))
            shown.append((middle_in, cell))
        values_ms = [cell.value or 0.0 for _, cell in known]
        spans.setdefault(mode, []).append(((values_ms[0], middle_in), (values_ms[-1], middle_in)))
    for mode, strokes in spans.items():
        draw_strokes(rows.axes, strokes, color=mode_style(mode).colour, lw=1.6, alpha=0.55)
    rows.whiskers(shown)
    for (mode, name), found in points.items():
        looks = mode_style(mode)
        face = PAPER if name == "p99" else looks.colour
        rows.axes.plot(
            [x for x, _ in found],
            [y for _, y in found],
            looks.marker,
            mfc=face,
            mec=looks.colour,
            mew=1.3,
            ms=_MARKER_PT[name],
            zorder=4,
        )


def describe_throughput(panel: ThroughputPanel) -> str:
    """What the chart shows, in words, for those who can't see it."""
    return describe_rows(
        f"Requests a second of {panel.facet.name}.",
        panel.facet,
        [sayable(cell, fmt.estimate(cell.value, cell.low, cell.high)) for cell in panel.cells],
    )


def describe_percentiles(panel: PercentilePanel) -> str:
    """What the chart shows, in words, for those who can't see it."""
    return describe_rows(
        f"Service time of {panel.facet.name}: p50, p90, p99.",
        panel.facet,
        [sayable(row[0], ", ".join(fmt.duration(cell.value) for cell in row)) for row in panel.rows],
    )


def _is_drawn(cell: Cell) -> bool:
    """Whether a log axis has a place for the cell."""
    return cell.usable and cell.value is not None and cell.value > 0


def _reach(cell: Cell) -> float:
    return max([*ends(cell), *([cell.predicted] if cell.predicted is not None else [])])


def _range(row: Sequence[Cell]) -> str:
    """The ends of a row's percentiles; empty where there is none."""
    if not any(cell.usable for cell in row):
        return ""
    return " · ".join(fmt.duration(cell.value if cell.usable else None) for cell in (row[0], row[-1]))
