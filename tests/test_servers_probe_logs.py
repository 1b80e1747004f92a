"""Probe logs, parsed and joined with samples of processes: how every column of telemetry is merged."""

import json
from pathlib import Path
from typing import Any

import pytest
from support.docs import rows, text_of

from loopwise.results.columns import SAMPLE_COLUMNS, TELEMETRY, TELEMETRY_COLUMNS, Column, ProbeLine, Sample
from loopwise.servers import probe_logs


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
        "native_threads": 0,
        "native_cpu_s": 0.0,
        "native_wait_s": 0.0,
        "limiter": [40, 3, 0],
        "executor": None,
        "gauges": {},
        "started": done + 2,
        "done": done,
        "gc_max_ms": 0.0,
        "gc_s": 0.0,
    } | figures


def server(time_ns: int, pid: int) -> Sample:
    return Sample(time_ns, pid, "server", time_ns / 1e9, rss_mb=50, threads=3, context_switches=9)


def written(folder: Path, *lines: dict[str, Any], tail: str = "") -> dict[int, list[ProbeLine]]:
    """The lines of process 7, read again."""
    (folder / "7.jsonl").write_text("".join(json.dumps(each) + "\n" for each in lines) + tail)
    return probe_logs.read(folder)


def test_line_cut_off_by_a_kill_is_left_out(tmp_path: Path) -> None:
    logs = written(tmp_path, line(10), line(20), tail='{"time_ns": 30, "la')
    assert [each["time_ns"] for each in logs[7]] == [10, 20]


def test_probe_without_a_whole_line_has_no_log(tmp_path: Path) -> None:
    assert written(tmp_path, tail='{"time_ns"') == {}
    assert probe_logs.read(tmp_path / "nowhere") == {}


def test_lines_are_joined_to_the_next_sample_of_their_process(tmp_path: Path) -> None:
    logs = written(tmp_path, line(5, 1), line(9, 4), line(15, 9), line(99, 500))
    samples = [server(10, 7), server(10, 8), server(20, 7), server(30, 7)]
    first, other, second, final = probe_logs.join(samples, logs)
    assert (first.probe["requests_done"], second.probe["requests_done"]) == (4, 9)
    assert first.lags == {5: 20}
    assert (other, final) == (samples[1], samples[3])


# column -> what its probe lines hold, in order of time, and what they are merged to
MERGED: dict[str, tuple[list[dict[str, Any]], float | None]] = {
    "loop_lag_p50_ms": ([{"lags": {"20": 3}}, {"lags": {"5": 2, "9": 1}}], 0.009),
    "loop_lag_p99_ms": ([{"lags": {"20": 3}}, {"lags": {"5": 2, "9": 1}}], 0.020),
    "loop_lag_max_ms": ([{"lag_max_ms": 3.0}, {"lag_max_ms": 2.0}], 3.0),
    "loop_stall_max_ms": ([{"stall_ms": 60.0}, {"stall_ms": 50.0}], 60.0),
    "loop_blocked_s": ([{"blocked_s": 0.1}, {"blocked_s": 0.3}], 0.3),
    "loop_cpu_s": ([{"loop_cpu_s": 0.1}, {"loop_cpu_s": 0.2}], 0.2),
    "loop_wait_s": ([{"loop_wait_s": 0.1}, {"loop_wait_s": None}], None),
    "native_threads": ([{"native_threads": 4}, {"native_threads": 2}], 4),
    "native_cpu_s": ([{"native_cpu_s": 0.1}, {"native_cpu_s": 0.2}], 0.2),
    "native_wait_s": ([{"native_wait_s": 0.1}, {"native_wait_s": None}], None),
    "limiter_max": ([{"limiter": [40, 1, 0]}, {"limiter": [50, 3, 7]}], 50),
    "limiter_busy": ([{"limiter": [40, 9, 0]}, {"limiter": [50, 3, 7]}], 3),
    "limiter_queued": ([{"limiter": [40, 1, 9]}, {"limiter": [50, 3, 7]}], 7),
    "executor_max": ([{"executor": [6, 1, 0]}, {"executor": None}], None),
    "executor_busy": ([{"executor": None}, {"executor": [6, 2, 0]}], 2),
    "executor_queued": ([{"executor": None}, {"executor": [6, 2, 0]}], 0),
    "process_pool_max": ([{"gauges": {}}, {"gauges": {"process_pool": [2, 1, 7]}}], 2),
    "process_pool_busy": ([{"gauges": {"process_pool": [2, 1, 7]}}], 1),
    "process_pool_queued": ([{"gauges": {"process_pool": [2, 1, 7]}}], 7),
    "dependency_pool_max": ([{"gauges": {"dependency_pool": [9, 8, 5]}}], 9),
    "dependency_pool_busy": ([{"gauges": {"dependency_pool": [9, 8, 5], "lift": [1, 1, 1]}}], 8),
    "dependency_pool_queued": ([{"gauges": {"process_pool": [9, 8, 5]}}], None),
    "in_flight": ([{"started": 9, "done": 1}, {"started": 9, "done": 4}], 5),
    "requests_done": ([{"done": 1}, {"done": 4}], 4),
    "gc_pause_s": ([{"gc_s": 0.1}, {"gc_s": 0.2}], 0.2),
    "gc_pause_max_ms": ([{"gc_max_ms": 4.0}, {"gc_max_ms": 1.0}], 4.0),
    "probe_late_ms": ([{"late_ms": 4.0}, {"late_ms": 1.0}], 4.0),
}


