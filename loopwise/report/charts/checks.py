"""Cases that a check made void or flagged, with the number of their runs; a row per case."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from loopwise.analysis.summary import Summary
from loopwise.analysis.wording import count
from loopwise.model import Check, Round, Run
from loopwise.report.cells import Cells, Facet
from loopwise.report.charts.kit.chart import Chart
from loopwise.report.charts.kit.frame import Frame, heading_height_in
from loopwise.report.charts.kit.rows import (
    describe_rows,
    label_columns_in,
    row_labels,
    row_middles_in,
)
from loopwise.report.charts.kit.style import GRID, MUTED, fit, text_width_in
from loopwise.visible import clean

COLUMNS_PER_PANEL = 12
OUTCOMES = {
    "failed": "could not be measured",
    "disturbed": "was disturbed and measured again",
}
"""Statuses of whole runs that are shown beside the checks."""

_COLUMN_IN = 0.3
_HEAD_MAX_IN = 1.2
_HEAD_GAP_IN = 0.08
_BELOW_IN = 0.08
_PT = 7
_VOID_COLOUR, _FLAG_COLOUR = "#d55e00", "#e69f00"


@dataclass(frozen=True)
class Mark:
    """A check that failed in runs of a case."""

    is_void: bool
    failed: int
    runs: int
    detail: str
    """Sentence of the first of them."""


@dataclass(frozen=True)
class ChecksPanel:
    """Marks of the cases of a facet that have any; by row, then by column."""

    facet: Facet
    columns: tuple[str, ...]
    marks: tuple[tuple[Mark | None, ...], ...]
    clean: int
    """Cases of the facet on which no check put a mark; they have no row."""

    @property
    def height_in(self) -> float:
        """Height of heading, the checks' names, and a row per marked case."""
        return self._top_in + row_middles_in(self.facet)[1] + _BELOW_IN

    def describe(self) -> str:
        """Alternative text: the failed checks of each case, with the first reason of each."""
        figures = [
            ", ".join(
                f"{'void' if mark.is_void else 'flagged'} by {name} in {mark.failed} of {mark.runs} runs"
                f" ({fit(mark.detail, 4)})"
                for name, mark in zip(self.columns, row, strict=True)
                if mark is not None
            )
            for row in self.marks
        ]
        return describe_rows(f"Checks that failed, {self.facet.name}.", self.facet, figures)

    def draw(self, frame: Frame) -> None:
        """A mark where a check failed, with the number of runs."""
        clean = f" · {count(self.clean, 'case')} without a mark" if self.clean else ""
        frame.heading(self.facet.heading, f"{self.facet.context}{clean}")
        middles_in, bottom_in = row_middles_in(self.facet)
        row_labels(frame, self.facet, self._top_in, middles_in)
        _, left_in = label_columns_in(self.facet)
        axes = frame.axes(left_in, self._top_in, len(self.columns) * _COLUMN_IN, bottom_in)
        axes.set(xlim=(0, len(self.columns)), ylim=(bottom_in, 0), xticks=[], yticks=[])
        axes.spines["left"].set_visible(False)
        axes.spines["bottom"].set_color(GRID)
        for index, name in enumerate(self.columns):
            at_in = left_in + (index + 0.5) * _COLUMN_IN, self._top_in - _HEAD_GAP_IN / 2
            frame.text(*at_in, _head(name), size=_PT, rotation=90, ha="center", va="bottom", color=MUTED)
        for is_void, colour, marker in ((True, _VOID_COLOUR, "X"), (False, _FLAG_COLOUR, "^")):
            points = [
                (index + 0.28, middle_in)
                for middle_in, row in zip(middles_in, self.marks, strict=True)
                for index, mark in enumerate(row)
                if mark is not None and mark.is_void is is_void
            ]
            if points:
                axes.plot(*zip(*points, strict=True), marker, color=colour, ms=5, mew=0, clip_on=False)
        self._draw_numbers(frame, left_in, middles_in)

    @property
    def _top_in(self) -> float:
        """Top of the rows: below the heading and the names of the checks, which stand upright."""
        names_in = max(text_width_in(_head(name), _PT) for name in self.columns) + 2 * _HEAD_GAP_IN
        return heading_height_in(self.facet.heading) + names_in

    def _draw_numbers(self, frame: Frame, left_in: float, middles_in: Sequence[float]) -> None:
        """The number of runs beside each mark."""
        for middle_in, row in zip(middles_in, self.marks, strict=True):
            for index, mark in enumerate(row):
                if mark is not None:
                    number = f"{mark.failed}" if mark.failed < 100 else "…"
                    frame.text(left_in + (index + 0.45) * _COLUMN_IN, self._top_in + middle_in, number, size=_PT)


def checks_panels(summary: Summary) -> list[ChecksPanel]:
    """One panel per facet that has a case with a mark."""
    cells = Cells(summary)
    by_case = _marks(summary.duel or summary.runs)
    panels = []
    for facet in cells.facets:
        marked = tuple(case for case in facet.cases if case.case_id in by_case)
        names = list(dict.fromkeys(name for case in marked for name in by_case[case.case_id]))
        for start in range(0, len(names), COLUMNS_PER_PANEL):
            columns = tuple(names[start : start + COLUMNS_PER_PANEL])
            mine = tuple(case for case in marked if any(name in by_case[case.case_id] for name in columns))
            marks = tuple(tuple(by_case[case.case_id].get(name) for name in columns) for case in mine)
            clean = len(facet.cases) - len(marked)
            panels.append(ChecksPanel(replace(facet, cases=mine), columns, marks, clean))
    return panels


CHECKS = Chart(
    "checks",
    "Cases that a check marked",
    "Cross: the check made runs void; triangle: it only flagged them; the number counts those runs.",
    checks_panels,
    more="Cases without a mark have no row; reasons are told with each case.",
    has_intervals=False,
)


def _head(name: str) -> str:
    return fit(name.replace("_", " "), _HEAD_MAX_IN, _PT)


def _marks(runs: Iterable[Run] | Iterable[Round]) -> dict[str, dict[str, Mark]]:
    """case_id -> check -> its mark, in their order; only failed checks."""
    counts: Counter[str] = Counter()
    failed: dict[str, dict[str, list[Check]]] = {}
    for run in runs:
        checks = [*_outcome(run), *(check for check in run.checks if not check.ok)]
        for case_id in _cases(run):
            counts[case_id] += 1
            for check in checks:
                failed.setdefault(case_id, {}).setdefault(check.name, []).append(check)
    return {
        case_id: {name: _mark(name, checks, counts[case_id]) for name, checks in by_name.items()}
        for case_id, by_name in failed.items()
    }


def _mark(name: str, failed: Sequence[Check], runs: int) -> Mark:
    is_void = any(check.effect == "void" for check in failed)
    return Mark(is_void, len(failed), runs, clean(next(filter(None, (check.detail for check in failed)), name)))


def _outcome(run: Run | Round) -> list[Check]:
    """The status of the run as a whole, as a check that failed."""
    if run.status not in OUTCOMES:
        return []
    effect = "void" if run.status == "failed" else "flag"
    detail = run.error or OUTCOMES[run.status]
    return [Check(name=run.status, value=1.0, limit=0.0, effect=effect, ok=False, detail=detail)]


def _cases(run: Run | Round) -> tuple[str, ...]:
    return (run.case.case_id,) if isinstance(run, Run) else (run.baseline_case, run.candidate_case)
