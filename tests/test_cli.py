"""The commands, on fakes: what they print, what they write, and the status they end with."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from support.cli import Bench, commanding
from support.fakes import Conduct, FakeBench, machine_of

from loopwise import __version__
from loopwise.calibrate.doctor import CHECKUPS, Checkup, Symptom, busy_sentence, is_fit
from loopwise.errors import Interrupted, ServerError
from loopwise.measure.experiment import Execution
from loopwise.results.folder import ResultFolder
from loopwise.servers.combinations import RUNS

ROOT = Path(__file__).parents[1]
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


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Bench:
    return commanding(monkeypatch, capsys)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeBench]:
    """`run` and `try` measure on fakes."""
    made = FakeBench()

    @contextmanager
    def generators(log: Path) -> Iterator[FakeBench]:
        log.touch()
        yield made

    monkeypatch.setattr("loopwise.generator.client.generators", generators)
    monkeypatch.setattr("loopwise.measure.experiment.Execution", partial(Execution, serve=made.serve))
    with machine_of(made):
        yield made


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(SUITE)
    return path


def test_a_busy_machine_is_said_before_the_first_run(
    bench: Bench, fake: FakeBench, suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loopwise.calibrate.doctor.busy_now", lambda: busy_sentence(0.93, 0.0))
    _, _, err = bench("run", suite, "--out", tmp_path / "r", "--no-report")
    assert err.startswith("note: this machine is busy: 93 % of its CPU is used before the first run; end what else")


@pytest.mark.parametrize(
    ("busy", "stolen", "said"),
    [(0.5, 0.1, ""), (0.51, 0.0, "this machine is busy: 51 %"), (0.0, 0.11, "this machine's host is busy: it took 11")],
)
def test_a_machine_is_busy_beyond_the_limits_of_doctor(busy: float, stolen: float, said: str) -> None:
    sentence = busy_sentence(busy, stolen)
    assert sentence.startswith(said)
    assert bool(sentence) == bool(said)


def test_run_prints_the_answer_and_the_path_of_the_report(
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


def test_a_run_without_a_report_says_how_to_make_it(bench: Bench, fake: FakeBench, suite: Path, tmp_path: Path) -> None:
    result = tmp_path / "r"
    status, out, _ = bench("run", suite, "--out", result, "--quiet", "--no-report")
    assert (status, out) == (0, f"result: {result}; its report: bench.py report {result}\n")
    assert not {"charts", "report.html", "summary.csv"} & {path.name for path in result.iterdir()}
    assert len(fake.served) == 4


def test_an_empty_folder_may_be_the_result(bench: Bench, fake: FakeBench, suite: Path, tmp_path: Path) -> None:
    (tmp_path / "r").mkdir()
    assert bench("run", suite, "--out", tmp_path / "r", "--no-report")[0] == 0


@pytest.mark.parametrize(
    "conduct",
    [Conduct(faults={1: ServerError("it died")}), Conduct(generator_cpu_ratio=0.97)],
    ids=["failed", "invalid"],
)
def test_failed_and_invalid_runs_end_with_3_and_are_reported(
    bench: Bench, fake: FakeBench, suite: Path, tmp_path: Path, conduct: Conduct
) -> None:
    fake.conducts[CASE_B] = conduct
    status, out, err = bench("run", suite, "--out", tmp_path / "r")
    assert (status, err) == (3, "")
    assert "GET /a: the app serves" in out
    assert (tmp_path / "r" / "report.html").exists()


def test_resume_measures_only_what_an_interrupted_run_lacks(
    bench: Bench, fake: FakeBench, suite: Path, tmp_path: Path
) -> None:
    fake.conducts[CASE_A] = Conduct(faults={2: Interrupted("interrupted by SIGINT")})
    status, _, err = bench("run", suite, "--out", tmp_path / "r", "--quiet")
    done = len(fake.served) - 1
    assert status == 130
    assert err == (
        f"interrupted by SIGINT: {done} of 4 runs are kept; go on with: loopwise run --resume {tmp_path / 'r'}, "
        f"or see them with: loopwise report {tmp_path / 'r'}\n"
    )
    before = fake.served[:-1]
    fake.served.clear()
    fake.conducts.clear()
    assert bench("report", tmp_path / "r")[0] == 0
    assert bench("run", "--resume", tmp_path / "r", "--no-report")[0] == 0
    assert sorted(before + fake.served) == [(case, replicate) for case in (CASE_A, CASE_B) for replicate in (1, 2)]


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
    assert "GET /a" in out
    assert "-own-" not in out
    assert [path.name for path in suite.parent.iterdir()] == ["mine.toml"]


def test_init_writes_a_suite_that_it_names(bench: Bench, tmp_path: Path) -> None:
    status, out, err = bench("init", tmp_path)
    assert (status, err) == (0, "")
    path = tmp_path / "suite.toml"
    assert out == f"wrote {path}; measure it with: bench.py run {path}\n"
    assert path.exists()


@pytest.fixture(autouse=True)
def no_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    """`list combinations` asks real servers in tests/test_e2e_servers.py."""
    monkeypatch.setattr("loopwise.servers.combinations._answers", lambda _name, paths, *_: dict.fromkeys(paths, RUNS))


@pytest.mark.parametrize(("state", "status"), [("ok", 0), ("warn", 0), ("fail", 1)])
def test_doctor_fails_only_where_nothing_can_be_measured(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, state: Any, status: int
) -> None:
    found = [Symptom("cores", "ok", "2", ""), Symptom("steal", state, "9 %", "wait")]
    monkeypatch.setattr("loopwise.calibrate.doctor.diagnose", lambda: found)
    assert is_fit(found) is (status == 0)
    ended, out, _ = bench("doctor", "--json")
    assert ended == status
    assert json.loads(out)[1] == {"name": "steal", "state": state, "found": "9 %", "remedy": "wait"}
    assert "wait" in bench("doctor")[1]


@pytest.mark.parametrize("checkup", [each for each in CHECKUPS if each.name not in {"steal", "idle"}])
def test_a_checkup_that_is_not_ok_has_a_remedy(checkup: Checkup) -> None:
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


def test_help_of_every_command_works_without_slow_imports() -> None:
    done = subprocess.run([sys.executable, "-c", HELP], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_command_whose_reader_is_gone_ends_as_unix_tools_do() -> None:
    lines = ["--help", "--version", "run --help", "claims --help", "list suites --json", "doctor"]
    reader, writer = os.pipe()
    os.close(reader)
    commands = [
        subprocess.Popen([sys.executable, ROOT / "bench.py", *line.split()], stdout=writer, stderr=subprocess.PIPE)
        for line in lines
    ]
    os.close(writer)
    ended = {
        line: (command.communicate()[1], command.returncode) for line, command in zip(lines, commands, strict=True)
    }
    assert ended == dict.fromkeys(lines, (b"", 128 + signal.SIGPIPE))


def test_the_version_is_printed(bench: Bench) -> None:
    assert bench("--version") == (0, f"loopwise {__version__}\n", "")
