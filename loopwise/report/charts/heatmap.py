"""Two metrics over two factors: rows and columns are what the suite varies most."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_hex, to_rgb
from matplotlib.patches import Rectangle

from loopwise.analysis.summary import Summary
from loopwise.model import Case
from loopwise.model.factors import variant
from loopwise.report import format as fmt
from loopwise.report.cells import (
    Cell,
    Cells,
    latency_metric,
    latency_name,
    mode_name,
    server_names,
    workers_name,
)
from loopwise.report.charts.kit.frame import PANEL_WIDTH_IN, Frame, heading_height_in
from loopwise.report.charts.kit.style import MUTED, VOID, fit, text_width_in

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
# One hue from light to dark, so that order is seen in grey, too. Not the ink colours: a page would swap those.
_COLOURS = LinearSegmentedColormap.from_list("loopwise", ["#e8f1f8", "#6aaed6", "#08306b"])
_DARK_INK, _LIGHT_INK = "#000000", "#ffffff"
_LIGHT_BELOW = 0.179
"""The luminance at which white and black letters are read equally well (WCAG 2, contrast ratio)."""


@dataclass(frozen=True)
class HeatmapPanel:
    """Cells by row and column, of requests a second and of p99; None where the suite has no such case."""

    heading: str
    context: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    throughput: tuple[tuple[Cell | None, ...], ...]
    latency: tuple[tuple[Cell | None, ...], ...]


@dataclass(frozen=True)
class _Grid:
    """One metric over the panel's rows and columns."""

    title: str
    cells: tuple[tuple[Cell | None, ...], ...]
    say: Callable[[float], str]
    is_log: bool


Factor = Callable[[Case], str]


def heatmap_panels(summary: Summary) -> list[HeatmapPanel]:
    """Panels over the first pair of factors that both vary, one per combination of the others."""
    cells = Cells(summary)
    if summary.duel:
        return []
    factors = _factors(cells.cases)
    for row, column in product(
        ("mode", "subject", "server", "load"), ("workers", "load", "server", "subject")
    ):
        if row != column:
            panels = _panels(cells, factors, row, column)
            if panels:
                return panels
    return []


def heatmap_height_in(panel: HeatmapPanel) -> float:
    """Height of the heading and of two grids."""
    return heading_height_in(panel.heading) + 2 * _grid_height_in(panel) + _BETWEEN_IN


def draw_heatmap(frame: Frame, panel: HeatmapPanel) -> None:
    """A grid of throughput over one of latency: darker is more."""
    frame.heading(panel.heading, panel.context)
    top_in = heading_height_in(panel.heading)
    _draw_grid(frame, panel, top_in, _Grid("requests/s", panel.throughput, fmt.tick_number, is_log=False))
    kinds = dict.fromkeys(latency_name(cell.case) for row in panel.latency for cell in row if cell)
    top_in += _grid_height_in(panel) + _BETWEEN_IN
    name = f"{' or '.join(kinds)} p99"
    _draw_grid(frame, panel, top_in, _Grid(name, panel.latency, fmt.tick_duration, is_log=True))


def describe_heatmap(panel: HeatmapPanel) -> str:
    """What the chart shows, in words, for those who can't see it."""
    spoken = []
    for name, figures, latencies in zip(panel.rows, panel.throughput, panel.latency, strict=True):
        said = [
            f"{column} {_spoken(figure, latency)}"
            for column, figure, latency in zip(panel.columns, figures, latencies, strict=True)
            if figure is not None
        ]
        spoken.append(f"{name}: {', '.join(said)}")
    named = ", ".join(part for part in (panel.heading, panel.context) if part)
    return f"Requests a second and p99 of {named}. {'; '.join(spoken)}."


def _spoken(figure: Cell, latency: Cell | None) -> str:
    if not figure.usable:
        return "invalid" if figure.invalid else "no figure"
    tail = f" with {fmt.duration(latency.value)}" if latency is not None and latency.usable else ""
    return f"{fmt.number(figure.value)}/s{tail}"


