"""Panels and the sheets that hold them. Positions are inches, so that texts can be measured and kept apart."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.gridspec import GridSpec
from matplotlib.lines import Line2D

from loopwise.report.charts.kit.style import INK, LABEL_PT, MUTED, TITLE_PT, fit, text_width_in, wrap

PANEL_WIDTH_IN = 4.5
"""Legible at full width of a phone; two of them fit side by side on a laptop."""

PAD_IN = 0.04
"""Around a panel that stands alone: a letter may reach a little beyond its place."""
_GAP_IN = 0.35
_MARGIN_IN = 0.3
_LINE_IN = 0.19
_HEADER_IN = 0.45
_NOTE_LINES = 9
_SHEET_TITLES_PT = (14.0, 12.5)
"""Sizes of a sheet's title; a longer one is as small as a panel's."""
_SMALL_PT, _SMALL_LINE_IN = 6.0, 0.1
"""Of two lines in a row of one."""
_SMALL_ROOM = 0.96
"""Small letters are drawn a little wider than they are measured: their widths are rounded to pixels."""
_HEADING_GAP_IN = 0.05
_MORE_THAN_TWO_COLUMNS = 12


@dataclass(frozen=True)
class Frame:
    """A rectangle of a figure, or of one of its parts. Positions are inches from its left and top edge."""

    figure: Figure | SubFigure
    size_in: tuple[float, float]
    """Width and height of the figure or part."""
    left_in: float
    top_in: float
    """From the figure's (or part's) bottom edge up to the frame's top edge."""

    def axes(self, left_in: float, top_in: float, width_in: float, height_in: float) -> Axes:
        """Axes whose plotting area is this rectangle."""
        figure_width_in, figure_height_in = self.size_in
        return self.figure.add_axes(
            (
                (self.left_in + left_in) / figure_width_in,
                (self.top_in - top_in - height_in) / figure_height_in,
                width_in / figure_width_in,
                height_in / figure_height_in,
            )
        )

    def text(self, left_in: float, top_in: float, text: str, **options: Any) -> None:
        """Draw a line of text that begins at `left_in` and is vertically centred on `top_in`."""
        width_in, height_in = self.size_in
        self.figure.text(
            (self.left_in + left_in) / width_in,
            (self.top_in - top_in) / height_in,
            text,
            **{"va": "center", "ha": "left", **options},
        )

    def text_within(
        self, left_in: float, top_in: float, text: str, width_in: float, *, size: float = LABEL_PT, **options: Any
    ) -> None:
        """Draw a text of this width at most: on one line, or else on two small ones, of which the second may be cut."""
        bold = options.get("weight") == "bold"
        if fit(text, width_in, size, bold=bold) == text:
            self.text(left_in, top_in, text, size=size, **options)
            return
        for line, step_in in zip(wrap(text, width_in * _SMALL_ROOM, _SMALL_PT, bold=bold), (-0.5, 0.5), strict=False):
            self.text(left_in, top_in + step_in * _SMALL_LINE_IN, line, size=_SMALL_PT, **options)

    def mark(self, left_in: float, top_in: float, **options: Any) -> None:
        """Draw a marker centred there."""
        width_in, height_in = self.size_in
        place = ([(self.left_in + left_in) / width_in], [(self.top_in - top_in) / height_in])
        self.figure.add_artist(Line2D(*place, ls="", **options))

    def heading(self, heading: str, context: str) -> None:
        """Draw the panel's heading and context, with the height that heading_height_in returns."""
        top_in = _LINE_IN / 2
        for line in _heading_lines(heading):
            self.text(0, top_in, line, size=TITLE_PT, weight="bold", color=INK)
            top_in += _LINE_IN
        self.text(0, top_in, fit(context, PANEL_WIDTH_IN), color=MUTED)


class Panel(Protocol):
    """A part of a chart that a page can show by itself."""

    @property
    def height_in(self) -> float:
        """Height that it needs."""

    def draw(self, frame: Frame) -> None:
        """Draw it into a frame of PANEL_WIDTH_IN × height_in."""

    def describe(self) -> str:
        """Alternative text, with the figures."""


def heading_height_in(heading: str) -> float:
    """Height of a panel's heading and context, with the gap below them."""
    return (len(_heading_lines(heading)) + 1) * _LINE_IN + _HEADING_GAP_IN


def single(height_in: float, draw: Callable[[Frame], None]) -> Figure:
    """A figure with one panel and nothing around it."""
    size_in = (PANEL_WIDTH_IN + 2 * PAD_IN, height_in + 2 * PAD_IN)
    figure = Figure(figsize=size_in)
    draw(Frame(figure, size_in, PAD_IN, height_in + PAD_IN))
    return figure


def sheet(title: str, note: str, panels: Sequence[Panel]) -> Figure:
    """All panels under a title, with a note below, in one to three columns; each panel is a subfigure.

    So the sheet is drawn once, and a page's panels are cut out of it (svg.panels_of).
    """
    columns = 1 if len(panels) == 1 else 3 if len(panels) > _MORE_THAN_TWO_COLUMNS else 2
    width_in = columns * PANEL_WIDTH_IN + (columns - 1) * _GAP_IN
    notes = wrap(note, width_in, lines=_NOTE_LINES)
    bands = [panels[start : start + columns] for start in range(0, len(panels), columns)]
    bands_in = [max(panel.height_in for panel in band) for band in bands]
    body_in = sum(bands_in) + _GAP_IN * len(bands_in)
    size_in = (
        width_in + 2 * _MARGIN_IN,
        2 * _MARGIN_IN + _HEADER_IN + body_in + len(notes) * _LINE_IN,
    )
    figure = Figure(figsize=size_in)
    page = Frame(figure, size_in, _MARGIN_IN, size_in[1] - _MARGIN_IN)
    size_pt = next((size for size in _SHEET_TITLES_PT if text_width_in(title, size, bold=True) <= width_in), TITLE_PT)
    page.text(0, 0.12, fit(title, width_in, size_pt, bold=True), size=size_pt, weight="bold")
    grid = _grid(figure, bands_in, columns)
    for row, (band_in, band) in enumerate(zip(bands_in, bands, strict=True)):
        for column, panel in enumerate(band):
            part = figure.add_subfigure(grid[2 * row + 1, 2 * column + 1])
            panel.draw(Frame(part, (PANEL_WIDTH_IN, band_in), 0.0, band_in))
    for index, line in enumerate(notes):
        page.text(0, _HEADER_IN + body_in + (index + 0.5) * _LINE_IN, line, size=LABEL_PT, color=MUTED)
    return figure


def _grid(figure: Figure, bands_in: Sequence[float], columns: int) -> GridSpec:
    """A grid with panels in its odd rows and columns, and gaps in the even ones."""
    width_in, height_in = figure.get_size_inches()
    across_in = [_MARGIN_IN, *[PANEL_WIDTH_IN, _GAP_IN] * columns]
    down_in = [_MARGIN_IN + _HEADER_IN]
    for band_in in bands_in:
        down_in += [band_in, _GAP_IN]
    across_in[-1] = width_in - sum(across_in[:-1])
    down_in[-1] = height_in - sum(down_in[:-1])
    return GridSpec(len(down_in), len(across_in), figure, width_ratios=across_in, height_ratios=down_in)


def _heading_lines(heading: str) -> list[str]:
    return wrap(heading, PANEL_WIDTH_IN, TITLE_PT, bold=True)
