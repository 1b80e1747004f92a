"""Axes with few, round ticks: logarithmic latencies, linear rates, quantiles."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullFormatter, NullLocator

from loopwise.report.charts.kit.style import MUTED
from loopwise.report.format import tick_duration, tick_number

QUANTILE_TICKS = {0.0: "min", 0.5: "p50", 0.9: "p90", 0.99: "p99", 0.999: "p99.9", 0.9999: "p99.99"}
_HIGHEST_BESIDE_MIN = 0.9991
"""With a longer tail, there is no room for the labels of both `min` and `p50`."""

_STEPS = ((1, 2, 5), (1, 3), (1,))
_LABEL_IN = {"x": 0.45, "y": 0.25}
"""Room that a tick's label needs along its axis."""
_FINE_ROOM = 30
"""Number of ticks that fit without labels."""
_FINE_PT = 2.0
"""Length of the ticks between those that have a label: they show that the axis is logarithmic."""


def log_ticks(low: float, high: float, room: float = 6) -> list[float]:
    """Round values between two positive limits of a log axis with room for so many evenly spaced labels."""
    gap = math.log(high / low) / room
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    inside: list[float] = []
    for steps in _STEPS:
        ticks = [step * 10.0**decade for decade in decades for step in steps]
        inside = [tick for tick in ticks if low <= tick <= high]
        if all(math.log(after / before) >= gap for before, after in pairwise(inside)):
            return inside
    return inside[:: math.ceil(len(inside) / room)]


def log_limits(values: Sequence[float]) -> tuple[float, float]:
    """Limits around positive values with a margin on both sides, at least a factor of four apart."""
    low, high = min(values), max(values)
    air = max(1.3, math.sqrt(4 * low / high))
    return low / air, high * air


def linear_ticks(high: float, count: int = 4) -> list[float]:
    """Round values from zero up to a positive limit."""
    return [float(tick) for tick in MaxNLocator(count).tick_values(0, high) if 0 <= tick <= high]


def set_ticks(axes: Axes, which: str, ticks: Sequence[float], label: Callable[[float], str]) -> None:
    """Put ticks at these positions of axis `x` or `y` and nowhere else."""
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_locator(FixedLocator(ticks))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: label(value)))


def latency_axis(axes: Axes, which: str, values_ms: Sequence[float], length_in: float) -> None:
    """Make a log axis of milliseconds that holds all values."""
    log_axis(axes, which, values_ms, length_in, tick_duration)


def log_axis(axes: Axes, which: str, values: Sequence[float], length_in: float, label: Callable[[float], str]) -> None:
    """Make a log axis that holds all values, which are positive."""
    low, high = log_limits(values)
    (axes.set_xscale if which == "x" else axes.set_yscale)("log")
    (axes.set_xlim if which == "x" else axes.set_ylim)(low, high)
    ticks = log_ticks(low, high, length_in / _LABEL_IN[which])
    set_ticks(axes, which, ticks, label)
    fine = [tick for tick in log_ticks(low, high, _FINE_ROOM) if tick not in ticks]
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_minor_locator(FixedLocator(fine))
    axis.set_minor_formatter(NullFormatter())
    axis.set_tick_params(which="minor", length=_FINE_PT, color=MUTED)


def throughput_axis(axes: Axes, which: str, highest_rps: float) -> None:
    """Make a linear axis from zero, so that the length of a bar is its value."""
    limit_rps = highest_rps * 1.04 if highest_rps > 0 else 1.0
    (axes.set_xlim if which == "x" else axes.set_ylim)(0, limit_rps)
    set_ticks(axes, which, linear_ticks(limit_rps), tick_number)


def quantile_position(quantile: float) -> float:
    """Position of a quantile below 1 on a log axis, on which each further nine takes the same room."""
    return 1 / (1 - quantile)


def quantile_axis(axes: Axes, highest: float) -> None:
    """Make an axis as in HdrHistogram's plots, up to the highest quantile below 1."""
    axes.set_xscale("log")
    axes.set_xlim(0.95, max(quantile_position(highest), 2.0))
    # A little slack: a grid's 0.99 is not exactly 0.99.
    names = {quantile_position(q): name for q, name in QUANTILE_TICKS.items() if q <= highest * 1.00001}
    if highest > _HIGHEST_BESIDE_MIN:
        names.pop(quantile_position(0.0))
    set_ticks(axes, "x", list(names), lambda position: _nearest(names, position))


def _nearest(names: dict[float, str], position: float) -> str:
    return names[min(names, key=lambda known: abs(known - position))]
