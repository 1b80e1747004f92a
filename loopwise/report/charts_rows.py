"""Charts with a row per case: throughput as bars, latency percentiles as points."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from loopwise.report import format as fmt
from loopwise.report.axes import latency_axis, throughput_axis
from loopwise.report.frame import PANEL_WIDTH_IN, Frame, heading_height_in
from loopwise.report.rows import Cell, Cells, Facet
from loopwise.report.style import GRID, INK, MUTED, PAPER, VOID, fit, mode_style, text_width_in
from loopwise.summary import Summary

PERCENTILES = ("p50", "p90", "p99")

_ROW_IN = 0.235
_GROUP_GAP_IN = 0.08
_BAR_IN = 0.145
_COLUMN_HEADER_IN = 0.2
_AXIS_IN = 0.32
_LABELS_MAX_IN = 1.75
_GAP_IN = 0.1
_VOID_SLOT_IN = 0.3


@dataclass(frozen=True)
class ThroughputPanel:
    """Requests a second of each case of a facet."""

    facet: Facet
    cells: tuple[Cell, ...]
    highest_rps: float
    """End of the axis, shared by the facets of one subject so that their bars can be compared."""


@dataclass(frozen=True)
class PercentilePanel:
    """Service times of each case of a facet; cells in the order of PERCENTILES."""

    facet: Facet
    rows: tuple[tuple[Cell, ...], ...]


def throughput_panels(summary: Summary) -> list[ThroughputPanel]:
    """One panel per facet that has a case."""
    cells = Cells(summary)
    found = [(facet, tuple(cells.row(facet.cases, "throughput_rps"))) for facet in cells.facets]
    highest_rps: dict[str, float] = {}
    for facet, row in found:
        reach = max((_reach(cell) for cell in row if cell.usable), default=0.0)
        highest_rps[facet.heading] = max(highest_rps.get(facet.heading, 0.0), reach)
    return [ThroughputPanel(facet, row, highest_rps[facet.heading]) for facet, row in found]


def percentile_panels(summary: Summary) -> list[PercentilePanel]:
    """One panel per facet that has a case."""
    cells = Cells(summary)
    return [
        PercentilePanel(
            facet,
            tuple(
                tuple(cells.cell(case, f"service_time_{percentile}_ms") for percentile in PERCENTILES)
                for case in facet.cases
            ),
        )
        for facet in cells.facets
    ]


def panel_height_in(panel: ThroughputPanel | PercentilePanel) -> float:
    """Height that the panel's rows, heading and axis need."""
    rows_in = max(_row_tops_in(panel.facet)) + _ROW_IN
    return heading_height_in(panel.facet.heading) + _COLUMN_HEADER_IN + rows_in + _AXIS_IN


def draw_throughput(frame: Frame, panel: ThroughputPanel) -> None:
    """Bars from zero with whiskers, the predicted bound as a tick, the figures in a column beside them."""
    values = [fmt.estimate(cell.value, cell.low, cell.high) if cell.usable else "" for cell in panel.cells]
    rows = _Rows(frame, panel.facet, "requests/s", values)
    throughput_axis(rows.axes, "x", panel.highest_rps)
    for middle_in, cell in zip(rows.middles_in, panel.cells, strict=True):
        if cell.value is None or not cell.usable:
            rows.void(middle_in, cell)
            continue
        looks = mode_style(cell.case.mode)
        rows.axes.barh(
            middle_in,
            cell.value,
            _BAR_IN,
            color=looks.colour,
            hatch=looks.hatch,
            edgecolor=PAPER,
            linewidth=0,
        )
        _whisker(rows.axes, middle_in, cell)
        if cell.predicted is not None:
            reach_in = _BAR_IN * 0.72
            rows.axes.plot(
                [cell.predicted] * 2, [middle_in - reach_in, middle_in + reach_in], color=INK, lw=1.8
            )


