"""StampedUser: used like Locust's own clients, its requests are rows stamped by the kernel."""

import json
import socket
import textwrap
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from fault_server import OK, Behaviour, FaultServer, Request, says
from generator_fixtures import Generated, generate

from loopwise.driver import Generators, generators

pytestmark = pytest.mark.e2e

HEAD = "from locust import *\nfrom loopwise.generator.stamped import StampedUser\n"
STRANGER = "http://192.0.2.1"
"""TEST-NET-1 (RFC 5737): nobody's address."""


def answer(body: bytes = b"ok", *headers: str, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


ANSWERS = {
    "/tell": OK,
    "/find?q=a+b&tag=1&tag=2": OK,
    "/find?page=2&q=x": OK,
    "/item": answer(b'{"id": 7}', "Content-Type: application/json", "X-Kind: first"),
    "/latin": answer("Käse".encode("latin-1"), "Content-Type: text/plain; charset=ISO-8859-1"),
    "/login": answer(b"ok", "Set-Cookie: sid=42; Path=/; HttpOnly", "Set-Cookie: lang=de"),
    "/logout": answer(b"ok", "Set-Cookie: sid=; Max-Age=0"),
    "/moved": answer(b"", f"Location: {STRANGER}/", status="302 Found"),
}


class Asked(NamedTuple):
    """What came of a script, and every request that the server got."""

    found: Generated
    requests: list[Request]

    @property
    def told(self) -> dict[str, Any]:
        """What the script posted to /tell."""
        return dict(json.loads(request.body) for request in self.requests if request.path == "/tell")

    def of(self, path: str) -> Request:
        """The first request of a path."""
        return next(request for request in self.requests if request.path == path)

    @property
    def outcomes(self) -> set[tuple[str, int, str | None]]:
        """Endpoint, status and error of the rows."""
        return {(row["endpoint"], row["status"], row["error"]) for row in self.found.rows}


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Generators]:
    with generators(tmp_path_factory.mktemp("generator") / "generator.log") as pool:
        yield pool


def ask(pool: Generators, folder: Path, text: str, **load: Any) -> Asked:
    """A run of the text as a Locust file against a server that notes what it is asked."""
    requests: list[Request] = []

    def noting(behave: Behaviour) -> Behaviour:
        def behaves(connection: socket.socket, request: Request, server: FaultServer) -> bool:
            requests.append(request)
            return behave(connection, request, server)

        return behaves

    usual = ("/ok", "/204", "/head", "/not-found", "/breaks", "/closes-early", "/goodbye")
    answers = {path: noting(says(data)) for path, data in ANSWERS.items()}
    with FaultServer() as plain:
        answers |= {path: noting(plain._answers[path]) for path in usual}
    path = folder / "script.py"
    path.write_text(HEAD + textwrap.dedent(text), encoding="utf-8")
    more = {"users": 1, "measure_s": 0.4, "timeout_s": 2.0} | load
    with FaultServer(answers) as server:
        return Asked(generate(pool, folder, server.url, scenario=path, **more), requests)


JOURNEY = f"""
class Visitor(StampedUser):
    wait_time = constant(30)

    def on_start(self):
        self.client.get("/204", name="begin")

    def on_stop(self):
        self.client.get("/204", name="end")

    def tell(self, fact, value):
        self.client.post("/tell", json=[fact, value])

    @task
    def journey(self):
        client = self.client
        client.get("/find", params={{"q": "a b", "tag": [1, 2]}}, name="find")
        client.get("/find?page=2", params={{"q": "x"}})
        client.put("/ok", data={{"a": "1", "b": "ä"}})
        client.patch("/204", data="text", headers={{"Content-Type": "text/x", "X-Own": "1"}})
        item = client.get("/item", auth=("ann", "pass:word"))
        self.tell("json", item.json())
        self.tell("header", item.headers["x-kind"])
        self.tell("ok", [item.ok, item.status_code, item.text])
        self.tell("charset", client.get("/latin").text)
        head = client.head("/head")
        self.tell("head", [head.status_code, head.content.decode(), head.headers["content-length"]])
        client.get("/login")
        self.tell("cookies", client.cookies)
        client.delete("/ok")
        client.get("/logout")
        self.tell("cookies left", client.cookies)
        self.tell("moved", client.get("/moved").headers["location"])
        client.get(self.host + "/ok", name="absolute")
        try:
            client.get("{STRANGER}/ok")
        except Exception as error:
            self.tell("stranger", [type(error).__name__, "its host only" in str(error)])
        with client.get("/ok", name="fails", catch_response=True) as response:
            if response.text == "ok":
                response.failure("not what it should be")
        with client.get("/breaks", name="forgiven", catch_response=True) as response:
            response.success()
        with client.get("/breaks", name="undecided", catch_response=True) as response:
            pass
        try:
            with client.get("/ok", name="raises", catch_response=True) as response:
                response.json()["state"]
        except ValueError as error:
            self.tell("raised", type(error).__name__)
        client.get("/not-found")
        lost = client.get("/closes-early")
        self.tell("lost", [lost.status_code, lost.ok, lost.error])
        client.options("/ok", name="last")
"""


