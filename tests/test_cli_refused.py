"""What the system refuses ends a command with one sentence and status 3; what was measured is kept."""

import errno
import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from support.cli import Bench, commanding
from support.e2e import PLAIN_APP, app_file, brief_suite
from support.fakes import case_of, measured, suite_with

from loopwise.cli.crash import crashes_logged
from loopwise.errors import InternalError, LoopwiseError, RefusedError, UsageError
from loopwise.results.room import ROOM_BYTES

BENCH = Path(__file__).parents[1] / "bench.py"


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Bench:
    return commanding(monkeypatch, capsys)


def refused(error: Exception, folder: Path) -> LoopwiseError:
    with pytest.raises(LoopwiseError) as raised, crashes_logged(folder):
        raise error
    return raised.value


def failing(number: int, path: Path | str | None = None) -> OSError:
    return OSError(number, os.strerror(number), None if path is None else str(path))


# error, class of its sentence, words; {r} is the result's folder
TABLE: list[tuple[Exception, type[LoopwiseError], str]] = [
    (failing(errno.ENOSPC), RefusedError, "{r}: the disk is full; make room"),
    (failing(errno.EROFS, "/x/y"), RefusedError, "/x/y: the file system is read-only; make it writable"),
    (failing(errno.EACCES, "/x/y"), RefusedError, "/x/y: permission is denied; correct its owner and permissions"),
    (failing(errno.EMFILE), RefusedError, "{r}: too many files are open; raise the limit (ulimit -n)"),
    (MemoryError(), RefusedError, "no memory is left"),
    (pa.ArrowMemoryError("malloc of size 64 failed"), RefusedError, "no memory is left"),
    (failing(errno.ENAMETOOLONG, "a" * 5000), UsageError, "the name is too long for a file; shorten it"),
    (failing(errno.ENOENT, "/x/y"), InternalError, "this is a fault of Loopwise itself (FileNotFoundError"),
    (ConnectionResetError(errno.ECONNRESET, "reset"), InternalError, "this is a fault of Loopwise itself"),
    (pa.ArrowInvalid("no such column"), InternalError, "this is a fault of Loopwise itself (ArrowInvalid"),
]


@pytest.mark.parametrize(
    ("error", "kind", "words"), TABLE, ids=[f"{type(error).__name__}-{words[:20]}" for error, _, words in TABLE]
)
def test_what_the_system_refuses_is_no_fault_of_ours(
    tmp_path: Path, error: Exception, kind: type[LoopwiseError], words: str
) -> None:
    sentence = refused(error, tmp_path)
    assert type(sentence) is kind
    assert words.format(r=tmp_path) in str(sentence)
    assert len(str(sentence)) < 500


def test_a_result_folder_that_was_deleted_is_named(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    sentence = refused(failing(errno.ENOENT, gone / "x"), gone)
    assert "the folder was moved or deleted meanwhile" in str(sentence)


def crash(*_: object) -> None:
    raise AssertionError


def test_a_foreign_file_in_a_result_is_named(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = measured(tmp_path / "r", suite_with(case_of("sync"), replicates=(1, 1)))
    for name in ("summary.json", "report.html"):
        (result.path / name).unlink(missing_ok=True)
        (result.path / name / "mine").mkdir(parents=True)
    monkeypatch.setattr("loopwise.report.build.summarise", crash)  # it is said before the report is computed
    status, _, err = bench("report", result.path)
    assert status == 3
    assert "lies where a file of the result belongs (Is a directory); move it elsewhere" in err
    assert (result.path / "summary.json" / "mine").is_dir()


def test_without_a_temporary_folder_the_remedy_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> str:
        raise failing(errno.ENOENT)

    monkeypatch.setattr("tempfile.gettempdir", none)
    sentence = refused(failing(errno.ENOENT), tmp_path)
    assert (type(sentence), sentence.exit_status) == (RefusedError, 3)
    assert "set TMPDIR" in str(sentence)


def test_a_working_directory_that_was_deleted_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    sentence = refused(failing(errno.ENOENT), tmp_path)
    assert (type(sentence), sentence.exit_status) == (RefusedError, 3)
    assert "the working directory was moved or deleted; change to one that exists" in str(sentence)


def test_a_result_name_too_long_for_a_file_is_bad_input(bench: Bench) -> None:
    status, _, err = bench("report", "a" * 5000)
    assert (status, err.count("\n")) == (2, 1)
    assert "the name is too long for a file; shorten it" in err


@pytest.mark.skipif(
    not os.environ.get("CI")
    and subprocess.run([shutil.which("unshare") or "false", "-m", "true"], check=False, capture_output=True).returncode
    != 0,
    reason="mounts a small disk, which this user may not",
)
@pytest.mark.e2e
def test_on_a_full_disk_runs_are_kept_and_resumed(tmp_path: Path) -> None:
    """A real small disk, which the data's own restoration fills before the second run."""
    disk, filler, marker = tmp_path / "disk", tmp_path / "disk" / "filler", tmp_path / "begun"
    disk.mkdir()
    fill = f"test ! -e {marker} || cat /dev/zero > {filler}; touch {marker}"
    app_file(tmp_path, PLAIN_APP)
    entry = {"app": "plain:app", "endpoint": "GET /", "before_replicate": f"{fill} || true"}
    suite = brief_suite(tmp_path / "full.toml", entry, users=2, measure_s=0.2, min=2, max=2)
    bench = shlex.join([sys.executable, str(BENCH)])
    script = f"""
        mount -t tmpfs -o size={ROOM_BYTES + 8 * 1024**2} tmpfs {disk} || exit 99
        {bench} run {suite} --out {disk}/r --no-report; echo status $?
        rm {filler}; rm {marker}
        {bench} run --resume {disk}/r --no-report
        ls {disk}/r/runs/*/*/samples.parquet; cp {disk}/r/experiment.json {tmp_path}
    """
    command = ["unshare", "-m", "sh", "-c", script]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=180)
    assert "status 3\n" in done.stdout, (done.stdout, done.stderr)
    assert done.stdout.count("samples.parquet") == 2
    plan = json.loads((tmp_path / "experiment.json").read_text("utf-8"))["plan"]
    assert [each["state"] for each in plan if each["state"] == "planned"] == []
    (sentence,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert f"the disk is full; make room: 1 of 2 runs are kept; go on with: {bench} run --resume" in sentence
    assert "Traceback" not in done.stderr
