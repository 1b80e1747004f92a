"""Shares, event loops and memory of workers in a window."""

from dataclasses import replace

import pytest

from loopwise.analysis.window import loop_figures, steady_growth, window_figures, worker_figures
from loopwise.results.columns import HOST_PID, Sample


def server(time_ns: int, pid: int, lags: dict[int, int] | None = None, **probe: float | None) -> Sample:
    return Sample(
        time_ns,
        pid,
        "server",
        time_ns / 1e9,
        rss_mb=50,
        threads=3,
        context_switches=9,
        probe=probe,
        lags=lags,
    )


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


def test_fates_tell_workers_that_ended_or_appeared_in_the_window() -> None:
    samples = worker_rows(7, 30) + worker_rows(8, 10, until_s=1.5) + worker_rows(9, 5)
    fates = {worker.pid: worker.fate for worker in worker_figures(samples, *WINDOW, pids=[7, 8])}
    assert fates == {7: "", 8: "ended", 9: "appeared"}


def test_worker_without_a_row_at_the_end_has_ended() -> None:
    samples = worker_rows(7, 30) + worker_rows(8, 10, until_s=2.9)
    fates = {worker.pid: worker.fate for worker in worker_figures(samples, *WINDOW, pids=[7, 8])}
    assert fates == {7: "", 8: "ended"}


def test_worker_without_any_row_has_ended() -> None:
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


def test_loop_figures_are_of_all_workers_or_the_most_blocked() -> None:
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
    # Workers of a WSGI app have no event loop: its figures are missing, never 0.
    assert loop_figures([server(1, 7, loop_stall_max_ms=None, gc_pause_max_ms=0.5)]) == {"gc_pause_max_ms": 0.5}


def test_samples_before_the_window_are_no_figure_of_it() -> None:
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


def process(time_ns: int, pid: int, cpu_s: float, rss_mb: float, threads: int = 1, switches: int = 0) -> Sample:
    return Sample(time_ns, pid, "server", cpu_s, rss_mb=rss_mb, threads=threads, context_switches=switches)


def host(time_ns: int, cpu_s: float, total_s: float, steal_s: float = 0.0) -> Sample:
    return Sample(time_ns, HOST_PID, "host", cpu_s, steal_s=steal_s, total_s=total_s)


SAMPLES = [
    host(0, 0.0, 0.0),
    process(0, 1, 0.0, 999.0),
    host(10, 10.0, 100.0, 1.0),
    process(10, 1, 1.0, 30.0, threads=4, switches=10),
    process(10, 2, 2.0, 40.0, threads=4, switches=100),
    host(20, 11.0, 102.0, 1.2),
    process(20, 1, 1.5, 50.0, threads=5, switches=15),
    process(20, 2, 2.5, 45.0, threads=6, switches=160),
    host(30, 13.0, 104.0, 1.4),
    process(30, 1, 1.7, 20.0, threads=3, switches=20),
    host(40, 99.0, 199.0, 99.0),
    process(40, 1, 99.0, 999.0),
]


def test_window_figures_are_differences_between_its_ends() -> None:
    assert window_figures(SAMPLES, 10, 30) == pytest.approx(
        {
            "steal_ratio": 0.1,
            "cpu_ratio": 0.75,
            "harness_pause_s": 1e-8,
            "server_cpu_s": 0.7 + 0.5,
            "server_rss_mb": 95.0,
            "server_rss_growth_mb": 0.0,
            "server_threads": 3 + 6,
            "server_context_switches": 10 + 60,
        }
    )


def test_shared_memory_is_that_at_the_end_of_the_processes_that_live() -> None:
    known = [replace(sample, pss_mb=sample.rss_mb) if sample.role == "server" else sample for sample in SAMPLES]
    assert window_figures(known, 10, 20)["server_pss_mb"] == 95.0
    assert window_figures(known, 10, 30)["server_pss_mb"] == 20.0
    assert "server_pss_mb" not in window_figures([*known[:-3], SAMPLES[9]], 10, 30)


def test_running_server_has_no_figures_but_the_machine_has() -> None:
    only_hosts = [sample for sample in SAMPLES if sample.role == "host"]
    assert set(window_figures(only_hosts, 10, 30)) == {"steal_ratio", "cpu_ratio", "harness_pause_s"}


def test_one_sample_is_no_difference() -> None:
    assert set(window_figures(SAMPLES, 10, 10)) == {
        *(
            "server_cpu_s",
            "server_rss_mb",
            "server_rss_growth_mb",
            "server_threads",
            "server_context_switches",
        )
    }
    assert window_figures([], 0, 10) == {}
    assert window_figures([host(1, 1.0, 5.0), host(2, 1.0, 5.0)], 0, 10)["cpu_ratio"] == 0.0
