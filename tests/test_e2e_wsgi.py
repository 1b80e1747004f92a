"""WSGI apps on real servers: through their own interface, or behind a2wsgi; every command knows what they are."""

import json
from pathlib import Path
from typing import Any

import pytest
from support.e2e import Bench, app_file, brief_suite, runs_of

from loopwise.servers.specs import WSGI_SERVERS

pytestmark = pytest.mark.e2e

APP = """
import time

def app(environ, start_response):
    if environ["PATH_INFO"] == "/empty":
        start_response("204 No Content", [])
        return []
    time.sleep(0.02)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return (part for part in (b"o", b"k"))
"""
A2WSGI = """
import asyncio
from concurrent.futures import ThreadPoolExecutor

class WSGIMiddleware:
    '''As much of a2wsgi as this app needs.'''

    def __init__(self, app, workers=10):
        self.app = app
        self.executor = ThreadPoolExecutor(workers)

    async def __call__(self, scope, receive, send):
        assert scope["type"] == "http"
        told = []

        def call():
            answer = self.app({"PATH_INFO": scope["path"]}, lambda status, headers: told.append(status))
            return b"".join(answer)

        body = await asyncio.get_running_loop().run_in_executor(self.executor, call)
        await send({"type": "http.response.start", "status": int(told[0][:3]), "headers": []})
        await send({"type": "http.response.body", "body": body})
"""
SLOW = {"app": "shop:app", "endpoint": "GET /"}
ENTRIES: list[dict[str, Any]] = [
    {
        **{"app": "shop:app", "endpoint": ["GET /", "GET /empty"], "interface": "wsgi"},
        **{"server": ["gunicorn", "granian"], "threads": 3, "workers": 2},
    },
    SLOW | {"interface": "wsgi", "server": "gunicorn"},
    SLOW | {"interface": "a2wsgi", "threads": 3},
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    app_file(tmp_path, APP, "shop.py")
    app_file(tmp_path, A2WSGI, "a2wsgi.py")
    brief_suite(tmp_path / "suite.toml", *ENTRIES, users=10, think_s=0, measure_s=0.6, victim="/empty")
    return tmp_path


def test_a_wsgi_app_is_measured_in_threads_and_without_a_loop(folder: Path) -> None:
    bench = Bench(folder / "bench")
    status, output = bench("run", folder / "suite.toml", "--out", folder / "result", "--quiet", "--no-report")
    assert status == 0, output
    assert bench.left_behind() == []
    runs = {run.case.case_id: run for run in runs_of(folder / "result")}
    assert len(runs) == 6
    for name, run in runs.items():
        assert (run.status, run.error) == ("ok", None), name
        assert run.counts["ok"] > 0, name
        assert (run.counts["errors"], run.counts["victim_rows"] > 0) == (0, True), name
        assert run.case.server is not None
        has_loop = run.case.server.interface != "wsgi"
        assert (run.server.loop is not None, run.host.loop_lag_p99_ms is not None) == (has_loop, has_loop), name
        assert run.server.threads == (run.case.server.threads or 1), name
        assert len(run.server.pids) == run.case.server.workers
        # Workers are counted from sample to sample, which are a tenth of a second apart.
        assert 2 * sum(worker.requests or 0 for worker in run.workers) > run.counts["ok"], name
        # Ten users and as few as one to six threads that sleep: they are full, and nothing else is.
        is_slow = run.case.subject == "GET /"
        assert ("thread_pool_full" in [cause.cause for cause in run.causes]) is is_slow, (name, run.causes)


@pytest.mark.parametrize("server", WSGI_SERVERS)
def test_check_asks_a_wsgi_app_once(server: str, folder: Path) -> None:
    sets = ["--set", f"matrix.0.server={server}"]
    status, output = Bench(folder / "bench")("check", folder / "suite.toml", "--ask", "--json", *sets)
    assert status == 0, output
    asked = json.loads(output)["asked"]
    assert {each["status"] for each in asked} == {200, 204}


REFUSED = ["so it is a WSGI app", 'set interface = "wsgi"', "matrix.server=gunicorn"]
NO_LOOP = ["shop:app is a WSGI app", "which has no event loop to hold"]
# command -> its words, exit status
COMMANDS: dict[str, tuple[list[str], int, list[str]]] = {
    "try": (["try", "shop:app", "--endpoint", "GET /", "--set", "replicates.min=1", "--quiet"], 3, REFUSED),
    "duel": (["duel", "shop:app", "shop:app", "--endpoint", "GET /", "--rounds", "2"], 3, REFUSED),
    "blame": (["blame", "shop:app"], 2, NO_LOOP),
    "blame, an endpoint": (["blame", "shop:app", "--endpoint", "GET /"], 3, NO_LOOP),
    "blame, a2wsgi": (["blame", "shop:app", "--endpoint", "GET /", "--set", "matrix.interface=a2wsgi"], 2, NO_LOOP),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_says_what_a_wsgi_app_is(name: str, folder: Path) -> None:
    words, expected, phrases = COMMANDS[name]
    folders: list[str | Path] = ["--base-app-dir" if words[0] == "duel" else "--app-dir", folder]
    bench = Bench(folder / "bench")
    out: list[str | Path] = ["--out", folder / "result"] if words[0] != "blame" else []
    status, output = bench(*words, *folders, *out)
    told = " ".join(output.split())
    if name == "try":
        told += " ".join(run.error or "" for run in runs_of(folder / "result"))
    assert status == expected, output
    assert [phrase for phrase in phrases if phrase not in told] == [], output
    assert bench.left_behind() == []
