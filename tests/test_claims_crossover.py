"""The search for where something begins: what it measures next, and the bracket it ends with, on fakes with noise."""

import math
import random

import pytest

from loopwise.claims.crossover import HIT_RATIO, RATE, USERS, Axis, Point, bracket, ends, next_value, param
from loopwise.claims.questions import Answer

MS = param("ms", "ms of blocking")


def points(text: str) -> list[Point]:
    """`1- 5? 20+`: no at 1, open at 5, yes at 20."""
    signs: dict[str, Answer] = {"-": "no", "+": "yes", "?": "open"}
    depth = {"-": -1.0, "+": 1.0, "?": 0.0}
    return [Point(float(part[:-1]), signs[part[-1]], depth[part[-1]]) for part in text.split()]


@pytest.mark.parametrize(
    ("found", "low", "high"),
    [
        ("1- 10- 100+", 10, 100),
        ("100+ 1- 10-", 10, 100),  # in any order
        ("1- 10? 100+", 1, 100),  # open narrows nothing
        ("1+ 10+", None, 1),
        ("1- 10-", 10, None),
        ("1? 10?", None, None),
        ("1? 10+", None, 10),
        ("1- 10?", 1, None),
        ("1- 10+ 20- 100+", 1, 100),  # contradictions lie within
        ("1+ 10-", None, None),  # nothing begins that ends
        ("", None, None),
    ],
)
def test_contradictions_lie_between_the_ends_of_the_bracket(found: str, low: float | None, high: float | None) -> None:
    lower, upper = ends(points(found))
    assert (lower and lower.value, upper and upper.value) == (low, high)


@pytest.mark.parametrize(
    ("found", "axis", "value"),
    [
        ("1- 100+", MS, 10),
        ("1- 10? 100+", MS, 3.2),  # beside the open point, the lower of two equal gaps first
        ("1- 3.2? 10? 100+", MS, 32),  # then the widest gap
        ("40- 80+", USERS, 57),
        ("6- 7+", USERS, None),  # no user between six and seven
        ("4- 10+", USERS, 6),
        ("400- 600+", RATE, 490),
        ("5- 6+", MS, None),  # narrow enough
        ("1- 10-", MS, None),
        ("1+ 10+", MS, None),
        ("", MS, None),
        ("0.5- 0.9+", HIT_RATIO, 0.78),
        ("0.9- 1+", HIT_RATIO, 0.99),
        ("0- 0.5+", HIT_RATIO, 0.29),
    ],
)
def test_the_next_value_halves_the_widest_gap_in_the_bracket(found: str, axis: Axis, value: float | None) -> None:
    assert next_value(points(found), axis) == value


def run_search(begins_at: float, noise: float, seed: int, steps: int = 8) -> tuple[list[Point], Axis]:
    """Bisect a ratio that crosses its threshold at a value, seen through noise that leaves some points open."""
    dice = random.Random(seed)

    def look_at(value: float) -> Point:
        depth, half = math.log(value / begins_at) + dice.gauss(0, noise), 2 * noise
        return Point(value, "yes" if depth > half else "no" if depth < -half else "open", depth)

    found = [look_at(1.0), look_at(100.0)]
    for _ in range(steps):
        value = next_value(found, MS)
        if value is None:
            break
        found.append(look_at(value))
    return found, MS


@pytest.mark.parametrize("noise", [0.0, 0.1, 0.4])
def test_the_bracket_holds_what_is_looked_for_nearly_always(noise: float) -> None:
    held = 0
    for seed in range(200):
        found, axis = run_search(7.0, noise, seed)
        known = bracket(found, axis, "it begins")
        assert known.low is None or known.high is None or known.low < known.high
        held += (known.low or 0.0) <= 7.0 <= (known.high or math.inf)
    assert held >= 190


def test_a_search_without_noise_ends_in_a_narrow_bracket() -> None:
    found, axis = run_search(7.0, 0.0, 1, steps=50)
    known = bracket(found, axis, "it begins")
    assert known.low is not None
    assert known.high is not None
    assert known.high / known.low <= 1.3
    assert len(found) < 10


def test_values_that_stay_open_are_never_tried_twice() -> None:
    found = points("1- 100+")
    for _ in range(12):
        value = next_value(found, MS)
        if value is None:
            break
        assert value not in {point.value for point in found}
        found.append(Point(value, "open", 0.0))
    assert (bracket(found, MS, "b").low, bracket(found, MS, "b").high) == (1.0, 100.0)


def test_the_point_is_interpolated_by_distance_to_the_threshold() -> None:
    known = bracket([Point(1.0, "no", -0.1), Point(100.0, "yes", 0.9)], MS, "b")
    assert known.point == pytest.approx(100**0.1)
    unknown = bracket([Point(1.0, "no"), Point(100.0, "yes")], MS, "b")
    assert unknown.point == pytest.approx(10.0)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ("1- 100+", "between 1 and 100 ms of blocking"),
        ("1+ 10+", "at 1 ms of blocking or fewer"),
        ("1- 10-", "beyond 10 ms of blocking"),
        ("1?", "at no known number of ms of blocking"),
    ],
)
def test_a_bracket_says_what_is_known_of_it(found: str, words: str) -> None:
    known = bracket(points(found), MS, "it begins")
    assert known.between == words
    assert str(known).startswith(f"it begins: {words}")


@pytest.mark.parametrize("axis", [USERS, RATE, MS, HIT_RATIO], ids=["users", "rate", "ms", "hit_ratio"])
def test_a_middle_lies_between_or_is_none(axis: Axis) -> None:
    dice = random.Random(1)

    def draw() -> float:
        return round(dice.random(), 3) if axis.name == "hit_ratio" else float(dice.randint(1, 500))

    for _ in range(500):
        low, high = sorted((draw(), draw()))
        middle = axis.between(low, high) if low < high else None
        assert middle is None or low < middle < high
