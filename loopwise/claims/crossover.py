"""Search for the value of a factor from which on something holds.

The grid of the suite gives the first points; each further one lies in the middle, on the axis' scale, of the widest
gap inside the bracket. A point that was left open narrows nothing: the bracket's ends are decided verdicts. Each end
errs with 2.5 % at most (one side of a 95 % interval), so the bracket holds with 95 %.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, NamedTuple

from loopwise.analysis.figures import CaseFigures
from loopwise.claims.finding import Bracket
from loopwise.claims.questions import Answer, Judged, Question, Unmeasured, judge
from loopwise.model import Case, Load

DIGITS = 2
"""Significant digits of a value that a search tries: a third would be finer than any bracket it can reach."""
SMALLEST_MISS = 0.001
"""Hit ratios nearer to 1 are one: a window has not many more than a thousand requests."""


def _significant(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def _whole(position: float) -> float:
    return float(round(math.exp(position)))


@dataclass(frozen=True)
class Axis:
    """A number that cases differ in: how it is read from a case and put into one."""

    words: str
    """Its unit in words: `users`, `ms of blocking`."""
    name: str
    """Short, for names of folders: `users`."""
    get: Callable[[Case], float | None]
    """None where the case has no such number."""
    put: Callable[[Case, float], Case]
    """The case with another number."""
    position: Callable[[float], float] = math.log
    """Position of a value on the scale that is halved."""
    value: Callable[[float], float] = lambda position: _significant(math.exp(position))
    """The value at a position, as it may be tried."""
    precise: float = math.log(1.3)
    """A bracket no wider than this, in positions, is narrow enough."""

    def between(self, low: float, high: float) -> float | None:
        """The value half-way; None where there is none that differs from both."""
        middle = self.value((self.position(low) + self.position(high)) / 2)
        return middle if low < middle < high else None


def _put_load(case: Case, **changes: Any) -> Case:
    return case.model_copy(update={"load": Load.model_validate({**case.load.model_dump(), **changes})})


def _put_workers(case: Case, value: float) -> Case:
    server = case.server and case.server.model_copy(update={"workers": int(value)})
    return case.model_copy(update={"server": server})


USERS = Axis(
    words="users",
    name="users",
    get=lambda case: None if case.load.fixed_users is None else float(case.load.users),
    put=lambda case, value: _put_load(case, users=int(value)),
    value=_whole,
    precise=math.log(1.2),
)
RATE = Axis(
    words="requests a second",
    name="rate",
    get=lambda case: case.load.rate_rps if case.load.model == "open" else None,
    put=lambda case, value: _put_load(case, rate_rps=value),
    precise=math.log(1.2),
)
WORKERS = Axis(
    words="workers",
    name="workers",
    get=lambda case: None if case.workers is None else float(case.workers),
    put=_put_workers,
    value=_whole,
)


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def param(name: str, words: str) -> Axis:
    """A parameter of the workload."""
    return Axis(
        words=words,
        name=name,
        get=lambda case: _number(case.params.get(name)),
        put=lambda case, value: case.model_copy(update={"params": {**case.params, name: value}}),
    )


HIT_RATIO = replace(
    param("hit_ratio", "hit ratio"),
    position=lambda value: -math.log(max(1 - value, SMALLEST_MISS)),
    value=lambda position: round(1 - _significant(math.exp(-position)), 3),
    precise=math.log(1.6),
)
"""The share of hits, halved by its misses: from 0.9 to 0.99 is as far as from 0.99 to 0.999."""


def part_param(mode: str, name: str, words: str) -> Axis:
    """A parameter of the first part of a mix that has this mode."""

    def get(case: Case) -> float | None:
        return next((_number(each.params.get(name)) for each in case.parts if each.mode == mode), None)

    def put(case: Case, value: float) -> Case:
        parts = list(case.parts)
        index = next((index for index, each in enumerate(parts) if each.mode == mode), None)
        if index is not None:
            params = {**parts[index].params, name: value}
            parts[index] = parts[index].model_copy(update={"params": params})
        return case.model_copy(update={"parts": tuple(parts)})

    return Axis(words=words, name=name, get=get, put=put)


class Point(NamedTuple):
    """The answer at one value of the factor."""

    value: float
    answer: Answer
    depth: float = math.nan
    """How far inside the region the ratio lies, on the log scale; see Judged.depth."""


class Ends(NamedTuple):
    """The points between which something begins to hold."""

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
    """The value to measure next; None where the bracket has an end missing, or nothing would narrow it."""
    low, high = ends(points)
    if low is None or high is None:
        return None
    if axis.position(high.value) - axis.position(low.value) <= axis.precise:
        return None
    inside = sorted({p.value for p in points if low.value <= p.value <= high.value})
    widest_first = sorted(pairwise(inside), key=lambda gap: axis.position(gap[0]) - axis.position(gap[1]))
    return next((middle for gap in widest_first if (middle := axis.between(*gap)) is not None), None)


def bracket(points: Sequence[Point], axis: Axis, begins: str) -> Bracket:
    """The bracket that the points give, and the interpolated point inside it."""
    low, high = ends(points)
    return Bracket(
        factor=axis.words,
        begins=begins,
        low=low.value if low else None,
        high=high.value if high else None,
        point=_interpolated(low, high, axis) if low is not None and high is not None else None,
        tried=tuple(sorted({point.value for point in points})),
    )


def _interpolated(low: Point, high: Point, axis: Axis) -> float:
    """The value at which the line between the two ratios crosses the threshold, on the axis' scale."""
    span = high.depth - low.depth
    share = -low.depth / span if math.isfinite(span) and span > 0 else 0.5
    start, stop = axis.position(low.value), axis.position(high.value)
    position = start + min(max(share, 0.0), 1.0) * (stop - start)
    # The axis' own value would be rounded to what can be tried: 43 users, but 44.4 is the crossing.
    if axis.position is math.log:
        return math.exp(position)
    return min(max(axis.value(position), low.value), high.value)


