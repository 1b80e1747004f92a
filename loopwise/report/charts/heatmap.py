"""Heat maps of throughput and latency over the two factors that the suite varies."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_hex, to_rgb
from matplotlib.patches import Rectangle

from loopwise.analysis.summary import Summary
from loopwise.model import Case
from loopwise.model.factors import is_own
from loopwise.model.naming import variants
from loopwise.report import format as fmt
from loopwise.report.cells import (
    Cell,
    Cells,
    grouped,
    latency_metric,
    latency_name,
    mode_name,
    server_names,
    workers_name,
)
from loopwise.report.charts.kit.chart import Chart
from loopwise.report.charts.kit.frame import PANEL_WIDTH_IN, Frame, heading_height_in
from loopwise.report.charts.kit.style import MUTED, VOID, fit, text_width_in
from loopwise.visible import clean

COLUMNS_PER_PANEL, ROWS_PER_PANEL = 8, 20

_ROW_IN = 0.24
_TITLE_IN = 0.24
_NAME_LINE_IN = 0.13
_NAMES_GAP_IN = 0.07
_BETWEEN_IN = 0.12
_LABELS_MAX_IN = 1.5
_LABEL_GAP_IN = 0.1
_CELL_MAX_IN = 0.8
_AIR_IN = 0.06
_PT = 7
# One hue from light to dark, so that order is seen in grey, too. Not the ink colours: a page would swap those.
_COLOURS = LinearSegmentedColormap.from_list("loopwise", ["#e8f1f8", "#6aaed6", "#08306b"])
_DARK_INK, _LIGHT_INK = "#000000", "#ffffff"
_LIGHT_BELOW = 0.179
"""The luminance at which white and black letters are read equally well (WCAG 2, contrast ratio)."""


Grid = tuple[tuple[Cell | None, ...], ...]
Factor = Callable[[Case], str]


class _Metric(NamedTuple):
    """Title of a grid, and colour and text of its cells."""

    title: str
    places: dict[str, float]
    """Position of each value on the scale of colours, 0–1, by case_id."""
    say: Callable[[float], str]


@dataclass(frozen=True)
class HeatmapPanel:
    """Cells by row and column, of requests a second and of p99; None where the suite has no such case."""

    heading: str
    context: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    throughput: Grid
    latency: Grid

    @property
    def height_in(self) -> float:
        """Height of the heading and of two grids."""
        return heading_height_in(self.heading) + 2 * self._grid_height_in + _BETWEEN_IN

    def describe(self) -> str:
        """Alternative text: throughput and p99 by row and column."""
        spoken = []
        for name, figures, latencies in zip(self.rows, self.throughput, self.latency, strict=True):
            said = [
                f"{column} {_words(figure, latency)}"
                for column, figure, latency in zip(self.columns, figures, latencies, strict=True)
                if figure is not None
            ]
            spoken.append(f"{name}: {', '.join(said)}")
        named = ", ".join(part for part in (self.heading, self.context) if part)
        return f"Requests a second and p99 of {named}. {'; '.join(spoken)}."

    def draw(self, frame: Frame) -> None:
        """A grid of throughput over one of latency: darker is more."""
        frame.heading(self.heading, self.context)
        top_in = heading_height_in(self.heading)
        values = [cell for row in self.throughput for cell in row]
        metric = _Metric("requests/s", _linear_places(values), fmt.tick_number)
        self._draw_grid(frame, top_in, self.throughput, metric)
        values = [cell for row in self.latency for cell in row]
        names = dict.fromkeys(latency_name(cell.case) for cell in values if cell)
        metric = _Metric(f"{' or '.join(names)} p99", _log_places(values), fmt.tick_duration)
        self._draw_grid(frame, top_in + self._grid_height_in + _BETWEEN_IN, self.latency, metric)

    @property
    def _grid_height_in(self) -> float:
        return _TITLE_IN + self._names_in + len(self.rows) * _ROW_IN

    @cached_property
    def _columns_in(self) -> tuple[float, float]:
        """Left edge of the columns, and the width of each."""
        left_in = min(max(text_width_in(name) for name in self.rows), _LABELS_MAX_IN) + _LABEL_GAP_IN
        return left_in, min((PANEL_WIDTH_IN - left_in) / len(self.columns), _CELL_MAX_IN)

    @cached_property
    def _name_lines(self) -> list[list[str]]:
        """The columns' names; one that is wider than its column goes on below, after its first word."""
        room_in = self._columns_in[1] - _AIR_IN
        names = []
        for name in self.columns:
            head, _, rest = name.partition(" ")
            is_whole = text_width_in(name, _PT) <= room_in or not rest
            names.append([fit(line, room_in, _PT) for line in ([name] if is_whole else [head, rest])])
        return names

    @property
    def _names_in(self) -> float:
        return max(len(lines) for lines in self._name_lines) * _NAME_LINE_IN + _NAMES_GAP_IN

    def _draw_grid(self, frame: Frame, top_in: float, grid: Grid, metric: _Metric) -> None:
        """The metric's name, the columns' names, and a coloured cell with its figure for each case."""
        left_in, cell_in = self._columns_in
        frame.text(0, top_in + _TITLE_IN / 2, metric.title, size=_PT, color=MUTED)
        top_in += _TITLE_IN + self._names_in
        for index, lines in enumerate(self._name_lines):
            for up, line in enumerate(reversed(lines)):
                at_in = top_in - _NAMES_GAP_IN / 2 - (up + 0.5) * _NAME_LINE_IN
                frame.text(left_in + (index + 0.5) * cell_in, at_in, line, size=_PT, ha="center")
        axes = frame.axes(left_in, top_in, cell_in * len(self.columns), len(self.rows) * _ROW_IN)
        axes.set(xlim=(0, len(self.columns)), ylim=(len(self.rows), 0))
        axes.set_axis_off()
        for down, (name, row) in enumerate(zip(self.rows, grid, strict=True)):
            middle_in = top_in + (down + 0.5) * _ROW_IN
            frame.text(0, middle_in, fit(name, left_in - _LABEL_GAP_IN))
            for across, cell in enumerate(row):
                at_in = left_in + (across + 0.5) * cell_in
                place = None if cell is None else metric.places.get(cell.case.case_id)
                text, ink = _fill(axes, (across, down), cell, place, metric.say)
                frame.text(at_in, middle_in, fit(text, cell_in - _AIR_IN, _PT), size=_PT, ha="center", color=ink)