def draw_percentiles(frame: Frame, panel: PercentilePanel) -> None:
    """A line from p50 to p99 per case: filled marker p50, small p90, hollow p99."""
    values = [_range(row) for row in panel.rows]
    rows = _Rows(frame, panel.facet, "p50 · p99", values)
    reach_ms = [end for row in panel.rows for cell in row if cell.usable for end in _ends(cell) if end > 0]
    latency_axis(rows.axes, "x", reach_ms or [1.0], rows.plot_width_in)
    for middle_in, row in zip(rows.middles_in, panel.rows, strict=True):
        shown = [cell for cell in row if cell.usable and cell.value]
        if not shown:
            rows.void(middle_in, row[0])
            continue
        looks = mode_style(row[0].case.mode)
        values_ms = [cell.value for cell in shown if cell.value]
        rows.axes.plot(values_ms, [middle_in] * len(shown), color=looks.colour, lw=1.6, alpha=0.55)
        for index, cell in enumerate(row):
            if cell not in shown:
                continue
            _whisker(rows.axes, middle_in, cell)
            face = PAPER if PERCENTILES[index] == "p99" else looks.colour
            size = 3.4 if PERCENTILES[index] == "p90" else 5.6
            rows.axes.plot(
                [cell.value or 0.0],
                [middle_in],
                looks.marker,
                mfc=face,
                mec=looks.colour,
                mew=1.3,
                ms=size,
                zorder=4,
            )


def describe_throughput(panel: ThroughputPanel) -> str:
    """What the chart shows, in words, for those who can't see it."""
    return _describe(
        f"Requests a second of {panel.facet.name}.",
        panel.facet,
        [_sayable(cell, fmt.estimate(cell.value, cell.low, cell.high)) for cell in panel.cells],
    )


def describe_percentiles(panel: PercentilePanel) -> str:
    """What the chart shows, in words, for those who can't see it."""
    return _describe(
        f"Service time of {panel.facet.name}: p50, p90, p99.",
        panel.facet,
        [_sayable(row[0], ", ".join(fmt.duration(cell.value) for cell in row)) for row in panel.rows],
    )


class _Rows:
    """The rows of a panel: labels to the left, axes, figures to the right."""

    def __init__(self, frame: Frame, facet: Facet, value_header: str, values: Sequence[str]) -> None:
        self.frame = frame
        self.fine_left_in, self.plot_left_in = _columns_in(facet)
        value_left_in = PANEL_WIDTH_IN - max(text_width_in(text) for text in (value_header, *values))
        self.plot_width_in = value_left_in - _GAP_IN - self.plot_left_in
        self.top_in = heading_height_in(facet.heading) + _COLUMN_HEADER_IN
        tops_in = _row_tops_in(facet)
        self.middles_in = [top_in + _ROW_IN / 2 for top_in in tops_in]
        height_in = max(tops_in) + _ROW_IN
        frame.heading(facet.heading, facet.context)
        header_in = self.top_in - _COLUMN_HEADER_IN / 2
        frame.text(value_left_in, header_in, value_header, size=7, color=MUTED)
        for middle_in, text in zip(self.middles_in, values, strict=True):
            frame.text(value_left_in, self.top_in + middle_in, text)
        self._label(facet)
        self.axes = frame.axes(self.plot_left_in, self.top_in, self.plot_width_in, height_in)
        # One unit of y is one inch, counted downwards like everything else here.
        self.axes.set_ylim(height_in, 0)
        self.axes.set_yticks([])
        self.axes.grid(axis="x")
        self.axes.spines["left"].set_color(GRID)

    def void(self, middle_in: float, cell: Cell) -> None:
        """A hatched slot and the reason in place of a number."""
        slot = Rectangle(
            (0, middle_in - _BAR_IN / 2),
            _VOID_SLOT_IN / self.plot_width_in,
            _BAR_IN,
            transform=self.axes.get_yaxis_transform(),
            fill=False,
            edgecolor=VOID,
            hatch="////",
        )
        self.axes.add_patch(slot)
        left_in = self.plot_left_in + _VOID_SLOT_IN + 0.07
        reason = fit(_why(cell), PANEL_WIDTH_IN - left_in)
        # Paper behind the words, so that the grid doesn't run through them.
        behind = {"facecolor": PAPER, "edgecolor": "none", "pad": 0.8}
        self.frame.text(left_in, self.top_in + middle_in, reason, color=MUTED, bbox=behind)

    def _label(self, facet: Facet) -> None:
        before = None
        for middle_in, case in zip(self.middles_in, facet.cases, strict=True):
            coarse, fine = facet.label(case)
            at_in = self.top_in + middle_in
            if not fine:
                self.frame.text(0, at_in, fit(coarse, self.plot_left_in - _GAP_IN))
                continue
            if coarse != before:
                self.frame.text(0, at_in, fit(coarse, self.fine_left_in - _GAP_IN, bold=True), weight="bold")
            room_in = self.plot_left_in - self.fine_left_in - _GAP_IN
            self.frame.text(self.fine_left_in, at_in, fit(fine, room_in), color=MUTED)
            before = coarse


