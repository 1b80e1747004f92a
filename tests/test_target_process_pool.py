import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from target_app.process_pool import Pool, PoolUnavailableError, pool_processes
from target_app.workloads import cpu

ROOT = Path(__file__).parents[1]

STARTED = """
import asyncio, os, signal
from target_app.process_pool import Pool
pool = Pool(1, [])
asyncio.run(pool.start())
"""


def run_script(code: str) -> subprocess.CompletedProcess[str]:
    # The pipes close when the last descendant has ended, so a process left behind runs into the timeout.
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=30, check=False
    )


def test_a_pool_runs_in_other_processes_and_replaces_them_after_a_death() -> None:
    async def session() -> None:
        pool = Pool(2, [cpu.run])
        await pool.start()
        try:
            before = set(await asyncio.gather(*(pool.run(os.getpid) for _ in range(20))))
            assert os.getpid() not in before
            deaths = await asyncio.gather(*(pool.run(os._exit, 1) for _ in range(3)), return_exceptions=True)
            assert [type(death) for death in deaths] == [PoolUnavailableError] * 3
            after = await pool.run(os.getpid)
            assert after not in {os.getpid(), *before}
        finally:
            pool.stop()

    asyncio.run(session())


def test_the_replacement_may_break_as_well() -> None:
    async def session() -> None:
        pool = Pool(1, [])
        await pool.start()
        try:
            for _ in range(2):
                with pytest.raises(PoolUnavailableError, match="is being replaced; retry"):
                    await pool.run(os._exit, 1)
            assert await pool.run(abs, -3) == 3
        finally:
            pool.stop()

    asyncio.run(session())


def test_an_error_of_the_work_itself_passes_through_and_leaves_the_pool_alone() -> None:
    async def session() -> None:
        pool = Pool(1, [])
        await pool.start()
        try:
            pid = await pool.run(os.getpid)
            with pytest.raises(ZeroDivisionError):
                await pool.run(divmod, 1, 0)
            assert await pool.run(os.getpid) == pid
        finally:
            pool.stop()

    asyncio.run(session())


def test_a_pool_tells_the_probe_who_works_and_who_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """The probe is whatever module of that name serves the app."""
    probe = ModuleType("loopwise_probe")
    gauges: dict[str, Callable[[], dict[str, int]]] = {}
    monkeypatch.setattr(probe, "GAUGES", gauges, raising=False)
    monkeypatch.setitem(sys.modules, "loopwise_probe", probe)

    async def session() -> list[dict[str, int]]:
        pool = Pool(1, [])
        await pool.start()
        try:
            look = gauges["process_pool"]
            calls = [asyncio.ensure_future(pool.run(abs, number)) for number in range(3)]
            seen = [look()]
            await asyncio.sleep(0)
            seen.append(look())
            await asyncio.gather(*calls)
            return [*seen, look()]
        finally:
            pool.stop()

    assert asyncio.run(session()) == [
        {"max": 1, "busy": 0, "queued": 0},
        {"max": 1, "busy": 1, "queued": 2},
        {"max": 1, "busy": 0, "queued": 0},
    ]


def test_a_pool_that_was_not_started_says_so() -> None:
    with pytest.raises(PoolUnavailableError, match="the server must run the app's lifespan"):
        asyncio.run(Pool(1, []).run(os.getpid))


def test_a_stopped_pool_leaves_nothing_behind_even_when_a_signal_ends_the_server() -> None:
    ended = run_script(STARTED + "pool.stop()\nos.kill(os.getpid(), signal.SIGTERM)")
    assert (ended.returncode, ended.stderr) == (-signal.SIGTERM, "")


def test_no_process_of_a_pool_outlives_a_killed_server() -> None:
    ended = run_script(STARTED + "print('up', flush=True)\nos.kill(os.getpid(), signal.SIGKILL)")
    assert (ended.returncode, ended.stdout) == (-signal.SIGKILL, "up\n")


@pytest.mark.parametrize(("text", "processes"), [("3", 3), ("", os.cpu_count())])
def test_the_size_of_the_pool_is_given_or_one_process_per_cpu(
    text: str, processes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOOPWISE_POOL_PROCESSES", text)
    assert pool_processes() == processes


@pytest.mark.parametrize("text", ["0", "-1", "two", "1.5"])
def test_a_size_that_is_no_whole_number_above_zero_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOPWISE_POOL_PROCESSES", text)
    with pytest.raises(ValueError, match=f'got "{text}", allowed is a whole number above 0'):
        pool_processes()
