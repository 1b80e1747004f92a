"""Somebody's own app in its own interpreter, and servers that run already: measured without an edit."""

import csv
import difflib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pytest
from support.e2e import ROOT, Bench, app_file, brief, brief_suite, runs_of
from support.fault_server import FaultServer

from loopwise.measure.alone import REQUESTS
from loopwise.results.folder import ResultFolder
from loopwise.servers.lifecycle import free_port

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the example with an environment of its own, which has what its requirements.txt names."""
    shop = tmp_path_factory.mktemp("own") / "shop"
    shutil.copytree(ROOT / "examples" / "shop", shop, ignore=shutil.ignore_patterns(".venv", "__pycache__"))
    python = shop / ".venv" / "bin" / "python"
    # Our pip installs for it: one of its own takes longer to come than all that the app needs.
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", shop / ".venv"], check=True, timeout=120)
    install = [
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-compile",
        "-r",
        str(shop / "requirements.txt"),
    ]
    subprocess.run([sys.executable, "-m", "pip", "--python", python, *install], check=True, timeout=300)
    return shop


def can_import(python: str | Path, module: str) -> bool:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    asked = subprocess.run(
        [python, "-c", f"import {module}"], env=environment, cwd="/", capture_output=True, check=False
    )
    return asked.returncode == 0


def summary_of(result: Path) -> list[dict[str, str]]:
    with (result / "summary.csv").open(encoding="utf-8") as source:
        return list(csv.DictReader(source))


def test_the_example_has_a_dependency_that_we_have_not_and_does_not_have_us(shop: Path) -> None:
    theirs = shop / ".venv" / "bin" / "python"
    found = {
        module: (can_import(sys.executable, module), can_import(theirs, module)) for module in ("humanize", "locust")
    }
    assert found == {"humanize": (False, True), "locust": (True, False)}


def test_try_measures_an_app_of_ones_own_on_one_and_two_workers(shop: Path, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in shop.glob("shop/*.py")}
    bench, result = Bench(tmp_path / "bench"), tmp_path / "result"
    python = shop / ".venv" / "bin" / "python"
    status, output = bench(
        *["try", "shop.main:app", "--workers", "1,2", "--endpoint"],
        "GET /items/1",
        *("--app-dir", shop, "--python", python, "--out", result),
        *brief(users=8, measure_s=0.4),
    )
    assert status == 0, output
    runs = runs_of(result)
    assert len(runs) == 2
    assert {run.status for run in runs} == {"ok"}
    assert {(run.case.subject, run.case.mode, run.case.workers) for run in runs} == {
        ("GET /items/1", "own", 1),
        ("GET /items/1", "own", 2),
    }
    assert all(len(run.server.pids) == run.case.workers for run in runs)
    assert {row["case_id"] for row in summary_of(result)} == {run.case.case_id for run in runs}
    assert list(result.glob("charts/*.svg"))
    assert "GET /items/1" in (result / "report.html").read_text(encoding="utf-8")
    assert bench.left_behind() == []
    assert {path: path.read_bytes() for path in shop.glob("shop/*.py")} == before


def test_the_examples_journey_takes_both_steps_without_an_error(shop: Path, tmp_path: Path) -> None:
    bench, result = Bench(tmp_path / "bench"), tmp_path / "result"
    options = [*brief(measure_s=0.4), "--set", "matrix.workers=[1]"]
    status, output = bench("run", shop / "journey.toml", "--out", result, "--no-report", *options)
    assert status == 0, output
    (run,) = runs_of(result)
    rows = ResultFolder(result).samples(run)
    finished = rows.filter(pc.not_equal(pc.fill_null(rows["error"].cast("string"), ""), "unfinished"))
    assert set(finished["endpoint"].to_pylist()) == {"GET /items/{item_id}", "POST /orders"}
    assert set(finished["error"].to_pylist()) == {None}


def test_the_examples_suite_measures_every_endpoint(shop: Path, tmp_path: Path) -> None:
    bench, result = Bench(tmp_path / "bench"), tmp_path / "result"
    options = [*brief(measure_s=0.4), "--set", "matrix.workers=[1]"]
    status, output = bench("run", shop / "suite.toml", "--out", result, "--no-report", *options)
    assert status == 0, output
    statuses: dict[str, int] = {}
    for run in runs_of(result):
        assert run.status == "ok", run.error
        rows = ResultFolder(result).samples(run)
        mine = rows.filter(pc.is_null(rows["error"]))
        named = zip(mine["endpoint"].to_pylist(), mine["status"].to_pylist(), strict=True)
        statuses |= dict(named)
    assert statuses == {
        "GET /items/1": 200,
        "GET /items": 200,
        "GET /slow": 200,
        "POST /orders": 201,
        "victim /health": 200,
    }
    assert bench.left_behind() == []


MODED = """
import asyncio, os, threading, time
from fastapi import FastAPI

app = FastAPI()

def tell():
    os.write(2, f"called in {os.getpid()} {threading.current_thread().name.split()[0]}\\n".encode())

@app.get("/sleep")
async def sleep() -> str:
    tell()
    time.sleep(0.01)
    return "slept"

@app.get("/awaits")
async def awaits() -> str:
    await asyncio.sleep(0.001)
    return "slept"

@app.get("/thread")
async def thread() -> str:
    return threading.current_thread().name.split()[0]
