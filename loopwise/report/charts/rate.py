"""Open load: latency against the offered rate, from when a request was sent and from when it was due."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from loopwise.analysis.summary import Summary
from loopwise.model import Case
from loopwise.report import format as fmt
from loopwise.report.cells import Cell, Cells, Facet, grouped, positive_ends, served_by, workers_name
from loopwise.report.charts.kit.axes import latency_axis, linear_ticks, set_ticks
from loopwise.report.charts.kit.chart import Chart
from loopwise.report.charts.kit.frame import Frame
from loopwise.report.charts.kit.lines import LINES_PER_PANEL, Box, LinePanel, Plot
from loopwise.report.charts.kit.style import PAPER
from loopwise.visible import clean

KINDS = ("response", "service")
"""Late requests are in the response time only: the gap between the two is the queue."""
PERCENTILE = "p99"

_AIR = 1.04
_PLOT_WIDTH_IN = 2.2


@dataclass(frozen=True)
class RatePanel(LinePanel):
    """Latencies of cases that differ in mode and rate; a line per mode and kind, by rising rate."""

    lines: tuple[tuple[tuple[Cell, ...], ...], ...]
    """Per mode the cells of response and of service time."""
    subject = f"{PERCENTILE} latency against offered rate"

    @property
    def boxes(self) -> list[Box]:
        """One plot, high enough for the names of its lines."""
        names = sum(1 for pair in self.lines for line in pair if line)
        return [self.box_beside(names, width_in=_PLOT_WIDTH_IN)]

    def figures(self) -> str:
        """Each line's latencies by rate."""
        spoken = []
        for pair in self.lines:
            for kind, line in zip(KINDS, pair, strict=True):
                points = [f"{fmt.duration(cell.value)} at {cell.case.load.rate_rps:g}/s" for cell in line]
                if points:
                    spoken.append(f"{self.facet.series(line[0].case)} {kind} time {', '.join(points)}")
        return "; ".join(spoken)

    def draw_plots(self, frame: Frame) -> None:
        """Response time as the mode's line with filled marks, service time thin with hollow ones."""
        (box,) = self.boxes
        plot = Plot(frame, box, f"{PERCENTILE} latency")
        points = [cell for pair in self.lines for line in pair for cell in line]
        latency_axis(plot.axes, "y", positive_ends(points), box.height_in)
        highest_rps = max(cell.case.load.rate_rps for cell in points) * _AIR
        plot.axes.set_xlim(0, highest_rps)
        set_ticks(plot.axes, "x", linear_ticks(highest_rps), fmt.tick_number)
        plot.axes.set_xlabel("offered requests/s")
        for index, (response, service) in enumerate(self.lines):
            style = self.line_style((response or service)[0].case, index)
            # Service time small, light and on top: where nothing waited, both marks lie on the same place.
            for kind, line, options in (
                ("response", response, {"lw": 1.8, "ms": 5.5, "mfc": style.colour, "zorder": 3}),
                ("service", service, {"ls": ":", "lw": 1.0, "ms": 3.2, "mfc": PAPER, "zorder": 4}),
            ):
                if line:
                    rates = [cell.case.load.rate_rps for cell in line]
                    name = f"{kind}, {self.facet.series(line[0].case)}"
                    plot.line(rates, line, style, name, elinewidth=0.9, capsize=2, **options)
        plot.name_lines()


def rate_panels(summary: Summary) -> list[RatePanel]:
    """One panel per subject, server and number of workers that was measured at several steady rates."""
    cells = Cells(summary)
    panels = []
    for facet in rate_facets(cells):
        names = list(facet.by_series)
        for start in range(0, len(names), LINES_PER_PANEL):
            panel = _panel(cells, facet, names[start : start + LINES_PER_PANEL])
            if panel.lines:
                panels.append(panel)
    return panels


def rate_facets(cells: Cells) -> list[Facet]:
    """Cases in open load that differ in mode and steady rate, where there are several rates."""
    steady = [case for case in cells.cases if case.load.model == "open" and case.load.ramp_to_rps is None]
    groups = grouped(steady, lambda case: (case.subject, served_by(case), case.workers, case.load.arrivals))
    return [
        Facet(
            clean(subject),
            clean(f"{server} · {arrivals} arrivals · {workers_name(members[0])}"),
            tuple(members),
        )
        for (subject, server, _, arrivals), members in groups.items()
        if len({case.load.rate_rps for case in members}) > 1
    ]


RATE = Chart(
    "rate",
    "Latency against offered rate",
    "Lower is better. Filled: response time, from when a request was due; hollow: service time, from when it was sent.",
    rate_panels,
    more="What lies between them is time spent waiting to be sent; a line bends upwards at the server's limit. Loads"
    " whose rate rises are left out.",
)


def _panel(cells: Cells, facet: Facet, names: Sequence[str]) -> RatePanel:
    mine = tuple(case for case in facet.cases if facet.series(case) in names)
    lines = []
    for name in names:
        rising = sorted(facet.by_series[name], key=lambda case: case.load.rate_rps)
        pair = tuple(_line(cells, rising, kind) for kind in KINDS)
        if any(pair):
            lines.append(pair)
    left_out = tuple(f"{facet.series(case)} at {case.load.rate_rps:g}/s" for case in mine if cells.why_invalid(case))
    return RatePanel(replace(facet, cases=mine), left_out, tuple(lines))


def _line(cells: Cells, cases: Sequence[Case], kind: str) -> tuple[Cell, ...]:
    row = cells.row(cases, f"{kind}_time_{PERCENTILE}_ms")
    return tuple(cell for cell in row if cell.positive)
