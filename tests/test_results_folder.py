"""Results on disk: types, size, atomic writing, and what is said of everything that can be broken."""

import json
import os
import random
import shutil
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.fakes import EPOCH_NS, FakeRow, case_of, measured, new_result, record, suite_with, three_modes

from loopwise.analysis.summary import summarise
from loopwise.errors import ResultError
from loopwise.generator.recorder import Recorder
from loopwise.model import SCHEMA_VERSION
from loopwise.results.columns import Sample
from loopwise.results.files import replacing, write_atomically
from loopwise.results.folder import (
    STREAM,
    ResultFolder,
    find_results,
    result_name,
    seal_samples,
)

TYPES = {
    "scheduled_ns": pa.int64(),
    "sent_ns": pa.int64(),
    "received_ns": pa.int64(),
    "read_ns": pa.int64(),
    "endpoint": pa.dictionary(pa.int32(), pa.string()),
    "status": pa.int16(),
    "error": pa.dictionary(pa.int32(), pa.string()),
    "bytes": pa.int64(),
    "connection": pa.int32(),
    "stamp": pa.dictionary(pa.int32(), pa.string()),
    "retried": pa.bool_(),
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return measured(tmp_path_factory.mktemp("store") / "r").path


@pytest.fixture
def result(finished: Path, tmp_path: Path) -> ResultFolder:
    """A copy that a test may damage."""
    return ResultFolder(Path(shutil.copytree(finished, tmp_path / "r")))


def sealed(folder: Path, rows: list[FakeRow], flush_every: int = 1000) -> pa.Table:
    recorder = Recorder((folder / STREAM).open("wb"))
    for start in range(0, len(rows), flush_every):
        record(recorder, rows[start : start + flush_every])
        recorder.flush()
    recorder.close()
    assert seal_samples(folder) == len(rows)
    return pq.read_table(folder / "samples.parquet")


def realistic(count: int) -> list[FakeRow]:
    """What a mix of endpoints on 100 connections leaves behind, a few errors and a victim included."""
    dice = random.Random(1)
    rows = []
    for index in range(count):
        service_ns = int(dice.lognormvariate(17.0, 0.4))
        rows.append(
            FakeRow(
                index * 60_000 + dice.randrange(50_000),
                service_ns,
                f"GET /items/{index % 3}",
                index * 60_000 - service_ns - dice.randrange(100_000) if index % 2 else None,
                status=200 if index % 500 else 503,
                error=None if index % 500 else "status 503",
                bytes=dice.choice((137, 138, 1420)),
                connection=dice.randrange(100),
                lag_ns=dice.randrange(5_000, 90_000),
            )
        )
    return rows


def test_columns_have_exactly_the_promised_types(tmp_path: Path) -> None:
    table = sealed(tmp_path, [FakeRow(1), FakeRow(2, scheduled_ns=0, error="timeout", status=0)])
    assert {field.name: field.type for field in table.schema} == TYPES
    assert table.schema.names == list(TYPES)


def test_rows_are_read_as_written_sorted_by_arrival(tmp_path: Path) -> None:
    rows = [
        FakeRow(5, 2, "GET /b", scheduled_ns=1, lag_ns=3, connection=7),
        FakeRow(4, 1, "GET /a", status=0, error="timeout", connection=None, bytes=0),
    ]
    late, early = reversed(sealed(tmp_path, rows).to_pylist())
    assert late | {"scheduled_ns": EPOCH_NS + 1, "sent_ns": EPOCH_NS + 3, "read_ns": EPOCH_NS + 8} == late
    assert (late["endpoint"], late["error"], late["connection"], late["stamp"]) == (
        "GET /b",
        None,
        7,
        "kernel",
    )
    assert (early["endpoint"], early["error"], early["connection"]) == ("GET /a", "timeout", None)
    assert (early["scheduled_ns"], early["received_ns"], early["status"]) == (None, EPOCH_NS + 4, 0)


def test_a_row_tells_whether_its_request_was_sent_twice(tmp_path: Path) -> None:
    rows = [FakeRow(1), FakeRow(2, retried=True), FakeRow(3, connection=None), FakeRow(4, retried=True)]
    table = sealed(tmp_path, rows)
    assert table.column("retried").to_pylist() == [False, True, None, True]
    assert table.column("stamp").to_pylist() == ["kernel"] * 4


def test_names_that_utf_8_cannot_say_are_written_as_escapes(tmp_path: Path) -> None:
    names = ["GET /\ud800", r"GET /\ud800", "GET /é", "GET /\udc80"]
    table = sealed(tmp_path, [FakeRow(at, endpoint=name, error=name) for at, name in enumerate(names)], flush_every=1)
    wanted = [r"GET /\ud800", r"GET /\ud800", "GET /é", r"GET /\udc80"]
    assert table.column("endpoint").to_pylist() == table.column("error").to_pylist() == wanted
    assert len(table.column("endpoint").combine_chunks().dictionary) == 3


GIB = 2**30


def test_answers_beyond_2_gib_have_their_size(tmp_path: Path) -> None:
    sizes = [0, 2 * GIB - 1, 2 * GIB, 5 * GIB, 2**62]
    table = sealed(tmp_path, [FakeRow(at, bytes=size) for at, size in enumerate(sizes)], flush_every=2)
    assert table.column("bytes").to_pylist() == sizes


def test_streams_of_both_versions_make_one_file(tmp_path: Path) -> None:
    for name, size in ((STREAM, 137), ("samples.1.arrow", 5 * GIB)):
        recorder = Recorder((tmp_path / name).open("wb"))
        record(recorder, [FakeRow(1, bytes=size), FakeRow(2, bytes=size)])
        recorder.close()
    with pa.OSFile(str(tmp_path / STREAM), "rb") as source:
        table = pa.ipc.open_stream(source).read_all()
    older = table.set_column(7, pa.field("bytes", pa.int32(), nullable=False), table.column("bytes").cast(pa.int32()))
    with pa.OSFile(str(tmp_path / STREAM), "wb") as sink, pa.ipc.new_stream(sink, older.schema) as writer:
        writer.write_table(older)
    assert seal_samples(tmp_path) == 4
    sealed_table = pq.read_table(tmp_path / "samples.parquet")
    assert {field.name: field.type for field in sealed_table.schema} == TYPES
    assert sorted(sealed_table.column("bytes").to_pylist()) == [137, 137, 5 * GIB, 5 * GIB]


def test_a_stream_of_an_earlier_version_lacks_columns(tmp_path: Path) -> None:
    recorder = Recorder((tmp_path / "new.arrow").open("wb"))
    record(recorder, [FakeRow(1, error="timeout", status=0), FakeRow(2)])
    recorder.close()
    with pa.OSFile(str(tmp_path / "new.arrow"), "rb") as source:
        table = pa.ipc.open_stream(source).read_all().drop_columns(["retried"])
    with pa.OSFile(str(tmp_path / STREAM), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    assert seal_samples(tmp_path) == 2
    sealed_table = pq.read_table(tmp_path / "samples.parquet")
    assert sealed_table.column("retried").to_pylist() == [None, None]
    assert sealed_table.column("error").to_pylist() == ["timeout", None]


def test_names_that_appear_late_keep_their_rows(tmp_path: Path) -> None:
    rows = [FakeRow(index, endpoint=f"GET /{index // 7}") for index in range(100)]
    table = sealed(tmp_path, rows, flush_every=10)
    assert table.column("endpoint").to_pylist() == [row.endpoint for row in rows]


def test_a_row_takes_at_most_twelve_bytes_on_disk(tmp_path: Path) -> None:
    rows = realistic(50_000)
    sealed(tmp_path, rows)
    assert (tmp_path / "samples.parquet").stat().st_size / len(rows) <= 12
    assert not (tmp_path / STREAM).exists()


def test_run_without_rows_is_an_empty_table_of_same_types(tmp_path: Path) -> None:
    table = sealed(tmp_path, [])
    assert table.num_rows == 0
    assert {field.name: field.type for field in table.schema} == TYPES


@pytest.mark.parametrize("leaves_stream", [True, False])
def test_killed_generator_leaves_no_rows_before_its_first_flush(tmp_path: Path, leaves_stream: bool) -> None:
    if leaves_stream:
        (tmp_path / STREAM).touch()
    assert seal_samples(tmp_path) == 0
    assert pq.read_table(tmp_path / "samples.parquet").num_rows == 0


def test_cut_stream_yields_its_complete_batches(tmp_path: Path) -> None:
    recorder = Recorder((tmp_path / "whole").open("wb"))
    ends = []
    for batch in range(4):
        record(recorder, [FakeRow(10 * batch + index, endpoint=f"GET /{batch}") for index in range(10)])
        recorder.flush()
        ends.append((tmp_path / "whole").stat().st_size)
    recorder.close()
    whole = (tmp_path / "whole").read_bytes()
    for cut in range(0, len(whole), 97):
        (tmp_path / STREAM).write_bytes(whole[:cut])
        assert seal_samples(tmp_path) == 10 * sum(end <= cut for end in ends)
        received = pq.read_table(tmp_path / "samples.parquet").column("received_ns").to_pylist()
        assert received == [EPOCH_NS + index for index in range(len(received))]


def test_unsealed_rows_are_recovered_when_read(result: ResultFolder) -> None:
    run = result.runs()[0][0]
    folder = result.run_folder(run.case.case_id, run.replicate)
    (folder / "samples.parquet").unlink()
    recorder = Recorder((folder / STREAM).open("wb"))
    record(recorder, [FakeRow(1), FakeRow(2)])
    recorder.close()
    assert result.samples(run).num_rows == 2
    assert (folder / "samples.parquet").exists()


def test_telemetry_keeps_its_columns_and_gaps(result: ResultFolder) -> None:
    samples = [
        Sample(1, 0, "host", 10.0, steal_s=0.1, total_s=20.0),
        Sample(1, 42, "server", 0.5, rss_mb=48.0, threads=3, context_switches=7),
    ]
    folder = result.run_folder("sync", 1)
    result.write_telemetry(folder, samples)
    table = pq.read_table(folder / "telemetry.parquet")
    assert table.column_names[:9] == [
        *("time_ns", "pid", "role", "cpu_s", "rss_mb", "threads", "context_switches", "steal_s", "total_s")
    ]
    assert table.column("loop_lag_p99_ms").to_pylist() == [None, None]
    host, server = table.to_pylist()
    assert (host["role"], host["rss_mb"], host["total_s"]) == ("host", None, 20.0)
    assert (server["pid"], server["threads"], server["steal_s"]) == (42, 3, None)


def test_every_run_on_fakes_has_telemetry_of_the_machine(result: ResultFolder) -> None:
    files = list(result.path.glob("runs/*/*/telemetry.parquet"))
    assert len(files) == 9
    assert all(set(pq.read_table(path).column("role").to_pylist()) == {"host"} for path in files)


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    result, experiment = new_result(tmp_path / "deep" / "er", three_modes(), label="before")
    assert result.experiment() == experiment
    assert result.name == "er"
    assert result.runs() == ([], [])


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    write_atomically(path, "old")
    with suppress(OSError), replacing(path) as sink:
        sink.write(b"new, but")
        raise OSError("the disk is full")
    assert path.read_text() == "old"
    write_atomically(path, "new ✓ \ud800")
    assert path.read_text(encoding="utf-8") == r"new ✓ \ud800"
    assert [each.name for each in tmp_path.iterdir()] == ["x.json"]


def change(path: Path, **values: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "gone": (lambda path: path.unlink(), "is no result (it has no experiment.json); name a folder made by"),
    "empty": (lambda path: path.write_text(""), "experiment.json: cannot be read ("),
    "cut": (lambda path: path.write_text(path.read_text()[:99]), "experiment.json: cannot be read ("),
    "no text": (lambda path: path.write_bytes(b"\xff\xfe\x00"), "experiment.json: cannot be read ("),
    "a list": (
        lambda path: path.write_text("[]"),
        "has no schema_version, so it is not one of Loopwise's files",
    ),
    "other json": (lambda path: path.write_text('{"a": 1}'), "has no schema_version"),
    "newer": (
        lambda path: change(path, schema_version=SCHEMA_VERSION + 1),
        f"schema_version is {SCHEMA_VERSION + 1}, this Loopwise reads up to {SCHEMA_VERSION}; read it with",
    ),
    "wrong type": (lambda path: change(path, seed="many"), "experiment.json: seed: Input should be"),
    "unknown key": (lambda path: change(path, colour="red"), "experiment.json: colour: Extra inputs"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_unreadable_experiment_is_refused_in_one_sentence(damage: str, result: ResultFolder) -> None:
    spoil, sentence = DAMAGE[damage]
    spoil(result.path / "experiment.json")
    with pytest.raises(ResultError) as raised:
        summarise(result)
    assert sentence in str(raised.value)
    assert str(raised.value).startswith(str(result.path))
    assert "\n" not in str(raised.value)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


RUN_DAMAGE: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "cut rows": ("samples.parquet", truncate, "delete this run's folder and measure it again"),
    "no rows": ("samples.parquet", lambda path: path.unlink(), "samples.parquet: cannot be read ("),
    "no parquet": ("samples.parquet", lambda path: path.write_text("x"), "samples.parquet: cannot be read ("),
    "cut json": ("run.json", lambda path: path.write_text("{"), "run.json: cannot be read ("),
    "newer json": ("run.json", lambda path: change(path, schema_version=99), "schema_version is 99"),
}


@pytest.mark.parametrize("damage", RUN_DAMAGE)
def test_damaged_run_is_named_and_others_are_shown(damage: str, result: ResultFolder) -> None:
    name, spoil, sentence = RUN_DAMAGE[damage]
    spoil(result.run_folder("async", 2) / name)
    summary = summarise(result)
    assert len(summary.damaged) == 1
    assert sentence in summary.damaged[0]
    assert f"async/2/{name}" in summary.damaged[0]
    assert "\n" not in summary.damaged[0]
    assert set(summary.cases["async"].runs) == {1, 3}
    assert set(summary.cases["sync"].runs) == {1, 2, 3}
    assert {verdict.verdict for verdict in summary.verdicts} <= {"better", "worse", "same", "undecided"}


def test_a_case_whose_rows_are_all_damaged_says_so(result: ResultFolder) -> None:
    for replicate in (1, 2, 3):
        truncate(result.run_folder("async", replicate) / "samples.parquet")
    summary = summarise(result)
    assert "samples.parquet: cannot be read" in summary.cases["async"].reason
    assert len(summary.damaged) == 3


def test_results_are_found_the_newest_first(tmp_path: Path) -> None:
    for age, name in enumerate(("new", "old")):
        result, _ = new_result(tmp_path / name, three_modes())
        stamp = 2_000_000_000 - age
        os.utime(result.path / "experiment.json", (stamp, stamp))
    (tmp_path / "no result").mkdir()
    (tmp_path / "file").touch()
    assert [result.name for result in find_results(tmp_path)] == ["new", "old"]
    assert find_results(tmp_path / "nowhere") == []


@pytest.mark.parametrize(
    ("label", "name"), [(None, "quick-20261122T153000Z"), ("before", "quick-20261122T153000Z-before")]
)
def test_result_name_has_suite_utc_time_and_label(label: str | None, name: str) -> None:
    moment = datetime(2026, 11, 22, 15, 30, tzinfo=UTC)
    assert result_name("quick", label, moment) == name
    assert result_name("quick", label, moment.astimezone(timezone(timedelta(hours=9)))) == name


def test_a_pipe_or_another_schema_in_place_of_rows_is_told(tmp_path: Path) -> None:
    result = measured(tmp_path / "r", suite_with(case_of("sync"), replicates=(1, 1)))
    (run,), _ = result.runs()
    path = result.folder_of(run) / "samples.parquet"
    ours = pq.read_table(path)
    for other in (
        pa.table({"a": [1]}),
        pa.table({"sent_ns": ["x"], "received_ns": [1], "endpoint": ["/"], "status": [1]}),
    ):
        pq.write_table(other, path)
        with pytest.raises(ResultError, match=r"samples\.parquet: cannot be read \(its? (has no )?column"):
            result.samples(run)
    for other in (ours.drop_columns(["error"]), ours.drop_columns(["scheduled_ns"])):
        pq.write_table(other, path)
        with pytest.raises(ResultError, match="it has no column"):
            result.samples(run)
    pq.write_table(ours.drop_columns(["retried"]), path)
    assert result.samples(run).num_rows == ours.num_rows
    telemetry = result.folder_of(run) / "telemetry.parquet"
    ours = pq.read_table(telemetry)
    at = ours.column_names.index("cpu_s")
    for other in (
        ours.drop_columns(["role"]),
        ours.set_column(at, "cpu_s", pa.array(["1"] * ours.num_rows)),
        ours.set_column(at, "cpu_s", pa.nulls(ours.num_rows, pa.float64())),
    ):
        pq.write_table(other, telemetry)
        with pytest.raises(ResultError, match=r"telemetry\.parquet: cannot be read \(its? (has no )?column"):
            result.telemetry(run, ["time_ns", "pid", "role", "cpu_s"])
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(ResultError, match="it is no regular file"):
        result.samples(run)


def test_a_result_that_was_deleted_is_not_made_anew(result: ResultFolder) -> None:
    experiment = result.experiment()
    shutil.rmtree(result.path)
    with pytest.raises(FileNotFoundError):
        result.write_experiment(experiment)
    assert not result.path.exists()
    result.begin(experiment)
    assert result.experiment() == experiment
