"""The generator against servers that misbehave: every request is a row, users go on, the run ends."""

import socket
import threading
from collections import Counter
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from support.e2e import until
from support.fault_server import LARGE_BYTES, LOST_S, FaultServer
from support.generator import generate, get

from loopwise.generator.client import GeneratorProcess
from loopwise.model import Endpoint
from loopwise.servers.lifecycle import free_port

pytestmark = pytest.mark.e2e

USERS = 3


ANSWERS: dict[str, tuple[int, str | None, str]] = {
    "/ok": (200, None, "kernel"),
    "/slow": (200, None, "kernel"),
    "/goodbye": (200, None, "kernel"),
    "/http10": (200, None, "kernel"),
    "/chunked": (200, None, "kernel"),
    "/204": (204, None, "kernel"),
    "/304": (304, "status_304", "kernel"),
    "/early-hints": (200, None, "kernel"),
    "/large": (200, None, "kernel"),
    "/drip": (200, None, "kernel"),
    "/not-found": (404, "status_404", "kernel"),
    "/breaks": (500, "status_500", "kernel"),
    # The end of the stream ends these answers, and the kernel stamps no such end.
    "/until-close": (200, None, "user"),
    "/until-close-split": (200, None, "user"),
}
FAULTS = {
    "/reset": "reset",
    "/closes": "closed",
    "/closes-early": "closed_early",
    "/chunks-end-early": "closed_early",
    "/early-hints-then-half": "closed_early",
    "/half-a-head": "closed_early",
    "/malformed": "malformed",
    "/upgrade": "malformed",
    "/twice": "unsolicited_answer",
    "/hangs": "timeout",
    "/drips-for-ever": "timeout",
}


@pytest.mark.parametrize("path", ANSWERS)
def test_an_answer_is_a_row_with_its_status_and_users_go_on(
    path: str, generator: GeneratorProcess, server: FaultServer, tmp_path: Path
) -> None:
    status, error, stamp = ANSWERS[path]
    run = generate(generator, tmp_path, server.url, get(path), users=USERS, measure_s=0.5)
    rows = run.finished
    assert {(row["status"], row["error"], row["stamp"]) for row in rows} == {(status, error, stamp)}
    assert len(rows) > USERS
    assert len(rows) <= server.seen[f"GET {path}"] <= len(run.rows)
    assert all(row["sent_ns"] <= row["received_ns"] <= row["read_ns"] for row in rows)
    if path == "/large":
        assert all(row["bytes"] > LARGE_BYTES for row in rows)


@pytest.mark.parametrize("path", FAULTS)
def test_a_fault_is_a_row_with_its_kind_and_users_go_on(
    path: str, generator: GeneratorProcess, server: FaultServer, tmp_path: Path
) -> None:
    measure_s = 0.7 if FAULTS[path] == "timeout" else 0.35
    run = generate(generator, tmp_path, server.url, get(path), users=USERS, timeout_s=0.1, measure_s=measure_s)
    rows = run.finished
    assert {(row["status"], row["error"]) for row in rows} == {(0, FAULTS[path])}
    assert len(rows) > USERS
    assert len(rows) <= server.seen[f"GET {path}"] <= len(run.rows)
    assert generator.is_alive


def test_an_answer_to_head_has_no_body_whatever_it_announces(
    generator: GeneratorProcess, server: FaultServer, tmp_path: Path
) -> None:
    endpoints = [Endpoint(method="HEAD", path="/head"), Endpoint(path="/ok")]
    run = generate(generator, tmp_path, server.url, endpoints, users=USERS)
    assert {(row["endpoint"], row["status"], row["error"]) for row in run.finished} == {
        ("HEAD /head", 200, None),
        ("GET /ok", 200, None),
    }
    assert server.connections == USERS


