"""What more workers bring: laws recovered from curves, intervals that cover, and the fewest workers that are enough."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.answers import figures_of
from support.fakes import case_of, experiment_of, suite_with

from loopwise.analysis.scaling import Fit, Scaling, divisor, fit, scale_all
from loopwise.model import Load, Server

LOAD = Load(users=10_000, measure_s=1)
FOUR, THREE = (1, 2, 4, 8), (1, 2, 4)


def curve(contention: float, coherency: float, counts: Sequence[int], blocks: int = 3) -> dict[int, dict[int, float]]:
    """Points on a curve without noise; blocks differ in speed."""
    return {
        n: {block: 100.0 * block * n / divisor(contention, coherency, n) for block in range(1, blocks + 1)}
        for n in counts
    }


def fitted(throughput: Mapping[int, Mapping[int, float]]) -> Fit:
    found = fit(throughput, 0.95)
    assert found is not None
    return found


@pytest.mark.parametrize(("contention", "coherency"), [(0.0, 0.0), (0.03, 0.001), (0.2, 0.0), (0.0, 0.02), (0.9, 0.05)])
def test_the_universal_law_is_recovered_from_four_worker_counts(contention: float, coherency: float) -> None:
    found = fitted(curve(contention, coherency, FOUR))
    assert found.law == "usl"
    assert found.coherency is not None
    assert found.contention.value == pytest.approx(contention, abs=1e-4)
    assert found.coherency.value == pytest.approx(coherency, abs=1e-4)
    assert found.one_worker_rps == pytest.approx(100 * math.prod(range(1, 4)) ** (1 / 3), rel=1e-3)
    assert found.misfit_ratio < 1e-3


@pytest.mark.parametrize("contention", [0.0, 0.1, 0.6, 1.0])
def test_amdahls_law_is_recovered_from_three(contention: float) -> None:
    found = fitted(curve(contention, 0.0, THREE))
    assert (found.law, found.coherency) == ("amdahl", None)
    assert found.contention.value == pytest.approx(contention, abs=1e-3)


def test_two_worker_counts_carry_no_law() -> None:
    assert fit(curve(0.1, 0.0, (1, 8)), 0.95) is None
    assert fit({}, 0.95) is None
    unusable = curve(0.1, 0.0, THREE) | {4: {1: 0.0, 2: math.nan}}
    assert fit(unusable, 0.95) is None


def test_one_replicate_has_no_interval() -> None:
    found = fitted(curve(0.1, 0.01, FOUR, blocks=1))
    assert found.coherency is not None
    assert (found.contention.low, found.contention.high) == (None, None)
    assert (found.coherency.low, found.coherency.high) == (None, None)


def test_superlinear_growth_has_no_negative_contention() -> None:
    found = fitted({n: {1: 100.0 * n**1.2, 2: 101.0 * n**1.2} for n in FOUR})
    assert found.contention.value == 0
    assert found.contention.low == 0
    assert found.misfit_ratio > 0.1


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.floats(10, 1e5), min_size=8, max_size=8),
    st.floats(1e-3, 1e3),
)
def test_intervals_contain_their_value_in_any_unit(values: list[float], factor: float) -> None:
    points = {n: {1: values[2 * i], 2: values[2 * i + 1]} for i, n in enumerate(FOUR)}
    found = fitted(points)
    for parameter in (found.contention, found.coherency):
        assert parameter is not None
        assert parameter.low is not None
        assert parameter.high is not None
        assert 0 <= parameter.low <= parameter.value <= parameter.high < math.inf
    scaled = fitted({n: {k: value * factor for k, value in by.items()} for n, by in points.items()})
    assert scaled.contention.value == pytest.approx(found.contention.value, rel=1e-3, abs=1e-3)
    assert scaled.one_worker_rps == pytest.approx(found.one_worker_rps * factor, rel=1e-2)


@pytest.mark.parametrize(
    ("contention", "coherency", "counts", "blocks"),
    [(0.03, 0.002, FOUR, 3), (0.1, 0.0, FOUR, 6), (0.0, 0.0, FOUR, 3), (0.2, 0.0, THREE, 6)],
)
def test_simulated_intervals_cover_the_truth(
    contention: float, coherency: float, counts: Sequence[int], blocks: int
) -> None:
    """Blocks 10 % apart, runs 4 % apart, 250 experiments: 95 % intervals must cover at least 90 % of the time."""
    generator, covered, experiments = np.random.default_rng(7), [0, 0], 250
    for _ in range(experiments):
        speed = np.exp(generator.normal(0, 0.1, blocks))
        found = fitted(
            {
                n: {
                    block: speed[block] * n / divisor(contention, coherency, n) * math.exp(generator.normal(0, 0.04))
                    for block in range(blocks)
                }
                for n in counts
            }
        )
        for index, (parameter, truth) in enumerate(((found.contention, contention), (found.coherency, coherency))):
            if parameter is None:
                covered[index] += 1
            elif parameter.low is not None and parameter.high is not None:
                covered[index] += parameter.low - 1e-9 <= truth <= parameter.high + 1e-9
    assert min(covered) >= 0.9 * experiments


def scalings(values: Mapping[int, Sequence[float]], mode: str = "sync", load: Load = LOAD) -> list[Scaling]:
    suite = suite_with(*(case_of(f"w{n}", mode, server=Server(workers=n), load=load) for n in values))
    cases = {f"w{n}": figures_of(case, values[n]) for n, case in zip(values, suite.cases, strict=True)}
    return list(scale_all(experiment_of(suite), cases))


def test_the_fewest_workers_same_as_the_best_are_recommended() -> None:
    (found,) = scalings({1: (99, 100, 101), 2: (196, 198, 200), 4: (199, 200, 201), 8: (120, 121, 122)})
    assert (found.workers, found.best_workers, found.recommended_workers) == (FOUR, 4, 2)
    assert found.case_ids == ("w1", "w2", "w4", "w8")
    assert found.sentence.startswith("sleep(ms=50) sync scales to 4 workers: contention ")
    assert "; 2 workers already serve the same within ±5 %" in found.sentence
    assert ", coherency " in found.sentence


def test_a_difference_that_noise_leaves_open_recommends_no_fewer() -> None:
    (found,) = scalings({1: (99, 100, 101), 2: (150, 190, 240), 4: (190, 200, 240)})
    assert (found.law, found.best_workers, found.recommended_workers) == ("amdahl", 4, 4)
    assert "already" not in found.sentence
    assert found.coherency is None


def test_more_workers_that_bring_nothing_are_told_so() -> None:
    (found,) = scalings({1: (200, 201, 202), 2: (150, 151, 152), 4: (100, 101, 102)})
    assert found.sentence.startswith("sleep(ms=50) sync gains nothing from more workers: contention 100 % [")


def test_a_throughput_that_the_users_bound_is_told_so() -> None:
    few = Load(users=20, measure_s=1)
    (found,) = scalings({1: (390, 391, 392), 2: (391, 392, 393), 4: (390, 392, 394)}, "async", few)
    assert "; its 20 users are all there is to serve" in found.sentence


def test_no_law_fits_two_counts_open_load_or_unmeasured_cases() -> None:
    good = (100.0, 101.0)
    assert scalings({1: good, 2: good}) == []
    assert scalings({1: good, 2: good, 4: good}, load=Load(model="open", rate_rps=100)) == []
    assert scalings({1: good, 2: good, 4: ()}) == []


def test_cases_that_differ_in_more_than_workers_are_no_set() -> None:
    cases = [
        case_of(f"{n}", "sync", server=Server(workers=n, threads=threads), load=LOAD)
        for n, threads in ((1, None), (2, 10), (4, 20))
    ]
    suite = suite_with(*cases)
    figures = {case.case_id: figures_of(case, (100, 101)) for case in cases}
    assert list(scale_all(experiment_of(suite), figures)) == []
