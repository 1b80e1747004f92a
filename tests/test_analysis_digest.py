"""What is kept of a run's rows: exact quantiles, a histogram that loses nothing, a time line of the window."""

import dataclasses
import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from support.fakes import EPOCH_NS, FakeRow, case_of, run_of, table_of

from loopwise.analysis.digest import (
    EDGES_MS,
    MAX_ENDPOINTS,
    MAX_STEPS,
    QUANTILES,
    TIMELINE,
    Digest,
    Latencies,
    digest,
)
from loopwise.analysis.rows import RunRows
from loopwise.analysis.stats import nearest_rank
from loopwise.model import TOTAL, Endpoint, Load, Run, Window
from loopwise.results.columns import TELEMETRY

MS = 1_000_000
SECOND = 1000 * MS
EMPTY = dict.fromkeys(TELEMETRY.names)


def closed(**options: Any) -> Run:
    return run_of(case_of("c", endpoints=(Endpoint(path="/"),)), **options)


def opened(**options: Any) -> Run:
    load = Load(model="open", rate_rps=100)
    return run_of(case_of("c", endpoints=(Endpoint(path="/"),), load=load), **options)


def found(rows: list[FakeRow], run: Run, folder: Path, telemetry: pa.Table | None = None) -> Digest:
    return digest(RunRows(table_of(rows, folder), run), telemetry)


def steady(count: int, endpoint: str = "GET /", service_ms: float = 5.0) -> list[FakeRow]:
    gap_ns = SECOND // count
    return [FakeRow(index * gap_ns, int(service_ms * MS), endpoint) for index in range(count)]


