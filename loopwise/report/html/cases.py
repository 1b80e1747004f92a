"""The table of all cases, and the section with everything that is known about each case."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median_low
from typing import Any, NamedTuple
from urllib.parse import quote

from loopwise.analysis.digest import QUANTILES, Digest
from loopwise.analysis.summary import Summary
from loopwise.analysis.wording import count
from loopwise.model import Case, Cause, Run
from loopwise.model.modes import OWN
from loopwise.report import format as fmt
from loopwise.report.cells import Cell, Cells, Facet, bar_ratios, mode_name, served_by
from loopwise.report.errors import HEADINGS, NUMBERS, ErrorLine, error_lines, retries
from loopwise.report.html.facts import CheckRow, check_rows
from loopwise.report.html.resources import ResourceRow, resource_rows
from loopwise.report.html.stood import StoodRow, stood_rows
from loopwise.report.html.timeline import Timeline, timeline
from loopwise.report.words import (
    VerdictRow,
    case_name,
    deadlocked,
    far_off,
    flagged,
    short_causes,
    verdict_rows,
    verdicts_by_candidate,
    words,
)
from loopwise.results.folder import ResultFolder
from loopwise.suite.to_toml import case_command
from loopwise.visible import clean, visible

ANCHOR = "case-"
_ANCHOR_LENGTH = 80
_BEST_FIRST = ("better", "same", "undecided", "worse", "invalid")
RUNS_SHOWN = 10
"""Lines of a table with a line per run at most; the rest is in the files beside."""


class Column(NamedTuple):
    """A column of figures in the table of all cases."""

    heading: str
    metric: str
    text: Callable[[Cell], str]
    value: Callable[[Cell], float | None] = lambda cell: cell.value
    """What it is sorted by."""
    is_highest_first: bool = False
    """Whether the first click sorts downwards."""


COLUMNS = {
    "throughput": Column(
        "Requests/s",
        "throughput_rps",
        lambda cell: fmt.estimate(cell.value, cell.low, cell.high),
        is_highest_first=True,
    ),
    "reached": Column(
        "Reached",
        "throughput_rps",
        lambda cell: fmt.number(cell.predicted_ratio),
        lambda cell: cell.predicted_ratio,
        is_highest_first=True,
    ),
    "p50": Column("p50", "service_time_p50_ms", lambda cell: fmt.duration(cell.value, cell.low, cell.high)),
    "p99": Column("p99", "service_time_p99_ms", lambda cell: fmt.duration(cell.value, cell.low, cell.high)),
    "errors": Column("Errors", "error_ratio", lambda cell: fmt.share(cell.value)),
    "cpu": Column("CPU/req.", "cpu_ms_per_request", lambda cell: fmt.duration(cell.value)),
}
FILTERS = {
    "mode": "Mode",
    "workers": "Workers",
    "server": "Server",
    "load": "Load",
    "verdict": "Verdict",
    "validity": "Validity",
}
"""Trait of a line -> label of the control that filters by it."""


class Figure(NamedTuple):
    """A figure as text, and the value it sorts by; None: there is none."""

    text: str
    value: float | None


@dataclass(frozen=True)
class CaseRow:
    """A line of the table of all cases."""

    case: Case
    anchor: str
    """Id of the case's section."""
    name: str
    css_mode: str
    traits: Mapping[str, str]
    """By FILTERS; empty where the case has none."""
    figures: Mapping[str, Figure]
    """By COLUMNS."""
    bar_ratio: float
    """Throughput relative to the highest of its group, 0–1; 0 without a valid number."""
    predicted: str
    invalid: str | None
    """The reason, if nothing of the case can be used."""
    void_word: str
    """`invalid`, or `deadlock` where that is why: a finding about the app."""
    is_flagged: bool
    """Whether a check marked a run behind these numbers; they can be used."""
    verdict: str
    """Of its throughput against its baseline; empty without one."""
    verdict_rank: int | None
    """Position of the verdict when sorted, best first."""
    cause: str
    """What holds it back, in two or three words; empty if no cause was found."""
    off: str
    """A sentence about a case far from its prediction; empty for one near it."""


class CaseGroup(NamedTuple):
    """Cases that are compared with each other."""

    heading: str
    context: str
    rows: tuple[CaseRow, ...]


def case_groups(summary: Summary) -> list[CaseGroup]:
    """All cases, in the groups of the charts."""
    table = _Table(summary)
    return [CaseGroup(facet.heading, facet.context, tuple(table.rows_of(facet))) for facet in table.cells.facets]


def filters(groups: Sequence[CaseGroup]) -> list[tuple[str, str, list[str]]]:
    """Key, label and values of each trait in which the cases differ."""
    rows = [row for group in groups for row in group.rows]
    offered = []
    for key, label in FILTERS.items():
        values = {row.traits[key] for row in rows}
        if len(values) > 1:
            offered.append((key, label, sorted(filter(None, values), key=_numbers_by_size)))
    return offered


