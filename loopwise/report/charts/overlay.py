"""Results over each other: throughput and latency of the cases they share, a line for each result."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes

from loopwise.report import format as fmt
from loopwise.report.cells import ROWS_PER_FACET, Cell, Cells, parts, positive_ends
from loopwise.report.charts.kit.axes import latency_axis, throughput_axis
from loopwise.report.charts.kit.frame import PANEL_WIDTH_IN, Frame, heading_height_in
from loopwise.report.charts.kit.rows import first_of, rows_axes, void_slot
from loopwise.report.charts.kit.style import INK, MUTED, PAPER, SERIES, ModeStyle, fit, text_width_in
from loopwise.report.comparison import Side, shared_facets
from loopwise.visible import clean

THROUGHPUT = ("throughput_rps",)
LATENCY = ("service_time_p50_ms", "service_time_p99_ms")

_LINE_IN = 0.185
_ROW_GAP_IN = 0.09
_KEY_IN = 0.175
_COLUMN_HEADER_IN = 0.22
_AXIS_IN = 0.3
_LABELS_MAX_IN = 1.4
_LETTER_IN = 0.34
_GAP_IN = 0.1
_PT = 7.5
_SPOKEN = 10


@dataclass(frozen=True)
class OverlayLine:
    """A case in one of the results; a cell per metric."""

    side: int
    cells: tuple[Cell, ...]

    @property
    def figures(self) -> str:
        """The case's figures in this result; empty where there is none."""
        if not any(cell.usable and cell.value for cell in self.cells):
            return ""
        if len(self.cells) == 1:
            return fmt.estimate(self.cells[0].value, self.cells[0].low, self.cells[0].high)
        return " · ".join(fmt.duration(cell.value if cell.usable else None) for cell in self.cells)

    @property
    def why(self) -> str:
        """Why there are no figures."""
        return next((cell.why for cell in self.cells if cell.invalid is not None), "no figure")

    def draw(self, axes: Axes, at_in: float) -> None:
        """Draw a mark and an interval per metric."""
        style, is_hollow = _side_style(self.side)
        shown = [(number, cell) for number, cell in enumerate(self.cells) if cell.usable and cell.value]
        if len(shown) > 1:
            values = [cell.number for _, cell in shown]
            axes.plot(values, [at_in] * len(shown), color=style.colour, lw=1.4, alpha=0.5)
        for number, cell in shown:
            if cell.low is not None and cell.high is not None:
                axes.plot(cell.drawn, [at_in] * 2, color=INK, lw=1)
            axes.plot(
                [cell.number],
                [at_in],
                style.marker,
                mfc=PAPER if number > 0 or is_hollow else style.colour,
                mec=style.colour,
                mew=1.2,
                ms=5,
                zorder=4,
            )


