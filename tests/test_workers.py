"""What probes wrote and what was seen from outside, joined; shares, loops and memory of workers in a window."""

import json
from pathlib import Path
from typing import Any

import pytest

from loopwise.analysis.workers import loop_figures, steady_growth, window_figures, worker_figures
from loopwise.results.columns import TELEMETRY, Sample
from loopwise.servers import probe_logs as probes
from loopwise.servers.telemetry import join


def line(time_ns: int, done: int = 0, **figures: Any) -> dict[str, Any]:
    """A probe's line, as target_app/instruments.py writes it."""
    return {
        "time_ns": time_ns,
        "late_ms": 0.1,
        "lags": {"5": 10},
        "lag_max_ms": 1.0,
        "stall_ms": 0.0,
        "blocked_s": 0.0,
        "loop_cpu_s": 0.1,
        "loop_wait_s": 0.0,
        "limiter": [40, 3, 0],
        "executor": None,
        "gauges": {},
        "started": done + 2,
        "done": done,
        "gc_max_ms": 0.0,
        "gc_s": 0.0,
    } | figures


def server(time_ns: int, pid: int, **figures: Any) -> Sample:
    return Sample(
        time_ns, pid, "server", time_ns / 1e9, rss_mb=50.0, threads=3, context_switches=9, **figures
    )


def written(
    folder: Path, *lines: dict[str, Any], pid: int = 7, tail: str = ""
) -> dict[int, list[probes.Look]]:
    (folder / f"{pid}.jsonl").write_text("".join(json.dumps(each) + "\n" for each in lines) + tail)
    return probes.read(folder)


def test_a_line_cut_off_by_a_kill_is_left_out(tmp_path: Path) -> None:
    looks = written(tmp_path, line(10), line(20), tail='{"time_ns": 30, "la')
    assert [look.time_ns for look in looks[7]] == [10, 20]


def test_a_probe_that_wrote_nothing_whole_is_not_there(tmp_path: Path) -> None:
    assert written(tmp_path, tail='{"time_ns"') == {}
    assert probes.read(tmp_path / "nowhere") == {}


def test_looks_are_joined_to_the_next_sample_of_their_process(tmp_path: Path) -> None:
    looks = written(
        tmp_path,
        line(5, 1, stall_ms=60.0, lags={"5": 1}),
        line(9, 4, stall_ms=50.0, lags={"5": 2, "9": 1}),
        line(15, 9),
        line(99, 500),
    )
    samples = [server(10, 7), server(10, 8), server(20, 7), server(30, 7)]
    first, other, second, last = join(samples, looks)
    assert (first.requests_done, first.in_flight) == (4, 2)
    assert first.loop_stall_max_ms == 60.0
    assert first.lags == {5: 3, 9: 1}
    assert (first.limiter_max, first.limiter_busy, first.limiter_queued) == (40, 3, 0)
    assert (first.executor_max, first.process_pool_busy) == (None, None)
    assert second.requests_done == 9
    assert other == samples[1]
    assert last == samples[3]


def test_every_figure_of_a_look_has_a_column(tmp_path: Path) -> None:
    (look,) = written(tmp_path, line(5, gauges={"process_pool": [2, 2, 7]}))[7]
    columns = probes.gather([look], [10])[10]
    assert set(columns) - {"lags"} <= set(TELEMETRY.names)
    assert columns["process_pool_queued"] == 7


def test_a_gauge_of_another_name_is_no_column(tmp_path: Path) -> None:
    (look,) = written(tmp_path, line(5, gauges={"lift": [2, 2, 7]}))[7]
    assert set(probes.gather([look], [10])[10]) - {"lags"} <= set(TELEMETRY.names)


SECOND = 1_000_000_000
WINDOW = (1 * SECOND, 3 * SECOND)


