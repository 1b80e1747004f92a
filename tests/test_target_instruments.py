"""The probe's instruments, in this very process: marks on a loop, figures of pools, a thread that writes."""

import asyncio
import gc
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import anyio.to_thread
import pytest
import uvloop
from support import provoking_app
from support.probe import PACKAGE, load_file

from loopwise.results import lags
from loopwise.results.lags import lag_ms

instruments_file = load_file("instruments.py")
LOOPS: list[Callable[[], asyncio.AbstractEventLoop]] = [asyncio.new_event_loop, uvloop.new_event_loop]
loops = pytest.mark.parametrize("new_loop", LOOPS, ids=["asyncio", "uvloop"])


@pytest.fixture(autouse=True)
def _without_a_trace() -> Any:
    """Instruments live as long as their process; here they must not outlive a test."""
    before = list(gc.callbacks)
    yield
    gc.callbacks[:] = before


def looks_of(folder: Path) -> list[dict[str, Any]]:
    (path,) = folder.glob("*.jsonl")
    return [json.loads(line) for line in path.read_text().splitlines()]


def within(
    session: Callable[[Any], Awaitable[None]],
    folder: Path,
    new_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop,
    gauges: Any = None,
    *,
    writes: bool = True,
) -> Any:
    """Instruments that watched a session, and write no more.

    Without `writes` only the session takes samples: their own thread would consume marks between two of these.
    """
    found: list[Any] = []

    async def main() -> None:
        instruments = instruments_file.Instruments(str(folder), {} if gauges is None else gauges)
        if not writes:
            instruments._watch = lambda: None
        instruments.start(asyncio.get_running_loop())
        found.append(instruments)
        await session(instruments)

    try:
        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(main())
    finally:
        found[0]._sink = -1  # which ends its thread
    return found[0]


@loops
def test_a_handler_that_blocks_is_one_stall_of_that_length(new_loop: Any, tmp_path: Path) -> None:
    async def session(instruments: Any) -> None:
        await asyncio.sleep(0.02)
        instruments.sample(0.0)
        instruments.enter()
        began_s = time.monotonic()
        time.sleep(0.05)
        blocked_ms.append((time.monotonic() - began_s) * 1e3)
        instruments.leave()
        await asyncio.sleep(0.01)
        look.update(instruments.sample(0.0))

    blocked_ms: list[float] = []
    look: dict[str, Any] = {}
    within(session, tmp_path, new_loop, writes=False)
    assert look["stall_ms"] >= blocked_ms[0]
    assert look["lag_max_ms"] >= blocked_ms[0] - instruments_file.BEAT_S * 1e3 - 1
    assert look["blocked_s"] >= blocked_ms[0] / 1e3
    assert (look["started"], look["done"]) == (1, 1)


def test_many_short_callbacks_are_lag_and_no_stall(tmp_path: Path) -> None:
    """A clock that moves by 1 ms at each mark stands for a loop that never rests."""
    instruments = instruments_file.Instruments(str(tmp_path), {})
    instruments._mark_s = instruments._due_s = instruments_file.monotonic()
    instruments._due_s -= 10.0
    for _ in range(20):
        instruments.enter()
        instruments.leave()
    look = instruments.sample(0.0)
    assert look["lag_max_ms"] >= 10_000
    assert look["stall_ms"] == 0
    assert look["blocked_s"] == 0


def test_a_loop_is_seen_to_be_blocked_while_it_is(tmp_path: Path) -> None:
    """The thread's lines of the time in which the loop did nothing but sleep."""

    async def session(instruments: Any) -> None:
        instruments.enter()
        end_s = time.monotonic() + 30.0
        while len(looks_of(tmp_path)) < 4 and time.monotonic() < end_s:
            time.sleep(0.02)
        instruments.leave()

    within(session, tmp_path)
    looks = looks_of(tmp_path)
    assert len(looks) >= 4
    stalls = [look["stall_ms"] for look in looks[:4]]
    assert stalls == sorted(stalls)
    assert stalls[0] < stalls[-1]
    assert [look["started"] - look["done"] for look in looks[:4]] == [1] * 4
    assert all(later["blocked_s"] > earlier["blocked_s"] for earlier, later in pairwise(looks[:4]))


