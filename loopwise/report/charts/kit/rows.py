"""Panels with a row per case: labels to the left, one or more plots, and the figures beside each plot."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from loopwise.report.cells import Cell, Facet
from loopwise.report.charts.kit.frame import PANEL_WIDTH_IN, Frame, heading_height_in
from loopwise.report.charts.kit.style import (
    GRID,
    INK,
    LABEL_PT,
    MUTED,
    PAPER,
    VOID,
    fit,
    mode_style,
    text_width_in,
)

ROW_IN = 0.235
BAR_IN = 0.145
GAP_IN = 0.1

_GROUP_GAP_IN = 0.08
_FIRST_GAP_IN = 0.04
_COLUMN_HEADER_IN = 0.2
_AXIS_IN = 0.32
_LABELS_MAX_IN = 1.75
_VOID_SLOT_IN, _VOID_SLOT_HEIGHT_IN = 0.3, 0.135
_SPOKEN = 12


class Column(NamedTuple):
    """The column of figures beside a plot: its head, and a text per row."""

    head: str
    texts: Sequence[str]


class RowSizes(NamedTuple):
    """Heights of a panel's parts."""

    row_in: float = ROW_IN
    header_in: float = _COLUMN_HEADER_IN
    axis_in: float = _AXIS_IN


@dataclass(frozen=True)
class RowPanel(ABC):
    """A panel with a row for each case of a facet."""

    facet: Facet
    sizes: ClassVar[RowSizes] = RowSizes()
    subject: ClassVar[str]
    """First sentence of the alternative text; `{}` is the facet's name."""

    @property
    def height_in(self) -> float:
        """Height of heading, rows and axis."""
        _, rows_in = row_middles_in(self.facet, self.sizes.row_in)
        return heading_height_in(self.facet.heading) + self.sizes.header_in + rows_in + self.sizes.axis_in

    def rows(self, frame: Frame, *columns: Column) -> "Rows":
        """Draw heading, labels and columns of figures; returns the rows with an empty plot for each column."""
        return Rows(frame, self.facet, columns, self.sizes)

    def describe(self) -> str:
        """Alternative text: each case with its figures; the first of them where there are many."""
        return describe_rows(self.subject.format(self.facet.name), self.facet, self.figures())

    @abstractmethod
    def figures(self) -> Sequence[str]:
        """The figures of each case in words."""

    @abstractmethod
    def draw(self, frame: Frame) -> None:
        """Draw the panel into a frame."""


class Rows:
    """Rows of a panel in a frame. In its plots one unit of y is one inch, counted downwards."""

    def __init__(self, frame: Frame, facet: Facet, columns: Sequence[Column], sizes: RowSizes) -> None:
        self.frame = frame
        self.top_in = heading_height_in(facet.heading) + sizes.header_in
        self.middles_in, self.height_in = row_middles_in(facet, sizes.row_in)
        _, self.plot_left_in = label_columns_in(facet)
        frame.heading(facet.heading, facet.context)
        row_labels(frame, facet, self.top_in, self.middles_in)
        widths_in = [max(text_width_in(text) for text in (column.head, *column.texts)) for column in columns]
        gaps_in = GAP_IN * (2 * len(columns) - 1)
        room_in = PANEL_WIDTH_IN - self.plot_left_in - sum(widths_in) - gaps_in
        self.plot_width_in = room_in / len(columns)
        self.plots: list[Axes] = []
        left_in = self.plot_left_in
        for column, width_in in zip(columns, widths_in, strict=True):
            self.plots.append(rows_axes(frame, (left_in, self.top_in, self.plot_width_in, self.height_in)))
            left_in += self.plot_width_in + GAP_IN
            self._figures(left_in, column)
            left_in += width_in + GAP_IN

    @property
    def axes(self) -> Axes:
        """The first plot, or the only one."""
        return self.plots[0]

    def void(self, middle_in: float, cell: Cell) -> None:
        """Draw a hatched slot and the reason in place of a number."""
        place_in = (self.plot_left_in, self.top_in, self.plot_width_in)
        void_slot(self.frame, self.axes, place_in, middle_in, cell.why)

    def bars(self, cells: Sequence[Cell], plot: int = 0) -> None:
        """Draw a bar from zero with its interval for each usable cell."""
        shown = [pair for pair in zip(self.middles_in, cells, strict=True) if pair[1].usable]
        for middle_in, cell in shown:
            self.bar(middle_in, cell.number, cell.case.mode, plot)
        self.whiskers(shown, plot)

    def bar(self, middle_in: float, length: float, mode: str, plot: int = 0) -> None:
        """Draw a bar from zero in the style of a mode."""
        style = mode_style(mode)
        self.plots[plot].barh(
            middle_in, length, BAR_IN, color=style.colour, hatch=style.hatch, edgecolor=PAPER, linewidth=0
        )

    def marks(self, values: Sequence[tuple[float, float]]) -> None:
        """Draw a thick upright tick at each value, given with the middle of its row."""
        reach_in = BAR_IN * 0.72
        strokes = [((value, middle_in - reach_in), (value, middle_in + reach_in)) for value, middle_in in values]
        draw_strokes(self.axes, strokes, color=INK, lw=1.8)

    def voids(self, cells: Sequence[Cell]) -> None:
        """Draw a hatched slot in the row of each cell that is not usable."""
        for middle_in, cell in zip(self.middles_in, cells, strict=True):
            if not cell.usable:
                self.void(middle_in, cell)

    def whiskers(self, cells: Iterable[tuple[float, Cell]], plot: int = 0) -> None:
        """Draw the intervals of cells, each given with the middle of its row; one path for them all."""
        reach_in = BAR_IN * 0.28
        strokes = []
        for middle_in, cell in cells:
            if cell.low is None or cell.high is None:
                continue
            low, high = cell.drawn
            strokes.append(((low, middle_in), (high, middle_in)))
            ends = [end for end in (low, high) if end in (cell.low, cell.high)]  # a line that is cut has no end
            strokes += [((end, middle_in - reach_in), (end, middle_in + reach_in)) for end in ends]
        draw_strokes(self.plots[plot], strokes, color=INK, lw=1)

    def _figures(self, left_in: float, column: Column) -> None:
        if column.head:
            self.frame.text(left_in, self.top_in - _COLUMN_HEADER_IN / 2, column.head, size=7, color=MUTED)
        for middle_in, text in zip(self.middles_in, column.texts, strict=True):
            if text:
                self.frame.text(left_in, self.top_in + middle_in, text)