def worker_rows(pid: int, done_per_s: int, until_s: float = 3.2) -> list[Sample]:
    times = [at * SECOND // 10 for at in range(33) if at <= until_s * 10]
    return [server(at, pid, requests_done=at * done_per_s // SECOND, lags={5: 25}) for at in times]


def test_shares_are_of_the_requests_in_the_window() -> None:
    samples = worker_rows(7, 30) + worker_rows(8, 10)
    first, second = worker_figures(samples, *WINDOW, pids=[7, 8])
    assert (first.requests, first.share, first.fate) == (60, 0.75, "")
    assert (second.requests, second.share) == (20, 0.25)
    assert first.cpu_s == pytest.approx(2.0)


def test_a_worker_that_went_or_came_is_told_from_one_that_stayed() -> None:
    samples = worker_rows(7, 30) + worker_rows(8, 10, until_s=1.5) + worker_rows(9, 5)
    fates = {worker.pid: worker.fate for worker in worker_figures(samples, *WINDOW, pids=[7, 8])}
    assert fates == {7: "", 8: "ended", 9: "appeared"}


def test_a_worker_that_went_just_before_the_window_closed_is_gone() -> None:
    samples = worker_rows(7, 30) + worker_rows(8, 10, until_s=2.9)
    fates = {worker.pid: worker.fate for worker in worker_figures(samples, *WINDOW, pids=[7, 8])}
    assert fates == {7: "", 8: "ended"}


def test_a_worker_that_was_never_seen_is_gone() -> None:
    found = worker_figures(worker_rows(7, 30), *WINDOW, pids=[7, 8])
    assert [(worker.pid, worker.requests, worker.fate) for worker in found] == [
        (7, 60, ""),
        (8, None, "ended"),
    ]


def test_without_probes_workers_have_cpu_and_no_requests() -> None:
    samples = [server(at * SECOND // 10, 7) for at in range(33)]
    (worker,) = worker_figures(samples, *WINDOW, pids=[7])
    assert (worker.requests, worker.share, worker.fate) == (None, None, "")
    assert worker.cpu_s == pytest.approx(2.0)


def test_no_requests_are_no_shares() -> None:
    found = worker_figures(worker_rows(7, 0) + worker_rows(8, 0), *WINDOW, pids=[7, 8])
    assert [(worker.requests, worker.share) for worker in found] == [(0, None), (0, None)]


def test_a_server_that_already_ran_has_no_workers() -> None:
    assert worker_figures(worker_rows(7, 10), *WINDOW, pids=[]) == ()
    assert worker_figures([], *WINDOW, pids=[7]) == ()


def test_figures_of_the_loops_are_of_all_workers_and_the_most_blocked_one() -> None:
    samples = [
        server(1 * SECOND, 7, lags={10: 90}, loop_stall_max_ms=3.0, loop_blocked_s=1.0, gc_pause_max_ms=0.5),
        server(3 * SECOND, 7, lags={10: 9}, loop_stall_max_ms=52.0, loop_blocked_s=1.5, gc_pause_max_ms=0.0),
        server(1 * SECOND, 8, lags={20: 1}, loop_stall_max_ms=1.0, loop_blocked_s=0.0, gc_pause_max_ms=0.0),
        server(3 * SECOND, 8, lags={20: 0}, loop_stall_max_ms=1.0, loop_blocked_s=0.1, gc_pause_max_ms=0.0),
    ]
    assert loop_figures(samples) == {
        "loop_lag_p99_ms": 0.01,
        "loop_stall_max_ms": 52.0,
        "loop_blocked_ratio": 0.25,
        "gc_pause_max_ms": 0.5,
    }
    assert loop_figures([server(1, 7)]) == {}


def test_what_was_seen_before_the_window_is_no_figure_of_it() -> None:
    samples = [server(SECOND, 7, lags={500: 9}, loop_stall_max_ms=99.0), *worker_rows(7, 5)[11:30]]
    assert window_figures(samples, *WINDOW)["loop_stall_max_ms"] == 0.0


@pytest.mark.parametrize(
    ("values", "growth"),
    [
        ([1, 2, 3, 4, 5], 4),
        ([10, 11, 20, 21, 30, 31, 40, 41, 50, 51], 40),
        ([5, 4, 3, 2, 1], 0),
        ([1, 2, 3, 3, 3], 0),
        ([1, 9, 9, 9, 9.5], 0),
        ([1, 2, 3, 4], 0),
        ([], 0),
    ],
)
def test_growth_is_steady_or_none(values: list[float], growth: float) -> None:
    assert steady_growth(values) == growth
