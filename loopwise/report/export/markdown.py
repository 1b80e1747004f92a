"""Markdown: the summary of a result for a wiki, and the verdicts of comparisons as a comment for a pull request."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from loopwise.analysis.causes import first_causes
from loopwise.analysis.comparison import Difference
from loopwise.analysis.gates import Outcome, subject
from loopwise.analysis.summary import Summary
from loopwise.analysis.wording import count
from loopwise.machine import machine_words
from loopwise.model import Case, Verdict
from loopwise.report import comparison
from loopwise.report import format as fmt
from loopwise.report.cells import Cell, Cells
from loopwise.report.errors import HEADINGS as ERROR_HEADINGS
from loopwise.report.errors import NUMBERS, SHOWN, error_lines
from loopwise.report.words import (
    ICONS,
    URGENCY,
    busy_words,
    case_names,
    deadlocked,
    far_off,
    flagged,
    metric_name,
    ratio_text,
    verdicts_by_candidate,
)
from loopwise.visible import clean

METRICS: dict[str, Callable[[Cell], str]] = {
    "throughput_rps": lambda cell: fmt.estimate(cell.value, cell.low, cell.high),
    "service_time_p50_ms": lambda cell: fmt.duration(cell.value, cell.low, cell.high),
    "service_time_p99_ms": lambda cell: fmt.duration(cell.value, cell.low, cell.high),
    "cpu_ms_per_request": lambda cell: fmt.duration(cell.value),
}
HEADINGS = ("case", "requests/s", "p50", "p99", "CPU per request", "against its baseline", "remarks")
SHORT_ROWS = 10
"""Rows of a comment outside its folded part."""
MAX_ROWS = 100
"""Rows of a comment's folded part: nobody reads the hundredth."""
MAX_CHARACTERS = 60_000
"""GitHub's comments hold 65,536; the rest is for the text around the tables."""
MAX_NAME, MAX_REMARK, MAX_SENTENCE = 200, 300, 1000
"""Characters of a name or value, a remark, and a sentence of ours, before escaping."""
LINKED = re.compile(
    r"@|#(?=\d)|\b(?:https?|ftp|mailto|xmpp):|\bwww(?=\.)|\bGH(?=-\d)|:(?=[a-z+-][a-z0-9_+-]*:)", re.IGNORECASE
)
"""What begins a link or a picture on GitHub."""
CHANGED = ("worse", "invalid", "better")


def escape(text: str, limit: int = MAX_NAME) -> str:
    """Text on one line that Markdown shows as it is, wherever it stands: no markup, no HTML, no end of a cell, no link.

    GitHub makes links of addresses, `@name`, `#1` and `GH-1`, and pictures of `:name:`, escaped or not: an empty
    comment inside keeps it from that. Nor does it command a CI service that shows the document in its log.
    """
    return _unlinked(re.sub(r"([\\`*_\[\]|#~$])|^([-+=:])|^(\d+)(?=[.)](?:\s|$))", _escaped, _inert(text, limit)))


def escape_html(text: str, limit: int = MAX_NAME) -> str:
    """The same between tags of HTML, where Markdown knows no escapes."""
    return _unlinked(_inert(text, limit)).replace("[", "&lbrack;")


def _inert(text: str, limit: int) -> str:
    """Text on one line without tags and entities, cut to the limit."""
    text = clean(text)
    text = text if len(text) <= limit else f"{text[:limit]}…"
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _escaped(found: re.Match[str]) -> str:
    sign, begin, number = found.groups()
    return f"{number}\\" if number else f"\\{sign or begin}"


def _unlinked(text: str) -> str:
    return LINKED.sub(lambda found: f"{found[0]}<!-- -->", text)


def summary_markdown(summary: Summary) -> str:
    """The answers, then a table per group of cases that are compared."""
    return "\n".join(_summary_lines(summary)) + "\n"


def pull_request_comment(outcomes: Sequence[Outcome]) -> str:
    """A section per comparison: headline, gates and changes; folded, all verdicts and what else differs."""
    room = MAX_CHARACTERS // max(len(outcomes), 1)
    return "\n".join("\n".join(_section(outcome, room)) for outcome in outcomes)


def _summary_lines(summary: Summary) -> Iterator[str]:
    experiment, cells = summary.experiment, Cells(summary)
    verdicts = verdicts_by_candidate(summary.verdicts, "throughput_rps")
    causes, marks, dead = first_causes(summary.runs), flagged(summary.runs), deadlocked(summary.runs)
    yield f"## {escape(experiment.suite.name)}"
    yield ""
    if busy := busy_words(summary):
        yield from (f"**{escape(busy)}**", "")
    for answer in summary.answers:
        yield f"- {escape(answer, MAX_SENTENCE)}"
    for facet in cells.facets:
        yield from ("", f"### {escape(facet.name)}", "")
        yield f"| {' | '.join(HEADINGS)} |"
        yield "|---|--:|--:|--:|--:|---|---|"
        names = {case.case_id: facet.full_label(case, " · ") for case in facet.cases}
        off = far_off(summary, names)
        for case in facet.cases:
            case_id = case.case_id
            marked = f"marked: {', '.join(marks[case_id])}" if case_id in marks else ""
            cause = causes.get(case_id)
            told = (cause.evidence, cause.remedy) if cause else ()
            invalid = "" if case_id in dead else cells.why_invalid(case)
            remarks = f"invalid: {invalid}" if invalid else "; ".join(filter(None, [*told, off.get(case_id), marked]))
            yield _case_row(cells, case, names, verdicts.get(case_id), remarks)
    yield from _error_lines(summary, cells)
    if summary.damaged:
        yield ""
        yield from (f"- damaged: {escape(each, MAX_REMARK)}" for each in summary.damaged)
    place = machine_words(experiment.environment) or "an unknown machine"
    yield from ("", escape(cells.interval_note, MAX_SENTENCE), "")
    yield escape(f"Measured {experiment.created_at} on {place}; result {experiment.name}.", MAX_SENTENCE)


