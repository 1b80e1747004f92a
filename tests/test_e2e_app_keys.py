"""Apps started as their people start them: variables, folders, arguments, and data that each run finds anew."""

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from support.e2e import Bench, app_file, brief_suite, runs_of

from loopwise.model import Run
from loopwise.servers.specs import SERVERS

pytestmark = pytest.mark.e2e

APP = """
import os, pathlib

def create(size=0):
    data = pathlib.Path(os.environ["DATA"])
    was_empty = data.stat().st_size == 0

    async def app(scope, receive, send):
        assert scope["type"] == "http"
        with data.open("a") as log:
            log.write("x")
        seen = (size, os.environ["POOL"], os.environ["TOKEN"], os.path.basename(os.getcwd()))
        is_right = seen == (5, "9", "t t", "run") and (scope["path"] != "/" or was_empty)
        body = repr(seen).encode()
        headers = [(b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200 if is_right else 500, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app
"""
ENTRY = {
    "app": "shop:create",
    "app_dir": "src",
    "cwd": "run",
    "endpoint": "/",
    "env_file": "prod.env",
    "factory_args": {"size": 5},
    "before_replicate": "echo $LOOPWISE_REPLICATE >> before.txt",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    app_file(tmp_path / "src", APP, "shop.py")
    (tmp_path / "run").mkdir()
    (tmp_path / "prod.env").write_text("TOKEN='t t'\nPOOL=1\n")
    (tmp_path / "count").write_text("")
    return tmp_path


def suite_of(folder: Path, env: Mapping[str, str] = MappingProxyType({}), **keys: Any) -> Path:
    entry = ENTRY | {"env": {"POOL": 9, **env}} | keys
    return brief_suite(folder / "keys.toml", entry, users=2)


def run(folder: Path, suite: Path) -> tuple[int, list[Run]]:
    bench = Bench(folder / "bench")
    status, output = bench("run", suite, "--out", folder / "result", "--quiet", "--no-report")
    assert status in {0, 3}, output
    assert bench.left_behind() == []
    return status, runs_of(folder / "result")


def test_every_server_starts_the_app_as_its_people_do(folder: Path) -> None:
    suite = suite_of(folder, fresh={"DATA": "count"}, server=list(SERVERS), access_log=True, server_args=[])
    status, runs = run(folder, suite)
    assert [(each.status, each.error) for each in runs] == [("ok", None)] * len(SERVERS)
    assert status == 0
    assert (folder / "before.txt").read_text().split() == ["1"] * len(SERVERS)
    # Every run found the data as it was, and left no copy.
    assert (folder / "count").read_text() == ""
    assert [each.name for each in folder.iterdir() if each.name.startswith(".")] == []
    for each in runs:
        log = (folder / "result" / "runs" / each.case.case_id / "1" / "server.log").read_text()
        assert log.count("GET / ") >= each.counts["ok"] > 0, each.case.case_id


def test_a_run_whose_app_wrote_to_the_original_is_void(folder: Path) -> None:
    data = {"DATA": f"{folder}/count", "COPY": "{fresh}"}
    status, (only,) = run(folder, suite_of(folder, data, fresh="count"))
    assert status == 3
    assert (only.error or "").startswith(
        f"{folder}/count was changed during the run, though `fresh` names {folder}/count"
    )


def test_what_an_env_file_holds_is_in_no_file_of_the_result(folder: Path) -> None:
    secret = "hunter2hunter2"
    (folder / "prod.env").write_text(f"TOKEN='t t'\nPASSWORD={secret}\n")
    status, _ = run(folder, suite_of(folder, fresh={"DATA": "count"}))
    assert status == 0
    files = [path for path in (folder / "result").rglob("*") if path.is_file()]
    assert len(files) > 4
    assert [path for path in files if secret.encode() in path.read_bytes()] == []


def test_blame_starts_the_app_as_the_suite_says(folder: Path) -> None:
    suite = suite_of(folder, {"DATA": "{fresh}"}, fresh="count")
    status, output = Bench(folder / "bench")("blame", suite, "--requests", "4", "--json")
    assert status == 0, output
    assert json.loads(output)["answers"] == {"GET /": {"200": 4}}
    assert ((folder / "count").read_text(), (folder / "before.txt").read_text().split()) == ("", ["1"])
