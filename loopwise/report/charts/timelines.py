"""Time lines of single runs: rate, latency, event loop, pools and CPU below each other on one axis of time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes

from loopwise.analysis.digest import Digest
from loopwise.analysis.rows import FLOATS
from loopwise.analysis.summary import Summary
from loopwise.analysis.wording import count
from loopwise.model import Case
from loopwise.model.naming import name_among
from loopwise.report import format as fmt
from loopwise.report.cells import Cells, Facet, latency_metric
from loopwise.report.charts.kit.axes import latency_axis, linear_ticks, set_ticks
from loopwise.report.charts.kit.chart import Chart
from loopwise.report.charts.kit.frame import Frame
from loopwise.report.charts.kit.lines import PITCH_IN, QUANTITY_IN, Box, LineEnd, LinePanel, Plot
from loopwise.report.charts.kit.style import INK, MUTED, ModeStyle, mode_style
from loopwise.report.timeline import Line, lines_of, median_run, window_s
from loopwise.visible import clean

RUNS_SHOWN = 8
"""Of a large suite; the page shows the others beside their cases."""

_TRACK_IN = 0.55
_BETWEEN_IN = 0.07
_AIR = 1.08
_FEW_TICKS = 2
# The first line of a track is the mode's own; the others differ from it in marker and stroke, and are named.
_OTHERS = (ModeStyle(INK, "", (0, (4, 1.5)), ""), ModeStyle(MUTED, "", (0, (1, 1)), ""))


class Scale(NamedTuple):
    """Vertical axis of a track, and the text of its values."""

    tick: Callable[[float], str]
    text: Callable[[float | None], str]
    is_log: bool = False

    def apply(self, axes: Axes, values: FLOATS, height_in: float) -> None:
        """Set limits and ticks for these values."""
        if self.is_log:
            latency_axis(axes, "y", values.tolist(), height_in)
            return
        limit = float(values.max()) * _AIR if values.size and values.max() > 0 else 1.0
        axes.set_ylim(0, limit)
        set_ticks(axes, "y", linear_ticks(limit, _FEW_TICKS), self.tick)


class Track(NamedTuple):
    """Lines that share a quantity and an axis."""

    quantity: str
    scale: Scale
    columns: dict[str, str]
    """Name of each line -> its column in the time line."""


_NUMBERS = Scale(fmt.tick_number, fmt.number)
TRACKS = (
    Track("per second", _NUMBERS, {"answers": "rate_rps", "errors": "errors_rps"}),
    Track("latency", Scale(fmt.tick_duration, fmt.duration, is_log=True), {"p50": "p50_ms", "p99": "p99_ms"}),
    Track("event loop's lag", Scale(fmt.tick_duration, fmt.duration), {"loop lag": "loop_lag_ms"}),
    Track(
        "busy and waiting",
        _NUMBERS,
        {
            "threads": "pool_busy",
            "waiting": "pool_waiting",
            "executor": "executor_busy",
            "processes": "process_pool_busy",
        },
    ),
    Track(
        "machine",
        Scale(lambda ratio: f"{ratio * 100:.3g} %", fmt.share),
        {"CPU": "cpu_ratio", "steal": "steal_ratio"},
    ),
)
_ALWAYS = {"rate_rps", "p50_ms", "p99_ms", "loop_lag_ms", "cpu_ratio", "steal_ratio"}
"""Columns that say something by being zero; of the others a line at zero is left out."""


@dataclass(frozen=True)
class TimelinePanel(LinePanel):
    """One run, its tracks from top to bottom."""

    case: Case
    seconds: tuple[float, ...]
    window_s: float
    tracks: tuple[tuple[Track, list[Line]], ...]
    """Each track with its lines."""
    subject = "Time line"

    @property
    def boxes(self) -> list[Box]:
        """A plot per track, high enough for the names of its lines."""
        boxes, below_in = [], 0.0
        for _, lines in self.tracks:
            height_in = max(_TRACK_IN, PITCH_IN * len(lines))
            boxes.append(self.box(height_in, below_in=below_in))
            below_in += height_in + QUANTITY_IN + _BETWEEN_IN
        return boxes

    def figures(self) -> str:
        """Length of the window; range and median of each line."""
        spoken = [f"{fmt.number(self.window_s)} s"]
        for track, lines in self.tracks:
            for line in lines:
                ends = np.quantile(line.known, [0, 0.5, 1]).tolist()
                low, middle, high = map(track.scale.text, ends)
                spoken.append(f"{track.quantity}, {line.name}: {low} to {high}, median {middle}")
        return "; ".join(spoken)

    def draw_plots(self, frame: Frame) -> None:
        """The tracks below each other; each line is named at its end."""
        boxes = self.boxes
        ticks = [tick for tick in linear_ticks(self.window_s, 5) if tick <= self.window_s]
        for (track, lines), box in zip(self.tracks, boxes, strict=True):
            plot = Plot(frame, box, track.quantity)
            track.scale.apply(plot.axes, np.concatenate([line.known for line in lines]), box.height_in)
            plot.axes.set_xlim(0, self.window_s)
            set_ticks(plot.axes, "x", ticks, fmt.tick_number if box is boxes[-1] else lambda _: "")
            self._draw_lines(plot, lines)
        plot.axes.set_xlabel("seconds of the window")

    def _draw_lines(self, plot: Plot, lines: Sequence[Line]) -> None:
        for index, line in enumerate(lines):
            style = _OTHERS[(index - 1) % len(_OTHERS)] if index else mode_style(self.case.mode)
            stroke = style.line if index else "-"
            plot.axes.plot(self.seconds, line.values, color=style.colour, ls=stroke, lw=1.2)
            known = np.flatnonzero(np.isfinite(line.values))
            last = int(known[-1])
            if known.size == 1:
                plot.axes.plot([self.seconds[last]], [line.values[last]], "o", color=style.colour, ms=3)
            plot.ends.append(LineEnd(self.seconds[last], float(line.values[last]), line.name, style))
        plot.name_lines()


def timeline_panels(summary: Summary) -> list[TimelinePanel]:
    """The few runs that have most to say; see `chosen`."""
    cases = summary.experiment.suite.cases
    by_id = {case.case_id: case for case in cases}
    panels = (panel_of(digest, by_id[digest.case_id], cases, why) for digest, why in chosen(summary))
    return [panel for panel in panels if panel is not None][:RUNS_SHOWN]


def panel_of(digest: Digest, case: Case, rivals: Sequence[Case], why: str = "") -> TimelinePanel | None:
    """The time line of any run; None where nothing of it is known.

    Args:
        digest: of the run.
        case: its case.
        rivals: the suite's cases, among which it has a name.
        why: it was chosen; stands beside the replicate.
    """
    tracks = []
    for track in TRACKS:
        lines = lines_of(digest, track.columns, is_log=track.scale.is_log, always=_ALWAYS)
        if lines:
            is_latency = track.quantity == "latency"
            tracks.append((track._replace(quantity=f"{digest.kind} time") if is_latency else track, lines))
    if not tracks:
        return None
    workers = count(case.workers, "worker") if case.workers else ""
    state = "" if digest.status == "ok" else digest.status
    context = " · ".join(filter(None, (workers, f"replicate {digest.replicate}", state, why)))
    facet = Facet(clean(name_among(case, rivals)), context, (case,))
    seconds = tuple(digest.timeline["second"].astype(float).tolist())
    return TimelinePanel(facet, (), case, seconds, window_s(digest), tuple(tracks))


def chosen(summary: Summary) -> list[tuple[Digest, str]]:
    """Per facet the run of the fastest case and that with the strongest cause; then one whose numbers are void."""
    cells = Cells(summary)
    fastest: list[tuple[Digest, str]] = []
    explained: list[tuple[Digest, str]] = []
    for facet in cells.facets:
        usable = [case for case in facet.cases if _ok(summary, case) and cells.cell(case, "throughput_rps").usable]
        fastest += _fastest(summary, cells, usable)
        explained += _explained(summary, usable)
    void = [
        (digest, "its numbers are not used")
        for case in cells.cases
        for digest in summary.digests.get(case.case_id, ())
        if digest.status == "invalid"
    ][:1]
    # First of both, then second of both: what is cut off at the end is the least of each.
    picked: dict[tuple[str, int, int], tuple[Digest, str]] = {}
    for choice in filter(None, chain(*zip_longest(fastest, explained))):
        picked.setdefault((choice[0].case_id, choice[0].replicate, choice[0].attempt), choice)
    return [*list(picked.values())[: RUNS_SHOWN - len(void)], *void]


TIMELINE = Chart(
    "timeline",
    "Time lines of single runs",
    "The window step by step: a run of the fastest, one of the strongest cause, one whose numbers are not used.",
    timeline_panels,
    more=f"At most {RUNS_SHOWN}, for each set of compared cases. A step's latencies are of the requests that fell into"
    " it, occupancies are summed over the workers. A gap: nothing was answered, or the probe's thread had no turn.",
    has_intervals=False,
)


def _fastest(summary: Summary, cells: Cells, cases: Sequence[Case]) -> list[tuple[Digest, str]]:
    """The median run of the case that served most; in open load, where the schedule decides that, of the lowest p99."""
    latencies = [cells.cell(case, latency_metric(case, "p99")) for case in cases]
    known = [cell for cell in latencies if cell.usable]
    if known and any(case.load.model == "open" for case in cases):
        best, why = min(known, key=lambda cell: cell.number).case, "the lowest p99 here"
    elif cases:
        served = cells.row(cases, "throughput_rps")
        best, why = max(served, key=lambda cell: cell.number).case, "the fastest here"
    else:
        return []
    run = median_run(_ok(summary, best))
    return [] if run is None else [(run, why)]


def _explained(summary: Summary, cases: Sequence[Case]) -> list[tuple[Digest, str]]:
    """The run whose first cause takes most, and that cause."""
    ids = {case.case_id for case in cases}
    named = [run for run in summary.runs if run.case.case_id in ids and run.status == "ok" and run.causes]
    if not named:
        return []
    run = max(named, key=lambda each: each.causes[0].share)
    cause = run.causes[0].cause.replace("_", " ")
    same = (digest for digest in _ok(summary, run.case) if _key(digest) == (run.replicate, run.attempt))
    return [(digest, cause) for digest in same][:1]


def _ok(summary: Summary, case: Case) -> list[Digest]:
    return [digest for digest in summary.digests.get(case.case_id, ()) if digest.status == "ok"]


def _key(digest: Digest) -> tuple[int, int]:
    return digest.replicate, digest.attempt
