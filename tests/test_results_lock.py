"""Two harnesses in one result: the second is refused, and the first loses nothing."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.cli import Bench, commanding
from support.e2e import PLAIN_APP, ROOT, app_file, brief_suite, runs_of, until
from support.e2e import Bench as Process
from support.fakes import measured

from loopwise.analysis.summary import summarise
from loopwise.errors import ResultError
from loopwise.results.folder import ResultFolder
from loopwise.results.lock import LOCK, locked

HOLDER = """
import sys, time
from pathlib import Path
from loopwise.results.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Bench:
    return commanding(monkeypatch, capsys)


@contextmanager
def another_harness(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock within a `with` block."""
    argv = [sys.executable, "-c", HOLDER, str(folder)]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=env) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        try:
            yield holder
        finally:
            holder.kill()


def refusal(folder: Path, holder: subprocess.Popen[str]) -> str:
    return f"{folder}: process {holder.pid} on {socket.gethostname()} is measuring there; wait until it has ended"


def test_resume_of_a_result_in_use_is_refused_with_its_process(bench: Bench, tmp_path: Path) -> None:
    result = measured(tmp_path / "r")
    before = {path: path.read_bytes() for path in result.path.rglob("*") if path.is_file()}
    with another_harness(result.path) as holder:
        status, _, err = bench("run", "--resume", result.path, "--quiet")
        assert status == 2
        assert refusal(result.path, holder) in err
        assert err.count("\n") == 1
        assert {path: path.read_bytes() for path in before} == before


def test_a_folder_in_which_another_begins_is_no_place_for_a_result(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "r").mkdir()
    with another_harness(tmp_path / "r") as holder:
        status, _, err = bench(
            *("try", "http://127.0.0.1:9", "--endpoint", "GET /", "--out", tmp_path / "r", "--quiet")
        )
        assert status == 2
        assert refusal(tmp_path / "r", holder) in err
        assert [path.name for path in (tmp_path / "r").iterdir()] == [LOCK]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_lock_dies_with_its_holder(tmp_path: Path, number: signal.Signals) -> None:
    with another_harness(tmp_path) as holder:
        with pytest.raises(ResultError), locked(tmp_path):
            pass
        holder.send_signal(number)
        holder.wait()
        with locked(tmp_path):
            assert (tmp_path / LOCK).read_text() == f"{os.getpid()} {socket.gethostname()}\n"
    assert not list(tmp_path.iterdir())


def test_a_process_may_lock_what_it_has_locked_and_holds_it_to_the_end(tmp_path: Path) -> None:
    with locked(tmp_path):
        with locked(tmp_path / "." / ""):
            pass
        assert (tmp_path / LOCK).exists()
    assert not (tmp_path / LOCK).exists()


@pytest.mark.parametrize("in_its_place", ["nothing", "a file", "another result"])
def test_a_lock_in_a_folder_that_was_moved_ends_quietly_and_leaves_others_alone(
    tmp_path: Path, in_its_place: str
) -> None:
    folder = tmp_path / "r"
    folder.mkdir()
    with locked(folder):
        folder.rename(tmp_path / "elsewhere")
        if in_its_place == "a file":
            folder.write_text("mine")
        elif in_its_place == "another result":
            folder.mkdir()
            (folder / LOCK).write_text("another's")
    assert in_its_place != "another result" or (folder / LOCK).read_text() == "another's"


def test_rows_that_another_process_writes_are_not_sealed_by_a_report(tmp_path: Path) -> None:
    result = measured(tmp_path / "r")
    folder = result.run_folder("async", 2)
    (folder / "samples.parquet").rename(tmp_path / "kept")
    (folder / "samples.arrow").write_bytes(b"")
    with another_harness(result.path):
        assert "is measuring there" in summarise(result).damaged[0]
        assert (folder / "samples.arrow").exists()


def test_a_link_as_a_lock_changes_nothing_elsewhere(bench: Bench, tmp_path: Path) -> None:
    result = measured(tmp_path / "r")
    (tmp_path / "precious").write_text("years")
    (result.path / LOCK).symlink_to(tmp_path / "precious")
    assert bench("run", "--resume", result.path, "--quiet")[0] == 2
    assert (tmp_path / "precious").read_text() == "years"


@pytest.mark.e2e
def test_two_harnesses_in_one_result_destroy_no_rows(tmp_path: Path) -> None:
    app_file(tmp_path, PLAIN_APP)
    entry = {"app": "plain:app", "app_dir": ".", "endpoint": "GET /"}
    suite = brief_suite(tmp_path / "shared.toml", entry, measure_s=2.0, min=2, max=2)
    process, result = Process(tmp_path / "bench"), tmp_path / "r"
    first = process.start("run", suite, "--out", result, "--no-report")
    until(lambda: any(result.glob("runs/*/*/samples.arrow")))
    status, output = process("run", "--resume", result, "--quiet")
    assert status == 2
    assert f"process {first.pid} on" in output
    output, _ = first.communicate(timeout=60)
    assert first.returncode == 0, output
    assert [run.status for run in runs_of(result)] == ["ok", "ok"]
    assert all(ResultFolder(result).samples(run).num_rows for run in runs_of(result))
    assert not (result / LOCK).exists()
