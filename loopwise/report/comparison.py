"""Results side by side: the cases that they share, and what a comparison says in sentences and in rows of tables."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from string import ascii_uppercase
from typing import Any, NamedTuple

from loopwise.analysis.comparison import Difference
from loopwise.analysis.gates import Gate, Outcome, clauses
from loopwise.analysis.summary import Summary
from loopwise.analysis.wording import count
from loopwise.model import Verdict
from loopwise.report import format as fmt
from loopwise.report.cells import Cell, Cells, Facet
from loopwise.report.words import ICONS, URGENCY, case_names, metric_name, ratio_text, why_invalid
from loopwise.visible import clean

MOST_SENTENCES = 10
"""Of one gate; the table has all."""


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
    sides = [(name, base, None), *((outcome.other, summary, outcome) for summary, outcome in others)]
    return tuple(Side(_letter(number), *side) for number, side in enumerate(sides))


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


def only_in(sides: Sequence[Side]) -> list[tuple[str, list[str]]]:
    """For each result the names of its cases that no other result has."""
    names = case_names(*(side.summary for side in sides))
    lone = []
    for side in sides:
        elsewhere = {case_id for other in sides if other is not side for case_id in other.summary.cases}
        mine = [names[case_id] for case_id in side.summary.cases if case_id not in elsewhere]
        if mine:
            lone.append((side.letter, mine))
    return lone


def headline(outcome: Outcome, names: Mapping[str, str] | None = None) -> str:
    """One sentence: what got worse and better, the clearest change with its interval, and a count of the rest.

    Args:
        outcome: a comparison.
        names: of cases, by case_id; default: their ids.
    """
    verdicts = outcome.verdicts
    changed = (_changed(verdicts, word, names or {}) for word in ("worse", "better"))
    clauses = list(filter(None, changed)) or ["nothing got better or worse"]
    margin = f"±{outcome.margin * 100:.4g} %"
    rest = {
        "same": f"the same within {margin}",
        "undecided": "undecided, their intervals too wide to tell",
        "invalid": "without a valid measurement on both sides",
    }
    for word, meaning in rest.items():
        number = sum(verdict.verdict == word for verdict in verdicts)
        if number:
            clauses.append(f"{number:,} {'is' if number == 1 else 'are'} {meaning}")
    return f"Of {count(len(verdicts), 'comparison')}, {'; '.join(clauses)}."


def _changed(verdicts: Sequence[Verdict], word: str, names: Mapping[str, str]) -> str:
    changed = [verdict for verdict in verdicts if verdict.verdict == word]
    if not changed:
        return ""
    most = max(changed, key=_certainty)
    subject = " ".join(filter(None, [names.get(most.candidate_case, most.candidate_case), most.endpoint]))
    which = "" if len(changed) == 1 else "most of all "
    return f"{len(changed):,} got {word}: {which}{metric_name(most.metric)} of {clean(subject)} {ratio_text(most)}"


def _certainty(verdict: Verdict) -> float:
    """Distance of the interval's nearer end from 1, on the log scale."""
    ends = [end for end in (verdict.ci_low, verdict.ci_high) if end]
    return min((abs(math.log(end)) for end in ends), default=0.0)


class VerdictLine(NamedTuple):
    """A row of the table of verdicts."""

    case: str
    metric: str
    before: str
    after: str
    ratio: str
    sorted_by: Mapping[str, float | None]
    """Column -> the value that it sorts by; None: there is none."""
    verdict: str
    icon: str
    invalid: str
    """Why there is no ratio; empty where there is one."""


def verdict_lines(base: Side, other: Side, names: Mapping[str, str]) -> list[VerdictLine]:
    """Every verdict with both sides' figures, in the order of the base's cases."""
    assert other.outcome is not None
    figures = [Cells(side.summary) for side in (base, other)]
    lines = []
    for verdict in other.outcome.verdicts:
        case_id, metric = verdict.candidate_case, verdict.metric
        before, after = (cells.cell(cells.summary.cases[case_id].case, metric) for cells in figures)
        lines.append(_verdict_line(verdict, names, before, after))
    return lines


def _verdict_line(verdict: Verdict, names: Mapping[str, str], before: Cell, after: Cell) -> VerdictLine:
    return VerdictLine(
        names.get(verdict.candidate_case, verdict.candidate_case),
        metric_name(verdict.metric),
        _figure(before, verdict),
        _figure(after, verdict),
        ratio_text(verdict),
        {
            "verdict": URGENCY.index(verdict.verdict),
            "ratio": verdict.ratio,
            "before": before.value if before.usable else None,
            "after": after.value if after.usable else None,
        },
        verdict.verdict,
        ICONS[verdict.verdict],
        why_invalid(verdict) if verdict.ratio is None else "",
    )


def _figure(cell: Cell, verdict: Verdict) -> str:
    return fmt.figure(verdict.metric, cell.value, cell.low, cell.high) if cell.usable else fmt.NONE


class GateLine(NamedTuple):
    """Outcome of a gate in one comparison."""

    gate: str
    other: str
    state: str
    """`passed`, `failed` or `not judged`."""
    icon: str
    sentences: list[str]


def gate_lines(sides: Sequence[Side]) -> list[GateLine]:
    """A line per gate and result."""
    return [
        _gate_line(gate, side.letter, side.outcome) for side in sides if side.outcome for gate in side.outcome.gates
    ]


def _gate_line(gate: Gate, letter: str, outcome: Outcome) -> GateLine:
    failed = sum(gate.fails(verdict) for verdict in outcome.verdicts)
    said = [clause for _, clause in clauses([gate], outcome.verdicts, outcome.names)]
    if len(said) > MOST_SENTENCES:
        said = [*said[:MOST_SENTENCES], f"and {len(said) - MOST_SENTENCES} more, in the table of verdicts"]
    if failed:
        return GateLine(str(gate), letter, "failed", "✕", said)
    if said:
        return GateLine(str(gate), letter, "not judged", "?", said)
    judged = sum(verdict.metric == gate.metric for verdict in outcome.verdicts)
    return GateLine(str(gate), letter, "passed", "✓", [f"{count(judged, 'case')}, none surely beyond it"])


class DifferenceLine(NamedTuple):
    """A key of the surroundings with each side's value."""

    key: str
    values: list[str]
    effect: str


ALLOWED = "could move the numbers; allowed by --allow-different"
ONLY_SHOWN = "does not stand in the way"


def difference_lines(sides: Sequence[Side]) -> list[DifferenceLine]:
    """Keys of the surroundings in which any result differs from the base, with the value in each result."""
    by_key: dict[str, list[Any]] = {}
    for number, side in enumerate(sides):
        for key, before, after in side.outcome.different if side.outcome else ():
            by_key.setdefault(key, [before] * len(sides))[number] = after
    return [
        DifferenceLine(
            key,
            ["none" if value is None or value == "" else str(value) for value in values],
            ALLOWED if Difference(key, None, None).forbids else ONLY_SHOWN,
        )
        for key, values in sorted(by_key.items())
    ]