@pytest.fixture(scope="module")
def journey(pool: Generators, tmp_path_factory: pytest.TempPathFactory) -> Asked:
    return ask(pool, tmp_path_factory.mktemp("journey"), JOURNEY)


@pytest.mark.parametrize(
    ("method", "path", "headers", "body"),
    [
        ("GET", "/find?q=a+b&tag=1&tag=2", {"user-agent": "loopwise", "accept": "*/*"}, b""),
        ("GET", "/find?page=2&q=x", {}, b""),
        ("PUT", "/ok", {"content-type": "application/x-www-form-urlencoded"}, b"a=1&b=%C3%A4"),
        ("PATCH", "/204", {"content-type": "text/x", "x-own": "1", "content-length": "4"}, b"text"),
        ("GET", "/item", {"authorization": "Basic " + b64encode(b"ann:pass:word").decode()}, b""),
        ("HEAD", "/head", {}, b""),
        ("POST", "/tell", {"content-type": "application/json"}, b'["json",{"id":7}]'),
        ("DELETE", "/ok", {"cookie": "sid=42; lang=de"}, b""),
        ("OPTIONS", "/ok", {"cookie": "lang=de"}, b""),
    ],
)
def test_a_request_carries_what_the_script_gave_it(
    method: str, path: str, headers: dict[str, str], body: bytes, journey: Asked
) -> None:
    sent = next(each for each in journey.requests if (each.method, each.path) == (method, path))
    assert sent.body == body
    assert headers.items() <= sent.headers.items()


@pytest.mark.parametrize(
    ("fact", "value"),
    [
        ("json", {"id": 7}),
        ("header", "first"),
        ("ok", [True, 200, '{"id": 7}']),
        ("charset", "Käse"),
        ("head", [200, "", "5000"]),
        ("cookies", {"sid": "42", "lang": "de"}),
        ("cookies left", {"lang": "de"}),
        ("moved", f"{STRANGER}/"),
        ("stranger", ["LocustError", True]),
        ("raised", "JSONDecodeError"),
        ("lost", [0, False, "closed_early"]),
    ],
)
def test_a_script_sees_of_an_answer_what_it_needs(fact: str, value: Any, journey: Asked) -> None:
    assert journey.told[fact] == value


def test_cookies_are_sent_from_the_answer_that_set_them_on(journey: Asked) -> None:
    assert "cookie" not in journey.of("/login").headers
    assert journey.of("/logout").headers["cookie"] == "sid=42; lang=de"
    assert journey.of("/moved").headers["cookie"] == "lang=de"


def test_every_request_of_a_stamped_user_is_one_row_with_the_script_s_judgement(journey: Asked) -> None:
    assert journey.outcomes == {
        ("GET begin", 204, None),
        ("GET end", 204, None),
        ("GET find", 200, None),
        ("GET /find?page=2&q=x", 200, None),
        ("PUT /ok", 200, None),
        ("PATCH /204", 204, None),
        ("GET /item", 200, None),
        ("POST /tell", 200, None),
        ("GET /latin", 200, None),
        ("HEAD /head", 200, None),
        ("GET /login", 200, None),
        ("DELETE /ok", 200, None),
        ("GET /logout", 200, None),
        ("GET /moved", 302, None),
        ("GET absolute", 200, None),
        ("GET fails", 200, "not what it should be"),
        ("GET forgiven", 500, None),
        ("GET undecided", 500, "status_500"),
        ("GET raises", 200, "JSONDecodeError: Expecting value: line 1 column 1 (char 0)"),
        ("GET /not-found", 404, "status_404"),
        ("GET /closes-early", 0, "closed_early"),
        ("OPTIONS last", 200, None),
    }
    assert len(journey.found.rows) == len(journey.requests)


