"""Order of runs, further blocks, and the time they take by arithmetic."""

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.fakes import EPOCH_NS, case_of, experiment_of, suite_with

from loopwise.measure.plan import EXPERIMENT_START_S, SETTLE_S, duration, next_block, plan, run_s, standing
from loopwise.model import (
    Case,
    Cost,
    Endpoint,
    Estimate,
    Experiment,
    Load,
    PlannedRun,
    Replicates,
    Run,
    Server,
    Suite,
    Window,
)

steady = settings(deadline=None, derandomize=True, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
MODES = ("sync", "async", "blocking", "to_thread")


def suite_of(cases: int, replicates: tuple[int, int] = (3, 3)) -> Suite:
    made = [case_of(f"{mode}-{index}", mode, params={"ms": index}) for index in range(1, cases) for mode in MODES]
    return suite_with(*made[:cases], replicates=replicates)


def case_ids(block: Sequence[PlannedRun]) -> list[str]:
    return [planned.case_id for planned in block]


def blocks_of(runs: Sequence[PlannedRun], cases: int) -> list[Sequence[PlannedRun]]:
    return [runs[start : start + cases] for start in range(0, len(runs), cases)]


@steady
@given(cases=st.integers(2, 12), replicates=st.integers(1, 6), seed=st.integers(0, 2**63 - 1))
def test_a_block_holds_every_case_once_with_its_replicate(cases: int, replicates: int, seed: int) -> None:
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


def test_a_further_block_is_a_function_of_seed_and_number() -> None:
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


LOAD = Load(users=100, warmup_s=0.5, measure_s=2.0)


def case(mode: str = "async", **options: object) -> Case:
    return case_of(mode, mode, **({"load": LOAD} | options))


URL = {"server": None, "url": "http://127.0.0.1:9", "endpoints": (Endpoint(),)}
# case -> seconds beside the server's start and the settling
TABLE: list[tuple[str, Case, float]] = [
    ("warm-up as set", case(), 2.5),
    ("until all of a slow server's users are answered", case("blocking"), 2.0 + 5.0),
    ("two loops answer twice as fast", case("blocking", server=Server(workers=2)), 2.0 + 2.5),
    (
        "but not for longer than allowed",
        case("blocking", load=LOAD.model_copy(update={"warmup_max_s": 3.0})),
        2.0 + 3.0,
    ),
    ("users that come one by one", case(load=LOAD.model_copy(update={"spawn_rate": 50.0})), 2.0 + 2.0),
    ("a cost that nobody knows", case("blocking", cost=None), 2.5),
    (
        "open load waits for nobody",
        case("blocking", load=Load(model="open", warmup_s=0.5, measure_s=2.0)),
        2.5,
    ),
    ("computing", case(cost=Cost(cpu_ms=20.0)), 2.0 + 2.0),
]


@pytest.mark.parametrize(("name", "of", "expected_s"), TABLE, ids=[row[0] for row in TABLE])
def test_a_run_takes_its_warm_up_and_window(name: str, of: Case, expected_s: float) -> None:
    del name
    bare_s = run_s(of.model_copy(update=URL), 2)
    assert bare_s == pytest.approx(SETTLE_S + (2.5 if of.cost and of.load == LOAD else bare_s - SETTLE_S))
    start_s = run_s(of, 2) - expected_s - SETTLE_S
    assert 0.1 < start_s < 1.0


def test_more_workers_and_pools_take_longer_to_start() -> None:
    one, two, pool = (
        run_s(case(load=Load(users=1), server=Server(workers=workers)).model_copy(update={"mode": mode}), 8)
        for workers, mode in ((1, "async"), (2, "async"), (2, "process"))
    )
    assert one < two < pool


@pytest.mark.parametrize("most", [3, 5])
def test_a_suite_takes_its_replicates_and_at_most_a_third_more(most: int) -> None:
    suite = suite_with(*(case(mode) for mode in ("async", "sync", "to_thread")), replicates=(3, most))
    block_s = sum(run_s(each, 2) for each in suite.cases)
    longest_s = max(run_s(each, 2) for each in suite.cases)
    found = duration(suite, 2)
    assert found.least == pytest.approx(EXPERIMENT_START_S + 3 * block_s)
    assert found.most == pytest.approx(EXPERIMENT_START_S + most * (block_s + longest_s))
    never = suite.model_copy(update={"replicates": Replicates(min=3, max=3, repeats=0)})
    assert duration(never, 2).most == duration(never, 2).least == found.least


def test_standing_follows_from_plan_and_known_throughputs() -> None:
    suite = suite_with(*(case(mode) for mode in ("sync", "async", "to_thread")), replicates=(3, 5))
    experiment = experiment_of(suite)
    each_s = {mode.case_id: run_s(mode, 2) for mode in suite.cases}
    block_s = sum(each_s.values())
    fresh = standing(experiment, {})
    assert (fresh.precise, fresh.cases, fresh.done_s) == (0, 3, 0.0)
    assert fresh.left == pytest.approx((3 * block_s, 5 * block_s))

    done = tuple(planned.model_copy(update={"state": "ok"}) for planned in experiment.plan)
    narrow = Estimate(value=100.0, low=99.0, high=101.0, replicates=3)
    wide = Estimate(value=100.0, low=50.0, high=150.0, replicates=3)
    known = {"sync": narrow, "async": wide, "to_thread": narrow}
    found = standing(experiment.model_copy(update={"plan": done}), known)
    assert found.precise == 1  # the wide one's baseline is repeated with it
    assert found.left == pytest.approx((0.0, 2 * (each_s["sync"] + each_s["async"])))
    assert found.done_s == pytest.approx(3 * block_s)
