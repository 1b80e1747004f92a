"""Charts with a line per mode: the distribution of latency, and throughput against workers."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from loopwise.model import TOTAL, Case
from loopwise.report import format as fmt
from loopwise.report.axes import (
    QUANTILE_TICKS,
    latency_axis,
    quantile_axis,
    quantile_position,
    set_ticks,
    throughput_axis,
)
from loopwise.report.frame import PANEL_WIDTH_IN, Frame, heading_height_in
from loopwise.report.line_labels import Box, LineEnd, end_labels
from loopwise.report.rows import Cell, Cells, Facet, workers_name
from loopwise.report.style import MUTED, SERIES, ModeStyle, fit, mode_style
from loopwise.scaling import Scaling
from loopwise.summary import Summary

LINES_PER_PANEL = len(SERIES)

_LEFT_IN = 0.55
_QUANTITY_IN = 0.25
_PLOT_WIDTH_IN = 2.6
_PLOT_HEIGHT_IN = 2.0
_AXIS_IN = 0.5
_NOTE_IN = 0.2
_CURVE_POINTS = 40


@dataclass(frozen=True)
class Quantiles:
    """The latency of one case at quantiles below 1: median, lowest and highest over its replicates."""

    quantiles: tuple[float, ...]
    median_ms: tuple[float, ...]
    lowest_ms: tuple[float, ...]
    highest_ms: tuple[float, ...]


@dataclass(frozen=True)
class DistributionPanel:
    """Latency distributions of cases that are compared; a line each, in the facet's order."""

    facet: Facet
    lines: tuple[tuple[Case, Quantiles], ...]
    left_out: tuple[str, ...]
    """Names of the cases without a valid run."""


@dataclass(frozen=True)
class WorkersPanel:
    """Throughput against the number of workers; a line per mode, without its invalid points."""

    facet: Facet
    lines: tuple[tuple[Cell, ...], ...]
    left_out: tuple[str, ...]
    laws: tuple[Scaling | None, ...] = ()
    """The fitted law of each line, where it has one."""


def distribution_panels(summary: Summary) -> list[DistributionPanel]:
    """One panel per facet and number of workers; per facet alone where there is one mode."""
    cells = Cells(summary)
    curves = _quantile_curves(summary.quantiles)
    panels = []
    for facet in _line_facets(cells.facets):
        usable = [case for case in facet.cases if cells.why_invalid(case) is None and case.case_id in curves]
        left_out = tuple(_line_name(facet, case) for case in facet.cases if case not in usable)
        if usable:
            lines = tuple((case, curves[case.case_id]) for case in usable)
            panels.append(DistributionPanel(facet, lines, left_out))
    return panels


def workers_panels(summary: Summary) -> list[WorkersPanel]:
    """One panel per facet that has valid cases on more than one number of workers."""
    cells = Cells(summary)
    panels = []
    for facet in cells.facets:
        series = dict.fromkeys(facet.series(case) for case in facet.cases)
        row = [cell for cell in cells.row(facet.cases, "throughput_rps") if cell.case.workers is not None]
        lines = [
            tuple(cell for cell in row if facet.series(cell.case) == name and cell.usable) for name in series
        ]
        left_out = tuple(" ".join(facet.label(cell.case)).strip() for cell in row if not cell.usable)
        if (
            not (facet.by_subject or facet.by_id)
            and len({cell.case.workers for line in lines for cell in line}) > 1
        ):
            kept = tuple(line for line in lines if line)
            panels.append(WorkersPanel(facet, kept, left_out, tuple(_law(summary, line) for line in kept)))
    return panels


def _law(summary: Summary, line: Sequence[Cell]) -> Scaling | None:
    ids = {cell.case.case_id for cell in line}
    return next((law for law in summary.scaling if ids.issuperset(law.case_ids)), None)


def panel_height_in(panel: DistributionPanel | WorkersPanel) -> float:
    """Height of heading, plot, axis, and the note on what was left out."""
    note_in = _NOTE_IN if panel.left_out else 0.0
    return _plot_top_in(panel.facet) + _PLOT_HEIGHT_IN + _AXIS_IN + note_in


