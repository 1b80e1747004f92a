"""Forest plots: verdicts as ratios with their intervals against the margin; mark, word and colour say what they are."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from matplotlib.axes import Axes

from loopwise.analysis.conclusions import DUEL_METRICS
from loopwise.analysis.summary import Summary
from loopwise.model import Case, Verdict
from loopwise.report.cells import ROWS_PER_FACET, Cells, Facet, parts
from loopwise.report.charts.kit.axes import set_ticks
from loopwise.report.charts.kit.chart import Chart
from loopwise.report.charts.kit.frame import PANEL_WIDTH_IN, Frame, heading_height_in
from loopwise.report.charts.kit.rows import first_of, void_slot
from loopwise.report.charts.kit.style import GRID, MUTED, PAPER, VOID, ModeStyle, fit, text_width_in
from loopwise.report.words import endpoint_of, metric_direction, ratio_text, why_invalid
from loopwise.visible import clean

# Okabe & Ito's green, vermillion and blue; undecided has no colour.
VERDICT_STYLES = {
    "better": ModeStyle("#009e73", "^", "-", ""),
    "worse": ModeStyle("#d55e00", "v", "-", ""),
    "same": ModeStyle("#0072b2", "s", "-", ""),
    "undecided": ModeStyle(MUTED, "o", "-", ""),
    "invalid": ModeStyle(VOID, "x", "-", "////"),
}
"""Verdict -> colour and marker; undecided is drawn hollow, and the word stands beside every one."""

EXPLANATION = (
    "Thick line: the interval that decided, on a log axis; grey band: the margin, in which differences do not matter."
)
"""Explanation of a forest plot."""
MORE = (
    "An arrow: the line goes on. A line wholly beyond the band is better or worse, wholly inside it the same, anything"
    " else undecided."
)
ROWS_TOGETHER = 16
"""With more rows, each metric of a facet gets a panel of its own."""

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
_SPOKEN = 16


@dataclass(frozen=True)
class ForestRow:
    """A verdict and its label among its neighbours."""

    label: str
    verdict: Verdict


@dataclass(frozen=True)
class ForestGroup:
    """Rows of one metric under its name; without a name where the rows themselves are labelled by their metric."""

    title: str
    rows: tuple[ForestRow, ...]


@dataclass(frozen=True)
class ForestPanel:
    """Verdicts on one axis of ratios."""

    heading: str
    context: str
    groups: tuple[ForestGroup, ...]
    margin: float

    @property
    def rows(self) -> tuple[ForestRow, ...]:
        """The rows of all groups."""
        return tuple(row for group in self.groups for row in group.rows)

    @property
    def height_in(self) -> float:
        """Height of heading, rows and axis."""
        return heading_height_in(self.heading) + _COLUMN_HEADER_IN + self._plot_height_in + _AXIS_IN

    def describe(self) -> str:
        """Alternative text: the first verdicts with their ratios."""
        said = []
        for group in self.groups:
            for row in group.rows:
                label = f"{row.label}, {group.title}" if group.title else row.label
                is_void = row.verdict.ratio is None
                figures = why_invalid(row.verdict) if is_void else ratio_text(row.verdict)
                said.append(f"{label}: {'invalid' if is_void else row.verdict.verdict}, {figures}")
        return f"Ratios of {self.heading}, {self.context}. {first_of(said, _SPOKEN, 'verdicts')}"

    def draw(self, frame: Frame) -> None:
        """A mark and an interval per row on a log axis, the band of the margin, figure and verdict beside them."""
        decided = [row.verdict for row in self.rows if row.verdict.ratio is not None]
        words_in = _MARK_IN + _widest_in("verdict", *(verdict.verdict for verdict in decided))
        figures_in = _widest_in("ratio", *(ratio_text(row.verdict) for row in self.rows))
        plot_left_in = min(max(text_width_in(row.label) for row in self.rows) + _GAP_IN, _LABELS_MAX_IN)
        words_left_in = PANEL_WIDTH_IN - words_in
        figures_left_in = words_left_in - _GAP_IN - figures_in
        width_in = figures_left_in - _GAP_IN - plot_left_in
        top_in = heading_height_in(self.heading) + _COLUMN_HEADER_IN
        frame.heading(self.heading, self.context)
        for left_in, text in ((figures_left_in, "ratio"), (words_left_in + _MARK_IN, "verdict")):
            frame.text(left_in, top_in - _COLUMN_HEADER_IN / 2, text, size=7, color=MUTED)
        axes = self._axes(frame, (plot_left_in, top_in, width_in, self._plot_height_in))
        for middle_in, row in self._lines():
            if isinstance(row, str):
                frame.text(0, top_in + middle_in, fit(row, plot_left_in + width_in), color=MUTED)
                continue
            frame.text_within(0, top_in + middle_in, row.label, plot_left_in - _GAP_IN)
            if row.verdict.ratio is None:
                reason = f"invalid: {why_invalid(row.verdict)}"
                void_slot(frame, axes, (plot_left_in, top_in, width_in), middle_in, reason, size_pt=_PT)
                continue
            _mark(axes, middle_in, row.verdict)
            frame.text(figures_left_in, top_in + middle_in, ratio_text(row.verdict), size=_PT)
            _word(frame, row.verdict.verdict, words_left_in, top_in + middle_in)

    def ratio_limits(self) -> tuple[float, float]:
        """Ends of the axis: all ratios, the band with air around it, and intervals as far as they help."""
        decided = [row.verdict for row in self.rows if row.verdict.ratio]
        ratios = [math.log(verdict.ratio) for verdict in decided if verdict.ratio]
        ends = [math.log(end) for verdict in decided for end in (verdict.ci_low, verdict.ci_high) if end]
        least = max(1.6 * math.log1p(self.margin), _LEAST_REACH)
        furthest = max(least, *(abs(ratio) for ratio in ratios), 0.0) * _TAIL
        low = min([-least, *ratios, *(max(end, -furthest) for end in ends)])
        high = max([least, *ratios, *(min(end, furthest) for end in ends)])
        air = (high - low) * 0.06
        return math.exp(low - air), math.exp(high + air)

    def _axes(self, frame: Frame, place_in: tuple[float, float, float, float]) -> Axes:
        _, _, width_in, height_in = place_in
        axes = frame.axes(*place_in)
        low, high = self.ratio_limits()
        axes.set_xscale("log")
        axes.set_xlim(low, high)
        # One unit of y is one inch, counted downwards.
        axes.set_ylim(height_in, 0)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        set_ticks(axes, "x", ratio_ticks(low, high, width_in / _TICK_IN), lambda ratio: f"{ratio:.4g}")
        for span_in in self._spans:
            band = (1 / (1 + self.margin), 1 + self.margin)
            axes.fill_betweenx(span_in, *band, color=GRID, lw=0, zorder=0)
            axes.plot([1.0, 1.0], span_in, color=MUTED, lw=0.9, zorder=1)
        return axes

    @property
    def _spans(self) -> list[tuple[float, float]]:
        """Top and bottom of each group's rows: the band and the line at 1 leave out the titles between them."""
        spans, top_in = [], 0.02
        for number, group in enumerate(self.groups):
            top_in += (_TITLE_IN if group.title else 0.0) + (_GROUP_GAP_IN if number else 0.0)
            spans.append((top_in, top_in + len(group.rows) * _ROW_IN))
            top_in += len(group.rows) * _ROW_IN
        return spans

    @property
    def _plot_height_in(self) -> float:
        return self._spans[-1][1] + 0.03

    def _lines(self) -> Iterator[tuple[float, ForestRow | str]]:
        """Titles and rows, each with where its middle lies below the plot's top."""
        for group, (from_in, _) in zip(self.groups, self._spans, strict=True):
            if group.title:
                yield from_in - _TITLE_IN / 2, group.title
            for number, row in enumerate(group.rows):
                yield from_in + (number + 0.5) * _ROW_IN, row


