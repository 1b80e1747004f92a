"""Every command finds an app where its people keep it: src layout, own interpreter, PYTHONPATH, .env, all relative."""

import json
import sys
from pathlib import Path

import pytest
from support.e2e import Bench, app_file, brief, runs_of

pytestmark = pytest.mark.e2e

APP = """
import os, sys
from pathlib import Path

import beside                        # from a relative PYTHONPATH

assert os.environ["TOKEN"] == "t t"  # from --env-file
settings = Path(".env").read_text()  # as pydantic-settings finds it, in the working directory
assert Path(sys.executable).parent.name == "bin-of-shop", sys.executable

async def app(scope, receive, send):
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": settings.encode()})

app.openapi = lambda: {"paths": {"/fine": {"get": {}}}}
"""
SETS = brief(users=2, measure_s=0.2)
PLACE = ["--app-dir", "shop/src", "--python", "shop/bin-of-shop/python", "--cwd", "shop", "--env-file", "shop/.env"]
DUEL = ["--base-app-dir", "shop/src", "--base-python", "shop/bin-of-shop/python"]
ASK = ["--endpoint", "GET /fine"]
ROUNDS = ["--rounds", "2", "--seconds", "0.2", "--users", "2", "--quiet"]
# name -> words of the command, relative to the folder above the app's
COMMANDS: dict[str, list[str]] = {
    "init": ["init", "suite", "--app", "shop.main:app", *PLACE],
    "try": ["try", "shop.main:app", *ASK, *PLACE, *SETS, "--quiet", "--no-report", "--out", "result"],
    "blame": ["blame", "shop.main:app", *PLACE, "--requests", "2", "--json"],
    "blame, an endpoint": ["blame", "shop.main:app", *ASK, *PLACE, "--requests", "2", "--json"],
    "duel": ["duel", "shop.main:app", "shop.main:app", *ASK, *DUEL, *PLACE[4:], *ROUNDS, "--out", "result"],
    "check": ["check", "suites/suite.toml", "--ask", "--json"],
    "run": ["run", "suites/suite.toml", *SETS, "--quiet", "--no-report", "--out", "result"],
}
SUITE = """
[[matrix]]
app = "shop.main:app"
app_dir = "../shop/src"
python = "../shop/bin-of-shop/python"
cwd = "../shop"
env_file = "../shop/.env"
endpoint = "GET /fine"
"""


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Commands run in a folder that holds the app's project, a suite in a folder of its own, and more to import."""
    bench = Bench(tmp_path, variables={"PYTHONPATH": "lib"})
    app_file(tmp_path / "shop" / "src" / "shop", APP, "main.py")
    app_file(tmp_path / "lib", "", "beside.py")
    app_file(tmp_path / "suites", SUITE, "suite.toml")
    (tmp_path / "shop" / ".env").write_text("TOKEN='t t'\n")
    (tmp_path / "shop" / "bin-of-shop").mkdir()
    python = tmp_path / "shop" / "bin-of-shop" / "python"
    # A link beside which pyvenv.cfg lies makes an environment; this one has the packages of ours.
    python.symlink_to(sys.executable)
    (tmp_path / "shop" / "pyvenv.cfg").write_text((Path(sys.prefix) / "pyvenv.cfg").read_text())
    (tmp_path / "shop" / "lib").symlink_to(Path(sys.prefix) / "lib")
    return bench


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_finds_the_app_as_every_other_does(name: str, bench: Bench) -> None:
    status, output = bench(*COMMANDS[name])
    assert status == 0, output
    words = COMMANDS[name][0]
    if words == "init":
        assert '"GET /fine"' in (bench.folder / "suite" / "suite.toml").read_text()
    elif words == "blame":
        assert json.loads(output)["answers"] == {"GET /fine": {"200": 2}}
    elif words == "check":
        assert [each["status"] for each in json.loads(output)["asked"]] == [200]
    elif words != "duel":
        assert {run.status for run in runs_of(bench.folder / "result")} == {"ok"}
    assert bench.left_behind() == []
