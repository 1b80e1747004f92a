"""Panels of lines: plots below each other, whose lines are named where they end, so that no legend is needed."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from loopwise.model import Case
from loopwise.report.cells import Cell, Facet
from loopwise.report.charts.kit.frame import PANEL_WIDTH_IN, Frame, heading_height_in
from loopwise.report.charts.kit.style import MUTED, PAPER, SERIES, VOID, ModeStyle, fit, mode_style

LINES_PER_PANEL = len(SERIES)
PLOT_WIDTH_IN, PLOT_HEIGHT_IN = 2.6, 2.0
AXIS_IN = 0.5
QUANTITY_IN = 0.25
PITCH_IN = 0.17
"""Distance between the names of lines."""

_LEFT_IN = 0.55
_NOTE_IN = 0.2
_GAP_IN = 0.3
_SWATCH_IN = 0.09


class Box(NamedTuple):
    """A plotting area on a frame."""

    left_in: float
    top_in: float
    width_in: float
    height_in: float


class LineEnd(NamedTuple):
    """The last point of a line, in data coordinates, and the line's name."""

    x: float
    y: float
    name: str
    style: ModeStyle
    is_hollow: bool = False


@dataclass(frozen=True)
class LinePanel(ABC):
    """A panel of lines for the cases of a facet; invalid cases are left out and named below the plot."""

    facet: Facet
    left_out: tuple[str, ...]
    """Names of the invalid cases."""
    subject: ClassVar[str]
    """Quantities of the lines; begins the alternative text."""

    @property
    def boxes(self) -> list[Box]:
        """The plotting areas, from top to bottom."""
        return [self.box()]

    @property
    def height_in(self) -> float:
        """Height of heading, plots, axis, and the note on what was left out."""
        last = self.boxes[-1]
        return last.top_in + last.height_in + AXIS_IN + (_NOTE_IN if self.left_out else 0.0)

    def draw(self, frame: Frame) -> None:
        """Draw heading, plots and note into the frame."""
        frame.heading(self.facet.heading, self.facet.context)
        self.draw_plots(frame)
        if self.left_out:
            last = self.boxes[-1]
            note = fit(f"invalid, left out: {', '.join(self.left_out)}", PANEL_WIDTH_IN)
            frame.text(0, last.top_in + last.height_in + AXIS_IN + _NOTE_IN / 2, note, color=MUTED)

    def describe(self) -> str:
        """Alternative text: the figures, and what was left out."""
        left_out = f" Left out as invalid: {', '.join(self.left_out)}." if self.left_out else ""
        return f"{self.subject}, {self.facet.name}: {self.figures()}.{left_out}"

    @abstractmethod
    def figures(self) -> str:
        """The figures of all lines in words."""

    @abstractmethod
    def draw_plots(self, frame: Frame) -> None:
        """Draw the plots into their boxes."""

    def box(self, height_in: float = PLOT_HEIGHT_IN, *, below_in: float = 0.0, width_in: float = PLOT_WIDTH_IN) -> Box:
        """A plotting area below the heading and the name of its quantity, and `below_in` further down.

        A narrower plot leaves longer names their room.
        """
        top_in = heading_height_in(self.facet.heading) + QUANTITY_IN + below_in
        return Box(_LEFT_IN, top_in, width_in, height_in)

    def box_beside(self, names: int, width_in: float) -> Box:
        """A plotting area that is high enough for so many names beside it."""
        return self.box(max(PLOT_HEIGHT_IN, names * PITCH_IN), width_in=width_in)

    def line_style(self, case: Case, index: int) -> ModeStyle:
        """The style of the case's mode; that of the line's index where modes do not distinguish the facet's lines."""
        modes = {other.mode for other in self.facet.cases}
        is_shared = len(self.facet.by_series) > len(modes)
        has_own = is_shared or (len(modes) == 1 and len(self.facet.cases) > 1)
        return SERIES[index % len(SERIES)] if has_own else mode_style(case.mode)