def _factors(cases: Sequence[Case]) -> dict[str, Factor]:
    named = server_names(cases)
    groups: dict[str, list[Case]] = {}
    for case in cases:
        groups.setdefault(case.subject, []).append(case)
    told = {
        case.case_id: f"{mode_name(case)} {variant(case, groups[case.subject])}".strip() for case in cases
    }
    return {
        "mode": lambda case: fmt.clean(told[case.case_id]),
        "subject": lambda case: fmt.clean(case.subject),
        "server": lambda case: named[case.case_id],
        "load": lambda case: case.load.label,
        "workers": workers_name,
    }


def _panels(cells: Cells, factors: dict[str, Factor], row: str, column: str) -> list[HeatmapPanel]:
    others = [name for name in factors if name not in {row, column}]
    groups: dict[tuple[str, ...], list[Case]] = {}
    for case in cells.cases:
        groups.setdefault(tuple(factors[name](case) for name in others), []).append(case)
    panels = []
    for key, members in groups.items():
        ordered = sorted(members, key=lambda case: case.workers or 0) if column == "workers" else members
        rows = list(dict.fromkeys(factors[row](case) for case in members))
        columns = list(dict.fromkeys(factors[column](case) for case in ordered))
        at = {(factors[row](case), factors[column](case)): case for case in members}
        # Cases that share a place are told apart by something that no factor names: such a grid would hide some.
        if len(rows) < 2 or len(columns) < 2 or len(at) < len(members):
            continue
        told = dict(zip(others, key, strict=True))
        heading = told.pop("subject", None) or (
            "Every endpoint" if members[0].mode == "own" else "Every workload"
        )
        context = " · ".join(told.values())
        panels += _chunks(cells, at, rows, columns, (heading, context))
    return [
        panel for panel in panels if any(cell and cell.usable for row in panel.throughput for cell in row)
    ]


def _chunks(
    cells: Cells,
    at: dict[tuple[str, str], Case],
    rows: Sequence[str],
    columns: Sequence[str],
    named: tuple[str, str],
) -> list[HeatmapPanel]:
    """Panels of no more rows and columns than can be read."""
    panels = []
    for top in range(0, len(rows), ROWS_PER_PANEL):
        for left in range(0, len(columns), COLUMNS_PER_PANEL):
            across = columns[left : left + COLUMNS_PER_PANEL]
            down = rows[top : top + ROWS_PER_PANEL]
            grid = [[at.get((row, column)) for column in across] for row in down]
            throughput, latency = (
                tuple(
                    tuple(None if case is None else cells.cell(case, metric(case)) for case in line)
                    for line in grid
                )
                for metric in (_throughput, _latency)
            )
            panels.append(HeatmapPanel(*named, tuple(down), tuple(across), throughput, latency))
    return panels


def _throughput(_: Case) -> str:
    return "throughput_rps"


def _latency(case: Case) -> str:
    return latency_metric(case, "p99")


def _grid_height_in(panel: HeatmapPanel) -> float:
    return _TITLE_IN + _names_in(panel) + len(panel.rows) * _ROW_IN


def _columns_in(panel: HeatmapPanel) -> tuple[float, float]:
    """Where the columns begin, and the width of each."""
    left_in = min(max(text_width_in(name) for name in panel.rows), _LABELS_MAX_IN) + _LABEL_GAP_IN
    return left_in, min((PANEL_WIDTH_IN - left_in) / len(panel.columns), _CELL_MAX_IN)


def _name_lines(panel: HeatmapPanel) -> list[list[str]]:
    """The columns' names; one that is wider than its column goes on below, after its first word."""
    room_in = _columns_in(panel)[1] - _AIR_IN
    names = []
    for name in panel.columns:
        head, _, rest = name.partition(" ")
        is_whole = text_width_in(name, 7) <= room_in or not rest
        names.append([fit(line, room_in, 7) for line in ([name] if is_whole else [head, rest])])
    return names


