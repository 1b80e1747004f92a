"""Results over each other: throughput and latency of the cases they share, a line of its own for each result."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes

from loopwise.report import format as fmt
from loopwise.report.cells import ROWS_PER_FACET, Cell, Cells, Facet, parts
from loopwise.report.charts.kit.axes import latency_axis, throughput_axis
from loopwise.report.charts.kit.frame import PANEL_WIDTH_IN, Frame, heading_height_in
from loopwise.report.charts.kit.row_panel import ends, first_of, rows_axes, void_slot
from loopwise.report.charts.kit.style import INK, MUTED, PAPER, SERIES, ModeStyle, fit, text_width_in
from loopwise.report.sides import Side, shared_facets

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
_HOLLOW = "hollow"


@dataclass(frozen=True)
class OverlayLine:
    """A case in one of the results; a cell per metric."""

    side: int
    cells: tuple[Cell, ...]


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


def overlay_panels(sides: Sequence[Side], metrics: tuple[str, ...]) -> list[OverlayPanel]:
    """A panel per facet of the cases that the base shares, at most ROWS_PER_FACET lines in each."""
    base, *others = sides
    tables = [Cells(side.summary) for side in sides]
    named = tuple((side.letter, fmt.clean(side.name)) for side in sides)
    panels: list[OverlayPanel] = []
    for facet in shared_facets(base.summary, *(side.summary for side in others)):
        rows = [
            (_label(facet, index), _lines(sides, tables, facet, index, metrics))
            for index in range(len(facet.cases))
        ]
        panels += [
            OverlayPanel(facet.heading, f"{facet.context}{part}", metrics, named, tuple(members))
            for part, members in parts(rows, max(ROWS_PER_FACET // len(sides), 1))
        ]
    return panels


def _label(facet: Facet, index: int) -> str:
    case = facet.cases[index]
    return facet.told(case, " · ") or fmt.clean(case.case_id)


def _lines(
    sides: Sequence[Side], tables: Sequence[Cells], facet: Facet, index: int, metrics: tuple[str, ...]
) -> tuple[OverlayLine, ...]:
    case_id = facet.cases[index].case_id
    return tuple(
        OverlayLine(number, tuple(cells.cell(side.summary.cases[case_id].case, metric) for metric in metrics))
        for number, (side, cells) in enumerate(zip(sides, tables, strict=True))
        if case_id in side.summary.cases
    )


def panel_height_in(panel: OverlayPanel) -> float:
    """Height that heading, key, lines and axis need."""
    return _top_in(panel) + _plot_height_in(panel) + _AXIS_IN


def _top_in(panel: OverlayPanel) -> float:
    return heading_height_in(panel.heading) + len(panel.sides) * _KEY_IN + _COLUMN_HEADER_IN


def _plot_height_in(panel: OverlayPanel) -> float:
    return sum(len(lines) * _LINE_IN + _ROW_GAP_IN for _, lines in panel.rows)


def draw_overlay(frame: Frame, panel: OverlayPanel) -> None:
    """A key of results, then for each case a line per result: mark, interval, figures."""
    texts = [_figures(line.cells) for line in panel.lines]
    header = "requests/s" if panel.metrics == THROUGHPUT else "p50 · p99"
    figures_left_in = PANEL_WIDTH_IN - max(text_width_in(text, _PT) for text in (header, *texts))
    letter_left_in = min(max(text_width_in(label) for label, _ in panel.rows) + _GAP_IN, _LABELS_MAX_IN)
    plot_left_in, top_in = letter_left_in + _LETTER_IN, _top_in(panel)
    width_in = figures_left_in - _GAP_IN - plot_left_in
    frame.heading(panel.heading, panel.context)
    _key(frame, panel)
    frame.text(figures_left_in, top_in - _COLUMN_HEADER_IN / 2, header, size=7, color=MUTED)
    axes = _axes(frame, panel, (plot_left_in, top_in, width_in, _plot_height_in(panel)))
    for at_in, label, line in _placed(panel):
        if label:
            frame.text(0, top_in + at_in, fit(label, letter_left_in - _GAP_IN))
        _swatch(frame, letter_left_in + 0.05, top_in + at_in, _looks(line.side))
        frame.text(letter_left_in + 0.14, top_in + at_in, panel.sides[line.side][0], size=_PT, color=MUTED)
        if not any(cell.usable and cell.value for cell in line.cells):
            void_slot(frame, axes, (plot_left_in, top_in, width_in), at_in, _why(line), size_pt=_PT)
            continue
        _draw_line(axes, at_in, line)
        frame.text(figures_left_in, top_in + at_in, _figures(line.cells), size=_PT)


def describe_overlay(panel: OverlayPanel) -> str:
    """What the chart shows, in words, for those who can't see it."""
    spoken = 10
    what = "Requests a second" if panel.metrics == THROUGHPUT else "p50 and p99 service time"
    key = ", ".join(f"{letter} is {fit(name, 4)}" for letter, name in panel.sides)
    said = [
        f"{label}: "
        + ", ".join(f"{panel.sides[line.side][0]} {_figures(line.cells) or _why(line)}" for line in lines)
        for label, lines in panel.rows
    ]
    return f"{what} of {panel.heading}, {panel.context}. {key}. {first_of(said, spoken, 'verdicts')}"