def _error_lines(summary: Summary, cells: Cells) -> Iterator[str]:
    """A table of the requests that failed; nothing where none did."""
    names = case_names(summary)
    rows = [
        (names[case.case_id], *line[: len(ERROR_HEADINGS)])
        for facet in cells.facets
        for case in facet.cases
        for line in error_lines(summary, case, SHOWN)
    ]
    if rows:
        yield from ("", "### Failed requests", "", f"| {' | '.join(('case', *ERROR_HEADINGS))} |")
        yield f"|---|{'|'.join('--:' if name in NUMBERS else '---' for name in ERROR_HEADINGS)}|"
        yield from (f"| {' | '.join(escape(cell, MAX_REMARK) for cell in row)} |" for row in rows)


def _case_row(cells: Cells, case: Case, names: Mapping[str, str], verdict: Verdict | None, remarks: str) -> str:
    figures = {metric: cells.cell(case, metric) for metric in METRICS}
    invalid = figures["throughput_rps"].invalid
    against = ""
    if verdict and not invalid:
        ratio = fmt.ratio(verdict.ratio, verdict.ci_low, verdict.ci_high) if verdict.ratio is not None else ""
        against = f"{ICONS[verdict.verdict]} {verdict.verdict} {ratio}".strip()
    shown = [
        names[case.case_id],
        *(fmt.NONE if invalid else METRICS[metric](cell) for metric, cell in figures.items()),
        against,
    ]
    return f"| {' | '.join([*map(escape, shown), escape(remarks, MAX_REMARK)])} |"


def _section(outcome: Outcome, room: int) -> Iterator[str]:
    ordered = sorted(outcome.verdicts, key=lambda verdict: URGENCY.index(verdict.verdict))
    changed = [verdict for verdict in ordered if verdict.verdict in CHANGED][:SHORT_ROWS]
    yield f"### {_status(outcome)}"
    yield ""
    yield escape(comparison.headline(outcome, outcome.names), MAX_SENTENCE)
    yield ""
    for complaint in outcome.complaints[:MAX_ROWS]:
        yield f"- {escape(complaint, 500)}"
    if outcome.complaints:
        yield ""
    if changed:
        yield from _fitting(outcome, changed, room // 3)
    if len(ordered) > len(changed):
        rows = _fitting(outcome, ordered[:MAX_ROWS], room // 3, of=len(ordered))
        yield from _folded(f"All {count(len(ordered), 'comparison')}", rows)
    if outcome.different:
        yield from _folded("Other differences", _different(outcome))
    for name, case_ids in zip((outcome.base, outcome.other), outcome.alone, strict=True):
        if case_ids:
            rest = len(case_ids) - SHORT_ROWS
            lines = [f"- {escape(case_id)}" for case_id in case_ids[:SHORT_ROWS]]
            lines += [f"- and {rest:,} more", ""] if rest > 0 else [""]
            yield from _folded(f"{count(len(case_ids), 'case')} in {escape_html(name)} alone", lines)
    yield (
        f"Better and worse: the whole interval lies beyond ±{outcome.margin * 100:.4g} %; same: inside. Intervals are "
        f"widened so that all verdicts on one metric together hold at {fmt.confidence(outcome.confidence)} (Holm)."
    )
    yield ""


def _status(outcome: Outcome) -> str:
    """Failed gates and the number of each verdict, on one line."""
    words = [verdict.verdict for verdict in outcome.verdicts]
    counted = ", ".join(f"{words.count(word)} {word}" for word in URGENCY if word in words) or "nothing compared"
    text = f"{escape(outcome.other)} against {escape(outcome.base)}: {counted}"
    if outcome.failed:
        return f"❌ {count(len(outcome.failed), 'gate')} failed — {text}"
    if outcome.unjudged:
        return f"⚠️ {count(len(outcome.unjudged), 'gate')} not judged — {text}"
    return f"✅ {text}" if outcome.gated else text


def _fitting(outcome: Outcome, verdicts: Sequence[Verdict], room: int, *, of: int | None = None) -> Iterator[str]:
    """A table of as many verdicts as there is room for, and the number of those left out."""
    yield f"| case | {escape(outcome.other)} ÷ {escape(outcome.base)} of | ratio | verdict |"
    yield "|---|---|---|---|"
    shown = 0
    for verdict in verdicts:
        name = subject(verdict, outcome.names)
        word = f"{ICONS[verdict.verdict]} {verdict.verdict}"
        row = f"| {escape(name)} | {metric_name(verdict.metric)} | {ratio_text(verdict)} | {word} |"
        room -= len(row)
        if room < 0:
            break
        shown += 1
        yield row
    yield ""
    left = (len(verdicts) if of is None else of) - shown
    if left:
        yield f"{left:,} more comparisons are left out here, the least urgent ones."
        yield ""


def _folded(summary: str, lines: Iterator[str] | Sequence[str]) -> Iterator[str]:
    """Lines that GitHub shows on a click."""
    yield f"<details><summary>{summary}</summary>"
    yield ""
    yield from lines
    yield "</details>"
    yield ""


def _different(outcome: Outcome) -> Iterator[str]:
    for key, before, after in outcome.different[:MAX_ROWS]:
        weight = "" if not Difference(key, before, after).forbids else " (allowed)"
        yield f"- {escape(key)}: {escape(str(before))} before, {escape(str(after))} now{weight}"
    yield ""
