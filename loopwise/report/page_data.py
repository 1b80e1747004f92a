"""What the page says, as plain sentences and figures; the template only lays it out."""

import shlex
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from loopwise.deviation import sentence
from loopwise.factors import name_among
from loopwise.head_to_head import why as why_round
from loopwise.model import TOTAL, Case, Check, Experiment, Round, Run, Verdict
from loopwise.report import format as fmt
from loopwise.report.rows import Cell, Cells, workers_name
from loopwise.summary import Summary
from loopwise.validity import DISTURBANCES

ICONS = {"better": "▲", "worse": "▼", "same": "=", "undecided": "?", "invalid": "✕"}
"""A mark beside each verdict's word, so that neither colour nor language carries it alone."""

METRIC_NAMES = {
    "throughput_rps": "requests a second",
    "service_time_mean_ms": "mean service time",
    "error_ratio": "errors",
    "cpu_ms_per_request": "CPU per request",
    "rss_mb": "memory",
}

_SPELLINGS = {"cpu": "CPU", "gb": "GB", "mb": "MB"}


@dataclass(frozen=True)
class CaseRow:
    """A line of the table of all cases; figures with their intervals, ready to read."""

    name: str
    mode: str
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
    invalid: str | None
    flagged: bool
    """Whether a check put a mark on a run behind these numbers; they can be used."""
    cause: str = ""
    """Why it is not faster, in words; empty where nothing was found."""
    off: str = ""
    """What is said of a case far from its prediction; empty for one that is near it."""


@dataclass(frozen=True)
class CaseGroup:
    """Cases that are compared with each other."""

    heading: str
    context: str
    rows: tuple[CaseRow, ...]


@dataclass(frozen=True)
class VerdictRow:
    """A line of the verdict table."""

    verdict: str
    icon: str
    sentence: str
    metric: str
    ratio: str
    candidate: str
    baseline: str


@dataclass(frozen=True)
class CheckRow:
    """What became of one check over all runs."""

    name: str
    limit: str
    effect: str
    passed: int
    total: int
    worst: str


def case_groups(summary: Summary) -> list[CaseGroup]:
    """All cases in the groups that the charts show, too."""
    cells = Cells(summary)
    marked = flagged(summary.runs)
    causes = first_causes(summary.runs)
    groups = []
    for facet in cells.facets:
        off = far_off(summary, {case.case_id: " ".join(facet.label(case)).strip() for case in facet.cases})
        row = cells.row(facet.cases, "throughput_rps")
        highest_rps = max((cell.value or 0.0 for cell in row if cell.usable), default=0.0)
        rows = tuple(
            replace(
                _case_row(
                    cells,
                    cell,
                    " · ".join(part for part in facet.label(cell.case) if part),
                    highest_rps,
                    marked,
                ),
                cause=causes.get(cell.case.case_id, ""),
                off=off.get(cell.case.case_id, ""),
            )
            for cell in row
        )
        groups.append(CaseGroup(facet.heading, facet.context, rows))
    return groups


def verdict_rows(summary: Summary) -> list[VerdictRow]:
    """Every comparison, in the order in which it was made."""
    cases = summary.experiment.suite.cases
    names = {case.case_id: case.case_id if summary.duel else case_name(case, cases) for case in cases}
    return [
        VerdictRow(
            verdict.verdict,
            ICONS[verdict.verdict],
            verdict.reason,
            _compared(verdict),
            fmt.ratio(verdict.ratio, verdict.ci_low, verdict.ci_high),
            names.get(verdict.candidate_case, verdict.candidate_case),
            names.get(verdict.baseline_case, verdict.baseline_case),
        )
        for verdict in summary.verdicts
    ]


def _compared(verdict: Verdict) -> str:
    """What a verdict is about; with the endpoint where it is one of several."""
    part = "" if verdict.endpoint in {"", TOTAL} else f", {verdict.endpoint}"
    return metric_name(verdict.metric) + part


def trouble(summary: Summary) -> list[str]:
    """A sentence per case and reason for runs that failed, are invalid or marked, and for what could not be read."""
    cases = summary.experiment.suite.cases
    replicates: dict[tuple[str, str, str], list[str]] = {}
    for run in sorted(summary.runs, key=lambda run: run.order):
        status = {"ok": "marked", "disturbed": "disturbed and repeated"}.get(run.status, run.status)
        if run.status != "ok" or _failed(run, "flag"):
            key = (case_name(run.case, cases), status, _why(run))
            replicates.setdefault(key, []).append(str(run.replicate))
    sentences = [
        f"{name}, replicate{'s' if len(numbers) > 1 else ''} {', '.join(numbers)}, {status}: {why}"
        for (name, status, why), numbers in replicates.items()
    ]
    rounds = [
        f"round {each.number}, {'marked' if each.status == 'ok' else each.status}: {why_round(each)}"
        for each in summary.duel
        if each.status != "ok" or not all(check.ok for check in each.checks)
    ]
    return [*sentences, *rounds, *summary.damaged]


