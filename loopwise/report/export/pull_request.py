"""Verdicts and gates as a comment for a pull request. Pure: Markdown out."""

import re
from collections.abc import Iterator, Sequence

from loopwise.analysis.difference import Difference
from loopwise.analysis.gates import Outcome
from loopwise.model import Verdict
from loopwise.report import compare_words
from loopwise.report import format as fmt
from loopwise.report.charts.forest_rows import ratio_text
from loopwise.report.compare_words import URGENCY
from loopwise.report.words import ICONS, metric_name

SHORT_ROWS = 10
"""What is seen at once; the rest is folded."""
MAX_ROWS = 100
"""Nobody reads the hundredth row."""
MAX_CHARACTERS = 60_000
"""GitHub's comments hold 65,536; the rest is for what stands around the tables."""
MAX_TEXT = 200
"""Characters of a name or value, before escaping."""
CHANGED = ("worse", "invalid", "better")


def markdown(outcomes: Sequence[Outcome]) -> str:
    """A section per comparison: headline, gates, what changed; folded, all verdicts and what differs; how sure."""
    room = MAX_CHARACTERS // max(len(outcomes), 1)
    return "\n".join("\n".join(_section(outcome, room)) for outcome in outcomes)


def _section(outcome: Outcome, room: int) -> Iterator[str]:
    ordered = sorted(outcome.verdicts, key=lambda verdict: URGENCY.index(verdict.verdict))
    changed = [verdict for verdict in ordered if verdict.verdict in CHANGED][:SHORT_ROWS]
    yield f"### {headline(outcome)}"
    yield ""
    yield escape(compare_words.headline(outcome), limit=1000)
    yield ""
    for complaint in outcome.complaints[:MAX_ROWS]:
        yield f"- {escape(complaint, limit=500)}"
    if outcome.complaints:
        yield ""
    if changed:
        yield from _fitting(outcome, changed, room // 3)
    if len(ordered) > len(changed):
        yield from _folded(
            f"All {fmt.count(len(ordered), 'comparison')}",
            list(_fitting(outcome, ordered[:MAX_ROWS], room // 3, of=len(ordered))),
        )
    if outcome.different:
        yield from _folded("What differs besides:", list(_different(outcome)))
    yield from _alone(outcome)
    yield (
        f"Better and worse: the whole interval lies beyond ±{outcome.margin * 100:.4g} %; same: inside. Intervals are "
        f"widened so that all verdicts on one metric together hold at {fmt.confidence(outcome.confidence)} (Holm)."
    )
    yield ""


def _fitting(
    outcome: Outcome, verdicts: Sequence[Verdict], room: int, *, of: int | None = None
) -> Iterator[str]:
    """A table of as many verdicts as there is room for, and how many are left out."""
    yield f"| case | {escape(outcome.other)} ÷ {escape(outcome.base)} of | ratio | verdict |"
    yield "|---|---|---|---|"
    shown = 0
    for verdict in verdicts:
        row = _row(verdict)
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


def _folded(summary: str, lines: Sequence[str]) -> Iterator[str]:
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


def _alone(outcome: Outcome) -> Iterator[str]:
    for name, case_ids in zip((outcome.base, outcome.other), outcome.alone, strict=True):
        if case_ids:
            shown = [f"- {escape(case_id)}" for case_id in case_ids[:SHORT_ROWS]]
            rest = len(case_ids) - len(shown)
            lines = [*shown, *([f"- and {rest:,} more"] if rest else []), ""]
            yield from _folded(f"{fmt.count(len(case_ids), 'case')} in {escape(name)} alone", lines)


def headline(outcome: Outcome) -> str:
    """The outcome in one line: what failed, or what the verdicts are."""
    words = [verdict.verdict for verdict in outcome.verdicts]
    counted = (
        ", ".join(f"{words.count(word)} {word}" for word in URGENCY if word in words) or "nothing compared"
    )
    what = f"{escape(outcome.other)} against {escape(outcome.base)}: {counted}"
    if outcome.failed:
        return f"❌ {fmt.count(len(outcome.failed), 'gate')} failed — {what}"
    if outcome.unjudged:
        return f"⚠️ {fmt.count(len(outcome.unjudged), 'gate')} not judged — {what}"
    return f"✅ {what}" if outcome.gated else what


def _row(verdict: Verdict) -> str:
    name = " ".join(filter(None, [verdict.candidate_case, verdict.endpoint]))
    return (
        f"| {escape(name)} | {metric_name(verdict.metric)} | {ratio_text(verdict)} "
        f"| {ICONS[verdict.verdict]} {verdict.verdict} |"
    )


def escape(text: str, limit: int = MAX_TEXT) -> str:
    """Text that stays text on one line of Markdown: no markup, no HTML, no cell's end, nobody mentioned."""
    text = fmt.clean(text)
    text = text if len(text) <= limit else f"{text[:limit]}…"
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|#~])", r"\\\1", text).replace("@", "@<!-- -->")