def draw_distribution(frame: Frame, panel: DistributionPanel) -> None:
    """A line per case over the quantiles, its band from the lowest to the highest replicate."""
    axes = _plot(frame, panel, "service time")
    curves = [curve for _, curve in panel.lines]
    latency_axis(
        axes,
        "y",
        [value for curve in curves for value in (*curve.lowest_ms, *curve.highest_ms)],
        _PLOT_HEIGHT_IN,
    )
    quantile_axis(axes, max(curve.quantiles[-1] for curve in curves))
    axes.set_xlabel("percentile of requests")
    labels: list[LineEnd] = []
    for index, (case, curve) in enumerate(panel.lines):
        looks = _looks(panel.facet, case, index)
        positions = [quantile_position(quantile) for quantile in curve.quantiles]
        axes.fill_between(positions, curve.lowest_ms, curve.highest_ms, color=looks.colour, alpha=0.16, lw=0)
        marks = [np.argmin(np.abs(np.subtract(curve.quantiles, tick))) for tick in QUANTILE_TICKS]
        axes.plot(positions, curve.median_ms, color=looks.colour, ls=looks.line, marker=looks.marker, ms=4.5,
                  markevery=sorted({int(mark) for mark in marks}), clip_on=False)  # fmt: skip
        labels.append(LineEnd(positions[-1], curve.median_ms[-1], _line_name(panel.facet, case), looks))
    end_labels(frame, axes, _plot_box(panel.facet), labels)


def draw_workers(frame: Frame, panel: WorkersPanel) -> None:
    """A line per mode with intervals; its label says what the most workers bring over the fewest."""
    axes = _plot(frame, panel, "requests/s")
    points = [cell for line in panel.lines for cell in line]
    throughput_axis(
        axes, "y", max(end for cell in points for end in (cell.high, cell.value) if end is not None)
    )
    counts = sorted({cell.case.workers or 0 for cell in points})
    # Doublings are equal steps, as they are when people choose worker counts.
    axes.set_xscale("log", base=2)
    axes.set_xlim(counts[0] / 1.12, counts[-1] * 1.12)
    set_ticks(axes, "x", counts, lambda count: f"{count:.0f}")
    axes.set_xlabel("workers")
    labels: list[LineEnd] = []
    for index, line in enumerate(panel.lines):
        looks = _looks(panel.facet, line[0].case, index)
        workers = [cell.case.workers or 0 for cell in line]
        values_rps = [cell.value or 0.0 for cell in line]
        below = [
            value - (cell.low if cell.low is not None else value)
            for value, cell in zip(values_rps, line, strict=True)
        ]
        above = [
            (cell.high if cell.high is not None else value) - value
            for value, cell in zip(values_rps, line, strict=True)
        ]
        axes.errorbar(workers, values_rps, yerr=(below, above), color=looks.colour, ls=looks.line,
                      marker=looks.marker, ms=5, elinewidth=1.1, capsize=2.5)  # fmt: skip
        law = panel.laws[index] if panel.laws else None
        if law is not None:
            along = np.geomspace(law.workers[0], law.workers[-1], _CURVE_POINTS)
            axes.plot(along, [law.throughput_rps(each) for each in along], color=looks.colour, ls=":", lw=0.9)
        name = f"{panel.facet.series(line[0].case)} {scaling(line)}".strip()
        labels.append(LineEnd(workers[-1], values_rps[-1], name, looks))
    end_labels(frame, axes, _plot_box(panel.facet), labels)


def scaling(line: Sequence[Cell]) -> str:
    """Throughput on the most workers over that on the fewest: `×1.98`; empty where there is one point."""
    first, last = line[0].value, line[-1].value
    return fmt.ratio(last / first) if len(line) > 1 and first and last else ""


def describe_distribution(panel: DistributionPanel) -> str:
    """What the chart shows, in words, for those who can't see it."""
    spoken = [
        f"{_line_name(panel.facet, case)} from {fmt.duration(curve.median_ms[0])} at the fastest"
        f" to {fmt.duration(curve.median_ms[-1])} at the {curve.quantiles[-1] * 100:.4g}th percentile"
        for case, curve in panel.lines
    ]
    return f"Distribution of service time, {panel.facet.name}: {'; '.join(spoken)}.{_left_out(panel)}"


