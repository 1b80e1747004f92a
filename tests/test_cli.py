"""The commands, on fakes: what they print, what they write, and the status they end with."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from fakes import THREE_CONDUCTS, Conduct, FakeBench, case_of, measured, suite_with, three_modes

from loopwise import cli, commands
from loopwise.combinations import RUNS
from loopwise.command_lines import SERVERS
from loopwise.doctor import CHECKUPS, Symptom, is_fit
from loopwise.errors import Interrupted, ServerError
from loopwise.experiment import Execution
from loopwise.listing import LISTINGS
from loopwise.store import ResultFolder

COMMANDS = (
    "run",
    "try",
    "init",
    "check",
    "report",
    "compare",
    "duel",
    "selftest",
    "list",
    "doctor",
    "blame",
    "claims",
)
SUITE = """
name = "mine"
[load]
users = 10
measure_s = 0.5
[replicates]
min = 2
max = 2
[[matrix]]
url = "http://127.0.0.1:9"
endpoint = ["GET /a", "GET /b"]
"""
CASE_A, CASE_B = "get-a-own-url-u10", "get-b-own-url-u10"

Bench = Callable[..., tuple[int, str, str]]


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Bench:
    """Runs the command line in this process; returns status, stdout and stderr."""

    def call(*arguments: str | Path) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["loopwise", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert isinstance(ended.value.code, int)
        return (ended.value.code, *capsys.readouterr())

    return call


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeBench:
    """`run` and `try` measure on fakes."""
    made = FakeBench()

    @contextmanager
    def generators(log: Path) -> Iterator[FakeBench]:
        log.touch()
        yield made

    monkeypatch.setattr(commands, "generators", generators)
    monkeypatch.setattr(commands, "Execution", partial(Execution, serve=made.serve))
    return made


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(SUITE)
    return path


def test_run_measures_a_suite_and_prints_the_answer_and_where_the_report_is(
    bench: Bench, fake: FakeBench, suite: Path, tmp_path: Path
) -> None:
    status, out, err = bench("run", suite, "--out", tmp_path / "r", "--label", "before", "--seed", "7")
    assert (status, err) == (0, "")
    assert "[1/4] " in out
    assert "GET /a: the app serves" in out
    assert out.splitlines()[-1] == f"report: {tmp_path / 'r' / 'report.html'}"
    experiment = ResultFolder(tmp_path / "r").experiment()
    assert (experiment.seed, experiment.label, experiment.name) == (7, "before", "r")
    assert len(fake.served) == 4
    assert (tmp_path / "r" / "report.html").exists()


def test_a_quiet_run_prints_only_where_the_report_is(
    bench: Bench, fake: FakeBench, suite: Path, tmp_path: Path
) -> None:
    assert bench("run", suite, "--out", tmp_path / "r", "--quiet") == (
        0,
        f"report: {tmp_path / 'r' / 'report.html'}\n",
        "",
    )


def test_an_empty_folder_may_be_the_result(
    bench: Bench, fake: FakeBench, suite: Path, tmp_path: Path
) -> None:
    (tmp_path / "r").mkdir()
    assert bench("run", suite, "--out", tmp_path / "r", "--quiet")[0] == 0


@pytest.mark.parametrize(
    "conduct",
    [Conduct(faults={1: ServerError("it died")}), Conduct(generator_cpu_ratio=0.97)],
    ids=["failed", "invalid"],
)
def test_failed_and_invalid_runs_end_with_3_and_are_reported_beside_the_others(
    bench: Bench, fake: FakeBench, suite: Path, tmp_path: Path, conduct: Conduct
) -> None:
    fake.conducts[CASE_B] = conduct
    status, out, err = bench("run", suite, "--out", tmp_path / "r")
    assert (status, err) == (3, "")
    assert "GET /a: the app serves" in out
    assert (tmp_path / "r" / "report.html").exists()


def test_an_interrupted_run_tells_how_to_go_on_and_resume_measures_only_the_rest(
    bench: Bench, fake: FakeBench, suite: Path, tmp_path: Path
) -> None:
    fake.conducts[CASE_A] = Conduct(faults={2: Interrupted("interrupted by SIGINT")})
    status, _, err = bench("run", suite, "--out", tmp_path / "r", "--quiet")
    done = len(fake.served) - 1
    assert status == 130
    assert err == (
        f"interrupted by SIGINT: {done} of 4 runs are kept; go on with: bench.py run --resume {tmp_path / 'r'}, "
        f"or see them with: bench.py report {tmp_path / 'r'}\n"
    )
    before = fake.served[:-1]
    fake.served.clear()
    fake.conducts.clear()
    assert bench("report", tmp_path / "r")[0] == 0
    assert bench("run", "--resume", tmp_path / "r", "--quiet")[0] == 0
    assert sorted(before + fake.served) == [
        (case, replicate) for case in (CASE_A, CASE_B) for replicate in (1, 2)
    ]


def test_try_is_run_without_a_file(bench: Bench, fake: FakeBench, tmp_path: Path) -> None:
    status, out, _ = bench(
        *("try", "http://127.0.0.1:9", "--endpoint", "GET /a", "--users", "10", "--out", tmp_path / "r"),
        *("--set", "load.measure_s=0.5"),
    )
    assert status == 0
    assert "GET /a: the app serves" in out
    suite = ResultFolder(tmp_path / "r").experiment().suite
    assert (suite.name, suite.cases[0].load.measure_s) == ("try", 0.5)


def test_check_prints_the_plan_and_writes_nothing(bench: Bench, suite: Path) -> None:
    status, out, err = bench("check", suite)
    assert (status, err) == (0, "")
    assert CASE_A in out
    assert [path.name for path in suite.parent.iterdir()] == ["mine.toml"]


def test_init_writes_a_suite_that_it_names(bench: Bench, tmp_path: Path) -> None:
    status, out, err = bench("init", tmp_path)
    assert (status, err) == (0, "")
    path = tmp_path / "suite.toml"
    assert out == f"wrote {path}; measure it with: bench.py run {path}\n"
    assert path.exists()


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`base`, `same`, one from `elsewhere`, a `slow` one and a `dead` one."""
    folder = tmp_path_factory.mktemp("results")
    steady = {case_id: Conduct(each.throughput_rps, 0.002) for case_id, each in THREE_CONDUCTS.items()}
    measured(folder / "base", conducts=steady)
    here = {"cores": 2, "cpu_model": "Example CPU", "versions": {"uvicorn": "0.40.0"}}
    measured(folder / "same", conducts=steady, environment=here | {"memory_gb": 8})
    measured(folder / "elsewhere", conducts=steady, environment=here | {"cores": 4})
    measured(folder / "slow", conducts=steady | {"async": Conduct(700.0, 0.002)})
    measured(folder / "dead", conducts=steady | {"async": Conduct(generator_cpu_ratio=0.97)})
    measured(folder / "once", three_modes(replicates=(1, 1)), steady | {"async": Conduct(300.0)})
    return folder


