"""Real servers: ready means every worker, options take effect, a failure is a sentence and leaves nothing behind."""

import json
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from support.e2e import BOUND_S, MARK, PLAIN_APP, Bench, app_file, brief_suite, is_free, runs_of

from loopwise.errors import RunError
from loopwise.model import App, Case, Endpoint, Load, Server
from loopwise.servers.combinations import RUNS
from loopwise.servers.lifecycle import free_port, serve
from loopwise.servers.specs import SERVERS

pytestmark = pytest.mark.e2e

FASTAPI_APP = """
from fastapi import FastAPI

app = FastAPI()


@app.get("/")
def root() -> dict[str, str]:
    return {"hello": "world"}
"""
BAD_APPS = {
    "missing": "import a_package_that_nobody_has",
    "hangs": "import time\ntime.sleep(600)",
    "dies": "import os\nprint('out of luck', flush=True)\nos._exit(7)",
    "startup": """
async def app(scope, receive, send):
    assert scope["type"] == "lifespan"
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "no database today"})
""",
}


def case_of(folder: Path, app: str = "plain:app", **server: Any) -> Case:
    """A case that serves a module of the folder."""
    return Case(
        case_id="x",
        workload="GET /",
        mode="own",
        server=Server(**server),
        app=App(target=app, app_dir=str(folder), python=sys.executable),
        endpoints=(Endpoint(),),
        load=Load(),
    )


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    bench = Bench(tmp_path / "bench")
    monkeypatch.setenv(MARK, bench.mark)
    return bench


@pytest.mark.parametrize("name", SERVERS)
def test_ready_server_answers_on_all_workers_and_ends_clean(name: str, tmp_path: Path, bench: Bench) -> None:
    app_file(tmp_path, PLAIN_APP)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with serve(
        case_of(tmp_path, name=name, workers=2),
        scratch=scratch,
        log=tmp_path / "server.log",
        calibration={},
    ) as server:
        pids = server.facts.pids
        assert server.pid is not None
        family = [server.pid, *(child.pid for child in psutil.Process(server.pid).children(recursive=True))]
        assert len(set(pids)) == 2
        assert set(pids) <= set(family)
        assert not is_free(server.facts.port or 0)
    assert bench.left_behind() == []
    assert is_free(server.facts.port or 0)


@pytest.mark.parametrize("name", SERVERS)
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (
            {"loop": "asyncio", "threads": 7},
            {"loop": "asyncio.unix_events._UnixSelectorEventLoop", "threads": 7},
        ),
        ({"loop": "uvloop"}, {"loop": "uvloop.Loop", "threads": 40}),
    ],
)
def test_loop_and_threads_are_those_of_the_suite(
    name: str, options: dict[str, Any], expected: dict[str, Any], tmp_path: Path, bench: Bench
) -> None:
    app_file(tmp_path, FASTAPI_APP)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    case = case_of(tmp_path, name=name, **options)
    with serve(case, scratch=scratch, log=tmp_path / "server.log", calibration={}) as server:
        assert server.facts.model_dump(include=set(expected)) == expected
        assert set(SERVERS[name].packages) <= set(server.facts.versions)
    assert bench.left_behind() == []


@pytest.mark.parametrize("name", ["uvicorn", "gunicorn"])
@pytest.mark.parametrize("http", ["h11", "httptools"])
def test_http_parser_is_that_of_the_suite(name: str, http: str, tmp_path: Path, bench: Bench) -> None:
    """httptools is a shared library, so a worker that uses it has it mapped."""
    app_file(tmp_path, PLAIN_APP)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    case = case_of(tmp_path, name=name, http=http)
    with serve(case, scratch=scratch, log=tmp_path / "server.log", calibration={}) as server:
        mapped = {each.path for pid in server.facts.pids for each in psutil.Process(pid).memory_maps()}
    assert any("httptools" in path for path in mapped) is (http == "httptools")
    assert bench.left_behind() == []


