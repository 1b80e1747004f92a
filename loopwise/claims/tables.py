"""Claims in a terminal: the list, one of them in full, the plan, the findings, and two runs side by side."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.text import Text

from loopwise.claims.claim import Claim
from loopwise.claims.examine import Planned
from loopwise.claims.finding import Change, Finding, Word
from loopwise.claims.table import CLAIMS
from loopwise.report.terminal.screen import plain
from loopwise.report.terminal.tables import WordTable
from loopwise.visible import clean

STYLES: dict[Word, str] = {
    "confirmed": "green",
    "refuted": "red",
    "depends": "yellow",
    "undecided": "dim",
    "invalid": "bold red",
}
NEVER = "not run here"
Row = tuple[Text | str, ...]


def _verdict(finding: Finding | None) -> Text:
    return Text(finding.label, STYLES[finding.verdict]) if finding else Text(NEVER, "dim")


def list_table(last: Mapping[str, tuple[Finding, Path]]) -> WordTable:
    """Each claim with its last verdict here, and its date."""
    rows: list[Row] = []
    for claim_id, claim in CLAIMS.items():
        finding, _ = last.get(claim_id, (None, None))
        date = finding.measured_at[:10] if finding else ""
        rows.append((claim_id, claim.statement, _verdict(finding), date))
    return WordTable(("claim", "what is said", "verdict here", "measured"), rows)


def explanation(claim: Claim, finding: Finding | None, where: Path | None) -> RenderableType:
    """A claim in full, with its last finding here."""
    parts = [
        ("Why people believe it", claim.belief),
        ("The experiment", claim.experiment),
        ("What arithmetic says", claim.prediction),
    ]
    footer = f"{NEVER}; measure it with: bench.py claims run {claim.claim_id}"
    lesson = ""
    if finding is not None:
        parts += [
            ("Measured here", f"{finding.label}: {finding.sentence}"),
            ("Cause, by telemetry", finding.cause),
            ("Where it begins", str(finding.crossover or "")),
        ]
        lesson = str(finding.lesson or "")
        if where is not None:
            footer = f"measured {finding.measured_at[:10]} on {finding.machine}, in {where}"
    parts += [
        ("What is true", claim.truth),
        ("The lesson, measured", lesson),
        ("In your own code", claim.advice),
    ]
    lines: list[RenderableType] = []
    for heading, body in parts:
        if body:
            lines += [Text(heading, style="bold"), plain(body), Text("")]
    title = Panel(Text(claim.statement, style="bold"), title=claim.claim_id)
    return Group(title, *lines, plain(footer))


def finding_line(finding: Finding) -> str:
    """`C01 refuted: one worker's …`."""
    return f"{finding.claim_id} {finding.label}: {clean(finding.sentence)}"


def findings_table(findings: Sequence[Finding]) -> WordTable:
    """A line for each finding."""
    rows = [(each.claim_id, CLAIMS[each.claim_id].statement, _verdict(each), plain(each.sentence)) for each in findings]
    return WordTable(("claim", "what is said", "verdict", "measured"), rows)


def plan_table(planned: Sequence[Planned]) -> RenderableType:
    """What a run will measure, and how long it takes by arithmetic."""
    figures = ("cases", "runs", "about")
    rows: list[Row] = []
    for each in planned:
        about = f"{each.least_s:.0f} s" if each.cases else ""
        rows.append((each.claim_id, str(each.cases or ""), str(each.runs or ""), about, plain(each.note)))
    table = WordTable(("claim", *figures, "and then"), rows, figures)
    least, most = (sum(values) / 60 for values in ([p.least_s for p in planned], [p.most_s for p in planned]))
    return Group(table, Text(f"{len(planned)} claims, about {least:.0f} to {most:.0f} minutes"))


def changes_table(base: Path, other: Path, changes: Sequence[Change]) -> WordTable:
    """The verdicts of two runs side by side."""
    rows: list[Row] = []
    for each in changes:
        style = "bold red" if each.is_flipped else "" if each.is_same else "yellow"
        rows.append((each.claim_id, each.base or NEVER, each.other or NEVER, Text(each.word, style=style)))
    return WordTable(("claim", clean(str(base)), clean(str(other)), ""), rows)
