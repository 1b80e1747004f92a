"""From where on something holds: a bounded search that halves the distance between "not yet" and "already". Pure.

The grid of the suite gives the first points; every further one lies in the middle, on the axis' scale, of the widest
gap inside the bracket. A point that was left open narrows nothing: the bracket's ends are decided verdicts. Each end
errs with 2.5 % at most (one side of a 95 % interval), so the bracket holds with 95 %.
"""

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

from loopwise.claims.axes import Axis
from loopwise.claims.claim import Bracket
from loopwise.claims.questions import Answer


class Point(NamedTuple):
    """What was found at one value of the factor."""

    value: float
    answer: Answer
    depth: float = math.nan
    """How far inside the region the ratio lies, on the log scale; see Judged.depth."""


class Ends(NamedTuple):
    """Between which points something begins to hold."""

    low: Point | None
    """The last one before which, itself included, nothing that was decided says yes."""
    high: Point | None
    """The first one after which, itself included, nothing that was decided says no."""


def ends(points: Iterable[Point]) -> Ends:
    """The ends of the bracket. Answers that contradict each other widen it: both lie within."""
    ordered = sorted(points, key=lambda point: point.value)
    low = high = None
    for point in ordered:
        if point.answer == "yes":
            break
        low = point if point.answer == "no" else low
    for point in reversed(ordered):
        if point.answer == "no":
            break
        high = point if point.answer == "yes" else high
    return Ends(low, high)


def next_value(points: Sequence[Point], axis: Axis) -> float | None:
    """What to measure next; None where the bracket has an end missing, or nothing would narrow it."""
    low, high = ends(points)
    if low is None or high is None:
        return None
    if axis.position(high.value) - axis.position(low.value) <= axis.precise:
        return None
    inside = sorted({p.value for p in points if low.value <= p.value <= high.value})
    gaps = sorted(
        pairwise(inside),
        key=lambda gap: axis.position(gap[0]) - axis.position(gap[1]),
    )
    return next((middle for gap in gaps if (middle := axis.between(*gap)) is not None), None)


def bracket(points: Sequence[Point], axis: Axis, begins: str) -> Bracket:
    """What the points say: between which values something begins to hold, and where about."""
    low, high = ends(points)
    point = None
    if low is not None and high is not None:
        point = _interpolated(low, high, axis)
    return Bracket(
        factor=axis.words,
        begins=begins,
        low=low.value if low else None,
        high=high.value if high else None,
        point=point,
        tried=tuple(sorted({point.value for point in points})),
    )


def _interpolated(low: Point, high: Point, axis: Axis) -> float:
    """Where the line between the two ratios crosses the threshold, on the axis' scale."""
    span = high.depth - low.depth
    share = -low.depth / span if math.isfinite(span) and span > 0 else 0.5
    start, stop = axis.position(low.value), axis.position(high.value)
    position = start + min(max(share, 0.0), 1.0) * (stop - start)
    # The axis' own value would be rounded to what can be tried: 43 users, but 44.4 is what was found.
    if axis.position is math.log:
        return math.exp(position)
    return min(max(axis.value(position), low.value), high.value)
