"""Real runs against real services, which are gone afterwards, however the measurement ends."""

import os
import signal
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from support.e2e import Bench, brief_suite, runs_of, until
from support.service import need_postgres

from loopwise.servers.services import Services

pytestmark = pytest.mark.e2e

KINDS = {"upstream": {"ms": 5}, "postgres": {"rows": 5}}


def suite_of(folder: Path, measure_s: float, *workloads: str) -> Path:
    entries = [{"workload": each, "params": KINDS[each], "mode": ["async", "sync"]} for each in workloads]
    return brief_suite(folder / "services.toml", *entries, measure_s=measure_s)


def data_folders(bench: Bench) -> set[Path]:
    """The data folders of the PostgreSQL servers that a bench has started: root's user has them outside its scratch."""
    guards = bench.processes("postgres.py")
    pids = {guard.pid for guard in guards}
    # A child of a guard looks like one until it is another program.
    guards = [guard for guard in guards if guard.ppid() not in pids]
    assert len(guards) <= 1
    found = set()
    for guard in guards:
        for child in guard.children():
            with suppress(psutil.NoSuchProcess):  # initdb's helpers come and go while we look
                line = child.cmdline()
                if "-D" in line:
                    found.add(Path(line[line.index("-D") + 1]).parent)
    return found


def test_workloads_are_measured_against_their_services_which_then_are_gone(tmp_path: Path) -> None:
    need_postgres()
    bench = Bench(tmp_path / "bench")
    status, output = bench("run", suite_of(tmp_path, 0.4, *KINDS), "--out", tmp_path / "r", "--no-report")
    runs = runs_of(tmp_path / "r")
    assert [run.error for run in runs] == [None] * 4, output
    assert {(run.case.workload, run.case.needs, run.status) for run in runs} == {
        (workload, (workload,), "ok") for workload in KINDS
    }
    assert [workload for workload in KINDS if not (tmp_path / "r" / f"{workload}.log").exists()] == []
    assert status == 0, output
    assert bench.left_behind() == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_postgresql_is_gone_with_its_folder_however_the_harness_ends(number: signal.Signals, tmp_path: Path) -> None:
    need_postgres()
    bench = Bench(tmp_path / "bench")
    process = bench.start("run", suite_of(tmp_path, 60, "postgres"), "--out", tmp_path / "r")
    folders: set[Path] = set()

    def measures() -> bool:
        folders.update(data_folders(bench))
        return bool(folders and list((tmp_path / "r").glob("runs/*/*/samples.*")))

    until(measures)
    process.send_signal(number)
    process.communicate(timeout=60)
    until(lambda: not bench.processes())
    assert [folder for folder in folders if folder.exists()] == []


def test_a_postgresql_ends_with_its_guard_even_if_that_is_killed(tmp_path: Path) -> None:
    need_postgres()
    with Services(tmp_path) as running:
        running.during(["postgres"], "1/1").__enter__()
        guard = psutil.Process(running._running["postgres"][0].pid)
        family = guard.children(recursive=True)
        assert any("postgres" in process.name() for process in family)
        os.kill(guard.pid, signal.SIGKILL)
        until(lambda: all(not each.is_running() or each.status() == psutil.STATUS_ZOMBIE for each in family))
