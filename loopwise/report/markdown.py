"""Verdicts and gates as a comment for a pull request. Pure: Markdown out."""

import re
from collections.abc import Iterator, Sequence

from loopwise.comparison import Outcome
from loopwise.model import Verdict
from loopwise.report import format as fmt
from loopwise.report.page_data import ICONS, metric_name

MAX_ROWS = 100
"""A comment holds 65,536 characters, and nobody reads the hundredth row."""
URGENCY = ("worse", "invalid", "undecided", "better", "same")


def markdown(outcomes: Sequence[Outcome]) -> str:
    """A section per comparison: headline, gates, table, what differs, how sure."""
    return "\n".join(line for outcome in outcomes for line in _section(outcome))


def _section(outcome: Outcome) -> Iterator[str]:
    yield f"### {headline(outcome)}"
    yield ""
    for complaint in outcome.complaints:
        yield f"- {escape(complaint)}"
    if outcome.complaints:
        yield ""
    ordered = sorted(outcome.verdicts, key=lambda verdict: URGENCY.index(verdict.verdict))
    yield f"| case | {escape(outcome.other)} ÷ {escape(outcome.base)} of | ratio | verdict |"
    yield "|---|---|---|---|"
    yield from (_row(verdict) for verdict in ordered[:MAX_ROWS])
    yield ""
    if len(ordered) > MAX_ROWS:
        yield f"{len(ordered) - MAX_ROWS:,} more comparisons are left out here, the least urgent ones."
        yield ""
    if outcome.different:
        yield "What differs besides:"
        yield ""
        for key, before, after in outcome.different:
            yield f"- {escape(key)}: {escape(str(before))} before, {escape(str(after))} now"
        yield ""
    yield (
        f"Better and worse: the whole interval lies beyond ±{outcome.margin * 100:.4g} %; same: inside. Intervals are "
        f"widened so that all verdicts on one metric together hold at {fmt.confidence(outcome.confidence)} (Holm)."
    )
    yield ""


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
    ratio = fmt.ratio(verdict.ratio, verdict.ci_low, verdict.ci_high)
    return (
        f"| {escape(name)} | {metric_name(verdict.metric)} | {ratio} "
        f"| {ICONS[verdict.verdict]} {verdict.verdict} |"
    )


def escape(text: str) -> str:
    """Text that stays text on one line of Markdown: no markup, no HTML, no cell's end, nobody mentioned."""
    text = fmt.clean(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|#~])", r"\\\1", text).replace("@", "@<!-- -->")
