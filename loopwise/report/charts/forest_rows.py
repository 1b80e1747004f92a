"""Verdicts as the rows of a forest plot, in panels that can be read: which stand together, and what each is called."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from loopwise.analysis.head_to_head import SAID
from loopwise.analysis.metrics import METRICS
from loopwise.analysis.summary import Summary
from loopwise.model import TOTAL, Case, Verdict
from loopwise.report import format as fmt
from loopwise.report.cells import ROWS_PER_FACET, Cells, Facet, parts
from loopwise.report.words import metric_name

ROWS_TOGETHER = 16
"""With more rows, each metric of a facet gets a panel of its own."""
_NEAR_ONE = (0.9, 1.1)


@dataclass(frozen=True)
class ForestRow:
    """A verdict and what it is called among its neighbours."""

    label: str
    verdict: Verdict


@dataclass(frozen=True)
class ForestGroup:
    """Rows of one metric under its name; without a name where the rows themselves are called by their metric."""

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
        if rows:
            panels += _of_facet(facet, rows, margin, names or {})
    return panels


def duel_panels(summary: Summary) -> list[ForestPanel]:
    """The verdicts of a duel: a row for the whole and for each endpoint. None for any other result."""
    if not summary.duel or not summary.verdicts:
        return []
    margin = summary.experiment.suite.compare.margin
    first = summary.verdicts[0]
    facet = Cells(summary).facets[0]
    rows = [
        ForestRow(fmt.clean(_part(verdict) or "all requests"), verdict)
        for verdict in sorted(summary.verdicts, key=lambda each: each.metric not in SAID)
    ]
    heading = fmt.clean(f"{first.candidate_case} ÷ {first.baseline_case}")
    return _panels(heading, facet.context, rows, margin)


def _of_facet(
    facet: Facet, rows: Sequence[ForestRow], margin: float, names: Mapping[str, str]
) -> list[ForestPanel]:
    cases = {row.verdict.candidate_case for row in rows}
    heading, context = facet.heading, facet.context
    if len(cases) == 1:
        heading = fmt.clean(names.get(cases.pop(), heading))
    return _panels(heading, context, rows, margin)


def _panels(heading: str, context: str, rows: Sequence[ForestRow], margin: float) -> list[ForestPanel]:
    if len({(row.verdict.candidate_case, row.verdict.endpoint) for row in rows}) == 1:
        named = tuple(ForestRow(_of_metric(row.verdict.metric), row.verdict) for row in rows)
        return [ForestPanel(heading, context, (ForestGroup("", named),), margin)]
    by_metric = dict.fromkeys(row.verdict.metric for row in rows)
    groups = [
        ForestGroup(_of_metric(metric), tuple(row for row in rows if row.verdict.metric == metric))
        for metric in by_metric
    ]
    if len(rows) <= ROWS_TOGETHER:
        return [ForestPanel(heading, context, tuple(groups), margin)]
    return [
        ForestPanel(heading, f"{context}{part}", (ForestGroup(group.title, tuple(members)),), margin)
        for group in groups
        for part, members in parts(group.rows, ROWS_PER_FACET)
    ]


def _of_metric(metric: str) -> str:
    """A metric's name, and which way is good: `p99 service time (less is better)`."""
    better = METRICS[metric].better if metric in METRICS else None
    words = {"higher": "more is better", "lower": "less is better"}.get(better or "", "")
    name = metric_name(metric)
    return f"{name} ({words})" if words else name


def _label(facet: Facet, case: Case, verdict: Verdict) -> str:
    return " ".join(
        filter(None, [facet.told(case, " · ") or fmt.clean(case.case_id), fmt.clean(_part(verdict))])
    )


def _part(verdict: Verdict) -> str:
    return "" if verdict.endpoint in {"", TOTAL} else verdict.endpoint


def ratio_text(verdict: Verdict) -> str:
    """`×1.41 [1.30, 1.52]`; a digit more near 1, where a duel's ratio and interval would all read `1.00`."""
    values = (verdict.ratio, verdict.ci_low, verdict.ci_high)
    low, high = _NEAR_ONE
    if all(value is not None and low < value < high for value in values):
        return "×{:.3f} [{:.3f}, {:.3f}]".format(*values)
    return fmt.ratio(*values)


def why_invalid(verdict: Verdict) -> str:
    """The reason alone, without who can't be compared: the row says that."""
    _, _, reason = verdict.reason.partition(" can't be compared")
    return fmt.clean(reason.partition(": ")[2] or verdict.reason)


def told_apart(verdicts: Iterable[Verdict]) -> dict[str, int]:
    """How many verdicts have each word."""
    words = sorted(verdict.verdict for verdict in verdicts)
    return {word: len(list(found)) for word, found in groupby(words)}
