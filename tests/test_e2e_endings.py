"""However a measurement ends, what was measured is kept and nothing else is."""

import os
import signal
import sys
import threading
import time
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.ipc
import pytest
from support.e2e import PLAIN_APP, ROOT, Bench, app_file, brief_suite, runs_of, until

from loopwise.interrupts import AGAIN_S
from loopwise.results.folder import ResultFolder
from loopwise.servers import processes

pytestmark = pytest.mark.e2e


def suite_of(folder: Path, *, server: str = "uvicorn", workers: int = 1, runs: int = 2, measure_s: float = 0.8) -> Path:
    """So many runs of one case."""
    entry = {"app": "plain:app", "app_dir": ".", "endpoint": "GET /", "workers": workers, "server": server}
    path = app_file(folder, PLAIN_APP).with_name("endings.toml")
    return brief_suite(path, entry, measure_s=measure_s, min=runs, max=runs)


def streams(result: Path) -> list[Path]:
    """Rows of the runs that go on now."""
    return list(result.glob("runs/*/*/samples.arrow"))


def rows_on_disk(stream: Path) -> int:
    """Rows in the complete batches of a stream that is being written."""
    rows = 0
    try:
        with pa.OSFile(str(stream)) as source:
            for batch in pyarrow.ipc.open_stream(source):
                rows += batch.num_rows
    except (pa.ArrowInvalid, OSError):
        pass
    return rows


def measured(result: Path) -> dict[Path, tuple[int, bytes]]:
    """Every file of every finished run, with its time and its bytes."""
    folders = [path.parent for path in result.glob("runs/*/*/run.json")]
    files = [path for folder in folders for path in folder.iterdir()]
    return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


def interrupted(bench: Bench, result: Path, number: signal.Signals, *words: str | Path) -> str:
    """Run the command and send the signal in the middle of the second run that it measures; its output."""
    before = len(measured(result))
    process = bench.start("run", *words)
    until(lambda: len(measured(result)) > before and bool(streams(result)))
    process.send_signal(number)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 130
    assert output.splitlines()[-1].startswith(f"interrupted by {number.name}: ")
    assert f"--resume {result}" in output
    assert bench.left_behind() == []
    return output


def test_an_interrupted_result_is_reported_or_resumed_and_nothing_is_measured_twice(tmp_path: Path) -> None:
    bench, result = Bench(tmp_path / "bench"), tmp_path / "result"
    interrupted(bench, result, signal.SIGINT, suite_of(bench.folder, runs=3), "--out", result)
    assert len(runs_of(result)) == 1
    kept = measured(result)
    status, output = bench("report", result)
    assert status == 0, output
    assert (result / "report.html").is_file()
    interrupted(bench, result, signal.SIGTERM, "--resume", result)
    assert len(runs_of(result)) == 2
    assert {path: measured(result)[path] for path in kept} == kept
    kept = measured(result)
    status, output = bench("run", "--resume", result, "--no-report")
    assert status == 0, output
    assert {path: measured(result)[path] for path in kept} == kept
    assert [run.status for run in runs_of(result)] == ["ok", "ok", "ok"]
    assert {planned.state for planned in ResultFolder(result).experiment().plan} == {"ok"}
    assert bench.left_behind() == []


@pytest.mark.parametrize("server", ["uvicorn", "gunicorn"])
def test_servers_and_generator_end_by_themselves_when_the_harness_is_killed(server: str, tmp_path: Path) -> None:
    bench, result = Bench(tmp_path / "bench"), tmp_path / "result"
    process = bench.start("run", suite_of(tmp_path, server=server, workers=2, measure_s=60.0), "--out", result)
    until(lambda: any(rows_on_disk(stream) for stream in streams(result)))
    assert len(bench.processes("loopwise_probe")) >= 1
    assert len(bench.processes("loopwise.generator")) == 1
    process.kill()
    process.communicate()
    until(lambda: not bench.processes())


