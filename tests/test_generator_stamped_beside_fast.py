"""The same calls by FastHttpUser and StampedUser: what the script sees, the events and the requests are equal."""

import json
import socket
import zlib
from collections.abc import Iterator
from gzip import compress
from pathlib import Path
from typing import Any

import pytest
from support.fault_server import FaultServer, Request, says
from support.generator import generate
from support.stamped import answer

from loopwise.generator.client import Generators, generators

pytestmark = pytest.mark.e2e

CALLS = {
    "plain": 'client.get("/ok")',
    "url keyword": 'client.get(url="/ok")',
    "positional": 'client.request("GET", "/ok", "named")',
    "params": 'client.get("/find", params={"q": "a b", "tag": [1, 2], "none": None})',
    "umlaut": 'client.get("/käse?q=日本 x")',
    "fails": 'client.get("/breaks")',
    "missing": 'client.post("/not-found", data="text")',
    "json": 'client.post("/ok", json={"a": [1, "ä"]})',
    "own json type": 'client.post("/ok", json={}, headers={"content-type": "application/vnd.api+json"})',
    "bytes": 'client.put("/ok", data=b"\\x00")',
    "basic": 'client.get("/ok", auth=("ann", "secret"))',
    "redirect": 'client.get("/old")',
    "post redirect": 'client.post("/created", data="text")',
    "kept redirect": 'client.post("/moved", data="text")',
    "no redirect": 'client.get("/old", allow_redirects=False)',
    "loop": 'client.get("/loop")',
    "gzip": 'client.get("/gzip")',
    "deflate": 'client.get("/deflate")',
    "repeated header": 'client.get("/login")',
    "cookie": 'client.get("/login") and client.get("/ok")',
    "own cookie": 'client.get("/login") and client.get("/ok", headers={"Cookie": "sid=mine"})',
    "cookie of a path": 'client.get("/login") and client.get("/admin/x")',
    "head": 'client.head("/ok-head")',
    "lines": 'list(client.iter_lines("/lines"))',
    "stream": 'client.get("/lines", stream=True).content',
    "failure": 'caught(client, lambda r: r.failure("no"))',
    "failure(exception)": 'caught(client, lambda r: r.failure(ValueError("no")))',
    "success": 'caught(client, lambda r: r.success(), "/breaks")',
    "ResponseError": 'caught(client, lambda r: throw(ResponseError("no")))',
    "KeyError": 'caught(client, lambda r: throw(KeyError("no")))',
    "interrupt": "caught(client, lambda r: throw(InterruptTaskSet()))",
    "undecided": 'caught(client, lambda r: None, "/breaks")',
    "misused": 'client.get("/ok").failure("no")',
    "no with": 'client.get("/ok", catch_response=True).success()',
    "raise_for_status": 'client.get("/breaks").raise_for_status()',
    "rest": 'rest(user, "/item", lambda r: r.js["id"] == 7)',
    "rest fails": 'rest(user, "/item", lambda r: throw(AssertionError("no")))',
    "rest, no json": 'rest(user, "/ok", lambda r: None)',
    "unknown argument": 'client.get("/ok", catch_responses=True) if IS_STAMPED else throw(TypeError())',
}

