"""Two versions head to head, by the command itself on a fake bench: design, effort, gates, files and bad input."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from fake_pairs import PairBench, on_fakes
from fakes import Conduct, case_of

from loopwise import cli, duel
from loopwise.contest import COMPARED
from loopwise.errors import EndpointError, Interrupted, ServerError
from loopwise.model import SIDES, TOTAL, Round
from loopwise.store import ResultFolder
from loopwise.verdicts import judge_rounds

DEAD = ServerError("the server ended with status 1 before it answered")
BASE, OTHER = "old-app", "new-app"
"""What `old:app` and `new:app` are called."""
SUITE = """
[load]
users = 8
measure_s = 5.0
victim = "/health"
[[matrix]]
app = "old:app"
endpoint = ["GET /x", "GET /y"]
[[matrix]]
app = "old:app"
endpoint = "GET /z"
load.users = 9
[[matrix]]
app = "old:app"
endpoint = "GET /open"
load = { model = "open", rate_rps = 5.0 }
[[matrix]]
url = "http://127.0.0.1:9"
endpoint = "GET /far"
"""
X, Y = "get-x-own-w1-uvicorn-u8", "get-y-own-w1-uvicorn-u8"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two apps, a suite of theirs, and a result."""
    for name in ("old", "new"):
        (tmp_path / f"{name}.py").write_text("app = None\n")
    (tmp_path / "suite.toml").write_text(SUITE)
    (tmp_path / "result").mkdir()
    (tmp_path / "result" / "experiment.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def calm(rate_rps: float = 400.0, **options: Any) -> Conduct:
    return Conduct(rate_rps, **{"noise_ratio": 0.002} | options)


class Ended:
    """How the command ended: status, and what it printed."""

    def __init__(self, status: Any, out: str, err: str, bench: PairBench) -> None:
        self.status, self.out, self.err, self.bench = status, out, err, bench


Fight = Callable[..., Ended]


@pytest.fixture
def fight(place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Fight:
    """Runs `duel` with arguments; conducts of the two sides follow."""

    def run(line: str, baseline: Conduct | None = None, candidate: Conduct | None = None) -> Ended:
        bench = PairBench({BASE: baseline or calm(), OTHER: candidate or calm()})
        monkeypatch.setattr(sys, "argv", ["loopwise", "duel", *line.split()])
        with on_fakes(bench), pytest.raises(SystemExit) as ended:
            cli.main()
        return Ended(ended.value.code, *capsys.readouterr(), bench)

    return run


SHORT = "old:app new:app --endpoint /x --seconds 0.5 --users 4 --out duel"


def rounds_of(path: str = "duel") -> list[Round]:
    rounds, damaged = ResultFolder(Path(path)).rounds()
    assert not damaged
    return rounds


def verdicts_of(path: str = "duel") -> dict[tuple[str, str], dict[str, Any]]:
    rows = json.loads((Path(path) / "verdicts.json").read_text())
    return {(row["endpoint"], row["metric"]): row for row in rows}


def test_a_duel_is_an_experiment_without_runs_that_says_what_is_compared(fight: Fight) -> None:
    ended = fight(f"{SHORT} --margin 0.02 --seed 7 --label mine --rounds 5")
    assert ended.status == 0, ended.err
    found = ResultFolder(Path("duel")).experiment()
    assert (found.name, found.label, found.seed, found.plan) == ("duel", "mine", 7, ())
    assert found.command == f"loopwise duel {SHORT} --margin 0.02 --seed 7 --label mine --rounds 5"
    assert found.suite.compare.margin == 0.02
    assert (found.suite.replicates.min, found.suite.replicates.max) == (5, 5)
    assert found.suite.replicates.target_half_width == duel.Effort().half_width
    assert [case.case_id for case in found.suite.cases] == [BASE, OTHER]
    assert {case.load for case in found.suite.cases} == {found.suite.cases[0].load}
    load = found.suite.cases[0].load
    assert (load.users, load.measure_s, load.warmup_s) == (4, 0.5, duel.WARMUP_S)
    assert found.finished_at is not None
    assert {"cpu_model", "cores", "python"} <= set(found.environment)


def test_both_apps_are_imported_from_paths_of_equal_length(fight: Fight, place: Path) -> None:
    (place / "a-much-longer-name").mkdir()
    assert fight(f"{SHORT} --candidate-app-dir a-much-longer-name --rounds 2").status == 0
    apps = [case.app for case in ResultFolder(Path("duel")).experiment().suite.cases]
    assert len({len(app.app_dir) for app in apps if app}) == 1


def test_sides_swap_who_starts_first_and_who_comes_first_from_round_to_round(fight: Fight) -> None:
    ended = fight(f"{SHORT} --rounds 4", calm(noise_ratio=0.2))
    assert [each.first for each in rounds_of()] == [*SIDES, *SIDES]
    assert [order.rival.first for order in ended.bench.orders if order.rival] == [*SIDES, *SIDES]
    assert ended.bench.served == [
        *((BASE, 1), (OTHER, 1), (OTHER, 2), (BASE, 2)),
        *((BASE, 3), (OTHER, 3), (OTHER, 4), (BASE, 4)),
    ]
    # Whoever starts first, the order's own server is the baseline.
    assert all(order.rival and order.rival.slice_s is None for order in ended.bench.orders)
    assert len({order.seed for order in ended.bench.orders}) == 4


# noise of a round's rate, --rounds -> rounds: from six on, until both ratios are known to half a percent
EFFORTS = [(0.0, 10, 6), (0.0, 2, 2), (0.2, 7, 7), (0.2, 10, 10), (0.004, 10, range(7, 10))]


@pytest.mark.parametrize(("noise", "most", "rounds"), EFFORTS)
def test_rounds_go_on_until_the_ratio_is_known_or_there_are_enough(
    fight: Fight, noise: float, most: int, rounds: int | range
) -> None:
    ended = fight(f"{SHORT} --rounds {most}", calm(noise_ratio=noise), calm(noise_ratio=noise))
    count = len(ended.bench.orders)
    assert count in (rounds if isinstance(rounds, range) else [rounds])
    assert ended.out.count(f" of at most {most}: throughput ×") == count
    words = {(each["verdict"], each["replicates"]) for each in verdicts_of().values()}
    assert {number for _, number in words} == {count}


def test_a_side_that_is_faster_needs_no_other_effort_than_its_equal(fight: Fight) -> None:
    counts = [
        len(fight(f"{SHORT}-{rate} --rounds 10", calm(), calm(rate)).bench.orders) for rate in (400, 800)
    ]
    # Precision alone decides; the larger count of rows is no reason to stop, the ratio neither.
    assert abs(counts[0] - counts[1]) <= 1


def test_there_is_a_verdict_per_endpoint_and_metric_and_cpu_for_the_whole(fight: Fight) -> None:
    ended = fight(f"{SHORT} --endpoint /y --rounds 4", calm(), calm(360.0, cpu_ms=1.2))
    assert ended.status == 0, ended.err
    found = verdicts_of()
    timed = {metric for metric in COMPARED if metric != "cpu_ms_per_request"}
    wanted = {(endpoint, metric) for endpoint in (TOTAL, "GET /x", "GET /y") for metric in timed}
    assert set(found) == wanted | {(TOTAL, "cpu_ms_per_request")}
    assert {row["pairing"] for row in found.values()} == {"duel"}
    rates = [found[endpoint, "throughput_rps"] for endpoint in (TOTAL, "GET /x", "GET /y")]
    assert [row["verdict"] for row in rates] == ["worse"] * 3
    assert found[TOTAL, "throughput_rps"]["ratio"] == pytest.approx(0.9, rel=0.01)
    assert found[TOTAL, "cpu_ms_per_request"]["ratio"] == pytest.approx(1.2, rel=0.01)
    assert found["GET /y", "service_time_p50_ms"]["ratio"] == pytest.approx(1 / 0.9, rel=0.03)
    assert "measured side by side" in found[TOTAL, "throughput_rps"]["reason"]
    assert f"{OTHER} costs 1.2 times" in " ".join(ended.out.split())
    assert f"CPU of both that {OTHER} got: 51." in ended.out  # 360 × 1.2 of 832


def test_json_is_the_verdicts_and_nothing_else(fight: Fight) -> None:
    ended = fight(f"{SHORT} --rounds 3 --json")
    rows = json.loads(ended.out)
    assert rows == list(verdicts_of().values())
    assert [
        each.model_dump() for each in judge_rounds(rounds_of(), margin=duel.MARGIN, confidence=0.95)
    ] == rows
    assert not ended.err


def test_quiet_prints_no_rounds_but_the_table_and_where_the_result_is(fight: Fight) -> None:
    out = fight(f"{SHORT} --rounds 3 --quiet").out
    assert "of at most" not in out
    assert f"{OTHER} ÷ {BASE}" in out
    assert "result: duel" in out


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
def test_gates_end_with_their_status_and_leave_their_files_behind(fight: Fight, name: str) -> None:
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


def test_two_rounds_that_fail_end_it_and_what_was_measured_is_judged(fight: Fight) -> None:
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
def test_a_duel_without_a_valid_round_is_a_sentence_exit_3_and_kept(fight: Fight, name: str) -> None:
    conduct, rounds, sentence = HOPELESS[name]
    ended = fight(f"{SHORT} --rounds 6 --quiet", None, replace(conduct, in_pairs=conduct))
    assert ended.status == 3
    assert ended.err.startswith("error: no round gave a valid measurement: ")
    assert sentence in ended.err
    assert len(rounds_of()) == rounds
    assert ResultFolder(Path("duel")).experiment().finished_at is None


def test_an_interrupted_duel_keeps_its_rounds_and_ends_with_130(fight: Fight) -> None:
    stopped = calm(in_pairs=calm(faults={3: Interrupted("interrupted by SIGINT")}))
    ended = fight(SHORT, stopped)
    assert ended.status == 130
    assert [each.status for each in rounds_of()] == ["ok", "ok"]


def test_a_suites_cases_are_asked_what_they_say_by_as_many_users(fight: Fight) -> None:
    ended = fight(f"{X} {Y} --suite suite.toml --seconds 0.5 --users 99 --rounds 3 --out duel")
    assert ended.status == 0, ended.err
    cases = ResultFolder(Path("duel")).experiment().suite.cases
    assert [case.case_id for case in cases] == [X, Y]
    assert [case.endpoints[0].path for case in cases] == ["/x", "/y"]
    # The suite's users and nobody else; the duel's time.
    assert {(case.load.users, case.load.measure_s, case.load.victim) for case in cases} == {(8, 0.5, None)}
    order = ended.bench.orders[0]
    assert order.rival is not None
    assert [order.endpoints[0].path, order.rival.endpoints[0].path] == ["/x", "/y"]


@pytest.mark.parametrize(
    "line",
    [f"{X} {X} --suite suite.toml --seconds 0.5", "old:app old:app --endpoint /x --seconds 0.5 --users 4"],
    ids=["case", "app"],
)
def test_the_same_on_both_sides_shows_what_can_be_told_apart_here(fight: Fight, line: str) -> None:
    ended = fight(f"{line} --rounds 4 --out duel")
    assert ended.status == 0, ended.err
    names = [case.case_id for case in ResultFolder(Path("duel")).experiment().suite.cases]
    assert [name.rpartition("-")[2] for name in names] == ["base", "candidate"]
    assert len(rounds_of()) == 4
    assert verdicts_of()[TOTAL, "throughput_rps"]["ratio"] == pytest.approx(1.0, rel=0.05)
    assert verdicts_of()[TOTAL, "throughput_rps"]["ratio"] != 1.0


# arguments -> words of the sentence
WRONG: list[tuple[str, str]] = [
    ("old:app new:app", "duel: nothing says what to ask; add --endpoint 'GET /x', or --suite SUITE"),
    ("old:app new:app --endpoint x", "allowed is"),
    ("old new:app --endpoint /x", 'got "old", allowed is "module:attribute" or "module:factory()"'),
    ("old:app new:app --endpoint /x --base-app-dir gone", "duel: old:app: there is no folder gone; correct"),
    ("old:app new:app --endpoint /x --candidate-app-dir gone", "duel: new:app: there is no folder gone"),
    ("old:app new:app --endpoint /x --base-python gone", "there is no file"),
    ("git:HEAD new:app --endpoint /x", "is in no git checkout; name a folder that is by --app-dir"),
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
def test_a_file_that_cannot_be_written_is_a_sentence_and_the_verdicts_are_kept(
    fight: Fight, option: str
) -> None:
    ended = fight(f"{SHORT} --rounds 2 {option} gone/file --quiet")
    assert ended.status == 2
    assert f"{option}: gone/file can't be written" in ended.err
    assert verdicts_of()


def test_precise_means_both_throughput_and_cpu(fight: Fight) -> None:
    fight(f"{SHORT} --rounds 6", calm(noise_ratio=0.0), calm(noise_ratio=0.0))
    verdicts = judge_rounds(rounds_of(), margin=0.01, confidence=0.95)
    assert duel.is_precise(verdicts, 0.005)
    assert not duel.is_precise(verdicts, 1e-9)
    assert not duel.is_precise([], 0.5)
    wide = [
        each.model_copy(update={"ci_low": 0.5}) if each.metric == "cpu_ms_per_request" else each
        for each in verdicts
    ]
    assert not duel.is_precise(wide, 0.005)
    unknown = [each.model_copy(update={"ci_low": None, "ci_high": None}) for each in verdicts]
    assert not duel.is_precise(unknown, 0.5)


@pytest.mark.parametrize(("workload", "is_calibrated"), [("cpu", True), ("sleep", False)])
def test_a_duel_of_computing_routes_is_calibrated_once(
    monkeypatch: pytest.MonkeyPatch, workload: str, is_calibrated: bool
) -> None:
    monkeypatch.setattr("loopwise.target.calibrate", lambda: {"cpu_iterations_per_ms": 9.0})
    sides = (case_of(name, workload=workload) for name in ("one", "two"))
    found = duel.design(*sides, name="d", margin=0.01, effort=duel.Effort(), seed=1, label=None)
    assert found.calibration == ({"cpu_iterations_per_ms": 9.0} if is_calibrated else {})
    assert found.suite.description == "two against one"
