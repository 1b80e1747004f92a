"""Samples of the machine and of the server's processes."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest
from support.e2e import until

from loopwise.analysis.window import window_figures
from loopwise.servers.telemetry import Telemetry


def test_sample_has_the_machine_and_every_process() -> None:
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


def test_machine_is_sampled_after_the_server_is_gone() -> None:
    telemetry = Telemetry(2**22 + 1)  # beyond the highest pid that Linux gives
    telemetry.sample()
    assert [sample.role for sample in telemetry.samples] == ["host"]


def test_thread_ends_when_stopped_even_if_never_started() -> None:
    Telemetry(None).stop()
    telemetry = Telemetry(None)
    telemetry.start()
    assert "telemetry" in {thread.name for thread in threading.enumerate()}
    telemetry.stop()
    assert "telemetry" not in {thread.name for thread in threading.enumerate()}
    assert telemetry.samples


def test_thorough_sample_misses_no_new_process() -> None:
    telemetry = Telemetry(os.getpid())
    telemetry.sample()
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        telemetry.sample(is_thorough=True)
        assert child.pid in {sample.pid for sample in telemetry.samples}
    finally:
        child.communicate()


def test_zombie_has_no_row() -> None:
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


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="only Linux tells")
def test_pages_that_processes_share_are_counted_once() -> None:
    """A child has the parent's 64 MB without a copy."""
    shared = bytearray(os.urandom(2**20) * 64)
    child = os.fork()
    if not child:
        signal.pause()
    try:
        telemetry = Telemetry(os.getpid())
        now_ns = telemetry.sample(is_thorough=True)
        figures = window_figures(telemetry.samples, now_ns, now_ns)
        assert len(shared) == 64 * 2**20
        assert figures["server_pss_mb"] < figures["server_rss_mb"] - 48
        telemetry.sample()
        assert telemetry.samples[-1].pss_mb is None
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