def forest_panels(
    facets: Iterable[Facet],
    verdicts: Sequence[Verdict],
    margin: float,
    *,
    names: Mapping[str, str] | None = None,
) -> list[ForestPanel]:
    """The verdicts on the cases of each facet, in its order: all metrics together, or one panel each if they are many.

    Args:
        facets: cases that belong side by side; their candidates are looked up in the verdicts.
        verdicts: of one comparison.
        margin: the practical margin.
        names: of cases, by case_id, where they stand alone.
    """
    by_case: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        by_case.setdefault(verdict.candidate_case, []).append(verdict)
    panels: list[ForestPanel] = []
    for facet in facets:
        rows = [
            ForestRow(_label(facet, case, verdict), verdict)
            for case in facet.cases
            for verdict in by_case.get(case.case_id, ())
        ]
        heading, cases = facet.heading, {row.verdict.candidate_case for row in rows}
        if names and len(cases) == 1:
            heading = clean(names.get(cases.pop(), heading))
        panels += _panels(heading, facet.context, rows, margin) if rows else []
    return panels


def duel_panels(summary: Summary) -> list[ForestPanel]:
    """The verdicts of a duel: a row for the whole and for each endpoint. None for any other result."""
    if not summary.duel or not summary.verdicts:
        return []
    first = summary.verdicts[0]
    rows = [
        ForestRow(clean(endpoint_of(verdict) or "all requests"), verdict)
        for verdict in sorted(summary.verdicts, key=lambda each: each.metric not in DUEL_METRICS)
    ]
    heading = clean(f"{first.candidate_case} ÷ {first.baseline_case}")
    context = Cells(summary).facets[0].context
    return _panels(heading, context, rows, summary.experiment.suite.compare.margin)


