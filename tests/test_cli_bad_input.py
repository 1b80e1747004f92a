"""Whatever is wrong with the arguments: one sentence on stderr, a status, and nothing half-written."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support.fakes import case_of, measured, suite_with

from loopwise import cli
from loopwise.cli.list_ import LISTINGS
from loopwise.errors import GeneratorError, LoopwiseError, UsageError
from loopwise.model import SCHEMA_VERSION

BENCH = Path(__file__).parents[1] / "bench.py"
SUITE = '[[matrix]]\nurl = "http://127.0.0.1:9"\nendpoint = "GET /a"\n'


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with whatever the table below speaks of; nothing may be measured in it."""
    measured(tmp_path / "result", suite_with(case_of("sync"), replicates=(1, 1)))
    measured(tmp_path / "other", suite_with(case_of("async", "async"), replicates=(1, 1)))
    newer = tmp_path / "newer"
    newer.mkdir()
    (newer / "experiment.json").write_text(f'{{"schema_version": {SCHEMA_VERSION + 1}}}')
    (tmp_path / "no-result").mkdir()
    (tmp_path / "no-result" / "notes.txt").write_text("mine")
    (tmp_path / "suite.toml").write_text(SUITE)
    (tmp_path / "broken.toml").write_text("name = [")
    (tmp_path / "app.py").write_text("raise ValueError('no such luck')\n")
    monkeypatch.setattr("loopwise.cli.run.execute", _refuse)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _refuse(*_: object, **__: object) -> int:
    raise AssertionError("a run began")


# arguments -> status, words of the sentence
TABLE: list[tuple[str, int, str]] = [
    ("run", 2, "run: name a suite (see `bench.py list suites`), or give --resume DIR"),
    ("run nonesuch", 2, "nonesuch"),
    ("run broken.toml", 2, "broken.toml"),
    ("run no-result", 2, "no-result: is a folder, no suite"),
    ("run suite.toml --set users", 2, "--set users: got no KEY=VALUE; write for example --set load.users=20"),
    ("run suite.toml --set load.users=0", 2, "load.users (from --set): got 0, allowed is 1 or more"),
    ("run suite.toml --out result", 2, "holds a result already; go on with it by --resume result, or name"),
    (
        "run suite.toml --out no-result",
        2,
        "--out: no-result exists and is not an empty folder; name another one",
    ),
    ("run suite.toml --out suite.toml", 2, "--out: suite.toml exists and is not an empty folder"),
    (
        "run suite.toml --out suite.toml/r",
        2,
        "--out: suite.toml/r can't be written (Not a directory); name another",
    ),
    (
        "selftest --out suite.toml/r",
        2,
        "--out: suite.toml/r can't be written (Not a directory); name another",
    ),
    ("calibrate --out no-result", 2, "--out: no-result exists and is not an empty folder; name another one"),
    ("calibrate --out suite.toml/r", 2, "--out: suite.toml/r can't be written (Not a directory); name another"),
    ("claims run C01 --out suite.toml/r", 2, "--out: suite.toml/r can't be written (Not a directory); name another"),
    ("claims run C01 --out no-result", 2, "--out: no-result exists and is not an empty folder; name another one"),
    ("claims report --markdown nowhere/x.md", 2, "--markdown: nowhere/x.md can't be written (No such file or"),
    ("compare result result --out suite.toml", 2, "--out: suite.toml can't be written (Not a directory); name another"),
    ("compare result result --junit no-result", 2, "--junit: no-result can't be written (Is a directory); name a file"),
    ("duel a:a b:b --endpoint /x --markdown gone/x.md", 2, "--markdown: gone/x.md can't be written (No such file or"),
    ("blame app:app --sarif suite.toml/x", 2, "--sarif: suite.toml/x can't be written (Not a directory); name a file"),
    ("run suite.toml --label a/b", 2, "--label: got 'a/b', allowed are up to 64 letters, digits, dots"),
    (f"run suite.toml --label {'x' * 65}", 2, "dashes and underscores; shorten it"),
    ("run --resume nowhere", 2, "nowhere: is no result (it has no experiment.json); name a folder made by"),
    ("run --resume no-result", 2, "no-result: is no result"),
    ("run --resume suite.toml", 2, "suite.toml: is no result"),
    ("run --resume newer", 2, f"schema_version is {SCHEMA_VERSION + 1}, this Loopwise reads up to"),
    (
        "run suite.toml --resume result",
        2,
        "--resume goes on with a result as it was planned; leave out SUITE",
    ),
    ("run --resume result --seed 0", 2, "leave out --seed"),
    ("run --resume result --label x --set a=1", 2, "leave out --label, --set"),
    ("try http://127.0.0.1:9 --endpoint /a --label a/b", 2, "--label: got 'a/b'"),
    ("try app:app --endpoint /a --workers two", 2, "--workers: got 'two', allowed are numbers and commas"),
    ("try app:app --endpoint /a --workers 0", 2, "workers[0]: got 0, allowed is 1 or more"),
    ("try app:app --endpoint /a --users 0", 2, "load.users: got 0, allowed is 1 or more"),
    ("try app:app --endpoint /a --app-dir nowhere", 2, "nowhere"),
    ("try http://example.com --endpoint /a", 2, "example.com"),
    ("try http://127.0.0.1:99999 --endpoint /a", 2, "but a port is a number from 1 to 65535; correct it"),
    ("try http://127.0.0.1:0 --endpoint /a", 2, "but a port is a number from 1 to 65535; correct it"),
    ("try http://[::1]:x --endpoint /a", 2, 'got "http://[::1]:x", but a port is'),
    ("check nonesuch", 2, "nonesuch"),
    ("report nowhere", 2, "nowhere: is no result"),
    ("report no-result", 2, "no-result: is no result"),
    ("report newer", 2, "schema_version is"),
    ("compare result nowhere", 2, "nowhere: is no result"),
    ("compare result other", 2, "result and other have no case in common; compare results of the same suite"),
    ("compare result result other --out charts", 2, "result and other have no case in common"),
    ("compare result result --fail-on 5%", 2, "--fail-on: got '5%', allowed is METRIC:+N% or METRIC:-N%"),
    ("compare result result --fail-on speed:-5%", 2, "--fail-on: 'speed' gets no verdict, allowed are"),
    (
        "list planets",
        2,
        "list: got 'planets', allowed are suites, workloads, modes, features, servers,",
    ),
    ("init no-result/notes.txt", 2, "no-result/notes.txt: File exists, so no suite can be written there"),
    ("init .", 2, "init: suite.toml exists already; name another folder, or remove it"),
    ("init fresh --app app:app", 2, "no such luck"),
    ("init fresh --app nowhere:app", 2, "nowhere"),
    ("init fresh --app app:app --python /no/python", 2, "/no/python"),
]