def scattered(count: int) -> list[FakeRow]:
    dice = random.Random(3)
    return [FakeRow(index * (SECOND // count), int(dice.lognormvariate(15, 1.5))) for index in range(count)]


def looks(*rows: dict[str, Any]) -> pa.Table:
    """Telemetry rows; `at_ms` counts from the window's start."""
    made = []
    for row in rows:
        rest = {name: value for name, value in row.items() if name != "at_ms"}
        made.append(EMPTY | {"cpu_s": 0.0, "time_ns": EPOCH_NS + int(row["at_ms"] * MS)} | rest)
    return pa.Table.from_pylist(made, schema=TELEMETRY)


def test_quantiles_are_exact_nearest_ranks_of_the_rows(tmp_path: Path) -> None:
    rows = scattered(2_000)
    kept = found(rows, closed(), tmp_path).service["GET /"]
    ascending = np.sort(np.array([row.service_ns / 1e6 for row in rows]))
    quantiles, values = kept.curve()
    assert kept.rows == 2_000
    assert [nearest_rank(ascending, float(q)) for q in quantiles] == values.tolist()
    assert {0.0, 0.5, 0.99, 0.995, 1.0} <= set(quantiles.tolist())


@pytest.mark.parametrize(("count", "furthest"), [(500, 0.99), (5_000, 0.998), (10_000, 0.999), (100_000, 0.9999)])
def test_the_tail_is_shown_as_far_as_ten_rows_lie_above(count: int, furthest: float, tmp_path: Path) -> None:
    quantiles, _ = found(steady(count), closed(), tmp_path).service["GET /"].curve()
    assert quantiles[-2:].tolist() == [furthest, 1.0]


def test_the_grid_rises_from_the_fastest_to_the_slowest(tmp_path: Path) -> None:
    assert list(QUANTILES) == sorted(set(QUANTILES))
    assert (QUANTILES[0], QUANTILES[-2], QUANTILES[-1]) == (0.0, 0.99999, 1.0)
    rows = [*steady(98, service_ms=5), FakeRow(3, 1 * MS), FakeRow(5, 90 * MS)]
    _, values = found(rows, closed(), tmp_path).service["GET /"].curve()
    assert (values[0], values[-1]) == (1.0, 90.0)


def test_a_histogram_holds_every_row_in_the_bin_of_its_latency(tmp_path: Path) -> None:
    rows = [*scattered(3_000), FakeRow(7, 100), FakeRow(9, 500 * SECOND)]
    counts = found(rows, closed(), tmp_path).service["GET /"].counts
    clipped = np.clip([row.service_ns / 1e6 for row in rows], EDGES_MS[0], np.nextafter(EDGES_MS[-1], 0))
    assert counts.tolist() == np.histogram(clipped, EDGES_MS)[0].tolist()
    assert counts.sum() == 3_002
    assert counts[0] == counts[-1] == 1


def test_in_open_load_service_and_response_time_are_kept_apart(tmp_path: Path) -> None:
    rows = [FakeRow(at * MS, 4 * MS, scheduled_ns=(at - 30) * MS) for at in range(100, 900)]
    kept = found(rows, opened(), tmp_path)
    assert set(kept.service["GET /"].curve()[1].tolist()) == {4.0}
    assert set(kept.response["GET /"].curve()[1].tolist()) == {30.0}
    assert kept.kind == "response"
    assert kept.timeline["p50_ms"].dropna().unique().tolist() == [30.0]


def test_in_closed_load_there_is_no_response_time(tmp_path: Path) -> None:
    kept = found(steady(100), closed(), tmp_path)
    assert kept.response == {}
    assert kept.kind == "service"


def test_errors_and_the_canary_are_in_no_distribution_or_rate(tmp_path: Path) -> None:
    rows = steady(100)
    rows += [FakeRow(150 * MS, 900 * MS, status=500, error="status_500")] * 3
    rows += [FakeRow(250 * MS, 2 * MS, "victim /health", scheduled_ns=240 * MS)]
    kept = found(rows, closed(), tmp_path)
    assert list(kept.service) == ["GET /"]
    assert kept.service["GET /"].rows == 100
    assert kept.timeline["rate_rps"].tolist() == pytest.approx([100.0] * 10)
    assert kept.timeline["errors_rps"].tolist() == pytest.approx([0, 30, *[0] * 8])


def test_a_mix_has_the_whole_first_and_then_its_endpoints(tmp_path: Path) -> None:
    run = run_of(case_of("c", endpoints=(Endpoint(path="/a"), Endpoint(path="/b"))))
    kept = found([*steady(75, "GET /a", 2), *steady(25, "GET /b", 8)], run, tmp_path)
    assert kept.endpoint == TOTAL
    assert [(name, each.rows) for name, each in kept.service.items()] == [
        (TOTAL, 100),
        ("GET /a", 75),
        ("GET /b", 25),
    ]


def test_of_many_endpoints_the_busiest_and_the_whole_are_kept(tmp_path: Path) -> None:
    run = run_of(case_of("c", scenario="/srv/journey.py"))
    rows = [row for number in range(60) for row in steady(number + 1, f"GET /{number:02}")]
    kept = found(rows, run, tmp_path)
    assert list(kept.service) == [TOTAL, *(f"GET /{number}" for number in range(60 - MAX_ENDPOINTS, 60))]
    assert kept.service[TOTAL].rows == len(rows)


@pytest.mark.parametrize(
    ("window_s", "steps"), [(0.04, 1), (0.5, 5), (1.0, 10), (12.0, 120), (12.1, MAX_STEPS), (3600, MAX_STEPS)]
)
def test_a_time_line_has_ten_steps_a_second_up_to_a_maximum(window_s: float, steps: int, tmp_path: Path) -> None:
    end_ns = EPOCH_NS + int(window_s * 1e9)
    run = closed(window=Window(start_ns=EPOCH_NS, end_ns=end_ns))
    line = found(steady(100), run, tmp_path).timeline
    assert list(line.columns) == list(TIMELINE)
    assert len(line) == steps
    width_s = window_s / steps
    assert line["second"].tolist() == pytest.approx([(index + 0.5) * width_s for index in range(steps)])
    answered = sum(row.received_ns < window_s * 1e9 for row in steady(100))
    assert (line["rate_rps"] * width_s).sum() == pytest.approx(answered)


def test_each_step_has_the_percentiles_of_its_own_rows(tmp_path: Path) -> None:
    rows = [FakeRow(at * MS, (1 if at < 500 else 8) * MS) for at in range(0, 1000, 2) if not 200 <= at < 300]
    rows[3] = dataclasses.replace(rows[3], service_ns=70 * MS)
    line = found(rows, closed(), tmp_path).timeline
    assert line["p50_ms"].fillna(-1).tolist() == [1, 1, -1, 1, 1, 8, 8, 8, 8, 8]
    assert line["p99_ms"].fillna(-1).tolist() == [70, 1, -1, 1, 1, 8, 8, 8, 8, 8]


def test_pools_are_summed_over_workers_and_the_worst_lag_kept(tmp_path: Path) -> None:
    pools = {"limiter_busy": 30, "limiter_queued": 5, "executor_busy": 1, "in_flight": 7, "rss_mb": 50.0}
    one = {"role": "server", "pid": 7, "loop_lag_max_ms": 2.0, **pools}
    two = {"role": "server", "pid": 8, "loop_lag_max_ms": 90.0, **pools, "limiter_busy": 10}
    silent = {"role": "server", "pid": 6, "rss_mb": 20.0}
    table = looks(
        {"at_ms": -50, **one, "limiter_busy": 1000},
        *({"at_ms": 60, **row} for row in (silent, one, two)),
        *({"at_ms": 100, **row} for row in (silent, two)),
        *({"at_ms": 150, **row} for row in (silent, one)),
    )
    line = found(steady(100), closed(), tmp_path, table).timeline
    first, second, third = (line.iloc[index] for index in range(3))
    assert first["pool_busy"] == pytest.approx((40 + 10) / 2)
    assert (first["pool_waiting"], first["in_flight"], first["rss_mb"]) == (7.5, 10.5, 95.0)
    assert (first["loop_lag_ms"], second["loop_lag_ms"]) == (90.0, 2.0)
    assert (second["pool_busy"], second["executor_busy"]) == (30.0, 1.0)
    assert third[["pool_busy", "loop_lag_ms", "rss_mb"]].isna().all()
    assert line["process_pool_busy"].isna().all()


def test_shares_of_the_machine_come_from_its_counters(tmp_path: Path) -> None:
    host = {"role": "host", "pid": 0}
    table = looks(
        {"at_ms": 0, **host, "cpu_s": 10.0, "steal_s": 1.0, "total_s": 50.0},
        {"at_ms": 500, **host, "cpu_s": 10.8, "steal_s": 1.0, "total_s": 51.0},
        {"at_ms": 1000, **host, "cpu_s": 11.0, "steal_s": 1.5, "total_s": 52.0},
    )
    line = found(steady(100), closed(), tmp_path, table).timeline
    assert line["cpu_ratio"].tolist() == pytest.approx([0.8] * 5 + [0.2] * 5)
    assert line["steal_ratio"].tolist() == pytest.approx([0.0] * 5 + [0.5] * 5, abs=1e-9)
    assert line["pool_busy"].isna().all()


def test_telemetry_that_lacks_columns_gives_the_rest(tmp_path: Path) -> None:
    table = looks({"at_ms": 50, "role": "server", "pid": 7, "rss_mb": 40.0}).select(
        ["time_ns", "pid", "role", "cpu_s", "rss_mb"]
    )
    line = found(steady(100), closed(), tmp_path, table).timeline
    assert line["rss_mb"][0] == 40.0
    assert line[["loop_lag_ms", "pool_busy", "cpu_ratio"]].isna().all(axis=None)


def test_without_telemetry_the_time_line_knows_the_rows_alone(tmp_path: Path) -> None:
    line = found(steady(100), closed(), tmp_path).timeline
    known = {name for name in TIMELINE if line[name].notna().all()}
    assert known == {"second", "rate_rps", "p50_ms", "p99_ms", "errors_rps"}


@pytest.mark.parametrize("run", [closed(), opened()], ids=["closed", "open"])
def test_a_run_without_rows_has_a_digest_that_says_so(run: Run, tmp_path: Path) -> None:
    kept = found([], run, tmp_path)
    latencies = kept.service["GET /"]
    assert (latencies.rows, latencies.counts.sum(), latencies.curve()[0].size) == (0, 0, 0)
    assert kept.timeline["rate_rps"].tolist() == [0.0] * 10
    assert kept.timeline["p99_ms"].isna().all()


def test_the_size_of_a_digest_is_bounded(tmp_path: Path) -> None:
    run = run_of(
        case_of("c", scenario="/srv/journey.py", load=Load(model="open")),
        window=Window(start_ns=EPOCH_NS, end_ns=EPOCH_NS + 100 * SECOND),
    )
    rows = [FakeRow(at * MS, 5 * MS, f"GET /{at % 300}", scheduled_ns=at * MS) for at in range(0, 30_000, 3)]
    kept = found(rows, run, tmp_path)

    def size(latencies: Latencies) -> int:
        return int(latencies.counts.nbytes + latencies.quantiles_ms.nbytes)

    largest = size(kept.service[TOTAL])
    assert largest < 5_000
    assert len(kept.service) == len(kept.response) == MAX_ENDPOINTS + 1
    assert kept.timeline.memory_usage().sum() < 20_000
    assert math.isclose(sum(map(size, kept.service.values())), largest * (MAX_ENDPOINTS + 1))
