"""A user's own Locust file: its requests are rows, and none of them leaves this machine."""

from pathlib import Path
from typing import Any

import pytest
from support.fault_server import FaultServer
from support.generator import Generated, generate, get, scripted

from loopwise.errors import GeneratorError
from loopwise.generator.client import Generators, generators
from loopwise.model import GeneratorFigures

pytestmark = pytest.mark.e2e

OTHER_HOST = "192.0.2.1"
"""An address that is assigned to nobody: TEST-NET-1 (RFC 5737)."""
CLIENTS = ["HttpUser", "FastHttpUser"]


def outcomes(run: Generated) -> set[tuple[str, int, str | None]]:
    """Endpoint, status and error of the rows."""
    return {(row["endpoint"], row["status"], row["error"]) for row in run.rows if row["error"] != "unfinished"}


@pytest.mark.parametrize("client", CLIENTS)
def test_every_request_of_a_journey_is_a_row(
    client: str, pool: Generators, server: FaultServer, tmp_path: Path
) -> None:
    run = scripted(
        pool,
        tmp_path,
        server,
        f"""
        class Visitor({client}):
            wait_time = constant(0.02)

            def on_start(self):
                self.client.get("/204")

            @task
            def look(self):
                self.client.get("/ok", name="look")
                self.client.post("/chunked", json={{"id": 1}})
                self.client.get("/not-found")
                with self.client.get("/slow", catch_response=True) as answer:
                    if answer.text == "ok":
                        answer.failure("not what it should be")
                with self.client.get("/breaks", catch_response=True) as answer:
                    answer.success()
        """,
    )
    assert outcomes(run) == {
        ("GET /204", 204, None),
        ("GET look", 200, None),
        ("POST /chunked", 200, None),
        ("GET /not-found", 404, "status_404"),
        ("GET /slow", 200, "not what it should be"),
        ("GET /breaks", 500, None),
    }
    assert server.seen["GET /204"] == 2
    assert {row["stamp"] for row in run.rows} == {"user"}
    assert all(row["sent_ns"] <= row["received_ns"] for row in run.rows)
    # A request that the end of the run cuts off may have reached the server, or not yet.
    assert len(run.finished) <= sum(server.seen.values()) <= len(run.rows) <= len(run.finished) + 2


@pytest.mark.parametrize("client", CLIENTS)
def test_a_redirect_to_another_host_is_refused_unconnected(client: str, pool: Generators, tmp_path: Path) -> None:
    def redirects(connection: Any, *_: Any) -> bool:
        connection.sendall(
            b"HTTP/1.1 302 Found\r\nLocation: http://%s/\r\nContent-Length: 0\r\n\r\n" % OTHER_HOST.encode()
        )
        return True

    with FaultServer({"/moved": redirects}) as server:
        run = scripted(
            pool,
            tmp_path,
            server,
            f"""
            class Visitor({client}):
                wait_time = constant(0.05)

                @task
                def look(self):
                    self.client.get("/moved")
            """,
        )
        assert server.seen["GET /moved"] > 2
    assert run.rows
    # A connection that was tried would hang until the timeout: nobody is there to refuse it.
    assert {row["error"] for row in run.finished} <= {"ConnectionError", "ConnectionRefusedError", "status_302"}


@pytest.mark.parametrize(
    ("client", "ask"),
    [
        ("HttpUser", f'self.client.get("http://{OTHER_HOST}/")'),
        ("FastHttpUser", f'self.client.get("http://{OTHER_HOST}/")'),
        ("FastHttpUser", f"socket.create_connection(({OTHER_HOST!r}, 80))"),
        ("FastHttpUser", f"socket.socket().connect(({OTHER_HOST!r}, 80))"),
        ("FastHttpUser", f"socket.socket().connect_ex(({OTHER_HOST!r}, 80))"),
    ],
)
def test_a_script_cannot_connect_to_another_host(
    client: str, ask: str, pool: Generators, server: FaultServer, tmp_path: Path
) -> None:
    run = scripted(
        pool,
        tmp_path,
        server,
        f"""
        import socket

        class Visitor({client}):
            wait_time = constant(0.05)

            @task
            def look(self):
                try:
                    {ask}
                except ConnectionRefusedError as error:
                    assert "neither the target nor loopback" in str(error)
                    self.client.get("/ok")
        """,
    )
    errors = {row["error"] for row in run.finished}
    if ask.startswith("self.client"):
        assert errors <= {"ConnectionError", "ConnectionRefusedError"}
        assert errors
    else:
        assert errors == {None}
        assert server.seen["GET /ok"] > 2


