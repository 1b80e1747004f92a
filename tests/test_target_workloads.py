import asyncio
import hashlib
import json
import sqlite3
import zlib
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from target_app.verification import WrongAnswerError
from target_app.workload import Cost
from target_app.workloads import cpu, files, hash_, json_, mixed, sleep, sqlite


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
def test_a_cpu_constant_that_is_no_positive_number_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
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

    monkeypatch.setattr("target_app.workloads.sleep.time.sleep", lambda delay_s: waits_s.append(("time", delay_s)))
    monkeypatch.setattr("target_app.workloads.sleep.asyncio.sleep", wait)
    params = sleep.SleepParams(ms=250)
    assert sleep.run(params) == result_of(sleep.run_async(params)) == {"ms": 250}
    assert waits_s == [("time", 0.25), ("asyncio", 0.25)]


def body(answer: Any) -> bytes:
    return bytes(answer.body)


@pytest.mark.parametrize("size_kb", [1, 16, 300])
def test_a_json_document_fills_the_size_asked_for(size_kb: int) -> None:
    text = body(json_.run(json_.JsonParams(size_kb=size_kb)))
    assert size_kb * 1024 - 200 < len(text) <= size_kb * 1024 + len('{"items":[]}')
    assert json.loads(text) == json_.rows(size_kb)


def test_json_validates_what_it_sends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("target_app.workloads.json_.rows", lambda _size_kb: {"items": [{"id": "000000"}]})
    with pytest.raises(ValidationError):
        json_.run(json_.JsonParams(size_kb=2))


def test_a_json_text_of_the_wrong_length_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("target_app.workloads.json_.expected_bytes", lambda _size_kb: 7)
    with pytest.raises(WrongAnswerError, match="length of the JSON text"):
        json_.run(json_.JsonParams(size_kb=2))


@given(st.integers(min_value=0, max_value=3000))
def test_the_checksum_that_cpu_expects_is_the_generators(iterations: int) -> None:
    assert cpu.expected(iterations) == cpu.spin(iterations)


@pytest.mark.parametrize(
    ("algorithm", "right"),
    [
        ("sha256", lambda buffer: hashlib.sha256(buffer).hexdigest()),
        ("blake2b", lambda buffer: hashlib.blake2b(buffer).hexdigest()),
        ("zlib", lambda buffer: f"{len(zlib.compress(buffer))}-{zlib.crc32(zlib.compress(buffer)):08x}"),
    ],
)
def test_hash_gives_the_digest_of_the_buffer_asked_for(algorithm: str, right: Callable[[bytes], str]) -> None:
    buffer = b"".join(hashlib.sha256(b"%d" % number).hexdigest().encode() for number in range(130 * 16))
    answer = hash_.run(hash_.HashParams.model_validate({"algorithm": algorithm, "size_kb": 130}))
    assert answer == {"algorithm": algorithm, "bytes": 130 * 1024, "result": right(buffer)}


