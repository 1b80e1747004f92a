"""Two figures of each case against each other: throughput and latency; predicted and measured."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes

from loopwise.analysis.contest import AT_BOUND
from loopwise.analysis.deviation import MAX_RATIO, Prediction
from loopwise.analysis.summary import Summary
from loopwise.model import Case
from loopwise.report import format as fmt
from loopwise.report.cells import Cell, Cells, Facet, latency_metric, latency_name
from loopwise.report.charts.kit.axes import latency_axis, log_limits, log_ticks, set_ticks, throughput_axis
from loopwise.report.charts.kit.frame import Frame
from loopwise.report.charts.kit.line_labels import Box, LineEnd, end_labels
from loopwise.report.charts.kit.line_panel import (
    LINES_PER_PANEL,
    height_for,
    left_out_words,
    line_looks,
    lines_height_in,
    note_left_out,
    plot,
    plot_box,
    reach,
)
from loopwise.report.charts.kit.row_panel import ends
from loopwise.report.charts.kit.style import GRID, VOID, mode_style
from loopwise.report.charts.rate import rate_facets

NAMED = 12
"""Points with a name beside the plot at most."""

_TICK_ROOM_IN = 0.42
_PLANE_IN, _PREDICTED_IN = 2.3, 2.0
"""Widths of the plots: the names beside them are long."""


@dataclass(frozen=True)
class Point:
    """A case in the throughput–latency plane."""

    throughput: Cell
    latency: Cell


@dataclass(frozen=True)
class PlanePanel:
    """Lines of cases that differ in workers or in the rate alone, rising; each case alone where series are many."""

    facet: Facet
    lines: tuple[tuple[Point, ...], ...]
    left_out: tuple[str, ...]


@dataclass(frozen=True)
class PredictedPanel:
    """Measured throughput against the smallest bound, of cases under one server and load."""

    facet: Facet
    points: tuple[tuple[Cell, Prediction], ...]
    left_out: tuple[str, ...]


def plane_panels(summary: Summary) -> list[PlanePanel]:
    """One panel per facet with at least two valid cases; the rates of open load share one."""
    cells = Cells(summary)
    by_rate = [] if summary.duel else rate_facets(cells)
    covered = {case.case_id for facet in by_rate for case in facet.cases}
    others = [facet for facet in cells.facets if not covered.issuperset(case.case_id for case in facet.cases)]
    panels = []
    for facet in (*others, *by_rate):
        known, left_out = {}, []
        for case in facet.cases:
            throughput, latency = (
                cells.cell(case, "throughput_rps"),
                cells.cell(case, latency_metric(case, "p99")),
            )
            if throughput.usable and latency.usable and (latency.value or 0.0) > 0:
                known[case.case_id] = Point(throughput, latency)
            elif throughput.invalid:
                left_out.append(_name(facet, case))
        if len(known) > 1:
            lines = tuple(
                tuple(known[case.case_id] for case in line if case.case_id in known) for line in _lines(facet)
            )
            panels.append(PlanePanel(facet, tuple(line for line in lines if line), tuple(left_out)))
    return panels


def plane_height_in(panel: PlanePanel) -> float:
    """Height of heading, plot, axis, and the note on what was left out."""
    return lines_height_in(_plane_box(panel), panel.left_out)


def draw_plane(frame: Frame, panel: PlanePanel) -> None:
    """A mark per case, crossed by its intervals; a line joins the worker counts of a mode, the most at its name."""
    frame.heading(panel.facet.heading, panel.facet.context)
    box = _plane_box(panel)
    points = [point for line in panel.lines for point in line]
    axes = plot(frame, box, f"{latency_name(points[0].latency.case)} p99")
    latencies_ms = [end for point in points for end in ends(point.latency) if end > 0]
    latency_axis(axes, "y", latencies_ms, box.height_in)
    throughput_axis(axes, "x", max(end for point in points for end in ends(point.throughput)))
    axes.set_xlabel("requests/s")
    names = []
    for index, line in enumerate(panel.lines):
        last = line[-1].throughput
        looks = line_looks(panel.facet, last.case, index)
        x = [point.throughput.value or 0.0 for point in line]
        y = [point.latency.value or 0.0 for point in line]
        axes.errorbar(
            x,
            y,
            xerr=reach([point.throughput for point in line]),
            yerr=reach([point.latency for point in line]),
            color=looks.colour,
            ls=looks.line,
            lw=1.2,
            marker=looks.marker,
            ms=5,
            elinewidth=0.8,
            clip_on=False,
        )
        names.append(LineEnd(x[-1], y[-1], _line_name(panel.facet, line), looks))
    slowest = sorted(names, key=lambda end: -end.y)[:NAMED]
    end_labels(frame, axes, box, [end for end in names if end in slowest])
    note_left_out(frame, box, panel.left_out)


def describe_plane(panel: PlanePanel) -> str:
    """What the chart shows, in words, for those who can't see it."""
    spoken = [
        f"{_name(panel.facet, point.throughput.case)} {fmt.number(point.throughput.value)}/s with a p99 of"
        f" {fmt.duration(point.latency.value)}"
        for line in panel.lines
        for point in line
    ]
    more = f"; and {len(spoken) - NAMED} more" if len(spoken) > NAMED else ""
    named = f"Latency against throughput, {panel.facet.name}: {'; '.join(spoken[:NAMED])}{more}."
    return named + left_out_words(panel.left_out)


