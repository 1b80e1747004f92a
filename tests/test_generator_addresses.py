"""Where a load may go: Unix sockets, and what happens when there is no room for a connection."""

import resource
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest
from support.fault_server import FaultServer
from support.generator import generate, get

from loopwise.errors import GeneratorError
from loopwise.generator.client import GeneratorProcess, Generators

pytestmark = pytest.mark.e2e

USERS = 3
SCRIPT = (
    "from locust import *\nfrom loopwise import StampedUser\n\nclass U({}):\n    @task\n    def t(self):\n        {}\n"
)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FaultServer]:
    with FaultServer(path=tmp_path / "s") as server:
        yield server


def script(folder: Path, base: str, body: str = "self.client.get('/ok')") -> Path:
    path = folder / "script.py"
    path.write_text(SCRIPT.format(base, body), "utf-8")
    return path


@pytest.mark.parametrize("load", [{"users": USERS}, {"model": "open", "rate_rps": 100.0}])
def test_declared_load_goes_to_a_unix_socket(
    load: dict[str, object], pool: Generators, server: FaultServer, tmp_path: Path
) -> None:
    run = generate(pool, tmp_path, server.url, get("/ok"), load=load)
    assert {(row["status"], row["error"], row["stamp"]) for row in run.finished} == {(200, None, "user")}
    assert len(run.finished) <= server.seen["GET /ok"]
    assert len(run.finished) > USERS


def test_a_script_asks_a_unix_socket(pool: Generators, server: FaultServer, tmp_path: Path) -> None:
    body = "assert self.client.get('/ok').text == 'ok'"
    run = generate(pool, tmp_path, server.url, scenario=script(tmp_path, "StampedUser", body), users=USERS)
    assert {(row["status"], row["error"]) for row in run.finished} == {(200, None)}


@pytest.mark.parametrize("client", ["HttpUser", "FastHttpUser"])
def test_locusts_own_clients_refuse_a_unix_socket(client: str, pool: Generators, tmp_path: Path) -> None:
    with pytest.raises(GeneratorError, match=r"U: HttpUser and FastHttpUser can't connect to unix:/x; make it a"):
        generate(pool, tmp_path, "unix:/x", scenario=script(tmp_path, client), users=USERS)


def test_nobody_at_a_unix_socket_is_refused(pool: Generators, tmp_path: Path) -> None:
    run = generate(pool, tmp_path, f"unix:{tmp_path}/none", get("/"), users=USERS)
    assert {(row["status"], row["error"]) for row in run.finished} == {(0, "refused")}


def test_a_full_queue_of_a_unix_socket_is_waited_for(pool: Generators, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as full:
        full.bind(str(tmp_path / "full"))
        full.listen(0)
        run = generate(pool, tmp_path, f"unix:{tmp_path}/full", get("/"), users=6, timeout_s=0.2, measure_s=0.5)
    kinds = Counter(row["error"] for row in run.finished)
    assert set(kinds) == {"timeout", "connect_timeout"}  # the kernel completes the first by itself
    assert kinds["connect_timeout"] >= 3


def test_no_file_for_a_connection_is_an_error_of_its_request(tmp_path: Path) -> None:
    before = set(psutil.Process().children())
    with closing(GeneratorProcess(tmp_path / "generator.log")) as own, FaultServer() as server:
        (process,) = set(psutil.Process().children()) - before
        hard = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)[1]
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (process.num_fds() + 6, hard))
        run = generate(own, tmp_path, server.url, get("/ok"), users=20)
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (hard, hard))
        again = generate(own, tmp_path, server.url, get("/ok"), users=20)
    kinds = Counter((row["status"], row["error"]) for row in run.finished)
    assert set(kinds) == {(200, None), (0, "too_many_files")}
    assert {row["error"] for row in again.finished} == {None}
