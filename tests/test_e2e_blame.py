"""Ten planted lines are named on both loops, and what holds nothing is not blamed; in the app's own environment."""

import importlib.metadata
import json
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from support.e2e import ROOT, Bench, brief_suite

pytestmark = pytest.mark.e2e
EXAMPLE = ROOT / "examples" / "blocking"
MAIN = EXAMPLE / "blocking" / "main.py"
LEAST_SHARE = 0.05
FIRST_EDITS = {
    "GET /sleep": "await asyncio.sleep(0.02)",
    "GET /requests": "await _HTTPX.get(app.state.service, timeout=5)  # _HTTPX = httpx.AsyncClient(…)",
    "GET /sqlite": 'async with aiosqlite.connect(":memory:") as database: '
    "await (await database.execute(COUNT)).fetchone()",
    "GET /file": "await asyncio.to_thread(app.state.big_file.read_bytes)",
    "GET /subprocess": "await asyncio.to_thread(subprocess.run, PROGRAM, capture_output=True, text=True, check=True)",
    "GET /dns": 'await asyncio.to_thread(lambda: [socket.getaddrinfo("localhost", 80) for _ in range(1500)])',
    "GET /zlib": "await asyncio.to_thread(zlib.compress, BIG_BYTES, 6)",
    "GET /json": "await asyncio.to_thread(json.loads, BIG_TEXT)",
    "GET /regex": 'await asyncio.to_thread(re.match, r"(a+)+$", MISSPELT)',
    "GET /loop": "await asyncio.to_thread(sum, (number * number for number in range(300_000)))",
}


@pytest.mark.parametrize(("loop", "options"), [("uvloop", []), ("asyncio", ["--requests", "8"])])
def test_the_ten_planted_lines_are_named_and_no_other_has_a_share(
    loop: str, options: list[str], tmp_path: Path
) -> None:
    bench = Bench(tmp_path / "bench")
    text = MAIN.read_text(encoding="utf-8").splitlines()
    planted = {number for number, line in enumerate(text, start=1) if "  # blocks: " in line}
    assert len(planted) == 10
    words: list[str | Path] = ["--app-dir", EXAMPLE, "--loop", loop, "--json", "--fix", *options]
    status, output = bench("blame", "blocking.main:app", *words)
    assert status == 0, output
    found = json.loads(output)
    assert {
        each["endpoint"]: each["edits"][0]["words"]
        for each in found["lines"]
        if each["path"] == str(MAIN) and each["line"] in planted
    } == FIRST_EDITS
    assert {each["line"] for each in found["lines"] if each["path"] == str(MAIN)} >= planted
    total_ms = sum(each["total_ms"] for each in found["lines"])
    false = [
        each
        for each in found["lines"]
        if (each["path"] != str(MAIN) or each["line"] not in planted) and each["total_ms"] > LEAST_SHARE * total_ms
    ]
    assert false == []
    healthy = {name for name in found["answers"] if name.startswith("GET /healthy/")}
    assert len(healthy) == 4
    assert not {each["endpoint"] for each in found["lines"] if each["times"] > 1} & healthy
    assert all(set(statuses) == {"200"} for statuses in found["answers"].values())
    assert bench.left_behind() == []


def test_an_app_that_cannot_be_imported_is_a_sentence_and_exit_3(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "bench")
    status, output = bench(
        *("blame", "nothing.here:app", "--endpoint", "GET /", "--app-dir", tmp_path),
    )
    assert status == 3, output
    assert "importing nothing.here raised ModuleNotFoundError" in output
    assert bench.left_behind() == []


ZOO = """
import asyncio
import os
import re
import threading
import time
from contextlib import asynccontextmanager

from fastapi import FastAPI, WebSocket
from fastapi.responses import StreamingResponse

scope = {}
exec("def generated():\\n    time.sleep(0.02)", {"time": time}, scope)


async def tick():
    while True:
        await asyncio.sleep(0.2)
        time.sleep(0.02)  # background


@asynccontextmanager
async def lifespan(_app):
    task = asyncio.create_task(tick())
    yield
    task.cancel()


app = FastAPI(lifespan=lifespan)


@app.get("/stuck")
async def stuck():
    threading.Event().wait()  # stuck


@app.get("/gil")
async def gil():
    return re.match("(a+)+$", "a" * 40 + "b")  # gil


@app.get("/exits")
async def exits():
    time.sleep(0.8)  # exits
    os._exit(7)


@app.get("/raises")
async def raises():
    raise RuntimeError("no database")


@app.get("/thread")
def in_thread():
    threading.Event().wait()  # thread


@app.get("/feed")
async def feed():
    async def events():
        while True:
            yield "data"
            await asyncio.sleep(0.05)  # feed

    return StreamingResponse(events())


@app.get("/generated")
async def generated():
    scope["generated"]()  # generated


@app.get("/short")
async def short():
    for _ in range(20):
        time.sleep(0.0015)  # short
        await asyncio.sleep(0)


@app.websocket("/socket")
async def socket(peer: WebSocket):
    await peer.accept()
    time.sleep(0.02)  # socket
    await peer.close()
"""


def marked(text: str) -> dict[str, int]:
    """Numbers of the lines that end in a comment of one word."""
    lines = enumerate(text.splitlines(), start=1)
    return {line.rpartition("  # ")[2]: number for number, line in lines if "  # " in line}