@dataclass(frozen=True)
class Sweep:
    """One factor varied, everything else equal: the points so far, and the cases for another."""

    axis: Axis
    begins: str
    """What may begin to hold: `async def serves more than def`."""
    judged: tuple[tuple[float, Judged], ...]
    """The question at each value whose cases were measured, ascending; a value's answer stands for itself."""
    templates: tuple[Case, ...]
    """The cases at the largest value of the suite's."""
    least: float | None = None
    """The smallest value worth trying; None: the smallest of the suite."""
    planned: tuple[float, ...] = ()
    """All values that any case has, measured or not, ascending."""

    @property
    def _points(self) -> list[Point]:
        return [Point(value, each.answer, each.depth) for value, each in self.judged]

    @property
    def bracket(self) -> Bracket:
        """The values between which it begins to hold, as far as they are known."""
        return bracket(self._points, self.axis, self.begins)

    @property
    def next_value(self) -> float | None:
        """The value to measure next; None when nothing would narrow the bracket."""
        tried, known = [value for value, _ in self.judged], self.bracket
        lacks_low = known.low is None and known.high is not None
        if self.least is not None and tried and self.least < min(tried) and lacks_low:
            return self.least
        return next_value(self._points, self.axis)

    def cases_at(self, value: float) -> tuple[Case, ...]:
        """The cases to measure for another value."""
        return tuple(self.axis.put(case, value) for case in self.templates)

    def needs_ends(self) -> tuple[tuple[float, Judged], tuple[float, Judged]]:
        """The smallest and the largest value, with their answers.

        Raises:
            Unmeasured: there are no two, or what is compared at one of them has no valid run.
        """
        if len(self.planned) < 2:
            raise Unmeasured(f"the result has no two values of {self.axis.words}, and the rule needs them")
        known, low, high = dict(self.judged), self.planned[0], self.planned[-1]
        for value in (low, high):
            if value not in known:
                raise Unmeasured(f"what is compared at {value:g} {self.axis.words} has no valid run, or is missing")
        return (low, known[low]), (high, known[high])


def sweep(
    axis: Axis,
    cases: Sequence[CaseFigures],
    question: Callable[[float, dict[str, CaseFigures]], Question],
    begins: str,
    *,
    modes: Sequence[str],
    least: float | None = None,
) -> Sweep:
    """Ask a question at every value that the cases have of a factor.

    Args:
        axis: the factor.
        cases: that differ in it and, at one value, in their mode only. A value at which a mode is missing, or without
            a valid run, is no point.
        question: asked about a value and its cases by mode.
        begins: what the question's yes means.
        modes: that the question compares at each value.
        least: the smallest value a search may try.
    """
    groups: dict[float, dict[str, CaseFigures]] = {}
    for case in cases:
        value = axis.get(case.case)
        if value is not None:
            groups.setdefault(value, {})[case.case.mode] = case
    whole = {value: group for value, group in sorted(groups.items()) if set(group) == set(modes)}
    judged = [
        (value, judge([question(value, group)])[0])
        for value, group in whole.items()
        if all(case.runs for case in group.values())
    ]
    templates = tuple(case.case for case in whole[max(whole)].values()) if whole else ()
    return Sweep(axis, begins, tuple(judged), templates, least, tuple(sorted(groups)))
