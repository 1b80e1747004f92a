"""Draw the charts of claims: bars with intervals, and lines against a factor with the bracket of the crossover."""

import math
from collections.abc import Callable, Sequence
from functools import partial

from matplotlib.axes import Axes

from loopwise.claims.finding import Bracket, number_of
from loopwise.claims.panels import LABELS, Bars, Lines, Panel
from loopwise.model import Estimate
from loopwise.report import format as fmt
from loopwise.report.charts.kit.axes import log_axis, set_ticks, throughput_axis
from loopwise.report.charts.kit.frame import PANEL_WIDTH_IN, Frame, single
from loopwise.report.charts.kit.lines import Box, LineEnd, end_labels
from loopwise.report.charts.kit.style import (
    INK,
    LABEL_PT,
    MUTED,
    VOID,
    figure_style,
    fit,
    mode_style,
    text_width_in,
)
from loopwise.report.charts.kit.svg import svg_of

_ROW_IN = 0.3
_TOP_IN = 0.05
_AXIS_IN = 0.5
_PLOT = Box(0.6, 0.32, 2.55, 2.0)
_NAMES_IN = 1.75
_FIGURE_IN = 0.75
_HEIGHT_IN = 0.56
"""Of a bar, in rows."""
_LINEAR = 0.02
"""A bar shorter than this part of the longest can't be seen: then the axis is logarithmic."""

_WILD = 4.0
"""An interval that reaches further beyond all values than this factor would leave no room for them."""


def svg(panel: Panel, title: str) -> str:
    """The chart as the text of an SVG file."""
    if isinstance(panel, Bars):
        height_in, draw = _TOP_IN + len(panel.bars) * _ROW_IN + _AXIS_IN, partial(_draw_bars, panel=panel)
    else:
        height_in, draw = _PLOT.top_in + _PLOT.height_in + _AXIS_IN, partial(_draw_lines, panel=panel)
    with figure_style():
        return svg_of(single(height_in, draw), title)


def describe(panel: Panel) -> str:
    """The chart in words, with its figures."""
    if isinstance(panel, Bars):
        bars = "; ".join(f"{bar.name}: {_figure(panel.metric, bar.known)}" for bar in panel.bars)
        return f"Bars of {LABELS[panel.metric]}. {bars}."
    lines = "; ".join(
        f"{line.name}: "
        + ", ".join(f"{_figure(panel.metric, known)} at {_at(value, panel.words)}" for value, known in line.points)
        for line in panel.lines
    )
    ends = "" if panel.bracket is None else f" {str(panel.bracket).capitalize()}."
    return f"{LABELS[panel.metric].capitalize()} against {panel.words}. {lines}.{ends}"


def explain(panel: Panel) -> str:
    """The caption: what the axes, the thin lines and the grey band are."""
    label = LABELS[panel.metric][:1].upper() + LABELS[panel.metric][1:]
    thin = "A thin line is the 95 % interval."
    if isinstance(panel, Bars):
        return f"{label}. {thin}"
    band = f" The grey band: {panel.bracket}." if _band(panel.bracket) else ""
    return f"{label} against {panel.words}. {thin}{band}"


def _figure(metric: str, known: Estimate) -> str:
    return fmt.figure(metric, known.value, known.low, known.high)


def _at(value: float, words: str) -> str:
    """`1 user`, `40 users`, `0.2 ms of computing`."""
    return f"{number_of(value)} {words.removesuffix('s') if value == 1 and ' ' not in words else words}"


def _band(bracket: Bracket | None) -> tuple[float, float] | None:
    """Both ends of the bracket; None where one is missing."""
    if bracket is None or bracket.low is None or bracket.high is None:
        return None
    return bracket.low, bracket.high


