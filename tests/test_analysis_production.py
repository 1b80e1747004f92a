"""Whether production would have ended a server: each rule at its limits."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from support.fakes import EPOCH_NS, FakeRow, case_of, run_of, table_of

from loopwise.analysis.production import RULES, kills
from loopwise.analysis.rows import RunRows
from loopwise.model import Kill, Server, Window
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
    **columns: float,
) -> tuple[Kill, ...]:
    sample = {"time_ns": EPOCH_NS + S, "pid": 7, "role": "server", **columns}
    telemetry = pa.Table.from_pylist([sample], schema=TELEMETRY)
    window = Window(start_ns=EPOCH_NS, end_ns=EPOCH_NS + int(window_s * S))
    run = run_of(case_of("c", server=server or Server()), window=window)
    return kills(RunRows(table_of(rows, folder), run), telemetry)


GUNICORN, TWO = Server(name="gunicorn"), Server(workers=2)
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
    ("a loop held for 29 s", [], {"server": GUNICORN, "loop_stall_max_ms": 29_900.0}, []),
    ("a loop held for 30 s", [], {"server": GUNICORN, "loop_stall_max_ms": 30_100.0}, ["gunicorn_timeout"]),
    ("the same under uvicorn", [], {"loop_stall_max_ms": 30_100.0}, []),
    ("an interpreter held for 5 s", [], {"server": TWO, "probe_late_ms": 5_100.0}, ["uvicorn_health"]),
    ("an interpreter held for less", [], {"server": TWO, "probe_late_ms": 4_900.0}, []),
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
