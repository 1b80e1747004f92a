"""Answers in another mode beside those as written: what is the same, and what is said of the rest."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.fakes import case_of
from support.fault_server import FaultServer

from loopwise.errors import EndpointError, RunError, ServerError
from loopwise.measure.written import WrittenAnswers, difference
from loopwise.model import App, Case, Endpoint
from loopwise.servers.exchange import Answer
from loopwise.servers.lifecycle import RunningServer, check_endpoint

JSON = "application/json"


def answer(body: str, status: int = 200, kind: str = JSON) -> Answer:
    return Answer(status, {200: "OK", 500: "Internal Server Error"}[status], body.encode(), content_type=kind)


# bodies as written (of two fresh servers), in another mode -> what is said
STABLE = [
    ('{"a": 1}', '{"a": 1}', ""),
    ('{"a": 1, "b": 2}', '{"b": 2, "a": 1}', ""),
    ('{"a": [1, {"b": 2}]}', '{"a": [1, {"b": 3}]}', "$.a[1].b is 3, as written 2"),
    ('{"a": 1}', '{"a": "1"}', '$.a is "1", as written 1'),
    ('{"a": 1}', '{"a": true}', "$.a is true, as written 1"),
    ('{"a": null}', "{}", "$.a is missing"),
    ("{}", '{"a": 1}', "$.a is added"),
    ("[1, 2]", "[1]", "$ has 1 elements, as written 2"),
    ("hello", "help", "its answer differs from byte 4 on: it is 'p', as written 'lo'"),
    ("1", "", "its answer differs from byte 1 on: it is '', as written '1'"),
]
VOLATILE = [
    ('{"t": 1, "name": "x"}', '{"t": 2, "name": "x"}', '{"t": 3.5, "name": "y"}', ""),
    ('{"t": 1}', '{"t": 2}', '{"t": "3"}', "$.t is a string, as written a number"),
    ('{"t": 1, "b": 1}', '{"t": 2, "b": 1}', '{"t": 3}', "$.b is missing"),
    ('{"rows": [1]}', '{"rows": [1, 2]}', '{"rows": []}', ""),
    ('{"rows": [{"id": 1}]}', '{"rows": [{"id": 2}]}', '{"rows": [{"no": 1}]}', "$.rows[0].id is missing"),
    ('{"7": 1}', '{"8": 1}', '{"9": 1}', ""),
    ('{"a": null}', '{"a": 1}', '{"a": 2}', ""),
    ("at 1", "at 2", "at 3", ""),
]


@pytest.mark.parametrize(("written", "now", "said"), STABLE)
def test_a_stable_body_must_be_the_same(written: str, now: str, said: str) -> None:
    assert difference([answer(written)] * 2, answer(now)) == said


@pytest.mark.parametrize(("first", "second", "now", "said"), VOLATILE)
def test_of_a_volatile_body_the_shape_must_be_the_same(first: str, second: str, now: str, said: str) -> None:
    assert difference([answer(first), answer(second)], answer(now)) == said


def test_status_and_content_type_must_be_the_same() -> None:
    written = [answer("{}"), answer('{"a": 1}')]
    assert difference(written, answer("{}", 500)) == "it answered 500 Internal Server Error, as written 200 OK"
    assert (
        difference(written, answer("{}", kind="text/plain")) == "its answer is text/plain, as written application/json"
    )


def own_case(path: str, mode: str = "sync") -> Case:
    app = App(target="shop:app", app_dir="/srv", python="/srv/python")
    endpoint = Endpoint(path=path)
    return case_of(f"{mode}-{path[1:]}", mode, workload=endpoint.name, endpoints=(endpoint,), app=app, params={})


@pytest.fixture
def served() -> Iterator[tuple[list[Case], WrittenAnswers, FaultServer]]:
    """Cases that were started as written, on a server that answers `/ok` and nothing else."""
    started: list[Case] = []
    with FaultServer() as server:

        @contextmanager
        def start(case: Case, log: Path) -> Iterator[RunningServer]:
            log.touch()
            started.append(case)
            yield RunningServer(server.url)

        yield started, WrittenAnswers(start), server


Served = tuple[list[Case], WrittenAnswers, FaultServer]


def ask(written: WrittenAnswers, case: Case, url: str, change: Callable[[Answer], Answer] = lambda each: each) -> None:
    (endpoint,) = case.endpoints
    check_endpoint(
        endpoint, {}, url=url, timeout_s=5, on_answer=lambda each: written.refuse_other(case, endpoint, change(each))
    )


def test_endpoints_of_an_app_are_asked_twice_on_the_same_servers_in_both_orders(served: Served) -> None:
    started, written, server = served
    cases = [own_case("/ok"), own_case("/slow"), own_case("/slow", "to_thread"), own_case("/other", "own")]
    written.learn(cases)
    written.learn(cases)
    assert [(case.mode, case.endpoints, case.workers) for case in started] == [("own", (), 1)] * 2
    assert server.seen == {"GET /ok": 2, "GET /slow": 2}
    ask(written, cases[0], server.url)
    assert len(started) == 2


def test_another_answer_is_refused_with_what_differs(served: Served) -> None:
    _, written, server = served
    with pytest.raises(
        EndpointError, match="GET /ok can't be measured as sync: it answered 201 OK, as written 200 OK; leave"
    ):
        ask(written, own_case("/ok"), server.url, lambda each: each._replace(status=201))


def test_an_endpoint_that_fails_as_written_is_no_reference(served: Served) -> None:
    _, written, server = served
    with pytest.raises(EndpointError, match=r"^as written, GET /304: answered 304 .*, expected 2xx"):
        ask(written, own_case("/304"), server.url)


def test_a_server_that_does_not_start_as_written_is_told_at_the_first_answer() -> None:
    @contextmanager
    def start(case: Case, log: Path) -> Iterator[RunningServer]:
        raise ServerError("no such app")
        yield

    written = WrittenAnswers(start)
    written.learn([own_case("/ok")])
    with pytest.raises(RunError, match="as written, no such app"):
        written.refuse_other(own_case("/ok"), Endpoint(path="/ok"), answer("{}"))
