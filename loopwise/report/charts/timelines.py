"""Time lines of single runs: rate, latency, event loop, pools and CPU below each other on one axis of time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from loopwise.analysis.digest import Digest
from loopwise.analysis.rows import FLOATS
from loopwise.analysis.summary import Summary
from loopwise.model import Case, Run
from loopwise.model.factors import name_among
from loopwise.report import format as fmt
from loopwise.report.cells import Cells, Facet, latency_metric
from loopwise.report.charts.kit.axes import latency_axis, linear_ticks, set_ticks
from loopwise.report.charts.kit.frame import Frame
from loopwise.report.charts.kit.line_labels import PITCH_IN, Box, LineEnd, end_labels
from loopwise.report.charts.kit.line_panel import AXIS_IN, QUANTITY_IN, plot, plot_box
from loopwise.report.charts.kit.style import INK, MUTED, ModeStyle, mode_style

RUNS_SHOWN = 8
"""Of a large suite; the page shows the others beside their cases."""

_TRACK_IN = 0.55
_BETWEEN_IN = 0.07
_AIR = 1.08
_FEW_TICKS = 2
# The first line of a track is the mode's own; the others differ from it in marker and stroke, and are named.
_OTHERS = (ModeStyle(INK, "", (0, (4, 1.5)), ""), ModeStyle(MUTED, "", (0, (1, 1)), ""))


@dataclass(frozen=True)
class Line:
    """One column of a time line, by what it is called."""

    name: str
    column: str
    values: tuple[float, ...]
    """NaN where it is not known."""


@dataclass(frozen=True)
class Track:
    """Lines that share a quantity and an axis."""

    quantity: str
    scale: str
    """A key of SCALES."""
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class TimelinePanel:
    """One run, its tracks from top to bottom."""

    facet: Facet
    """The case's subject, and what else it is called by."""
    case: Case
    seconds: tuple[float, ...]
    tracks: tuple[Track, ...]


TRACKS: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("per second", "plain", {"answers": "rate_rps", "errors": "errors_rps"}),
    ("latency", "log_ms", {"p50": "p50_ms", "p99": "p99_ms"}),
    ("event loop's lag", "plain_ms", {"loop lag": "loop_lag_ms"}),
    (
        "busy and waiting",
        "plain",
        {
            "threads": "pool_busy",
            "waiting": "pool_waiting",
            "executor": "executor_busy",
            "processes": "process_pool_busy",
        },
    ),
    ("machine", "share", {"CPU": "cpu_ratio", "steal": "steal_ratio"}),
)
"""Quantity, scale, and which columns of the time line are drawn under which name."""
_ALWAYS = {"rate_rps", "p50_ms", "p99_ms", "loop_lag_ms", "cpu_ratio", "steal_ratio"}
"""Columns that say something by being zero; of the others a line at zero is left out."""


def timeline_panels(summary: Summary) -> list[TimelinePanel]:
    """Few runs with most to say; see `chosen`."""
    panels = []
    for digest, why in chosen(summary):
        case = next(each for each in summary.experiment.suite.cases if each.case_id == digest.case_id)
        panel = panel_of(digest, case, summary.experiment.suite.cases, why)
        if panel is not None:
            panels.append(panel)
    return panels[:RUNS_SHOWN]


def panel_of(digest: Digest, case: Case, rivals: Sequence[Case], why: str = "") -> TimelinePanel | None:
    """The time line of any run; None where nothing of it is known.

    Args:
        digest: of the run.
        case: its case.
        rivals: the suite's cases, among which it has a name.
        why: it was chosen; stands beside the replicate.
    """
    tracks = tuple(track for track in (_track(digest, *parts) for parts in TRACKS) if track is not None)
    if not tracks:
        return None
    workers = f"{case.workers} worker{'s' if case.workers != 1 else ''}" if case.workers else ""
    replicate = f"replicate {digest.replicate}"
    state = "" if digest.status == "ok" else digest.status
    context = " · ".join(part for part in (workers, replicate, state, why) if part)
    facet = Facet(fmt.clean(name_among(case, rivals)), context, (case,))
    seconds = tuple(digest.timeline["second"].astype(float).tolist())
    return TimelinePanel(facet, case, seconds, tracks)


