"""The cards at the top of report.html: one per workload or endpoint, as texts and as places on a scale."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from loopwise.analysis.canary import canary_words
from loopwise.analysis.cards import Card, Rival
from loopwise.analysis.conclusions import TOGETHER
from loopwise.analysis.summary import Summary
from loopwise.model import Estimate
from loopwise.model.modes import OWN
from loopwise.report import format as fmt

SHOWN = 12
"""Cards before the rest is folded away."""
_FURTHEST = 100.0
"""A scale that reaches further has no room for ratios near 1."""
_AIR = 1.12


class Scale(NamedTuple):
    """Places of a ratio on the logarithmic scale that all cards share, in percent from its left end."""

    one: float
    """No difference."""
    margin: tuple[float, float]
    """Ends of the band in which differences do not matter."""
    at: float
    ends: tuple[float, float] | None
    """Of the interval; None without one."""


@dataclass(frozen=True)
class CardView:
    """A card as the page shows it."""

    subject: str
    css_mode: str
    label: str
    """What the name is: `Recommended`, or that it is not clear."""
    name: str
    """The recommended case; empty: none has a valid run."""
    anchor: str
    """Id of its section; empty without one."""
    serves: str
    verdict: str
    ratio: str
    rival: str
    scale: Scale | None
    facts: tuple[tuple[str, str], ...]
    """Name and sentence: why, what it costs others, what to do."""


def card_views(summary: Summary, anchors: dict[str, str]) -> list[CardView]:
    """A view of each card.

    Args:
        summary: of the result.
        anchors: id of each case's section, by case_id.
    """
    margin = summary.experiment.suite.compare.margin
    reach = _reach([card.rival.ratio for card in summary.cards if card.rival], margin)
    return [_view(card, anchors, margin, reach) for card in summary.cards]


def _view(card: Card, anchors: dict[str, str], margin: float, reach: tuple[float, float]) -> CardView:
    rival = card.rival
    return CardView(
        subject=card.subject,
        css_mode=card.mode if card.mode.isidentifier() else OWN.name,
        label=_label(card),
        name=card.name,
        anchor=anchors.get(card.case_id or "", ""),
        serves=f"{_estimate(card.throughput)} requests/s" if card.throughput else "",
        verdict=rival.verdict if rival else "",
        ratio=fmt.ratio(rival.ratio.value, rival.ratio.low, rival.ratio.high) if rival else "",
        rival=_rival_words(rival) if rival else "",
        scale=_scale(rival.ratio, margin, reach) if rival else None,
        facts=tuple((name, text) for name, text in _facts(card, margin) if text),
    )


def _label(card: Card) -> str:
    if card.case_id is None:
        return "No valid measurement"
    if card.unclear:
        return "Not clearly the best"
    return "Recommended" if card.cases > 1 else "Measured"


def _rival_words(rival: Rival) -> str:
    return f"of {rival.name}" if rival.is_baseline else f"of {rival.name}, the slowest"


def _facts(card: Card, margin: float) -> Sequence[tuple[str, str]]:
    held, canary = card.held, card.canary
    to_do = "What to do" if held is None or held.case_id == card.case_id else f"If it stays {held.name}"
    everybody = len(card.unclear) == card.cases - 1 > 1
    unclear = "any other case" if everybody else _listed(card.unclear)
    together = f", {TOGETHER}" if card.cases > 2 else ""
    return (
        ("Why", card.because or card.reason),
        ("As good", _listed(card.as_good)),
        ("No clear difference", f"from {unclear}{together}" if card.unclear else ""),
        ("For others", canary_words(canary, margin) if canary else ""),
        ("Held back", f"{held.name}: {held.evidence}" if held and not held.remedy else ""),
        (to_do, held.remedy if held else ""),
        ("Invalid", f"{card.invalid} of {card.cases} cases" if card.invalid and card.case_id else ""),
    )


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def _estimate(known: Estimate) -> str:
    return fmt.estimate(known.value, known.low, known.high)


def _reach(ratios: Sequence[Estimate], margin: float) -> tuple[float, float]:
    """Ends of the scale: every ratio and interval, the margin with air around it."""
    values = [end for each in ratios for end in (each.low, each.value, each.high) if end and math.isfinite(end)]
    low, high = (pick([*values, end]) for pick, end in ((min, 1 / (1 + 2 * margin)), (max, 1 + 2 * margin)))
    return max(low, 1 / _FURTHEST) / _AIR, min(high, _FURTHEST) * _AIR


def _scale(ratio: Estimate, margin: float, reach: tuple[float, float]) -> Scale:
    def place(value: float) -> float:
        low, high = (math.log(end) for end in reach)
        return round(100 * min(max((math.log(value) - low) / (high - low), 0.0), 1.0), 2)

    ends = (place(ratio.low), place(ratio.high)) if ratio.low and ratio.high else None
    return Scale(place(1.0), (place(1 / (1 + margin)), place(1 + margin)), place(ratio.value), ends)