SCRIPT = """
import json
from locust import FastHttpUser, constant, events, task
from locust.exception import *
from loopwise import StampedUser

IS_STAMPED = {stamped}
fired = []

@events.request.add_listener
def listen(request_type, name, response, response_length, exception, **_):
    fired.append([request_type, name, response.status_code, response_length, type(exception).__name__])

@events.request.add_listener
def mistaken(**_):
    raise RuntimeError("a listener's exception is logged and not fatal")

def throw(error):
    raise error

def caught(client, judge, path="/ok"):
    with client.get(path, catch_response=True) as response:
        judge(response)

def rest(user, path, judge):
    with user.rest("POST", path, json={{}}) as response:
        judge(response)

def told(value):
    if hasattr(value, "status_code"):
        headers = None if value.headers is None else sorted(map(list, value.headers.items()))
        try:
            text = value.text
        except Exception as error:
            text = type(error).__name__
        kind = type(getattr(value, "error", None)).__name__
        return [value.status_code, headers, text, kind, value.url, value.request.method]
    return value.decode() if isinstance(value, bytes) else value

class Both({base}):
    wait_time = constant(30)

    @task
    def calls(self):
        outcomes = {{}}
        for key, call in {calls!r}.items():
            fired.clear()
            user, client = self, self.client
            client.cookiejar.clear()
            try:
                seen = told(eval(call))
            except Exception as error:
                seen = [type(error).__name__]
            outcomes[key] = [seen, [list(each) for each in fired]]
        with open({out!r}, "w") as file:
            json.dump(outcomes, file)
"""
ANSWERS = {
    "/find?q=a+b&tag=1&tag=2": answer(),
    "/k%C3%A4se?q=%E6%97%A5%E6%9C%AC%20x": answer(),
    "/old": answer(b"", "Location: /ok", status="302 Found"),
    "/created": answer(b"", "Location: /ok", status="303 See Other"),
    "/moved": answer(b"", "Location: ./ok", status="307 Temporary Redirect"),
    "/loop": answer(b"", "Location: /loop", status="302 Found"),
    "/gzip": answer(compress(b"packed"), "Content-Encoding: gzip"),
    "/deflate": answer(zlib.compress(b"packed"), "Content-Encoding: deflate"),
    "/login": answer(b"ok", "Set-Cookie: sid=1; Path=/; HttpOnly; Partitioned", "Set-Cookie: adm=2; Path=/admin"),
    "/admin/x": answer(),
    "/ok-head": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n",
    "/lines": answer(b"one\ntwo\nthree"),
    "/item": answer(b'{"id": 7}', "Content-Type: application/json"),
}
OWN = ("user-agent", "accept", "host", "content-length")
"""Headers that the two clients are known to send differently."""
Outcomes = dict[str, Any]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Outcomes]]:
    folder = tmp_path_factory.mktemp("beside")
    with generators(folder / "generator.log") as pool:
        yield {base: run(pool, folder, base) for base in ("FastHttpUser", "StampedUser")}


def run(pool: Generators, folder: Path, base: str) -> Outcomes:
    requests: list[Request] = []

    def recorded(data: bytes) -> Any:
        def behave(connection: socket.socket, request: Request, server: FaultServer) -> bool:
            requests.append(request)
            return says(data)(connection, request, server)

        return behave

    ok, out = answer(b"ok"), folder / f"{base}.json"
    path = folder / f"{base.lower()}_script.py"
    text = SCRIPT.format(stamped=base == "StampedUser", base=base, calls=CALLS, out=str(out))
    path.write_text(text, encoding="utf-8")
    with FaultServer({key: recorded(data) for key, data in {**ANSWERS, "/ok": ok}.items()}) as server:
        rows = generate(pool, folder, server.url, scenario=path, users=1, measure_s=1.5, timeout_s=3.0).rows
        seen = sum(server.seen.values())
        told = json.loads(out.read_text().replace(server.url, "HOST"))
    sent = [
        (each.method, each.path, {k: v for k, v in each.headers.items() if k not in OWN}, each.body)
        for each in requests
    ]
    return {"told": told, "sent": sent, "rows": rows, "seen": seen}


@pytest.mark.parametrize("call", CALLS)
def test_a_call_has_the_outcome_that_it_has_with_fasthttpuser(call: str, outcomes: dict[str, Outcomes]) -> None:
    assert outcomes["StampedUser"]["told"][call] == outcomes["FastHttpUser"]["told"][call]


def test_the_requests_are_those_that_fasthttpuser_sends(outcomes: dict[str, Outcomes]) -> None:
    assert outcomes["StampedUser"]["sent"] == outcomes["FastHttpUser"]["sent"]


def test_every_request_of_the_server_is_a_row(outcomes: dict[str, Outcomes]) -> None:
    assert len(outcomes["StampedUser"]["rows"]) == outcomes["StampedUser"]["seen"]
