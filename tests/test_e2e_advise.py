"""A real app is advised: the change that frees its loop is found, measured and confirmed; what is well is let alone."""

import json
import shutil
from pathlib import Path

import pytest
from support.e2e import ROOT, Bench

pytestmark = [pytest.mark.e2e, pytest.mark.alone]

HEALTHY = ROOT / "tests" / "support" / "healthy_app.py"
APP = """
import asyncio, time
from fastapi import FastAPI

app = FastAPI()

@app.get("/health")
async def health() -> str:
    return "well"

@app.get("/report")
async def report() -> str:
    time.sleep(0.02)
    return "reported"

@app.get("/broken")
async def broken() -> str:
    raise LookupError("nothing there")

@app.post("/orders")
async def order() -> str:
    return "ordered"
"""


def test_a_blocking_endpoint_is_advised_and_a_healthy_one_is_not(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "bench")
    (bench.folder / "shop.py").write_text(APP)
    arguments = (
        "shop:app",
        "--users",
        "4",
        "--workers",
        "1",
        "--budget-s",
        "150",
        "--out",
        "result",
        "--fail-on",
        "gain:+20%",
    )
    status, output = bench("advise", *arguments)
    assert status == 1, output  # the gate: there is something to gain
    rows = json.loads((bench.folder / "result" / "advice.json").read_text())
    outcomes = {(row["endpoint"], row["outcome"]) for row in rows}
    assert {("GET /report", "advised"), ("GET /health", "left"), ("GET /broken", "untried")} <= outcomes
    assert ("POST /orders", "untried") in outcomes
    advice = next(row for row in rows if row["outcome"] == "advised")
    assert (advice["where"], advice["verdict"], advice["metric"]) == ("shop.py:13", "better", "throughput_rps")
    assert advice["ci_low"] > 1.2
    before, after = advice["canary_p99_ms"]
    assert after < before
    assert "1. GET /report  blocks the event loop" in output
    assert "POST /orders (changes data)" in output
    assert "LookupError: nothing there" in output
    for folder in ("", "trials", "confirmed"):
        assert (bench.folder / "result" / folder / "experiment.json").is_file()
    assert (bench.folder / "result" / "report.html").is_file()
    assert bench.left_behind() == []


def test_five_healthy_endpoints_get_no_advice(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "bench")
    shutil.copy(HEALTHY, bench.folder)
    options = ("--users", "4", "--out", "result", "--patch", "fix.diff")
    status, output = bench("advise", "healthy_app:app", *options)
    assert status == 0, output
    rows = json.loads((bench.folder / "result" / "advice.json").read_text())
    names = ("health", "items", "report", "thread", "sum")
    assert {row["endpoint"] for row in rows} == {f"GET /{name}" for name in names}
    assert not [row for row in rows if row["outcome"] == "advised"]
    assert "nothing to gain" in output
    assert "no edit is advised, so fix.diff is not written" in output
    assert not (bench.folder / "fix.diff").exists()
    assert 'href="./advice.html"' in (bench.folder / "result" / "report.html").read_text()
    assert bench.left_behind() == []
