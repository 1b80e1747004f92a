"""StampedUser: used like Locust's own clients, its requests are rows stamped by the kernel."""

import textwrap
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from support.fault_server import FaultServer
from support.generator import generate
from support.stamped import HEAD, ask

from loopwise.generator.client import Generators

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("is_new", [True, False])
def test_connections_are_kept_unless_each_request_has_its_own(is_new: bool, pool: Generators, tmp_path: Path) -> None:
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
    connections = Counter(row["connection"] for row in asked.run.finished)
    assert len(asked.run.finished) > 4
    assert len(connections) == (len(asked.run.finished) if is_new else 2)


def test_request_listeners_are_called_once_per_request(pool: Generators, tmp_path: Path) -> None:
    asked = ask(
        pool,
        tmp_path,
        """
        calls = []

        @events.request.add_listener
        def listen(request_type, name, response, response_length, exception, context, **_):
            failure = None if exception is None else type(exception).__name__
            calls.append([request_type, name, response.status_code, response_length, failure, context])

        class Visitor(StampedUser):
            wait_time = constant(30)

            def context(self):
                return {"user": "ann"}

            @task
            def look(self):
                self.client.get("/ok", context={"step": 1})
                self.client.get("/breaks", name="broken")
                self.client.post("/tell", json=["calls", calls])
        """,
    )
    assert asked.facts["calls"] == [
        ["GET", "/ok", 200, 2, None, {"user": "ann", "step": 1}],
        ["GET", "broken", 500, 0, "LocustBadStatusCode", {"user": "ann"}],
    ]
    assert len(asked.run.rows) == 3


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
    rows = asked.run.finished
    assert {(row["endpoint"], row["error"]) for row in rows} == {
        ("GET /closes-early", "closed_early"),
        ("GET /ok", None),
        ("GET /goodbye", None),
    }
    assert len(rows) > 12
    assert asked.run.events[-1].event == "done"


def test_a_missing_server_refuses_every_stamped_request(pool: Generators, tmp_path: Path) -> None:
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
    run = generate(pool, tmp_path, url, scenario=path, users=2)
    assert {(row["status"], row["error"]) for row in run.rows} == {(0, "refused")}
    assert len(run.rows) > 2


def test_requests_of_one_user_follow_each_other_after_pauses(pool: Generators, tmp_path: Path) -> None:
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
    rows = sorted(asked.run.finished, key=lambda row: row["sent_ns"])
    expected = ["GET first", "GET second"] * len(rows)
    assert [row["endpoint"] for row in rows] == expected[: len(rows)]
    assert all(one["received_ns"] <= two["sent_ns"] for one, two in pairwise(rows))
    # A pause may last longer on a busy machine, never shorter: 0.5 s holds six rounds at most.
    assert 2 <= len(rows) <= 14


def test_blocks_that_the_end_cuts_off_have_rows_as_judged_so_far(pool: Generators, tmp_path: Path) -> None:
    asked = ask(
        pool,
        tmp_path,
        """
        import gevent

        class Visitor(StampedUser):
            @task
            def look(self):
                gevent.spawn(self.judge, "child")
                self.judge("own")

            def judge(self, name):
                self.client.get("/ok", name=f"{name}, not in a block", catch_response=True)
                with self.client.get("/ok", name=f"{name}, judged", catch_response=True) as response:
                    response.failure("no")
                    with self.client.get("/breaks", name=f"{name}, undecided", catch_response=True):
                        gevent.sleep(30)
        """,
    )
    outcomes = {("not in a block", 200, None), ("judged", 200, "no"), ("undecided", 500, "status_500")}
    assert asked.outcomes == {(f"GET {who}, {name}", *rest) for who in ("own", "child") for name, *rest in outcomes}
    assert len(asked.run.rows) == len(asked.requests) == 6


def test_redirects_are_rows_and_never_lead_to_another_host(pool: Generators, tmp_path: Path) -> None:
    asked = ask(
        pool,
        tmp_path,
        """
        class Visitor(StampedUser):
            wait_time = constant(30)

            @task
            def look(self):
                answer = self.client.get("/moved", name="elsewhere")
                self.client.post("/tell", json=["error", [answer.status_code, answer.error_kind]])
                self.client.max_redirects = 0
                self.client.post("/tell", json=["limit 0", self.client.get("/moved").status_code])
                for option in ({"hooks": {}}, {"proxies": {"http": "http://127.0.0.1:1"}}):
                    try:
                        self.client.get("/ok", **option)
                    except Exception as error:
                        self.client.post("/tell", json=[type(error).__name__, next(iter(option)) in str(error)])
                try:
                    self.client.hooks = {}
                except AttributeError as error:
                    self.client.post("/tell", json=["attribute", "hooks" in str(error)])
        """,
    )
    refusals = {"TypeError": True, "LocustError": True, "attribute": True}
    assert asked.facts == {"error": [0, "redirect_refused"], "limit 0": 302} | refusals
    assert ("GET elsewhere", 302, "redirect_refused") in asked.outcomes


@pytest.mark.parametrize("packed", [False, True])
def test_lines_of_a_stream_come_decompressed_one_by_one(packed: bool, pool: Generators, tmp_path: Path) -> None:
    asked = ask(
        pool,
        tmp_path,
        f"""
        class Visitor(StampedUser):
            wait_time = constant(30)

            @task
            def look(self):
                response = self.client.get("/{"packed" if packed else ""}lines", stream=True)
                lines = list(response.iter_lines(decode_unicode=True))
                self.client.post("/tell", json=["lines", lines])
        """,
    )
    assert asked.facts["lines"] == ["one", "zwei Käse", "three"]
