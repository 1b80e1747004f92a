"""How a duel ends: gates, failures, interruptions, wrong arguments."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from support.duel import BASE, OTHER, SHORT, Fight, X, Y, calm, fighting, furnished, rounds_of, verdicts_of
from support.fakes import Conduct

from loopwise.cli import main
from loopwise.errors import EndpointError, Interrupted, ServerError
from loopwise.results.folder import ResultFolder

DEAD = ServerError("the server ended with status 1 before it answered")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return furnished(tmp_path)


@pytest.fixture
def fight(place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Fight:
    return fighting(monkeypatch, capsys)


# gates, the candidate's conduct -> status, what its JUnit file holds: failures, errors
GATES: dict[str, tuple[str, Conduct, int, tuple[int, int]]] = {
    "as good": ("throughput_rps:-5%", calm(), 0, (0, 0)),
    "slower within": ("throughput_rps:-15%", calm(360.0), 0, (0, 0)),
    "slower beyond": ("throughput_rps:-5%", calm(360.0), 1, (1, 0)),
    "dearer": ("cpu_ms_per_request:+2%", calm(cpu_ms=1.1), 1, (1, 0)),
    "cheaper": ("cpu_ms_per_request:+2%", calm(cpu_ms=0.9), 0, (0, 0)),
    "one of two": ("throughput_rps:-5%,cpu_ms_per_request:+2%", calm(360.0), 1, (1, 0)),
    "too wide to say": ("throughput_rps:-5%", calm(360.0, noise_ratio=0.5), 0, (0, 0)),
    "no replicates": ("throughput_rps:-5%", calm(faults={2: DEAD}), 3, (0, 1)),
}


@pytest.mark.parametrize("name", GATES)
def test_gates_end_with_their_status_and_write_their_files(fight: Fight, name: str) -> None:
    texts, conduct, status, counts = GATES[name]
    gates = " ".join(f"--fail-on {text}" for text in texts.split(","))
    rounds = 2 if name == "no replicates" else 4
    side = replace(conduct, in_pairs=conduct)
    ended = fight(f"{SHORT} --rounds {rounds} {gates} --junit duel.xml --markdown duel.md", None, side)
    assert ended.status == status, ended.out
    root = ET.fromstring(Path("duel.xml").read_text())
    assert (int(root.attrib["failures"]), int(root.attrib["errors"])) == counts
    assert int(root.attrib["tests"]) == len(verdicts_of())
    headline = Path("duel.md").read_text().splitlines()[0]
    marks = {0: "### ✅", 1: "### ❌ 1 gate failed", 3: "### ⚠️ 1 gate not judged"}
    assert headline.startswith(marks[status])
    assert f"{OTHER} against {BASE}" in headline
    assert ("gate " in ended.out) == (status != 0)
    assert not ended.err


def test_without_gates_a_loss_is_reported_and_ends_with_0(fight: Fight) -> None:
    ended = fight(f"{SHORT} --rounds 4 --markdown duel.md", None, calm(300.0))
    assert ended.status == 0
    text = Path("duel.md").read_text()
    assert "worse" in text.splitlines()[0]
    assert not {"✅", "❌"} & set(text.splitlines()[0])


def test_two_failed_rounds_end_a_duel_and_the_rest_is_judged(fight: Fight) -> None:
    flaky = calm(in_pairs=calm(faults={2: DEAD, 4: DEAD}))
    ended = fight(f"{SHORT} --rounds 9", None, flaky)
    assert ended.status == 0
    assert [each.status for each in rounds_of()] == ["ok", "failed", "ok", "failed"]
    assert f"round 2 of at most 9: failed: {DEAD}" in ended.out
    assert {row["replicates"] for row in verdicts_of().values()} == {2}


HOPELESS: dict[str, tuple[Conduct, int, str]] = {
    "does not start": (calm(faults={1: DEAD, 2: DEAD}), 2, str(DEAD)),
    "answers otherwise": (
        calm(faults=dict.fromkeys((1, 2), EndpointError("GET /x: answered 404 Not Found, expected 2xx"))),
        2,
        "GET /x: answered 404 Not Found, expected 2xx",
    ),
    "only errors": (calm(error_ratio=0.9), 6, "of the candidate's requests failed"),
    "generator died": (calm(deaths=frozenset({1, 2})), 2, "the generator ended with status -9"),
}


@pytest.mark.parametrize("name", HOPELESS)
def test_a_duel_without_a_valid_round_ends_with_3_and_is_kept(fight: Fight, name: str) -> None:
    conduct, rounds, sentence = HOPELESS[name]
    ended = fight(f"{SHORT} --rounds 6 --quiet", None, replace(conduct, in_pairs=conduct))
    assert ended.status == 3
    assert ended.err.startswith("error: no round gave a valid measurement: ")
    assert sentence in ended.err
    assert len(rounds_of()) == rounds
    assert ResultFolder(Path("duel")).experiment().finished_at is None


@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        (3, "2 rounds are kept; see the duel so far with: loopwise report duel"),
        (2, "1 round is kept; see the duel so far with: loopwise report duel"),
        (1, "no round is complete; delete duel and begin again with: loopwise "),
    ],
)
def test_an_interrupted_duel_keeps_its_rounds_and_says_how_to_see_them(
    fight: Fight, number: int, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped = calm(in_pairs=calm(faults={number: Interrupted("interrupted by SIGINT")}))
    ended = fight(SHORT, stopped)
    assert ended.status == 130
    assert ended.err.startswith(f"interrupted by SIGINT: {sentence}")
    assert [each.status for each in rounds_of()] == ["ok"] * (number - 1)
    if number > 1:
        monkeypatch.setattr(sys, "argv", sentence.split(": ")[1].split())
        with pytest.raises(SystemExit) as reported:
            main()
        assert reported.value.code == 0
        assert Path("duel/report.html").exists()


# arguments -> words of the sentence
WRONG: list[tuple[str, str]] = [
    ("old:app new:app", "duel: nothing says what to ask; add --endpoint 'GET /x', or --suite SUITE"),
    ("old:app new:app --endpoint x", "allowed is"),
    ("old new:app --endpoint /x", 'got "old", allowed is "module:attribute" or "module:factory()"'),
    ("old:app new:app --endpoint /x --base-app-dir gone", "duel: old:app: there is no folder gone; correct"),
    ("old:app new:app --endpoint /x --candidate-app-dir gone", "duel: new:app: there is no folder gone"),
    ("old:app new:app --endpoint /x --base-python gone", "there is no file"),
    ("git:HEAD new:app --endpoint /x", "is not in a git checkout; name a folder that is by --app-dir"),
    ("git:HEAD new:app --endpoint /x --base-app-dir repo", "names no app; add --app module:app"),
    (
        "git:nowhere new:app --endpoint /x --app old:app --base-app-dir repo",
        "has no such revision; see `git log --all --oneline`, or fetch it first",
    ),
    (f"{X} nonesuch --suite suite.toml", f"suite.toml has no case 'nonesuch', it has {X}, {Y}, "),
    (f"{X} {Y} --suite nonesuch", "nonesuch"),
    (
        f"{X} {Y} --suite suite.toml --endpoint /x",
        "the cases of --suite say what is asked; leave out --endpoint",
    ),
    (
        f"{X} get-z-own-w1-uvicorn-u9 --suite suite.toml",
        "z-own-w1-uvicorn-u9 have different loads; choose cases with the same one",
    ),
    (
        f"{X} get-open-own-w1-uvicorn-r5 --suite suite.toml",
        "open-own-w1-uvicorn-r5 can't be put head to head: it needs a server that we start, declared endpoints and a",
    ),
    (f"get-far-own-url-u8 {Y} --suite suite.toml", "far-own-url-u8 can't be put head to head"),
    (f"{SHORT} --fail-on 5%", "--fail-on: got '5%', allowed is METRIC:+N% or METRIC:-N%"),
    (f"{SHORT} --fail-on speed:-5%", "--fail-on: 'speed' gets no verdict, allowed are throughput_rps, "),
    (f"{SHORT} --fail-on throughput_rps:-100%", "allowed is a fall of less than 100%"),
    (f"{SHORT} --label a/b", "--label: got 'a/b', allowed are up to 64 letters"),
    (f"{SHORT} --out result", "--out: result holds a result already"),
    (f"{SHORT} --out suite.toml", "--out: suite.toml exists and is not an empty folder; name another one"),
]


def git(folder: Path, *arguments: str) -> str:
    author = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
    command = ["git", "-C", str(folder), *author, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def everything(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if ".git" not in path.parts)
    return {str(path): b"" if path.is_dir() else path.read_bytes() for path in found}


@pytest.mark.parametrize(("line", "words"), WRONG, ids=[row[0][:70] for row in WRONG])
def test_a_wrong_argument_is_one_sentence_and_nothing_is_begun(
    fight: Fight, place: Path, line: str, words: str
) -> None:
    if "repo" in line:
        (place / "repo").mkdir()
        git(place / "repo", "init", "-q")
        git(place / "repo", "commit", "-q", "--allow-empty", "-m", "first")
    before = everything(place)
    ended = fight(line)
    assert (ended.status, ended.out) == (2, "")
    assert ended.err.startswith("error: ")
    assert words in ended.err
    assert ended.err.count("\n") == 1
    assert not ended.bench.served
    assert everything(place) == before
    if "repo" in line:
        assert git(place / "repo", "worktree", "list").count("\n") == 1


@pytest.mark.parametrize(
    "option", ["--rounds 1", "--rounds 101", "--users 0", "--seconds 0.1", "--margin 0.6", "--margin -1"]
)
def test_a_number_out_of_bounds_ends_with_2_and_names_the_option(fight: Fight, option: str) -> None:
    ended = fight(f"old:app new:app --endpoint /x {option}")
    assert ended.status == 2
    assert option.split(maxsplit=1)[0] in ended.err
    assert not ended.bench.served


@pytest.mark.parametrize("option", ["--junit", "--markdown"])
def test_a_report_that_cannot_be_written_is_refused_unmeasured(fight: Fight, option: str) -> None:
    ended = fight(f"{SHORT} --rounds 2 {option} gone/file --quiet")
    assert ended.status == 2
    assert f"{option}: gone/file can't be written" in ended.err
    assert not ended.bench.served