@pytest.mark.parametrize(
    ("other", "gate", "status"),
    [
        ("same", "throughput_rps:-5%", 0),
        ("slow", "throughput_rps:-5%", 1),
        ("slow", "throughput_rps:-50%", 0),
        ("slow", "throughput_rps:+5%", 0),
        ("slow", "service_time_p99_ms:+10%", 1),
        ("dead", "throughput_rps:-5%", 3),
        ("once", "throughput_rps:-5%", 3),
    ],
    ids=["same", "slower", "far gate", "other way", "latency", "nothing measured", "no interval"],
)
def test_compare_ends_with_what_its_gate_says(
    bench: Bench, results: Path, other: str, gate: str, status: int
) -> None:
    found, out, err = bench("compare", results / "base", results / other, "--fail-on", gate)
    assert (found, err) == (status, "")
    assert (f"gate {gate}" in out) is (status != 0)


def test_compare_names_what_else_differs_and_overlays_any_number_of_results(
    bench: Bench, results: Path
) -> None:
    status, out, _ = bench("compare", results / "base", results / "same", results / "slow")
    assert status == 0
    assert "differs: memory_gb: None in base, 8 in same" in out
    assert "same ÷ base" in out
    assert "slow ÷ base" in out


def test_compare_refuses_another_machine_unless_told_so(bench: Bench, results: Path) -> None:
    sides = ("compare", results / "base", results / "elsewhere")
    status, out, err = bench(*sides)
    assert (status, out) == (2, "")
    assert "cores is 2 and 4" in err
    assert "--allow-different cores" in err
    status, out, err = bench(*sides, "--allow-different", "cores")
    assert (status, err) == (0, "")
    assert "differs: cores: 2 in base, 4 in elsewhere" in out