def test_rows_of_a_stamped_user_carry_the_kernel_s_clock(journey: Asked) -> None:
    answered = [row for row in journey.found.rows if row["status"]]
    assert {row["stamp"] for row in answered} == {"kernel"}
    assert all(row["sent_ns"] <= row["received_ns"] <= row["read_ns"] for row in answered)
    # One connection serves until the server breaks it.
    assert len({row["connection"] for row in answered}) == 2


@pytest.mark.parametrize("is_new", [True, False])
def test_connections_are_kept_unless_every_request_shall_have_its_own(
    is_new: bool, pool: Generators, tmp_path: Path
) -> None:
    asked = ask(
        pool,
        tmp_path,
        f"""
        class Visitor(StampedUser):
            new_connection_per_request = {is_new}
            wait_time = constant(0.02)

            @task
            def look(self):
                self.client.get("/ok")
        """,
        users=2,
    )
    connections = Counter(row["connection"] for row in asked.found.finished)
    assert len(asked.found.finished) > 4
    assert len(connections) == (len(asked.found.finished) if is_new else 2)


def test_listeners_of_the_request_event_are_told_of_every_request_once(
    pool: Generators, tmp_path: Path
) -> None:
    asked = ask(
        pool,
        tmp_path,
        """
        heard = []

        @events.request.add_listener
        def listen(request_type, name, response, response_length, exception, context, **_):
            failure = None if exception is None else str(exception)
            heard.append([request_type, name, response.status_code, response_length, failure, context])

        class Visitor(StampedUser):
            wait_time = constant(30)

            def context(self):
                return {"user": "ann"}

            @task
            def look(self):
                self.client.get("/ok", context={"step": 1})
                self.client.get("/breaks", name="broken")
                self.client.post("/tell", json=["heard", heard])
        """,
    )
    assert asked.told["heard"] == [
        ["GET", "/ok", 200, 2, None, {"user": "ann", "step": 1}],
        ["GET", "broken", 500, 0, "status_500", {"user": "ann"}],
    ]
    assert len(asked.found.rows) == 3


def test_failures_are_rows_and_stamped_users_go_on(pool: Generators, tmp_path: Path) -> None:
    asked = ask(
        pool,
        tmp_path,
        """
        class Visitor(StampedUser):
            wait_time = constant(0.02)

            @task
            def look(self):
                self.client.get("/closes-early")
                self.client.get("/ok")
                self.client.get("/goodbye")
                raise KeyError("mistake")
        """,
        users=2,
    )
    rows = asked.found.finished
    assert {(row["endpoint"], row["error"]) for row in rows} == {
        ("GET /closes-early", "closed_early"),
        ("GET /ok", None),
        ("GET /goodbye", None),
    }
    assert len(rows) > 12
    assert asked.found.events[-1].event == "done"


def test_a_server_that_is_gone_refuses_every_request_of_a_stamped_user(
    pool: Generators, tmp_path: Path
) -> None:
    with FaultServer() as server:
        url = server.url
    path = tmp_path / "script.py"
    text = """
    class Visitor(StampedUser):
        wait_time = constant(0.05)

        @task
        def look(self):
            self.client.get("/ok")
    """
    path.write_text(HEAD + textwrap.dedent(text), encoding="utf-8")
    found = generate(pool, tmp_path, url, scenario=path, users=2)
    assert {(row["status"], row["error"]) for row in found.rows} == {(0, "refused")}
    assert len(found.rows) > 2


def test_requests_of_one_user_follow_each_other_and_its_pauses_hold(pool: Generators, tmp_path: Path) -> None:
    asked = ask(
        pool,
        tmp_path,
        """
        class Visitor(StampedUser):
            wait_time = constant(0.1)

            @task
            def look(self):
                self.client.get("/ok", name="first")
                self.client.get("/ok", name="second")
        """,
        measure_s=0.5,
    )
    rows = sorted(asked.found.finished, key=lambda row: row["sent_ns"])
    expected = ["GET first", "GET second"] * len(rows)
    assert [row["endpoint"] for row in rows] == expected[: len(rows)]
    assert all(one["received_ns"] <= two["sent_ns"] for one, two in pairwise(rows))
    # A pause may last longer on a busy machine, never shorter: 0.5 s holds six rounds at most.
    assert 2 <= len(rows) <= 14