def snapshot(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): b"" if path.is_dir() else path.read_bytes()
        for path in folder.rglob("*")
        if "__pycache__" not in path.parts
    }


@pytest.mark.parametrize(("line", "status", "words"), TABLE, ids=[row[0][:60] for row in TABLE])
def test_a_wrong_argument_is_one_sentence_and_changes_nothing(
    line: str,
    status: int,
    words: str,
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = snapshot(place)
    monkeypatch.setattr(sys, "argv", ["loopwise", *line.split()])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    out, err = capsys.readouterr()
    assert ended.value.code == status
    assert words in err
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert out == ""
    assert snapshot(place) == before


@pytest.mark.parametrize("line", ["nonesuch", "run --nonesuch", "try app:app", "report", "run a b"])
def test_a_wrong_command_line_ends_with_2_and_the_usage(
    line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["loopwise", *line.split()])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    out, err = capsys.readouterr()
    assert (ended.value.code, out) == (2, "")
    assert "Usage: " in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("raised", "status", "sentence"),
    [
        (KeyboardInterrupt, 130, ""),
        (UsageError, 2, "error: so\n"),
        (GeneratorError, 3, "error: so\n"),
        (LoopwiseError, 70, "error: so\n"),
    ],
)
def test_every_kind_of_ending_has_its_status(
    raised: Callable[[str], BaseException],
    status: int,
    sentence: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail() -> list[dict[str, object]]:
        raise raised("so")

    monkeypatch.setitem(LISTINGS, "suites", fail)
    monkeypatch.setattr(sys, "argv", ["loopwise", "list"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == status
    assert capsys.readouterr() == ("", sentence)


@pytest.mark.parametrize(
    ("line", "words"),
    [("run nonesuch", "nonesuch"), ("report .", "is no result"), ("list planets", "got 'planets'")],
)
def test_the_real_process_ends_the_same_way(line: str, words: str, tmp_path: Path) -> None:
    command = [sys.executable, str(BENCH), *line.split()]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_an_argument_that_is_no_text_is_refused_by_its_bytes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["bench.py", "run", "quick", "--out", "r\udcff"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    assert capsys.readouterr().err == (
        "error: an argument is not valid UTF-8: 'r\\xff'; rename the file, or correct it\n"
    )