def flagged(runs: Sequence[Run]) -> dict[str, tuple[str, ...]]:
    """Names of the checks that marked a usable run, by case_id."""
    names: dict[str, dict[str, None]] = {}
    for run in runs:
        for check in _failed(run, "flag") if run.status == "ok" else ():
            names.setdefault(run.case.case_id, {})[words(check.name)] = None
    return {case_id: tuple(found) for case_id, found in names.items()}


def first_causes(runs: Sequence[Run]) -> dict[str, str]:
    """Evidence of the cause that was named first in most usable runs of a case, by case_id; left out where none was."""
    named: dict[str, list[str]] = {}
    evidence: dict[tuple[str, str], str] = {}
    for run in (run for run in runs if run.status == "ok"):
        name = run.causes[0]["cause"] if run.causes else ""
        named.setdefault(run.case.case_id, []).append(name)
        if name:
            evidence.setdefault((run.case.case_id, name), run.causes[0]["evidence"])
    most = {case_id: max(names, key=names.count) for case_id, names in named.items()}
    return {case_id: evidence[case_id, name] for case_id, name in most.items() if name}


def far_off(summary: Summary, names: Mapping[str, str]) -> dict[str, str]:
    """What is said of each of these cases that is far from its prediction, by case_id."""
    found = {
        each.case_id: sentence(each, names[each.case_id])
        for each in summary.predictions
        if each.case_id in names
    }
    return {case_id: said for case_id, said in found.items() if said}


def check_rows(runs: Sequence[Run | Round]) -> list[CheckRow]:
    """Checks over all runs (or a duel's rounds), by name, each with its worst value."""
    by_name: dict[str, list[Check]] = {}
    for run in runs:
        for check in run.checks:
            by_name.setdefault(check.name, []).append(check)
    rows = []
    for name, checks in by_name.items():
        worst = max(checks, key=_badness)
        effect = "makes a run invalid" if worst.effect == "void" else "marks a run"
        passed = sum(check.ok for check in checks)
        limit = f"{worst.limit:.4g}"
        rows.append(CheckRow(words(name), limit, effect, passed, len(checks), fmt.number(worst.value)))
    return rows


def facts(summary: Summary) -> list[tuple[str, str]]:
    """What was measured, how often and when, as name and value."""
    experiment = summary.experiment
    suite = experiment.suite
    repeated = suite.replicates
    often = f"{repeated.min}" if repeated.min == repeated.max else f"{repeated.min} to {repeated.max}"
    listed = [
        ("suite", suite.name),
        ("label", experiment.label or ""),
        ("cases", f"{len(suite.cases):,}"),
        ("rounds" if summary.duel else "replicates of each case", often),
        (
            "order",
            "the sides swap from round to round"
            if summary.duel
            else f"shuffled within each block, seed {experiment.seed}",
        ),
        ("server and generator", _placement(summary.runs)),
        ("confidence of intervals", fmt.confidence(suite.compare.confidence)),
        ("practical margin", f"±{suite.compare.margin * 100:.4g} %"),
        ("begun", experiment.created_at),
        ("finished", experiment.finished_at or "not finished: the result covers what was measured so far"),
    ]
    return [(name, value) for name, value in listed if value]


def _placement(runs: Sequence[Run]) -> str:
    """Where server and generator had cores of their own, and where they had to share."""
    placed = [run for run in runs if run.server and run.generator]
    apart = {run.case.case_id for run in placed if run.server.get("pinned_to")}
    shared = {run.case.case_id for run in placed} - apart
    if not placed:
        return ""
    if not shared:
        return "on cores of their own in every case"
    return (
        f"on cores of their own in {fmt.count(len(apart), 'case')}, sharing cores in {fmt.count(len(shared), 'case')}, "
        "where there were too few to part them"
    )


def environment(experiment: Experiment) -> list[tuple[str, list[tuple[str, str]]]]:
    """The machine and the versions, by topic; nested entries keep the path to them as their name."""
    topics: dict[str, list[tuple[str, str]]] = {}
    for key, value in {**experiment.environment, "calibration": experiment.calibration}.items():
        if isinstance(value, Mapping):
            topics.setdefault(words(key), []).extend(_leaves(value))
        else:
            topics.setdefault("machine", []).append((words(key), _said(value)))
    return [(topic, entries) for topic, entries in topics.items() if entries]


