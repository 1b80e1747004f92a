"""The request before a run: the same bytes as the load's, a deadline, and a sentence for whatever goes wrong."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.fault_server import LARGE_BYTES, OK, FaultServer, says
from support.generator import generate

from loopwise.errors import EndpointError
from loopwise.generator.client import GeneratorProcess
from loopwise.model import Case, Endpoint, Load
from loopwise.servers.exchange import NoAnswerError, ask, time_answers
from loopwise.servers.lifecycle import check_endpoints, free_port
from loopwise.servers.origin import resolve
from loopwise.servers.wire import encode

pytestmark = pytest.mark.e2e


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer({"/st%C3%A4dte/../%22x%22?q=%E6%9D%B1": says(OK)}) as server:
        yield server


def check(url: str, *endpoints: Endpoint, timeout_s: float = 5.0) -> None:
    case = Case(case_id="x", workload="x", mode="own", url=url, endpoints=endpoints, load=Load(timeout_s=timeout_s))
    check_endpoints(case, url)


def test_the_check_sends_the_same_bytes_as_the_load(server: FaultServer, tmp_path: Path) -> None:
    endpoint = Endpoint(
        method="POST", path='/städte/../"x"?q=東', headers={"X-Name": "Zoë", "accept": "a/b"}, json_body={"é": [1.5]}
    )
    check(server.url, endpoint)
    assert len(server.sent) == 1
    generator = GeneratorProcess(tmp_path / "generator.log")
    try:
        run = generate(generator, tmp_path, server.url, [endpoint], users=1)
    finally:
        generator.close()
    assert {row["status"] for row in run.finished} == {200}
    assert len(server.sent) == 1


WHOLE = {
    "/ok": (200, b"ok"),
    "/goodbye": (200, b"ok"),
    "/http10": (200, b"ok"),
    "/chunked": (200, b"ok"),
    "/204": (204, b""),
    "/304": (304, b""),
    "/early-hints": (200, b"ok"),
    "/large": (200, b"x" * LARGE_BYTES),
    "/drip": (200, b"x" * 8),
    "/until-close": (200, b"all of it"),
    "/until-close-split": (200, b"all of it"),
    "/not-found": (404, b""),
}


@pytest.mark.parametrize("path", WHOLE)
def test_an_answer_is_read_to_its_end(server: FaultServer, path: str) -> None:
    answer = ask(resolve(server.url), encode("GET", path, {"Host": "x"}), timeout_s=5.0)
    assert (answer.status, answer.body) == WHOLE[path]


def test_the_answer_to_head_ends_with_its_headers(server: FaultServer) -> None:
    assert ask(resolve(server.url), encode("HEAD", "/head"), timeout_s=5.0).status == 200


FAULTS = {
    "/events": "GET /events: no complete answer within 0.2 s from http://127.0.0.1:",
    "/drips-for-ever": "GET /drips-for-ever: no complete answer within 0.2 s",
    "/hangs": "no complete answer within 0.2 s",
    "/closes": "the connection was closed before the answer was complete",
    "/closes-early": "the connection was closed before the answer was complete",
    "/half-a-head": "the connection was closed before the answer was complete",
    "/reset": "no answer (Connection reset by peer)",
    "/malformed": "the answer is no HTTP/1.1",
    "/upgrade": "the answer is no HTTP/1.1 or changes the protocol",
    "/odd-charset": "answered 500 Oops, expected 2xx (it said: \ufffd\ufffd!)",
}


@pytest.mark.parametrize("path", FAULTS)
def test_an_endpoint_without_a_good_answer_is_a_sentence(server: FaultServer, path: str) -> None:
    with pytest.raises(EndpointError) as raised:
        check(server.url, Endpoint(path=path), timeout_s=0.2 if "within" in FAULTS[path] else 5.0)
    assert FAULTS[path] in str(raised.value)
    assert "\n" not in str(raised.value)


def test_nobody_listening_is_no_answer() -> None:
    with pytest.raises(NoAnswerError, match=r"no answer \(Connection refused\); is the server up"):
        ask(resolve(f"http://127.0.0.1:{free_port()}"), encode("GET", "/"), timeout_s=5.0)


def test_a_unix_socket_is_asked_like_a_port(tmp_path: Path) -> None:
    with FaultServer(path=tmp_path / "s") as server:
        check(server.url, Endpoint(path="/ok"))
        assert server.last is not None
        assert server.last.headers["host"] == "localhost"
    with pytest.raises(EndpointError, match=r"no answer \(No such file or directory\) from unix:"):
        check(f"unix:{tmp_path}/none", Endpoint(path="/ok"))


def test_the_address_that_listens_is_taken(monkeypatch: pytest.MonkeyPatch, server: FaultServer) -> None:
    def two_addresses(host: str, port: int, *_: object, **__: object) -> list[tuple[object, ...]]:
        silent = (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", port, 0, 0))
        return [silent, (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", two_addresses)
    origin = resolve(f"http://localhost:{server.port}")
    assert (origin.family, origin.address) == (socket.AF_INET, ("127.0.0.1", server.port))
    assert origin.host_header == f"localhost:{server.port}"


def test_answers_are_timed_over_one_connection_until_one_fails(server: FaultServer) -> None:
    origin, before = resolve(server.url), len(server.sent)
    assert len(time_answers(origin, encode("GET", "/ok", {"Host": "x"}), most=5, most_s=5.0)) == 5
    assert time_answers(origin, encode("GET", "/not-found", {"Host": "x"}), most=5, most_s=5.0) == []
    assert len(time_answers(origin, encode("GET", "/goodbye", {"Host": "x"}), most=5, most_s=5.0)) == 1
    assert before < len(server.sent)
