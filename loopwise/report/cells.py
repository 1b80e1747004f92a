"""A Summary as cells by case and metric, and its cases grouped into facets that are compared with each other."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

from loopwise.analysis.summary import Summary
from loopwise.model import TOTAL, Case, naming
from loopwise.model.factors import is_own
from loopwise.model.naming import variants
from loopwise.report.format import confidence
from loopwise.servers.specs import SERVERS
from loopwise.visible import clean

ROWS_PER_FACET = 40
"""A chart of more rows is split: nobody compares the first with the fiftieth by eye."""

DRAWN = 5
"""Charts draw no interval further than so many times the value: two replicates can leave one of many powers of ten, and
everything else would shrink to a dot."""

_T = TypeVar("_T")
_K = TypeVar("_K")
_NUMBERS = ("value", "ci_low", "ci_high", "predicted")
_COLUMNS = ("case_id", "metric", "endpoint", *_NUMBERS, "replicates", "valid", "reason")
"""Columns of the table that a cell is made of."""


@dataclass(frozen=True)
class Cell:
    """One metric of one case: a row of the tidy table with its gaps as None."""

    case: Case
    value: float | None = None
    low: float | None = None
    high: float | None = None
    predicted: float | None = None
    replicates: int = 0
    invalid: str | None = None
    """Why the value must not be used, in which case it is never drawn; None: it may be used."""

    @property
    def usable(self) -> bool:
        """Whether there is a value that may be shown."""
        return self.invalid is None and self.value is not None

    @property
    def positive(self) -> bool:
        """Whether it is usable and positive, so that a log axis has a place for it."""
        return self.usable and self.number > 0

    @property
    def number(self) -> float:
        """The value; 0 where there is none."""
        return self.value or 0.0

    @property
    def drawn(self) -> tuple[float, float]:
        """The interval as far as a chart draws it; the value alone where there is none."""
        low, high = (self.number if end is None else end for end in (self.low, self.high))
        return max(low, self.number / DRAWN), min(high, self.number * DRAWN)

    @property
    def ends(self) -> list[float]:
        """The value and the ends of its interval, as far as they are known and drawn."""
        low, high = self.drawn
        return [low, self.number, high] if self.usable else []

    @property
    def why(self) -> str:
        """Why there is no number to show."""
        return "no figure" if self.invalid is None else f"invalid: {self.invalid}"

    def say(self, text: Callable[[float | None], str]) -> str:
        """The value as text; empty where it must not be shown."""
        return text(self.value) if self.usable else ""

    @property
    def predicted_ratio(self) -> float | None:
        """Measured ÷ predicted; None where either is unknown."""
        return self.value / self.predicted if self.usable and self.value and self.predicted else None


@dataclass(frozen=True)
class Facet:
    """Cases that are compared with each other, with what they have in common."""

    heading: str
    context: str
    """Server and load, as `uvicorn · 100 users`."""
    cases: tuple[Case, ...]
    by_subject: bool = False
    """Whether the cases differ by subject; otherwise by mode, workers and options."""
    by_id: bool = False
    """Whether cases are labelled by case_id: the two sides of a duel, whose names the user chose."""

    @property
    def name(self) -> str:
        """One line that names the facet: `sleep(ms=50), uvicorn · 100 users`."""
        return ", ".join(part for part in (self.heading, self.context) if part)

    def label(self, case: Case) -> tuple[str, str]:
        """How the case differs from the others here, coarse and fine: (`async`, `2 workers`)."""
        if self.by_id or self.by_subject:
            return clean(case.case_id if self.by_id else case.subject), ""
        several_workers = len({other.workers for other in self.cases}) > 1
        if len({self.series(other) for other in self.cases}) > 1:
            return self.series(case), workers_name(case) if several_workers else ""
        return (workers_name(case), "") if several_workers else (self.series(case), workers_name(case))

    def full_label(self, case: Case, between: str = " ") -> str:
        """Both parts of the label on one line: `async 2 workers`; empty where the case is alone."""
        return between.join(filter(None, self.label(case)))

    def series(self, case: Case) -> str:
        """Name of the line on which the case lies with others that differ in workers alone: `sync with middleware`."""
        return f"{mode_name(case, self.cases)} {self._variants.get(case.case_id, '')}".strip()

    @cached_property
    def by_series(self) -> dict[str, list[Case]]:
        """The cases of each series, in their order."""
        return grouped(self.cases, self.series)

    @cached_property
    def _variants(self) -> dict[str, str]:
        return {case_id: clean(words) for case_id, words in variants(self.cases).items()}


class Cells:
    """A Summary's table by case and metric."""

    def __init__(self, summary: Summary) -> None:
        self.summary = summary

    @cached_property
    def cases(self) -> tuple[Case, ...]:
        """Every case of the suite, in its order."""
        return self.summary.experiment.suite.cases

    @cached_property
    def facets(self) -> list[Facet]:
        """The cases that are compared with each other; see `facets`. The two sides of a duel always are."""
        if not self.summary.duel:
            return facets(self.cases)
        subjects, servers, loads = (
            list(dict.fromkeys(clean(say(case)) for case in self.cases))
            for say in (lambda case: case.subject, served_by, lambda case: case.load.label)
        )
        context = f"{' and '.join(servers)} · {' and '.join(loads)} each, at once on the same cores"
        return [Facet(" and ".join(subjects), context, self.cases, by_id=True)]

    def cell(self, case: Case, metric: str) -> Cell:
        """The case-level figure: of all endpoints together in a mix, else of the only one."""
        row = self._rows.get((case.case_id, metric))
        if row is None:
            return Cell(case, invalid=None if case.case_id in self._measured else self._why_missing(case))
        reason = row["reason"] if isinstance(row["reason"], str) else ""
        invalid = None if row["valid"] else clean(reason or "a check failed")
        value, low, high, predicted = map(_number, (row[name] for name in _NUMBERS))
        return Cell(case, value, low, high, predicted, int(row["replicates"]), invalid)

    def row(self, cases: Iterable[Case], metric: str) -> list[Cell]:
        """The same metric of several cases."""
        return [self.cell(case, metric) for case in cases]

    def memory(self, cases: Iterable[Case]) -> list[Cell]:
        """Memory of several cases: what is shared counted once, if that is known of all of them."""
        cases = list(cases)
        once = self.row(cases, "pss_mb")
        return once if all(cell.usable for cell in once if not cell.invalid) else self.row(cases, "rss_mb")

    def why_invalid(self, case: Case) -> str | None:
        """Why nothing about this case can be used, or None."""
        return self.cell(case, "throughput_rps").invalid

    @cached_property
    def interval_note(self) -> str:
        """A sentence on what intervals are made of, or why there are none."""
        row = self.row(self.cases, "throughput_rps")
        replicates = sorted({cell.replicates for cell in row if cell.usable and cell.replicates > 0})
        if not replicates:
            return "No valid replicate, so no interval."
        if replicates[-1] < 2:
            return "One replicate each: no interval can be given."
        span = f"{replicates[0]}" if len(replicates) == 1 else f"{replicates[0]} to {replicates[-1]}"
        level = confidence(self.summary.experiment.suite.compare.confidence)
        if self.summary.duel:
            return (
                f"Intervals: {level}, from {span} rounds, each on a fresh pair of servers that shared their cores. So "
                "ratios are known better than the absolute figures, and these are of half a machine."
            )
        return f"Intervals: {level}, from {span} replicates, {started(self.cases)}."

    @cached_property
    def log_note(self) -> str:
        """A sentence on servers whose access log is off for a person's own app, against their default; empty: none."""
        servers = [case.server for case in self.cases if case.app is not None and case.server is not None]
        silent = {server.name for server in servers if SERVERS[server.name].logs_access and not server.access_log}
        if not silent:
            return ""
        return (
            f"The access log that {' and '.join(sorted(silent))} writes by default is off; `access_log = true` "
            "(--set matrix.access_log=true) measures with it."
        )

    @cached_property
    def _rows(self) -> dict[tuple[str, str], dict[str, Any]]:
        picked: dict[tuple[str, str], dict[str, Any]] = {}
        columns = [self.summary.table[name].tolist() for name in _COLUMNS]
        for row in (dict(zip(_COLUMNS, values, strict=True)) for values in zip(*columns, strict=True)):
            key = (row["case_id"], row["metric"])
            if key not in picked or row["endpoint"] == TOTAL:
                picked[key] = row
        return picked

    @cached_property
    def _measured(self) -> set[str]:
        return {case_id for case_id, _ in self._rows}

    def _why_missing(self, case: Case) -> str:
        errors = (run.error for run in self.summary.runs if run.case.case_id == case.case_id and run.error)
        return clean(next(errors, "not measured"))


