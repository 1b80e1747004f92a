"""Lines of the app at which threads, tasks and loops stood, in the evidence of causes."""

from dataclasses import replace
from typing import Any

import pytest

from loopwise.analysis.causes import rank
from loopwise.analysis.signals import PoolSignals, Signals, Standstill, WorkerSignals
from loopwise.model import StandKind, WaitPlace

IDLE = WorkerSignals(share=1.0, cpu_ratio=0.2, wait_ratio=0.0, held_ratio=0.0, stall_ms=4.2)


def stands(kind: StandKind, line: int, count: float, share: float, call: str = "with lock") -> WaitPlace:
    return WaitPlace(place=f"llm.py:{line}", function="f", call=call, kind=kind, count=count, share=share)


STOOD = (
    stands("thread", 12, 33.4, 0.88),
    stands("thread", 13, 4.6, 0.12, "time.sleep"),
    stands("thread", 14, 0.5, 0.01),
    stands("task", 40, 60, 1.0, "to_thread.run_sync"),
    stands("loop", 5, 0.6, 0.6, "time.sleep"),
    stands("loop", 6, 0.2, 0.2, ""),
)


def run(*workers: dict[str, Any], **figures: Any) -> Signals:
    """A run of workers that differ from an idle one as given."""
    found = tuple(replace(IDLE, share=1 / max(1, len(workers)), **each) for each in workers or ({},))
    return replace(Signals(workers=found, waits_at=STOOD), **figures)


def full(places: int = 40, pool: str = "limiter") -> dict[str, Any]:
    return {"pools": {pool: PoolSignals(full_ratio=1.0, places=places, queued=9)}}


@pytest.mark.parametrize(
    ("evidence", "words"),
    [
        (run(full()), "; 33 of 40 threads stood at `with lock` (llm.py:12), 5 at `time.sleep` (llm.py:13)"),
        (run(full(), served_at_once=5.0), "; 33 of 40 threads stood at `with lock` (llm.py:12), 5 at"),
        (run(full(), full()), "; 33 of 80 threads stood at"),
        (run(full(30, "executor")), "; 30 of 30 threads stood at"),
        (run(low_ms=200.0, alone_ms=20.0), "; 60 of 60 tasks stood at `to_thread.run_sync` (llm.py:40)"),
        (run(full(4, "dependency_pool")), "; 60 of 60 tasks stood at"),
        (run(full(), standstill=Standstill(0.4, 0.8, 40, 4)), "; 33 of 40 threads stood at"),
        (run({"held_ratio": 0.84}), "; held at `time.sleep` (llm.py:5) and llm.py:6"),
    ],
)
def test_a_cause_tells_where_the_app_stood(evidence: Signals, words: str) -> None:
    assert words in rank(evidence)[0].evidence
    assert "llm.py" not in rank(replace(evidence, waits_at=()))[0].evidence


@pytest.mark.parametrize(
    "evidence",
    [
        run({"cpu_ratio": 0.97}),
        run(rss_growth_mb=30.0, rss_mb=60.0),
        run({"held_ratio": 0.84}, waits_at=(stands("loop", 5, 0.1, 0.1),)),
        run(full(), waits_at=(stands("thread", 12, 0.4, 1.0),)),
        run(full(), waits_at=STOOD[3:]),
    ],
)
def test_lines_that_explain_nothing_are_not_told(evidence: Signals) -> None:
    assert "llm.py" not in rank(evidence)[0].evidence
