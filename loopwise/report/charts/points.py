"""Latencies as points on a logarithmic axis, a row per case: percentiles of the load's requests, and the canary's."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from loopwise.analysis.summary import Summary
from loopwise.report import format as fmt
from loopwise.report.cells import Cell, Cells, positive_ends
from loopwise.report.charts.kit.axes import latency_axis
from loopwise.report.charts.kit.chart import Chart
from loopwise.report.charts.kit.frame import Frame
from loopwise.report.charts.kit.rows import Column, RowPanel, draw_strokes
from loopwise.report.charts.kit.style import PAPER, mode_style

PERCENTILES_SHOWN = ("p50", "p90", "p99")


class _Mark(NamedTuple):
    """Style of the points of one metric."""

    size_pt: float
    edge_pt: float = 1.3
    is_hollow: bool = False


@dataclass(frozen=True)
class _PointsPanel(RowPanel):
    """One or more latencies of each case of a facet."""

    latencies: tuple[tuple[Cell, ...], ...]
    """By case, then in rising order of the percentiles."""
    head: ClassVar[str]
    """Head of the column of figures, which holds the first and the last latency."""
    marks: ClassVar[tuple[_Mark, ...]]

    def draw(self, frame: Frame) -> None:
        """A point per latency with its interval; a line from the first to the last."""
        rows = self.rows(frame, Column(self.head, [_first_and_last(row) for row in self.latencies]))
        ends_ms = positive_ends(cell for row in self.latencies for cell in row)
        latency_axis(rows.axes, "x", ends_ms or [1.0], rows.plot_width_in)
        points: dict[tuple[str, _Mark], list[tuple[float, float]]] = {}
        spans: dict[str, list[tuple[tuple[float, float], tuple[float, float]]]] = {}
        shown: list[tuple[float, Cell]] = []
        for middle_in, row in zip(rows.middles_in, self.latencies, strict=True):
            known = [(mark, cell) for mark, cell in zip(self.marks, row, strict=True) if cell.positive]
            if not known:
                rows.void(middle_in, row[0])
                continue
            mode = row[0].case.mode
            for mark, cell in known:
                points.setdefault((mode, mark), []).append((cell.number, middle_in))
                shown.append((middle_in, cell))
            ends = (known[0][1].number, middle_in), (known[-1][1].number, middle_in)
            spans.setdefault(mode, []).append(ends)
        for mode, strokes in spans.items() if len(self.marks) > 1 else ():
            draw_strokes(rows.axes, strokes, color=mode_style(mode).colour, lw=1.6, alpha=0.55)
        rows.whiskers(shown)
        for (mode, mark), members in points.items():
            style = mode_style(mode)
            rows.axes.plot(
                *zip(*members, strict=True),
                style.marker,
                mfc=PAPER if mark.is_hollow else style.colour,
                mec=style.colour,
                mew=mark.edge_pt,
                ms=mark.size_pt,
                zorder=4,
            )


@dataclass(frozen=True)
class PercentilePanel(_PointsPanel):
    """Service times of each case of a facet, in the order of PERCENTILES_SHOWN."""

    head = "p50 · p99"
    marks = (_Mark(5.6), _Mark(3.4), _Mark(5.6, is_hollow=True))

    subject = "Service time of {}: p50, p90, p99."

    def figures(self) -> list[str]:
        """The percentiles, or why there are none."""
        return [
            ", ".join(fmt.duration(cell.value) for cell in row) if row[0].usable else row[0].why
            for row in self.latencies
        ]


def percentile_panels(summary: Summary) -> list[PercentilePanel]:
    """One panel per facet that has a case."""
    cells = Cells(summary)
    metrics = [f"service_time_{percentile}_ms" for percentile in PERCENTILES_SHOWN]
    return [
        PercentilePanel(facet, tuple(tuple(cells.cell(case, metric) for metric in metrics) for case in facet.cases))
        for facet in cells.facets
    ]


PERCENTILES = Chart(
    "percentiles",
    "Latency percentiles by mode",
    "Service time, log axis: further left is better. Filled mark: p50; small: p90; hollow: p99; thin"
    " line: the interval.",
    percentile_panels,
)


@dataclass(frozen=True)
class VictimPanel(_PointsPanel):
    """The canary's p99 beside each case's load."""

    head = "canary's p99"
    marks = (_Mark(5.6, edge_pt=1.0),)

    subject = "99th percentile of the canary's response time beside {}."

    def figures(self) -> list[str]:
        """The canary's p99 with its interval, or why there is none."""
        return [
            fmt.duration(cell.value, cell.low, cell.high) if cell.positive else cell.why for (cell,) in self.latencies
        ]


def victim_panels(summary: Summary) -> list[VictimPanel]:
    """One panel per facet in which a canary was probed."""
    cells = Cells(summary)
    panels = [
        VictimPanel(facet, tuple((cell,) for cell in cells.row(facet.cases, "victim_p99_ms")))
        for facet in cells.facets
        if any(case.load.victim for case in facet.cases)
    ]
    return [panel for panel in panels if any(cell.positive for (cell,) in panel.latencies)]


VICTIM = Chart(
    "victim",
    "Latency of the canary",
    "p99 of a cheap route (the suite's victim) asked 20 times a second beside the load, log axis: further left is"
    " better.",
    victim_panels,
)


def _first_and_last(row: Sequence[Cell]) -> str:
    """The first and the last latency of a row; empty where there is none."""
    if not any(cell.usable for cell in row):
        return ""
    ends = [row[0], *row[1:][-1:]]
    return " · ".join(fmt.duration(cell.value if cell.usable else None) for cell in ends)
