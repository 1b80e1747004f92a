"""Two servers and one generator: both at once, or by turns without a trace of the other."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.ipc
import pytest
from support.fault_server import FaultServer
from support.generator import get

from loopwise.generator.client import GeneratorProcess
from loopwise.generator.protocol import ABBA, Event, Order, Rival, Slice
from loopwise.model import SIDES, Load, SideName
from loopwise.servers.lifecycle import free_port

pytestmark = pytest.mark.e2e

USERS = 3
LOAD = {"users": USERS, "warmup_s": 0.0, "warmup_max_s": 1.0, "measure_s": 0.2, "timeout_s": 1.0}


@pytest.fixture
def servers() -> Iterator[tuple[FaultServer, FaultServer]]:
    with FaultServer() as one, FaultServer() as two:
        yield one, two


class Paired(NamedTuple):
    rows: list[dict[str, Any]]
    events: list[Event]

    def of(self, side: SideName) -> list[dict[str, Any]]:
        return [row for row in self.rows if row["endpoint"].startswith(f"{side} ")]

    @property
    def slices(self) -> tuple[Slice, ...]:
        return self.events[-1].slices

    def time_of(self, name: str) -> int:
        return next(event.time_ns for event in self.events if event.event == name)


def paired(
    generator: GeneratorProcess,
    folder: Path,
    urls: tuple[str, str],
    paths: tuple[str, str] = ("/ok", "/slow"),
    load: dict[str, Any] | None = None,
    **rival: Any,
) -> Paired:
    order = Order(
        url=urls[0],
        endpoints=tuple(get(paths[0])),
        rival=Rival(url=urls[1], endpoints=tuple(get(paths[1])), **rival),
        load=Load(**LOAD | (load or {})),
        samples=str(folder / "samples.arrow"),
    )
    events: list[Event] = []
    generator.run(order, events.append)
    with pa.OSFile(order.samples) as source:
        return Paired(pyarrow.ipc.open_stream(source).read_all().to_pylist(), events)


def test_a_duel_loads_both_at_once_and_rows_name_the_side(
    generator: GeneratorProcess, servers: tuple[FaultServer, FaultServer], tmp_path: Path
) -> None:
    run = paired(generator, tmp_path, (servers[0].url, servers[1].url))
    assert {row["endpoint"] for row in run.rows} == {"baseline GET /ok", "candidate GET /slow"}
    assert run.slices == ()
    for server, side, path in zip(servers, SIDES, ("/ok", "/slow"), strict=True):
        assert set(server.seen) == {f"GET {path}"}
        assert len({row["connection"] for row in run.of(side)}) == USERS
        answered = [row for row in run.of(side) if row["error"] is None]
        assert len(answered) <= server.seen[f"GET {path}"] == len(run.of(side))
    opened, closed = run.time_of("window_opened"), run.time_of("window_closed")
    within = {side: [r for r in run.of(side) if opened <= r["received_ns"] < closed] for side in SIDES}
    assert all(within.values())
    # The slow side's requests last 50 ms; meanwhile the other's go on.
    slow = within["candidate"][0]
    assert any(slow["sent_ns"] < row["sent_ns"] < slow["received_ns"] for row in run.of("baseline"))


@pytest.mark.parametrize("first", SIDES)
def test_no_request_of_a_side_is_in_flight_in_the_others_slices(
    generator: GeneratorProcess,
    servers: tuple[FaultServer, FaultServer],
    tmp_path: Path,
    first: SideName,
) -> None:
    run = paired(generator, tmp_path, (servers[0].url, servers[1].url), slice_s=0.06, slices=4, first=first)
    order = SIDES if first == "baseline" else SIDES[::-1]
    assert [each.side for each in run.slices] == [order[turn] for turn in ABBA]
    assert all(one.end_ns <= two.start_ns for one, two in zip(run.slices, run.slices[1:], strict=False))
    assert run.time_of("window_opened") <= run.slices[0].start_ns
    assert run.slices[-1].end_ns <= run.time_of("window_closed")
    for each in run.slices:
        other = SIDES[1 - SIDES.index(each.side)]
        assert not [row for row in run.of(other) if row["sent_ns"] < each.end_ns and row["received_ns"] > each.start_ns]
        assert [row for row in run.of(each.side) if each.start_ns <= row["received_ns"] < each.end_ns]


def test_every_user_is_answered_before_its_slice_counts(
    generator: GeneratorProcess, servers: tuple[FaultServer, FaultServer], tmp_path: Path
) -> None:
    run = paired(generator, tmp_path, (servers[0].url, servers[1].url), ("/slow", "/slow"), slice_s=0.02, slices=4)
    turns = [0, *(each.end_ns for each in run.slices)]
    # BB of ABBA: there the side before is the same, and its users are all answered anew.
    for turn, each in enumerate(run.slices):
        answered = {
            row["connection"]
            for row in run.of(each.side)
            if turns[turn] <= row["received_ns"] <= each.start_ns and row["sent_ns"] >= turns[turn]
        }
        assert len(answered) == USERS


def test_thinking_users_send_in_slices_of_their_side_only(
    generator: GeneratorProcess, servers: tuple[FaultServer, FaultServer], tmp_path: Path
) -> None:
    run = paired(
        generator,
        tmp_path,
        (servers[0].url, servers[1].url),
        ("/ok", "/ok"),
        {"think_s": 0.03},
        slice_s=0.05,
        slices=4,
    )
    for each in run.slices:
        other = SIDES[1 - SIDES.index(each.side)]
        assert not [row for row in run.of(other) if each.start_ns <= row["sent_ns"] < each.end_ns]
        counted = [row for row in run.of(each.side) if each.start_ns <= row["received_ns"] < each.end_ns]
        assert {row["error"] for row in counted} == {None}


def test_the_canary_of_a_side_is_asked_in_its_slices_only_and_slices_end_without_a_wait(
    generator: GeneratorProcess, servers: tuple[FaultServer, FaultServer], tmp_path: Path
) -> None:
    run = paired(
        generator,
        tmp_path,
        (servers[0].url, servers[1].url),
        ("/slow", "/slow"),
        {"victim": "/ok"},
        slice_s=0.25,
        slices=2,
        has_canary=True,
    )
    for server, side, each in zip(servers, SIDES, run.slices, strict=True):
        asked = [row for row in run.rows if row["endpoint"] == f"{side} victim /ok"]
        assert server.seen["GET /ok"] == len(asked) > 2
        other = run.slices[1 - SIDES.index(side)]
        assert not [row for row in asked if other.start_ns <= row["sent_ns"] < other.end_ns]
        assert [row for row in asked if each.start_ns <= row["scheduled_ns"] < each.end_ns]
    assert not [event for event in run.events if event.phase == "drain"]


@pytest.mark.parametrize("rival", [{}, {"slice_s": 0.05, "slices": 4}], ids=["at once", "by turns"])
def test_a_refusing_side_is_all_errors_and_the_run_ends(
    generator: GeneratorProcess,
    servers: tuple[FaultServer, FaultServer],
    tmp_path: Path,
    rival: dict[str, Any],
) -> None:
    dead = f"http://127.0.0.1:{free_port()}"
    run = paired(generator, tmp_path, (servers[0].url, dead), **rival)
    assert {row["error"] for row in run.of("candidate")} <= {"refused", "unfinished"}
    assert run.of("candidate")
    assert [row for row in run.of("baseline") if row["error"] is None]
    assert len(run.slices) == rival.get("slices", 0)


def test_an_order_that_holds_warms_up_until_go(
    generator: GeneratorProcess, servers: tuple[FaultServer, FaultServer], tmp_path: Path
) -> None:
    events: list[Event] = []
    seen_at: dict[str, int] = {}

    def follow(event: Event) -> None:
        events.append(event)
        seen_at.setdefault(event.event, servers[0].seen["GET /slow"])
        # Progress is reported four times a second: the load goes on, and the window stays shut.
        if event.event == "progress" and "warm" in seen_at and "go" not in seen_at:
            seen_at["go"] = servers[0].seen["GET /slow"]
            generator.go()

    order = Order(
        url=servers[0].url,
        endpoints=tuple(get("/slow")),
        load=Load(**LOAD),
        holds=True,
        samples=str(tmp_path / "samples.arrow"),
    )
    done = generator.run(order, follow)
    names = [event.event for event in events if event.event != "progress"]
    assert names == ["warm", "window_opened", "window_closed", "done"]
    warm, opened = (each for each in events if each.event in {"warm", "window_opened"})
    phases = [e.phase for e in events if e.event == "progress" and e.phase == "warm-up"]
    assert phases
    assert seen_at["warm"] < seen_at["go"] <= seen_at["window_opened"]
    assert warm.time_ns < opened.time_ns
    assert done.figures is not None
    assert done.figures.users == USERS


def test_the_go_line_is_consumed_before_the_next_order(
    generator: GeneratorProcess, servers: tuple[FaultServer, FaultServer], tmp_path: Path
) -> None:
    for number in (1, 2):
        events: list[Event] = []

        def follow(event: Event, events: list[Event] = events) -> None:
            events.append(event)
            if event.event == "warm":
                generator.go()

        order = Order(
            url=servers[0].url,
            endpoints=tuple(get("/ok")),
            load=Load(**LOAD | {"measure_s": 0.05}),
            holds=True,
            samples=str(tmp_path / f"{number}.arrow"),
            processes=number,  # by workers, too: the master holds for them
        )
        assert generator.run(order, follow).rows > 0
        assert [event.event for event in events].count("warm") == 1