@pytest.mark.alone
def test_endpoints_that_hang_exit_or_fail_are_named_and_falsify_no_other(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "bench")
    (tmp_path / "zoo.py").write_text(ZOO, encoding="utf-8")
    lines = marked(ZOO)
    names = [f"GET /{name}" for name in ("stuck", "raises", "gil", "exits", "thread", "feed", "generated", "short")]
    options = [word for name in [*names, "WS /socket"] for word in ("--endpoint", name)]
    log = tmp_path / "log.sarif"
    bounds = ("--requests", "6", "--timeout-s", "1", "--idle-s", "0.5", "--fail-on", "500ms", "--sarif", log)
    status, output = bench("blame", "zoo:app", "--app-dir", tmp_path, *options, *bounds, "--json", timeout_s=60)
    assert status == 1, output
    found = json.loads(output)
    held = {
        (each["endpoint"], each["line"]): each for each in found["lines"] if each["path"] == str(tmp_path / "zoo.py")
    }
    for name in ("stuck", "gil", "exits", "generated"):
        assert (f"GET /{name}", lines[name]) in held
    assert {("background", lines["background"]), ("WS /socket", lines["socket"])} <= set(held)
    assert held[("GET /generated", lines["generated"])]["times"] == 6
    assert {"200": 6} == found["answers"]["GET /generated"] == found["answers"]["GET /short"]
    assert found["answers"]["GET /raises"] == {"500": 6}
    assert [each["line"] for each in found["many_short"] if each["endpoint"] == "GET /short"] == [lines["short"]]
    given_up = {each["endpoint"].partition("/")[2]: each for each in found["unanswered"]}
    assert {name: each["outcome"] for name, each in given_up.items()} == {
        **dict.fromkeys(("stuck", "gil", "thread"), "no_answer"),
        "feed": "no_end",
        "exits": "server_ended",
    }
    assert {name: each["holds_loop"] for name, each in given_up.items() if each["holds_loop"]} == {
        "stuck": True,
        "gil": True,
    }
    for name in ("stuck", "gil", "thread", "feed"):
        assert given_up[name]["line"] == lines[name], name
    (run,) = json.loads(log.read_text(encoding="utf-8"))["runs"]
    levels = {
        result["locations"][0]["physicalLocation"]["region"]["startLine"]: result["level"] for result in run["results"]
    }
    assert levels[lines["stuck"]] == "error"
    assert bench.left_behind() == []


def test_the_servers_and_the_locust_file_of_a_suite_are_used(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "bench")
    (tmp_path / "own.py").write_text(APP, encoding="utf-8")
    (tmp_path / "users.py").write_text(LOCUST, encoding="utf-8")
    servers = ["hypercorn", "granian", "gunicorn"]
    entry = {"app": "own:app", "loop": "asyncio", "scenario": "users.py"}
    # With the same variables they were the same app, which is blamed once.
    entries = [entry | {"server": name, "env": {"SERVED_BY": name}} for name in servers]
    status, output = bench("blame", brief_suite(tmp_path / "own.toml", *entries, users=2, think_s=None), "--json")
    assert status == 0, output
    found = json.loads(output)
    worst = found["lines"][: len(servers)]
    assert [(each["endpoint"], each["line"]) for each in worst] == [("GET /held", 11)] * len(servers)
    assert found["loops"] == ["asyncio"]
    assert len(found["asked"]) == len(servers)
    assert all(each["requests"] > 0 for each in found["asked"])
    assert found["asked"][-1]["requests"] == sum(found["answers"]["GET /held"].values())
    assert bench.left_behind() == []


LOCUST = """
from locust import HttpUser, task


class Visitor(HttpUser):
    @task
    def held(self):
        self.client.get("/held")
"""
APP = """
import time

from fastapi import FastAPI

app = FastAPI()


@app.get("/held")
async def held():
    time.sleep(0.02)
    return 1
"""


def needed(*names: str) -> set[str]:
    """Packages with all that they need, extras left out: neither uvloop nor aiocop nor anything of ours."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        wanted = [Requirement(each) for each in importlib.metadata.requires(name) or ()]
        waiting += [each.name for each in wanted if each.marker is None or each.marker.evaluate({"extra": ""})]
    return found


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """Somebody's own environment, made without a network: links to the packages that an app needs."""
    folder = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True, timeout=60)
    (packages,) = folder.glob("lib/python*/site-packages")
    for name in needed("fastapi", "uvicorn"):
        distribution = importlib.metadata.distribution(name)
        tops = {file.parts[0] for file in distribution.files or () if ".." not in file.parts}
        for top in tops - {"__pycache__"}:
            if not (packages / top).exists():  # a namespace is shared
                (packages / top).symlink_to(Path(str(distribution.locate_file(top))))
    return folder / "bin" / "python"


def test_an_app_in_its_own_environment_is_blamed_and_nothing_is_installed_there(theirs: Path, tmp_path: Path) -> None:
    bench = Bench(tmp_path / "bench", variables={"PYTHONDONTWRITEBYTECODE": "1"})  # which Python itself puts there
    (tmp_path / "own.py").write_text(APP, encoding="utf-8")
    (packages,) = theirs.parents[1].glob("lib/python*/site-packages")
    before = sorted(packages.iterdir())
    own = ("blame", "own:app", "--app-dir", tmp_path, "--python", theirs, "--endpoint", "GET /held")
    status, output = bench(*own, "--requests", "6", "--json")
    assert status == 0, output
    found = json.loads(output)
    worst = found["lines"][0]
    assert (worst["path"], worst["line"]) == (str(tmp_path / "own.py"), 11)
    assert worst["times"] >= 6
    assert found["loops"] == ["asyncio"]
    assert "has no uvloop; that is no fault" in found["notes"][0]
    assert sorted(packages.iterdir()) == before

    status, output = bench(*own, "--loop", "uvloop")
    assert status in {2, 3}, output
    assert "uvloop" in output
    assert bench.left_behind() == []