def started(cases: Sequence[Case]) -> str:
    """The servers that replicates measured: `each a freshly started server`, unless it already ran."""
    kinds = {
        "a run against the server that was running" if case.server is None else "a freshly started server"
        for case in cases
    }
    return f"each {' or '.join(sorted(kinds))}"


def positive_ends(cells: Iterable[Cell]) -> list[float]:
    """The positive values and interval ends of usable cells: what a log axis has to hold."""
    return [end for cell in cells if cell.usable for end in cell.ends if end > 0]


def bar_ratios(row: Sequence[Cell]) -> list[float]:
    """Each value relative to the highest of the row, 0–1; 0 where there is no number to be shown."""
    values = [cell.number if cell.usable else 0.0 for cell in row]
    highest = max(values, default=0.0)
    return [value / highest if highest else 0.0 for value in values]


def facets(cases: Sequence[Case]) -> list[Facet]:
    """Cases grouped by subject, server and load; where no subject has two cases, by server and load alone.

    So an app with thirty endpoints on one worker is one chart of thirty rows, not thirty of one.
    """
    named = server_names(cases)
    made: list[Facet] = []
    for context, members in grouped(cases, lambda case: f"{named[case.case_id]} · {case.load.label}").items():
        subjects = grouped(members, lambda case: case.subject)
        if 1 < len(subjects) == len(members):
            made += _by_subject(context, members)
        else:
            made += [Facet(clean(name), context, _by_mode(each)) for name, each in subjects.items()]
    order = {clean(case.subject): index for index, case in reversed(list(enumerate(cases)))}
    return sorted(made, key=lambda facet: order.get(facet.heading, 0))