@pytest.mark.parametrize("algorithm", hash_.ALGORITHMS)
def test_a_wrong_digest_is_refused(algorithm: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(hash_.ALGORITHMS, algorithm, lambda _buffer: "0" * 64)
    with pytest.raises(WrongAnswerError, match=f"{algorithm}: got 0000"):
        hash_.run(hash_.HashParams.model_validate({"algorithm": algorithm, "size_kb": 8}))


def test_mixed_waits_computes_and_waits_in_the_calls_that_its_form_promises(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    steps: list[tuple[str, float]] = []

    async def wait(delay_s: float) -> None:
        steps.append(("asyncio", delay_s))

    def spin(iterations: int) -> int:
        steps.append(("cpu", iterations))
        return cpu.expected(iterations)

    monkeypatch.setenv(cpu.ITERATIONS_PER_MS, "1000")
    monkeypatch.setattr("target_app.workloads.mixed.time.sleep", lambda delay_s: steps.append(("time", delay_s)))
    monkeypatch.setattr("target_app.workloads.mixed.asyncio.sleep", wait)
    monkeypatch.setattr("target_app.workloads.cpu.spin", spin)
    params = mixed.MixedParams(io_ms=250, cpu_ms=3)
    assert mixed.run(params) == result_of(mixed.run_async(params))
    assert steps == [
        *[("time", 0.25), ("cpu", 3000), ("time", 0.25)],
        *[("asyncio", 0.25), ("cpu", 3000), ("asyncio", 0.25)],
    ]
    assert mixed.WORKLOAD.cost(params) == Cost(wait_ms=500, cpu_ms=3)


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(sqlite.SCRATCH, str(tmp_path / "scratch"))
    return tmp_path / "scratch"


def test_files_reads_one_file_and_leaves_none_that_it_wrote(scratch: Path) -> None:
    read, write = files.FilesParams(size_kb=5), files.FilesParams(operation="write", size_kb=5)
    with files.start():
        for _ in range(2):
            assert files.run(read) == result_of(files.run_async(read)) == {"operation": "read", "bytes": 5120}
            assert files.run(write) == result_of(files.run_async(write)) == {"operation": "write", "bytes": 5120}
        assert [path.name for path in scratch.iterdir()] == ["read-5kb"]
        assert (scratch / "read-5kb").read_bytes() == files.content(5)


@pytest.mark.parametrize("form", ["run", "run_async"])
def test_files_refuses_a_file_that_holds_something_else(form: str, scratch: Path) -> None:
    with files.start():
        scratch.joinpath("read-1kb").write_bytes(b"x" * 1024)
        params = files.FilesParams(size_kb=1)
        with pytest.raises(WrongAnswerError, match="checksum of the file read"):
            files.run(params) if form == "run" else result_of(files.run_async(params))


def test_files_before_the_app_started_says_what_is_missing() -> None:
    with pytest.raises(RuntimeError, match="the server must run the app's lifespan"):
        files.run(files.FilesParams())


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


@pytest.mark.parametrize("connection", ["pool", "shared"])
def test_sqlite_writes_on_kept_connections_all_arrive_in_either_form(
    connection: Literal["pool", "shared"], database: Path
) -> None:
    params = sqlite.SqliteParams(operation="write", rows=1, connection=connection, pool_size=3)

    async def many() -> None:
        async with sqlite.start_with_loop():
            await asyncio.gather(*(sqlite.run_async(params) for _ in range(20)))
            await asyncio.gather(*(asyncio.to_thread(sqlite.run, params) for _ in range(20)))
            assert stock(database) == {1: 40}

    asyncio.run(many())


@pytest.mark.parametrize(("connection", "at_most"), [("request", 20), ("pool", 3), ("shared", 1)])
def test_sqlite_opens_no_more_connections_than_it_is_told(
    connection: Literal["request", "pool", "shared"],
    at_most: int,
    database: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened: list[Any] = []
    connect = sqlite3.connect

    def counted(path: Path, **options: Any) -> sqlite3.Connection:
        opened.append(path)
        connection: sqlite3.Connection = connect(path, **options)
        return connection

    monkeypatch.setattr(sqlite3, "connect", counted)
    params = sqlite.SqliteParams(connection=connection, pool_size=3)

    async def many() -> None:
        async with sqlite.start_with_loop():
            await asyncio.gather(*(asyncio.to_thread(sqlite.run, params) for _ in range(20)))
            assert 1 <= len(opened) - 1 <= at_most  # one more has made the file
            opened.clear()
            await asyncio.gather(*(sqlite.run_async(params) for _ in range(20)))
            assert len(opened) == at_most

    asyncio.run(many())


@pytest.mark.parametrize("form", ["run", "run_async"])
def test_sqlite_refuses_rows_that_are_not_those_it_made(form: str, database: Path) -> None:
    with sqlite.start():
        with closing(sqlite3.connect(database)) as connection, connection:
            connection.execute("UPDATE items SET price_cents = 1 WHERE id = 2")
        params = sqlite.SqliteParams(rows=3)
        with pytest.raises(WrongAnswerError, match="prices of the rows read"):
            sqlite.run(params) if form == "run" else result_of(sqlite.run_async(params))


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
