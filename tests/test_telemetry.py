"""Figures of processes and machine: what the window's are made of, and a look at this very process."""

import os
import resource
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest
from support.e2e import until

from loopwise import machine
from loopwise.analysis.workers import window_figures
from loopwise.results.columns import HOST_PID, Sample
from loopwise.servers.telemetry import Telemetry


def host(time_ns: int, cpu_s: float, total_s: float, steal_s: float = 0.0) -> Sample:
    return Sample(time_ns, HOST_PID, "host", cpu_s, steal_s=steal_s, total_s=total_s)


def server(
    time_ns: int, pid: int, cpu_s: float, rss_mb: float, threads: int = 1, switches: int = 0
) -> Sample:
    return Sample(time_ns, pid, "server", cpu_s, rss_mb=rss_mb, threads=threads, context_switches=switches)


SAMPLES = [
    host(0, 0.0, 0.0),
    server(0, 1, 0.0, 999.0),
    host(10, 10.0, 100.0, 1.0),
    server(10, 1, 1.0, 30.0, threads=4, switches=10),
    server(10, 2, 2.0, 40.0, threads=4, switches=100),
    host(20, 11.0, 102.0, 1.2),
    server(20, 1, 1.5, 50.0, threads=5, switches=15),
    server(20, 2, 2.5, 45.0, threads=6, switches=160),
    host(30, 13.0, 104.0, 1.4),
    server(30, 1, 1.7, 20.0, threads=3, switches=20),
    host(40, 99.0, 199.0, 99.0),
    server(40, 1, 99.0, 999.0),
]


def test_the_windows_figures_are_differences_between_its_ends() -> None:
    assert window_figures(SAMPLES, 10, 30) == pytest.approx(
        {
            "steal_ratio": 0.1,
            "cpu_ratio": 0.75,
            "server_cpu_s": 0.7 + 0.5,
            "server_rss_mb": 95.0,
            "server_rss_growth_mb": 0.0,
            "server_threads": 3 + 6,
            "server_context_switches": 10 + 60,
        }
    )


def test_a_server_that_already_ran_has_no_figures_but_the_machine_has() -> None:
    only_hosts = [sample for sample in SAMPLES if sample.role == "host"]
    assert set(window_figures(only_hosts, 10, 30)) == {"steal_ratio", "cpu_ratio"}


def test_one_sample_is_no_difference() -> None:
    assert set(window_figures(SAMPLES, 10, 10)) == {
        *(
            "server_cpu_s",
            "server_rss_mb",
            "server_rss_growth_mb",
            "server_threads",
            "server_context_switches",
        )
    }
    assert window_figures([], 0, 10) == {}
    assert window_figures([host(1, 1.0, 5.0), host(2, 1.0, 5.0)], 0, 10)["cpu_ratio"] == 0.0


def test_a_sample_holds_the_machine_and_every_process_of_the_server() -> None:
    telemetry = Telemetry(os.getpid())
    first = telemetry.sample()
    second = telemetry.sample()
    assert first <= second
    hosts = [sample for sample in telemetry.samples if sample.role == "host"]
    mine = [sample for sample in telemetry.samples if sample.pid == os.getpid()]
    assert [sample.time_ns for sample in hosts] == [first, second]
    assert len(mine) == 2
    for sample in mine:
        assert sample.role == "server"
        assert sample.cpu_s > 0
        assert sample.rss_mb is not None
        assert sample.rss_mb > 1
        assert sample.threads is not None
        assert sample.threads >= 1
    assert window_figures(telemetry.samples, first, second)["server_rss_mb"] > 1


def test_a_server_that_is_gone_leaves_the_machine_to_be_watched() -> None:
    telemetry = Telemetry(2**22 + 1)  # beyond the highest pid that Linux gives
    telemetry.sample()
    assert [sample.role for sample in telemetry.samples] == ["host"]


def test_the_thread_ends_when_it_is_told_and_need_not_have_begun() -> None:
    Telemetry(None).stop()
    telemetry = Telemetry(None)
    telemetry.start()
    assert "telemetry" in {thread.name for thread in threading.enumerate()}
    telemetry.stop()
    assert "telemetry" not in {thread.name for thread in threading.enumerate()}
    assert telemetry.samples


def test_the_machine_describes_itself() -> None:
    found = machine.describe(["uvicorn"])
    assert found["cores"] == machine.cores() >= 1
    assert found["cpu_model"]
    assert found["memory_gb"] > 0
    assert {"loopwise", "fastapi", "uvicorn", "locust"} <= set(found["versions"])
    clock = machine.cpu_clock()
    assert clock.total_s >= clock.busy_s > 0
    assert 0.0 <= machine.steal_ratio(0.0) <= 1.0


BEFORE = machine.Condition(2, 100.0, 5.0, 3000.0, 10.0)


def test_what_became_of_the_machine_is_the_difference_of_two_conditions() -> None:
    after = machine.Condition(1, 101.5, 5.2, 2400.0, 12.0)
    assert machine.changes(BEFORE, after) == pytest.approx(
        {
            "processes_cpu_s": 1.5,
            "harness_cpu_s": 0.2,
            "cores_before": 2,
            "cores_after": 1,
            "frequency_ratio": 0.8,
            "swapped_mb": 2.0,
        }
    )
    untold = BEFORE._replace(frequency_mhz=None, swapped_mb=None)
    assert {"frequency_ratio", "swapped_mb"}.isdisjoint(machine.changes(untold, untold))


def test_the_machines_condition_is_that_of_this_machine() -> None:
    found = machine.condition()
    assert found.cores == machine.cores()
    assert found.processes_s >= found.harness_s > 0


def test_the_clock_is_the_fastest_cores_and_unknown_where_nobody_tells(tmp_path: Path) -> None:
    assert machine.frequency_mhz(tmp_path) is None
    for core, khz in enumerate(("1800000", "2900000", "no number")):
        (tmp_path / f"cpu{core}" / "cpufreq").mkdir(parents=True)
        (tmp_path / f"cpu{core}" / "cpufreq" / "scaling_cur_freq").write_text(khz + "\n")
    assert machine.frequency_mhz(tmp_path) == 2900.0


def test_what_was_swapped_is_in_both_directions_and_unknown_where_nobody_tells(tmp_path: Path) -> None:
    path = tmp_path / "vmstat"
    assert machine.swapped_mb(path) is None
    path.write_text("nr_free_pages 5\n")
    assert machine.swapped_mb(path) is None
    pages = 2**20 // resource.getpagesize()
    path.write_text(f"pgpgin 9\npswpin {pages}\npswpout {2 * pages}\n")
    assert machine.swapped_mb(path) == 3.0


def test_a_thorough_sample_misses_no_process_that_just_began() -> None:
    telemetry = Telemetry(os.getpid())
    telemetry.sample()
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        telemetry.sample(is_thorough=True)
        assert child.pid in {sample.pid for sample in telemetry.samples}
    finally:
        child.communicate()


def test_a_killed_process_has_no_row_though_nobody_has_asked_after_it() -> None:
    telemetry = Telemetry(os.getpid())
    child = psutil.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        before_ns = telemetry.sample(is_thorough=True)
        child.kill()
        until(lambda: child.status() == psutil.STATUS_ZOMBIE)
        telemetry.sample(is_thorough=True)
        assert [sample.time_ns for sample in telemetry.samples if sample.pid == child.pid] == [before_ns]
    finally:
        child.communicate()