"""
MODED_ENTRIES: list[dict[str, Any]] = [
    {"app": "moded:app", "endpoint": "/sleep", "mode": ["own", "sync", "process"], "pool_processes": 1},
    {"app": "moded:app", "endpoint": ["/awaits", "/thread"], "mode": "sync"},
    {
        **{"app": "moded:app", "endpoint": "/sleep", "patch": ["fix.diff", "changed.diff", "unused.diff"]},
        **{"server": "gunicorn", "workers": 2},
    },
]


def diff_of(name: str, before: str, after: str) -> str:
    return "".join(difflib.unified_diff(before.splitlines(True), after.splitlines(True), f"a/{name}", f"b/{name}"))


def test_an_endpoint_is_measured_as_every_variant_and_refused_where_its_answer_would_be_another(tmp_path: Path) -> None:
    app_file(tmp_path, MODED, "moded.py")
    (tmp_path / "unused.py").write_text("X = 1\n")
    diffs = {
        "fix": diff_of("moded.py", MODED, MODED.replace("async def sleep", "def sleep")),
        "changed": diff_of("moded.py", MODED, MODED.replace('"slept"', '"slept well"')),
        "unused": diff_of("unused.py", "X = 1\n", "X = 2\n"),
    }
    for name, text in diffs.items():
        (tmp_path / f"{name}.diff").write_text(text)
    suite = brief_suite(tmp_path / "moded.toml", *MODED_ENTRIES, **{"compare.baseline": {"mode": "own"}})
    bench, result = Bench(tmp_path / "bench"), tmp_path / "result"
    status, output = bench("run", suite, "--out", result, "--no-report")
    assert status == 3, output
    runs = {(run.case.workload, run.case.mode): run for run in runs_of(result) if run.case.patch is None}
    measured = {mode: runs["GET /sleep", mode] for mode in ("own", "sync", "process")}
    assert {mode: run.error for mode, run in measured.items()} == dict.fromkeys(measured)
    places = {}
    for mode, run in measured.items():
        log = (result / "runs" / run.case.case_id / "1" / "server.log").read_text()
        calls = {tuple(line.split()[2:]) for line in log.splitlines() if line.startswith("called in")}
        places[mode] = {(pid == str(run.server.pids[0]), name) for pid, name in calls}
    assert places == {"own": {(True, "MainThread")}, "sync": {(True, "AnyIO")}, "process": {(False, "MainThread")}}
    assert runs["GET /awaits", "sync"].error == (
        "GET /awaits can't be measured as sync: it needs the event loop at moded.py:18 (await asyncio.sleep(0.001)), "
        "and would run without one; leave sync out of mode"
    )
    assert (runs["GET /thread", "sync"].error or "").startswith(
        'GET /thread can\'t be measured as sync: $ is "AnyIO", as written "MainThread"; leave sync out of mode'
    )
    patched = {run.case.patch.name: run for run in runs_of(result) if run.case.patch is not None}
    fixed = patched["fix.diff"]
    assert fixed.error is None
    log = (result / "runs" / fixed.case.case_id / "1" / "server.log").read_text()
    assert {line.split()[3] for line in log.splitlines() if line.startswith("called in")} == {"AnyIO"}
    assert (patched["changed.diff"].error or "").startswith(
        'GET /sleep can\'t be measured with changed.diff: $ is "slept well", as written "slept"; correct changed.diff'
    )
    assert (patched["unused.diff"].error or "").startswith(
        "unused.diff changes unused.py, which was never imported, so nothing of it would be measured"
    )
    assert (tmp_path / "moded.py").read_text() == MODED
    assert "GET /sleep as written, unpatched, under uvicorn, 1 worker #1: " in output
    assert not re.search(r"GET /\w+ own\b|-own-", output)
    assert bench.left_behind() == []


def test_a_server_that_runs_already_is_measured_and_left_alone(tmp_path: Path) -> None:
    bench, result = Bench(tmp_path / "bench"), tmp_path / "result"
    options = brief(min=2, max=2)
    with FaultServer() as server:
        status, output = bench("try", server.url, "--endpoint", "GET /slow", "--out", result, *options)
        assert status == 0, output
        seen = server.seen["GET /slow"]
        assert set(server.seen) == {"GET /slow"}
        assert not server.closing.is_set()
    runs = runs_of(result)
    assert [run.status for run in runs] == ["ok", "ok"]
    # Each run asks once whether there is an answer, and then up to REQUESTS times how long the endpoint takes alone.
    besides = seen - sum(run.counts["rows"] for run in runs)
    assert 2 * len(runs) <= besides <= (1 + REQUESTS) * len(runs)
    assert not any(run.server for run in runs)
    assert not any(key.startswith("server_") for run in runs for key in run.host.model_dump())
    assert not {"cpu_ms_per_request", "rss_mb"} & {row["metric"] for row in summary_of(result)}
    assert not list(result.glob("runs/*/*/server.log"))
    assert bench.left_behind() == []


def test_a_url_that_nobody_answers_is_a_sentence_and_exit_3(tmp_path: Path) -> None:
    bench, result = Bench(tmp_path / "bench"), tmp_path / "result"
    url = f"http://127.0.0.1:{free_port()}"
    status, output = bench("try", url, "--endpoint", "GET /", "--out", result, "--no-report")
    assert status == 3, output
    first, *others = runs_of(result)
    assert first.error is not None
    assert first.error.startswith(f"GET /: no answer (Connection refused) from {url}; is the server up")
    assert all(run.status == "failed" for run in others)
