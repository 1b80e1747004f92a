"""Two figures of each case against each other: throughput and latency; predicted and measured."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import NamedTuple

import numpy as np

from loopwise.analysis.paired import AT_BOUND
from loopwise.analysis.predictions import MAX_RATIO, Prediction
from loopwise.analysis.summary import Summary
from loopwise.model import Case
from loopwise.report import format as fmt
from loopwise.report.cells import Cell, Cells, Facet, latency_metric, latency_name, positive_ends
from loopwise.report.charts.kit.axes import latency_axis, log_limits, log_ticks, set_ticks, throughput_axis
from loopwise.report.charts.kit.chart import Chart
from loopwise.report.charts.kit.frame import Frame
from loopwise.report.charts.kit.lines import LINES_PER_PANEL, Box, LineEnd, LinePanel, Plot, reach
from loopwise.report.charts.kit.style import GRID, VOID, mode_style
from loopwise.report.charts.rate import rate_facets

NAMED = 12
"""Points with a name beside the plot at most."""

_TICK_ROOM_IN = 0.42


class Point(NamedTuple):
    """A case in the throughput–latency plane."""

    throughput: Cell
    latency: Cell


@dataclass(frozen=True)
class PlanePanel(LinePanel):
    """Lines of cases that differ in workers or in the rate alone, rising; each case alone where series are many."""

    lines: tuple[tuple[Point, ...], ...]
    subject = "Latency against throughput"

    @property
    def boxes(self) -> list[Box]:
        """One plot, narrow, since the names beside it are long."""
        return [self.box_beside(min(len(self.lines), NAMED), width_in=2.3)]

    def figures(self) -> str:
        """Throughput and p99 of the first cases."""
        return _first(
            [
                f"{_name(self.facet, point.throughput.case)} {fmt.number(point.throughput.value)}/s with a p99 of"
                f" {fmt.duration(point.latency.value)}"
                for line in self.lines
                for point in line
            ]
        )

    def draw_plots(self, frame: Frame) -> None:
        """A mark per case, crossed by its intervals; a line joins the worker counts of a mode, the most at its name."""
        (box,) = self.boxes
        points = [point for line in self.lines for point in line]
        plot = Plot(frame, box, f"{latency_name(points[0].latency.case)} p99")
        latency_axis(plot.axes, "y", positive_ends(point.latency for point in points), box.height_in)
        throughput_axis(plot.axes, "x", max(end for point in points for end in point.throughput.ends))
        plot.axes.set_xlabel("requests/s")
        for index, line in enumerate(self.lines):
            throughputs, latencies = zip(*line, strict=True)
            style = self.line_style(throughputs[-1].case, index)
            options = {"xerr": reach(throughputs), "lw": 1.2, "elinewidth": 0.8, "clip_on": False}
            x = [cell.number for cell in throughputs]
            plot.line(x, latencies, style, _line_name(self.facet, line), **options)
        plot.name_lines(NAMED, key=lambda end: end.y)


def plane_panels(summary: Summary) -> list[PlanePanel]:
    """One panel per facet with at least two valid cases; the rates of open load share one."""
    cells = Cells(summary)
    by_rate = [] if summary.duel else rate_facets(cells)
    covered = {case.case_id for facet in by_rate for case in facet.cases}
    others = [facet for facet in cells.facets if not covered.issuperset(case.case_id for case in facet.cases)]
    panels = []
    for facet in (*others, *by_rate):
        points = {
            case.case_id: Point(cells.cell(case, "throughput_rps"), cells.cell(case, latency_metric(case, "p99")))
            for case in facet.cases
        }
        left_out = tuple(_name(facet, point.throughput.case) for point in points.values() if point.throughput.invalid)
        known = {key: each for key, each in points.items() if each.throughput.usable and each.latency.positive}
        if len(known) > 1:
            lines = (tuple(known[case.case_id] for case in line if case.case_id in known) for line in _lines(facet))
            panels.append(PlanePanel(facet, left_out, tuple(line for line in lines if line)))
    return panels


PLANE = Chart(
    "plane",
    "Latency against throughput",
    "A mark is a case: further right and down is better. A line joins the worker counts of a mode, or its rates.",
    plane_panels,
    more="It ends with the highest, at its name; behind the name stand the lowest and the highest. Beside many cases"
    " the slowest are named.",
)


@dataclass(frozen=True)
class PredictedPanel(LinePanel):
    """Measured throughput against the smallest bound, of cases under one server and load."""

    points: tuple[tuple[Cell, Prediction], ...]
    subject = "Measured against predicted"

    @property
    def boxes(self) -> list[Box]:
        """One plot, narrow, since the names beside it are long."""
        return [self.box_beside(min(len(self.points), NAMED), width_in=2.0)]

    def figures(self) -> str:
        """Measured over predicted of the first cases."""
        return _first(
            [f"{self._ratio(cell, bound)} of {fmt.number(bound.predicted_rps)}/s" for cell, bound in self.points]
        )

    def draw_plots(self, frame: Frame) -> None:
        """Marks on two equal log axes, the diagonal where they are equal, a band where nothing needs explaining."""
        (box,) = self.boxes
        plot = Plot(frame, box, "measured requests/s")
        low, high = log_limits(
            [end for cell, bound in self.points for end in (*cell.ends, bound.predicted_rps) if end > 0]
        )
        plot.axes.set(xscale="log", yscale="log", xlim=(low, high), ylim=(low, high))
        for which, length_in in (("x", box.width_in), ("y", box.height_in)):
            set_ticks(plot.axes, which, log_ticks(low, high, length_in / _TICK_ROOM_IN), fmt.tick_number)
        line = np.array([low, high])
        plot.axes.fill_between(line, line * AT_BOUND, line * MAX_RATIO, color=GRID, alpha=0.55, lw=0)
        plot.axes.plot(line, line, color=VOID, lw=0.9)
        plot.axes.set_xlabel("predicted requests/s")
        for mode in dict.fromkeys(cell.case.mode for cell, _ in self.points):
            cells, bounds = zip(*(point for point in self.points if point[0].case.mode == mode), strict=True)
            x, style = [bound.predicted_rps for bound in bounds], mode_style(mode)
            y = plot.points(x, cells, style, elinewidth=0.8, clip_on=False)
            plot.ends += map(LineEnd, x, y, map(self._ratio, cells, bounds), repeat(style))
        plot.name_lines(NAMED, key=lambda end: abs(np.log(end.y / end.x)))

    def _ratio(self, cell: Cell, bound: Prediction) -> str:
        return f"×{cell.number / bound.predicted_rps:.2f} {self.facet.full_label(cell.case)}"


def predicted_panels(summary: Summary) -> list[PredictedPanel]:
    """One panel per facet with a valid case whose cost is known."""
    cells = Cells(summary)
    bounds = {each.case_id: each for each in summary.predictions}
    panels = []
    for facet in cells.facets:
        row = [
            (cell, bounds[cell.case.case_id])
            for cell in cells.row(facet.cases, "throughput_rps")
            if cell.case.case_id in bounds
        ]
        points = tuple((cell, bound) for cell, bound in row if cell.positive and bound.predicted_rps > 0)
        left_out = tuple(facet.full_label(cell.case) for cell, _ in row if not cell.usable)
        if points:
            panels.append(PredictedPanel(facet, left_out, points))
    return panels


PREDICTED = Chart(
    "predicted",
    "Measured against predicted",
    "Throughput against its smallest bound: equal on the diagonal; in the grey band nothing needs explaining.",
    predicted_panels,
    more="Named are the cases furthest from the diagonal, with measured over predicted.",
)


def _first(spoken: Sequence[str]) -> str:
    more = f"; and {len(spoken) - NAMED} more" if len(spoken) > NAMED else ""
    return "; ".join(spoken[:NAMED]) + more


def _lines(facet: Facet) -> list[list[Case]]:
    """Cases of one series, by rising number of workers; each case alone where that would be one line in all."""
    if facet.by_subject or facet.by_id or len(facet.by_series) > LINES_PER_PANEL * 2:
        return [[case] for case in facet.cases]
    return [
        sorted(cases, key=lambda case: (case.workers or 0, case.load.rate_rps)) for cases in facet.by_series.values()
    ]


def _is_by_rate(facet: Facet) -> bool:
    """Whether the points of a line differ in the rate, not in the number of workers."""
    return len({case.load.label for case in facet.cases}) > 1


def _name(facet: Facet, case: Case) -> str:
    return f"{facet.series(case)} at {case.load.rate_rps:g}/s" if _is_by_rate(facet) else facet.full_label(case)


def _line_name(facet: Facet, line: Sequence[Point]) -> str:
    first, last = line[0].throughput.case, line[-1].throughput.case
    if len(line) == 1:
        return _name(facet, last)
    if _is_by_rate(facet):
        return f"{facet.series(last)}, {first.load.rate_rps:g}–{last.load.rate_rps:g}/s"
    return f"{facet.series(last)}, {first.workers}–{last.workers}"