def heatmap_panels(summary: Summary) -> list[HeatmapPanel]:
    """Panels over the first pair of factors that both vary, one per combination of the others."""
    if summary.duel:
        return []
    cells = Cells(summary)
    factors = _factors(cells.cases)
    pairs = product(("mode", "subject", "server", "load"), ("workers", "load", "server", "subject"))
    candidates = (_panels(cells, factors, row, column) for row, column in pairs if row != column)
    return next(filter(None, candidates), [])


HEATMAP = Chart(
    "heatmap",
    "Two factors at once",
    "Throughput, and p99 below it, over the two factors that vary: darker is more; hatched: invalid;"
    " dash: no such case.",
    heatmap_panels,
    more="Each grid has a scale of its own, logarithmic for latency.",
    has_intervals=False,
)


def _words(figure: Cell, latency: Cell | None) -> str:
    if not figure.usable:
        return "invalid" if figure.invalid else "no figure"
    tail = f" with {fmt.duration(latency.value)}" if latency is not None and latency.usable else ""
    return f"{fmt.number(figure.value)}/s{tail}"


def _factors(cases: Sequence[Case]) -> dict[str, Factor]:
    servers = server_names(cases)
    words: dict[str, str] = {}
    for rivals in grouped(cases, lambda case: case.subject).values():
        words |= variants(rivals)
    return {
        "mode": lambda case: clean(f"{mode_name(case, cases)} {words[case.case_id]}".strip()),
        "subject": lambda case: clean(case.subject),
        "server": lambda case: servers[case.case_id],
        "load": lambda case: case.load.label,
        "workers": workers_name,
    }