def test_a_late_beat_counts_for_those_it_kept_from_being_made(tmp_path: Path) -> None:
    instruments = instruments_file.Instruments(str(tmp_path), {})
    instruments._lags_s.extend([0.0] * 50 + [0.401])
    counts = {int(number): count for number, count in instruments.sample(0.0)["lags"].items()}
    assert sum(counts.values()) == 50 + 101
    assert lag_ms(counts, 0.99) == pytest.approx(396, rel=0.04)
    assert lag_ms(counts, 0.5) == pytest.approx(100, rel=0.04)


@pytest.mark.parametrize("lag_us", [0, 1, 15, 31, 32, 33, 100, 999, 50_000, 1_234_567, 60_000_000])
def test_a_bucket_is_within_3_percent_of_what_fell_into_it(lag_us: int) -> None:
    found = lag_ms({instruments_file.bucket(lag_us / 1e6 + 1e-9): 1}, 0.5)
    assert found is not None
    assert found * 1e3 == pytest.approx(lag_us, rel=0.032, abs=0.5)


@loops
def test_the_default_executor_is_watched_busy_and_queued(new_loop: Any, tmp_path: Path) -> None:
    async def session(instruments: Any) -> None:
        gate = threading.Event()
        most = ThreadPoolExecutor()._max_workers
        calls = [asyncio.ensure_future(asyncio.to_thread(gate.wait, 30)) for _ in range(most + 3)]
        await asyncio.sleep(0)
        looks.append((instruments.sample(0.0)["executor"], most))
        gate.set()
        await asyncio.gather(*calls)

    looks: list[tuple[list[int], int]] = []
    within(session, tmp_path, new_loop)
    ((figures, most),) = looks
    assert figures == [most, most, 3]


@loops
def test_an_executor_that_the_app_sets_is_the_one_watched(new_loop: Any, tmp_path: Path) -> None:
    async def session(instruments: Any) -> None:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(2))
        looks.append(instruments.sample(0.0)["executor"])
        assert await asyncio.to_thread(abs, -3) == 3

    looks: list[Any] = []
    within(session, tmp_path, new_loop)
    assert looks == [[2, 0, 0]]


def test_the_limiter_is_watched_in_use_and_waiting(tmp_path: Path) -> None:
    async def session(instruments: Any) -> None:
        limiter = instruments.limiter = anyio.to_thread.current_default_thread_limiter()
        limiter.total_tokens = 2
        gate = threading.Event()
        calls = [asyncio.ensure_future(anyio.to_thread.run_sync(gate.wait, 30)) for _ in range(5)]
        await asyncio.sleep(0.01)
        looks.append(instruments.sample(0.0)["limiter"])
        gate.set()
        await asyncio.gather(*calls)
        limiter.total_tokens = float("inf")
        looks.append(instruments.sample(0.0)["limiter"])

    looks: list[Any] = []
    within(session, tmp_path)
    assert looks == [[2, 2, 3], None]


def test_gauges_of_the_app_are_read_and_a_broken_one_stops_nobody(tmp_path: Path) -> None:
    def broken() -> dict[str, int]:
        raise RuntimeError("the pool is closed")

    gauges = {
        "broken": broken,
        "partial": lambda: {"max": 3},
        "process_pool": lambda: {"max": 4, "busy": 4, "queued": 9},
    }
    assert instruments_file.Instruments(str(tmp_path), gauges).sample(0.0)["gauges"] == {"process_pool": [4, 4, 9]}


