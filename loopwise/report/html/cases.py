"""The section of each case: percentiles, time line, telemetry, checks, causes, workers, and how to measure it again."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median_low
from typing import Any
from urllib.parse import quote

from loopwise.analysis.digest import QUANTILES, Digest
from loopwise.analysis.summary import Summary
from loopwise.model import Case, Cause, Run
from loopwise.report import format as fmt
from loopwise.report.cells import server_name
from loopwise.report.html.facts import CheckRow, check_rows
from loopwise.report.html.table import CaseRow
from loopwise.report.html.timeline import Timeline, timeline
from loopwise.report.words import ICONS, case_name, metric_name, words
from loopwise.results.folder import ResultFolder
from loopwise.suite.to_toml import case_command

PERCENTILES = {
    "p50": 0.5,
    "p90": 0.9,
    "p99": 0.99,
    "p99.9": 0.999,
    "p99.99": 0.9999,
    "slowest": 1.0,
}
"""Columns of the table of percentiles; those that a run has too few rows for stay empty."""
_ESTIMATED = {"p50": "p50", "p90": "p90", "p99": "p99", "p99.9": "p999"}
"""The columns of which there is an estimate over the replicates, and how the metric calls it."""
RUNS_SHOWN = 10
"""Lines of a table with a line per run at most; the rest is in the files beside."""
_UNITS = {"_ms": "ms", "_mb": "MB", "_s": "s"}
FILES = {
    "run": "run.json",
    "requests": "samples.parquet",
    "telemetry": "telemetry.parquet",
    "server log": "server.log",
}


@dataclass(frozen=True)
class LatencyRow:
    """A line of the table of percentiles."""

    name: str
    is_estimate: bool
    """Of all valid runs together, with intervals; else of one run."""
    status: str
    """Of the one run, unless it is valid."""
    figures: tuple[str, ...]
    """By PERCENTILES."""


@dataclass(frozen=True)
class CauseRow:
    """A cause that runs of the case named."""

    name: str
    evidence: str
    share: str
    runs: str


@dataclass(frozen=True)
class WorkerRow:
    """How the requests of one run fell on its workers."""

    name: str
    shares: tuple[float, ...]
    """In percent, the largest first."""
    said: str
    cpu: str
    fates: str


@dataclass(frozen=True)
class FileRow:
    """The files of one run, relative to the result's folder."""

    name: str
    status: str
    links: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class CaseSection:
    """All that is known about a case."""

    row: CaseRow
    title: str
    facts: tuple[tuple[str, str], ...]
    verdicts: tuple[tuple[str, str, str, str, str], ...]
    """Word, mark, metric, ratio and sentence of each comparison with its baseline."""
    latencies: tuple[LatencyRow, ...]
    timeline: Timeline | None
    telemetry: tuple[tuple[str, str, str, str], ...]
    """Figure, median, lowest, highest over the runs."""
    checks: tuple[CheckRow, ...]
    failed: tuple[str, ...]
    """What failed checks and runs say."""
    causes: tuple[CauseRow, ...]
    workers: tuple[WorkerRow, ...]
    command: str
    files: tuple[FileRow, ...]


def case_sections(summary: Summary, rows: Sequence[CaseRow]) -> list[CaseSection]:
    """A section for each line of the table, in its order."""
    sections = _Sections(summary)
    return [sections.section(row) for row in rows]


class _Sections:
    def __init__(self, summary: Summary) -> None:
        self.summary = summary
        self.cases = {case.case_id: case for case in summary.experiment.suite.cases}
        self.runs: dict[str, list[Run]] = {}
        for run in sorted(summary.runs, key=lambda run: (run.replicate, run.attempt)):
            self.runs.setdefault(run.case.case_id, []).append(run)
        self.figures: dict[str, dict[tuple[str, str], Mapping[str, Any]]] = {}
        for each in summary.table.astype(object).to_dict("records"):
            of_case = self.figures.setdefault(each["case_id"], {})
            of_case[str(each["endpoint"]), str(each["metric"])] = {str(key): each[key] for key in each}

    def section(self, row: CaseRow) -> CaseSection:
        case = self.cases[row.case_id]
        runs = self.runs.get(row.case_id, [])
        counted = [run for run in runs if run.status in {"ok", "invalid"}]
        valid = [run for run in runs if run.status == "ok"] or counted
        digests = self.summary.digests.get(row.case_id, ())
        return CaseSection(
            row=row,
            title=case_name(case, tuple(self.cases.values())),
            facts=tuple(_facts(case, row)),
            verdicts=tuple(self._verdicts(row.case_id)),
            latencies=tuple(self._latencies(row, digests)),
            timeline=timeline(digests),
            telemetry=tuple(telemetry_rows(valid)),
            checks=tuple(check_rows(counted)),
            failed=tuple(_failures(runs)),
            causes=tuple(cause_rows(valid)),
            workers=tuple(worker_rows(valid)[:RUNS_SHOWN]),
            command=fmt.clean(case_command(self.summary.experiment, case)),
            files=tuple(file_rows(runs)),
        )

    def _verdicts(self, case_id: str) -> list[tuple[str, str, str, str, str]]:
        return [
            (
                each.verdict,
                ICONS[each.verdict],
                metric_name(each.metric),
                fmt.ratio(each.ratio, each.ci_low, each.ci_high),
                each.reason,
            )
            for each in self.summary.verdicts
            if each.candidate_case == case_id
        ]

    def _latencies(self, row: CaseRow, digests: Sequence[Digest]) -> list[LatencyRow]:
        """Estimates of each endpoint and kind, then each run's own percentiles."""
        figures = self.figures.get(row.case_id, {})
        rows = []
        endpoints = list(dict.fromkeys(endpoint for endpoint, _ in figures))
        for kind in ("service", "response"):
            for endpoint in endpoints if row.invalid is None else ():
                cells = [figures.get((endpoint, f"{kind}_time_{name}_ms")) for name in _ESTIMATED.values()]
                if any(cells):
                    several = f", {endpoint}" if len(endpoints) > 1 else ""
                    shown = tuple(
                        fmt.duration(cell["value"], cell["ci_low"], cell["ci_high"]) if cell else fmt.NONE
                        for cell in cells
                    )
                    empty = (fmt.NONE,) * (len(PERCENTILES) - len(shown))
                    rows.append(LatencyRow(f"{kind} time{several}", True, "", (*shown, *empty)))
        for each in digests[:RUNS_SHOWN]:
            kind = "response time" if each.kind == "response" else "service time"
            found = (each.response or each.service).get(each.endpoint)
            if found is None or not found.rows:
                continue
            values = dict(zip(QUANTILES, found.quantiles_ms.tolist(), strict=True))
            rows.append(
                LatencyRow(
                    f"replicate {each.replicate}, {kind}",
                    False,
                    "" if each.status == "ok" else each.status,
                    tuple(fmt.duration(values[quantile]) for quantile in PERCENTILES.values()),
                )
            )
        return rows