@pytest.mark.parametrize(
    "column", [each for each in TELEMETRY_COLUMNS if each.merge], ids=lambda column: str(column.name)
)
def test_column_of_the_probe_is_merged_as_its_meaning_says(column: Column, tmp_path: Path) -> None:
    lines, merged = MERGED[column.name]
    logs = written(tmp_path, *(line(at, **figures) for at, figures in enumerate(lines)))
    (sample,) = probe_logs.join([server(10, 7)], logs)
    assert sample.probe[column.name] == pytest.approx(merged)


def test_sample_of_a_worker_fills_every_column_in_order(tmp_path: Path) -> None:
    (sample,) = probe_logs.join([server(10, 7)], written(tmp_path, line(5)))
    assert list(sample.row()) == TELEMETRY.names


def test_resources_of_the_window_are_merged_by_worker_and_line(tmp_path: Path) -> None:
    def pool(busy: int, waiting: int, wait_ms: float, at: str = "api.py:9") -> list[object]:
        return ["pool", "QueuePool", "db.py:3", at, 1, 4, busy, waiting, wait_ms]

    lock = ["lock", "threading.Lock", "db.py:7", "", 20, 1, 1, 30, 12.5]
    logs = written(
        tmp_path,
        line(5, resources=[pool(4, 90, 900.0)]),
        line(10, resources=[pool(2, 0, 1.0, at="")]),
        line(20, resources=[pool(4, 7, 50.0), lock]),
        line(25, resources=[pool(4, 9, 40.5)]),
        line(30),
        line(31, resources=[pool(4, 90, 900.0)]),
    )
    found = probe_logs.resources(logs, 10, 30)
    assert [each.model_dump(mode="json") for each in found] == [
        {
            **{"pid": 7, "kind": "lock", "name": "threading.Lock", "made_at": "db.py:7", "waited_at": "", "count": 20},
            **{"places": 1, "busy": 0.25, "full_ratio": 0.25, "waiting": 30, "wait_max_ms": 12.5},
        },
        {
            **{"pid": 7, "kind": "pool", "name": "QueuePool", "made_at": "db.py:3", "waited_at": "api.py:9"},
            **{"count": 1, "places": 4, "busy": 2.5, "full_ratio": 0.5, "waiting": 7, "wait_max_ms": 50.0},
        },
    ]
    assert probe_logs.resources(logs, 40, 50) == ()


@pytest.mark.parametrize(
    ("heading", "columns"), [("samples.parquet", SAMPLE_COLUMNS), ("telemetry.parquet", TELEMETRY_COLUMNS)]
)
def test_columns_are_documented_with_type_and_meaning(heading: str, columns: tuple[Column, ...]) -> None:
    documented = [" | ".join(row) for row in rows(text_of("schema.md"), heading)]
    assert documented == [" | ".join([each.name, each.type_words, each.meaning.strip("`")]) for each in columns]