def chosen(summary: Summary) -> list[tuple[Digest, str]]:
    """Per facet the run of the fastest case and that with the strongest cause; then one whose numbers are void."""
    cells = Cells(summary)
    picked: list[tuple[Digest, str]] = []
    strongest: list[tuple[Digest, str]] = []
    for facet in cells.facets:
        known = [case for case in facet.cases if _ok(summary, case)]
        throughput = {case.case_id: cells.cell(case, "throughput_rps") for case in known}
        usable = [case for case in known if throughput[case.case_id].usable]
        if usable:
            best, why = _best(cells, usable)
            picked.append((_middle(_ok(summary, best)), why))
        found = _strongest(summary, usable)
        if found is not None:
            strongest.append(found)
    void = [
        digest
        for case in cells.cases
        for digest in summary.digests.get(case.case_id, ())
        if digest.status == "invalid"
    ]
    spoilt = [(digest, "its numbers are not used") for digest in void[:1]]
    order = [pair for pairs in _interleaved(picked, strongest) for pair in pairs]
    room = RUNS_SHOWN - len(spoilt)
    seen: dict[tuple[str, int, int], tuple[Digest, str]] = {}
    for digest, why in order:
        seen.setdefault((digest.case_id, digest.replicate, digest.attempt), (digest, why))
    return [*list(seen.values())[:room], *spoilt]


def panel_height_in(panel: TimelinePanel) -> float:
    """Height of the heading, the tracks, and the axis of time."""
    last = _boxes(panel)[-1]
    return last.top_in + last.height_in + AXIS_IN


def draw_timeline(frame: Frame, panel: TimelinePanel) -> None:
    """The tracks below each other; each line is named at its end."""
    frame.heading(panel.facet.heading, panel.facet.context)
    boxes = _boxes(panel)
    width_s = panel.seconds[0] * 2
    end_s = panel.seconds[-1] + width_s / 2
    for track, box in zip(panel.tracks, boxes, strict=True):
        axes = plot(frame, box, track.quantity)
        values = np.array([value for line in track.lines for value in line.values])
        SCALES[track.scale](axes, values[np.isfinite(values)], box)
        axes.set_xlim(0, end_s)
        ticks = [tick for tick in linear_ticks(end_s, 5) if tick <= end_s]
        set_ticks(axes, "x", ticks, fmt.tick_number if box is boxes[-1] else lambda _: "")
        _draw_lines(frame, axes, box, panel, track)
    axes.set_xlabel("seconds of the window")


def describe_timeline(panel: TimelinePanel) -> str:
    """What the chart shows, in words, for those who can't see it."""
    spoken = []
    for track in panel.tracks:
        for line in track.lines:
            known = [value for value in line.values if np.isfinite(value)]
            spoken.append(
                f"{track.quantity}, {line.name}: {_SAY[track.scale](min(known))} to {_SAY[track.scale](max(known))},"
                f" {_SAY[track.scale](float(np.median(known)))} in the middle"
            )
    return f"Time line of {panel.facet.name}, over {fmt.number(panel.seconds[-1])} s. {'; '.join(spoken)}."


def _draw_lines(frame: Frame, axes: Axes, box: Box, panel: TimelinePanel, track: Track) -> None:
    labels = []
    for index, line in enumerate(track.lines):
        looks = mode_style(panel.case.mode) if index == 0 else _OTHERS[(index - 1) % len(_OTHERS)]
        values = np.asarray(line.values)
        axes.plot(panel.seconds, values, color=looks.colour, ls=looks.line if index else "-", lw=1.2)
        known = np.flatnonzero(np.isfinite(values))
        if known.size == 1:
            axes.plot([panel.seconds[known[0]]], [values[known[0]]], "o", color=looks.colour, ms=3)
        last = int(known[-1])
        labels.append(LineEnd(panel.seconds[last], float(values[last]), line.name, looks))
    end_labels(frame, axes, box, labels)


def _boxes(panel: TimelinePanel) -> list[Box]:
    boxes, below_in = [], 0.0
    for track in panel.tracks:
        height_in = max(_TRACK_IN, PITCH_IN * len(track.lines))
        boxes.append(plot_box(panel.facet, height_in, below_in))
        below_in += height_in + QUANTITY_IN + _BETWEEN_IN
    return boxes


