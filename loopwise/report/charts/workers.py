"""Throughput and latency against the number of workers; a line per mode."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes

from loopwise.analysis.scaling import Scaling
from loopwise.analysis.summary import Summary
from loopwise.report import format as fmt
from loopwise.report.cells import Cell, Cells, Facet, latency_metric, latency_name, workers_name
from loopwise.report.charts.kit.axes import latency_axis, set_ticks, throughput_axis
from loopwise.report.charts.kit.frame import Frame
from loopwise.report.charts.kit.line_labels import Box, LineEnd, end_labels
from loopwise.report.charts.kit.line_panel import (
    QUANTITY_IN,
    left_out_words,
    line_looks,
    lines_height_in,
    note_left_out,
    plot,
    plot_box,
    reach,
)
from loopwise.report.charts.kit.style import ModeStyle

_LATENCY_HEIGHT_IN = 1.3
_BETWEEN_IN = 0.3
"""From the upper plot's ticks to the lower plot's quantity."""
_CURVE_POINTS = 40


@dataclass(frozen=True)
class WorkersPanel:
    """Throughput and p99 against the number of workers; a line per mode, without its invalid points."""

    facet: Facet
    lines: tuple[tuple[Cell, ...], ...]
    left_out: tuple[str, ...]
    laws: tuple[Scaling | None, ...] = ()
    """The fitted law of each line, where it has one."""
    tails: tuple[tuple[Cell, ...], ...] = ()
    """p99 of each line's cases, where it is known: of the response time in open load."""


def workers_panels(summary: Summary) -> list[WorkersPanel]:
    """One panel per facet that has valid cases on more than one number of workers."""
    cells = Cells(summary)
    panels = []
    for facet in cells.facets:
        series = dict.fromkeys(facet.series(case) for case in facet.cases)
        row = [cell for cell in cells.row(facet.cases, "throughput_rps") if cell.case.workers is not None]
        lines = [
            tuple(cell for cell in row if facet.series(cell.case) == name and cell.usable) for name in series
        ]
        left_out = tuple(facet.told(cell.case) for cell in row if not cell.usable)
        if (
            not (facet.by_subject or facet.by_id)
            and len({cell.case.workers for line in lines for cell in line}) > 1
        ):
            kept = tuple(line for line in lines if line)
            laws = tuple(_law(summary, line) for line in kept)
            tails = tuple(_tail(cells, line) for line in kept)
            panels.append(WorkersPanel(facet, kept, left_out, laws, tails))
    return panels


def panel_height_in(panel: WorkersPanel) -> float:
    """Height of heading, plots, axis, and the note on what was left out."""
    return lines_height_in(_boxes(panel)[-1], panel.left_out)


def draw_workers(frame: Frame, panel: WorkersPanel) -> None:
    """A line per mode with intervals; its label says what the most workers bring over the fewest."""
    frame.heading(panel.facet.heading, panel.facet.context)
    boxes = _boxes(panel)
    axes = plot(frame, boxes[0], "requests/s")
    points = [cell for line in panel.lines for cell in line]
    throughput_axis(
        axes, "y", max(end for cell in points for end in (cell.high, cell.value) if end is not None)
    )
    counts = sorted({cell.case.workers or 0 for cell in points})
    _workers_axis(axes, counts)
    names = [f"{panel.facet.series(line[0].case)} {scaling(line)}".strip() for line in panel.lines]
    _draw_lines(frame, axes, boxes[0], panel, list(zip(names, panel.lines, strict=True)))
    for index, law in enumerate(panel.laws):
        if law is not None:
            along = np.geomspace(law.workers[0], law.workers[-1], _CURVE_POINTS)
            looks = _looks(panel, index)
            axes.plot(along, [law.throughput_rps(each) for each in along], color=looks.colour, ls="-", lw=0.8)
    if len(boxes) > 1:
        tails = [cell for line in panel.tails for cell in line]
        axes = plot(frame, boxes[1], f"{latency_name(tails[0].case)} p99")
        values_ms = [end for cell in tails for end in (cell.low, cell.value, cell.high) if end]
        latency_axis(axes, "y", [value for value in values_ms if value > 0], _LATENCY_HEIGHT_IN)
        _workers_axis(axes, counts)
        names = [panel.facet.series(line[0].case) for line in panel.lines]
        _draw_lines(frame, axes, boxes[1], panel, list(zip(names, panel.tails, strict=True)))
    axes.set_xlabel("workers")
    note_left_out(frame, boxes[-1], panel.left_out)