def describe_workers(panel: WorkersPanel) -> str:
    """What the chart shows, in words, for those who can't see it."""
    spoken = [
        f"{panel.facet.series(line[0].case)} "
        + ", ".join(f"{fmt.number(cell.value)} on {workers_name(cell.case)}" for cell in line)
        for line in panel.lines
    ]
    return f"Requests a second against workers, {panel.facet.name}: {'; '.join(spoken)}.{_left_out(panel)}"


def _quantile_curves(table: pd.DataFrame) -> dict[str, Quantiles]:
    """Curves by case_id. A quantile counts where every replicate has it: else the median would jump there."""
    curves: dict[str, Quantiles] = {}
    usable = table[(table["quantile"] < 1) & (table["service_time_ms"] > 0)]
    for case_id, rows in usable.groupby("case_id", sort=False):
        chosen = rows[
            rows["endpoint"] == (TOTAL if (rows["endpoint"] == TOTAL).any() else rows["endpoint"].iloc[0])
        ]
        by_quantile = chosen.pivot_table(
            index="quantile", columns="replicate", values="service_time_ms"
        ).dropna()
        if by_quantile.empty:
            continue
        values_ms = by_quantile.to_numpy(dtype=float)
        curves[str(case_id)] = Quantiles(
            tuple(float(quantile) for quantile in by_quantile.index),
            tuple(np.median(values_ms, axis=1).tolist()),
            tuple(values_ms.min(axis=1).tolist()),
            tuple(values_ms.max(axis=1).tolist()),
        )
    return curves


def _line_facets(found: Sequence[Facet]) -> list[Facet]:
    """Splits facets until each has lines that its colours can tell apart."""
    split: list[Facet] = []
    for facet in found:
        if len({case.mode for case in facet.cases}) > 1 and not facet.by_subject:
            workers = dict.fromkeys(case.workers for case in facet.cases)
            groups = [tuple(case for case in facet.cases if case.workers == count) for count in workers]
        else:
            cases = facet.cases
            groups = [
                cases[start : start + LINES_PER_PANEL] for start in range(0, len(cases), LINES_PER_PANEL)
            ]
        for group in groups:
            several = len({case.workers for case in facet.cases}) > len({case.workers for case in group})
            context = f"{facet.context} · {workers_name(group[0])}" if several else facet.context
            split.append(replace(facet, cases=group, context=context))
    return split


def _looks(facet: Facet, case: Case, index: int) -> ModeStyle:
    modes = {other.mode for other in facet.cases}
    # A colour per mode tells lines apart only while each mode is one line.
    is_shared = len({facet.series(other) for other in facet.cases}) > len(modes)
    has_own = is_shared or (len(modes) == 1 and len(facet.cases) > 1)
    return SERIES[index % len(SERIES)] if has_own else mode_style(case.mode)


def _line_name(facet: Facet, case: Case) -> str:
    return " ".join(part for part in facet.label(case) if part)


def _left_out(panel: DistributionPanel | WorkersPanel) -> str:
    return f" Left out as invalid: {', '.join(panel.left_out)}." if panel.left_out else ""


def _plot_box(facet: Facet) -> Box:
    return Box(_LEFT_IN, _plot_top_in(facet), _PLOT_WIDTH_IN, _PLOT_HEIGHT_IN)


def _plot_top_in(facet: Facet) -> float:
    return heading_height_in(facet.heading) + _QUANTITY_IN


def _plot(frame: Frame, panel: DistributionPanel | WorkersPanel, quantity: str) -> Axes:
    top_in = _plot_top_in(panel.facet)
    frame.heading(panel.facet.heading, panel.facet.context)
    axes = frame.axes(*_plot_box(panel.facet))
    axes.grid(visible=True)
    frame.text(0, top_in - _QUANTITY_IN * 0.6, quantity, size=7, color=MUTED)
    if panel.left_out:
        note = fit(f"invalid, left out: {', '.join(panel.left_out)}", PANEL_WIDTH_IN)
        frame.text(0, top_in + _PLOT_HEIGHT_IN + _AXIS_IN + _NOTE_IN / 2, note, color=MUTED)
    return axes