def _draw_bars(frame: Frame, panel: Bars) -> None:
    width_in = PANEL_WIDTH_IN - _NAMES_IN - _FIGURE_IN
    plot_in = len(panel.bars) * _ROW_IN
    axes = frame.axes(_NAMES_IN, _TOP_IN, width_in, plot_in)
    _plain(axes, "x")
    axes.set_ylim(len(panel.bars) - 0.5, -0.5)
    axes.yaxis.set_visible(False)
    values = [bar.known.value for bar in panel.bars]
    ends = _ends([bar.known for bar in panel.bars])
    start, tick = 0.0, _tick(panel.metric)
    if min(values) < _LINEAR * max(values):
        log_axis(axes, "x", ends, width_in, tick)
        start = axes.get_xlim()[0]
    else:
        throughput_axis(axes, "x", max(ends))
        set_ticks(axes, "x", axes.get_xticks().tolist(), tick)
    axes.set_xlabel(LABELS[panel.metric])
    for row, bar in enumerate(panel.bars):
        style = mode_style(bar.mode)
        axes.barh(row, bar.known.value - start, left=start, height=_HEIGHT_IN, color=style.colour,
                  hatch=style.hatch, edgecolor="white", lw=0, zorder=2)  # fmt: skip
        _whisker(axes, bar.known, row)
        top_in = _TOP_IN + (row + 0.5) * _ROW_IN
        name = fit(bar.name, _NAMES_IN - 0.1)
        frame.text(_NAMES_IN - 0.1 - text_width_in(name), top_in, name, color=INK)
        frame.text(PANEL_WIDTH_IN - _FIGURE_IN + 0.08, top_in, fmt.figure(panel.metric, bar.known.value), color=MUTED)


def _whisker(axes: Axes, known: Estimate, row: int) -> None:
    if known.low is None or known.high is None:
        return
    left, right = axes.get_xlim()
    axes.plot([max(known.low, left), min(known.high, right)], [row, row], color=INK, lw=1.0, zorder=3)


def _draw_lines(frame: Frame, panel: Lines) -> None:
    axes = frame.axes(*_PLOT)
    _plain(axes, "both")
    frame.text(0, _PLOT.top_in / 2, LABELS[panel.metric], color=MUTED)
    known = [each for line in panel.lines for _, each in line.points]
    log_axis(axes, "y", _ends(known), _PLOT.height_in, _tick(panel.metric))
    values = sorted({value for line in panel.lines for value, _ in line.points})
    _factor_axis(axes, panel.words, values)
    band = _band(panel.bracket)
    if band is not None:
        axes.axvspan(*band, color=VOID, alpha=0.35, lw=0, zorder=0)
    labels = []
    for line in panel.lines:
        style = mode_style(line.mode)
        xs, ys = zip(*((value, each.value) for value, each in line.points), strict=True)
        axes.plot(xs, ys, color=style.colour, ls=style.line, marker=style.marker, ms=4.5, clip_on=False, zorder=3)
        for value, each in line.points:
            if each.low is not None and each.high is not None:
                axes.plot([value, value], [each.low, each.high], color=style.colour, lw=1.0, zorder=2)
        labels.append(LineEnd(xs[-1], ys[-1], line.name, style))
    end_labels(frame, axes, _PLOT, labels)


def _factor_axis(axes: Axes, words: str, values: Sequence[float]) -> None:
    """Logarithmic where that can be; ticks at what was measured, as far as there is room."""
    low, high = min(values), max(values)
    is_log = low > 0 and high / low > 2
    position: Callable[[float], float] = math.log if is_log else float
    if is_log:
        axes.set_xscale("log")
        axes.set_xlim(low / 1.15, high * 1.15)
    else:
        air = (high - low or 1.0) * 0.06
        axes.set_xlim(low - air, high + air)
    span = position(high) - position(low) or 1.0
    ticks: list[float] = []
    for value in values:
        if not ticks or (position(value) - position(ticks[-1])) / span > 0.12:
            ticks.append(value)
    set_ticks(axes, "x", ticks, number_of)
    axes.set_xlabel(words)


def _tick(metric: str) -> Callable[[float], str]:
    return fmt.tick_duration if fmt.is_duration(metric) else fmt.tick_number


def _ends(known: Sequence[Estimate]) -> list[float]:
    """All values and the ends of their intervals that can stand on an axis; a wild interval is cut off."""
    values = [each.value for each in known if each.value > 0]
    low, high = min(values) / _WILD, max(values) * _WILD
    ends = [end for each in known for end in (each.low, each.high) if end is not None and low <= end <= high]
    return [*values, *ends]


def _plain(axes: Axes, grid: str) -> None:
    axes.grid(visible=True, axis="x" if grid == "x" else "both", lw=0.6)
    for side in ("left",) if grid == "x" else ():
        axes.spines[side].set_visible(False)
    axes.tick_params(labelsize=LABEL_PT - 0.5)
