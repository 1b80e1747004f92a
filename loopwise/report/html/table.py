"""The table of all cases: what each line shows, sorts and filters by."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from loopwise.analysis.causes import first_causes
from loopwise.analysis.summary import Summary
from loopwise.report import format as fmt
from loopwise.report.cells import Cell, Cells, Facet, bar_ratios, mode_name, server_name
from loopwise.report.words import (
    ICONS,
    far_off,
    flagged,
    short_causes,
    verdicts_by_candidate,
)

ANCHOR = "case-"
_ANCHOR_LENGTH = 80
_BEST_FIRST = ("better", "same", "undecided", "worse", "invalid")


@dataclass(frozen=True)
class CaseRow:
    """A line of the table of all cases; figures with their intervals, ready to read."""

    case_id: str
    anchor: str
    """Id of the case's own section."""
    name: str
    mode: str
    traits: Mapping[str, str]
    """What the line is filtered by: mode, workers, server, load, verdict, validity."""
    throughput: str
    bar_ratio: float
    """Throughput relative to the highest of its group, 0–1; 0 where there is no valid number."""
    predicted: str
    predicted_ratio: str
    """Measured ÷ predicted."""
    p50: str
    p99: str
    errors: str
    cpu: str
    sorted_by: Mapping[str, float | None]
    """Column -> the value that it sorts by; None: there is none."""
    invalid: str | None
    flagged: bool
    """Whether a check put a mark on a run behind these numbers; they can be used."""
    verdict: str = ""
    """Of its throughput against its baseline; empty where it has none."""
    icon: str = ""
    cause: str = ""
    """Why it is not faster, in words; empty where nothing was found."""
    cause_name: str = ""
    """The same in two or three words."""
    off: str = ""
    """What is said of a case far from its prediction; empty for one that is near it."""


@dataclass(frozen=True)
class CaseGroup:
    """Cases that are compared with each other."""

    heading: str
    context: str
    rows: tuple[CaseRow, ...]


def case_groups(summary: Summary) -> list[CaseGroup]:
    """All cases in the groups that the charts show, too."""
    table = _Table(summary)
    return [
        CaseGroup(facet.heading, facet.context, tuple(table.rows_of(facet))) for facet in table.cells.facets
    ]


def filters(groups: Sequence[CaseGroup]) -> list[tuple[str, str, list[str]]]:
    """Key, label and values of each trait in which the cases differ."""
    rows = [row for group in groups for row in group.rows]
    found = []
    for key, label in FILTERS.items():
        values = list(dict.fromkeys(row.traits[key] for row in rows if row.traits[key]))
        if len({row.traits[key] for row in rows}) > 1:
            found.append((key, label, sorted(values, key=_by_number)))
    return found


FILTERS = {
    "mode": "Mode",
    "workers": "Workers",
    "server": "Server",
    "load": "Load",
    "verdict": "Verdict",
    "validity": "Validity",
}


def anchors(summary: Summary) -> dict[str, str]:
    """Id of each case's section, by case_id: its case_id as far as that can stand in a link, never twice."""
    found: dict[str, str] = {}
    taken: set[str] = set()
    for number, case in enumerate(summary.experiment.suite.cases, start=1):
        readable = re.sub(r"[^A-Za-z0-9._-]+", "-", case.case_id).strip("-")
        anchor = ANCHOR + readable[:_ANCHOR_LENGTH]
        if anchor in taken or anchor == ANCHOR:
            anchor = f"{anchor}-{number}"
        taken.add(anchor)
        found[case.case_id] = anchor
    return found


class _Table:
    """What the lines of all groups draw on."""

    def __init__(self, summary: Summary) -> None:
        self.summary = summary
        self.cells = Cells(summary)
        self.anchors = anchors(summary)
        self.marked = flagged(summary.runs)
        self.causes = first_causes(summary.runs)
        self.cause_names = short_causes(summary.runs)
        self.verdicts = verdicts_by_candidate(summary.verdicts, "throughput_rps")

    def rows_of(self, facet: Facet) -> list[CaseRow]:
        names = {case.case_id: facet.full_label(case) for case in facet.cases}
        off = far_off(self.summary, names)
        row = self.cells.row(facet.cases, "throughput_rps")
        ratios = zip(row, bar_ratios(row), strict=True)
        return [self._row(cell, facet, bar_ratio, off) for cell, bar_ratio in ratios]

    def _row(self, throughput: Cell, facet: Facet, bar_ratio: float, off: Mapping[str, str]) -> CaseRow:
        case = throughput.case
        case_id = case.case_id
        cells = {name: self.cells.cell(case, metric) for name, metric in _COLUMNS.items()}
        verdict = self.verdicts.get(case_id)
        return CaseRow(
            case_id=case_id,
            anchor=self.anchors[case_id],
            name=facet.full_label(case, " · "),
            mode=case.mode if case.mode.isidentifier() else "own",
            traits=self._traits(throughput, verdict.verdict if verdict else ""),
            throughput=fmt.estimate(throughput.value, throughput.low, throughput.high)
            if throughput.usable
            else fmt.NONE,
            bar_ratio=bar_ratio,
            predicted=fmt.number(throughput.predicted),
            predicted_ratio=fmt.number(throughput.predicted_ratio),
            p50=_duration(cells["p50"]),
            p99=_duration(cells["p99"]),
            errors=fmt.share(cells["errors"].value) if cells["errors"].usable else fmt.NONE,
            cpu=fmt.duration(cells["cpu"].value) if cells["cpu"].usable else fmt.NONE,
            sorted_by={
                "verdict": _BEST_FIRST.index(verdict.verdict) if verdict else None,
                "throughput": throughput.value if throughput.usable else None,
                "reached": throughput.predicted_ratio,
                **{name: cell.value if cell.usable else None for name, cell in cells.items()},
            },
            invalid=throughput.invalid,
            flagged=case_id in self.marked,
            verdict=verdict.verdict if verdict else "",
            icon=ICONS[verdict.verdict] if verdict else "",
            cause=self.causes.get(case_id, ""),
            cause_name=self.cause_names.get(case_id, ""),
            off=off.get(case_id, ""),
        )

    def _traits(self, throughput: Cell, verdict: str) -> dict[str, str]:
        case = throughput.case
        validity = "marked" if case.case_id in self.marked else "valid"
        return {
            "mode": mode_name(case),
            "workers": "" if case.workers is None else str(case.workers),
            "server": fmt.clean(server_name(case.server, case.url)),
            "load": fmt.clean(case.load.label),
            "verdict": verdict,
            "validity": validity if throughput.invalid is None else "invalid",
        }


_COLUMNS = {
    "p50": "service_time_p50_ms",
    "p99": "service_time_p99_ms",
    "errors": "error_ratio",
    "cpu": "cpu_ms_per_request",
}


def _duration(cell: Cell) -> str:
    return fmt.duration(cell.value, cell.low, cell.high) if cell.usable else fmt.NONE


def _by_number(text: str) -> tuple[Any, ...]:
    """`10 users` behind `9 users`."""
    return tuple((int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", text))
