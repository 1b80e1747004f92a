"""The whole distribution of latency: as a ridge per case on a log axis, and as a line per case over the quantiles."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from loopwise.analysis.digest import EDGES_MS, Latencies
from loopwise.analysis.rows import FLOATS
from loopwise.analysis.summary import Summary
from loopwise.model import TOTAL, Case
from loopwise.report import format as fmt
from loopwise.report.cells import Cell, Cells, Facet, grouped, latency_metric, workers_name
from loopwise.report.charts.kit.axes import QUANTILE_TICKS, latency_axis, quantile_axis, quantile_position
from loopwise.report.charts.kit.chart import Chart
from loopwise.report.charts.kit.frame import Frame
from loopwise.report.charts.kit.lines import LINES_PER_PANEL, LineEnd, LinePanel, Plot
from loopwise.report.charts.kit.rows import Column, RowPanel, RowSizes, draw_strokes
from loopwise.report.charts.kit.style import INK, mode_style

MANY_PANELS = 12
"""Beyond so many only the fewest and the most workers have a panel: what lies between style like either."""

_RIDGE_IN = 0.27
_SPAN_BINS = 80
"""Bins over the range of a panel at most: a plot has no room for more."""
_STEPS = 70
"""Points along a line: more than a plot of this size shows would only make the file larger."""
_BAND_FROM = 1.02
"""A band narrower than its line is not seen."""


@dataclass(frozen=True)
class Ridge:
    """Shares of a case's requests by bin of latency, all valid runs together; they add up to 1."""

    edges_ms: tuple[float, ...]
    """One more than there are shares."""
    service: tuple[float, ...]
    response: tuple[float, ...] | None
    """In open load, from when a request was due; else None."""

    @property
    def reach_ms(self) -> tuple[float, float]:
        """The shortest and the longest latency."""
        shares = np.asarray(self.service) + (0.0 if self.response is None else np.asarray(self.response))
        filled = np.flatnonzero(shares)
        return self.edges_ms[int(filled[0])], self.edges_ms[int(filled[-1]) + 1]

    def outline(self, shares: Sequence[float]) -> tuple[FLOATS, FLOATS]:
        """A staircase over the bins that hold something, from the ground back to it."""
        values = np.asarray(shares)
        filled = np.flatnonzero(values)
        first, last = int(filled[0]), int(filled[-1]) + 1
        across = np.repeat(np.asarray(self.edges_ms)[first : last + 1], 2)
        up = np.concatenate(([0.0], np.repeat(values[first:last], 2), [0.0]))
        return across, up / values.max() * _RIDGE_IN

    def words(self, median: Cell) -> str:
        """Median, most frequent bin and range."""
        most = int(np.argmax(self.service))
        often, reach = (
            " to ".join(map(fmt.duration, ends)) for ends in (self.edges_ms[most : most + 2], self.reach_ms)
        )
        return f"half below {fmt.duration(median.value)}, most often {often}, from {reach}"


@dataclass(frozen=True)
class HistogramPanel(RowPanel):
    """Distributions of the cases of a facet; None where there is none."""

    ridges: tuple[Ridge | None, ...]
    medians: tuple[Cell, ...]
    tails: tuple[Cell, ...]
    sizes = RowSizes(row_in=0.33)
    subject = "Latencies of {}."

    def figures(self) -> list[str]:
        """The shape of each case's distribution, or why there is none."""
        return [
            cell.why if ridge is None else ridge.words(cell)
            for ridge, cell in zip(self.ridges, self.medians, strict=True)
        ]

    def draw(self, frame: Frame) -> None:
        """A filled outline, as high at its most frequent latency as the row allows; a tick at the median."""
        texts = [
            f"{fmt.duration(median.value)} · {fmt.duration(tail.value if tail.usable else None)}"
            if ridge is not None and median.usable
            else ""
            for ridge, median, tail in zip(self.ridges, self.medians, self.tails, strict=True)
        ]
        rows = self.rows(frame, Column("p50 · p99", texts))
        reach_ms = [end for ridge in self.ridges if ridge for end in ridge.reach_ms]
        latency_axis(rows.axes, "x", reach_ms, rows.plot_width_in)
        medians = []
        for middle_in, ridge, cell in zip(rows.middles_in, self.ridges, self.medians, strict=True):
            if ridge is None:
                rows.void(middle_in, cell)
                continue
            base_in = middle_in + _RIDGE_IN / 2
            colour = mode_style(cell.case.mode).colour
            across, up_in = ridge.outline(ridge.service)
            rows.axes.fill(across, base_in - up_in, facecolor=colour, edgecolor=colour, lw=0.8, alpha=0.75)
            if ridge.response is not None:
                across, up_in = ridge.outline(ridge.response)
                rows.axes.plot(across, base_in - up_in, color=INK, lw=1.0)
            if cell.usable and cell.value:
                medians.append(((cell.value, base_in), (cell.value, base_in - _RIDGE_IN)))
        draw_strokes(rows.axes, medians, color=INK, lw=1.2, ls=(0, (2, 1)))