def _names_in(panel: HeatmapPanel) -> float:
    return max(len(lines) for lines in _name_lines(panel)) * _NAME_LINE_IN + _NAMES_GAP_IN


def _draw_grid(frame: Frame, panel: HeatmapPanel, top_in: float, grid: _Grid) -> None:
    """The metric's name, the columns' names, and a coloured cell with its figure for each case."""
    left_in, cell_in = _columns_in(panel)
    frame.text(0, top_in + _TITLE_IN / 2, grid.title, size=7, color=MUTED)
    top_in += _TITLE_IN + _names_in(panel)
    for index, lines in enumerate(_name_lines(panel)):
        for up, line in enumerate(reversed(lines)):
            at_in = top_in - _NAMES_GAP_IN / 2 - (up + 0.5) * _NAME_LINE_IN
            frame.text(left_in + (index + 0.5) * cell_in, at_in, line, size=7, ha="center")
    axes = frame.axes(left_in, top_in, cell_in * len(panel.columns), len(panel.rows) * _ROW_IN)
    axes.set_xlim(0, len(panel.columns))
    axes.set_ylim(len(panel.rows), 0)
    axes.set_axis_off()
    places = _places([cell for row in grid.cells for cell in row if cell is not None], is_log=grid.is_log)
    for down, (name, row) in enumerate(zip(panel.rows, grid.cells, strict=True)):
        middle_in = top_in + (down + 0.5) * _ROW_IN
        frame.text(0, middle_in, fit(name, left_in - _LABEL_GAP_IN))
        for across, cell in enumerate(row):
            at_in = left_in + (across + 0.5) * cell_in
            place = None if cell is None else places.get(cell.case.case_id)
            text, ink = _fill(axes, (across, down), cell, place, grid.say)
            frame.text(at_in, middle_in, fit(text, cell_in - _AIR_IN, 7), size=7, ha="center", color=ink)


def _fill(
    axes: Axes, at: tuple[int, int], cell: Cell | None, place: float | None, say: Callable[[float], str]
) -> tuple[str, str]:
    """Colours a cell; what to write into it, and in which ink."""
    box = Rectangle((at[0] + 0.03, at[1] + 0.05), 0.94, 0.9, lw=0)
    if cell is None or cell.value is None or place is None:
        is_void = cell is not None and cell.invalid is not None
        if is_void:
            box.set(fill=False, edgecolor=VOID, hatch="////", lw=0.6)
            axes.add_patch(box)
        return ("" if is_void else fmt.NONE), MUTED
    fill = to_rgb(_COLOURS(place))
    box.set_facecolor(to_hex(fill))
    axes.add_patch(box)
    return say(float(f"{cell.value:.3g}")), _LIGHT_INK if luminance(fill) < _LIGHT_BELOW else _DARK_INK


def luminance(colour: tuple[float, float, float]) -> float:
    """Relative luminance, 0–1, of a colour in sRGB.

    Source: Web Content Accessibility Guidelines 2.2, "relative luminance".
    """
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _places(cells: Sequence[Cell], *, is_log: bool) -> dict[str, float]:
    """Where each usable value lies on the scale of colours, 0–1, by case_id."""
    known = {cell.case.case_id: cell.value for cell in cells if cell.usable and cell.value is not None}
    if not is_log:
        highest = max(known.values(), default=0.0)
        return {case_id: value / highest if highest > 0 else 0.0 for case_id, value in known.items()}
    logs = {case_id: math.log(value) for case_id, value in known.items() if value > 0}
    low, high = min(logs.values(), default=0.0), max(logs.values(), default=0.0)
    return {case_id: (value - low) / (high - low) if high > low else 0.0 for case_id, value in logs.items()}