def telemetry_rows(runs: Sequence[Run]) -> list[tuple[str, str, str, str]]:
    """Figures of the machine and the server's processes: name, median, lowest and highest over the runs."""
    found: dict[str, list[float]] = {}
    for run in runs:
        for name, value in run.host:
            if isinstance(value, float) and math.isfinite(value):
                found.setdefault(name, []).append(value)
    rows = []
    for name, values in found.items():
        middle, low, high = (_figure(name, each) for each in (median_low(values), min(values), max(values)))
        rows.append((words(re.sub(r"_(ratio|ms|s|mb)$", "", name)), middle, low, high))
    return rows


def cause_rows(runs: Sequence[Run]) -> list[CauseRow]:
    """Each cause that a run named: its evidence from the run where it weighs most, and how many runs named it."""
    found: dict[str, list[Cause]] = {}
    for run in runs:
        for cause in run.causes:
            found.setdefault(cause.cause, []).append(cause)
    rows = []
    for name, causes in sorted(found.items(), key=lambda each: -len(each[1])):
        most = max(causes, key=lambda each: each.share)
        rows.append(
            CauseRow(
                words(name),
                most.evidence,
                fmt.share(most.share),
                f"{len(causes)} of {fmt.count(len(runs), 'run')}",
            )
        )
    return rows


def worker_rows(runs: Sequence[Run]) -> list[WorkerRow]:
    """How evenly each run's requests fell on its workers; none where there was a single one throughout."""
    rows = []
    for run in runs:
        shares = sorted((100 * each.share for each in run.workers if each.share is not None), reverse=True)
        fates = [each.fate for each in run.workers if each.fate]
        if len(run.workers) < 2:
            continue
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
    """Links to what is on disk of each run. A case_id that is no plain name of a folder gets none."""
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
        rows.append(
            FileRow(f"replicate {run.replicate}{repeated}", "" if run.status == "ok" else run.status, links)
        )
    return rows


def _facts(case: Case, row: CaseRow) -> list[tuple[str, str]]:
    asked = ", ".join(each.name for each in case.endpoints) or (case.scenario or "")
    listed = [
        ("asked", asked),
        ("server", server_name(case.server, case.url)),
        ("workers", "" if case.workers is None else str(case.workers)),
        ("load", f"{case.load.label}, {case.load.measure_s:g} s"),
        ("throughput", "" if row.throughput == fmt.NONE else f"{row.throughput} requests/s"),
        ("predicted at most", "" if row.predicted == fmt.NONE else f"{row.predicted} requests/s"),
    ]
    return [(name, value) for name, value in listed if value]


def _failures(runs: Sequence[Run]) -> list[str]:
    """What went wrong in words; the same sentence of several runs once."""
    found: dict[str, list[str]] = {}
    for run in runs:
        said = [check.detail for check in run.checks if not check.ok and check.detail]
        for sentence in [*([run.error] if run.error else []), *said]:
            found.setdefault(sentence, []).append(str(run.replicate))
    return [
        f"Replicate{'s' if len(numbers) > 1 else ''} {', '.join(dict.fromkeys(numbers))}: {sentence}"
        for sentence, numbers in found.items()
    ]


def _figure(name: str, value: float) -> str:
    if name.endswith("_ratio"):
        return fmt.share(value)
    unit = next((f" {unit}" for ending, unit in _UNITS.items() if name.endswith(ending)), "")
    return fmt.plain(value) + unit
