"""`check --ask`: each app started once, each endpoint asked once; and the words of a first request that fails."""

import json
from pathlib import Path

import pytest
from support.e2e import Bench, app_file, runs_of

pytestmark = pytest.mark.e2e

APP = """
import threading

async def app(scope, receive, send):
    assert scope["type"] == "http"
    if scope["path"] == "/raises":
        print("opening the shop", flush=True)
        raise LookupError("no such shelf")
    if scope["path"] == "/stuck":
        threading.Event().wait()
    status = 401 if scope["path"] == "/me" else 200
    body = b"who are you?" if status == 401 else b"x" * 1234
    if scope["path"] == "/login":
        body = b'{"token": "abc"}'
    status = 404 if scope["path"].startswith("/got") and scope["path"] != "/got/abc" else status
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
"""
SUITE = """
[load]
timeout_s = 1

[[matrix]]
app = "shop:app"
endpoint = ["GET /items", "HEAD /items", "GET /stuck", "GET /me", "GET /raises"]
workers = [1, 2]

[[matrix]]
app = "shop:app"
name = "visit"
journey = [{ path = "/login", capture = { token = "$.token" } }, { path = "/got/{token}" }, "/me", "/never"]

[[matrix]]
app = "gone:app"
endpoint = "GET /a"

[[matrix]]
workload = "noop"
mode = "async"
"""


def test_each_endpoint_is_asked_once_and_its_answer_shown(tmp_path: Path) -> None:
    app_file(tmp_path, APP, "shop.py")
    (tmp_path / "suite.toml").write_text(SUITE)
    bench = Bench(tmp_path / "bench")
    status, output = bench("check", tmp_path / "suite.toml", "--ask", "--json")
    assert status == 3, output
    asked = json.loads(output)["asked"]
    shown = [
        (each["place"], each["endpoint"], each["status"], each["size_bytes"], each["answered_by"]) for each in asked
    ]
    assert shown == [
        ("shop:app", "GET /items", 200, 1234, "uvicorn"),
        ("shop:app", "HEAD /items", 200, 0, "uvicorn"),
        ("shop:app", "GET /stuck", None, None, None),
        ("shop:app", "GET /me", 401, 12, "uvicorn"),
        ("shop:app", "GET /raises", 500, 21, "uvicorn"),
        ("shop:app", "GET /login", 200, 16, "uvicorn"),
        ("shop:app", "GET /got/{token}", 200, 1234, "uvicorn"),
        ("shop:app", "GET /me", 401, 12, "uvicorn"),  # and the journey ends
        ("gone:app", "GET /a", None, None, None),
        ("noop async", "GET /noop/async", 200, 2, "uvicorn"),
    ]
    assert all(each["time_ms"] > 0 for each in asked if each["status"])
    errors = [each["error"] or "" for each in asked]
    assert [bool(error) for error in errors] == [False, False, True, True, True, False, False, True, True, False]
    assert "GET /stuck: no complete answer within 1 s" in errors[2]  # and the next is asked of another server
    assert "answered 401 Unauthorized, expected 2xx (it said: who are you?)" in errors[3]
    assert "LookupError: no such shelf" in errors[4]
    assert "No module named 'gone'" in errors[8]
    assert bench.left_behind() == []


def test_a_run_that_fails_its_first_request_quotes_the_apps_own_lines(tmp_path: Path) -> None:
    app_file(tmp_path, APP, "shop.py")
    bench = Bench(tmp_path / "bench")
    options: list[str | Path] = ["--app-dir", tmp_path, "--endpoint", "GET /raises", "--out", tmp_path / "r"]
    status, output = bench("try", "shop:app", "--no-report", *options)
    assert status == 3, output
    error = runs_of(tmp_path / "r")[0].error or ""
    assert error.startswith(
        "GET /raises: answered 500 Internal Server Error, expected 2xx (it said: Internal Server Error)"
    )
    assert error.endswith("LookupError: no such shelf")