def _columns_in(facet: Facet) -> tuple[float, float]:
    """Where the fine labels begin and where they end; no wider than needed, so that bars get the rest."""
    labels = [facet.label(case) for case in facet.cases]
    split = any(fine for _, fine in labels)
    coarse_in = max(text_width_in(coarse, bold=split) for coarse, _ in labels) + _GAP_IN
    fine_in = max(text_width_in(fine) for _, fine in labels) + _GAP_IN if split else 0.0
    fine_left_in = min(coarse_in, _LABELS_MAX_IN - fine_in)
    return fine_left_in, fine_left_in + fine_in


def _row_tops_in(facet: Facet) -> list[float]:
    """Top of each row, with a gap where a new group begins."""
    tops_in, top_in, before = [], 0.04, None
    for case in facet.cases:
        coarse, fine = facet.label(case)
        if before is not None and fine and coarse != before:
            top_in += _GROUP_GAP_IN
        tops_in.append(top_in)
        top_in += _ROW_IN
        before = coarse
    return tops_in


def _whisker(axes: Axes, middle_in: float, cell: Cell) -> None:
    if cell.low is None or cell.high is None:
        return
    reach_in = _BAR_IN * 0.28
    axes.plot([cell.low, cell.high], [middle_in] * 2, color=INK, lw=1)
    for end in (cell.low, cell.high):
        axes.plot([end] * 2, [middle_in - reach_in, middle_in + reach_in], color=INK, lw=1)


def _reach(cell: Cell) -> float:
    return max(_ends(cell) + ([cell.predicted] if cell.predicted is not None else []))


def _ends(cell: Cell) -> list[float]:
    return [end for end in (cell.low, cell.value, cell.high) if end is not None]


def _range(row: Sequence[Cell]) -> str:
    """The ends of a row's percentiles; empty where there is none."""
    if not any(cell.usable for cell in row):
        return ""
    return " · ".join(fmt.duration(cell.value if cell.usable else None) for cell in (row[0], row[-1]))


def _why(cell: Cell) -> str:
    return "no figure" if cell.invalid is None else f"invalid: {cell.invalid}"


def _sayable(cell: Cell, figures: str) -> str:
    return figures if cell.usable else _why(cell)


def _describe(beginning: str, facet: Facet, figures: Sequence[str]) -> str:
    spoken = 12
    rows = [
        f"{' '.join(part for part in facet.label(case) if part)} {figure}"
        for case, figure in zip(facet.cases[:spoken], figures, strict=False)
    ]
    more = (
        f" And {len(facet.cases) - spoken} more, in the table of all cases."
        if len(facet.cases) > spoken
        else ""
    )
    return f"{beginning} {'; '.join(rows)}.{more}"