def repeat_command(experiment: Experiment) -> str:
    """The command line that measures the same again: the one given, if it was recorded."""
    if experiment.command:
        return fmt.clean(experiment.command)
    return shlex.join(
        ["python", "bench.py", "run", fmt.clean(experiment.suite.name), "--seed", str(experiment.seed)]
    )


def case_name(case: Case, rivals: Collection[Case] = ()) -> str:
    """A case in words, with all that tells it from its rivals: `sleep(ms=50) async, 2 workers`."""
    return fmt.clean(f"{name_among(case, rivals)}, {workers_name(case)}")


def metric_name(metric: str) -> str:
    """A metric in words: `p99 service time`."""
    parts = metric.split("_")
    if metric not in METRIC_NAMES and metric.startswith(("service_time_", "response_time_")):
        return f"{parts[2]} {parts[0]} {parts[1]}"
    return METRIC_NAMES.get(metric, words(metric))


def words(key: str) -> str:
    """A key as it is read: `cpu_model` -> `CPU model`."""
    return " ".join(_SPELLINGS.get(word, word) for word in str(key).split("_"))


def status_counts(summary: Summary) -> dict[str, int]:
    """How many cases can be used, and how many runs there are."""
    cells = Cells(summary)
    invalid = sum(cells.why_invalid(case) is not None for case in cells.cases)
    return {
        "cases": len(cells.cases),
        "invalid": invalid,
        "runs": len(summary.runs),
        "rounds": len(summary.duel),
    }


def verdicts_by_candidate(verdicts: Sequence[Verdict], metric: str) -> dict[str, Verdict]:
    """The first verdict on each candidate in this metric."""
    found: dict[str, Verdict] = {}
    for verdict in verdicts:
        if verdict.metric == metric:
            found.setdefault(verdict.candidate_case, verdict)
    return found


def _case_row(
    cells: Cells, throughput: Cell, name: str, highest_rps: float, marked: Mapping[str, Any]
) -> CaseRow:
    case = throughput.case
    usable = throughput.usable and throughput.value is not None
    return CaseRow(
        name=name,
        mode=case.mode if case.mode.isidentifier() else "own",
        throughput=fmt.estimate(throughput.value, throughput.low, throughput.high) if usable else fmt.NONE,
        bar_ratio=(throughput.value or 0.0) / highest_rps if usable and highest_rps else 0.0,
        predicted=fmt.number(throughput.predicted),
        predicted_ratio=fmt.number(throughput.predicted_ratio),
        p50=_figure(cells.cell(case, "service_time_p50_ms")),
        p99=_figure(cells.cell(case, "service_time_p99_ms")),
        errors=_share(cells.cell(case, "error_ratio")),
        cpu=_figure(cells.cell(case, "cpu_ms_per_request")),
        invalid=throughput.invalid,
        flagged=case.case_id in marked,
    )


def _figure(cell: Cell) -> str:
    return fmt.duration(cell.value, cell.low, cell.high) if cell.usable else fmt.NONE


def _share(cell: Cell) -> str:
    return fmt.share(cell.value) if cell.usable else fmt.NONE


def _badness(check: Check) -> tuple[bool, float]:
    """Failed ones first, the furthest beyond the limit leading; then whoever passed most narrowly.

    A limit may be an upper or a lower one; the distance to it serves both.
    """
    beyond = abs(check.value - check.limit)
    return (not check.ok, -beyond if check.ok else beyond)


def _failed(run: Run, effect: str) -> list[Check]:
    return [check for check in run.checks if not check.ok and check.effect == effect]


def _why(run: Run) -> str:
    """Why a run failed, is invalid, is marked or was repeated."""
    sentences = [
        check.detail or f"{words(check.name)} is {fmt.number(check.value)}, limit {fmt.number(check.limit)}."
        for check in _failed(run, "flag" if run.status in {"ok", "disturbed"} else "void")
        if run.status != "disturbed" or check.name in DISTURBANCES
    ]
    return run.error or " ".join(sentences) or "no reason was recorded."


def _leaves(tree: Mapping[Any, Any], path: str = "") -> Iterator[tuple[str, str]]:
    for key, value in tree.items():
        name = f"{path} {words(key)}".strip()
        if isinstance(value, Mapping):
            yield from _leaves(value, name)
        else:
            yield name, _said(value)


def _said(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(_said(entry) for entry in value) or "none"
    return (
        f"{value:,}" if isinstance(value, int) else f"{value:g}" if isinstance(value, float) else str(value)
    )
