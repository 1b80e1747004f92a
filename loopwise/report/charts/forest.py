"""The forest plot: ratios with their intervals against the margin, and what was decided, by mark, word and colour."""

import math
from collections.abc import Sequence
from itertools import pairwise

from matplotlib.axes import Axes

from loopwise.report.charts.forest_rows import ForestPanel, ForestRow, ratio_text, why_invalid
from loopwise.report.charts.kit.axes import set_ticks
from loopwise.report.charts.kit.frame import PANEL_WIDTH_IN, Frame, heading_height_in
from loopwise.report.charts.kit.row_panel import first_of, void_slot
from loopwise.report.charts.kit.style import GRID, MUTED, PAPER, VOID, ModeStyle, fit, text_width_in

# Okabe & Ito's green, vermillion and blue; what is open has no colour.
VERDICT_LOOKS = {
    "better": ModeStyle("#009e73", "^", "-", ""),
    "worse": ModeStyle("#d55e00", "v", "-", ""),
    "same": ModeStyle("#0072b2", "s", "-", ""),
    "undecided": ModeStyle(MUTED, "o", "-", ""),
    "invalid": ModeStyle(VOID, "x", "-", "////"),
}
"""Verdict -> colour and marker; undecided is drawn hollow, and the word stands beside every one."""

EXPLANATION = (
    "Ratios on a logarithmic axis. The thick line is the interval that decided; an arrow: it goes on. The grey band"
    " is the margin, in which differences do not matter: a line wholly beyond it is better or worse, wholly inside it"
    " the same, anything else undecided."
)
"""How a forest plot is read."""

_ROW_IN = 0.225
_TITLE_IN = 0.23
_GROUP_GAP_IN = 0.07
_COLUMN_HEADER_IN = 0.2
_AXIS_IN = 0.3
_LABELS_MAX_IN = 1.45
_GAP_IN = 0.1
_MARK_IN = 0.16
_PT = 7.5
_TICK_IN = 0.44
_LEAST_REACH = 0.02
"""A margin of nothing still gets an axis from 0.98 to 1.02."""
_TAIL = 3.0
"""An interval may reach so many times further from 1 than the furthest ratio; then it ends in an arrow."""
_STEPS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.25, 0.5)
_BASES = (2.0, 4.0, 10.0, 100.0, 1000.0)


def panel_height_in(panel: ForestPanel) -> float:
    """Height that heading, rows and axis need."""
    return heading_height_in(panel.heading) + _COLUMN_HEADER_IN + _places(panel)[1] + _AXIS_IN


def draw_forest(frame: Frame, panel: ForestPanel) -> None:
    """A mark and an interval per row on a log axis, the band of the margin, figure and verdict beside them."""
    places, height_in = _places(panel)
    words_in = _MARK_IN + max(text_width_in(word, _PT) for word in ("verdict", *_words(panel)))
    figures = [ratio_text(row.verdict) for row in panel.rows]
    figures_in = max(text_width_in(text, _PT) for text in ("ratio", *figures))
    plot_left_in = min(max(text_width_in(row.label) for row in panel.rows) + _GAP_IN, _LABELS_MAX_IN)
    words_left_in = PANEL_WIDTH_IN - words_in
    figures_left_in = words_left_in - _GAP_IN - figures_in
    width_in = figures_left_in - _GAP_IN - plot_left_in
    top_in = heading_height_in(panel.heading) + _COLUMN_HEADER_IN
    frame.heading(panel.heading, panel.context)
    for left_in, text in ((figures_left_in, "ratio"), (words_left_in + _MARK_IN, "verdict")):
        frame.text(left_in, top_in - _COLUMN_HEADER_IN / 2, text, size=7, color=MUTED)
    axes = _axes(frame, panel, (plot_left_in, top_in, width_in, height_in))
    for (middle_in, title), row in zip(places, _titled(panel), strict=True):
        if row is None:
            frame.text(0, top_in + middle_in, fit(title, plot_left_in + width_in), color=MUTED)
            continue
        frame.text(0, top_in + middle_in, fit(row.label, plot_left_in - _GAP_IN))
        if row.verdict.ratio is None:
            reason = f"invalid: {why_invalid(row.verdict)}"
            void_slot(frame, axes, (plot_left_in, top_in, width_in), middle_in, reason, size_pt=_PT)
            continue
        _mark(axes, middle_in, row)
        frame.text(figures_left_in, top_in + middle_in, ratio_text(row.verdict), size=_PT)
        _word(frame, row.verdict.verdict, words_left_in, top_in + middle_in)


def describe_forest(panel: ForestPanel) -> str:
    """What the chart shows, in words, for those who can't see it."""
    spoken = 16
    said = []
    for group in panel.groups:
        for row in group.rows:
            what = f"{row.label}, {group.title}" if group.title else row.label
            figures = f"{row.verdict.verdict}, {ratio_text(row.verdict)}"
            said.append(
                f"{what}: {figures}"
                if row.verdict.ratio is not None
                else f"{what}: invalid, {why_invalid(row.verdict)}"
            )
    return f"Ratios of {panel.heading}, {panel.context}. {first_of(said, spoken, 'verdicts')}"


