"""Internal crashes: status 70, one sentence, and a traceback in a file that outlives the process."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.cli import Bench, commanding
from support.fakes import measured

from loopwise.cli.crash import CRASH_LOG, crashes_logged
from loopwise.cli.list_ import LISTINGS
from loopwise.errors import InternalError, Interrupted, Unread, UsageError

ROOT = Path(__file__).parents[1]
SENTENCE = re.compile(
    r"error: this is a fault of Loopwise itself \((?P<what>.*)\); the traceback is in (?P<log>\S+); please report "
    r"it together with the traceback \(README\.md, Exit status\)\n"
)


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Bench:
    return commanding(monkeypatch, capsys)


def crash(*_: object) -> list[dict[str, object]]:
    raise KeyError("the part that\nnobody wrote")


def test_a_crash_ends_with_70_and_one_sentence(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LISTINGS, "suites", crash)
    status, out, err = bench("list")
    assert (status, out) == (70, "")
    said = SENTENCE.fullmatch(err)
    assert said is not None, err
    assert said["what"].startswith("KeyError: 'the part that")
    log = Path(said["log"])
    text = log.read_text(encoding="utf-8")
    log.unlink()
    assert text.startswith("loopwise ")
    assert "loopwise list\n" in text.splitlines(keepends=True)[0]
    assert 'raise KeyError("the part that' in text


def test_a_crash_of_a_report_is_logged_in_the_results_folder(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    result = measured(tmp_path / "r")
    monkeypatch.setattr("loopwise.report.build.build", crash)
    for times in (1, 2):
        status, out, err = bench("report", result.path)
        assert (status, out) == (70, "")
        said = SENTENCE.fullmatch(err)
        assert said is not None, err
        assert Path(said["log"]) == result.path / CRASH_LOG
        assert (result.path / CRASH_LOG).read_text("utf-8").count("Traceback (most recent call last)") == times


def test_without_the_folder_a_crash_goes_to_a_temporary_file(tmp_path: Path) -> None:
    with pytest.raises(InternalError) as raised, crashes_logged(tmp_path / "none"):
        crash()
    log = Path(str(raised.value).split(" is in ")[1].split(";")[0])
    assert log.parent != tmp_path / "none"
    log.unlink()


def test_on_a_full_disk_the_traceback_goes_to_stderr(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(**_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("tempfile.mkstemp", full)
    monkeypatch.setitem(LISTINGS, "suites", crash)
    status, _, err = bench("list")
    assert status == 70
    assert "Traceback (most recent call last)" in err
    assert err.splitlines()[-1].startswith("error: this is a fault of Loopwise itself (KeyError")


def test_an_error_on_purpose_is_no_crash(tmp_path: Path) -> None:
    for error in (UsageError("so"), Unread(), Interrupted("so")):
        with pytest.raises(type(error)), crashes_logged(tmp_path):
            raise error
    assert not list(tmp_path.iterdir())


def test_the_file_is_there_when_the_process_has_ended() -> None:
    script = "import loopwise.paths, loopwise.cli; loopwise.paths.results_dir = None; loopwise.cli.main()"
    command = [sys.executable, "-c", script, "list", "results"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (70, "")
    said = SENTENCE.fullmatch(done.stderr)
    assert said is not None, done.stderr
    assert "TypeError" in Path(said["log"]).read_text(encoding="utf-8")
    Path(said["log"]).unlink()
