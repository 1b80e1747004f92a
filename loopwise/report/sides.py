"""The results of a comparison, and the cases that they share. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from string import ascii_uppercase

from loopwise.analysis.gates import Outcome
from loopwise.analysis.summary import Summary
from loopwise.model import Case
from loopwise.report.cells import Cells, Facet
from loopwise.report.words import case_name


@dataclass(frozen=True)
class Side:
    """One of the results that are compared."""

    letter: str
    """`A` is the base; after `Z` come numbers."""
    name: str
    summary: Summary
    outcome: Outcome | None = None
    """Its verdicts against the base; None for the base itself."""


def sides_of(base: Summary, name: str, others: Sequence[tuple[Summary, Outcome]]) -> tuple[Side, ...]:
    """The base and the others, each with its letter."""
    found = [Side(_letter(0), name, base)]
    for number, (summary, outcome) in enumerate(others, start=1):
        found.append(Side(_letter(number), outcome.other, summary, outcome))
    return tuple(found)


def _letter(number: int) -> str:
    return ascii_uppercase[number] if number < len(ascii_uppercase) else str(number + 1)


def shared_facets(base: Summary, *others: Summary) -> list[Facet]:
    """The base's cases that at least one other has, too, in groups that are looked at together."""
    known = {case_id for other in others for case_id in other.cases}
    shared = [
        replace(facet, cases=tuple(case for case in facet.cases if case.case_id in known))
        for facet in Cells(base).facets
    ]
    return [facet for facet in shared if facet.cases]


def names_of(*summaries: Summary) -> dict[str, str]:
    """What each case is called, by case_id, so that it is told from all others of its result."""
    names: dict[str, str] = {}
    for summary in summaries:
        cases = summary.experiment.suite.cases
        for case in cases:
            names.setdefault(case.case_id, _name(case, cases, is_duel=bool(summary.duel)))
    return names


def _name(case: Case, cases: Sequence[Case], *, is_duel: bool) -> str:
    return case.case_id if is_duel else case_name(case, cases)


def only_in(sides: Sequence[Side]) -> list[tuple[str, list[str]]]:
    """For each result the names of its cases that no other result has."""
    names = names_of(*(side.summary for side in sides))
    found = []
    for side in sides:
        elsewhere = {case_id for other in sides if other is not side for case_id in other.summary.cases}
        lone = [names[case_id] for case_id in side.summary.cases if case_id not in elsewhere]
        if lone:
            found.append((side.letter, lone))
    return found