FOREST = Chart("forest", "Candidate against baseline", EXPLANATION, duel_panels, more=MORE)


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


def _panels(heading: str, context: str, rows: Sequence[ForestRow], margin: float) -> list[ForestPanel]:
    if len({(row.verdict.candidate_case, row.verdict.endpoint) for row in rows}) == 1:
        named = tuple(ForestRow(metric_direction(row.verdict.metric), row.verdict) for row in rows)
        return [ForestPanel(heading, context, (ForestGroup("", named),), margin)]
    groups = [
        ForestGroup(metric_direction(metric), tuple(row for row in rows if row.verdict.metric == metric))
        for metric in dict.fromkeys(row.verdict.metric for row in rows)
    ]
    if len(rows) <= ROWS_TOGETHER:
        return [ForestPanel(heading, context, tuple(groups), margin)]
    return [
        ForestPanel(heading, f"{context}{part}", (ForestGroup(group.title, tuple(members)),), margin)
        for group in groups
        for part, members in parts(group.rows, ROWS_PER_FACET)
    ]


def _label(facet: Facet, case: Case, verdict: Verdict) -> str:
    label = facet.full_label(case, " · ") or clean(case.case_id)
    return f"{label} {clean(endpoint_of(verdict))}".rstrip()


def _widest_in(*texts: str) -> float:
    return max(text_width_in(text, _PT) for text in texts)


def _mark(axes: Axes, middle_in: float, verdict: Verdict) -> None:
    style = VERDICT_STYLES[verdict.verdict]
    low, high = axes.get_xlim()
    if verdict.ci_low is not None and verdict.ci_high is not None:
        shown = max(verdict.ci_low, low), min(verdict.ci_high, high)
        axes.plot(shown, [middle_in] * 2, color=style.colour, lw=1.6, solid_capstyle="butt", zorder=2)
        for end, is_cut, arrow in ((low, verdict.ci_low < low, "<"), (high, verdict.ci_high > high, ">")):
            if is_cut:
                axes.plot([end], [middle_in], arrow, color=style.colour, ms=4, clip_on=False, zorder=3)
    axes.plot(
        [verdict.ratio or 1.0],
        [middle_in],
        style.marker,
        mfc=_face(verdict.verdict),
        mec=style.colour,
        mew=1.2,
        ms=5.4,
        zorder=4,
    )


def _word(frame: Frame, word: str, left_in: float, at_in: float) -> None:
    style = VERDICT_STYLES[word]
    frame.mark(left_in + 0.06, at_in, marker=style.marker, ms=4.6, mfc=_face(word), mec=style.colour)
    frame.text(left_in + _MARK_IN, at_in, word, size=_PT)


def _face(word: str) -> str:
    return PAPER if word == "undecided" else VERDICT_STYLES[word].colour
