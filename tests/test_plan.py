"""Which runs, in which order, and when there are enough of them."""

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.fakes import EPOCH_NS, case_of, experiment_of, suite_with

from loopwise.measure.plan import next_block, plan
from loopwise.model import Case, Experiment, PlannedRun, Run, Suite, Window

steady = settings(
    deadline=None, derandomize=True, max_examples=60, suppress_health_check=[HealthCheck.too_slow]
)
MODES = ("sync", "async", "blocking", "to_thread")


def suite_of(cases: int, replicates: tuple[int, int] = (3, 3)) -> Suite:
    made = [
        case_of(f"{mode}-{index}", mode, params={"ms": index}) for index in range(1, cases) for mode in MODES
    ]
    return suite_with(*made[:cases], replicates=replicates)


def case_ids(block: Sequence[PlannedRun]) -> list[str]:
    return [planned.case_id for planned in block]


def blocks_of(runs: Sequence[PlannedRun], cases: int) -> list[Sequence[PlannedRun]]:
    return [runs[start : start + cases] for start in range(0, len(runs), cases)]


@steady
@given(cases=st.integers(2, 12), replicates=st.integers(1, 6), seed=st.integers(0, 2**63 - 1))
def test_every_block_holds_every_case_once_with_the_replicate_of_its_number(
    cases: int, replicates: int, seed: int
) -> None:
    suite = suite_of(cases, (replicates, replicates))
    found = blocks_of(plan(suite, seed), cases)
    assert len(found) == replicates
    for number, block in enumerate(found, start=1):
        assert sorted(case_ids(block)) == sorted(case.case_id for case in suite.cases)
        assert {planned.replicate for planned in block} == {number}
        assert {planned.state for planned in block} == {"planned"}


def test_the_order_is_a_pure_function_of_the_seed() -> None:
    suite = suite_of(10)
    assert plan(suite, 7) == plan(suite, 7)
    assert plan(suite, 7) != plan(suite, 8)


def test_blocks_are_shuffled_each_in_its_own_way() -> None:
    suite = suite_of(10)
    orders = [tuple(case_ids(block)) for block in blocks_of(plan(suite, 1), 10)]
    assert len({*orders, tuple(case.case_id for case in suite.cases)}) == 4


def test_more_replicates_leave_the_earlier_blocks_as_they_were() -> None:
    few, many = plan(suite_of(10, (2, 9)), 1), plan(suite_of(10, (5, 9)), 1)
    assert many[: len(few)] == few


def run_with(case: Case, replicate: int, ok: int, status: str = "ok") -> Run:
    return Run.model_validate(
        {
            "case": case,
            "replicate": replicate,
            "order": 1,
            "status": status,
            "started_at": "2026",
            "window": Window(start_ns=EPOCH_NS, end_ns=EPOCH_NS + 1_000_000_000),
            "counts": {"ok": ok},
        }
    )


STEADY, WIDE = (1000, 1001, 1002), (500, 1000, 2000)
SYNC, ASYNC, THREAD = (case_of(mode, mode) for mode in ("sync", "async", "to_thread"))


def further(
    counts: Mapping[str, Sequence[int]], most: int = 10, statuses: Mapping[str, str] | None = None
) -> list[PlannedRun]:
    """The next block after three, given each case's answers a second by replicate."""
    suite = suite_with(SYNC, ASYNC, THREAD, replicates=(3, most))
    cases = {case.case_id: case for case in suite.cases}
    runs = [
        run_with(cases[case_id], replicate, ok, (statuses or {}).get(case_id, "ok"))
        for case_id, values in counts.items()
        for replicate, ok in enumerate(values, start=1)
    ]
    return list(next_block(experiment_of(suite), runs))


@pytest.mark.parametrize(
    ("counts", "wanted"),
    [
        ({"sync": STEADY, "async": STEADY, "to_thread": STEADY}, set()),
        ({"sync": STEADY, "async": WIDE, "to_thread": STEADY}, {"sync", "async"}),
        ({"sync": WIDE, "async": STEADY, "to_thread": STEADY}, {"sync"}),
        ({"sync": WIDE, "async": WIDE, "to_thread": WIDE}, {"sync", "async", "to_thread"}),
        ({"sync": STEADY, "async": STEADY, "to_thread": (1000,)}, {"sync", "to_thread"}),
        ({"sync": STEADY, "async": STEADY, "to_thread": (0, 0, 0)}, set()),
        ({"sync": STEADY, "async": STEADY}, set()),
    ],
    ids=[
        "all known",
        "one wide",
        "the baseline wide",
        "all wide",
        "one replicate",
        "nothing served",
        "not measured",
    ],
)
def test_only_wide_cases_and_their_baselines_are_measured_again(
    counts: dict[str, Sequence[int]], wanted: set[str]
) -> None:
    found = further(counts)
    assert set(case_ids(found)) == wanted
    assert {planned.replicate for planned in found} <= {4}


def test_there_is_never_a_replicate_beyond_the_maximum() -> None:
    assert further({"sync": WIDE, "async": WIDE, "to_thread": WIDE}, most=4)
    assert not further({"sync": WIDE, "async": WIDE, "to_thread": WIDE}, most=3)


@pytest.mark.parametrize("status", ["failed", "invalid"])
def test_runs_that_are_not_valid_ask_for_no_more_of_their_kind(status: str) -> None:
    counts = {"sync": STEADY, "async": WIDE, "to_thread": STEADY}
    assert not further(counts, statuses={"async": status})


@steady
@given(factor=st.integers(1, 50))
def test_stopping_looks_at_precision_alone_never_at_who_is_ahead(factor: int) -> None:
    scaled = [value * factor for value in WIDE]
    found = [further({"sync": STEADY, "async": values, "to_thread": STEADY}) for values in (WIDE, scaled)]
    assert found[0] == found[1]


def test_a_further_block_is_shuffled_and_a_pure_function_of_seed_and_number() -> None:
    suite = suite_of(10, (1, 99))
    runs = [run_with(case, 1, 100) for case in suite.cases]
    experiment = experiment_of(suite)
    second = next_block(experiment, runs)
    assert second == next_block(experiment, runs[::-1])
    assert case_ids(second) != [case.case_id for case in suite.cases]
    assert sorted(case_ids(second)) == sorted(case.case_id for case in suite.cases)
    third = next_block(_done(experiment, second), runs)
    assert {planned.replicate for planned in third} == {3}
    assert case_ids(third) != case_ids(second)


def _done(experiment: Experiment, block: tuple[PlannedRun, ...]) -> Experiment:
    return experiment.model_copy(update={"plan": experiment.plan + block})
