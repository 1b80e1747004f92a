"""Two generator processes share a load: no row is lost or doubled, and none of them outlives its order."""

import textwrap
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pyarrow.parquet as pq
import pytest
from support.e2e import until
from support.fault_server import FaultServer
from support.generator import Generated, get

from loopwise.errors import GeneratorError
from loopwise.generator.client import Generator, GeneratorProcess
from loopwise.generator.protocol import Event, Order
from loopwise.model import VICTIM, Load
from loopwise.results.folder import seal_samples

pytestmark = pytest.mark.e2e

PROCESSES = 2
PART_CONNECTIONS = 10_000_000
"""Connections of the second process are numbered from here."""


def shared(
    generator: Generator,
    folder: Path,
    server: FaultServer,
    *paths: str,
    scenario: Path | None = None,
    on_event: Callable[[Event], object] = lambda _: None,
    **load: Any,
) -> Generated:
    """A run that two processes share."""
    events: list[Event] = []

    def listen(event: Event) -> None:
        events.append(event)
        on_event(event)

    usual = {"warmup_s": 0.0, "warmup_max_s": 0.0, "measure_s": 0.3, "timeout_s": 5.0}
    order = Order(
        url=server.url,
        endpoints=tuple(get(*paths)),
        scenario=None if scenario is None else str(scenario),
        load=Load(**usual | load),
        samples=str(folder / "samples.arrow"),
        processes=PROCESSES,
    )
    generator.run(order, listen)
    seal_samples(folder)
    return Generated(pq.read_table(folder / "samples.parquet").to_pylist(), events)


def part_of(row: dict[str, Any]) -> int:
    """Which process a row is from."""
    return int(row["connection"]) // PART_CONNECTIONS


def workers() -> list[psutil.Process]:
    """Generator workers that descend from this test's process."""
    family = psutil.Process().children(recursive=True)
    return [process for process in family if "--join" in _argv(process)]


def _argv(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def test_every_request_of_two_processes_is_one_row(generator: GeneratorProcess, tmp_path: Path) -> None:
    with FaultServer() as server:
        run = shared(generator, tmp_path, server, "/slow", users=5)
        until(lambda: server.seen["GET /slow"] >= len(run.rows))
        assert server.seen["GET /slow"] == len(run.rows)
        assert server.connections == 5
    parts = {row["connection"]: part_of(row) for row in run.rows}
    assert sorted(Counter(parts.values()).values()) == [2, 3]
    assert {row["error"] for row in run.finished} == {None}
    figures = run.events[-1].figures
    assert figures is not None
    assert (figures.processes, figures.users, figures.users_wanted) == (PROCESSES, 5, 5)
    assert run.events[-1].rows == len(run.rows)


def test_schedules_of_two_processes_interleave_without_a_gap(generator: GeneratorProcess, tmp_path: Path) -> None:
    with FaultServer() as server:
        run = shared(generator, tmp_path, server, "/ok", model="open", rate_rps=200.0, arrivals="constant")
        assert server.seen["GET /ok"] == len(run.rows)
    assert {row["error"] for row in run.rows} == {None}
    gap_ns = PROCESSES * 1_000_000_000 // 200
    for part in range(PROCESSES):
        due_ns = sorted(row["scheduled_ns"] for row in run.rows if part_of(row) == part)
        assert len(due_ns) > 10
        # A request that was due and had no row would be a gap of twice the length.
        assert due_ns == [due_ns[0] + number * gap_ns for number in range(len(due_ns))]


def test_two_processes_probe_the_canary_once(generator: GeneratorProcess, tmp_path: Path) -> None:
    with FaultServer() as server:
        run = shared(generator, tmp_path, server, "/slow", users=4, victim="/ok", measure_s=0.4)
    probes = [row for row in run.rows if row["endpoint"] == f"{VICTIM}/ok"]
    assert len(probes) > 2
    assert len({part_of(row) for row in probes}) == 1
    assert len({row["connection"] for row in run.load}) == 4


def test_a_locust_file_is_shared_by_two_processes(tmp_path: Path) -> None:
    path = tmp_path / "script.py"
    text = """
    from locust import constant, task
    from loopwise import StampedUser

    class Visitor(StampedUser):
        wait_time = constant(0.02)

        @task
        def look(self):
            self.client.get("/ok", name="look")
    """
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    process = GeneratorProcess(tmp_path / "generator.log")
    try:
        with FaultServer() as server:
            run = shared(process, tmp_path, server, scenario=path, users=4)
            assert server.seen["GET /ok"] == len(run.rows)
            assert server.connections == 4
    finally:
        process.close()
    assert {(row["endpoint"], row["error"]) for row in run.finished} == {("GET look", None)}
    assert Counter(map(part_of, {row["connection"]: row for row in run.rows}.values())) == {0: 2, 1: 2}


def test_a_dead_worker_fails_its_run_and_the_next_has_fresh_ones(tmp_path: Path) -> None:
    process = GeneratorProcess(tmp_path / "generator.log")
    before = set(workers())
    mine: list[psutil.Process] = []

    def kill(event: Event) -> None:
        if event.event == "window_opened":
            mine.extend(set(workers()) - before)
            mine[-1].terminate()

    try:
        with FaultServer() as server:
            with pytest.raises(GeneratorError) as raised:
                shared(process, tmp_path, server, "/slow", users=4, on_event=kill, measure_s=2.0)
            assert str(raised.value) == "a generator worker ended with status -15; see generator.log"
            run = shared(process, tmp_path, server, "/slow", users=4)
        assert len(mine) == PROCESSES
        assert {part_of(row) for row in run.finished} == {0, 1}
        assert not set(mine) & set(workers())
    finally:
        process.close()
    until(lambda: not set(workers()) - before)
