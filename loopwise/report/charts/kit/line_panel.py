"""A panel whose lines are named beside its plot, one plot or several below each other."""

from collections.abc import Sequence

from matplotlib.axes import Axes

from loopwise.model import Case
from loopwise.report.cells import Cell, Facet
from loopwise.report.charts.kit.frame import PANEL_WIDTH_IN, Frame, heading_height_in
from loopwise.report.charts.kit.line_labels import PITCH_IN, Box
from loopwise.report.charts.kit.style import MUTED, SERIES, ModeStyle, fit, mode_style

LINES_PER_PANEL = len(SERIES)
PLOT_WIDTH_IN, PLOT_HEIGHT_IN = 2.6, 2.0
AXIS_IN = 0.5
QUANTITY_IN = 0.25

_LEFT_IN = 0.55
_NOTE_IN = 0.2


def plot_box(
    facet: Facet,
    height_in: float = PLOT_HEIGHT_IN,
    below_in: float = 0.0,
    width_in: float = PLOT_WIDTH_IN,
) -> Box:
    """Where a plot lies: below the heading and the name of its quantity, and by so much further down.

    A narrower plot leaves longer names their room.
    """
    top_in = heading_height_in(facet.heading) + QUANTITY_IN + below_in
    return Box(_LEFT_IN, top_in, width_in, height_in)


def plot(frame: Frame, box: Box, quantity: str) -> Axes:
    """A plot with its quantity's name above it."""
    axes = frame.axes(*box)
    axes.grid(visible=True)
    frame.text(0, box.top_in - QUANTITY_IN * 0.6, quantity, size=7, color=MUTED)
    return axes


def lines_height_in(box: Box, left_out: Sequence[str]) -> float:
    """Height of a panel that ends with this plot: its axis, and the note on what was left out."""
    return box.top_in + box.height_in + AXIS_IN + (_NOTE_IN if left_out else 0.0)


def note_left_out(frame: Frame, box: Box, left_out: Sequence[str]) -> None:
    """The invalid cases, by name, below the last plot."""
    if left_out:
        note = fit(f"invalid, left out: {', '.join(left_out)}", PANEL_WIDTH_IN)
        frame.text(0, box.top_in + box.height_in + AXIS_IN + _NOTE_IN / 2, note, color=MUTED)


def height_for(labels: int, least_in: float = PLOT_HEIGHT_IN) -> float:
    """Height of a plot beside which so many names have room."""
    return max(least_in, labels * PITCH_IN)


def line_looks(facet: Facet, case: Case, index: int) -> ModeStyle:
    """The looks of its mode; those of its place where modes don't tell the facet's lines apart."""
    modes = {other.mode for other in facet.cases}
    # A colour per mode tells lines apart only while each mode is one line.
    is_shared = len({facet.series(other) for other in facet.cases}) > len(modes)
    has_own = is_shared or (len(modes) == 1 and len(facet.cases) > 1)
    return SERIES[index % len(SERIES)] if has_own else mode_style(case.mode)


def left_out_words(left_out: Sequence[str]) -> str:
    """A sentence for the alternative text; empty where nothing was left out."""
    return f" Left out as invalid: {', '.join(left_out)}." if left_out else ""


def reach(cells: Sequence[Cell]) -> tuple[list[float], list[float]]:
    """How far the intervals of usable cells reach below and above their values, as errorbar takes it."""
    values = [cell.value or 0.0 for cell in cells]
    below = [
        max(value - cell.low, 0.0) if cell.low is not None else 0.0
        for value, cell in zip(values, cells, strict=True)
    ]
    above = [
        max(cell.high - value, 0.0) if cell.high is not None else 0.0
        for value, cell in zip(values, cells, strict=True)
    ]
    return below, above