def test_stacks_that_cannot_be_followed_end_no_other_figure(tmp_path: Path) -> None:
    class Stacks:
        def look(self, *, is_blocked: bool) -> dict[str, Any]:
            if looks:
                raise AttributeError("_all_tasks")
            return {"threads": {"of": int(is_blocked), "at": []}}

    instruments = instruments_file.Instruments(str(tmp_path), {})
    instruments.stacks = Stacks()
    looks: list[dict[str, Any]] = []
    looks.append(instruments.sample(0.0))
    looks.append(instruments.sample(0.0))
    assert ["stands" in look for look in looks] == [True, False]
    assert looks[1]["started"] == 0


def test_garbage_collections_are_summed(tmp_path: Path) -> None:
    async def session(instruments: Any) -> None:
        for _ in range(20):  # the thread's own sample may come between, and take it
            instruments.sample(0.0)
            gc.collect()
            looks[:] = [instruments.sample(0.0)]
            if looks[0]["gc_max_ms"] > 0:
                break

    looks: list[Any] = []
    within(session, tmp_path, writes=False)
    assert looks[0]["gc_max_ms"] > 0
    assert looks[0]["gc_s"] * 1e3 >= looks[0]["gc_max_ms"] - 0.001


def test_the_loops_thread_has_its_own_cpu_time(tmp_path: Path) -> None:
    async def session(instruments: Any) -> None:
        before = instruments.sample(0.0)["loop_cpu_s"]
        while instruments.sample(0.0)["loop_cpu_s"] < before + 0.02:
            sum(range(1000))
        assert instruments.sample(0.0)["loop_wait_s"] >= 0

    within(session, tmp_path)


def test_a_folder_that_goes_away_ends_the_thread_and_not_the_app(tmp_path: Path) -> None:
    """A full disk and a closed file look alike to it."""

    async def session(instruments: Any) -> None:
        instruments._sink = -1
        name = "loopwise-probe"
        before = sum(thread.name == name for thread in threading.enumerate())
        end_s = time.monotonic() + 30.0
        while sum(thread.name == name for thread in threading.enumerate()) >= before and time.monotonic() < end_s:
            await asyncio.sleep(0.01)
        assert sum(thread.name == name for thread in threading.enumerate()) < before

    within(session, tmp_path)


def test_the_harness_counts_lag_in_the_same_buckets() -> None:
    assert lags.SUB_BUCKETS == instruments_file.SUB_BUCKETS


def test_threads_that_python_did_not_start_are_told_apart(tmp_path: Path) -> None:
    """OpenBLAS's threads compute; Python's own are none of them."""
    script = f"""
import importlib.util, json, os, threading, time
spec = importlib.util.spec_from_file_location("instruments", {str(PACKAGE / "instruments.py")!r})
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
def spin():
    end = time.thread_time() + 0.05
    while time.thread_time() < end: pass
own = threading.Thread(target=spin)
own.start()
own.join(0.01)
natives = module.NativeThreads()
before = natives.figures()
own.join()
import provoking_app
for _ in range(30): provoking_app.multiply_on(4)
print(json.dumps([before, natives.figures()]))
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(provoking_app.__file__).parent)}
    output = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, check=True, timeout=30
    ).stdout
    (none, no_cpu_s, _), (running, cpu_s, wait_s) = json.loads(output)
    assert (none, no_cpu_s) == (0, 0.0)
    assert running == 3
    assert cpu_s > 0.01
    assert wait_s >= 0.0


def test_the_main_thread_of_a_forked_worker_is_python_s() -> None:
    """Python knows it by the number of its parent's."""
    script = f"""
import importlib.util, os, time
spec = importlib.util.spec_from_file_location("instruments", {str(PACKAGE / "instruments.py")!r})
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
if os.fork() == 0:
    natives = module.NativeThreads()
    natives.figures()
    end = time.thread_time() + 0.02
    while time.thread_time() < end: pass
    print(natives.figures()[:2], flush=True)
    os._exit(0)
os.wait()
"""
    output = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, timeout=30).stdout
    assert output == b"(0, 0.0)\n"