def _track(digest: Digest, quantity: str, scale: str, columns: dict[str, str]) -> Track | None:
    """The lines of which anything is known; None without any."""
    lines = []
    for name, column in columns.items():
        values = digest.timeline[column].to_numpy(dtype=float)
        values = np.where(np.isfinite(values), values, np.nan)
        if scale == "log_ms":
            values = np.where(values > 0, values, np.nan)
        known = values[np.isfinite(values)]
        if known.size and (column in _ALWAYS or known.any()):
            lines.append(Line(name, column, tuple(values.tolist())))
    if not lines:
        return None
    label = f"{digest.kind} time" if quantity == "latency" else quantity
    return Track(label, scale, tuple(lines))


def _linear(label: Callable[[float], str]) -> Callable[[Axes, FLOATS, Box], None]:
    def scale(axes: Axes, values: FLOATS, _: Box) -> None:
        limit = float(values.max()) * _AIR if values.size and values.max() > 0 else 1.0
        axes.set_ylim(0, limit)
        set_ticks(axes, "y", linear_ticks(limit, _FEW_TICKS), label)

    return scale


def _log_ms(axes: Axes, values: FLOATS, box: Box) -> None:
    latency_axis(axes, "y", values.tolist(), box.height_in)


SCALES: dict[str, Callable[[Axes, FLOATS, Box], Any]] = {
    "plain": _linear(fmt.tick_number),
    "plain_ms": _linear(fmt.tick_duration),
    "share": _linear(lambda ratio: f"{ratio * 100:.3g} %"),
    "log_ms": _log_ms,
}
"""How the values of a track lie on its upright axis."""
_SAY: dict[str, Callable[[float | None], str]] = {
    "plain": fmt.number,
    "plain_ms": fmt.duration,
    "share": fmt.share,
    "log_ms": fmt.duration,
}


def _best(cells: Cells, cases: Sequence[Case]) -> tuple[Case, str]:
    """The case that served most; in open load, where the schedule decides that, the one that answered soonest."""
    if any(case.load.model == "open" for case in cases):
        known = [(cells.cell(case, latency_metric(case, "p99")), case) for case in cases]
        soonest = [(cell.value, case) for cell, case in known if cell.usable and cell.value is not None]
        if soonest:
            return min(soonest, key=lambda pair: pair[0])[1], "the lowest p99 here"
    served = {case.case_id: cells.cell(case, "throughput_rps").value or 0.0 for case in cases}
    return max(cases, key=lambda case: served[case.case_id]), "the fastest here"


def _ok(summary: Summary, case: Case) -> list[Digest]:
    return [digest for digest in summary.digests.get(case.case_id, ()) if digest.status == "ok"]


def _middle(digests: Sequence[Digest]) -> Digest:
    """The run whose rate is the median of its case's."""
    ranked = sorted(digests, key=lambda digest: float(np.nansum(digest.timeline["rate_rps"])))
    return ranked[(len(ranked) - 1) // 2]


def _strongest(summary: Summary, cases: Sequence[Case]) -> tuple[Digest, str] | None:
    """The run whose first cause takes most, and that cause."""
    ids = {case.case_id for case in cases}
    named = [run for run in summary.runs if run.case.case_id in ids and run.status == "ok" and run.causes]
    if not named:
        return None
    run = max(named, key=lambda each: float(each.causes[0]["share"]))
    digest = next((each for each in _ok(summary, run.case) if _same(each, run)), None)
    return None if digest is None else (digest, str(run.causes[0]["cause"]).replace("_", " "))


def _same(digest: Digest, run: Run) -> bool:
    return (digest.replicate, digest.attempt) == (run.replicate, run.attempt)


def _interleaved(
    first: Sequence[tuple[Digest, str]], second: Sequence[tuple[Digest, str]]
) -> list[list[tuple[Digest, str]]]:
    """First of both, then second of both: what is cut off at the end is the least of each."""
    longest = max(len(first), len(second))
    return [[*first[index : index + 1], *second[index : index + 1]] for index in range(longest)]
