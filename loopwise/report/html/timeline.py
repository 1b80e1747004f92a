"""The time line of a run as small charts on one axis: text of a page, some kilobytes, drawn without any script."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from loopwise.analysis.digest import Digest
from loopwise.analysis.rows import FLOATS
from loopwise.report import format as fmt
from loopwise.report.timeline import lines_of, median_run, window_s

POINTS = 60
"""Of a line at most: a finer one shows nothing more at this height, and a page may hold a hundred time lines."""
HEIGHT = 100
"""Of a chart, in its own units: a line's ordinates are whole numbers."""


@dataclass(frozen=True)
class Track:
    """One of the small charts: its lines share an axis that begins at zero."""

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
    """A track of a run, ready to show."""

    label: str
    names: tuple[str, ...]
    """What each line is called; none where there is one."""
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
    """Which latency it shows."""
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
    lines = [
        (line.name, thinned(line.values * factor))
        for line in lines_of(run, track.columns, always={"rate_rps"})
    ]
    if not lines:
        return None
    top = max(float(np.nanmax(values, initial=0.0)) for _, values in lines) or 1.0
    unit = f" {track.unit}" if track.unit else ""
    return Lane(
        label=track.label,
        names=tuple(name for name, _ in lines if name),
        top=f"{fmt.plain(top)}{unit}",
        alt="; ".join(_said(track.label, name, values, unit) for name, values in lines),
        paths=tuple(Markup(path(values, top)) for _, values in lines),
        steps=max(max(values.size for _, values in lines) - 1, 1),
    )


def thinned(values: FLOATS) -> FLOATS:
    """The values, as means over equal stretches where there are more than POINTS; unknown ones count in none."""
    if values.size <= POINTS:
        return values
    width = -(-values.size // POINTS)
    padded = np.full(-(-values.size // width) * width, np.nan)
    padded[: values.size] = values
    rows = padded.reshape(-1, width)
    known = ~np.isnan(rows)
    means: FLOATS = np.divide(
        np.where(known, rows, 0).sum(axis=1),
        known.sum(axis=1),
        out=np.full(rows.shape[0], np.nan),
        where=known.any(axis=1),
    )
    return means


def path(values: FLOATS, top: float) -> str:
    """An SVG path through the values, one unit apart; it breaks where a value is not known."""
    parts: list[str] = []
    is_open = False
    for index, value in enumerate(values):
        if not np.isfinite(value):
            is_open = False
            continue
        point = f"{index} {round(HEIGHT - HEIGHT * float(value) / top)}"
        parts.append(point if is_open else f"M{point}")
        # A lone point between unknown ones has no length: a line to itself makes it a dot.
        is_open = True
    return " ".join(parts) + ("h0" if parts else "")


def _said(label: str, name: str, values: FLOATS, unit: str) -> str:
    known = values[np.isfinite(values)]
    low, middle, high = (fmt.plain(float(each)) for each in np.quantile(known, [0, 0.5, 1]))
    subject = f"{label}, {name}" if name else label
    return f"{subject}: {low} to {high}{unit}, median {middle}{unit}"
