"""How long it takes, by arithmetic: before and while it goes on."""

import pytest
from support.fakes import case_of, experiment_of, suite_with

from loopwise.measure.plan import EXPERIMENT_START_S, SETTLE_S, duration, run_s, standing
from loopwise.model import Case, Cost, Endpoint, Estimate, Load, Replicates, Server

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


def test_where_an_experiment_stands_follows_from_its_plan_and_from_what_is_known() -> None:
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
