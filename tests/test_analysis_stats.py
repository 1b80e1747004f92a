"""Percentiles, intervals and ratios: properties that hold for all data, and coverage by simulation."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from loopwise.analysis.stats import (
    estimate,
    nearest_rank,
    paired_ratio,
    relative_half_width,
    t_half_width,
    unpaired_ratio,
)
from loopwise.model import Estimate

steady = settings(deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow], max_examples=80)
positive = st.floats(min_value=1e-3, max_value=1e6)
samples = st.lists(positive, min_size=1, max_size=60)
replicates = st.lists(positive, min_size=2, max_size=12)
quantiles = st.integers(min_value=0, max_value=1000).map(lambda step: step / 1000)


def naive_percentile(values: Sequence[float], quantile: float) -> float:
    """By definition: the smallest value with at least that share of values at or below it, counted exactly."""
    per_mille = round(quantile * 1000)
    ascending = sorted(values)
    return next(
        value for value in ascending if 1000 * sum(other <= value for other in ascending) >= per_mille * len(ascending)
    )


@steady
@given(values=samples, quantile=quantiles)
def test_a_percentile_is_the_sample_value_of_nearest_rank(values: list[float], quantile: float) -> None:
    found = nearest_rank(np.sort(np.array(values)), quantile)
    assert found in values
    assert found == naive_percentile(values, quantile)


@pytest.mark.parametrize(
    ("size", "quantile", "rank"), [(100, 0.07, 7), (1000, 0.999, 999), (10, 0.5, 5), (3, 0.0, 1), (3, 1.0, 3)]
)
def test_an_exact_rank_is_not_lifted_by_a_rounding_error(size: int, quantile: float, rank: int) -> None:
    assert nearest_rank(np.arange(1.0, size + 1), quantile) == rank


@steady
@given(values=replicates, confidence=st.sampled_from([0.8, 0.95, 0.99]))
def test_an_interval_contains_its_point(values: list[float], confidence: float) -> None:
    for is_log in (True, False):
        found = estimate(values, confidence=confidence, is_log=is_log)
        assert found.low is not None
        assert found.high is not None
        assert found.low <= found.value <= found.high
        assert (found.replicates, found.confidence) == (len(values), confidence)


@steady
@given(values=replicates, factor=st.floats(min_value=0.01, max_value=100.0))
def test_a_change_of_unit_changes_an_estimate_by_the_same_factor(values: list[float], factor: float) -> None:
    one, scaled = estimate(values), estimate([value * factor for value in values])
    for before, after in ((one.value, scaled.value), (one.low, scaled.low), (one.high, scaled.high)):
        assert before is not None
        assert after == pytest.approx(before * factor, rel=1e-6)


@steady
@given(values=replicates, data=st.data())
def test_the_order_of_replicates_does_not_matter(values: list[float], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(values))
    assert close(estimate(values), estimate(shuffled))
    assert close(unpaired_ratio(values, values[::-1]), unpaired_ratio(shuffled, values))


@steady
@given(pairs=st.lists(st.tuples(positive, positive), min_size=2, max_size=12))
def test_swapped_sides_give_the_inverse_ratio(pairs: list[tuple[float, float]]) -> None:
    one, other = [first for first, _ in pairs], [second for _, second in pairs]
    for ratio in (paired_ratio, unpaired_ratio):
        forth, back = ratio(one, other), ratio(other, one)
        assume(forth.high is not None and math.isfinite(forth.high) and forth.high < 1e200)
        assert close(back, inverse(forth))


@steady
@given(values=replicates)
def test_what_is_equal_has_the_ratio_one_without_doubt(values: list[float]) -> None:
    same = paired_ratio(values, values)
    assert (same.value, same.low, same.high) == (1.0, 1.0, 1.0)


def test_more_confidence_needs_a_wider_interval() -> None:
    widths = [t_half_width([1.0, 2.0, 4.0], confidence) for confidence in (0.8, 0.95, 0.99)]
    assert widths == sorted(widths)
    # The table's t for two degrees of freedom, times the standard error.
    assert widths[1] == pytest.approx(4.302653 * np.std([1, 2, 4], ddof=1) / math.sqrt(3))


def test_one_replicate_has_a_value_and_no_interval() -> None:
    for found in (estimate([5.0]), paired_ratio([2.0], [10.0]), unpaired_ratio([2.0], [10.0, 10.0])):
        assert found.value == pytest.approx(5.0)
        assert found.low is None
        assert found.high is None
        assert found.replicates == 1
        assert relative_half_width(found) == math.inf


def test_values_that_have_no_logarithm_are_averaged_plainly() -> None:
    found = estimate([0.0, 0.01, 0.02], is_log=True)
    assert found.value == pytest.approx(0.01)
    assert found.low is not None
    assert found.low < 0


def test_the_geometric_mean_stands_for_positive_replicates() -> None:
    assert estimate([1.0, 100.0]).value == pytest.approx(10.0)
    assert estimate([1.0, 100.0], is_log=False).value == pytest.approx(50.5)


def test_no_replicates_and_unequal_blocks_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one replicate"):
        estimate([])
    with pytest.raises(ValueError, match="shorter"):
        paired_ratio([1.0, 2.0], [1.0])


@pytest.mark.parametrize(
    ("low", "high", "value", "width"),
    [(95.0, 105.0, 100.0, 0.05), (None, None, 100.0, math.inf), (0.0, 0.0, 0.0, math.inf)],
)
def test_relative_half_width_is_half_the_interval_over_the_value(
    low: float | None, high: float | None, value: float, width: float
) -> None:
    assert relative_half_width(Estimate(value=value, low=low, high=high, replicates=3)) == width


DRAWS = 4000


@pytest.mark.parametrize("n", range(3, 11))
def test_a_95_percent_interval_covers_93_to_97_percent(n: int) -> None:
    rng = np.random.default_rng(20_000 + n)
    runs = np.exp(rng.normal(math.log(800.0), 0.15, size=(DRAWS, n)))
    covered = [covers(estimate(row), 800.0) for row in runs.tolist()]
    assert 0.93 <= np.mean(covered) <= 0.97


@pytest.mark.parametrize("n", [3, 5, 10])
def test_paired_ratios_cover_the_truth_although_blocks_drift(n: int) -> None:
    rng = np.random.default_rng(30_000 + n)
    drift = rng.normal(0.0, 0.5, size=(DRAWS, n))
    baseline, candidate = (np.exp(drift + rng.normal(0.0, 0.05, size=(DRAWS, n))) for _ in range(2))
    covered = [
        covers(paired_ratio(one, other), 1.2)
        for one, other in zip(baseline.tolist(), (1.2 * candidate).tolist(), strict=True)
    ]
    assert 0.93 <= np.mean(covered) <= 0.97


@pytest.mark.parametrize(
    ("sizes", "spreads"),
    [((3, 3), (0.1, 0.1)), ((5, 5), (0.05, 0.2)), ((4, 10), (0.1, 0.1)), ((10, 6), (0.2, 0.1))],
)
def test_welch_covers_the_truth_for_unequal_sizes_and_spreads(
    sizes: tuple[int, int], spreads: tuple[float, float]
) -> None:
    rng = np.random.default_rng(sum(sizes))
    sides = [
        np.exp(rng.normal(centre, spread, size=(DRAWS, n))).tolist()
        for centre, spread, n in zip((0.0, math.log(1.1)), spreads, sizes, strict=True)
    ]
    covered = [covers(unpaired_ratio(one, other), 1.1) for one, other in zip(*sides, strict=True)]
    assert 0.93 <= np.mean(covered) <= 0.97


@steady
@given(values=replicates, other=replicates)
def test_welch_agrees_with_the_textbook_formula(values: list[float], other: list[float]) -> None:
    logs = [np.log(values), np.log(other)]
    squares = [np.var(side, ddof=1) / side.size for side in logs]
    assume(min(squares) > 1e-9)
    found = unpaired_ratio(values, other)
    freedom = sum(squares) ** 2 / sum(square**2 / (side.size - 1) for square, side in zip(squares, logs, strict=True))
    assert min(map(len, (values, other))) - 1 - 1e-9 <= freedom <= len(values) + len(other) - 2 + 1e-9
    assume(found.high is not None and 0 < found.high < 1e200)
    assert found.high is not None
    half = stats.t.ppf(0.975, freedom) * math.sqrt(sum(squares))
    assert math.log(found.high) == pytest.approx(logs[1].mean() - logs[0].mean() + half, rel=1e-6, abs=1e-6)


def covers(found: Estimate, truth: float) -> bool:
    assert found.low is not None
    assert found.high is not None
    return found.low <= truth <= found.high


def inverse(found: Estimate) -> Estimate:
    assert found.low is not None
    assert found.high is not None
    return found.model_copy(
        update={
            "value": 1 / found.value,
            "low": 1 / max(found.high, 1e-300),
            "high": 1 / max(found.low, 1e-300),
        }
    )


def close(one: Estimate, other: Estimate) -> bool:
    numbers = [(each.value, each.low, each.high) for each in (one, other)]
    return numbers[0] == pytest.approx(numbers[1], rel=1e-6)
