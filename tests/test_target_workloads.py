import asyncio
import json
import sqlite3
import zlib
from collections.abc import Awaitable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_app.workload import Cost
from target_app.workloads import cpu, json_, sleep, sqlite


def result_of(awaitable: Awaitable[dict[str, object]]) -> dict[str, object]:
    async def wait() -> dict[str, object]:
        return await awaitable

    return asyncio.run(wait())


def jumped(iterations: int) -> int:
    """The generator's state after many rounds at once: repeated squaring of x -> a x + c, modulo 2**32."""
    factor, shift, step_factor, step_shift = 1, 0, 1_664_525, 1_013_904_223
    while iterations:
        if iterations & 1:
            factor, shift = factor * step_factor, shift * step_factor + step_shift
        step_factor, step_shift = step_factor * step_factor, step_shift * step_factor + step_shift
        iterations >>= 1
    return (factor + shift) % 2**32


@given(st.integers(min_value=0, max_value=3000))
def test_spin_does_as_many_rounds_as_it_is_told(iterations: int) -> None:
    assert cpu.spin(iterations) == jumped(iterations)


@pytest.mark.parametrize(
    ("params", "iterations"),
    [
        (cpu.CpuParams(), 5000),
        (cpu.CpuParams(ms=0.25), 250),
        (cpu.CpuParams(iterations=77), 77),
    ],
)
def test_cpu_does_the_work_asked_for_and_proves_it(
    params: cpu.CpuParams, iterations: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(cpu.ITERATIONS_PER_MS, "1000")
    expected = {"iterations": iterations, "checksum": jumped(iterations)}
    assert cpu.run(params) == expected
    assert result_of(cpu.run_async(params)) == expected


def test_cpu_always_does_at_least_one_round(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(cpu.ITERATIONS_PER_MS, "0.5")
    assert cpu.iterations_of(cpu.CpuParams(ms=0.01)) == 1


def test_cpu_in_ms_without_a_constant_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(cpu.ITERATIONS_PER_MS, raising=False)
    with pytest.raises(RuntimeError, match="start the app's lifespan, or set LOOPWISE_CPU_ITERATIONS_PER_MS"):
        cpu.run(cpu.CpuParams(ms=1))


@pytest.mark.parametrize("text", ["fast", "0", "-3", "inf", "nan"])
def test_a_cpu_constant_that_is_no_positive_number_is_refused(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(cpu.ITERATIONS_PER_MS, text)
    with pytest.raises(ValueError, match=f'got "{text}", allowed is a number above 0'), cpu.start():
        pass


def test_calibration_counts_the_fastest_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    chunks_ns = iter([9_000_000, 2_000_000, *[5_000_000] * cpu.CHUNKS])
    monkeypatch.setattr(cpu, "_chunk_ns", lambda: next(chunks_ns))
    assert cpu.calibrate() == cpu.CHUNK_ITERATIONS / 2


@pytest.mark.parametrize(
    ("params", "constant", "cost"),
    [
        (cpu.CpuParams(ms=3), None, Cost(0, 3)),
        (cpu.CpuParams(iterations=500), "1000", Cost(0, 0.5)),
        (cpu.CpuParams(iterations=500), None, None),
    ],
)
def test_cpu_costs_what_the_machine_makes_of_it(
    params: cpu.CpuParams, constant: str | None, cost: Cost | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(cpu.ITERATIONS_PER_MS, constant or "")
    assert cpu.cost(params) == cost


def test_sleep_waits_in_the_call_that_its_form_promises(monkeypatch: pytest.MonkeyPatch) -> None:
    waits_s: list[tuple[str, float]] = []

    async def wait(delay_s: float) -> None:
        waits_s.append(("asyncio", delay_s))

    monkeypatch.setattr(
        "target_app.workloads.sleep.time.sleep", lambda delay_s: waits_s.append(("time", delay_s))
    )
    monkeypatch.setattr("target_app.workloads.sleep.asyncio.sleep", wait)
    params = sleep.SleepParams(ms=250)
    assert sleep.run(params) == result_of(sleep.run_async(params)) == {"ms": 250}
    assert waits_s == [("time", 0.25), ("asyncio", 0.25)]


@pytest.mark.parametrize("size_kb", [1, 16, 300])
def test_a_json_document_fills_the_size_asked_for(size_kb: int) -> None:
    answer = json_.run(json_.JsonParams(size_kb=size_kb))
    assert size_kb * 1024 - 200 < answer["bytes"] <= size_kb * 1024 + len('{"items":[]}')


def test_the_json_answer_speaks_of_the_document_that_was_made(monkeypatch: pytest.MonkeyPatch) -> None:
    texts: list[bytes] = []
    crc32 = zlib.crc32

    def keep(text: bytes) -> int:
        texts.append(text)
        return crc32(text)

    monkeypatch.setattr("target_app.workloads.json_.zlib.crc32", keep)
    answer = json_.run(json_.JsonParams(size_kb=2))
    assert answer == {
        "items": len(json.loads(texts[0])["items"]),
        "bytes": len(texts[0]),
        "checksum": crc32(texts[0]),
    }


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(sqlite.SCRATCH, str(tmp_path / "new folder"))
    return tmp_path / "new folder" / sqlite.FILE_NAME


def stock(path: Path) -> dict[int, int]:
    with closing(sqlite3.connect(path)) as connection:
        return dict(connection.execute("SELECT id, stock FROM items WHERE stock > 0"))


def test_sqlite_writes_are_committed_to_the_file_in_either_form(database: Path) -> None:
    params = sqlite.SqliteParams(operation="write", rows=3, after=5)
    with sqlite.start():
        assert sqlite.run(params) == {"operation": "write", "rows": 3}
        assert stock(database) == {6: 1, 7: 1, 8: 1}
        assert result_of(sqlite.run_async(params)) == {"operation": "write", "rows": 3}
        assert stock(database) == {6: 2, 7: 2, 8: 2}


def test_sqlite_reads_the_rows_asked_for(database: Path) -> None:
    with sqlite.start(), closing(sqlite3.connect(database)) as connection:
        query = "SELECT sum(price_cents) FROM items WHERE id BETWEEN 5 AND 7"
        ((expected,),) = connection.execute(query).fetchall()
        params = sqlite.SqliteParams(rows=3, after=4)
        answer = {"operation": "read", "rows": 3, "checksum": expected}
        assert sqlite.run(params) == result_of(sqlite.run_async(params)) == answer
        assert stock(database) == {}


def test_sqlite_writes_of_many_threads_all_arrive(database: Path) -> None:
    params = sqlite.SqliteParams(operation="write", rows=1)
    with sqlite.start(), ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _index: sqlite.run(params), range(40)))
        assert len(answers) == 40
        assert stock(database) == {1: 40}


def test_sqlite_workers_that_start_together_share_one_complete_file(database: Path) -> None:
    with sqlite.start():
        sqlite.run(sqlite.SqliteParams(operation="write", rows=1))
        # What a second worker does that looked just before the first one's file appeared.
        sqlite._create(database)
        with sqlite.start():
            assert stock(database) == {1: 1}
    assert [path.name for path in database.parent.iterdir()] == [database.name]


def test_sqlite_uses_write_ahead_logging_so_that_readers_do_not_wait(database: Path) -> None:
    with sqlite.start(), closing(sqlite3.connect(database)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchall() == [("wal",)]


def test_a_sqlite_file_of_its_own_is_removed_with_its_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(sqlite.SCRATCH, raising=False)
    with sqlite.start():
        folder = sqlite.database().parent
        sqlite.run(sqlite.SqliteParams(operation="write"))
        assert folder.is_dir()
    assert not folder.exists()


def test_sqlite_before_the_app_started_says_what_is_missing() -> None:
    with pytest.raises(RuntimeError, match="the server must run the app's lifespan"):
        sqlite.run(sqlite.SqliteParams())
