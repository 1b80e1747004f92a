"""The trend test: exact probabilities, false alarms and power by seeded simulation."""

import math
from collections.abc import Callable
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from loopwise.analysis.drift import MAX_DRIFT, SUB_WINDOWS, Drift, drift, kendall_s, p_value, trend_size

FLOATS = NDArray[np.float64]
Shape = Callable[[FLOATS], FLOATS]
WINDOW_S, USERS, RUNS = 2.5, 100, 200
steady = settings(deadline=None, derandomize=True, max_examples=60)


def run_of(rate_rps: float, shape: Shape, dice: np.random.Generator, **options: bool) -> Drift | None:
    """A run whose throughput follows a shape over the window (0 to 1), and whose service time is its inverse."""
    parts = (np.arange(2000) + 0.5) / 2000
    counts = dice.poisson(rate_rps * shape(parts) * WINDOW_S / parts.size)
    at = np.repeat(parts, counts)
    service_ms = USERS / (rate_rps * shape(at)) * 1e3 * dice.lognormal(0.0, 0.2, at.size)
    end_ns = int(WINDOW_S * 1e9)
    received_ns = (at * end_ns).astype(np.int64)
    return drift(received_ns, service_ms, 0, end_ns, has_own_rate=options.get("has_own_rate", True))


def alarms(rate_rps: float, shape_of: Callable[[np.random.Generator], Shape]) -> float:
    """Share of runs that are found to drift."""
    dice = np.random.default_rng(7)
    found = [run_of(rate_rps, shape_of(dice), dice) for _ in range(RUNS)]
    return sum(each is not None and each.is_beyond for each in found) / RUNS


def flat(dice: np.random.Generator) -> Shape:
    del dice
    return lambda at: at * 0 + 1


def one_burst(dice: np.random.Generator) -> Shape:
    """A neighbour takes 20 to 50 % for a tenth to four tenths of the window, or for what of that lies in it."""
    begin, length, loss = dice.uniform(-0.2, 1.0), dice.uniform(0.1, 0.4), dice.uniform(0.2, 0.5)
    return lambda at: 1 - loss * ((at > begin) & (at < begin + length)).astype(np.float64)


def ramp(loss: float) -> Callable[[np.random.Generator], Shape]:
    return lambda _: lambda at: 1 - loss * (1 - at)


def warming(loss: float, speed: float) -> Callable[[np.random.Generator], Shape]:
    return lambda _: lambda at: np.asarray(1 - loss * np.exp(-at * speed), dtype=np.float64)


@pytest.mark.parametrize("rate_rps", [20, 100, 400, 4000])
def test_a_steady_run_with_few_answers_is_hardly_ever_flagged(rate_rps: float) -> None:
    assert alarms(rate_rps, flat) <= 0.02


@pytest.mark.parametrize("rate_rps", [20, 100, 400, 4000])
def test_a_burst_of_noise_in_every_window_is_seldom_a_drift(rate_rps: float) -> None:
    assert alarms(rate_rps, one_burst) <= 0.1


@pytest.mark.parametrize(
    ("rate_rps", "shape_of"),
    [
        (400, ramp(0.3)),
        (4000, ramp(0.15)),
        (400, warming(0.5, 3)),
        (4000, warming(0.5, 6)),
        (4000, ramp(-0.4)),
    ],
    ids=["30 % more", "15 % more", "warms up slowly", "warms up fast", "slows down"],
)
def test_a_run_that_still_changes_is_found(rate_rps: float, shape_of: Callable[[np.random.Generator], Shape]) -> None:
    assert alarms(rate_rps, shape_of) >= 0.9


def test_a_significant_trend_that_is_small_is_allowed() -> None:
    assert alarms(40_000, ramp(0.05)) == 0.0


def test_the_trend_is_named_with_sign_and_size() -> None:
    rises = run_of(4000, ramp(0.3)(np.random.default_rng()), np.random.default_rng(1))
    assert rises is not None
    assert abs(rises.size) == pytest.approx(0.3, abs=0.12)
    assert (rises.size > 0) == (rises.what == "throughput")


def test_an_open_loads_schedule_is_no_drift_of_the_server() -> None:
    dice = np.random.default_rng(1)
    assert run_of(4000, flat(dice), dice, has_own_rate=False) == Drift(0.0, MAX_DRIFT, "service time")
    slower = run_of(4000, ramp(-0.4)(dice), dice, has_own_rate=False)
    assert slower is not None
    assert slower.what == "service time"
    assert slower.is_beyond


def test_too_few_answers_give_no_opinion() -> None:
    few = 2 * SUB_WINDOWS - 1
    assert drift(np.arange(few), np.ones(few), 0, few, has_own_rate=True) is None
    lonely = np.zeros(100, dtype=np.int64)
    assert drift(lonely, np.ones(100), 0, 1000, has_own_rate=False) is None


def test_where_one_answer_more_is_much_the_limit_is_that_answer() -> None:
    at = np.arange(50) * 20
    assert drift(at, np.ones(50), 0, 1000, has_own_rate=True) == Drift(0.0, 0.2, "throughput")


@pytest.mark.parametrize("n", [2, 3, 5])
def test_the_probability_is_that_of_all_orders(n: int) -> None:
    strengths = [abs(kendall_s(order)) for order in permutations(range(n))]
    for series in permutations(range(n)):
        stronger = sum(strength >= abs(kendall_s(series)) for strength in strengths)
        assert p_value(series) == pytest.approx(stronger / math.factorial(n))


def test_the_probability_of_kendalls_table_for_ten() -> None:
    assert p_value(range(10)) == pytest.approx(2 / math.factorial(10))
    swapped = [1, 0, 3, 2, 5, 4, 7, 6, 8, 9]
    assert kendall_s(swapped) == 37
    assert p_value([1.0] * 10) == 1.0


@steady
@given(st.lists(st.floats(1.0, 1e6), min_size=3, max_size=12), st.floats(0.1, 100.0))
def test_scale_is_irrelevant_and_reversal_changes_the_sign(series: list[float], factor: float) -> None:
    assert trend_size([value * factor for value in series]) == pytest.approx(trend_size(series), abs=1e-9)
    assert trend_size(series[::-1]) == pytest.approx(-trend_size(series), abs=1e-9)
    assert p_value(series) == p_value(series[::-1])
    assert 0 < p_value(series) <= 1


def test_a_line_has_the_size_of_its_rise() -> None:
    assert trend_size([10.0, 11.0, 12.0]) == pytest.approx(2 / 11)
    assert trend_size([0.0, 0.0, 5.0]) == 0.0