def _placed(panel: OverlayPanel) -> Iterator[tuple[float, str, OverlayLine]]:
    """Middle of each line from the plot's top, the case's label on its first one."""
    top_in = _ROW_GAP_IN / 2
    for label, lines in panel.rows:
        for number, line in enumerate(lines):
            yield top_in + (number + 0.5) * _LINE_IN, "" if number else label, line
        top_in += len(lines) * _LINE_IN + _ROW_GAP_IN


def _key(frame: Frame, panel: OverlayPanel) -> None:
    top_in = heading_height_in(panel.heading)
    for number, (letter, name) in enumerate(panel.sides):
        at_in = top_in + (number + 0.5) * _KEY_IN
        _swatch(frame, 0.05, at_in, _looks(number))
        frame.text(0.15, at_in, letter, size=_PT, weight="bold")
        base = " (base)" if number == 0 else ""
        room_in = PANEL_WIDTH_IN - 0.32 - text_width_in(base, _PT)
        frame.text(0.32, at_in, f"{fit(name, room_in, _PT)}{base}", size=_PT, color=MUTED)


def _axes(frame: Frame, panel: OverlayPanel, place_in: tuple[float, float, float, float]) -> Axes:
    axes = rows_axes(frame, place_in)
    known = [
        end for line in panel.lines for cell in line.cells if cell.usable for end in ends(cell) if end > 0
    ]
    if panel.metrics == THROUGHPUT:
        throughput_axis(axes, "x", max(known, default=1.0))
    else:
        latency_axis(axes, "x", known or [1.0], place_in[2])
    return axes


def _draw_line(axes: Axes, at_in: float, line: OverlayLine) -> None:
    looks = _looks(line.side)
    shown = [(number, cell) for number, cell in enumerate(line.cells) if cell.usable and cell.value]
    if len(shown) > 1:
        axes.plot(
            [cell.value or 0.0 for _, cell in shown],
            [at_in] * len(shown),
            color=looks.colour,
            lw=1.4,
            alpha=0.5,
        )
    for number, cell in shown:
        if cell.low is not None and cell.high is not None:
            axes.plot([cell.low, cell.high], [at_in] * 2, color=INK, lw=1)
        is_hollow = number > 0 or looks.hatch == _HOLLOW
        axes.plot(
            [cell.value or 0.0],
            [at_in],
            looks.marker,
            mfc=PAPER if is_hollow else looks.colour,
            mec=looks.colour,
            mew=1.2,
            ms=5,
            zorder=4,
        )


def _swatch(frame: Frame, left_in: float, at_in: float, looks: ModeStyle) -> None:
    face = PAPER if looks.hatch == _HOLLOW else looks.colour
    frame.mark(left_in, at_in, marker=looks.marker, ms=4.6, mfc=face, mec=looks.colour)


def _looks(side: int) -> ModeStyle:
    """The looks of a result: from the seventh on the marks are hollow, and the letter tells those that repeat."""
    looks = SERIES[side % len(SERIES)]
    return ModeStyle(looks.colour, looks.marker, looks.line, _HOLLOW if side // len(SERIES) % 2 else "")


def _why(line: OverlayLine) -> str:
    reason = next((cell.invalid for cell in line.cells if cell.invalid is not None), None)
    return "no figure" if reason is None else f"invalid: {reason}"


def _figures(cells: Sequence[Cell]) -> str:
    """The case's figures in one of the results; empty where there is none."""
    if not any(cell.usable and cell.value for cell in cells):
        return ""
    if len(cells) == 1:
        return fmt.estimate(cells[0].value, cells[0].low, cells[0].high)
    return " · ".join(fmt.duration(cell.value if cell.usable else None) for cell in cells)
