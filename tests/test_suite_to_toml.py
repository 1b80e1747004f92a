"""The command line of one case: it gives that case again, and nothing else."""

import shlex
import sys
import tomllib
from pathlib import Path

import pytest
from support.report import HOSTILE, fixture_summary, own_app_summary
from support.suite import FakeTarget, suite_file

from loopwise.model import Case, Experiment, Suite
from loopwise.suite import load_suite
from loopwise.suite.to_toml import case_command, repeat_command, toml

MIXED = """
    [load]
    users = 7
    warmup_s = 0.25

    [[matrix]]
    workload = "sleep"
    params = { ms = [5, 50] }
    mode = ["async", "sync"]
    workers = [1, 2]
    features = ["", "response_model"]

    [[matrix]]
    workload = "cpu"
    params = { ms = 2 }
    mode = "process"
    pool_processes = 3
    load = { model = "open", rate_rps = [50, 120.5], arrivals = "constant", victim = "/health" }

    [[matrix]]
    name = "blend"
    mix = [
      { workload = "noop", mode = "sync", weight = 3 },
      { workload = "sleep", params = { ms = 5 }, mode = "async" },
    ]

    [[matrix]]
    url = "http://127.0.0.1:9"
    endpoint = [
      "GET /",
      { method = "POST", path = "/x?a=\\"b'", json = { "ключ" = [1, true, "é"] }, expect_status = 201 },
    ]

    [[matrix]]
    app = "shop.main:app"
    python = "PYTHON"
    mix = [{ endpoint = "GET /", weight = 2 }, { endpoint = { path = "/y", headers = { "X-A" = "1" } } }]
    workers = 2
    threads = 9

    [[matrix]]
    app = "shop.main:app"
    python = "PYTHON"
    endpoint = "GET /"
    mode = ["own", "sync", "process"]
    dependencies = ["own", "same"]
    pool_processes = 2

    [[matrix]]
    app = "shop.main:app"
    python = "PYTHON"
    endpoint = "GET /"
    patch = ["", "fix.diff"]

    [[matrix]]
    scenario = "walk.py"
    options = { tags = ["a"], tenant = 1 }
    name = "a walk"

    [compare]
    baseline = { workers = 1 }
"""


@pytest.fixture
def suite(tmp_path: Path) -> tuple[Path, Suite]:
    (tmp_path / "walk.py").write_text("", encoding="utf-8")
    (tmp_path / "shop.py").write_bytes(b"a = 'x'\r\n")
    (tmp_path / "fix.diff").write_bytes(b"--- shop.py\n+++ shop.py\n@@ -1 +1 @@\n-a = 'x'\r\n+a = '\xc3\xa9'\r\n")
    path = suite_file(tmp_path, MIXED.replace("PYTHON", sys.executable))
    return path, load_suite(str(path), describe=FakeTarget())


def an_experiment(suite: Suite, command: str | None) -> Experiment:
    return Experiment(name="x", created_at="2026-01-02T03:04:05Z", suite=suite, seed=7, environment={}, command=command)


def sets_of(command: str) -> list[str]:
    words = shlex.split(command)
    return [words[index + 1] for index, word in enumerate(words) if word == "--set"]


def nameless(case: Case) -> Case:
    return case.model_copy(update={"case_id": ""})


def test_the_command_of_each_case_gives_that_case_alone(suite: tuple[Path, Suite]) -> None:
    path, measured = suite
    experiment = an_experiment(measured, f"loopwise run {path} --set load.users=7 --set matrix.mode=sync")
    (path.parent / "fix.diff").unlink()
    assert len(measured.cases) == 29
    for case in measured.cases:
        again = load_suite(str(path), sets_of(case_command(experiment, case)), describe=FakeTarget())
        assert [nameless(each) for each in again.cases] == [nameless(case)]
        assert again.replicates == measured.replicates


@pytest.mark.parametrize(
    ("recorded", "begins"),
    [
        (None, "python bench.py run quick --seed 1 --set "),
        ("python bench.py run x.toml --quiet", "python bench.py run x.toml --quiet --set "),
        ("loopwise run x.toml --out a --label=b --seed 3", "loopwise run x.toml --seed 3 --set "),
        (
            "loopwise run x --set replicates.min=5 --set=matrix.workers=2 --set load={} "
            "--set compare.baseline.mode=sync",
            "loopwise run x --set replicates.min=5 --set 'matrix=",
        ),
        ("loopwise run 'half a quote", "loopwise run 'half a quote"),
        ("loopwise duel a:x b:y", "loopwise duel a:x b:y"),
    ],
)
def test_a_cases_command_is_the_recorded_one_with_its_matrix(recorded: str | None, begins: str) -> None:
    experiment = fixture_summary(1).experiment.model_copy(update={"command": recorded})
    assert case_command(experiment, experiment.suite.cases[0]).startswith(begins)


def test_any_name_survives_the_shell_and_the_toml() -> None:
    hostile = f"{HOSTILE}'\x7f`$(reboot)`; rm -rf /"
    experiment = own_app_summary().experiment
    case = experiment.suite.cases[0].model_copy(update={"url": hostile, "app": None})
    *_, matrix, load, _ = sets_of(case_command(experiment, case))
    assert tomllib.loads(matrix)["matrix"][0]["url"] == hostile
    assert tomllib.loads(load) == {"load": {}}


@pytest.mark.parametrize(
    "value",
    [{"a b": [1, 2.5, True, "x\n\"'\\"], "c": {"d": {}}}, [], 1e-07, -3, "\x7f\x1f é 🚀"],
)
def test_a_value_survives_as_toml(value: object) -> None:
    assert tomllib.loads(f"value = {toml(value)}")["value"] == value


@pytest.mark.parametrize(
    ("recorded", "command"),
    [(None, "python bench.py run quick --seed 1"), ("loopwise run y", "loopwise run y")],
)
def test_a_result_without_a_command_gets_one_from_its_suite(recorded: str | None, command: str) -> None:
    experiment = fixture_summary(1).experiment.model_copy(update={"command": recorded})
    assert repeat_command(experiment) == command