def histogram_panels(summary: Summary) -> list[HistogramPanel]:
    """One panel per facet that has a valid case whose rows were kept."""
    cells = Cells(summary)
    panels = []
    for facet in cells.facets:
        runs = [
            [
                run
                for run in summary.digests.get(case.case_id, ())
                if run.status == "ok" and run.endpoint in run.service and not cells.why_invalid(case)
            ]
            for case in facet.cases
        ]
        services = [[run.service[run.endpoint] for run in each] for each in runs]
        responses = [[run.response[run.endpoint] for run in each if run.endpoint in run.response] for each in runs]
        bins = _bins([latencies for each in (*services, *responses) for latencies in each])
        ridges = tuple(_ridge(*both, bins) for both in zip(services, responses, strict=True))
        if any(ridges):
            medians, tails = (
                tuple(cells.cell(case, latency_metric(case, name)) for case in facet.cases) for name in ("p50", "p99")
            )
            panels.append(HistogramPanel(facet, ridges, medians, tails))
    return panels


HISTOGRAM = Chart(
    "histogram",
    "How often each latency occurred",
    "Log axis: further left is better, narrow is steady; dashed tick: the median; outline: response time in open load.",
    histogram_panels,
    more="Each hill is as high as its most frequent latency, so that shapes can be compared, not heights. Filled is the"
    " service time; the response time counts from when a request was due.",
    has_intervals=False,
)


