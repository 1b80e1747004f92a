"""Calibration on real processes, as short as it goes."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from loopwise.calibrate import bench
from loopwise.calibrate.bench import Bench, StaticServer, serve_static
from loopwise.calibrate.calibration import Effort, calibrate
from loopwise.calibrate.cost import SCENARIOS
from loopwise.calibrate.fixed_answer import ANSWER, BODY
from loopwise.calibrate.packets import capture, obstacle
from loopwise.calibrate.peers import children_pinned, run_peer
from loopwise.errors import GeneratorError, ServerError
from loopwise.generator.client import generators
from loopwise.model import Load
from loopwise.servers.spec import HOST

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[1]
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
BRIEF = Effort(window_s=0.15, warmup_s=0.1, rounds=1, users=200)


def read(client: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count and (more := client.recv(65_536)):
        data += more
    return data


@pytest.fixture
def without_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is installed."""
    for module in ("bench", "peers", "packets", "calibration"):
        monkeypatch.setattr(f"loopwise.calibrate.{module}.find_program", lambda _: None)


@pytest.mark.parametrize(
    ("pieces", "answers"),
    [([GET], 1), ([GET[:9], GET[9:]], 1), ([GET * 3], 3), ([GET + GET[:5], GET[5:-1], GET[-1:]], 2)],
    ids=["whole", "split", "joined", "both"],
)
def test_the_built_in_server_answers_requests_in_any_pieces(
    pieces: list[bytes], answers: int, tmp_path: Path, without_programs: None
) -> None:
    with serve_static(tmp_path, None) as server:
        assert server.name == "built-in"
        with socket.create_connection((HOST, server.port), timeout=5) as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for piece in pieces:
                client.sendall(piece)
                time.sleep(0.02)
            assert read(client, answers * len(ANSWER)) == ANSWER * answers
            assert ANSWER.endswith(b"\r\n\r\n" + BODY)


def test_the_built_in_server_outlives_clients_that_go_away(tmp_path: Path, without_programs: None) -> None:
    with serve_static(tmp_path, None) as server:
        for begun in (b"", GET[:7], GET * 500):
            with socket.create_connection((HOST, server.port), timeout=5) as client:
                client.sendall(begun)
        with socket.create_connection((HOST, server.port), timeout=5) as client:
            client.sendall(GET)
            assert read(client, len(ANSWER)) == ANSWER


@pytest.mark.skipif(bench.find_program("nginx") is None, reason="nginx is not installed")
def test_nginx_serves_the_same_body_and_writes_nothing_elsewhere(tmp_path: Path) -> None:
    with serve_static(tmp_path, None) as server:
        assert server.name.startswith("nginx/")
        with socket.create_connection((HOST, server.port), timeout=5) as client:
            client.sendall(GET.replace(b"Host", b"Connection: close\r\nHost"))
            answer = read(client, 65_536)
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert answer.endswith(b"\r\n\r\n" + BODY)
    assert not psutil.pid_exists(server.pid)


def test_a_static_server_that_ends_at_once_quotes_its_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "nginx"
    program.write_text('#!/bin/sh\necho "nginx: no room" >&2\nexit 1\n', encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setattr(bench, "find_program", lambda _: str(program))
    with pytest.raises(ServerError, match="no room"), serve_static(tmp_path, None):
        pass


@pytest.mark.parametrize("script", ["exit 3", "echo nothing of use"])
def test_a_peer_that_fails_is_one_sentence(script: str, tmp_path: Path) -> None:
    program = tmp_path / "wrk"
    program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    program.chmod(0o755)
    server = StaticServer("here", 1, os.getpid())
    with pytest.raises(GeneratorError, match="wrk ended with status"):
        run_peer("wrk", str(program), server, 0.1, core=None)


def test_children_are_pinned_and_we_are_not() -> None:
    before = os.sched_getaffinity(0)
    core = max(before)
    with children_pinned(core):
        told = subprocess.run(
            [sys.executable, "-c", "import os; print(os.sched_getaffinity(0))"],
            capture_output=True,
            text=True,
            check=True,
        )
    assert told.stdout.strip() == str({core})
    assert os.sched_getaffinity(0) == before


def test_without_any_tool_the_rest_is_measured(
    without_programs: None,
) -> None:
    steps: list[str] = []
    found = calibrate(BRIEF, seed=1, tell=steps.append)
    assert found.problems == ()
    assert {each.tool for each in found.missing} == {"nginx", "wrk", "hey", "tcpdump"}
    assert [tool.tool for tool in found.cost] == list(SCENARIOS)
    assert all(tool.requests and not tool.errors for tool in found.cost)
    assert [(each.tool, each.situation) for each in found.latency if each.packet_requests is not None] == []
    assert all(each.rows and each.reported_us for each in found.latency)
    assert [each.rate_rps for each in found.schedule] == [200, 1000, 2000, 5000]
    assert all(each.sent for each in found.schedule)
    assert found.memory is not None
    assert found.memory.users == BRIEF.users
    assert len(found.row_sizes) == 2
    states = {each.figure: each.state for each in found.targets}
    assert states["rows ÷ requests in the packets"] == "not measured"
    assert len(steps) == len(SCENARIOS) + 4 + 4 + 1


@pytest.mark.skipif(shutil.which("tcpdump", path="/usr/bin:/usr/sbin") is None, reason="tcpdump is not installed")
def test_rows_and_packets_agree(tmp_path: Path) -> None:
    if (blind := obstacle(tmp_path)) is not None:
        pytest.skip(blind.effect)
    (tmp_path / "server").mkdir()
    with (
        serve_static(tmp_path / "server", None) as server,
        generators(tmp_path / "generator.log") as pool,
    ):
        rig = Bench(pool, server, tmp_path, None, 1, 0.3, 0.1, lambda _: None)
        load = Load(users=4, think_s=0.01, warmup_s=0.1, measure_s=0.3)
        run, packets = capture(server.port, tmp_path, lambda: rig.generate(load))
    assert packets.dropped == 0
    assert len(packets.exchanges) == run.rows.is_ok.size > 0
    unanswered = [each for each in packets.exchanges if each.response_ns is None]
    assert len(unanswered) <= run.rows.is_unfinished.sum()


def test_interrupted_it_leaves_no_process_and_no_report(tmp_path: Path) -> None:
    out = tmp_path / "out"
    env = {**os.environ, "TMPDIR": str(tmp_path)}
    process = subprocess.Popen(
        [sys.executable, "bench.py", "calibrate", "--quick", "--out", str(out)],
        cwd=ROOT,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert "round 1" in process.stdout.readline()
        family = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 130
    again = f"{sys.executable} bench.py calibrate --quick --out {out}"
    *notes, last = said.splitlines()
    assert last == f"interrupted by SIGTERM: a calibration is kept as a whole only; begin again with: {again}"
    assert all(note.startswith("note: this machine") for note in notes)
    assert family
    assert not psutil.wait_procs(family, timeout=5)[1]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--seconds", "0"], "--seconds"),
        (["--seconds", "soon"], "--seconds"),
        (["--json"], "not an empty folder"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_runs(arguments: list[str], said: str, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("x", encoding="utf-8")
    argv = [sys.executable, "bench.py", "calibrate", *arguments, "--out", str(tmp_path)]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
