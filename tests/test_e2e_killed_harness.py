"""A harness that dies takes everything along that it started, whether or not that heeds signals."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.e2e import ROOT, Bench, app_file, brief_suite, is_free, until

from loopwise.servers import processes
from loopwise.servers.lifecycle import free_port
from loopwise.servers.watchdog import members

pytestmark = pytest.mark.e2e

HARNESS = """
import sys, time
from pathlib import Path
from loopwise.servers import processes
from loopwise.servers.watchdog import Watchdog

processes.WATCHDOG = Watchdog(grace_s=0.3)
log = Path(sys.argv[1])
processes.start([sys.executable, "-c", sys.argv[2]], log=log)
kept = processes.temporary_folder()
kept.__enter__()
with processes.temporary_folder(prefix="forgotten ") as folder:
    pass
folder.mkdir()
while len(sys.argv) > 3 and not Path("go").exists():
    time.sleep(0.01)
processes.start(["no such program"], log=log)
time.sleep(60)
"""
STUBBORN = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if len(sys.argv) == 1:
    code = open("stubborn.py").read()
    # A child of its own, one in a session of its own, and one that is orphaned besides.
    subprocess.Popen([sys.executable, "-c", code, "child"])
    subprocess.Popen([sys.executable, "-c", code, "child"], start_new_session=True)
    orphaning = "import subprocess, sys; subprocess.Popen(sys.argv[1:], start_new_session=True)"
    subprocess.run([sys.executable, "-c", orphaning, sys.executable, "-c", code, "child"])
open(f"up-{os.getpid()}", "w").close()
while True:
    time.sleep(0.01)
"""


def stubborn(tmp_path: Path) -> Bench:
    """A harness that starts a process which heeds no SIGTERM, with children of three kinds."""
    paths = {"PYTHONPATH": str(ROOT)}
    bench = Bench(tmp_path / "bench", command=(sys.executable, "-c", HARNESS), variables=paths)
    (bench.folder / "stubborn.py").write_text(STUBBORN)
    return bench


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGHUP])
def test_nothing_outlives_a_killed_harness(tmp_path: Path, number: signal.Signals) -> None:
    bench = stubborn(tmp_path)
    harness = bench.start(tmp_path / "log", STUBBORN)
    until(lambda: len(list(bench.folder.glob("up-*"))) == 4)
    until(lambda: any(bench.scratch.glob("forgotten *")))
    assert any(bench.scratch.glob("loopwise-*"))
    harness.send_signal(number)
    harness.communicate()
    assert bench.left_behind() == []
    assert len(list(bench.scratch.iterdir())) == 1


def test_a_watchdog_that_was_killed_is_replaced(tmp_path: Path) -> None:
    bench = stubborn(tmp_path)
    harness = bench.start(tmp_path / "log", STUBBORN, "slowly")
    until(lambda: len(list(bench.folder.glob("up-*"))) == 4)
    (watchdog,) = bench.processes("watchdog.py")
    watchdog.kill()
    (bench.folder / "go").touch()
    until(lambda: [each.pid for each in bench.processes("watchdog.py")] not in ([], [watchdog.pid]))
    harness.kill()
    harness.communicate()
    assert bench.left_behind() == []


def test_ending_a_process_ends_what_it_orphaned(tmp_path: Path) -> None:
    (tmp_path / "stubborn.py").write_text(STUBBORN)
    process = processes.start([sys.executable, "-c", STUBBORN], log=tmp_path / "log", cwd=tmp_path)
    until(lambda: len(list(tmp_path.glob("up-*"))) == 4)
    started = [int(path.name.removeprefix("up-")) for path in tmp_path.glob("up-*")]
    processes.end(process, grace_s=0.0)
    until(lambda: not any(Path(f"/proc/{pid}/environ").exists() and is_running(pid) for pid in started))


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except OSError:
        return False


def test_a_process_of_somebody_else_is_no_member(tmp_path: Path) -> None:
    sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
    process = processes.start(sleep, log=tmp_path / "log")
    env = {**os.environ, "LOOPWISE_PROCESS": "0" * 16}
    with subprocess.Popen(sleep, env=env) as other:
        try:
            mark = processes.WATCHDOG.mark_of(process.pid)
            assert mark is not None
            assert {pid for pid, _ in members({mark: process.pid})} == {process.pid}
            processes.end(process, grace_s=0.0)
            assert other.poll() is None
            assert processes.WATCHDOG.mark_of(process.pid) is None
        finally:
            other.kill()


HANGING = """
import pathlib

async def app(scope, receive, send):
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})
    pathlib.Path("asked").open("a").write("x")
    while pathlib.Path("asked").stat().st_size > 20:
        pass
"""


@pytest.mark.parametrize("server", ["uvicorn", "hypercorn"])
def test_a_server_whose_loop_hangs_frees_its_port_when_the_harness_is_killed(server: str, tmp_path: Path) -> None:
    bench = Bench(tmp_path / "bench")
    app_file(tmp_path, HANGING)
    port = free_port()
    entry = {"app": "plain:app", "app_dir": ".", "endpoint": "GET /", "server": server, "port": port}
    suite = brief_suite(tmp_path / "hanging.toml", entry, measure_s=60)
    harness = bench.start("run", suite, "--out", tmp_path / "result")
    until(lambda: (tmp_path / "asked").exists() and (tmp_path / "asked").stat().st_size > 20)
    harness.kill()
    harness.communicate()
    until(lambda: not bench.processes())
    assert is_free(port)


SLOW_IMPORT = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
open("importing", "w").close()
while True:
    time.sleep(0.01)
"""


def test_the_import_of_init_does_not_outlive_it(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "bench")
    app_file(tmp_path, SLOW_IMPORT)
    harness = bench.start("init", tmp_path / "new", "--app", "plain:app", "--app-dir", tmp_path)
    until((tmp_path / "importing").exists)
    harness.kill()
    harness.communicate()
    until(lambda: not bench.processes())