def scaling(line: Sequence[Cell]) -> str:
    """Throughput on the most workers over that on the fewest: `×1.98`; empty where there is one point."""
    first, last = line[0].value, line[-1].value
    return fmt.ratio(last / first) if len(line) > 1 and first and last else ""


def describe_workers(panel: WorkersPanel) -> str:
    """What the chart shows, in words, for those who can't see it."""
    tails = panel.tails or ((),) * len(panel.lines)
    spoken = []
    for line, tail in zip(panel.lines, tails, strict=True):
        known = {cell.case.case_id: cell for cell in tail}
        points = [
            f"{fmt.number(cell.value)} on {workers_name(cell.case)}"
            + (
                f" with a p99 of {fmt.duration(known[cell.case.case_id].value)}"
                if cell.case.case_id in known
                else ""
            )
            for cell in line
        ]
        spoken.append(f"{panel.facet.series(line[0].case)} {', '.join(points)}")
    named = f"Requests a second against workers, {panel.facet.name}: {'; '.join(spoken)}."
    return named + left_out_words(panel.left_out)


def _law(summary: Summary, line: Sequence[Cell]) -> Scaling | None:
    ids = {cell.case.case_id for cell in line}
    return next((law for law in summary.scaling if ids.issuperset(law.case_ids)), None)


def _tail(cells: Cells, line: Sequence[Cell]) -> tuple[Cell, ...]:
    found = [cells.cell(cell.case, latency_metric(cell.case, "p99")) for cell in line]
    return tuple(cell for cell in found if cell.usable and (cell.value or 0.0) > 0)


def _boxes(panel: WorkersPanel) -> list[Box]:
    """Where the plots lie; one where no p99 is known."""
    upper = plot_box(panel.facet)
    if not any(panel.tails):
        return [upper]
    below_in = upper.height_in + _BETWEEN_IN + QUANTITY_IN
    return [upper, plot_box(panel.facet, _LATENCY_HEIGHT_IN, below_in)]


def _workers_axis(axes: Axes, counts: Sequence[int]) -> None:
    # Doublings are equal steps, as they are when people choose worker counts.
    axes.set_xscale("log", base=2)
    axes.set_xlim(counts[0] / 1.12, counts[-1] * 1.12)
    set_ticks(axes, "x", spaced(counts), lambda count: f"{count:.0f}")


def spaced(counts: Sequence[int]) -> list[int]:
    """The counts whose labels have room beside each other on an axis of doublings."""
    span = np.log(counts[-1] / counts[0]) or 1.0
    kept = [counts[0]]
    kept += [
        count
        for count in counts[1:-1]
        if np.log(counts[-1] / count) > 0.09 * span and np.log(count / counts[0]) > 0.09 * span
    ]
    thinned = [kept[0]]
    for count in kept[1:]:
        if np.log(count / thinned[-1]) > 0.09 * span:
            thinned.append(count)
    return [*thinned, counts[-1]]


def _looks(panel: WorkersPanel, index: int) -> ModeStyle:
    return line_looks(panel.facet, panel.lines[index][0].case, index)


def _draw_lines(
    frame: Frame, axes: Axes, box: Box, panel: WorkersPanel, named: Sequence[tuple[str, Sequence[Cell]]]
) -> None:
    """A line with intervals per series, named where it ends."""
    labels: list[LineEnd] = []
    for index, (name, line) in enumerate(named):
        if not line:
            continue
        looks = _looks(panel, index)
        workers = [cell.case.workers or 0 for cell in line]
        values = [cell.value or 0.0 for cell in line]
        axes.errorbar(workers, values, yerr=reach(line), color=looks.colour, ls=looks.line,
                      marker=looks.marker, ms=5, elinewidth=1.1, capsize=2.5)  # fmt: skip
        labels.append(LineEnd(workers[-1], values[-1], name, looks))
    end_labels(frame, axes, box, labels)