def rows_axes(frame: Frame, place_in: tuple[float, float, float, float]) -> Axes:
    """A plot of rows at this left, top, width and height: one unit of its y is one inch, counted downwards."""
    axes = frame.axes(*place_in)
    axes.set_ylim(place_in[3], 0)
    axes.set_yticks([])
    axes.grid(axis="x")
    axes.spines["left"].set_color(GRID)
    return axes


def void_slot(
    frame: Frame,
    axes: Axes,
    place_in: tuple[float, float, float],
    middle_in: float,
    reason: str,
    *,
    size_pt: float = LABEL_PT,
) -> None:
    """A hatched slot at the left edge of `rows_axes`, and the reason beside it, in place of a number.

    The plot is at this left, top and width, the row's middle so far below its top.
    """
    left_in, top_in, width_in = place_in
    axes.add_patch(
        Rectangle(
            (0, middle_in - _VOID_SLOT_HEIGHT_IN / 2),
            _VOID_SLOT_IN / width_in,
            _VOID_SLOT_HEIGHT_IN,
            transform=axes.get_yaxis_transform(),
            facecolor=PAPER,
            edgecolor=VOID,
            hatch="////",
            zorder=3,
        )
    )
    reason_left_in = left_in + _VOID_SLOT_IN + 0.07
    # Paper behind the words, so that neither grid nor band runs through them.
    behind = {"facecolor": PAPER, "edgecolor": "none", "pad": 0.8}
    room_in = PANEL_WIDTH_IN - reason_left_in
    frame.text_within(reason_left_in, top_in + middle_in, reason, room_in, size=size_pt, color=MUTED, bbox=behind)


def row_labels(frame: Frame, facet: Facet, top_in: float, middles_in: Sequence[float]) -> None:
    """Draw the labels of the cases to the left of the plots."""
    fine_left_in, plot_left_in = label_columns_in(facet)
    before = None
    for middle_in, case in zip(middles_in, facet.cases, strict=True):
        coarse, fine = facet.label(case)
        at_in = top_in + middle_in
        if not fine:
            frame.text_within(0, at_in, coarse, plot_left_in - GAP_IN)
            continue
        if coarse != before:
            frame.text(0, at_in, fit(coarse, fine_left_in - GAP_IN, bold=True), weight="bold")
        frame.text(fine_left_in, at_in, fit(fine, plot_left_in - fine_left_in - GAP_IN), color=MUTED)
        before = coarse


def draw_strokes(
    axes: Axes, strokes: Sequence[tuple[tuple[float, float], tuple[float, float]]], **options: Any
) -> None:
    """Draw straight strokes as one line with gaps: the file is a fifth as large as with a line for each."""
    if strokes:
        gap = (np.nan, np.nan)
        points = np.array([point for begin, end in strokes for point in (begin, end, gap)])
        axes.plot(points[:, 0], points[:, 1], **options)


def describe_rows(beginning: str, facet: Facet, figures: Sequence[str]) -> str:
    """The beginning, then each case with its figures; the first of them where there are many."""
    rows = [f"{facet.full_label(case)} {figure}" for case, figure in zip(facet.cases, figures, strict=True)]
    return f"{beginning} {first_of(rows, _SPOKEN, 'all cases')}"


def first_of(said: Sequence[str], most: int, table: str) -> str:
    """The first ones as a sentence, and how many more there are in which table."""
    more = f" And {len(said) - most} more, in the table of {table}." if len(said) > most else ""
    return f"{'; '.join(said[:most])}.{more}"


def label_columns_in(facet: Facet) -> tuple[float, float]:
    """Left edges of the fine labels and of the plot; labels take no more width than they need."""
    labels = [facet.label(case) for case in facet.cases]
    split = any(fine for _, fine in labels)
    coarse_in = max(text_width_in(coarse, bold=split) for coarse, _ in labels) + GAP_IN
    fine_in = max(text_width_in(fine) for _, fine in labels) + GAP_IN if split else 0.0
    fine_left_in = min(coarse_in, _LABELS_MAX_IN - fine_in)
    return fine_left_in, fine_left_in + fine_in


def row_middles_in(facet: Facet, row_in: float = ROW_IN) -> tuple[list[float], float]:
    """Middle of each row, measured down from the top of the first, and the bottom of the last."""
    tops_in = _row_tops_in(facet, row_in)
    return [top_in + row_in / 2 for top_in in tops_in], max(tops_in) + row_in


def _row_tops_in(facet: Facet, row_in: float) -> list[float]:
    """Top of each row, with a gap where a new group begins."""
    tops_in, top_in, before = [], _FIRST_GAP_IN, None
    for case in facet.cases:
        coarse, fine = facet.label(case)
        if before is not None and fine and coarse != before:
            top_in += _GROUP_GAP_IN
        tops_in.append(top_in)
        top_in += row_in
        before = coarse
    return tops_in