def test_a_redirect_is_reported_and_not_followed(
    generator: GeneratorProcess, server: FaultServer, tmp_path: Path
) -> None:
    from_here = b"HTTP/1.1 302 Found\r\nLocation: %s/ok\r\nContent-Length: 0\r\n\r\n" % server.url.encode()

    def redirects(connection: socket.socket, *_: Any) -> bool:
        connection.sendall(from_here)
        return True

    with FaultServer({"/moved": redirects}) as moved:
        run = generate(generator, tmp_path, moved.url, get("/moved"), users=USERS)
    assert {(row["status"], row["error"]) for row in run.finished} == {(302, "status_302")}
    assert server.connections == 0


def test_a_server_that_is_not_there_gives_refused_rows(generator: GeneratorProcess, tmp_path: Path) -> None:
    run = generate(generator, tmp_path, f"http://127.0.0.1:{free_port()}", get("/"), users=USERS)
    assert {(row["status"], row["error"]) for row in run.finished} == {(0, "refused")}
    assert len(run.finished) > USERS


def test_an_unreachable_address_gives_rows_with_the_errno_name(generator: GeneratorProcess, tmp_path: Path) -> None:
    """connect() itself fails here, and no event tells it again: the broadcast address of the loopback network."""
    run = generate(generator, tmp_path, "http://127.255.255.255:9", get("/"), users=USERS)
    assert {(row["status"], row["error"]) for row in run.finished} == {(0, "enetunreach")}
    assert len(run.finished) > USERS


