"""Throughput and latency against the number of workers; a line per mode."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from loopwise.analysis.scaling import Scaling
from loopwise.analysis.summary import Summary
from loopwise.report import format as fmt
from loopwise.report.cells import Cell, Cells, latency_metric, latency_name, positive_ends, workers_name
from loopwise.report.charts.kit.axes import latency_axis, set_ticks, throughput_axis
from loopwise.report.charts.kit.chart import Chart
from loopwise.report.charts.kit.frame import Frame
from loopwise.report.charts.kit.lines import QUANTITY_IN, Box, LinePanel, Plot

_LATENCY_HEIGHT_IN = 1.3
_BETWEEN_IN = 0.3
"""From the upper plot's ticks to the lower plot's quantity."""
_CURVE_POINTS = 40
_LABEL_ROOM = 0.09
"""Part of the axis that the label of a worker count takes."""


@dataclass(frozen=True)
class WorkersPanel(LinePanel):
    """Throughput and p99 against the number of workers; a line per mode, without its invalid points."""

    lines: tuple[tuple[Cell, ...], ...]
    laws: tuple[Scaling | None, ...]
    """The fitted law of each line, where it has one."""
    tails: tuple[tuple[Cell, ...], ...]
    """p99 of each line's cases, where it is known: of the response time in open load."""
    subject = "Requests a second against workers"

    @property
    def boxes(self) -> list[Box]:
        """Throughput, and p99 below it where it is known."""
        upper = self.box()
        below_in = upper.height_in + _BETWEEN_IN + QUANTITY_IN
        return [upper, self.box(_LATENCY_HEIGHT_IN, below_in=below_in)] if any(self.tails) else [upper]

    def figures(self) -> str:
        """Each line's throughput by number of workers, with the p99 where it is known."""
        p99 = {cell.case.case_id: f" with a p99 of {fmt.duration(cell.value)}" for line in self.tails for cell in line}
        spoken = []
        for line in self.lines:
            points = [
                f"{fmt.number(cell.value)} on {workers_name(cell.case)}{p99.get(cell.case.case_id, '')}"
                for cell in line
            ]
            spoken.append(f"{self.facet.series(line[0].case)} {', '.join(points)}")
        return "; ".join(spoken)

    def draw_plots(self, frame: Frame) -> None:
        """Lines with intervals; the label of a line says how much the most workers serve over the fewest."""
        upper, *lower = self.boxes
        plot = Plot(frame, upper, "requests/s")
        points = [cell for line in self.lines for cell in line]
        throughput_axis(plot.axes, "y", max(end for cell in points for end in cell.ends))
        counts = sorted({cell.case.workers or 0 for cell in points})
        series = [self.facet.series(line[0].case) for line in self.lines]
        names = [f"{name} {scaling(line)}".strip() for name, line in zip(series, self.lines, strict=True)]
        self._draw_lines(plot, counts, names, self.lines)
        for index, law in enumerate(self.laws):
            if law is not None:
                along = np.geomspace(law.workers[0], law.workers[-1], _CURVE_POINTS)
                colour = self.line_style(self.lines[index][0].case, index).colour
                plot.axes.plot(along, list(map(law.throughput_rps, along)), color=colour, ls="-", lw=0.8)
        for box in lower:
            tails = [cell for line in self.tails for cell in line]
            plot = Plot(frame, box, f"{latency_name(tails[0].case)} p99")
            latency_axis(plot.axes, "y", positive_ends(tails), box.height_in)
            self._draw_lines(plot, counts, series, self.tails)
        plot.axes.set_xlabel("workers")

    def _draw_lines(
        self, plot: Plot, counts: Sequence[int], names: Sequence[str], lines: Sequence[Sequence[Cell]]
    ) -> None:
        # Doublings are equal steps, as they are when people choose worker counts.
        plot.axes.set_xscale("log", base=2)
        plot.axes.set_xlim(counts[0] / 1.12, counts[-1] * 1.12)
        set_ticks(plot.axes, "x", spaced(counts), lambda count: f"{count:.0f}")
        for index, (name, line) in enumerate(zip(names, lines, strict=True)):
            if line:
                workers = [cell.case.workers or 0 for cell in line]
                style = self.line_style(line[0].case, index)
                plot.line(workers, line, style, name, elinewidth=1.1, capsize=2.5)
        plot.name_lines()


def workers_panels(summary: Summary) -> list[WorkersPanel]:
    """One panel per facet that has valid cases on more than one number of workers."""
    cells = Cells(summary)
    panels = []
    for facet in cells.facets:
        if facet.by_subject or facet.by_id:
            continue
        known = [case for case in facet.cases if case.workers is not None]
        left_out = tuple(facet.full_label(case) for case in known if not cells.cell(case, "throughput_rps").usable)
        rows = (cells.row(members, "throughput_rps") for members in facet.by_series.values())
        lines = [tuple(cell for cell in row if cell.usable and cell.case.workers is not None) for row in rows]
        if len({cell.case.workers for line in lines for cell in line}) > 1:
            kept = tuple(line for line in lines if line)
            laws = tuple(_law(summary, line) for line in kept)
            tails = tuple(_tail(cells, line) for line in kept)
            panels.append(WorkersPanel(facet, left_out, kept, laws, tails))
    return panels


WORKERS = Chart(
    "workers",
    "Throughput and latency against workers",
    "Higher throughput and lower p99 are better. Factor beside a name: most workers over fewest; thin"
    " curve: fitted law.",
    workers_panels,
)


def scaling(line: Sequence[Cell]) -> str:
    """Throughput on the most workers over that on the fewest: `×1.98`; empty where there is one point."""
    first, last = line[0].value, line[-1].value
    return fmt.ratio(last / first) if len(line) > 1 and first and last else ""


def spaced(counts: Sequence[int]) -> list[int]:
    """The counts whose labels have room beside each other on an axis of doublings; the first and the last always."""
    room = _LABEL_ROOM * (np.log(counts[-1] / counts[0]) or 1.0)
    kept = [counts[0]]
    for count in counts[1:-1]:
        if np.log(count / kept[-1]) > room and np.log(counts[-1] / count) > room:
            kept.append(count)
    return [*kept, counts[-1]]


def _law(summary: Summary, line: Sequence[Cell]) -> Scaling | None:
    ids = {cell.case.case_id for cell in line}
    return next((law for law in summary.scaling if ids.issuperset(law.case_ids)), None)


def _tail(cells: Cells, line: Sequence[Cell]) -> tuple[Cell, ...]:
    row = (cells.cell(cell.case, latency_metric(cell.case, "p99")) for cell in line)
    return tuple(cell for cell in row if cell.positive)
