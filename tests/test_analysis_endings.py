"""The end of a window: a server that stops or hangs inside it is told from one that is slow."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from support.fakes import case_of, run_of

from loopwise.analysis.assess import assess
from loopwise.analysis.checks import void_reason
from loopwise.analysis.endings import Ending, ending
from loopwise.analysis.rows import RunRows
from loopwise.model import Load, Run, Window
from loopwise.results.columns import SAMPLES

S = 1_000_000_000
USERS, WINDOW = 5, Window(start_ns=10 * S, end_ns=16 * S)


def row(sent_s: float, received_s: float, error: str | None = None, endpoint: str = "GET /x") -> dict[str, Any]:
    sent_ns, received_ns = int(sent_s * S), int(received_s * S)
    return {
        "scheduled_ns": None,
        "sent_ns": sent_ns,
        "received_ns": received_ns,
        "read_ns": received_ns,
        "endpoint": endpoint,
        "status": 200 if error is None else 0,
        "error": error,
        "bytes": 9,
        "connection": 1,
        "stamp": "kernel",
    }


def answers(until_s: float, service_s: float = 0.01, start_s: float = 9.0) -> list[dict[str, Any]]:
    """One answer after another until a time."""
    return [row(at, at + service_s) for at in np.arange(start_s, until_s - service_s, service_s)]


def hangs(since_s: float, given_up_s: float, count: int = USERS) -> list[dict[str, Any]]:
    return [row(since_s, given_up_s, "unfinished") for _ in range(count)]


def ending_of(rows: list[dict[str, Any]]) -> Ending:
    return ending(*_rows(rows)[1:])


def _rows(rows: list[dict[str, Any]]) -> tuple[pa.Table, RunRows, np.ndarray[Any, np.dtype[np.bool_]]]:
    table = pa.Table.from_pylist(rows, schema=SAMPLES)
    run = run_of(case_of("c", load=Load(users=USERS)), window=WINDOW)
    return table, RunRows(table, run), np.array([each["error"] == "unfinished" for each in rows], dtype=bool)


def assessed(rows: list[dict[str, Any]]) -> Run:
    table, of_run, _ = _rows(rows)
    return assess(of_run.run, table)[0]


def test_silence_is_counted_from_the_last_success_in_the_window() -> None:
    dead = [*answers(12.0), row(14.0, 15.0, "status_500"), row(17.0, 17.1)]
    assert ending_of(dead).silence_s == pytest.approx(4.0, abs=0.02)
    assert ending_of(answers(9.5)).silence_s == pytest.approx(6.0)
    assert ending_of(answers(16.5)).silence_s == pytest.approx(0.0, abs=0.02)


def test_the_canary_does_not_speak_for_the_load() -> None:
    canary = [row(at, at + 0.01, endpoint="victim /health") for at in np.arange(10.0, 16.0, 0.05)]
    assert ending_of(answers(12.0) + canary).silence_s == pytest.approx(4.0, abs=0.02)


def test_requests_cut_off_soon_after_the_window_do_not_hang() -> None:
    assert ending_of(answers(16.0) + hangs(15.995, 16.02)).hung == 0
    assert ending_of(answers(16.0, service_s=2.0) + hangs(13.0, 16.02)).hung == 0


def test_requests_that_wait_far_longer_than_any_answer_took_hang() -> None:
    found = ending_of(answers(15.0) + hangs(15.0, 18.0, count=2))
    assert (found.hung, found.endpoint) == (2, "GET /x")
    assert found.waited_s == pytest.approx(3.0)


@pytest.mark.parametrize("dead_from_s", [10.5, 13.0, 15.0])
def test_a_deadlock_voids_the_run_wherever_in_the_window_it_happens(dead_from_s: float) -> None:
    reason = void_reason(assessed(answers(dead_from_s) + hangs(dead_from_s, 19.0)).checks)
    assert reason is not None
    assert reason.startswith("hung: 5 requests of 5 users had no answer at the end")
    assert "lengthen" not in " ".join(check.detail for check in assessed(answers(10.1)).checks if check.name == "rows")


def test_a_load_that_ends_is_void_even_if_no_request_hangs() -> None:
    reason = void_reason(assessed(answers(12.0)).checks)
    assert reason is not None
    assert reason.startswith("stopped: no successful answer came in the last 4.0 s of the window of 6.0 s")


def test_a_route_slower_than_the_window_is_told_to_measure_longer() -> None:
    slow = [row(2.0, 9.0), row(9.0, 16.5)]
    assert void_reason(assessed(slow).checks) == "rows: only 0 answers came in the window; lengthen measure_s"


def test_a_window_of_which_half_is_empty_never_passes_as_steady() -> None:
    drift = next(check for check in assessed(answers(12.0)).checks if check.name == "drift")
    assert not drift.ok
    assert "no answer came in 6 of 10 parts of the window" in drift.detail