class Plot:
    """A plot of a frame with the name of its quantity above it; lines are named where they end."""

    def __init__(self, frame: Frame, box: Box, quantity: str) -> None:
        self.frame, self.box = frame, box
        self.axes = frame.axes(*box)
        self.axes.grid(visible=True)
        self.ends: list[LineEnd] = []
        frame.text(0, box.top_in - QUANTITY_IN * 0.6, quantity, size=7, color=MUTED)

    def line(self, x: Sequence[float], cells: Sequence[Cell], style: ModeStyle, name: str, **options: Any) -> None:
        """Draw the cells' values with their intervals as a line over x, and keep its end for the names."""
        y = self.points(x, cells, style, **{"ls": style.line, **options})
        self.ends.append(LineEnd(x[-1], y[-1], name, style, options.get("mfc") == PAPER))

    def points(self, x: Sequence[float], cells: Sequence[Cell], style: ModeStyle, **options: Any) -> list[float]:
        """Draw the cells' values with their intervals; returns the values."""
        y = [cell.number for cell in cells]
        given = {"color": style.colour, "ls": "none", "marker": style.marker, "ms": 5, **options}
        self.axes.errorbar(x, y, yerr=reach(cells), **given)
        return y

    def name_lines(self, most: int | None = None, key: Callable[[LineEnd], float] | None = None) -> None:
        """Name the lines beside the plot; where only so many have room, those with the greatest key."""
        kept = self.ends if key is None else sorted(self.ends, key=lambda end: -key(end))[:most]
        end_labels(self.frame, self.axes, self.box, [end for end in self.ends if end in kept])


def reach(cells: Sequence[Cell]) -> tuple[list[float], list[float]]:
    """Distances of the intervals' ends below and above the values of usable cells, as errorbar takes them."""
    drawn = [(cell.number, *cell.drawn) for cell in cells]
    return [max(number - low, 0.0) for number, low, _ in drawn], [max(high - number, 0.0) for number, _, high in drawn]


def end_labels(frame: Frame, axes: Axes, box: Box, ends: Sequence[LineEnd]) -> None:
    """Name each line to the right of the plot, with its marker and a leader to where the line ends."""
    to_axes = axes.transData + axes.transAxes.inverted()
    points = [to_axes.transform((end.x, end.y)) for end in ends]
    wanted_in = [(1 - float(point[1])) * box.height_in for point in points]
    label_left_in = box.left_in + box.width_in + _GAP_IN
    swatch = 1 + (_GAP_IN - _SWATCH_IN) / box.width_in
    outside: dict[str, Any] = {"transform": axes.transAxes, "clip_on": False}
    for end, point, at_in in zip(ends, points, spread(wanted_in, PITCH_IN, box.height_in), strict=True):
        across, up = float(point[0]), float(point[1])
        at = 1 - at_in / box.height_in
        # Grey and dotted: a leader in the line's own colour would read as more of the line.
        leader = Line2D([across, 1.02, swatch], [up, up, at], color=VOID, lw=0.8, ls=":", zorder=1, **outside)
        axes.add_line(leader)
        face = "none" if end.is_hollow else end.style.colour
        axes.add_line(
            Line2D([swatch], [at], color=end.style.colour, marker=end.style.marker, mfc=face, ms=4.5, **outside)
        )
        name = fit(end.name, PANEL_WIDTH_IN - label_left_in)
        frame.text(label_left_in, box.top_in + at_in, name)


def spread(wanted: Sequence[float], pitch: float, end: float) -> list[float]:
    """Positions in the wanted order, near the wanted ones, at least a pitch apart, and before the end."""
    order = sorted(range(len(wanted)), key=lambda index: wanted[index])
    placed = [0.0] * len(wanted)
    limit = end
    for index in reversed(order):
        placed[index] = min(wanted[index], limit)
        limit = placed[index] - pitch
    limit = 0.0
    for index in order:
        placed[index] = max(placed[index], limit)
        limit = placed[index] + pitch
    return placed
