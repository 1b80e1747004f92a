"""The answer as Markdown, for a pull request or a wiki: sentences, then a table per group of cases."""

from collections.abc import Callable, Iterator
from pathlib import Path

from loopwise.analysis.causes import first_causes
from loopwise.analysis.summary import Summary
from loopwise.machine import machine_words
from loopwise.model import Verdict
from loopwise.report import format as fmt
from loopwise.report.cells import Cell, Cells, Facet
from loopwise.report.export.pull_request import escape
from loopwise.report.words import ICONS, far_off, flagged, verdicts_by_candidate
from loopwise.results.folder import ResultFolder, write_atomically

METRICS: dict[str, Callable[[Cell], str]] = {
    "throughput_rps": lambda cell: fmt.estimate(cell.value, cell.low, cell.high),
    "service_time_p50_ms": lambda cell: fmt.duration(cell.value, cell.low, cell.high),
    "service_time_p99_ms": lambda cell: fmt.duration(cell.value, cell.low, cell.high),
    "cpu_ms_per_request": lambda cell: fmt.duration(cell.value),
}
HEADINGS = ("case", "requests/s", "p50", "p99", "CPU per request", "against its baseline", "remarks")
MAX_REMARK = 300
"""Characters of a remark: a cell is no place for more."""


def write(summary: Summary, _result: ResultFolder, folder: Path) -> list[Path]:
    """summary.md."""
    path = folder / "summary.md"
    write_atomically(path, "\n".join(_lines(summary)) + "\n")
    return [path]


def _lines(summary: Summary) -> Iterator[str]:
    experiment, cells = summary.experiment, Cells(summary)
    yield f"## {escape(experiment.suite.name)}"
    yield ""
    for answer in summary.answers:
        yield f"- {escape(answer)}"
    for facet in cells.facets:
        yield ""
        yield f"### {escape(facet.name)}"
        yield ""
        yield f"| {' | '.join(HEADINGS)} |"
        yield "|---|--:|--:|--:|--:|---|---|"
        yield from _rows(cells, facet)
    if summary.damaged:
        yield ""
        yield from (f"- damaged: {escape(_short(each))}" for each in summary.damaged)
    place = machine_words(experiment.environment) or "an unknown machine"
    yield ""
    yield escape(cells.interval_note)
    yield ""
    yield escape(f"Measured {experiment.created_at} on {place}; result {experiment.name}.")


def _rows(cells: Cells, facet: Facet) -> Iterator[str]:
    summary = cells.summary
    names = {case.case_id: facet.told(case, " · ") for case in facet.cases}
    verdicts = verdicts_by_candidate(summary.verdicts, "throughput_rps")
    causes, off, marks = first_causes(summary.runs), far_off(summary, names), flagged(summary.runs)
    for case in facet.cases:
        found = {metric: cells.cell(case, metric) for metric in METRICS}
        reason = found["throughput_rps"].invalid
        figures = [fmt.NONE] * len(METRICS) if reason else [METRICS[each](found[each]) for each in METRICS]
        marked = f"marked: {', '.join(marks[case.case_id])}" if case.case_id in marks else ""
        remarks = [causes.get(case.case_id), off.get(case.case_id), marked]
        shown = [
            names[case.case_id],
            *figures,
            "" if reason else _against(verdicts.get(case.case_id)),
            _short(f"invalid: {reason}" if reason else "; ".join(filter(None, remarks))),
        ]
        yield f"| {' | '.join(map(escape, shown))} |"


def _against(verdict: Verdict | None) -> str:
    if verdict is None:
        return ""
    ratio = "" if verdict.ratio is None else fmt.ratio(verdict.ratio, verdict.ci_low, verdict.ci_high)
    return f"{ICONS[verdict.verdict]} {verdict.verdict} {ratio}".strip()


def _short(text: str) -> str:
    text = fmt.clean(text)
    return text if len(text) <= MAX_REMARK else f"{text[: MAX_REMARK - 1]}…"