FAILURES: dict[str, tuple[dict[str, Any], list[str]]] = {
    "cannot be imported": (
        {"app": "missing:app"},
        ['cannot serve "missing:app"', "No module named 'a_package_that_nobody_has'"],
    ),
    "cannot be imported, two workers": (
        {"app": "missing:app", "workers": 2},
        ['cannot serve "missing:app"', "No module named 'a_package_that_nobody_has'"],
    ),
    "cannot be imported, gunicorn": (
        {"app": "missing:app", "workers": 2, "server": "gunicorn"},
        ['cannot serve "missing:app"', "No module named 'a_package_that_nobody_has'"],
    ),
    "cannot be imported, granian": (
        {"app": "missing:app", "workers": 2, "server": "granian"},
        ['cannot serve "missing:app"', "No module named 'a_package_that_nobody_has'"],
    ),
    "cannot be imported, hypercorn": (
        {"app": "missing:app", "workers": 2, "server": "hypercorn"},
        ['cannot serve "missing:app"', "No module named 'a_package_that_nobody_has'"],
    ),
    "hangs at import": (
        {"app": "hangs:app", "startup_timeout_s": 1.0},
        ["not ready within 1 s: 0 of 1 workers", "raise `startup_timeout_s`"],
    ),
    "dies at import": (
        {"app": "dies:app"},
        ["ended with status 7 before it answered", "out of luck"],
    ),
    "dies at import, two workers": (
        {"app": "dies:app", "workers": 2},
        ["worker processes have ended one after the other, none has answered", "out of luck"],
    ),
    "dies at import, gunicorn": (
        {"app": "dies:app", "workers": 1, "server": "gunicorn"},
        ["worker processes have ended one after the other, none has answered", "out of luck"],
    ),
    "fails in its lifespan": (
        {"app": "startup:app"},
        ["its start-up failed: no database today"],
    ),
    "fails in its lifespan, two workers": (
        {"app": "startup:app", "workers": 2},
        ["its start-up failed: no database today"],
    ),
    "answers 404": (
        {"app": "plain:app", "endpoint": "GET /missing"},
        ["GET /missing: answered 404 Not Found, expected 2xx"],
    ),
    "answers 500": (
        {"app": "plain:app", "endpoint": "GET /broken"},
        ["GET /broken: answered 500 Internal Server Error, expected 2xx", "all is lost"],
    ),
}


def test_failures_are_sentences_with_exit_3_and_end_clean(tmp_path: Path) -> None:
    """One suite whose every case fails, and one that is fine, which they must not stop."""
    for name, text in BAD_APPS.items():
        app_file(tmp_path, text, f"{name}.py")
    app_file(tmp_path, PLAIN_APP)
    ports = {name: free_port() for name in [*FAILURES, "fine"]}
    keys = {**{name: keys for name, (keys, _) in FAILURES.items()}, "fine": {"app": "plain:app"}}
    entries = [
        {"app_dir": ".", "endpoint": "GET /", "port": ports[name], "startup_timeout_s": 60.0} | entry
        for name, entry in keys.items()
    ]
    suite = brief_suite(tmp_path / "bad.toml", *entries, users=2)
    bench = Bench(tmp_path / "bench")
    status, output = bench("run", suite, "--out", tmp_path / "result", "--no-report")
    assert status == 3, output
    assert bench.left_behind() == []
    assert [port for port in ports.values() if not is_free(port)] == []
    runs = {run.case.server.port: run for run in runs_of(tmp_path / "result") if run.case.server}
    assert runs[ports["fine"]].status == "ok"
    for name, (_, phrases) in FAILURES.items():
        run = runs[ports[name]]
        assert run.status == "failed", name
        assert run.error is not None
        assert [phrase for phrase in phrases if phrase not in run.error] == [], (name, run.error)
        assert "Traceback" not in run.error.splitlines()[0]


def test_every_server_is_measured_on_two_workers_and_both_loops(tmp_path: Path) -> None:
    entry = {"workload": "noop", "mode": "async", "server": list(SERVERS), "workers": 2}
    suite = brief_suite(tmp_path / "all.toml", entry | {"loop": ["asyncio", "uvloop"]}, users=2)
    bench = Bench(tmp_path / "bench")
    _, output = bench("run", suite, "--out", tmp_path / "result", "--no-report")
    runs = runs_of(tmp_path / "result")
    assert len(runs) == 2 * len(SERVERS), output
    for run in runs:
        assert run.error is None
        assert run.case.server is not None
        assert (run.server.loop or "").startswith(run.case.server.loop)
        assert (run.counts["ok"] > 0, run.counts["errors"]) == (True, 0), run.case.case_id
        assert len(run.server.pids) == 2
    assert bench.left_behind() == []