def _numbers_by_size(text: str) -> tuple[tuple[int, str], ...]:
    """A key that sorts `10 users` behind `9 users`."""
    return tuple((int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", text))


def anchors(summary: Summary) -> dict[str, str]:
    """Unique id of each case's section, by case_id: the case_id as far as a link can hold it."""
    by_case: dict[str, str] = {}
    taken = {ANCHOR}
    for number, case in enumerate(summary.experiment.suite.cases, start=1):
        readable = re.sub(r"[^A-Za-z0-9._-]+", "-", case.case_id).strip("-")
        anchor = ANCHOR + readable[:_ANCHOR_LENGTH]
        if anchor in taken:
            anchor = f"{anchor}-{number}"
        taken.add(anchor)
        by_case[case.case_id] = anchor
    return by_case


class _Table:
    """The data that the lines of all groups share."""

    def __init__(self, summary: Summary) -> None:
        self.summary = summary
        self.cells = Cells(summary)
        self.anchors = anchors(summary)
        self.flagged = flagged(summary.runs)
        self.causes = short_causes(summary.runs)
        self.deadlocked = deadlocked(summary.runs)
        self.verdicts = verdicts_by_candidate(summary.verdicts, "throughput_rps")

    def rows_of(self, facet: Facet) -> list[CaseRow]:
        off = far_off(self.summary, {case.case_id: facet.full_label(case) for case in facet.cases})
        throughputs = self.cells.row(facet.cases, "throughput_rps")
        ratios = zip(throughputs, bar_ratios(throughputs), strict=True)
        return [self._row(cell, facet, bar_ratio, off) for cell, bar_ratio in ratios]

    def _row(self, throughput: Cell, facet: Facet, bar_ratio: float, off: Mapping[str, str]) -> CaseRow:
        case = throughput.case
        case_id = case.case_id
        verdict = self.verdicts[case_id].verdict if case_id in self.verdicts else ""
        cells = {key: self.cells.cell(case, column.metric) for key, column in COLUMNS.items()}
        is_flagged = case_id in self.flagged
        usable = "marked" if is_flagged else "valid"
        return CaseRow(
            case=case,
            anchor=self.anchors[case_id],
            name=facet.full_label(case, " · "),
            css_mode=case.mode if case.mode.isidentifier() else OWN.name,
            traits={
                "mode": mode_name(case, self.cells.cases),
                "workers": "" if case.workers is None else str(case.workers),
                "server": served_by(case),
                "load": clean(case.load.label),
                "verdict": verdict,
                "validity": usable if throughput.invalid is None else "invalid",
            },
            figures={
                key: Figure(COLUMNS[key].text(cell), COLUMNS[key].value(cell))
                if cell.usable
                else Figure(fmt.NONE, None)
                for key, cell in cells.items()
            },
            bar_ratio=bar_ratio,
            predicted=fmt.number(throughput.predicted),
            invalid=throughput.invalid,
            void_word="deadlock" if case_id in self.deadlocked else "invalid",
            is_flagged=is_flagged,
            verdict=verdict,
            verdict_rank=_BEST_FIRST.index(verdict) if verdict else None,
            cause=self.causes.get(case_id, ""),
            off=off.get(case_id, ""),
        )


PERCENTILES = {
    "p50": 0.5,
    "p90": 0.9,
    "p99": 0.99,
    "p99.9": 0.999,
    "p99.99": 0.9999,
    "slowest": 1.0,
}
"""Columns of the table of percentiles; a run with too few rows for one has a gap there."""
_ESTIMATED = {"p50": "p50", "p90": "p90", "p99": "p99", "p99.9": "p999"}
"""Columns with an estimate over the replicates, and the name within its metric."""
_UNITS = {"_ms": "ms", "_mb": "MB", "_s": "s"}
FILES = {
    "run": "run.json",
    "requests": "samples.parquet",
    "telemetry": "telemetry.parquet",
    "server log": "server.log",
}


class LatencyRow(NamedTuple):
    """A line of the table of percentiles."""

    name: str
    is_estimate: bool
    """Over all valid runs, with intervals; else of one run."""
    status: str
    """Of the one run, unless it is valid."""
    figures: tuple[str, ...]
    """By PERCENTILES."""


class CauseRow(NamedTuple):
    """A cause that runs of the case named."""

    name: str
    evidence: str
    share: str
    runs: str


class WorkerRow(NamedTuple):
    """The requests of one run by worker."""

    name: str
    shares: tuple[float, ...]
    """In percent, the largest first."""
    text: str
    cpu: str
    fates: str


class FileRow(NamedTuple):
    """The files of one run, with links relative to the result's folder."""

    name: str
    status: str
    links: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class CaseSection:
    """Everything that is known about a case."""

    row: CaseRow
    title: str
    facts: list[tuple[str, str]]
    verdicts: list[VerdictRow]
    """Against its baseline."""
    latencies: list[LatencyRow]
    timeline: Timeline | None
    telemetry: list[tuple[str, str, str, str]]
    """Figure, median, lowest, highest over the runs."""
    checks: list[CheckRow]
    errors: list[ErrorLine]
    """How many requests failed in which way."""
    retries: str
    """Requests that were sent again; empty: none."""
    failures: list[str]
    """Sentences of failed checks and runs."""
    causes: list[CauseRow]
    stood: list[StoodRow]
    workers: list[WorkerRow]
    resources: list[ResourceRow]
    patch: tuple[str, str] | None
    """Name and text of the diff that the app was measured with."""
    command: str
    files: list[FileRow]


def _patch(case: Case) -> tuple[str, str] | None:
    if case.patch is None:
        return None
    return clean(case.patch.name), visible(case.patch.text)


def case_sections(summary: Summary, rows: Sequence[CaseRow]) -> list[CaseSection]:
    """A section for each line of the table, in its order."""
    cases = summary.experiment.suite.cases
    runs: dict[str, list[Run]] = {}
    for run in sorted(summary.runs, key=lambda run: (run.replicate, run.attempt)):
        runs.setdefault(run.case.case_id, []).append(run)
    estimates: dict[str, dict[tuple[str, str], Mapping[str, Any]]] = {}
    for record in summary.table.astype(object).to_dict("records"):
        of_case = estimates.setdefault(record["case_id"], {})
        of_case[str(record["endpoint"]), str(record["metric"])] = {str(key): record[key] for key in record}
    verdicts: dict[str, list[VerdictRow]] = {}
    for verdict, verdict_row in zip(summary.verdicts, verdict_rows(summary), strict=True):
        verdicts.setdefault(verdict.candidate_case, []).append(verdict_row)

    sent_again = retries(summary)

    def section(row: CaseRow) -> CaseSection:
        case_id = row.case.case_id
        mine = runs.get(case_id, [])
        counted = [run for run in mine if run.status in {"ok", "invalid"}]
        valid = [run for run in mine if run.status == "ok"] or counted
        digests = summary.digests.get(case_id, ())
        pooled = [] if row.invalid else estimate_rows(estimates.get(case_id, {}))
        return CaseSection(
            row=row,
            title=case_name(row.case, cases),
            facts=_facts(row),
            verdicts=verdicts.get(case_id, []),
            latencies=[*pooled, *run_latency_rows(digests)],
            timeline=timeline(digests),
            telemetry=telemetry_rows(valid),
            checks=check_rows(counted),
            errors=error_lines(summary, row.case),
            retries=sent_again.get(case_id, ""),
            failures=_failures(mine),
            causes=cause_rows(valid),
            stood=stood_rows(valid),
            workers=worker_rows(valid)[:RUNS_SHOWN],
            resources=resource_rows(valid),
            patch=_patch(row.case),
            command=clean(case_command(summary.experiment, row.case)),
            files=file_rows(mine),
        )

    return [section(row) for row in rows]


def error_heads() -> list[str]:
    """Headings of a table of failed requests, those of numbers marked for `heads` of parts.html.j2."""
    return [f">{name.capitalize()}" if name in NUMBERS else name.capitalize() for name in HEADINGS]


def _facts(row: CaseRow) -> list[tuple[str, str]]:
    case = row.case
    listed = {
        "requests": ", ".join(each.name for each in case.endpoints) or (case.scenario or ""),
        "server": served_by(case),
        "workers": "" if case.workers is None else str(case.workers),
        "load": f"{case.load.label}, {case.load.measure_s:g} s",
        "throughput": f"{row.figures['throughput'].text} requests/s",
        "predicted at most": f"{row.predicted} requests/s",
    }
    return [(name, value) for name, value in listed.items() if value and not value.startswith(fmt.NONE)]


def estimate_rows(estimates: Mapping[tuple[str, str], Mapping[str, Any]]) -> list[LatencyRow]:
    """Percentiles over the replicates, for each kind of latency and each endpoint.

    Args:
        estimates: rows of the case in summary.csv by endpoint and metric.
    """
    endpoints = dict.fromkeys(endpoint for endpoint, _ in estimates)
    rows = []
    for kind in ("service", "response"):
        for endpoint in endpoints:
            cells = [estimates.get((endpoint, f"{kind}_time_{name}_ms")) for name in _ESTIMATED.values()]
            if any(cells):
                figures = [
                    fmt.duration(cell["value"], cell["ci_low"], cell["ci_high"]) if cell else fmt.NONE for cell in cells
                ]
                figures += [fmt.NONE] * (len(PERCENTILES) - len(figures))
                name = f"{kind} time{f', {endpoint}' if len(endpoints) > 1 else ''}"
                rows.append(LatencyRow(name, True, "", tuple(figures)))
    return rows


def run_latency_rows(digests: Sequence[Digest]) -> list[LatencyRow]:
    """Percentiles of each run."""
    rows = []
    for digest in digests[:RUNS_SHOWN]:
        latencies = (digest.response or digest.service).get(digest.endpoint)
        if latencies is not None and latencies.rows:
            values_ms = dict(zip(QUANTILES, latencies.quantiles_ms.tolist(), strict=True))
            name = f"replicate {digest.replicate}, {digest.kind} time"
            figures = tuple(fmt.duration(values_ms[quantile]) for quantile in PERCENTILES.values())
            rows.append(LatencyRow(name, False, _status(digest.status), figures))
    return rows


def telemetry_rows(runs: Sequence[Run]) -> list[tuple[str, str, str, str]]:
    """Figures of the machine and the server's processes: name, median, lowest and highest over the runs."""
    values: dict[str, list[float]] = {}
    for run in runs:
        for name, value in run.host:
            if isinstance(value, float) and math.isfinite(value):
                values.setdefault(name, []).append(value)
    rows = []
    for name, known in values.items():
        middle, low, high = (_figure(name, value) for value in (median_low(known), min(known), max(known)))
        rows.append((words(re.sub(r"_(ratio|ms|s|mb)$", "", name)), middle, low, high))
    return rows


def _figure(name: str, value: float) -> str:
    if name.endswith("_ratio"):
        return fmt.share(value)
    unit = next((f" {unit}" for ending, unit in _UNITS.items() if name.endswith(ending)), "")
    return fmt.plain(value) + unit


def cause_rows(runs: Sequence[Run]) -> list[CauseRow]:
    """Each cause with its strongest evidence and the number of runs that named it."""
    by_name: dict[str, list[Cause]] = {}
    for run in runs:
        for cause in run.causes:
            by_name.setdefault(cause.cause, []).append(cause)
    rows = []
    for name, causes in sorted(by_name.items(), key=lambda each: -len(each[1])):
        most = max(causes, key=lambda each: each.share)
        named_by = f"{len(causes)} of {count(len(runs), 'run')}"
        rows.append(CauseRow(words(name), most.evidence, fmt.share(most.share), named_by))
    return rows


def worker_rows(runs: Sequence[Run]) -> list[WorkerRow]:
    """How evenly each run's requests fell on its workers, for runs with several."""
    rows = []
    for run in runs:
        if len(run.workers) < 2:
            continue
        shares = sorted((100 * each.share for each in run.workers if each.share is not None), reverse=True)
        fates = [each.fate for each in run.workers if each.fate]
        rows.append(
            WorkerRow(
                f"replicate {run.replicate}",
                tuple(round(share, 1) for share in shares),
                ", ".join(f"{fmt.number(share)} %" for share in shares) or fmt.NONE,
                " + ".join(fmt.number(each.cpu_s) for each in run.workers) + " s",
                ", ".join(f"{fates.count(fate)} {fate}" for fate in dict.fromkeys(fates)),
            )
        )
    return rows


def file_rows(runs: Sequence[Run]) -> list[FileRow]:
    """Links to the files of each run. A case_id that isn't a plain folder name gets none."""
    rows = []
    for run in runs[:RUNS_SHOWN]:
        if set(run.case.case_id) <= {"."} or "/" in run.case.case_id:  # the empty name among them
            continue
        folder = ResultFolder(Path()).folder_of(run).as_posix()
        repeated = f", attempt {run.attempt}" if run.attempt > 1 or run.status == "disturbed" else ""
        is_short = run.status == "failed"  # it may have ended before there were any rows
        links = tuple(
            (label, quote(f"{folder}/{name}"))
            for label, name in FILES.items()
            if not (is_short and name.endswith(".parquet")) and not (name == "server.log" and not run.server)
        )
        rows.append(FileRow(f"replicate {run.replicate}{repeated}", _status(run.status), links))
    return rows


def _status(status: str) -> str:
    return "" if status == "ok" else status


def _failures(runs: Sequence[Run]) -> list[str]:
    """Sentences of failed runs and checks; one that several replicates share stands once."""
    replicates: dict[str, list[str]] = {}
    for run in runs:
        details = [check.detail for check in run.checks if not check.ok and check.detail]
        for sentence in [*([run.error] if run.error else []), *details]:
            replicates.setdefault(sentence, []).append(str(run.replicate))
    return [
        f"Replicate{'s' if len(numbers) > 1 else ''} {', '.join(dict.fromkeys(numbers))}: {sentence}"
        for sentence, numbers in replicates.items()
    ]
