"""Which cases were void or flagged, by which check, in how many of their runs; a row per case."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from loopwise.analysis.summary import Summary
from loopwise.model import Check, Round, Run
from loopwise.report import format as fmt
from loopwise.report.cells import Cells, Facet
from loopwise.report.charts.kit.frame import PANEL_WIDTH_IN, Frame, heading_height_in
from loopwise.report.charts.kit.row_panel import (
    GAP_IN,
    describe_rows,
    label_columns_in,
    row_labels,
    row_middles_in,
)
from loopwise.report.charts.kit.style import GRID, MUTED, fit, text_width_in

COLUMNS_PER_PANEL = 12
OUTCOMES = {
    "failed": "could not be measured",
    "disturbed": "was disturbed and measured again",
}
"""What became of a run as a whole, beside its checks."""

_COLUMN_IN = 0.3
_HEAD_MAX_IN = 1.2
_HEAD_GAP_IN = 0.08
_REASON_LEAST_IN = 0.9
_BELOW_IN = 0.08
_VOID_COLOUR, _FLAG_COLOUR = "#d55e00", "#e69f00"


@dataclass(frozen=True)
class Mark:
    """A check that failed in runs of a case."""

    is_void: bool
    failed: int
    runs: int
    detail: str
    """What the first of them said."""


@dataclass(frozen=True)
class ChecksPanel:
    """Marks of the cases of a facet that have any; by row, then by column."""

    facet: Facet
    columns: tuple[str, ...]
    marks: tuple[tuple[Mark | None, ...], ...]
    clean: int
    """Cases of the facet on which no check put a mark; they have no row."""


def checks_panels(summary: Summary) -> list[ChecksPanel]:
    """One panel per facet that has a case with a mark."""
    cells = Cells(summary)
    found = _marks(summary.duel or summary.runs)
    panels = []
    for facet in cells.facets:
        marked = tuple(case for case in facet.cases if found.get(case.case_id))
        names = list(dict.fromkeys(name for case in marked for name in found[case.case_id]))
        for start in range(0, len(names), COLUMNS_PER_PANEL):
            columns = tuple(names[start : start + COLUMNS_PER_PANEL])
            mine = tuple(case for case in marked if any(name in found[case.case_id] for name in columns))
            marks = tuple(tuple(found[case.case_id].get(name) for name in columns) for case in mine)
            clean = len(facet.cases) - len(marked)
            panels.append(ChecksPanel(replace(facet, cases=mine), columns, marks, clean))
    return panels


def checks_height_in(panel: ChecksPanel) -> float:
    """Height of heading, the checks' names, and a row per marked case."""
    _, bottom_in = row_middles_in(panel.facet)
    return heading_height_in(panel.facet.heading) + _head_in(panel) + bottom_in + _BELOW_IN


def draw_checks(frame: Frame, panel: ChecksPanel) -> None:
    """A mark where a check failed, with the number of runs; the first reason beside it where there is room."""
    frame.heading(panel.facet.heading, _context(panel))
    top_in = heading_height_in(panel.facet.heading) + _head_in(panel)
    middles_in, bottom_in = row_middles_in(panel.facet)
    row_labels(frame, panel.facet, top_in, middles_in)
    _, left_in = label_columns_in(panel.facet)
    width_in = len(panel.columns) * _COLUMN_IN
    axes = frame.axes(left_in, top_in, width_in, bottom_in)
    axes.set_xlim(0, len(panel.columns))
    axes.set_ylim(bottom_in, 0)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.spines["bottom"].set_color(GRID)
    for index, name in enumerate(panel.columns):
        frame.text(
            left_in + (index + 0.5) * _COLUMN_IN,
            top_in - _HEAD_GAP_IN / 2,
            fit(name.replace("_", " "), _HEAD_MAX_IN, 7),
            size=7,
            rotation=90,
            ha="center",
            va="bottom",
            color=MUTED,
        )
    for is_void, colour, marker in ((True, _VOID_COLOUR, "X"), (False, _FLAG_COLOUR, "^")):
        points = [
            (index + 0.28, middle_in)
            for middle_in, row in zip(middles_in, panel.marks, strict=True)
            for index, mark in enumerate(row)
            if mark is not None and mark.is_void is is_void
        ]
        if points:
            axes.plot(
                [x for x, _ in points],
                [y for _, y in points],
                marker,
                color=colour,
                ms=5,
                mew=0,
                clip_on=False,
            )
    _draw_words(frame, panel, left_in, top_in, middles_in)