def test_a_proxy_of_the_environment_is_not_measured(
    server: FaultServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FaultServer() as proxy, monkeypatch.context() as patch:
        patch.setenv("http_proxy", proxy.url)
        patch.setenv("ALL_PROXY", proxy.url)
        with generators(tmp_path / "generator.log") as pool:
            text = """
            class Visitor(HttpUser):
                @task
                def look(self):
                    self.client.get("/slow")
            """
            run = scripted(pool, tmp_path, server, text)
        assert proxy.connections == 0
    assert outcomes(run) == {("GET /slow", 200, None)}


def test_a_load_shape_decides_how_many_users_there_are(pool: Generators, server: FaultServer, tmp_path: Path) -> None:
    run = scripted(
        pool,
        tmp_path,
        server,
        """
        class Visitor(FastHttpUser):
            wait_time = constant(0.02)

            def on_start(self):
                self.client.get("/204")

            @task
            def look(self):
                self.client.get("/ok")

        class Three(LoadTestShape):
            def tick(self):
                return 3, 100
        """,
        users=50,
    )
    assert server.seen["GET /204"] == 3
    figures = run.events[-1].figures
    assert figures is not None
    assert (figures.users, figures.users_wanted) == (3, 3)


def test_listeners_are_called_once_per_event_in_every_replicate(
    pool: Generators, server: FaultServer, tmp_path: Path
) -> None:
    """Each replicate gets a process of its own: module state and listeners of the one before are gone."""
    text = """
    from locust import events

    calls = []

    @events.init.add_listener
    def begin(environment, **_):
        calls.append("init")

    @events.test_start.add_listener
    def start(environment, **_):
        calls.append("start")

    class Visitor(FastHttpUser):
        wait_time = constant(0.02)

        @task
        def look(self):
            self.client.get("/ok", name=" ".join(calls))
    """
    for _ in range(2):
        run = scripted(pool, tmp_path, server, text, measure_s=0.3)
        assert outcomes(run) == {("GET init start", 200, None)}


def test_users_that_fail_in_their_script_do_not_end_the_run(
    pool: Generators, server: FaultServer, tmp_path: Path
) -> None:
    run = scripted(
        pool,
        tmp_path,
        server,
        """
        class Visitor(FastHttpUser):
            wait_time = constant(0.02)

            @task
            def look(self):
                self.client.get("/ok")
                raise KeyError("mistake")
        """,
    )
    assert len(run.rows) > 4
    assert run.events[-1].event == "done"


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("def broken(:", "SyntaxError: "),
        (
            "import a_package_that_nobody_has",
            "ModuleNotFoundError: No module named 'a_package_that_nobody_has'",
        ),
        ("import sys\nsys.exit('not today')", "SystemExit: not today"),
        ("x = 1", "has no user class"),
    ],
)
def test_a_script_that_cannot_be_used_is_one_sentence(
    text: str, phrase: str, pool: Generators, server: FaultServer, tmp_path: Path
) -> None:
    with pytest.raises(GeneratorError) as raised:
        scripted(pool, tmp_path, server, text)
    sentence = str(raised.value)
    assert sentence.startswith("script.py: the Locust file ")
    assert phrase in sentence
    assert "\n" not in sentence
    assert str(tmp_path) not in sentence


@pytest.mark.parametrize("client", [*CLIENTS, "StampedUser"])
def test_a_canary_is_probed_beside_any_script_as_no_user_of_it(
    client: str, pool: Generators, server: FaultServer, tmp_path: Path
) -> None:
    text = f"""
    from loopwise import StampedUser

    class Visitor({client}):
        wait_time = constant(0.02)

        @task
        def look(self):
            self.client.get("/slow")
    """
    run = scripted(pool, tmp_path, server, text, victim="/ok", measure_s=0.5)
    assert outcomes(run) >= {("GET /slow", 200, None), ("victim /ok", 200, None)}
    victims = [row for row in run.rows if row["endpoint"] == "victim /ok"]
    assert len(victims) >= 5
    assert all(row["scheduled_ns"] is not None and row["stamp"] == "kernel" for row in victims)
    figures = run.events[-1].figures
    assert figures is not None
    assert figures.users == 2


