"""Claims in a terminal: the list, one of them in full, the plan, and two occasions beside each other."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from rich import box
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text as RichText

from loopwise.claims.claim import Finding, Text
from loopwise.claims.compare import Change
from loopwise.claims.opinion import crossover_words
from loopwise.claims.planned import Planned
from loopwise.claims.questions import times
from loopwise.report.format import clean

STYLES = {
    "confirmed": "green",
    "refuted": "red",
    "depends": "yellow",
    "undecided": "dim",
    "invalid": "bold red",
}
NEVER = "not run here"


def _word(finding: Finding | None) -> RichText:
    if finding is None:
        return RichText(NEVER, style="dim")
    return RichText(finding.said, style=STYLES[finding.verdict])


def list_table(texts: Sequence[Text], last: Mapping[str, tuple[Finding, Path]]) -> Table:
    """Each claim with what was found here last, and when."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("claim", "what is said", "verdict here", "measured"):
        table.add_column(name, overflow="fold", no_wrap=name in {"claim", "measured"})
    for text in texts:
        finding = last[text.claim_id][0] if text.claim_id in last else None
        date = finding.measured_at[:10] if finding else ""
        table.add_row(text.claim_id, RichText(text.statement), _word(finding), date)
    return table


def explanation(text: Text, finding: Finding | None, where: Path | None) -> RenderableType:
    """A claim in full, and what was found here."""
    parts: list[tuple[str, str]] = [
        ("Why people believe it", text.belief),
        ("The experiment", text.experiment),
        ("What arithmetic says", text.prediction),
    ]
    if finding is not None:
        parts.append(("Found here", f"{finding.said}: {finding.sentence}"))
        if finding.cause:
            parts.append(("Cause, by telemetry", finding.cause))
        if finding.crossover is not None:
            parts.append(("From where on", crossover_words(finding.crossover)))
    if text.truth:
        parts.append(("What is true", text.truth))
    if finding is not None and finding.lesson is not None:
        parts.append(("The lesson, measured", lesson_sentence(finding)))
    parts.append(("In your own code", text.advice))
    lines: list[RenderableType] = []
    for heading, body in parts:
        lines += [RichText(heading, style="bold"), RichText(clean(body)), RichText("")]
    last = (
        f"measured {finding.measured_at[:10]} on {finding.machine}, in {where}" if finding and where else ""
    )
    remedy = last or f"{NEVER}; measure it with: bench.py claims run {text.claim_id}"
    return Group(Panel(RichText(text.statement, style="bold"), title=text.claim_id), *lines, RichText(remedy))


def lesson_sentence(finding: Finding) -> str:
    """What the right route brings: `The right route serves 12.3 times [11, 13.6] the requests of the wrong one.`."""
    if finding.lesson is None:
        return ""
    return f"The right route {finding.lesson.words.format(times(finding.lesson.ratio))}."


def finding_line(finding: Finding) -> str:
    """`C01 refuted: one worker's …`."""
    return f"{finding.claim_id} {finding.said}: {clean(finding.sentence)}"


def findings_table(texts: Mapping[str, Text], findings: Sequence[Finding]) -> Table:
    """What was found, in one line each."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("claim", "what is said", "verdict", "found"):
        table.add_column(name, overflow="fold")
    for finding in findings:
        statement = texts[finding.claim_id].statement
        table.add_row(
            finding.claim_id, RichText(statement), _word(finding), RichText(clean(finding.sentence))
        )
    return table


def plan_table(planned: Sequence[Planned]) -> RenderableType:
    """What a run will measure, and how long it takes by arithmetic."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("claim", no_wrap=True)
    table.add_column("cases", justify="right")
    table.add_column("runs", justify="right")
    table.add_column("about", justify="right", no_wrap=True)
    table.add_column("and then", overflow="fold")
    for each in planned:
        about = f"{each.least_s:.0f} s" if each.cases else ""
        table.add_row(each.claim_id, str(each.cases or ""), str(each.runs or ""), about, each.note)
    least, most = (sum(values) / 60 for values in ([p.least_s for p in planned], [p.most_s for p in planned]))
    return Group(table, RichText(f"{len(planned)} claims, about {least:.0f} to {most:.0f} minutes"))


def changes_table(base: Path, other: Path, changes: Sequence[Change]) -> Table:
    """The verdicts of two occasions side by side."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("claim", str(base), str(other), ""):
        table.add_column(RichText(name), overflow="fold")
    for each in changes:
        style = "bold red" if each.is_flipped else "" if each.is_same else "yellow"
        table.add_row(
            each.claim_id, each.base or NEVER, each.other or NEVER, RichText(each.word, style=style)
        )
    return table
