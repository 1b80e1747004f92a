"""Whether production would have ended a server: each rule at its limits."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from support.fakes import EPOCH_NS, FakeRow, case_of, run_of, table_of

from loopwise.analysis.production import RULES, kills
from loopwise.analysis.rows import RunRows
from loopwise.model import Kill, Server, Window, Worker
from loopwise.results.columns import TELEMETRY

S = 1_000_000_000


def canary(due_s: float, took_s: float, error: str | None = None) -> FakeRow:
    received_ns, took_ns = int((due_s + took_s) * S), int(took_s * S)
    outcome: dict[str, Any] = {"status": 0, "error": error} if error else {}
    return FakeRow(received_ns, took_ns, "victim /health", scheduled_ns=int(due_s * S), **outcome)


def probes(until_s: float, took_s: float, error: str | None = None) -> list[FakeRow]:
    return [canary(at / 2, took_s, error) for at in range(int(2 * until_s))]


def found(
    rows: list[FakeRow],
    folder: Path,
    window_s: float = 30.0,
    server: Server | None = None,
    ended_s: float | None = None,
    alone_ms: float = 1.0,
    **columns: float,
) -> tuple[Kill, ...]:
    """Rules that fire; `ended_s`: a worker whose probe is silent from second 1 on has ended then."""
    sample = {"time_ns": EPOCH_NS + S, "pid": 7, "role": "server", **columns}
    until = [] if ended_s is None else [{"time_ns": EPOCH_NS + int(ended_s * S), "pid": 7, "role": "server"}]
    telemetry = pa.Table.from_pylist([sample, *until], schema=TELEMETRY)
    window = Window(start_ns=EPOCH_NS, end_ns=EPOCH_NS + int(window_s * S))
    worker = Worker(pid=7, cpu_s=1.0, fate="" if ended_s is None else "ended")
    run = run_of(
        case_of("c", server=server or Server()), window=window, workers=(worker,), alone_ms={"GET /x": alone_ms}
    )
    return kills(RunRows(table_of(rows, folder), run), telemetry)


GUNICORN, ASGI, TWO = Server(name="gunicorn"), Server(name="gunicorn-asgi"), Server(workers=2)
PATIENT = Server(workers=2, server_args=("--timeout-worker-healthcheck", "10"))
IMPATIENT = Server(workers=2, server_args=("--timeout-worker-healthcheck=1",))
SYNC, GTHREAD = (Server(name="gunicorn", interface="wsgi", threads=each) for each in (1, 4))
KILLED = ["gunicorn_timeout"]
TABLE: list[tuple[str, list[FakeRow], dict[str, Any], list[str]]] = [
    ("nothing happened", [], {}, []),
    ("a quick canary", probes(30, 0.9), {}, []),
    ("a canary that is always late", probes(30, 1.1), {}, ["liveness"]),
    ("a canary that always fails", probes(30, 0.1, "refused"), {}, ["liveness"]),
    ("late for less than three probes", [*probes(19, 1.1), *(canary(at, 0.1) for at in range(19, 30))], {}, []),
    ("late in a short window", probes(6, 1.1), {"window_s": 6.0}, ["liveness"]),
    ("late but once in a short window", [*probes(6, 1.1), canary(5.9, 0.1)], {"window_s": 6.0}, []),
    (
        "cut off before a second was over",
        [canary(at / 2, 0.5, "unfinished") for at in range(12)],
        {"window_s": 6.0},
        [],
    ),
    (
        "cut off after more than a second",
        [canary(at / 2, 1.5, "unfinished") for at in range(12)],
        {"window_s": 6.0},
        ["liveness"],
    ),
    ("a loop held for 14 s", [], {"server": GUNICORN, "loop_stall_max_ms": 14_900.0}, []),
    ("a loop held until a heartbeat may be due", [], {"server": GUNICORN, "loop_stall_max_ms": 15_100.0}, KILLED),
    ("a loop held for 30 s", [], {"server": GUNICORN, "loop_stall_max_ms": 30_100.0}, KILLED),
    ("the same with a heartbeat each second, 29 s", [], {"server": ASGI, "loop_stall_max_ms": 29_900.0}, []),
    ("the same with a heartbeat each second, 30 s", [], {"server": ASGI, "loop_stall_max_ms": 30_100.0}, KILLED),
    ("a worker that ended after 22 s", [], {"server": GUNICORN, "ended_s": 22.0, "loop_stall_max_ms": 900.0}, KILLED),
    ("a worker that ended after 12 s", [], {"server": GUNICORN, "ended_s": 12.0, "loop_stall_max_ms": 900.0}, []),
    ("a worker `sync` with a request of 31 s", [], {"server": SYNC, "alone_ms": 31e3}, KILLED),
    ("a worker `sync` with a request of 29 s", [], {"server": SYNC, "alone_ms": 29e3}, []),
    ("a worker `gthread` with a request of 31 s", [], {"server": GTHREAD, "alone_ms": 31e3}, []),
    ("the same under uvicorn", [], {"loop_stall_max_ms": 30_100.0}, []),
    ("an interpreter held for 5 s", [], {"server": TWO, "probe_late_ms": 5_100.0}, ["uvicorn_health"]),
    ("an interpreter held for less", [], {"server": TWO, "probe_late_ms": 4_900.0}, []),
    ("a patient supervisor", [], {"server": PATIENT, "probe_late_ms": 5_100.0}, []),
    ("an impatient supervisor", [], {"server": IMPATIENT, "probe_late_ms": 1_100.0}, ["uvicorn_health"]),
    ("a worker that ended in silence", [], {"server": TWO, "ended_s": 6.5, "probe_late_ms": 1.0}, ["uvicorn_health"]),
    ("a worker that ended sooner", [], {"server": TWO, "ended_s": 5.5, "probe_late_ms": 1.0}, []),
    ("the same with one worker", [], {"probe_late_ms": 5_100.0}, []),
    ("an answer after 60 s", [FakeRow(10 * S, 61 * S)], {}, ["balancer_timeout"]),
    ("an answer after 59 s", [FakeRow(10 * S, 59 * S)], {}, []),
]


@pytest.mark.parametrize(("rows", "facts", "rules"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_a_rule_fires_where_production_would_have(
    rows: list[FakeRow], facts: dict[str, Any], rules: list[str], tmp_path: Path
) -> None:
    assert [kill.rule for kill in found(rows, tmp_path, **facts)] == rules


def test_every_rule_has_a_case_in_which_it_fires() -> None:
    assert {rule for row in TABLE for rule in row[3]} == set(RULES)


def test_a_short_window_is_told_with_its_condition(tmp_path: Path) -> None:
    (kill,) = found(probes(6, 1.1), tmp_path, window_s=6.0)
    assert "would restart the server if this lasted for 20 s: all 12 canaries missed" in kill.evidence


@pytest.mark.parametrize(
    ("server", "facts", "words"),
    [
        (GUNICORN, {"loop_stall_max_ms": 20_000.0}, "may kill a worker: its loop was held for 20 s, and uvicorn"),
        (GUNICORN, {"loop_stall_max_ms": 31_000.0}, "would have killed a worker: its loop was held for 31 s"),
        (
            GUNICORN.model_copy(update={"timeouts": "production"}),
            {"ended_s": 22.0, "loop_stall_max_ms": 900.0},
            "has killed a worker: its loop was held for 22 s",
        ),
        (TWO, {"probe_late_ms": 6_000.0}, "(5 s) would have killed one: none of its threads could run for 6 s"),
        (TWO, {"ended_s": 7.0, "probe_late_ms": 1.0}, "(5 s) has killed one: none of its threads could run for 6 s"),
    ],
)
def test_what_has_killed_a_worker_and_what_would_have_are_told_apart(
    server: Server, facts: dict[str, Any], words: str, tmp_path: Path
) -> None:
    (kill,) = found([], tmp_path, server=server, **facts)
    assert words in kill.evidence