def ratio_limits(panel: ForestPanel) -> tuple[float, float]:
    """Ends of the axis: all ratios, the band with air around it, and intervals as far as they help."""
    ratios = [math.log(row.verdict.ratio) for row in panel.rows if row.verdict.ratio]
    ends = [
        math.log(end)
        for row in panel.rows
        for end in (row.verdict.ci_low, row.verdict.ci_high)
        if row.verdict.ratio and end
    ]
    least = max(1.6 * math.log1p(panel.margin), _LEAST_REACH)
    furthest = max(least, *(abs(ratio) for ratio in ratios), 0.0) * _TAIL
    low = min([-least, *ratios, *(max(end, -furthest) for end in ends)])
    high = max([least, *ratios, *(min(end, furthest) for end in ends)])
    air = (high - low) * 0.06
    return math.exp(low - air), math.exp(high + air)


def ratio_ticks(low: float, high: float, room: float) -> list[float]:
    """Round ratios between the ends, 1 always among them, with room for so many evenly spaced labels."""
    gap = math.log(high / low) / room
    for step in _STEPS:
        below = [1 - step * count for count in range(1, int(1 / step)) if 1 - step * count >= low]
        above = [1 + step * count for count in range(1, 400) if 1 + step * count <= high]
        ticks = [*reversed(below), 1.0, *above]
        if all(math.log(after / before) >= gap for before, after in pairwise(ticks)):
            return ticks
    for base in _BASES:
        most = math.ceil(max(-math.log(low), math.log(high)) / math.log(base)) + 1
        ticks = [base**power for power in range(-most, most + 1)]
        if math.log(base) >= gap:
            return [tick for tick in ticks if low <= tick <= high]
    return [1.0]


def _axes(frame: Frame, panel: ForestPanel, place_in: tuple[float, float, float, float]) -> Axes:
    left_in, top_in, width_in, height_in = place_in
    axes = frame.axes(left_in, top_in, width_in, height_in)
    low, high = ratio_limits(panel)
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    # One unit of y is one inch, counted downwards.
    axes.set_ylim(height_in, 0)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    set_ticks(axes, "x", ratio_ticks(low, high, width_in / _TICK_IN), lambda ratio: f"{ratio:.4g}")
    for from_in, to_in in _spans(panel):
        band = (1 / (1 + panel.margin), 1 + panel.margin)
        axes.fill_betweenx([from_in, to_in], *band, color=GRID, lw=0, zorder=0)
        axes.plot([1.0, 1.0], [from_in, to_in], color=MUTED, lw=0.9, zorder=1)
    return axes


def _mark(axes: Axes, middle_in: float, row: ForestRow) -> None:
    verdict, looks = row.verdict, VERDICT_LOOKS[row.verdict.verdict]
    low, high = axes.get_xlim()
    if verdict.ci_low is not None and verdict.ci_high is not None:
        shown = max(verdict.ci_low, low), min(verdict.ci_high, high)
        axes.plot(shown, [middle_in] * 2, color=looks.colour, lw=1.6, solid_capstyle="butt", zorder=2)
        for end, is_cut, arrow in ((low, verdict.ci_low < low, "<"), (high, verdict.ci_high > high, ">")):
            if is_cut:
                axes.plot([end], [middle_in], arrow, color=looks.colour, ms=4, clip_on=False, zorder=3)
    axes.plot(
        [verdict.ratio or 1.0],
        [middle_in],
        looks.marker,
        mfc=PAPER if verdict.verdict == "undecided" else looks.colour,
        mec=looks.colour,
        mew=1.2,
        ms=5.4,
        zorder=4,
    )


def _word(frame: Frame, word: str, left_in: float, at_in: float) -> None:
    looks = VERDICT_LOOKS[word]
    face = PAPER if word == "undecided" else looks.colour
    frame.mark(left_in + 0.06, at_in, marker=looks.marker, ms=4.6, mfc=face, mec=looks.colour)
    frame.text(left_in + _MARK_IN, at_in, word, size=_PT)


def _words(panel: ForestPanel) -> list[str]:
    return [row.verdict.verdict for row in panel.rows if row.verdict.ratio is not None]


def _titled(panel: ForestPanel) -> Sequence[ForestRow | None]:
    """The rows, with None where a group's title stands."""
    found: list[ForestRow | None] = []
    for group in panel.groups:
        found += [None] if group.title else []
        found += group.rows
    return found


def _places(panel: ForestPanel) -> tuple[list[tuple[float, str]], float]:
    """Middle and title of each line from the plot's top, and the height of all."""
    places: list[tuple[float, str]] = []
    for group, (from_in, _) in zip(panel.groups, _spans(panel), strict=True):
        if group.title:
            places.append((from_in - _TITLE_IN / 2, group.title))
        places += [(from_in + (number + 0.5) * _ROW_IN, "") for number in range(len(group.rows))]
    return places, _spans(panel)[-1][1] + 0.03


def _spans(panel: ForestPanel) -> list[tuple[float, float]]:
    """Top and bottom of each group's rows: the band and the line at 1 leave out the titles between them."""
    spans, top_in = [], 0.02
    for number, group in enumerate(panel.groups):
        top_in += (_TITLE_IN if group.title else 0.0) + (_GROUP_GAP_IN if number else 0.0)
        spans.append((top_in, top_in + len(group.rows) * _ROW_IN))
        top_in += len(group.rows) * _ROW_IN
    return spans
