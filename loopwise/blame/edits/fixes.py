"""The edits below each line that a blame pass reports: for a terminal, JSON and SARIF; nothing is measured."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loopwise.blame.edits.edit import Offer
from loopwise.blame.edits.offers import offer_for
from loopwise.blame.edits.table import CANDIDATES
from loopwise.blame.findings import BlamedLine, Findings, ManyShort
from loopwise.model import Case
from loopwise.paths import target_app_dir
from loopwise.servers.environment import environment
from loopwise.servers.installed import installed_version


@dataclass(frozen=True)
class Fixes:
    """What can be made of each line; in the order of the findings."""

    lines: list[Offer]
    many_short: list[Offer]

    def as_json(self, findings: Findings) -> dict[str, Any]:
        """The findings as `blame --json` prints them, with `edits` and `no_edits` of each line."""
        document = findings.model_dump()
        for key, offers in (("lines", self.lines), ("many_short", self.many_short)):
            for row, offer in zip(document[key], offers, strict=True):
                row["edits"] = [edit.as_json() for edit in offer.edits]
                row["no_edits"] = [each.as_json() for each in offer.refused]
        return document


def fixes(findings: Findings, cases: Sequence[Case]) -> Fixes:
    """The edits of each line.

    Args:
        findings: of a pass.
        cases: that it served.
    """
    apps = [(Path(case.app.app_dir) if case.app else target_app_dir(), installed_in(case)) for case in cases]

    def offer(line: BlamedLine | ManyShort) -> Offer:
        path = Path(line.site.path if line.site else line.path)
        own = [each for each in apps if path.is_relative_to(each[0].resolve())]
        return offer_for(line, *max(own or apps, key=lambda each: len(each[0].parts)))

    return Fixes([offer(each) for each in findings.lines], [offer(each) for each in findings.many_short])


def installed_in(case: Case) -> frozenset[str]:
    """The distributions, of those that candidates need, that the app's interpreter has."""
    python = case.app.python if case.app else None
    if python is None:
        return frozenset()  # target_app is ours to edit
    variables = environment(case, Path(), {})
    needed = {each.needs for each in CANDIDATES.values() if each.needs}
    return frozenset(each for each in needed if installed_version(python, each, variables))


def shown(offer: Offer) -> Iterator[str]:
    """Lines for a terminal: what the code becomes, the lines that change, and what can't be made."""
    for edit in offer.edits:
        yield f"  {edit.kind}: {edit.words}"
        for line in edit.diff.splitlines()[2:]:
            if line.startswith(("-", "+")):
                yield f"    {line}".rstrip()
    for each in offer.refused:
        yield f"  no {each.kind}: {each.reason}"
