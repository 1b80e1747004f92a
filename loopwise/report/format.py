"""Numbers as text: three significant digits, the interval beside them, the unit chosen last.

The only place where a ratio becomes a percentage and milliseconds become seconds.
"""

import math

from loopwise.analysis.wording import MANY

NONE = "–"
"""Stands where there is no number."""

DIGITS = 3
"""Significant digits. Run-to-run scatter is some percent, so a fourth would be noise."""

# Chosen by the value, so that a value and its interval share one unit.
_TIME_SCALES = ((0.1, 1e3, "µs"), (1000.0, 1.0, "ms"), (math.inf, 1e-3, "s"))


def is_number(value: float | None) -> bool:
    """Whether there is a finite number to show."""
    return value is not None and math.isfinite(value)


def number(value: float | None) -> str:
    """Three significant digits with thousands separators: `0.0432`, `52.3`, `12,300`."""
    return _fixed(value, _decimals(value))


def plain(value: float) -> str:
    """A count, or a figure that may be one: `51`, `2,220`, `0.0330`."""
    return f"{value:,.0f}" if is_number(value) and value == round(value) else number(value)


def estimate(value: float | None, low: float | None = None, high: float | None = None) -> str:
    """A value with its interval: `812 [790, 834]`; without one when there is none."""
    return f"{number(value)}{_interval(value, low, high)}"


def ratio(value: float | None, low: float | None = None, high: float | None = None) -> str:
    """A ratio with its interval: `×2.41 [2.20, 2.60]`."""
    return f"×{estimate(value, low, high)}" if is_number(value) else NONE


def share(value_ratio: float | None) -> str:
    """A ratio between 0 and 1 as people say it: `1.2 %`."""
    return f"{number(value_ratio * 100)} %" if value_ratio is not None and is_number(value_ratio) else NONE


def duration(value_ms: float | None, low_ms: float | None = None, high_ms: float | None = None) -> str:
    """A latency in the unit that suits it: `52.3 ms`, `1.23 s`, `1.23 [1.20, 1.30] s`."""
    if value_ms is None or not is_number(value_ms):
        return NONE
    factor, unit = _time_scale(value_ms)
    return f"{estimate(value_ms * factor, _scaled(low_ms, factor), _scaled(high_ms, factor))} {unit}"


def is_duration(metric: str) -> bool:
    """Whether a metric of METRICS is milliseconds, as its name says: `service_time_p99_ms`, `cpu_ms_per_request`."""
    return metric.endswith(("_ms", "_ms_per_request"))


def figure(metric: str, value: float | None, low: float | None = None, high: float | None = None) -> str:
    """A metric's value with its interval, in the unit that suits it."""
    return (duration if is_duration(metric) else estimate)(value, low, high)


def tick_duration(value_ms: float) -> str:
    """A latency on an axis: round numbers without trailing zeros, `50 ms`, `2 s`."""
    factor, unit = _time_scale(value_ms)
    return f"{value_ms * factor:.3g} {unit}"


def tick_number(value: float) -> str:
    """A number on an axis, short: `750`, `2.5k`, `3M`."""
    for limit, suffix in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= limit:
            return f"{value / limit:.4g}{suffix}"
    return f"{value:.3g}"


def confidence(level: float) -> str:
    """`95 %`."""
    return f"{level * 100:.4g} %"


def _time_scale(value_ms: float) -> tuple[float, str]:
    if value_ms == 0:
        return 1.0, "ms"
    return next((factor, unit) for below_ms, factor, unit in _TIME_SCALES if abs(value_ms) < below_ms)


def _scaled(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


def _interval(value: float | None, low: float | None, high: float | None) -> str:
    if not (is_number(value) and is_number(low) and is_number(high)):
        return ""
    # The ends carry the value's decimals: an end that looked more precise than the value would mislead.
    decimals = _decimals(value)
    return f" [{_fixed(low, decimals)}, {_fixed(high, decimals)}]"


def _decimals(value: float | None) -> int:
    if value is None or not is_number(value) or value == 0:
        return 0
    decimals = DIGITS - 1 - math.floor(math.log10(abs(value)))
    # 9.996 becomes 10.0, not 10.00.
    rounded = round(value, decimals)
    return DIGITS - 1 - math.floor(math.log10(abs(rounded))) if rounded else decimals


def _fixed(value: float | None, decimals: int) -> str:
    if value is None or not is_number(value):
        return NONE
    if abs(value) >= MANY:
        return f"{value:.{DIGITS - 1}g}".replace("e+", "e")
    rounded = round(value, decimals) or 0.0
    return f"{rounded:,.{max(decimals, 0)}f}"
