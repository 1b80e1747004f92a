"""Open load: latency against the offered rate, from when a request was sent and from when it was due."""

from collections.abc import Sequence
from dataclasses import dataclass

from loopwise.analysis.summary import Summary
from loopwise.model import Case
from loopwise.report import format as fmt
from loopwise.report.cells import Cell, Cells, Facet, served_by, workers_name
from loopwise.report.charts.kit.axes import latency_axis, linear_ticks, set_ticks
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
from loopwise.report.charts.kit.style import PAPER

KINDS = ("response", "service")
"""Late requests are in the response time only: the gap between the two is the queue."""
PERCENTILE = "p99"

_AIR = 1.04
_PLOT_WIDTH_IN = 2.2
_RESPONSE_PT, _SERVICE_PT = 5.5, 3.2


@dataclass(frozen=True)
class RatePanel:
    """Latencies of cases that differ in mode and rate; a line per mode and kind, by rising rate."""

    facet: Facet
    lines: tuple[tuple[tuple[Cell, ...], ...], ...]
    """Per mode the cells of response and of service time."""
    left_out: tuple[str, ...]


def rate_panels(summary: Summary) -> list[RatePanel]:
    """One panel per subject, server and number of workers that was asked at several steady rates."""
    cells = Cells(summary)
    panels = []
    for whole in rate_facets(cells):
        names = list(dict.fromkeys(whole.series(case) for case in whole.cases))
        for start in range(0, len(names), LINES_PER_PANEL):
            panel = _panel(cells, whole, names[start : start + LINES_PER_PANEL])
            if panel.lines:
                panels.append(panel)
    return panels


def rate_facets(cells: Cells) -> list[Facet]:
    """Cases in open load that differ in mode and steady rate, where there are several rates."""
    groups: dict[tuple[str, str, int | None, str], list[Case]] = {}
    for case in cells.cases:
        if case.load.model == "open" and case.load.ramp_to_rps is None:
            key = (case.subject, served_by(case), case.workers, case.load.arrivals)
            groups.setdefault(key, []).append(case)
    return [
        Facet(
            fmt.clean(subject),
            fmt.clean(f"{server} · {arrivals} arrivals · {workers_name(members[0])}"),
            tuple(members),
        )
        for (subject, server, _, arrivals), members in groups.items()
        if len({case.load.rate_rps for case in members}) > 1
    ]


def panel_height_in(panel: RatePanel) -> float:
    """Height of heading, plot, axis, and the note on what was left out."""
    return lines_height_in(_box(panel), panel.left_out)


def draw_rate(frame: Frame, panel: RatePanel) -> None:
    """Response time as the mode's line with filled marks, service time thin with hollow ones."""
    frame.heading(panel.facet.heading, panel.facet.context)
    box = _box(panel)
    axes = plot(frame, box, f"{PERCENTILE} latency")
    points = [cell for pair in panel.lines for line in pair for cell in line]
    reach_ms = [end for cell in points for end in (cell.low, cell.value, cell.high) if end and end > 0]
    latency_axis(axes, "y", reach_ms, box.height_in)
    highest_rps = max(cell.case.load.rate_rps for cell in points) * _AIR
    axes.set_xlim(0, highest_rps)
    set_ticks(axes, "x", linear_ticks(highest_rps), fmt.tick_number)
    axes.set_xlabel("offered requests/s")
    labels = []
    for index, pair in enumerate(panel.lines):
        looks = line_looks(panel.facet, next(line[0] for line in pair if line).case, index)
        for kind, line in zip(KINDS, pair, strict=True):
            if not line:
                continue
            is_response = kind == "response"
            rates = [cell.case.load.rate_rps for cell in line]
            values_ms = [cell.value or 0.0 for cell in line]
            axes.errorbar(
                rates,
                values_ms,
                yerr=reach(line),
                color=looks.colour,
                ls=looks.line if is_response else ":",
                lw=1.8 if is_response else 1.0,
                marker=looks.marker,
                ms=_RESPONSE_PT if is_response else _SERVICE_PT,
                # Small, light and on top: where nothing waited, both marks lie on the same place.
                mfc=looks.colour if is_response else PAPER,
                zorder=3 if is_response else 4,
                elinewidth=0.9,
                capsize=2,
            )
            name = f"{kind}, {panel.facet.series(line[0].case)}"
            labels.append(LineEnd(rates[-1], values_ms[-1], name, looks, is_hollow=not is_response))
    end_labels(frame, axes, box, labels)
    note_left_out(frame, box, panel.left_out)


def describe_rate(panel: RatePanel) -> str:
    """What the chart shows, in words, for those who can't see it."""
    spoken = []
    for pair in panel.lines:
        for kind, line in zip(KINDS, pair, strict=True):
            points = [f"{fmt.duration(cell.value)} at {cell.case.load.rate_rps:g}/s" for cell in line]
            if points:
                spoken.append(f"{panel.facet.series(line[0].case)} {kind} time {', '.join(points)}")
    named = f"{PERCENTILE} latency against offered rate, {panel.facet.name}: {'; '.join(spoken)}."
    return named + left_out_words(panel.left_out)


def _panel(cells: Cells, whole: Facet, names: Sequence[str]) -> RatePanel:
    mine = tuple(case for case in whole.cases if whole.series(case) in names)
    lines = []
    for name in names:
        rising = sorted(
            (case for case in mine if whole.series(case) == name), key=lambda case: case.load.rate_rps
        )
        pair = tuple(_line(cells, rising, kind) for kind in KINDS)
        if any(pair):
            lines.append(pair)
    left_out = tuple(
        f"{whole.series(case)} at {case.load.rate_rps:g}/s" for case in mine if cells.why_invalid(case)
    )
    return RatePanel(Facet(whole.heading, whole.context, mine), tuple(lines), left_out)


def _line(cells: Cells, cases: Sequence[Case], kind: str) -> tuple[Cell, ...]:
    found = cells.row(cases, f"{kind}_time_{PERCENTILE}_ms")
    return tuple(cell for cell in found if cell.usable and (cell.value or 0.0) > 0)


def _box(panel: RatePanel) -> Box:
    names = sum(1 for pair in panel.lines for line in pair if line)
    return plot_box(panel.facet, height_for(names), width_in=_PLOT_WIDTH_IN)
