"""The process pool of mode `process`: warm before the first request, replaced when a process dies.

Also copied beside an app of somebody's own (own_modes), so: standard library only, Python 3.9 or newer.
"""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")
PROCESSES = "LOOPWISE_POOL_PROCESSES"
LOST = "loopwise_pool: "
"""Begins the line on stderr for each pool that is lost; the harness counts them (loopwise/servers/lifecycle.py)."""
GREETING_S = 0.01
"""How long a process stays busy when greeted, so that one fast process cannot answer for all."""


class PoolUnavailableError(Exception):
    """The pool cannot do the work now; the message is for the client."""


def pool_processes() -> int:
    """Return the pool's size: LOOPWISE_POOL_PROCESSES, else one process per CPU.

    Raises:
        ValueError: the variable is no whole number above 0.
    """
    text = os.environ.get(PROCESSES, "")
    if not text:
        return os.cpu_count() or 1
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(f'{PROCESSES}: got "{text}", allowed is a whole number above 0; correct or unset it')
    return int(text)


def settle() -> None:
    """Initialise a process of the pool."""
    # Ctrl-C reaches the whole group; the server decides when the pool ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), name="loopwise-parent", daemon=True).start()


def _end_with(parent: Any) -> None:
    """End this process with its parent: a killed server closes no pool, whose processes would wait for ever."""
    parent.join()
    os._exit(1)


def _greet(_functions: Sequence[Callable[..., Any]]) -> int:
    """Return the pid; unpickling the functions has imported their modules, which warms the process."""
    time.sleep(GREETING_S)
    return os.getpid()


class Pool:
    """A ProcessPoolExecutor that is spawned, warmed, replaced and closed; nothing runs before `start`."""

    def __init__(self, processes: int, functions: Sequence[Callable[..., Any]]) -> None:
        self.processes = processes
        self._functions = functions
        self._executor: ProcessPoolExecutor | None = None
        self._pending = 0
        self._warming: asyncio.Task[None] | None = None
        self.deaths = 0
        """How often a process died, and the pool with it."""

    async def start(self) -> None:
        """Start the processes; returns once each has imported the functions.

        Raises:
            BrokenProcessPool: a process died while it started.
        """
        self._executor = self._make()
        probe: Any = sys.modules.get("loopwise_probe")
        if probe is not None:
            probe.GAUGES["process_pool"] = self.occupancy
        await self._warm(self._executor)

    async def run(self, function: Callable[..., T], *args: Any) -> T:
        """Run a function in the pool, waiting for a free process.

        Raises:
            PoolUnavailableError: the pool was not started, or a process died and the pool is being replaced.
        """
        executor = self._executor
        if executor is None:
            raise PoolUnavailableError("the process pool does not run: the server must run the app's lifespan")
        self._pending += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(executor, function, *args)
        except BrokenProcessPool as error:
            self._replace(executor)
            raise PoolUnavailableError("a process of the pool died, and the pool is being replaced; retry") from error
        finally:
            self._pending -= 1

    def occupancy(self) -> dict[str, int]:
        """Count processes, busy ones and waiting calls; callable from any thread."""
        pending = self._pending
        busy = min(pending, self.processes)
        return {"max": self.processes, "busy": busy, "queued": pending - busy}

    def stop(self) -> None:
        """Wait for work in progress, then end the processes and release shared resources."""
        if self._warming is not None:
            self._warming.cancel()
            self._warming = None
        if self._executor is not None:
            self._executor.shutdown(wait=True, cancel_futures=True)
            self._executor = None
        # uvicorn ends by raising the signal again, so no exit handler runs: semaphores that are still in a
        # reference cycle would be reported as leaked.
        gc.collect()

    def _make(self) -> ProcessPoolExecutor:
        # spawn: a fork would copy the server's event loop, sockets and threads.
        context = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(self.processes, mp_context=context, initializer=settle)

    async def _warm(self, executor: ProcessPoolExecutor) -> None:
        loop = asyncio.get_running_loop()
        pids: set[int] = set()
        while len(pids) < self.processes:
            greetings = (loop.run_in_executor(executor, _greet, self._functions) for _ in range(self.processes))
            pids.update(await asyncio.gather(*greetings))

    def _replace(self, broken: ProcessPoolExecutor) -> None:
        """Replace a broken executor once, though many requests meet it."""
        if self._executor is not broken:
            return
        self.deaths += 1
        print(
            f"{LOST}a process of worker {os.getpid()}'s pool died; its requests failed, and the pool of "
            f"{self.processes} is being replaced (death {self.deaths} there)",
            file=sys.stderr,
            flush=True,
        )
        broken.shutdown(wait=False)
        self._executor = self._make()
        self._warming = asyncio.get_running_loop().create_task(self._warm_again(self._executor))

    async def _warm_again(self, executor: ProcessPoolExecutor) -> None:
        # If this one breaks as well, the next request finds out, is told and replaces it.
        with suppress(BrokenProcessPool):
            await self._warm(executor)
