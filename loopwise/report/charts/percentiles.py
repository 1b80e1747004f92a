"""The distribution of latency on a quantile axis; a line per case."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from loopwise.analysis.rows import FLOATS
from loopwise.analysis.summary import Summary
from loopwise.model import TOTAL, Case
from loopwise.report import format as fmt
from loopwise.report.cells import Cells, Facet, workers_name
from loopwise.report.charts.kit.axes import QUANTILE_TICKS, latency_axis, quantile_axis, quantile_position
from loopwise.report.charts.kit.frame import Frame
from loopwise.report.charts.kit.line_labels import LineEnd, end_labels
from loopwise.report.charts.kit.line_panel import (
    LINES_PER_PANEL,
    PLOT_HEIGHT_IN,
    left_out_words,
    line_looks,
    lines_height_in,
    note_left_out,
    plot,
    plot_box,
)

_STEPS = 70
"""Points along a line: more than a plot of this size shows would only make the file larger."""
_BAND_FROM = 1.02
"""A band narrower than its line is not seen."""
MANY_PANELS = 12
"""Beyond so many only the fewest and the most workers have a panel: what lies between looks like either."""


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


def distribution_panels(summary: Summary) -> list[DistributionPanel]:
    """One panel per facet and number of workers; per facet alone where there is one mode."""
    cells = Cells(summary)
    curves = _quantile_curves(summary.quantiles)
    panels = []
    for facet in _readable(_line_facets(cells.facets)):
        usable = [case for case in facet.cases if cells.why_invalid(case) is None and case.case_id in curves]
        left_out = tuple(facet.told(case) for case in facet.cases if case not in usable)
        if usable:
            lines = tuple((case, curves[case.case_id]) for case in usable)
            panels.append(DistributionPanel(facet, lines, left_out))
    return panels


def panel_height_in(panel: DistributionPanel) -> float:
    """Height of heading, plot, axis, and the note on what was left out."""
    return lines_height_in(plot_box(panel.facet), panel.left_out)


def draw_distribution(frame: Frame, panel: DistributionPanel) -> None:
    """A line per case over the quantiles, its band from the lowest to the highest replicate."""
    frame.heading(panel.facet.heading, panel.facet.context)
    box = plot_box(panel.facet)
    axes = plot(frame, box, "service time")
    curves = [curve for _, curve in panel.lines]
    latency_axis(
        axes,
        "y",
        [value for curve in curves for value in (*curve.lowest_ms, *curve.highest_ms)],
        PLOT_HEIGHT_IN,
    )
    furthest = max(curve.quantiles[-1] for curve in curves)
    quantile_axis(axes, furthest)
    axes.set_xlabel("percentile of requests")
    labels: list[LineEnd] = []
    for index, (case, curve) in enumerate(panel.lines):
        looks = line_looks(panel.facet, case, index)
        across, median_ms, lowest_ms, highest_ms, marks = _thinned(curve, furthest)
        if (highest_ms > lowest_ms * _BAND_FROM).any():
            axes.fill_between(across, lowest_ms, highest_ms, color=looks.colour, alpha=0.16, lw=0)
        axes.plot(across, median_ms, color=looks.colour, ls=looks.line, marker=looks.marker, ms=4.5,
                  markevery=marks, clip_on=False)  # fmt: skip
        labels.append(LineEnd(float(across[-1]), float(median_ms[-1]), panel.facet.told(case), looks))
    end_labels(frame, axes, box, labels)
    note_left_out(frame, box, panel.left_out)


def describe_distribution(panel: DistributionPanel) -> str:
    """What the chart shows, in words, for those who can't see it."""
    spoken = [
        f"{panel.facet.told(case)} from {fmt.duration(curve.median_ms[0])} at the fastest"
        f" to {fmt.duration(curve.median_ms[-1])} at the {curve.quantiles[-1] * 100:.4g}th percentile"
        for case, curve in panel.lines
    ]
    named = f"Distribution of service time, {panel.facet.name}: {'; '.join(spoken)}."
    return named + left_out_words(panel.left_out)


def _thinned(curve: Quantiles, furthest: float) -> tuple[FLOATS, FLOATS, FLOATS, FLOATS, list[int]]:
    """Positions, the three latencies there, and which of the points bear a mark.

    Points that would lie closer than a plot shows are dropped, unless a tick of the axis is theirs.
    """
    across = np.array([quantile_position(quantile) for quantile in curve.quantiles])
    ticks = {int(np.argmin(np.abs(np.subtract(curve.quantiles, tick)))) for tick in QUANTILE_TICKS}
    step = max(np.log(quantile_position(furthest)), 1e-9) / _STEPS
    slots = np.floor(np.log(across) / step)
    _, firsts = np.unique(slots, return_index=True)
    kept = np.array(sorted({*firsts.tolist(), *ticks, across.size - 1}))
    marks = [position for position, index in enumerate(kept.tolist()) if index in ticks]
    median_ms, lowest_ms, highest_ms = (
        np.asarray(values)[kept] for values in (curve.median_ms, curve.lowest_ms, curve.highest_ms)
    )
    return across[kept], median_ms, lowest_ms, highest_ms, marks


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
        by_rank = ascending["service_time_ms"].to_numpy(dtype=float)[
            firsts[shared][:, None] + np.arange(replicates)
        ]
        curves[str(case_id)] = Quantiles(
            *(
                tuple(float(value) for value in values)
                for values in (
                    quantiles[shared],
                    np.median(by_rank, axis=1),
                    by_rank[:, 0],
                    by_rank[:, -1],
                )
            )
        )
    return curves


def _readable(split: list[Facet]) -> list[Facet]:
    """The facets, or of too many those with the fewest and the most workers among their like."""
    if len(split) <= MANY_PANELS:
        return split
    alike: dict[tuple[str, str], list[Facet]] = {}
    for facet in split:
        words = workers_name(facet.cases[0])
        alike.setdefault((facet.heading, facet.context.removesuffix(f" · {words}")), []).append(facet)
    kept = []
    for like in alike.values():
        if len({facet.cases[0].workers for facet in like}) < len(like):
            kept += like
            continue
        rising = sorted(like, key=lambda facet: facet.cases[0].workers or 0)
        kept += [rising[0], rising[-1]] if len(rising) > 1 else rising
    return kept


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
