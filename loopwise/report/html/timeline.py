"""The time line of a run as small SVG charts on one axis: a few kilobytes of the page, without any script."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from markupsafe import Markup

from loopwise.analysis.digest import Digest
from loopwise.analysis.rows import FLOATS
from loopwise.report import format as fmt
from loopwise.report.timeline import lines_of, median_run, window_s

POINTS = 60
"""Most points of a line: at this height more would not be visible, and a page may hold a hundred time lines."""
HEIGHT = 100
"""Of a chart, in its own units, so that ordinates are whole numbers."""


@dataclass(frozen=True)
class Track:
    """A small chart whose lines share an axis that begins at zero."""

    label: str
    columns: dict[str, str]
    """Name of each line -> its column in the time line; an empty name where it is the only one."""
    unit: str = ""


TRACKS = (
    Track("Requests a second", {"": "rate_rps"}),
    Track("Latency", {"p50": "p50_ms", "p99": "p99_ms"}, "ms"),
    Track("Errors a second", {"": "errors_rps"}),
    Track("Event loop lag", {"": "loop_lag_ms"}, "ms"),
    Track("Thread pool", {"busy": "pool_busy", "waiting": "pool_waiting"}),
    Track("Executor", {"busy": "executor_busy", "waiting": "executor_waiting"}),
    Track("Process pool", {"": "process_pool_busy"}),
    Track("Requests in flight", {"": "in_flight"}),
    Track("CPU of the machine", {"used": "cpu_ratio", "stolen": "steal_ratio"}, "%"),
    Track("Memory", {"": "rss_mb"}, "MB"),
)


@dataclass(frozen=True)
class Lane:
    """A track of a run as text and SVG paths."""

    label: str
    names: tuple[str, ...]
    """Name of each line; none where there is only one."""
    top: str
    """Value at the upper edge, with its unit."""
    alt: str
    paths: tuple[Markup, ...]
    """The lines, as `d` of an SVG path in a box of `steps` × HEIGHT."""
    steps: int


@dataclass(frozen=True)
class Timeline:
    """The time line of one run."""

    replicate: int
    status: str
    latency: str
    """`service time` or `response time`."""
    duration: str
    lanes: tuple[Lane, ...]


def timeline(digests: Sequence[Digest]) -> Timeline | None:
    """The time line of the valid run whose throughput is the median, else of the first one with rows; None without."""
    shown = median_run([each for each in digests if len(each.timeline)])
    if shown is None:
        return None
    lanes = [_lane(track, shown) for track in TRACKS]
    return Timeline(
        replicate=shown.replicate,
        status=shown.status,
        latency=f"{shown.kind} time",
        duration=f"{fmt.number(window_s(shown))} s",
        lanes=tuple(lane for lane in lanes if lane is not None),
    )


def _lane(track: Track, run: Digest) -> Lane | None:
    factor = 100.0 if track.unit == "%" else 1.0
    lines = [(line.name, thinned(line.values * factor)) for line in lines_of(run, track.columns, always={"rate_rps"})]
    if not lines:
        return None
    top = max(float(np.nanmax(values, initial=0.0)) for _, values in lines) or 1.0
    unit = f" {track.unit}" if track.unit else ""
    return Lane(
        label=track.label,
        names=tuple(name for name, _ in lines if name),
        top=f"{fmt.plain(top)}{unit}",
        alt="; ".join(_alt(track.label, name, values, unit) for name, values in lines),
        paths=tuple(Markup(path(values, top)) for _, values in lines),
        steps=max(max(values.size for _, values in lines) - 1, 1),
    )


def thinned(values: FLOATS) -> FLOATS:
    """At most POINTS values: means over equal stretches, in which NaN is ignored."""
    if values.size <= POINTS:
        return values
    step = np.arange(values.size) // -(-values.size // POINTS)
    return np.asarray(pd.Series(values).groupby(step).mean(), dtype=np.float64)


def path(values: FLOATS, top: float) -> str:
    """An SVG path through the values, one unit apart, with gaps at NaN."""
    parts: list[str] = []
    is_open = False
    for index, value in enumerate(values):
        if not np.isfinite(value):
            is_open = False
            continue
        point = f"{index} {round(HEIGHT - HEIGHT * float(value) / top)}"
        parts.append(point if is_open else f"M{point}")
        # A lone point has no length; a line to itself makes it a dot.
        is_open = True
    return " ".join(parts) + ("h0" if parts else "")


def _alt(label: str, name: str, values: FLOATS, unit: str) -> str:
    known = values[np.isfinite(values)]
    low, middle, high = (fmt.plain(float(each)) for each in np.quantile(known, [0, 0.5, 1]))
    subject = f"{label}, {name}" if name else label
    return f"{subject}: {low} to {high}{unit}, median {middle}{unit}"