def _panels(cells: Cells, factors: dict[str, Factor], row: str, column: str) -> list[HeatmapPanel]:
    others = {name: factor for name, factor in factors.items() if name not in {row, column}}
    panels = []
    groups = grouped(cells.cases, lambda case: tuple(factor(case) for factor in others.values()))
    for key, members in groups.items():
        ordered = sorted(members, key=lambda case: case.workers or 0) if column == "workers" else members
        rows = list(dict.fromkeys(factors[row](case) for case in members))
        columns = list(dict.fromkeys(factors[column](case) for case in ordered))
        at = {(factors[row](case), factors[column](case)): case for case in members}
        # Cases that share a place differ by something that no factor names: such a grid would hide some.
        if len(rows) < 2 or len(columns) < 2 or len(at) < len(members):
            continue
        fixed = dict(zip(others, key, strict=True))
        heading = fixed.pop("subject", None) or ("Every endpoint" if is_own(members[0]) else "Every workload")
        panels += _chunks(cells, at, rows, columns, (heading, " · ".join(fixed.values())))
    return [panel for panel in panels if any(cell and cell.usable for line in panel.throughput for cell in line)]


def _chunks(
    cells: Cells,
    at: dict[tuple[str, str], Case],
    rows: Sequence[str],
    columns: Sequence[str],
    named: tuple[str, str],
) -> list[HeatmapPanel]:
    """Panels of no more rows and columns than can be read."""
    panels = []
    starts = product(range(0, len(rows), ROWS_PER_PANEL), range(0, len(columns), COLUMNS_PER_PANEL))
    for top, left in starts:
        across, down = columns[left : left + COLUMNS_PER_PANEL], rows[top : top + ROWS_PER_PANEL]
        grid = [[at.get((row, column)) for column in across] for row in down]
        throughput = tuple(
            tuple(None if case is None else cells.cell(case, "throughput_rps") for case in row) for row in grid
        )
        latency = tuple(
            tuple(None if case is None else cells.cell(case, latency_metric(case, "p99")) for case in row)
            for row in grid
        )
        panels.append(HeatmapPanel(*named, tuple(down), tuple(across), throughput, latency))
    return panels


def _fill(
    axes: Axes, at: tuple[int, int], cell: Cell | None, place: float | None, say: Callable[[float], str]
) -> tuple[str, str]:
    """Colour a cell; returns the text to write into it, and its colour."""
    box = Rectangle((at[0] + 0.03, at[1] + 0.05), 0.94, 0.9, lw=0)
    if cell is None or cell.value is None or place is None:
        is_void = cell is not None and cell.invalid is not None
        if is_void:
            box.set(fill=False, edgecolor=VOID, hatch="////", lw=0.6)
            axes.add_patch(box)
        return ("" if is_void else fmt.NONE), MUTED
    fill, ink = colours(place)
    box.set_facecolor(fill)
    axes.add_patch(box)
    return say(float(f"{cell.value:.3g}")), ink


def colours(place: float) -> tuple[str, str]:
    """Colours of a cell and of the letters in it, by the position of its value on the scale, 0–1."""
    fill = to_rgb(_COLOURS(place))
    return to_hex(fill), _LIGHT_INK if luminance(fill) < _LIGHT_BELOW else _DARK_INK


def luminance(colour: tuple[float, float, float]) -> float:
    """Relative luminance, 0–1, of a colour in sRGB.

    Source: Web Content Accessibility Guidelines 2.2, "relative luminance".
    """
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear_places(cells: Sequence[Cell | None]) -> dict[str, float]:
    """Position of each usable value between zero and the highest, 0–1, by case_id."""
    known = {cell.case.case_id: cell.number for cell in cells if cell and cell.usable}
    highest = max(known.values(), default=0.0)
    return {case_id: value / highest if highest > 0 else 0.0 for case_id, value in known.items()}


def _log_places(cells: Sequence[Cell | None]) -> dict[str, float]:
    """Position of each positive value between the logs of the lowest and the highest, 0–1, by case_id."""
    logs = {cell.case.case_id: math.log(cell.number) for cell in cells if cell and cell.positive}
    low, high = min(logs.values(), default=0.0), max(logs.values(), default=0.0)
    return {case_id: (value - low) / (high - low) if high > low else 0.0 for case_id, value in logs.items()}