def test_compare_writes_what_a_ci_shows_whatever_the_gate_says(
    bench: Bench, results: Path, tmp_path: Path
) -> None:
    xml, comment = tmp_path / "loopwise.xml", tmp_path / "comment.md"
    files = ("--junit", xml, "--markdown", comment)
    status, _, err = bench(
        "compare", results / "base", results / "slow", "--fail-on", "throughput_rps:-5%", *files
    )
    assert (status, err) == (1, "")
    assert ElementTree.parse(xml).getroot().get("failures") == "1"
    assert comment.read_text(encoding="utf-8").startswith("### ❌ 1 gate failed")
    missing = tmp_path / "none" / "x.xml"
    status, _, err = bench("compare", results / "base", results / "slow", "--junit", missing)
    assert status == 2
    assert f"--junit: {missing} can't be written" in err


def test_compare_writes_page_and_charts_where_it_is_told_to(
    bench: Bench, results: Path, tmp_path: Path
) -> None:
    sides = (results / "base", results / "slow", results / "same")
    status, out, _ = bench("compare", *sides, "--out", tmp_path / "new" / "folder")
    assert status == 0
    named = [line.split(": ", 1) for line in out.splitlines() if re.match(r"(page|verdicts|chart): ", line)]
    assert sorted(path for _, path in named) == sorted(map(str, (tmp_path / "new" / "folder").iterdir()))
    assert [kind for kind, _ in named] == ["page", "verdicts", *["chart"] * 8]
    page = (tmp_path / "new" / "folder" / "compare.html").read_text(encoding="utf-8")
    assert "Of 12 comparisons, " in page
    assert "memory_gb" in page