def test_a_killed_generator_and_a_killed_server_cost_a_run_each_and_nothing_that_was_seen_of_it(tmp_path: Path) -> None:
    bench, result = Bench(tmp_path / "bench"), tmp_path / "result"
    process = bench.start("run", suite_of(tmp_path, runs=3), "--out", result, "--no-report")
    until(lambda: any(rows_on_disk(stream) for stream in streams(result)))
    (stream,) = streams(result)
    (generator,) = bench.processes("loopwise.generator")
    written = rows_on_disk(stream)
    generator.kill()
    until(lambda: any(rows_on_disk(each) for each in streams(result) if each != stream))
    assert not psutil.pid_exists(generator.pid)
    # The next run's server may stand beside it already, but the generator talks to this one.
    (generator,) = bench.processes("loopwise.generator")
    ports = {connection.raddr.port for connection in generator.net_connections() if connection.raddr}
    (server,) = (
        server
        for server in bench.processes("loopwise_probe")
        if any(
            connection.status == psutil.CONN_LISTEN and connection.laddr.port in ports
            for connection in server.net_connections()
        )
    )
    server.kill()
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 3, output
    folder = ResultFolder(result)
    first, second, third = runs_of(result)
    assert first.status == "failed"
    assert first.error is not None
    assert first.error.startswith("the generator ended with status -9")
    assert folder.samples(first).num_rows >= written > 0
    assert second.status == "invalid"
    assert "restarted" in {check.name for check in second.checks if not check.ok}
    assert [(worker.pid, worker.fate) for worker in second.workers] == [(server.pid, "ended")]
    assert folder.samples(second).num_rows > 0
    telemetry = folder.telemetry(second, ["pid", "requests_done", "loop_lag_max_ms"])
    assert telemetry is not None
    told = [row for row in telemetry.to_pylist() if row["pid"] == server.pid]
    assert any(row["requests_done"] for row in told)
    assert any(row["loop_lag_max_ms"] is not None for row in told)
    assert third.status == "ok"
    assert bench.left_behind() == []


def test_a_run_whose_reader_goes_away_ends_without_a_word(tmp_path: Path) -> None:
    # What `| head -1` does, which ends with its first line.
    command = ("bash", "-o", "pipefail", "-c", '"$@" | head -1', "bash", sys.executable, str(ROOT / "bench.py"))
    # Servers run in other folders, from where a relative path leads elsewhere.
    bench = Bench(tmp_path / "bench", command=command, variables={"TMPDIR": "scratch"})
    result = tmp_path / "result"
    status, output = bench("run", suite_of(bench.folder, measure_s=0.2), "--out", result)
    lines = [line for line in output.splitlines() if not line.startswith("note: this machine")]
    assert (status, len(lines)) == (141, 1), output
    assert lines[0].startswith("[1/2] GET /, 1 worker #1: ")
    assert [run.status for run in runs_of(result)] == ["ok", "ok"]
    assert not (result / "report.html").exists()
    assert bench.left_behind() == []


HEEDLESS = """
import signal

async def app(scope, receive, send):
    assert scope["type"] == "http"
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})
"""


def test_the_second_interrupt_ends_a_run_at_once_and_its_server_soon(tmp_path: Path) -> None:
    bench, result = Bench(tmp_path / "bench"), tmp_path / "result"
    suite = suite_of(bench.folder, measure_s=60.0)
    app_file(bench.folder, HEEDLESS)
    process = bench.start("run", suite, "--out", result)
    until(lambda: any(map(rows_on_disk, streams(result))))
    process.send_signal(signal.SIGINT)
    time.sleep(2 * AGAIN_S)
    assert process.poll() is None  # it gives the server time to shut down
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "\ninterrupted again: ended at once" in f"\n{output}", output
    assert bench.processes("uvicorn")
    assert bench.left_behind() == []


STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("up", flush=True)
time.sleep(60)
"""


def test_a_signal_while_a_process_is_being_ended_waits_until_it_has_ended(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    # A shell that starts us in the background has SIGINT ignored, and Python leaves it so.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before))
    log = tmp_path / "log"
    process = processes.start([sys.executable, "-c", STUBBORN], log=log)
    until(lambda: log.read_text() == "up\n")
    interruption = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT))
    interruption.start()
    with pytest.raises(KeyboardInterrupt):
        processes.end(process, grace_s=1.5)
    interruption.join()
    assert process.returncode is not None
    assert not psutil.pid_exists(process.pid)


GREEDY_APP = """
import ctypes

keeping_the_gil, asked = ctypes.PyDLL(None), 0


async def app(scope, receive, send):
    global asked
    asked += 1
    if asked % 25 == 0:
        keeping_the_gil.usleep({"/long": 2_500_000, "/short": 200_000}[scope["path"]])
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})
"""
GREEDY = {
    "app": "plain:app",
    "app_dir": ".",
    "endpoint": ["GET /long", "GET /short"],
    "workers": 2,
    "server_args": ["--timeout-worker-healthcheck", "1"],
}


@pytest.mark.alone
def test_a_worker_that_uvicorns_health_check_kills_is_told_and_no_other(tmp_path: Path) -> None:
    bench, result = Bench(tmp_path / "bench"), tmp_path / "result"
    suite = app_file(tmp_path, GREEDY_APP).with_name("greedy.toml")
    brief_suite(suite, GREEDY, measure_s=2.5, think_s=0.02)
    status, output = bench("run", suite, "--out", result, "--no-report")
    assert status == 3, output
    runs = {run.case.endpoints[0].path: run for run in runs_of(result)}
    (kill,) = runs["/long"].kills
    assert "uvicorn's health check of workers (1 s) has killed one" in kill.evidence
    assert "ended" in {worker.fate for worker in runs["/long"].workers}
    assert runs["/short"].kills == ()
    assert bench.left_behind() == []