def test_death_in_the_process_pool_is_a_503_and_counted(tmp_path: Path, bench: Bench) -> None:
    case = Case(
        case_id="x",
        workload="sleep",
        mode="process",
        server=Server(pool_processes=2),
        endpoints=(Endpoint(path="/sleep/process?ms=1"),),
        load=Load(),
    )
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with serve(case, scratch=scratch, log=tmp_path / "server.log", calibration={}) as server:
        assert server.pid is not None

        def asked(_number: int) -> int:
            return httpx.get(f"{server.url}/sleep/process?ms=2000", timeout=BOUND_S, trust_env=False).status_code

        with ThreadPoolExecutor(4) as threads:
            waiting = [threads.submit(asked, number) for number in range(4)]
            pool = bench.processes("spawn_main")
            assert len(pool) == 2
            pool[0].kill()
            assert {each.result() for each in waiting} <= {200, 503}
        assert 503 in {each.result() for each in waiting}
        again = httpx.get(f"{server.url}/sleep/process?ms=1", timeout=BOUND_S, trust_env=False)
        assert again.status_code == 200
        assert server.known().pool_deaths == 1
    assert "loopwise_pool: a process of worker" in (tmp_path / "server.log").read_text(encoding="utf-8")
    assert bench.left_behind() == []


def test_taken_port_is_refused_with_a_remedy(tmp_path: Path) -> None:
    app_file(tmp_path, PLAIN_APP)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        case = case_of(tmp_path, port=port)
        with (
            pytest.raises(RunError, match=rf"^port {port} of 127\.0\.0\.1 is taken .*leave `port` out"),
            serve(case, scratch=tmp_path, log=tmp_path / "server.log", calibration={}),
        ):
            pass
    assert not (tmp_path / "server.log").exists()


def test_interpreter_without_uvicorn_is_quoted(tmp_path: Path, bench: Bench) -> None:
    bare = tmp_path / "python"
    bare.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "$@"\n', encoding="utf-8")
    bare.chmod(0o755)
    app_file(tmp_path, PLAIN_APP)
    case = case_of(tmp_path)
    assert case.app is not None
    case = case.model_copy(update={"app": case.app.model_copy(update={"python": str(bare)})})
    with (
        pytest.raises(RunError, match=r"(?s)ended with status 1 before it answered.*No module named uvicorn"),
        serve(case, scratch=tmp_path, log=tmp_path / "server.log", calibration={}),
    ):
        pass
    assert bench.left_behind() == []


@pytest.mark.parametrize("gone", ["python", "app_dir"])
def test_vanished_interpreter_or_folder_is_a_sentence(gone: str, tmp_path: Path, bench: Bench) -> None:
    """A resumed experiment may find less than it was planned with."""
    app_file(tmp_path, PLAIN_APP)
    case = case_of(tmp_path)
    assert case.app is not None
    case = case.model_copy(update={"app": case.app.model_copy(update={gone: str(tmp_path / "gone")})})
    with (
        pytest.raises(RunError, match=r"gone.*No such file or directory"),
        serve(case, scratch=tmp_path, log=tmp_path / "server.log", calibration={}),
    ):
        pass
    assert bench.left_behind() == []


def test_every_combination_runs_or_has_a_reason(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "bench")
    status, output = bench("list", "combinations", "--json")
    rows = json.loads(output)
    assert status == 0
    assert {(row["workload"], row["mode"]) for row in rows} >= {("noop", "async"), ("cpu", "process")}
    for row in rows:
        for name in SERVERS:
            refused = row[name].startswith(("got ", "service "))
            assert row[name] == RUNS or refused, (row["workload"], row["mode"], name, row[name])
    assert bench.left_behind() == []
