"""Open load: the schedule is drawn beforehand, kept to, and every request of it is a row."""

from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.fault_server import FaultServer, after
from support.generator import generate, get

from loopwise.generator.arrivals import Stretch, arrival_times
from loopwise.generator.client import GeneratorProcess
from loopwise.model import VICTIM, Arrivals, Endpoint

RATES = st.floats(0.1, 100_000)
SEEDS = st.integers(0, 2**32 - 1)
ARRIVALS: list[Arrivals] = ["poisson", "constant"]
MANY = 20_000
"""Arrivals drawn: the mean gap is then known to 0.7 % (one standard deviation, Poisson)."""


def steady(rate_rps: float) -> list[Stretch]:
    return [Stretch(float("inf"), rate_rps, rate_rps)]


@pytest.mark.parametrize("arrivals", ARRIVALS)
@given(rate_rps=RATES, seed=SEEDS)
def test_a_schedule_is_a_pure_ascending_function_of_its_seed(arrivals: Arrivals, rate_rps: float, seed: int) -> None:
    first = list(islice(arrival_times(steady(rate_rps), arrivals, seed), 5000))
    assert first == list(islice(arrival_times(steady(rate_rps), arrivals, seed), 5000))
    assert first == sorted(first)
    assert first[0] >= 0


@pytest.mark.parametrize("arrivals", ARRIVALS)
@pytest.mark.parametrize("rate_rps", [0.5, 100.0, 30_000.0])
def test_the_mean_rate_is_the_declared_one(arrivals: Arrivals, rate_rps: float) -> None:
    times = np.array(list(islice(arrival_times(steady(rate_rps), arrivals, 7), MANY)))
    assert MANY / (times[-1] / 1e9) == pytest.approx(rate_rps, rel=0.03)


def test_poisson_gaps_vary_by_their_mean_and_constant_gaps_not() -> None:
    for arrivals, variation in zip(ARRIVALS, (1.0, 0.0), strict=True):
        gaps = np.diff(list(islice(arrival_times(steady(1000.0), arrivals, 7), MANY)))
        assert gaps.std() / gaps.mean() == pytest.approx(variation, abs=0.03)


def test_another_seed_is_another_schedule() -> None:
    one, two = (list(islice(arrival_times(steady(100.0), "poisson", seed), 100)) for seed in (1, 2))
    assert one != two


@pytest.mark.e2e
@pytest.mark.parametrize("arrivals", ARRIVALS)
def test_every_due_request_has_a_row_in_the_schedules_order(
    arrivals: Arrivals, generator: GeneratorProcess, tmp_path: Path
) -> None:
    with FaultServer() as server:
        run = generate(
            generator,
            tmp_path,
            server.url,
            get("/ok"),
            model="open",
            rate_rps=400.0,
            arrivals=arrivals,
            seed=5,
        )
    due = sorted(row["scheduled_ns"] for row in run.rows)
    planned = list(islice(arrival_times(steady(400.0), arrivals, 5), len(due)))
    assert len(due) == server.seen["GET /ok"]
    assert due == [planned_ns + due[0] - planned[0] for planned_ns in planned]
    assert {row["error"] for row in run.rows} == {None}
    assert {row["stamp"] for row in run.rows} == {"kernel"}
    assert all(row["scheduled_ns"] <= row["sent_ns"] for row in run.rows)


