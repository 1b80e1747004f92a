"""A script's journey by StampedUser: what requests carry, what the script sees, what the rows say."""

from base64 import b64encode
from typing import Any

import pytest
from support.stamped import OTHER_HOST, Asked, ask

from loopwise.generator.client import Generators

pytestmark = pytest.mark.e2e


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
        self.tell("cookies", dict(client.cookies))
        client.delete("/ok")
        client.get("/logout")
        self.tell("cookies left", dict(client.cookies))
        self.tell("moved", client.get("/moved", allow_redirects=False).headers["location"])
        client.get(self.host + "/ok", name="absolute")
        try:
            client.get("{OTHER_HOST}/ok")
        except Exception as error:
            self.tell("other host", [type(error).__name__, "and to loopback only" in str(error)])
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
        self.tell("lost", [lost.status_code, lost.ok, lost.error_kind, type(lost.error).__name__])
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
        ("POST", "/tell", {"content-type": "application/json"}, b'["json", {"id": 7}]'),
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
        ("moved", f"{OTHER_HOST}/"),
        ("other host", ["LocustError", True]),
        ("raised", "JSONDecodeError"),
        ("lost", [0, False, "closed_early", "HTTPParseError"]),
    ],
)
def test_a_script_can_read_the_answer(fact: str, value: Any, journey: Asked) -> None:
    assert journey.facts[fact] == value


def test_cookies_are_sent_after_the_answer_that_sets_them(journey: Asked) -> None:
    assert "cookie" not in journey.of("/login").headers
    assert journey.of("/logout").headers["cookie"] == "sid=42; lang=de"
    assert journey.of("/moved").headers["cookie"] == "lang=de"


def test_every_request_is_one_row_with_the_scripts_judgement(journey: Asked) -> None:
    assert journey.outcomes == {
        ("GET begin", 204, None),
        ("GET end", 204, None),
        ("GET find", 200, None),
        ("GET /find?page=2", 200, None),
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
    assert len(journey.run.rows) == len(journey.requests)


def test_rows_of_a_stamped_user_carry_the_kernel_stamp(journey: Asked) -> None:
    answered = [row for row in journey.run.rows if row["status"]]
    assert {row["stamp"] for row in answered} == {"kernel"}
    assert all(row["sent_ns"] <= row["received_ns"] <= row["read_ns"] for row in answered)
    # One connection serves until the server breaks it.
    assert len({row["connection"] for row in answered}) == 2