@dataclass(frozen=True)
class OverlayPanel:
    """Cases of a facet, each in every result that has it."""

    heading: str
    context: str
    metrics: tuple[str, ...]
    sides: tuple[tuple[str, str], ...]
    """Letter and name of each result."""
    rows: tuple[tuple[str, tuple[OverlayLine, ...]], ...]
    """Label of a case, and its lines."""

    @property
    def lines(self) -> tuple[OverlayLine, ...]:
        """The lines of all rows."""
        return tuple(line for _, lines in self.rows for line in lines)

    @property
    def height_in(self) -> float:
        """Height of heading, key, lines and axis."""
        return self._top_in + self._plot_height_in + _AXIS_IN

    def describe(self) -> str:
        """Alternative text: the key, then the figures of the first cases."""
        metrics = "Requests a second" if self.metrics == THROUGHPUT else "p50 and p99 service time"
        key = ", ".join(f"{letter} is {fit(name, 4)}" for letter, name in self.sides)
        said = [
            f"{label}: " + ", ".join(f"{self.sides[line.side][0]} {line.figures or line.why}" for line in lines)
            for label, lines in self.rows
        ]
        return f"{metrics} of {self.heading}, {self.context}. {key}. {first_of(said, _SPOKEN, 'verdicts')}"

    def draw(self, frame: Frame) -> None:
        """A key of results, then for each case a line per result: mark, interval, figures."""
        header = "requests/s" if self.metrics == THROUGHPUT else "p50 · p99"
        texts_in = max(text_width_in(text, _PT) for text in (header, *(line.figures for line in self.lines)))
        figures_left_in = PANEL_WIDTH_IN - texts_in
        letter_left_in = min(max(text_width_in(label) for label, _ in self.rows) + _GAP_IN, _LABELS_MAX_IN)
        plot_left_in, top_in = letter_left_in + _LETTER_IN, self._top_in
        width_in = figures_left_in - _GAP_IN - plot_left_in
        frame.heading(self.heading, self.context)
        self._draw_key(frame)
        frame.text(figures_left_in, top_in - _COLUMN_HEADER_IN / 2, header, size=7, color=MUTED)
        axes = self._axes(frame, (plot_left_in, top_in, width_in, self._plot_height_in))
        for at_in, label, line in self._placed():
            if label:
                frame.text(0, top_in + at_in, fit(label, letter_left_in - _GAP_IN))
            _swatch(frame, letter_left_in + 0.05, top_in + at_in, line.side)
            frame.text(letter_left_in + 0.14, top_in + at_in, self.sides[line.side][0], size=_PT, color=MUTED)
            if line.figures:
                line.draw(axes, at_in)
                frame.text(figures_left_in, top_in + at_in, line.figures, size=_PT)
            else:
                void_slot(frame, axes, (plot_left_in, top_in, width_in), at_in, line.why, size_pt=_PT)

    @property
    def _top_in(self) -> float:
        return heading_height_in(self.heading) + len(self.sides) * _KEY_IN + _COLUMN_HEADER_IN

    @property
    def _plot_height_in(self) -> float:
        return sum(len(lines) * _LINE_IN + _ROW_GAP_IN for _, lines in self.rows)

    def _placed(self) -> Iterator[tuple[float, str, OverlayLine]]:
        """Middle of each line from the plot's top, the case's label on its first one."""
        top_in = _ROW_GAP_IN / 2
        for label, lines in self.rows:
            for number, line in enumerate(lines):
                yield top_in + (number + 0.5) * _LINE_IN, "" if number else label, line
            top_in += len(lines) * _LINE_IN + _ROW_GAP_IN

    def _draw_key(self, frame: Frame) -> None:
        top_in = heading_height_in(self.heading)
        for number, (letter, name) in enumerate(self.sides):
            at_in = top_in + (number + 0.5) * _KEY_IN
            _swatch(frame, 0.05, at_in, number)
            frame.text(0.15, at_in, letter, size=_PT, weight="bold")
            base = " (base)" if number == 0 else ""
            room_in = PANEL_WIDTH_IN - 0.32 - text_width_in(base, _PT)
            frame.text(0.32, at_in, f"{fit(name, room_in, _PT)}{base}", size=_PT, color=MUTED)

    def _axes(self, frame: Frame, place_in: tuple[float, float, float, float]) -> Axes:
        axes = rows_axes(frame, place_in)
        ends = positive_ends(cell for line in self.lines for cell in line.cells)
        if self.metrics == THROUGHPUT:
            throughput_axis(axes, "x", max(ends, default=1.0))
        else:
            latency_axis(axes, "x", ends or [1.0], place_in[2])
        return axes


def overlay_panels(sides: Sequence[Side], metrics: tuple[str, ...]) -> list[OverlayPanel]:
    """A panel per facet of the cases that the base shares, at most ROWS_PER_FACET lines in each."""
    tables = [Cells(side.summary) for side in sides]
    named = tuple((side.letter, clean(side.name)) for side in sides)
    panels: list[OverlayPanel] = []
    for facet in shared_facets(*(side.summary for side in sides)):
        rows = []
        for case in facet.cases:
            lines = (
                OverlayLine(number, tuple(cells.cell(known[case.case_id].case, metric) for metric in metrics))
                for number, cells in enumerate(tables)
                if case.case_id in (known := cells.summary.cases)
            )
            rows.append((facet.full_label(case, " · ") or clean(case.case_id), tuple(lines)))
        panels += [
            OverlayPanel(facet.heading, f"{facet.context}{part}", metrics, named, tuple(members))
            for part, members in parts(rows, max(ROWS_PER_FACET // len(sides), 1))
        ]
    return panels


def _side_style(side: int) -> tuple[ModeStyle, bool]:
    """The style of a result, and whether its marks are hollow: styles repeat from the seventh result on."""
    return SERIES[side % len(SERIES)], side // len(SERIES) % 2 == 1


def _swatch(frame: Frame, left_in: float, at_in: float, side: int) -> None:
    style, is_hollow = _side_style(side)
    face = PAPER if is_hollow else style.colour
    frame.mark(left_in, at_in, marker=style.marker, ms=4.6, mfc=face, mec=style.colour)