@pytest.mark.e2e
def test_at_max_connections_requests_wait_and_none_is_dropped(generator: GeneratorProcess, tmp_path: Path) -> None:
    """Two connections to an answer that takes 20 ms serve 100 a second; 400 a second are due."""
    with FaultServer({"/slow": after(0.02, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")}) as server:
        run = generate(
            generator,
            tmp_path,
            server.url,
            get("/slow"),
            model="open",
            rate_rps=400.0,
            arrivals="constant",
            max_connections=2,
            measure_s=0.3,
        )
    begin_ns, end_ns = run.window()
    rows = run.rows
    due = sorted(row["scheduled_ns"] for row in rows)
    assert server.connections == 2
    assert np.diff(due).max() <= 1e9 / 400 + 1
    assert due[-1] >= end_ns - 2e9 / 400
    assert len(rows) == server.seen["GET /slow"]
    assert {row["error"] for row in rows} == {None}
    last = max(rows, key=lambda row: row["scheduled_ns"])
    waited_ns = last["sent_ns"] - last["scheduled_ns"]
    service_ns = last["received_ns"] - last["sent_ns"]
    assert last["received_ns"] - last["scheduled_ns"] == waited_ns + service_ns
    assert waited_ns > 10 * service_ns  # it waited for most of some 120 requests before it
    assert begin_ns < end_ns


@pytest.mark.e2e
def test_requests_still_in_line_when_the_run_ends_are_rows_too(generator: GeneratorProcess, tmp_path: Path) -> None:
    with FaultServer() as server:
        run = generate(
            generator,
            tmp_path,
            server.url,
            get("/hangs"),
            model="open",
            rate_rps=200.0,
            arrivals="constant",
            max_connections=2,
            timeout_s=0.2,
        )
    due = sorted(row["scheduled_ns"] for row in run.rows)
    assert np.diff(due).max() <= 1e9 / 200 + 1
    assert due[-1] >= run.window()[1] - 2e9 / 200
    assert {row["error"] for row in run.rows} == {"timeout", "unfinished"}


@pytest.mark.e2e
def test_a_request_that_could_not_connect_keeps_its_due_time(generator: GeneratorProcess, tmp_path: Path) -> None:
    server = FaultServer()
    server.stop()
    run = generate(generator, tmp_path, server.url, get("/ok"), model="open", rate_rps=200.0, arrivals="constant")
    due = sorted(row["scheduled_ns"] for row in run.rows)
    assert {row["error"] for row in run.rows} == {"refused"}
    assert np.diff(due).max() <= 1e9 / 200 + 1


@pytest.mark.e2e
@pytest.mark.parametrize("load", [{"users": 3}, {"model": "open", "rate_rps": 100.0}])
def test_the_canary_is_probed_beside_the_load_under_its_own_name(
    load: dict[str, object], generator: GeneratorProcess, tmp_path: Path
) -> None:
    with FaultServer() as server:
        run = generate(generator, tmp_path, server.url, get("/slow"), victim="/ok", measure_s=0.5, load=load)
    victim = [row for row in run.rows if row["endpoint"] == f"{VICTIM}/ok"]
    assert len(victim) == server.seen["GET /ok"]
    due = sorted(row["scheduled_ns"] for row in victim)
    assert len(due) > 5
    assert set(np.diff(due)) == {50_000_000}
    assert {row["endpoint"] for row in run.load} == {"GET /slow"}


@pytest.mark.e2e
def test_the_canary_connects_after_the_virtual_users(generator: GeneratorProcess, tmp_path: Path) -> None:
    with FaultServer() as server:
        run = generate(generator, tmp_path, server.url, get("/ok"), victim="/ok", users=3, measure_s=0.3)
    canary = [row for row in run.rows if row["endpoint"] == f"{VICTIM}/ok"]
    assert max(row["connection"] for row in run.load) < min(row["connection"] for row in canary)


@pytest.mark.e2e
@pytest.mark.parametrize("load", [{"users": 3}, {"model": "open", "rate_rps": 1000.0}])
def test_requests_of_a_mix_are_in_proportion_to_its_weights(
    load: dict[str, object], generator: GeneratorProcess, tmp_path: Path
) -> None:
    weights = {"/ok": 5, "/204": 2, "/chunked": 1}
    endpoints = [Endpoint(path=path, weight=weight) for path, weight in weights.items()]
    with FaultServer() as server:
        run = generate(generator, tmp_path, server.url, endpoints, load=load)
    total = sum(server.seen.values())
    assert total == pytest.approx(len(run.rows), abs=3)
    assert total > 100
    for path, weight in weights.items():
        assert abs(server.seen[f"GET {path}"] - total * weight / 8) <= 8
