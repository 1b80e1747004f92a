"""From rows to figures: which rows count, for which endpoint, and how far the tail is shown."""

from pathlib import Path
from typing import Any

import pytest
from support.fakes import EPOCH_NS, HOST, FakeRow, case_of, run_of, table_of

from loopwise.analysis.figures import RunFigures, figures_of
from loopwise.analysis.metrics import METRICS
from loopwise.analysis.rows import RunRows
from loopwise.model import TOTAL, Endpoint, Load, Run, Worker

MS = 1_000_000
SECOND = 1000 * MS


def closed(**options: Any) -> Run:
    return run_of(case_of("c", endpoints=(Endpoint(path="/"),)), **options)


def opened(**options: Any) -> Run:
    load = Load(model="open", rate_rps=100)
    return run_of(case_of("c", endpoints=(Endpoint(path="/"),), load=load), **options)


def found(rows: list[FakeRow], run: Run, folder: Path) -> RunFigures:
    return figures_of(RunRows(table_of(rows, folder), run))


def steady(count: int, endpoint: str = "GET /", service_ms: float = 5.0) -> list[FakeRow]:
    """Answers that arrive evenly over the window, the first at its start."""
    gap_ns = SECOND // count
    return [FakeRow(index * gap_ns, int(service_ms * MS), endpoint) for index in range(count)]