def test_connections_that_nobody_accepts_time_out_as_such(generator: GeneratorProcess, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        url = f"http://127.0.0.1:{full.getsockname()[1]}"
        run = generate(generator, tmp_path, url, get("/"), users=6, timeout_s=0.2, measure_s=0.8)
    kinds = Counter(row["error"] for row in run.finished)
    assert set(kinds) == {"timeout", "connect_timeout"}  # the kernel completes the first few by itself
    assert kinds["connect_timeout"] >= 3


def test_an_early_answer_does_not_mix_with_the_next_request(
    generator: GeneratorProcess, server: FaultServer, tmp_path: Path
) -> None:
    upload = Endpoint(method="POST", path="/unread", json_body="x" * 20_000_000, expect_status=413)
    run = generate(generator, tmp_path, server.url, [upload], users=1, timeout_s=2.0)
    assert {row["error"] for row in run.finished} <= {None, "reset"}
    assert {row["status"] for row in run.finished} <= {413, 0}
    assert set(server.seen) == {"POST /unread"}


def test_users_return_to_a_server_that_is_killed_and_restarted(
    generator: GeneratorProcess, server: FaultServer, tmp_path: Path
) -> None:
    def kill_and_restart() -> None:
        until(lambda: server.seen["GET /slow"] > USERS)
        server.stop()
        before = server.seen["GET /slow"]
        server.start()
        until(lambda: server.seen["GET /slow"] > before + USERS)

    killer = threading.Thread(target=kill_and_restart)
    killer.start()
    run = generate(generator, tmp_path, server.url, get("/slow"), users=USERS, measure_s=1.2)
    killer.join()
    errors = [row["error"] for row in run.finished]
    assert errors[0] is None
    assert errors[-1] is None
    assert set(errors) - {None} <= {"closed", "reset", "refused"}
    assert any(row["retried"] for row in run.finished)
    assert errors.count(None) <= server.seen["GET /slow"]


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
def test_a_request_that_meets_a_closing_peer_is_sent_again(
    method: str, generator: GeneratorProcess, server: FaultServer, tmp_path: Path
) -> None:
    run = generate(generator, tmp_path, server.url, [Endpoint(method=method, path="/every-other")], users=1)
    rows = run.finished
    assert {(row["status"], row["error"]) for row in rows} == {(200, None)}
    assert [row["retried"] for row in rows[:4]] == [False, True, True, True]
    assert len({row["connection"] for row in rows}) == len(rows)
    asked = server.seen[f"{method} /every-other"]
    assert asked - len(rows) - sum(row["retried"] for row in rows) in {0, 1, 2}  # the last may be unfinished


def test_a_post_that_meets_a_closing_peer_is_a_failure(
    generator: GeneratorProcess, server: FaultServer, tmp_path: Path
) -> None:
    order = Endpoint(method="POST", path="/every-other")
    run = generate(generator, tmp_path, server.url, [order], users=1)
    assert [row["error"] for row in run.finished[:2]] == [None, "closed"]
    assert not any(row["retried"] for row in run.rows)


def test_a_second_attempt_that_fails_is_a_failure(
    generator: GeneratorProcess, server: FaultServer, tmp_path: Path
) -> None:
    run = generate(generator, tmp_path, server.url, get("/once"), users=1)
    assert [(row["error"], row["retried"]) for row in run.finished[:2]] == [(None, False), ("closed", True)]
    assert server.seen["GET /once"] >= 3


def test_the_lost_attempt_is_part_of_the_latency(
    generator: GeneratorProcess, server: FaultServer, tmp_path: Path
) -> None:
    rate: dict[str, Any] = {"model": "open", "rate_rps": 40.0, "arrivals": "constant"}
    run = generate(generator, tmp_path, server.url, get("/every-other"), load=rate)
    rows = sorted(run.finished, key=lambda row: row["sent_ns"])
    assert {row["error"] for row in rows} == {None}
    assert any(row["retried"] for row in rows)
    assert all(row["received_ns"] - row["sent_ns"] >= LOST_S * 1e9 for row in rows if row["retried"])


def test_a_script_sees_the_answer_to_the_second_attempt(server: FaultServer, tmp_path: Path) -> None:
    script = tmp_path / "twice.py"
    script.write_text(
        "from locust import task\nfrom loopwise import StampedUser\n\n"
        "class Visitor(StampedUser):\n    @task\n    def look(self):\n"
        "        assert self.client.get('/every-other').text == 'ok'\n"
    )
    with closing(GeneratorProcess(tmp_path / "generator.log")) as own:
        run = generate(own, tmp_path, server.url, scenario=script, users=1)
    assert {(row["status"], row["error"]) for row in run.finished} == {(200, None)}
    assert [row["retried"] for row in run.finished[:3]] == [False, True, True]


def test_a_post_carries_its_json_and_its_headers(
    generator: GeneratorProcess, server: FaultServer, tmp_path: Path
) -> None:
    order = Endpoint(method="POST", path="/ok", headers={"X-Shop": "1", "host": "shop"}, json_body={"id": [1, "ü"]})
    run = generate(generator, tmp_path, server.url, [order], users=1)
    assert {(row["status"], row["error"]) for row in run.finished} == {(200, None)}
    assert server.last is not None
    assert server.last.headers["content-type"] == "application/json"
    assert (server.last.headers["x-shop"], server.last.headers["host"]) == ("1", "shop")
    assert server.last.body == b'{"id":[1,"\\u00fc"]}'


def test_a_run_that_goes_wrong_does_not_spoil_the_next(
    generator: GeneratorProcess, server: FaultServer, tmp_path: Path
) -> None:
    generate(generator, tmp_path, server.url, get("/hangs"), users=USERS)
    run = generate(generator, tmp_path, server.url, get("/ok"), users=USERS)
    assert {row["endpoint"] for row in run.rows} == {"GET /ok"}
    assert {row["error"] for row in run.finished} == {None}


def test_users_think_between_an_answer_and_the_next_request(
    generator: GeneratorProcess, server: FaultServer, tmp_path: Path
) -> None:
    run = generate(generator, tmp_path, server.url, get("/ok"), users=1, think_s=0.05)
    rows = run.finished
    gaps_ns = [after["sent_ns"] - before["read_ns"] for before, after in pairwise(rows)]
    assert gaps_ns
    assert min(gaps_ns) >= 0.05 * 1e9
