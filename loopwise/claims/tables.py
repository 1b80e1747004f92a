"""Claims in a terminal: the list, one of them in full, the plan, the findings, and two runs side by side."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from rich import box
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from loopwise.claims.claim import Claim
from loopwise.claims.examine import Planned
from loopwise.claims.finding import Change, Finding, Word
from loopwise.claims.table import CLAIMS
from loopwise.report.terminal.screen import plain
from loopwise.visible import clean

STYLES: dict[Word, str] = {
    "confirmed": "green",
    "refuted": "red",
    "depends": "yellow",
    "undecided": "dim",
    "invalid": "bold red",
}
NEVER = "not run here"


def _table(*columns: str, no_wrap: Sequence[str] = ()) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(plain(column), overflow="fold", no_wrap=column in no_wrap)
    return table


def _verdict(finding: Finding | None) -> Text:
    return Text(finding.label, STYLES[finding.verdict]) if finding else Text(NEVER, "dim")


def list_table(last: Mapping[str, tuple[Finding, Path]]) -> Table:
    """Each claim with its last verdict here, and its date."""
    table = _table("claim", "what is said", "verdict here", "measured", no_wrap=("claim", "measured"))
    for claim_id, claim in CLAIMS.items():
        finding, _ = last.get(claim_id, (None, None))
        date = finding.measured_at[:10] if finding else ""
        table.add_row(claim_id, Text(claim.statement), _verdict(finding), date)
    return table


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


def findings_table(findings: Sequence[Finding]) -> Table:
    """A line for each finding."""
    table = _table("claim", "what is said", "verdict", "measured")
    for each in findings:
        statement = CLAIMS[each.claim_id].statement
        table.add_row(each.claim_id, Text(statement), _verdict(each), plain(each.sentence))
    return table


def plan_table(planned: Sequence[Planned]) -> RenderableType:
    """What a run will measure, and how long it takes by arithmetic."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("claim", no_wrap=True)
    for column in ("cases", "runs", "about"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("and then", overflow="fold")
    for each in planned:
        about = f"{each.least_s:.0f} s" if each.cases else ""
        table.add_row(each.claim_id, str(each.cases or ""), str(each.runs or ""), about, plain(each.note))
    least, most = (sum(values) / 60 for values in ([p.least_s for p in planned], [p.most_s for p in planned]))
    return Group(table, Text(f"{len(planned)} claims, about {least:.0f} to {most:.0f} minutes"))


def changes_table(base: Path, other: Path, changes: Sequence[Change]) -> Table:
    """The verdicts of two runs side by side."""
    table = _table("claim", str(base), str(other), "")
    for each in changes:
        style = "bold red" if each.is_flipped else "" if each.is_same else "yellow"
        table.add_row(each.claim_id, each.base or NEVER, each.other or NEVER, Text(each.word, style=style))
    return table