@pytest.mark.parametrize(
    ("received_ns", "counts"),
    [(-1, False), (0, True), (SECOND // 2, True), (SECOND - 1, True), (SECOND, False)],
)
def test_in_closed_load_answers_that_arrive_in_the_window_count(received_ns: int, counts: bool, tmp_path: Path) -> None:
    result = found([FakeRow(received_ns)], closed(), tmp_path)
    assert result.counts["rows"] == 1
    assert result.counts["window_rows"] == result.counts["ok"] == counts
    assert result.metrics["GET /", "throughput_rps"] == counts
    assert (("GET /", "service_time_p50_ms") in result.metrics) is counts


@pytest.mark.parametrize(
    ("due_ns", "received_ns", "latency_counts", "throughput_rps"),
    [
        (-1, 10 * MS, False, 1.0),
        (0, 10 * MS, True, 1.0),
        (SECOND - 1, SECOND + 900 * MS, True, 0.0),
        (SECOND, SECOND + 10 * MS, False, 0.0),
    ],
)
def test_in_open_load_requests_due_in_the_window_count(
    due_ns: int, received_ns: int, latency_counts: bool, throughput_rps: float, tmp_path: Path
) -> None:
    row = FakeRow(received_ns, 4 * MS, scheduled_ns=due_ns)
    result = found([row], opened(), tmp_path)
    assert result.metrics["GET /", "throughput_rps"] == throughput_rps
    assert (("GET /", "response_time_p50_ms") in result.metrics) is latency_counts
    if latency_counts:
        assert result.metrics["GET /", "service_time_p50_ms"] == 4.0
        assert result.metrics["GET /", "response_time_p50_ms"] == (received_ns - due_ns) / MS


def test_closed_load_has_no_response_time(tmp_path: Path) -> None:
    result = found(steady(50), closed(), tmp_path)
    assert not [metric for _, metric in result.metrics if metric.startswith("response_time")]


def test_latencies_are_exact_to_the_microsecond(tmp_path: Path) -> None:
    rows = [FakeRow(index * MS, service_ns) for index, service_ns in enumerate((1_001_000, 2_002_000, 3_003_000))]
    result = found(rows, closed(), tmp_path)
    assert result.metrics["GET /", "service_time_p50_ms"] == 2.002
    assert result.metrics["GET /", "service_time_mean_ms"] == pytest.approx(2.002)
    assert result.metrics["GET /", "service_time_p99_ms"] == 3.003
    assert result.metrics["GET /", "generator_lag_p99_ms"] == 0.02


def test_canary_rows_are_no_load_and_count_from_when_due(tmp_path: Path) -> None:
    victim = FakeRow(300 * MS, 2 * MS, "victim /health", scheduled_ns=250 * MS)
    failed = FakeRow(400 * MS, 2 * MS, "victim /health", scheduled_ns=100 * MS, status=0, error="timeout")
    alone, beside = (found(rows, closed(), tmp_path) for rows in (steady(50), [*steady(50), victim, failed]))
    assert beside.endpoint == "GET /"
    assert beside.metrics["GET /", "victim_p99_ms"] == 50.0
    assert beside.counts == alone.counts | {"rows": 52, "victim_rows": 2}
    assert {key: value for key, value in beside.metrics.items() if not key[1].startswith("victim_")} == alone.metrics
    assert {endpoint for endpoint, _ in beside.metrics} == {"GET /"}


def test_of_few_looks_the_median_tells_more_than_the_slowest(tmp_path: Path) -> None:
    looks = [
        FakeRow(due_ns + wait_ns, wait_ns, "victim /health", scheduled_ns=due_ns)
        for due_ns, wait_ns in ((100 * MS, 3 * MS), (150 * MS, 90 * MS), (200 * MS, 1 * MS))
    ]
    result = found([*steady(50), *looks], closed(), tmp_path)
    assert result.metrics["GET /", "victim_p50_ms"] == 3.0
    assert result.metrics["GET /", "victim_p99_ms"] == 90.0


@pytest.mark.parametrize(("count", "is_shown"), [(9_999, False), (10_000, True)])
def test_p999_is_shown_with_at_least_ten_rows_above_it(count: int, is_shown: bool, tmp_path: Path) -> None:
    result = found(steady(count), closed(), tmp_path)
    assert (("GET /", "service_time_p999_ms") in result.metrics) is is_shown
    assert ("GET /", "service_time_p99_ms") in result.metrics


def mix() -> Run:
    endpoints = (Endpoint(path="/a", weight=3), Endpoint(path="/b"))
    return run_of(case_of("c", endpoints=endpoints), host=HOST)


def test_a_mix_has_figures_per_endpoint_and_for_all(tmp_path: Path) -> None:
    rows = steady(75, "GET /a", service_ms=2) + steady(25, "GET /b", service_ms=8)
    result = found(rows, mix(), tmp_path)
    assert result.endpoint == TOTAL
    rates = {endpoint: result.metrics[endpoint, "throughput_rps"] for endpoint in ("GET /a", "GET /b", TOTAL)}
    assert rates == {"GET /a": 75, "GET /b": 25, TOTAL: 100}
    medians = [result.metrics[endpoint, "service_time_p50_ms"] for endpoint in ("GET /a", "GET /b", TOTAL)]
    assert medians == [2, 8, 2]
    assert result.metrics[TOTAL, "service_time_mean_ms"] == pytest.approx(3.5)
    whole = {metric for endpoint, metric in result.metrics if endpoint == TOTAL}
    assert {"rss_mb", "cpu_ms_per_request", "steal_ratio", "generator_lag_p99_ms"} <= whole
    assert ("GET /a", "rss_mb") not in result.metrics


def test_an_unanswered_endpoint_does_not_rename_the_whole(tmp_path: Path) -> None:
    result = found(steady(50, "GET /a"), mix(), tmp_path)
    assert result.endpoint == TOTAL
    assert result.metrics[TOTAL, "throughput_rps"] == 50
    assert result.metrics["GET /b", "throughput_rps"] == 0
    assert ("GET /b", "service_time_p50_ms") not in result.metrics


def test_a_script_has_the_endpoints_that_it_named(tmp_path: Path) -> None:
    case = case_of("c", endpoints=(Endpoint(path="/"),), scenario="/srv/journey.py")
    result = found([*steady(20, "GET /cart"), *steady(20, "POST /pay")], run_of(case), tmp_path)
    assert {endpoint for endpoint, _ in result.metrics} == {"GET /cart", "POST /pay", TOTAL}


def test_errors_are_no_throughput_and_no_latency_but_a_ratio(tmp_path: Path) -> None:
    bad = [FakeRow(row.received_ns, 900 * MS, status=500, error="status 500") for row in steady(10)]
    result = found(steady(30, service_ms=5) + bad, closed(), tmp_path)
    assert result.metrics["GET /", "throughput_rps"] == 30
    assert result.metrics["GET /", "error_ratio"] == 0.25
    assert result.metrics["GET /", "service_time_p99_ms"] == 5
    assert (result.counts["window_rows"], result.counts["ok"], result.counts["errors"]) == (40, 30, 10)


def test_an_expected_404_is_a_success_since_the_row_has_no_error(tmp_path: Path) -> None:
    run = run_of(case_of("c", endpoints=(Endpoint(path="/", expect_status=404),)))
    rows = [FakeRow(row.received_ns, status=404) for row in steady(30)]
    rows += [FakeRow(5 * MS, status=200, error="status 200")]
    result = found(rows, run, tmp_path)
    assert result.metrics["GET /", "throughput_rps"] == 30
    assert result.counts["errors"] == 1


@pytest.mark.parametrize("run", [closed(), opened(), mix()], ids=["closed", "open", "mix"])
def test_a_run_without_rows_has_throughput_zero_and_no_latency(run: Run, tmp_path: Path) -> None:
    result = found([], run, tmp_path)
    assert result.metrics[result.endpoint, "throughput_rps"] == 0
    assert not [metric for _, metric in result.metrics if "time" in metric]
    assert result.counts | {"rows": 0, "window_rows": 0, "ok": 0, "errors": 0} == result.counts


def test_a_run_without_a_window_has_only_its_number_of_rows(tmp_path: Path) -> None:
    result = found(steady(3), closed(window=None), tmp_path)
    assert (result.counts, result.metrics) == ({"rows": 3}, {})


def test_figures_of_the_machine_belong_to_the_whole_case(tmp_path: Path) -> None:
    run = closed(host=HOST, generator={"cpu_s": 0.9, "busiest_cpu_s": 0.3, "wall_s": 1.2})
    metrics = found(steady(50), run, tmp_path).metrics
    assert metrics["GET /", "cpu_ms_per_request"] == pytest.approx(HOST["server_cpu_s"] * 1000 / 50)
    assert metrics["GET /", "rss_mb"] == HOST["server_rss_mb"]
    assert metrics["GET /", "steal_ratio"] == HOST["steal_ratio"]
    assert metrics["GET /", "generator_cpu_ratio"] == pytest.approx(0.25)


def test_every_figure_is_a_known_metric(tmp_path: Path) -> None:
    due = [FakeRow(row.received_ns, row.service_ns, scheduled_ns=row.received_ns - 6 * MS) for row in steady(12_000)]
    victim = FakeRow(300 * MS, 2 * MS, "victim /health", scheduled_ns=250 * MS)
    run = opened(
        host=HOST | {"server_pss_mb": 40.0, "loop_lag_p99_ms": 2.0, "loop_stall_max_ms": 0.0},
        canary_idle_p99_ms=25.0,
        generator={"cpu_s": 0.3, "busiest_cpu_s": 0.3, "wall_s": 1.0},
        workers=(Worker(pid=1, requests=3, share=0.75), Worker(pid=2, requests=1, share=0.25)),
    )
    metrics = found([*due, victim], run, tmp_path).metrics
    assert {metric for _, metric in metrics} == set(METRICS)
    assert metrics["GET /", "victim_slowdown"] == 2.0
    assert EPOCH_NS > 2**53  # nanoseconds since the epoch are beyond float64, and came through exactly


@pytest.mark.parametrize(("shares", "expected"), [((0.7, 0.3), 0.7), ((1.0,), None), ((None, None), None), ((), None)])
def test_the_busiest_share_needs_several_probed_workers(
    shares: tuple[float | None, ...], expected: float | None, tmp_path: Path
) -> None:
    workers = tuple(Worker(pid=number, share=share) for number, share in enumerate(shares, 1))
    figures = found(steady(1_000), opened(workers=workers), tmp_path)
    assert figures.metrics.get((figures.endpoint, "worker_share_max")) == expected
