"""Bounds by arithmetic: which applies, how large it is, and what it is called."""

from typing import Any

import pytest
from support.fakes import case_of

from loopwise.analysis.bounds import Bound, bounds
from loopwise.model import Cost, Load, Part, Server
from target_app.modes import MODES

CORES = 2
WAIT_50 = Cost(wait_ms=50.0)
CPU_10 = Cost(cpu_ms=10.0)

# mode, cost, workers, cores -> the smallest bound with 1000 users
TABLE: list[tuple[str, Cost, int, int, float, str]] = [
    ("async", WAIT_50, 1, CORES, 20_000.0, "has 1000 users only"),
    ("async", CPU_10, 1, CORES, 100.0, "computes on 1 core"),
    ("async", CPU_10, 2, CORES, 200.0, "computes on 2 cores"),
    ("async", CPU_10, 4, CORES, 200.0, "computes on 2 cores"),
    ("sync", WAIT_50, 1, CORES, 800.0, "waits for its 40 threads"),
    ("sync", WAIT_50, 2, CORES, 1600.0, "waits for its 80 threads"),
    ("sync", CPU_10, 1, CORES, 100.0, "computes on 1 core"),
    ("blocking", WAIT_50, 1, CORES, 20.0, "serves one request at a time on its event loop"),
    ("blocking", WAIT_50, 2, CORES, 40.0, "serves one request at a time on each of its 2 event loops"),
    ("to_thread", WAIT_50, 1, CORES, 120.0, "waits for the 6 threads of asyncio's default executor"),
    ("to_thread", WAIT_50, 2, CORES, 240.0, "waits for the 12 threads of asyncio's default executor"),
    ("to_thread", WAIT_50, 1, 64, 640.0, "waits for the 32 threads of asyncio's default executor"),
    ("process", CPU_10, 1, CORES, 200.0, "waits for its 2 pool processes"),
    ("process", WAIT_50, 1, CORES, 40.0, "waits for its 2 pool processes"),
    ("process", CPU_10, 2, CORES, 200.0, "computes on 2 cores"),
]


def smallest(mode: str, cost: Cost, cores: int = CORES, **options: Any) -> Bound:
    fields: dict[str, Any] = {"load": Load(users=1000)}
    return bounds(case_of("c", mode, cost=cost, **(fields | options)), cores)[0]


@pytest.mark.parametrize(("mode", "cost", "workers", "cores", "throughput_rps", "because"), TABLE)
def test_the_smallest_bound_is_the_prediction(
    mode: str, cost: Cost, workers: int, cores: int, throughput_rps: float, because: str
) -> None:
    found = smallest(mode, cost, cores, server=Server(workers=workers))
    assert found.throughput_rps == pytest.approx(throughput_rps)
    assert found.because == because


def test_every_mode_has_a_row_above() -> None:
    assert {mode for mode, *_ in TABLE} == set(MODES)


@pytest.mark.parametrize(
    ("load", "throughput_rps", "name"),
    [
        (Load(users=1), 20.0, "1 users"),
        (Load(users=3, think_s=0.25), 10.0, "3 users"),
        (Load(model="open", rate_rps=7.5), 7.5, "arrival rate"),
        (Load(model="open", rate_rps=10, ramp_to_rps=20), 15.0, "arrival rate"),
    ],
)
def test_a_load_bounds_what_can_be_served(load: Load, throughput_rps: float, name: str) -> None:
    found = smallest("sync", WAIT_50, load=load)
    assert found.throughput_rps == pytest.approx(throughput_rps)
    assert found.name == name


def test_the_thread_pool_moves_the_bound_of_sync_routes() -> None:
    assert smallest("sync", WAIT_50, server=Server(threads=100)).throughput_rps == pytest.approx(2000)


def test_the_process_pool_moves_the_bound_of_process_routes() -> None:
    found = smallest("process", CPU_10, server=Server(pool_processes=1))
    assert found.throughput_rps == pytest.approx(100)
    assert found.because == "waits for its 1 pool processes"


# parts (mode, weight, cost) -> the smallest bound of the mix with 1000 users on one worker
MIXES: list[tuple[list[tuple[str, int, Cost]], float, str]] = [
    ([("async", 9, WAIT_50), ("blocking", 1, CPU_10)], 1000, "blocking: 1 at a time"),
    ([("async", 9, WAIT_50), ("blocking", 1, WAIT_50)], 200, "blocking: 1 at a time"),
    ([("async", 1, CPU_10), ("blocking", 1, WAIT_50)], 1000 / 30, "blocking: 1 at a time"),
    ([("async", 1, WAIT_50), ("sync", 1, WAIT_50)], 1600, "sync: 40 at a time"),
    ([("async", 1, CPU_10), ("process", 1, CPU_10)], 200, "CPU of 1 core"),
]


@pytest.mark.parametrize(("parts", "throughput_rps", "name"), MIXES)
def test_a_mix_is_bounded_by_what_its_average_request_needs(
    parts: list[tuple[str, int, Cost]], throughput_rps: float, name: str
) -> None:
    made = tuple(Part(workload="w", mode=mode, weight=weight, cost=cost) for mode, weight, cost in parts)
    by_name = {
        bound.name: bound.throughput_rps
        for bound in bounds(case_of("c", "mix", parts=made, load=Load(users=1000)), CORES)
    }
    assert min(by_name.values()) == pytest.approx(throughput_rps)
    assert by_name[name] == pytest.approx(throughput_rps)


def test_a_mix_with_a_part_of_unknown_cost_is_not_predicted() -> None:
    made = (Part(workload="w", mode="async"), Part(workload="v", mode="sync", cost=WAIT_50))
    assert bounds(case_of("c", "mix", parts=made), CORES) == []


def test_bounds_come_the_smallest_first() -> None:
    found = [bound.throughput_rps for bound in bounds(case_of("c", "sync", cost=Cost(wait_ms=5, cpu_ms=5)), CORES)]
    assert len(found) == 3
    assert found == sorted(found)


@pytest.mark.parametrize(
    "options",
    [{"cost": None}, {"cost": Cost()}, {"server": None, "url": "http://127.0.0.1:9"}],
    ids=["unknown cost", "no cost", "somebody's server"],
)
def test_what_is_not_known_is_not_predicted(options: dict[str, Any]) -> None:
    assert bounds(case_of("c", "sync", **options), CORES) == []