def test_the_results_are_a_page_to_choose_from(
    bench: Bench, results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loopwise.listing.results_dir", lambda: results)
    monkeypatch.setattr("loopwise.commands_compare.results_dir", lambda: results)
    status, out, _ = bench("list", "results", "--html")
    assert (status, out) == (0, f"index: {results / 'index.html'}\n")
    elsewhere = tmp_path / "index.html"
    status, out, _ = bench("list", "results", "--html", "--out", elsewhere, "--json")
    assert (status, len(json.loads(out))) == (0, len(list(results.glob("*/experiment.json"))))
    assert "base" in elsewhere.read_text(encoding="utf-8")
    for wrong in (("list", "suites", "--html"), ("list", "results", "--out", elsewhere)):
        status, _, err = bench(*wrong)
        assert status == 2
        assert "write `list results --html`" in err


JSON_COMMANDS: dict[str, tuple[str, ...]] = {
    "check": ("check", "smoke"),
    "report": ("report", "{results}/same"),
    "compare": ("compare", "{results}/base", "{results}/slow", "--out", "{out}"),
    **{f"list {what}": ("list", what) for what in LISTINGS},
}


@pytest.fixture(autouse=True)
def no_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    """`list combinations` asks real servers in tests/test_e2e_servers.py."""
    monkeypatch.setattr("loopwise.combinations._answers", lambda _name, paths, *_: dict.fromkeys(paths, RUNS))


@pytest.mark.parametrize("name", JSON_COMMANDS)
def test_json_is_all_that_stdout_holds(bench: Bench, results: Path, tmp_path: Path, name: str) -> None:
    arguments = [part.format(results=results, out=tmp_path / "o") for part in JSON_COMMANDS[name]]
    status, out, err = bench(*arguments, "--json")
    assert (status, err) == (0, "")
    assert json.loads(out) is not None


def test_compare_as_json_has_a_row_per_result_case_and_metric(bench: Bench, results: Path) -> None:
    _, out, _ = bench("compare", results / "base", results / "same", results / "slow", "--json")
    rows = json.loads(out)
    assert len(rows) == 2 * 3 * 4
    assert {(row["base"], row["other"]) for row in rows} == {
        (str(results / "base"), str(results / other)) for other in ("same", "slow")
    }
    assert {"candidate_case", "metric", "ratio", "ci_low", "ci_high", "verdict", "reason"} <= set(rows[0])


@pytest.mark.parametrize("what", LISTINGS)
def test_every_listing_prints_a_table(bench: Bench, what: str) -> None:
    status, out, err = bench("list", what)
    assert (status, err) == (0, "")
    assert out.strip()


def test_servers_are_listed_with_what_they_are(bench: Bench) -> None:
    rows = json.loads(bench("list", "servers", "--json")[1])
    assert {row["name"] for row in rows} == set(SERVERS)
    assert all(row["description"] for row in rows)


def test_a_damaged_result_is_listed_beside_the_others(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loopwise.listing.results_dir", lambda: tmp_path)
    assert bench("list", "results")[1] == "no results yet\n"
    measured(tmp_path / "good", suite_with(case_of("sync")))
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "experiment.json").write_text("{")
    status, out, _ = bench("list", "results", "--json")
    rows = {row["name"]: row for row in json.loads(out)}
    assert status == 0
    assert (rows["good"]["runs"], rows["good"]["not valid"]) == ("3 of 3", 0)
    assert "can't be read" in rows["bad"]["runs"]
    assert bench("list", "results")[0] == 0


@pytest.mark.parametrize(("state", "status"), [("ok", 0), ("warn", 0), ("fail", 1)])
def test_doctor_fails_only_where_nothing_can_be_measured(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, state: Any, status: int
) -> None:
    found = [Symptom("cores", "ok", "2", ""), Symptom("steal", state, "9 %", "wait")]
    monkeypatch.setattr("loopwise.doctor.diagnose", lambda: found)
    assert is_fit(found) is (status == 0)
    ended, out, _ = bench("doctor", "--json")
    assert ended == status
    assert json.loads(out)[1] == {"name": "steal", "state": state, "found": "9 %", "remedy": "wait"}
    assert "wait" in bench("doctor")[1]


@pytest.mark.parametrize("checkup", [each for each in CHECKUPS if each.__name__ not in {"steal", "load"}])
def test_a_checkup_that_is_not_ok_has_a_remedy(checkup: Callable[[], Symptom]) -> None:
    found = checkup()
    assert found.name
    assert found.found
    assert bool(found.remedy) is (found.state != "ok")


HELP = f"""
import contextlib, io, sys
from loopwise.cli import main
for command in ((), *(({{name}},) for name in {COMMANDS!r})):
    sys.argv = ["loopwise", *command, "--help"]
    with contextlib.redirect_stdout(io.StringIO()) as out:
        try:
            main()
        except SystemExit as ended:
            assert not ended.code, (command, ended.code)
    assert "Usage: " in out.getvalue(), command
    if not command:
        assert all(name in out.getvalue() for name in {COMMANDS!r})
slow = {{"pandas", "matplotlib", "locust", "gevent", "pyarrow", "scipy", "numpy"}} & set(sys.modules)
assert not slow, slow
""".replace("{name}", "name")


def test_the_help_of_every_command_works_and_imports_nothing_slow() -> None:
    done = subprocess.run([sys.executable, "-c", HELP], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
