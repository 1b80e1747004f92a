"""The suites that come with Loopwise load, with the real target_app's word on every case."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest
from support.target import described

from loopwise.measure.plan import duration
from loopwise.model import Suite
from loopwise.paths import results_dir, scenarios_dir, target_app_dir
from loopwise.servers import target
from loopwise.suite import baseline_pairs, load_suite, suite_paths


@pytest.mark.parametrize("name", suite_paths())
def test_every_shipped_suite_loads_and_compares_something(name: str) -> None:
    suite = load_suite(name, describe=described)
    assert suite.name == name
    assert suite.description
    assert baseline_pairs(suite)
    assert Suite.model_validate_json(suite.model_dump_json()) == suite


def test_the_promised_suites_are_there() -> None:
    assert {"full", "journey", "postgres", "quick", "smoke"} <= set(suite_paths())


def test_quick_has_both_workloads_in_every_mode_on_one_and_two_workers_and_fits_in_five_minutes() -> None:
    suite = load_suite("quick", describe=described)
    offered = target.catalogue()["workloads"]
    expected = {
        (workload, mode, workers)
        for workload in ("sleep", "cpu")
        for mode in offered[workload]["modes"]
        for workers in (1, 2)
    }
    assert {(case.workload, case.mode, case.workers) for case in suite.cases} == expected
    assert duration(suite, 2).least < 300
    window_s = suite.replicates.max * sum(case.load.measure_s for case in suite.cases)
    assert window_s >= 0.5 * duration(suite, 2).least


def test_smoke_fits_in_twenty_seconds() -> None:
    assert duration(load_suite("smoke", describe=described), 2).least < 20


@pytest.mark.parametrize("suite", ["full", "postgres"])
def test_full_and_postgres_have_every_workload_in_each_of_its_modes(suite: str) -> None:
    offered = target.catalogue()["workloads"]
    expected = {
        (workload, mode)
        for workload, entry in offered.items()
        for mode in entry["modes"]
        if (workload == "postgres") == (suite == "postgres")
    }
    cases = load_suite(suite, describe=described).cases
    assert {(case.workload, case.mode) for case in cases} == expected
    assert {need for case in cases for need in case.needs} == ({"postgres"} if suite == "postgres" else {"upstream"})


def test_full_fits_in_a_night() -> None:
    full = load_suite("full", describe=described)
    assert duration(full, 2).least < 6 * 3600


def test_a_workloads_path_and_cost_come_from_target_app() -> None:
    case = load_suite("quick", describe=described).cases[0]
    assert case.endpoints[0].path == "/sleep/async?ms=50"
    assert case.cost is not None
    assert case.cost.wait_ms == 50


def test_calibration_gives_this_machines_speed() -> None:
    assert target.calibrate()["cpu_iterations_per_ms"] > 0


def test_the_parts_that_are_started_by_path_lie_where_paths_says() -> None:
    assert (target_app_dir() / "target_app" / "app.py").is_file()
    assert (scenarios_dir() / "quick.toml").is_file()


def test_an_installed_wheel_has_them_inside_the_package_and_results_in_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    monkeypatch.setattr("loopwise.paths._BUNDLE", bundle)
    monkeypatch.chdir(tmp_path)
    assert (target_app_dir(), scenarios_dir()) == (bundle, bundle / "scenarios")
    assert results_dir() == tmp_path / "results"


def test_every_route_of_the_journey_is_one_that_target_app_serves() -> None:
    tree = ast.parse((scenarios_dir() / "journey.py").read_text(encoding="utf-8"))
    texts = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    routes = [text.split("?")[0].strip("/") for text in texts if isinstance(text, str) and text.startswith("/")]
    questions = [
        {"workload": workload, "params": {}, "mode": mode.split(" ")[0]}
        for workload, _, mode in (route.partition("/") for route in routes)
        if mode
    ]
    assert len(questions) > 5
    assert all(answer.ok for answer in target.describe(questions))


def test_loading_a_suite_imports_nothing_slow() -> None:
    heavy = ["fastapi", "gevent", "httpx", "locust", "matplotlib", "numpy", "pandas", "pyarrow", "scipy"]
    program = f"import sys, json, loopwise.suite; print(json.dumps([m for m in {heavy} if m in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []
