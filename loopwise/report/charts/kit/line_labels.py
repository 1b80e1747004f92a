"""Names of lines beside a plot, where the lines end: read at once, where a legend must be looked up."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from loopwise.report.charts.kit.frame import PANEL_WIDTH_IN, Frame
from loopwise.report.charts.kit.style import VOID, ModeStyle, fit

_GAP_IN = 0.3
PITCH_IN = 0.17
_SWATCH_IN = 0.09


class Box(NamedTuple):
    """A plotting area on a frame."""

    left_in: float
    top_in: float
    width_in: float
    height_in: float


class LineEnd(NamedTuple):
    """The last point of a line, in data coordinates, and what the line is called."""

    x: float
    y: float
    name: str
    looks: ModeStyle
    is_hollow: bool = False


def end_labels(frame: Frame, axes: Axes, box: Box, ends: Sequence[LineEnd]) -> None:
    """Names each line to the right of the plot, with its marker and a leader to where it ends."""
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
        face = "none" if end.is_hollow else end.looks.colour
        axes.add_line(
            Line2D(
                [swatch], [at], color=end.looks.colour, marker=end.looks.marker, mfc=face, ms=4.5, **outside
            )
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
