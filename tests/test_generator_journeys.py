"""Journeys: steps in order, by what the answers said, with the values of one user."""

from pathlib import Path
from typing import Any

import pytest

from loopwise.generator.protocol import Order
from loopwise.generator.supply import Supply
from loopwise.model import Endpoint, ExpectBody, Feed, Load
from loopwise.servers.files import hash_of

LOGIN = Endpoint(method="POST", path="/login", step=1, capture={"token": "$.token"})
ME = Endpoint(path="/me", headers={"X-Token": "{token}"}, step=2)


class Walk:
    """One user's journey, answered by the test."""

    def __init__(self, *steps: Endpoint) -> None:
        order = Order(url="http://127.0.0.1:1", load=Load(), samples="x")
        self._supply = Supply(list(enumerate(steps)), "host", order)
        self._requests = self._supply.of_user()

    def another(self) -> "Walk":
        """Another user of the same run."""
        walk = object.__new__(Walk)
        walk._supply, walk._requests = self._supply, self._supply.of_user()
        return walk

    def go(self, answer: str | None = "{}") -> tuple[int, str, str | None]:
        """Endpoint, first line or token of the next request, and what its answer is judged; None: it has no answer."""
        request = next(self._requests)
        assert request.examine is not None
        fault = None if answer is None else request.examine(answer.encode())
        lines = request.data.decode().split("\r\n")
        token = next((line.partition(": ")[2] for line in lines if line.startswith("X-Token")), "")
        return request.endpoint, token or lines[0].split(" ")[1], fault


def test_a_captured_value_is_sent_by_the_steps_after_it() -> None:
    walk = Walk(LOGIN, ME)
    assert [walk.go('{"token": "a"}'), walk.go(), walk.go('{"token": "b"}'), walk.go()] == [
        (0, "/login", None),
        (1, "a", None),
        (0, "/login", None),
        (1, "b", None),
    ]


def test_users_keep_values_of_their_own() -> None:
    one = Walk(LOGIN, ME)
    two = one.another()
    one.go('{"token": "one"}')
    two.go('{"token": "two"}')
    assert (one.go()[1], two.go()[1]) == ("one", "two")


@pytest.mark.parametrize(
    ("answer", "fault"),
    [(None, None), ("{}", "capture $.token"), ('{"token": null}', "capture $.token"), ("<html>", "capture $.token")],
)
def test_a_step_that_fails_begins_the_journey_anew(answer: str | None, fault: str | None) -> None:
    walk = Walk(Endpoint(path="/first", step=1), LOGIN, ME)
    walk.go()
    assert walk.go(answer) == (1, "/login", fault)
    assert walk.go()[:2] == (0, "/first")


def test_a_body_that_is_not_as_expected_is_a_failure_of_kind_body() -> None:
    walk = Walk(Endpoint(path="/a", step=1, expect_body=ExpectBody(contains="ok")), Endpoint(path="/b", step=2))
    assert walk.go("no") == (0, "/a", "body")
    assert walk.go("ok") == (0, "/a", None)
    assert walk.go() == (1, "/b", None)


def test_a_step_marked_once_is_repeated_until_it_passed_and_then_never() -> None:
    walk = Walk(LOGIN.model_copy(update={"once": True}), ME)
    assert walk.go("{}")[0] == 0
    assert walk.go('{"token": "a"}')[0] == 0
    assert [walk.go()[:2] for _ in range(3)] == [(1, "a")] * 3
    walk.go(None)
    assert walk.go()[:2] == (1, "a")


def feed_of(folder: Path, **fields: Any) -> Feed:
    path = folder / "feed.csv"
    path.write_text("id,token\n1,x\n2,y\n3,z\n", encoding="utf-8")
    return Feed(file=str(path), sha256=hash_of(path.read_bytes()), **fields)


def test_a_feed_fills_its_step_and_those_after_it_until_it_deals_again(tmp_path: Path) -> None:
    first = Endpoint(path="/a/{id}", step=1, feed=feed_of(tmp_path))
    walk = Walk(first, Endpoint(path="/b/{id}", step=2), first.model_copy(update={"step": 3, "path": "/c/{id}"}))
    assert [walk.go()[1] for _ in range(4)] == ["/a/1", "/b/1", "/c/2", "/a/3"]


def test_a_users_own_row_is_the_same_in_every_pass(tmp_path: Path) -> None:
    one = Walk(Endpoint(path="/a/{id}", step=1, feed=feed_of(tmp_path, order="per_user")))
    two = one.another()
    assert [one.go()[1], two.go()[1], one.go()[1], two.go()[1]] == ["/a/1", "/a/2", "/a/1", "/a/2"]


def test_a_journey_ends_where_its_unique_rows_do(tmp_path: Path) -> None:
    walk = Walk(Endpoint(path="/a/{id}", step=1, feed=feed_of(tmp_path, unique=True)))
    assert [walk.go()[1], walk.go()[1]] == ["/a/1", "/a/2"]
    with pytest.raises(StopIteration):
        walk.go()