def _bins(known: Sequence[Latencies]) -> FLOATS:
    """Indexes into EDGES_MS that span what any of them has, wider where the span is long."""
    counts = sum((latencies.counts for latencies in known), np.zeros(EDGES_MS.size - 1, dtype=np.int64))
    filled = np.flatnonzero(counts)
    if not filled.size:
        return np.array([])
    first, last = int(filled[0]), int(filled[-1]) + 1
    step = -(-(last - first) // _SPAN_BINS)
    count = -(-(last - first) // step)
    return np.minimum(first + step * np.arange(count + 1), EDGES_MS.size - 1)


def _ridge(service: Sequence[Latencies], response: Sequence[Latencies], bins: FLOATS) -> Ridge | None:
    shares = _pooled(service, bins)
    return None if shares is None else Ridge(tuple(EDGES_MS[bins].tolist()), shares, _pooled(response, bins))


def _pooled(known: Sequence[Latencies], bins: FLOATS) -> tuple[float, ...] | None:
    """Shares by bin over all runs together; None without a row."""
    total = sum(latencies.rows for latencies in known)
    if not total or not bins.size:
        return None
    counts = np.add.reduce([latencies.counts for latencies in known])
    before = np.concatenate(([0], np.cumsum(counts)))
    return tuple((np.diff(before[bins]) / total).tolist())


@dataclass(frozen=True)
class Quantiles:
    """The latency of one case at quantiles below 1: median, lowest and highest over its replicates."""

    quantiles: tuple[float, ...]
    median_ms: tuple[float, ...]
    lowest_ms: tuple[float, ...]
    highest_ms: tuple[float, ...]

    def thinned(self, highest: float) -> tuple[FLOATS, FLOATS, FLOATS, FLOATS, list[int]]:
        """Positions on an axis up to this quantile, the three latencies there, and which of the points bear a mark.

        Points that would lie closer than a plot shows are dropped, unless a tick of the axis is theirs.
        """
        across = np.array([quantile_position(quantile) for quantile in self.quantiles])
        ticks = {int(np.argmin(np.abs(np.subtract(self.quantiles, tick)))) for tick in QUANTILE_TICKS}
        step = max(np.log(quantile_position(highest)), 1e-9) / _STEPS
        _, firsts = np.unique(np.floor(np.log(across) / step), return_index=True)
        kept = np.array(sorted({*firsts.tolist(), *ticks, across.size - 1}))
        marks = [position for position, index in enumerate(kept.tolist()) if index in ticks]
        median_ms, lowest_ms, highest_ms = (
            np.asarray(values)[kept] for values in (self.median_ms, self.lowest_ms, self.highest_ms)
        )
        return across[kept], median_ms, lowest_ms, highest_ms, marks


@dataclass(frozen=True)
class DistributionPanel(LinePanel):
    """Latency distributions of cases that are compared; a line each, in the facet's order."""

    lines: tuple[tuple[Case, Quantiles], ...]
    subject = "Distribution of service time"

    def figures(self) -> str:
        """The ends of each line."""
        return "; ".join(
            f"{self.facet.full_label(case)} from {fmt.duration(curve.median_ms[0])} at the fastest"
            f" to {fmt.duration(curve.median_ms[-1])} at the {curve.quantiles[-1] * 100:.4g}th percentile"
            for case, curve in self.lines
        )

    def draw_plots(self, frame: Frame) -> None:
        """A line per case over the quantiles, its band from the lowest to the highest replicate."""
        (box,) = self.boxes
        plot = Plot(frame, box, "service time")
        curves = [curve for _, curve in self.lines]
        reach_ms = [value for curve in curves for value in (*curve.lowest_ms, *curve.highest_ms)]
        latency_axis(plot.axes, "y", reach_ms, box.height_in)
        highest = max(curve.quantiles[-1] for curve in curves)
        quantile_axis(plot.axes, highest)
        plot.axes.set_xlabel("percentile of requests")
        for index, (case, curve) in enumerate(self.lines):
            style = self.line_style(case, index)
            across, median_ms, lowest_ms, highest_ms, marks = curve.thinned(highest)
            if (highest_ms > lowest_ms * _BAND_FROM).any():
                plot.axes.fill_between(across, lowest_ms, highest_ms, color=style.colour, alpha=0.16, lw=0)
            plot.axes.plot(across, median_ms, color=style.colour, ls=style.line, marker=style.marker, ms=4.5,
                           markevery=marks, clip_on=False)  # fmt: skip
            name = self.facet.full_label(case)
            plot.ends.append(LineEnd(float(across[-1]), float(median_ms[-1]), name, style))
        plot.name_lines()


def distribution_panels(summary: Summary) -> list[DistributionPanel]:
    """One panel per facet and number of workers; per facet alone where there is one mode."""
    cells = Cells(summary)
    curves = _quantile_curves(summary.quantiles)
    panels = []
    for facet in _readable(_line_facets(cells.facets)):
        usable = [case for case in facet.cases if cells.why_invalid(case) is None and case.case_id in curves]
        left_out = tuple(facet.full_label(case) for case in facet.cases if case not in usable)
        if usable:
            lines = tuple((case, curves[case.case_id]) for case in usable)
            panels.append(DistributionPanel(facet, left_out, lines))
    return panels


DISTRIBUTION = Chart(
    "distribution",
    "Latency distribution",
    "Service time by percentile: lower is better, flat is steady. Line: median of the replicates; band:"
    " lowest to highest.",
    distribution_panels,
    more="Each further nine takes the same room."
    f" Where that would be more than {MANY_PANELS} panels, only the fewest and the most workers have one.",
    has_intervals=False,
)


def _quantile_curves(table: pd.DataFrame) -> dict[str, Quantiles]:
    """Curves by case_id. A quantile counts where every replicate has it: else the median would jump there."""
    usable = table[(table["quantile"] < 1) & (table["service_time_ms"] > 0)]
    usable = usable[np.isfinite(usable["service_time_ms"].to_numpy(dtype=float))]
    curves: dict[str, Quantiles] = {}
    for case_id, whole in usable.groupby("case_id", sort=False):
        endpoints = whole["endpoint"].unique()
        mine = whole[whole["endpoint"] == (TOTAL if TOTAL in endpoints else endpoints[0])]
        replicates = mine["replicate"].nunique()
        ascending = mine.sort_values(["quantile", "service_time_ms"])
        quantiles, firsts, sizes = np.unique(
            ascending["quantile"].to_numpy(dtype=float), return_index=True, return_counts=True
        )
        shared = sizes == replicates
        if not shared.any():
            continue
        places = firsts[shared][:, None] + np.arange(replicates)
        by_rank = ascending["service_time_ms"].to_numpy(dtype=float)[places]
        columns = quantiles[shared], np.median(by_rank, axis=1), by_rank[:, 0], by_rank[:, -1]
        curves[str(case_id)] = Quantiles(*(tuple(values.tolist()) for values in columns))
    return curves


def _line_facets(facets: Sequence[Facet]) -> list[Facet]:
    """Splits facets until each has lines that its colours can distinguish."""
    split: list[Facet] = []
    for facet in facets:
        if len({case.mode for case in facet.cases}) > 1 and not facet.by_subject:
            groups = [tuple(cases) for cases in grouped(facet.cases, lambda case: case.workers).values()]
        else:
            starts = range(0, len(facet.cases), LINES_PER_PANEL)
            groups = [facet.cases[start : start + LINES_PER_PANEL] for start in starts]
        for group in groups:
            several = len({case.workers for case in facet.cases}) > len({case.workers for case in group})
            context = f"{facet.context} · {workers_name(group[0])}" if several else facet.context
            split.append(replace(facet, cases=group, context=context))
    return split


def _readable(split: list[Facet]) -> list[Facet]:
    """The facets; of too many only those with the fewest and the most workers among facets that differ in these."""
    if len(split) <= MANY_PANELS:
        return split
    alike: dict[tuple[str, str], list[Facet]] = {}
    for facet in split:
        words = workers_name(facet.cases[0])
        alike.setdefault((facet.heading, facet.context.removesuffix(f" · {words}")), []).append(facet)
    kept = []
    for group in alike.values():
        if len({facet.cases[0].workers for facet in group}) < len(group):
            kept += group
            continue
        rising = sorted(group, key=lambda facet: facet.cases[0].workers or 0)
        kept += [rising[0], rising[-1]] if len(rising) > 1 else rising
    return kept