def grouped(cases: Iterable[Case], key: Callable[[Case], _K]) -> dict[_K, list[Case]]:
    """The cases by key, in their order."""
    groups: dict[_K, list[Case]] = {}
    for case in cases:
        groups.setdefault(key(case), []).append(case)
    return groups


def parts(rows: Sequence[_T], most: int) -> list[tuple[str, Sequence[_T]]]:
    """The rows in parts of at most so many, each with an addition to the panel's context: ` · part 1 of 2`."""
    starts = range(0, len(rows), most)
    return [
        (f" · part {number} of {len(starts)}" if len(starts) > 1 else "", rows[start : start + most])
        for number, start in enumerate(starts, start=1)
    ]


def mode_name(case: Case, rivals: Iterable[Case]) -> str:
    """The mode, in the words of somebody who reads about an app of their own."""
    return clean(naming.mode_label(case, rivals))


def latency_name(case: Case) -> str:
    """The latency that its users feel: in open load from when a request was due."""
    return "response time" if case.load.model == "open" else "service time"


def latency_metric(case: Case, name: str) -> str:
    """That latency's metric: `response_time_p99_ms`."""
    return f"{latency_name(case).replace(' ', '_')}_{name}_ms"


def workers_name(case: Case) -> str:
    """`2 workers`, or that the server was not ours to start."""
    return naming.workers_words(case) or "already running"


def served_by(case: Case) -> str:
    """The server of a case, with its options."""
    return clean(naming.server_name(case))


def server_names(cases: Sequence[Case]) -> dict[str, str]:
    """Name of each case's server by case_id; with app and scenario where the suite has several."""
    return {case_id: clean(name) for case_id, name in naming.server_names(cases).items()}


def _by_mode(cases: list[Case]) -> tuple[Case, ...]:
    """Cases of one mode and variant beside each other, by rising number of workers."""
    modes = list(grouped(cases, lambda case: case.mode))
    words = variants(cases)
    order = list(dict.fromkeys(words.values()))
    keys = {
        case.case_id: (modes.index(case.mode), order.index(words[case.case_id]), case.workers or 0) for case in cases
    }
    return tuple(sorted(cases, key=lambda case: keys[case.case_id]))


def _by_subject(context: str, cases: list[Case]) -> list[Facet]:
    whole = "Every endpoint" if is_own(cases[0]) else "Every workload"
    return [
        Facet(part.removeprefix(" · ").capitalize() or whole, context, tuple(chunk), by_subject=True)
        for part, chunk in parts(cases, ROWS_PER_FACET)
    ]


def _number(value: Any) -> float | None:
    """The value as a float; None for every kind of missing."""
    try:
        converted = float(value)
    except (TypeError, ValueError):
        return None
    return converted if math.isfinite(converted) else None