def test_an_event_with_only_documented_arguments_is_a_row(
    pool: Generators, server: FaultServer, tmp_path: Path
) -> None:
    run = scripted(
        pool,
        tmp_path,
        server,
        """
        import time
        from locust import events

        class Queue(User):
            wait_time = constant(0.02)

            @task
            def publish(self):
                time.sleep(0.01)
                told = {"request_type": "MQTT", "response_time": 10.0}
                events.request.fire(name="documented", response_length=7, exception=None, context={}, **told)
                events.request.fire(name="own clock", response_length=7, start_time=time.perf_counter(), **told)
                events.request.fire(name="failed", response_length=0, exception=ValueError("full"), **told)
                events.request.fire(name="words", response_length=0, exception="queue full", **told)
        """,
        users=1,
    )
    assert outcomes(run) == {
        ("MQTT documented", 0, None),
        ("MQTT own clock", 0, None),
        ("MQTT failed", 0, "ValueError"),
        ("MQTT words", 0, "queue full"),
    }
    assert {row["received_ns"] - row["sent_ns"] for row in run.rows} == {10_000_000}
    opened_ns, closed_ns = run.window()
    assert sum(opened_ns <= row["sent_ns"] <= closed_ns for row in run.rows) >= len(run.rows) - 8


@pytest.mark.parametrize("client", CLIENTS)
def test_a_failure_by_an_exception_carries_its_words(
    client: str, pool: Generators, server: FaultServer, tmp_path: Path
) -> None:
    run = scripted(
        pool,
        tmp_path,
        server,
        f"""
        class Buyer({client}):
            wait_time = constant(0.02)

            @task
            def buy(self):
                with self.client.get("/ok", catch_response=True) as answer:
                    answer.failure(ValueError("the cart is empty"))
        """,
    )
    assert outcomes(run) == {("GET /ok", 200, "the cart is empty")}


def figures(run: Generated) -> GeneratorFigures:
    """The generator's figures of a run."""
    return run.events[-1].figures


def test_a_shape_that_returns_none_leaves_no_user_of_those_it_wanted(
    pool: Generators, server: FaultServer, tmp_path: Path
) -> None:
    run = scripted(
        pool,
        tmp_path,
        server,
        """
        class Visitor(FastHttpUser):
            wait_time = constant(0.01)

            @task
            def look(self):
                self.client.get("/ok")

        class Short(LoadTestShape):
            def tick(self):
                return (3, 100) if self.get_run_time() < 0.5 else None
        """,
        measure_s=1.6,
    )
    found = figures(run)
    assert (found.users, found.users_wanted) == (0, 3)
    assert found.users_gone_s is not None
    assert 0 < found.users_gone_s < 1.6
    assert found.users_mean is not None
    assert 0 < found.users_mean < 3


def test_closed_load_waits_for_an_answer_that_may_never_come(
    pool: Generators, server: FaultServer, tmp_path: Path
) -> None:
    run = generate(pool, tmp_path, server.url, get("/hangs"), users=2, measure_s=0.2)
    assert [row["error"] for row in run.rows] == ["unfinished"] * 2
    assert all(row["received_ns"] - row["sent_ns"] > 2e9 for row in run.rows)


@pytest.mark.parametrize("client", CLIENTS)
def test_a_request_in_flight_at_the_end_is_an_unfinished_row(
    client: str, pool: Generators, server: FaultServer, tmp_path: Path
) -> None:
    run = scripted(
        pool,
        tmp_path,
        server,
        f"""
        class Visitor({client}):
            @task
            def look(self):
                self.client.get("/hangs", name="hangs")
        """,
    )
    assert [(row["endpoint"], row["error"]) for row in run.rows] == [("GET hangs", "unfinished")] * 2
    assert all(row["received_ns"] - row["sent_ns"] > 1.9e9 for row in run.rows)


@pytest.mark.parametrize("client", ["FastHttpUser", "StampedUser"])
def test_statistics_at_test_stop_agree_with_the_rows(
    client: str, pool: Generators, server: FaultServer, tmp_path: Path
) -> None:
    run = scripted(
        pool,
        tmp_path,
        server,
        f"""
        from pathlib import Path
        from loopwise import StampedUser

        @events.test_stop.add_listener
        def end(environment, **_):
            Path("{tmp_path}/count").write_text(str(environment.stats.total.num_requests))

        class Visitor({client}):
            wait_time = constant(0.005)

            @task
            def look(self):
                self.client.get("/ok")
        """,
    )
    assert int((tmp_path / "count").read_text()) == len(run.finished) > 10