def describe_checks(panel: ChecksPanel) -> str:
    """What the chart shows, in words, for those who can't see it."""
    figures = []
    for row in panel.marks:
        said = [
            f"{'void' if mark.is_void else 'flagged'} by {name} in {mark.failed} of {mark.runs} runs"
            f" ({fit(mark.detail, 4)})"
            for name, mark in zip(panel.columns, row, strict=True)
            if mark is not None
        ]
        figures.append(", ".join(said))
    return describe_rows(f"Checks that failed, {panel.facet.name}.", panel.facet, figures)


def _draw_words(
    frame: Frame, panel: ChecksPanel, left_in: float, top_in: float, middles_in: Sequence[float]
) -> None:
    """The number of runs beside each mark, and the gravest reason at the row's end."""
    reason_left_in = left_in + len(panel.columns) * _COLUMN_IN + GAP_IN
    room_in = PANEL_WIDTH_IN - reason_left_in
    for middle_in, row in zip(middles_in, panel.marks, strict=True):
        for index, mark in enumerate(row):
            if mark is not None:
                at_in = left_in + (index + 0.45) * _COLUMN_IN
                count = f"{mark.failed}" if mark.failed < 100 else "…"
                frame.text(at_in, top_in + middle_in, count, size=7)
        gravest = min((mark for mark in row if mark is not None), key=lambda mark: not mark.is_void)
        if room_in >= _REASON_LEAST_IN:
            frame.text(
                reason_left_in,
                top_in + middle_in,
                fit(_seen(gravest.detail), room_in, 7),
                size=7,
                color=MUTED,
            )


def _context(panel: ChecksPanel) -> str:
    clean = f" · {fmt.count(panel.clean, 'case')} without a mark" if panel.clean else ""
    return f"{panel.facet.context}{clean}"


def _head_in(panel: ChecksPanel) -> float:
    """Room for the names of the checks, which stand upright."""
    longest_in = max(text_width_in(fit(name.replace("_", " "), _HEAD_MAX_IN, 7), 7) for name in panel.columns)
    return longest_in + 2 * _HEAD_GAP_IN


def _marks(runs: Iterable[Run] | Iterable[Round]) -> dict[str, dict[str, Mark]]:
    """case_id -> check -> its mark, in the order in which they were first seen; only what failed."""
    counts: Counter[str] = Counter()
    found: dict[str, dict[str, list[Check]]] = {}
    for run in runs:
        checks = [*_outcome(run), *(check for check in run.checks if not check.ok)]
        for case_id in _cases(run):
            counts[case_id] += 1
            for check in checks:
                found.setdefault(case_id, {}).setdefault(check.name, []).append(check)
    return {
        case_id: {
            name: Mark(
                any(check.effect == "void" for check in failed),
                len(failed),
                counts[case_id],
                fmt.clean(next((check.detail for check in failed if check.detail), name)),
            )
            for name, failed in by_name.items()
        }
        for case_id, by_name in found.items()
    }


def _outcome(run: Run | Round) -> list[Check]:
    """What became of the run as a whole, as a check that failed."""
    if run.status not in OUTCOMES:
        return []
    effect = "void" if run.status == "failed" else "flag"
    detail = run.error or OUTCOMES[run.status]
    return [Check(name=run.status, value=1.0, limit=0.0, effect=effect, ok=False, detail=detail)]


def _cases(run: Run | Round) -> tuple[str, ...]:
    return (run.case.case_id,) if isinstance(run, Run) else (run.baseline_case, run.candidate_case)


def _seen(detail: str) -> str:
    """What was seen, without what to do about it, which stands behind the semicolon and in the page."""
    return detail.partition("; ")[0]