def predicted_panels(summary: Summary) -> list[PredictedPanel]:
    """One panel per facet with a valid case whose cost is known."""
    cells = Cells(summary)
    known = {each.case_id: each for each in summary.predictions}
    panels = []
    for facet in cells.facets:
        row = [(cell, known.get(cell.case.case_id)) for cell in cells.row(facet.cases, "throughput_rps")]
        points = tuple(
            (cell, found)
            for cell, found in row
            if found is not None and cell.usable and (cell.value or 0.0) > 0 and found.predicted_rps > 0
        )
        left_out = tuple(facet.told(cell.case) for cell, found in row if found and not cell.usable)
        if points:
            panels.append(PredictedPanel(facet, points, left_out))
    return panels


def predicted_height_in(panel: PredictedPanel) -> float:
    """Height of heading, plot, axis, and the note on what was left out."""
    return lines_height_in(_predicted_box(panel), panel.left_out)


def draw_predicted(frame: Frame, panel: PredictedPanel) -> None:
    """Marks on two equal log axes, the diagonal where they are equal, a band where nothing needs explaining."""
    frame.heading(panel.facet.heading, panel.facet.context)
    box = _predicted_box(panel)
    axes = plot(frame, box, "measured requests/s")
    values = [end for cell, found in panel.points for end in (*ends(cell), found.predicted_rps) if end > 0]
    low, high = log_limits(values)
    _rates_axes(axes, low, high, box)
    line = np.array([low, high])
    axes.fill_between(line, line * AT_BOUND, line * MAX_RATIO, color=GRID, alpha=0.55, lw=0)
    axes.plot(line, line, color=VOID, lw=0.9)
    axes.set_xlabel("predicted requests/s")
    by_mode: dict[str, list[tuple[Cell, Prediction]]] = {}
    for cell, found in panel.points:
        by_mode.setdefault(cell.case.mode, []).append((cell, found))
    names: list[LineEnd] = []
    for mode, members in by_mode.items():
        looks = mode_style(mode)
        cells = [cell for cell, _ in members]
        x = [found.predicted_rps for _, found in members]
        y = [cell.value or 0.0 for cell in cells]
        axes.errorbar(
            x,
            y,
            yerr=reach(cells),
            color=looks.colour,
            ls="none",
            marker=looks.marker,
            ms=5,
            elinewidth=0.8,
            clip_on=False,
        )
        names += [
            LineEnd(at, value, _ratio_name(panel.facet, cell, found), looks)
            for at, value, (cell, found) in zip(x, y, members, strict=True)
        ]
    end_labels(frame, axes, box, _furthest(names))
    note_left_out(frame, box, panel.left_out)


def describe_predicted(panel: PredictedPanel) -> str:
    """What the chart shows, in words, for those who can't see it."""
    spoken = [
        f"{_ratio_name(panel.facet, cell, found)} of {fmt.number(found.predicted_rps)}/s"
        for cell, found in panel.points
    ]
    more = f"; and {len(spoken) - NAMED} more" if len(spoken) > NAMED else ""
    named = f"Measured against predicted, {panel.facet.name}: {'; '.join(spoken[:NAMED])}{more}."
    return named + left_out_words(panel.left_out)


def _lines(facet: Facet) -> list[list[Case]]:
    """Cases of one series, by rising number of workers; each case alone where that would be one line in all."""
    if facet.by_subject or facet.by_id:
        return [[case] for case in facet.cases]
    names = dict.fromkeys(facet.series(case) for case in facet.cases)
    if len(names) > LINES_PER_PANEL * 2:
        return [[case] for case in facet.cases]
    return [
        sorted(
            (case for case in facet.cases if facet.series(case) == name),
            key=lambda case: (case.workers or 0, case.load.rate_rps),
        )
        for name in names
    ]


def _is_by_rate(facet: Facet) -> bool:
    """Whether its lines go from rate to rate, not from one number of workers to the next."""
    return len({case.load.label for case in facet.cases}) > 1


def _name(facet: Facet, case: Case) -> str:
    return f"{facet.series(case)} at {case.load.rate_rps:g}/s" if _is_by_rate(facet) else facet.told(case)


def _line_name(facet: Facet, line: Sequence[Point]) -> str:
    first, last = line[0].throughput.case, line[-1].throughput.case
    if len(line) == 1:
        return _name(facet, last)
    if _is_by_rate(facet):
        return f"{facet.series(last)}, {first.load.rate_rps:g}–{last.load.rate_rps:g}/s"
    return f"{facet.series(last)}, {first.workers}–{last.workers}"


def _ratio_name(facet: Facet, cell: Cell, found: Prediction) -> str:
    return f"×{(cell.value or 0.0) / found.predicted_rps:.2f} {facet.told(cell.case)}"


def _furthest(points: Sequence[LineEnd]) -> list[LineEnd]:
    """The points furthest from the diagonal, in their own order."""
    furthest = sorted(points, key=lambda end: -abs(np.log(end.y / end.x)))[:NAMED]
    return [end for end in points if end in furthest]


def _rates_axes(axes: Axes, low: float, high: float, box: Box) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(low, high)
    axes.set_ylim(low, high)
    set_ticks(axes, "x", log_ticks(low, high, box.width_in / _TICK_ROOM_IN), fmt.tick_number)
    set_ticks(axes, "y", log_ticks(low, high, box.height_in / _TICK_ROOM_IN), fmt.tick_number)


def _plane_box(panel: PlanePanel) -> Box:
    return plot_box(panel.facet, height_for(min(len(panel.lines), NAMED)), width_in=_PLANE_IN)


def _predicted_box(panel: PredictedPanel) -> Box:
    return plot_box(panel.facet, height_for(min(len(panel.points), NAMED)), width_in=_PREDICTED_IN)
