"""One factor varied, everything else equal: the points a summary has of it, and the cases for another. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from loopwise.analysis.figures import CaseFigures
from loopwise.claims.axes import Axis
from loopwise.claims.claim import Bracket
from loopwise.claims.questions import Judged, Question, Unmeasured, judge
from loopwise.claims.search import Point, bracket, next_value
from loopwise.model import Case

Group = dict[str, CaseFigures]
"""The cases that share a value of the factor, by their mode."""


@dataclass(frozen=True)
class Sweep:
    """What is known of a factor's effect, and how to learn more."""

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
    def points(self) -> list[Point]:
        """What the search goes by."""
        return [Point(value, each.answer, each.depth) for value, each in self.judged]

    @property
    def bracket(self) -> Bracket:
        """From where on it holds, as far as it is known."""
        return bracket(self.points, self.axis, self.begins)

    @property
    def next_value(self) -> float | None:
        """What to measure next; None when nothing would narrow the bracket."""
        tried = [value for value, _ in self.judged]
        if self.least is not None and tried and self.least < min(tried) and self._lacks_low:
            return self.least
        return next_value(self.points, self.axis)

    @property
    def _lacks_low(self) -> bool:
        known = self.bracket
        return known.low is None and known.high is not None

    def cases_at(self, value: float) -> tuple[Case, ...]:
        """The cases to measure for another value."""
        return tuple(self.axis.put(case, value) for case in self.templates)

    def needs_ends(self) -> tuple[tuple[float, Judged], tuple[float, Judged]]:
        """The smallest and the largest value, with their answers.

        Raises:
            Unmeasured: there are no two, or what is compared at one of them has no valid run.
        """
        known = dict(self.judged)
        if len(self.planned) < 2:
            raise Unmeasured(f"the result has no two values of {self.axis.words}, and the rule needs them")
        for value in (self.planned[0], self.planned[-1]):
            if value not in known:
                raise Unmeasured(
                    f"what is compared at {value:g} {self.axis.words} has no valid run, or is missing"
                )
        (low, high) = (self.planned[0], self.planned[-1])
        return (low, known[low]), (high, known[high])

    def at(self, value: float) -> Judged | None:
        """The answer at a value."""
        return dict(self.judged).get(value)


def sweep(
    axis: Axis,
    cases: Sequence[CaseFigures],
    question: Callable[[float, Group], Question],
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
        question: told the value and its cases by mode.
        begins: what the question's yes means.
        modes: that the question compares at each value.
        least: the smallest value a search may try.
    """
    groups: dict[float, Group] = {}
    for case in cases:
        value = axis.get(case.case)
        if value is not None:
            groups.setdefault(value, {})[case.case.mode] = case
    whole = {value: group for value, group in sorted(groups.items()) if set(group) == set(modes)}
    points = [
        (value, judge([question(value, group)])[0])
        for value, group in whole.items()
        if all(case.runs for case in group.values())
    ]
    templates = tuple(case.case for case in whole[max(whole)].values()) if whole else ()
    return Sweep(axis, begins, tuple(points), templates, least, tuple(sorted(groups)))
