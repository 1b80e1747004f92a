"""An ASGI app that misbehaves on purpose, in one way per path; served by path.

Standard library and, for one path, NumPy.
"""

import asyncio
import ctypes
import importlib
import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from anyio import to_thread

PLACES = int(os.environ.get("PROVOKED_PLACES", "4"))
HOLD_S = float(os.environ.get("PROVOKED_HOLD_S", "0.02"))
BLAS_THREADS = 8
STALL_S = 0.05
BLOCK_S = 0.02
LEAK_BYTES = 60_000
MAX_LEAKS = 5_000
"""300 MB at most, whatever the load."""
HOLD_OUT_S = 60.0

leaks: list[bytes] = []
chosen: list[int] = []
places = asyncio.Semaphore(PLACES)
hidden: asyncio.Queue[None] = asyncio.Queue()
for _ in range(PLACES):
    hidden.put_nowait(None)
executor = ThreadPoolExecutor(PLACES)
thread_places = threading.Semaphore(PLACES)
lock = threading.Lock()
work = threading.Condition()
waiting = 0
served = 0
scratch = Path(os.environ.get("LOOPWISE_SCRATCH", "."))
tasks: set[asyncio.Task[None]] = set()


async def stall() -> None:
    """50 ms of every second the loop stands still."""
    while True:
        await asyncio.sleep(1.0 - STALL_S)
        time.sleep(STALL_S)


async def hold_out() -> None:
    """The worker that was not asked first stands still until the other one has all connections."""
    chosen, loaded = scratch / "chosen", scratch / "loaded"
    while not chosen.exists():
        await asyncio.sleep(0.002)
    end_s = time.monotonic() + HOLD_OUT_S
    while chosen.read_text() != str(os.getpid()) and not loaded.exists() and time.monotonic() < end_s:
        time.sleep(0.002)


async def compute() -> None:
    """Computes for 3 ms; the first request of all chooses the worker that will get every connection."""
    global served  # noqa: PLW0603 - a counter of this process
    served += 1
    if served == 1 and not (scratch / "chosen").exists():
        (scratch / "new").write_text(str(os.getpid()))
        (scratch / "new").rename(scratch / "chosen")
    if served == 30:
        (scratch / "loaded").touch()
    end_s = time.thread_time() + 0.003
    while time.thread_time() < end_s:
        pass


async def leak() -> None:
    """Keeps 60 kB of every request."""
    await asyncio.sleep(0.005)
    if len(leaks) < MAX_LEAKS:
        leaks.append(b"x" * LEAK_BYTES)


async def depend() -> None:
    """20 ms at something that serves four at a time."""
    async with places:
        await asyncio.sleep(HOLD_S)


async def depend_on_all() -> None:
    """A little of everything that others may have to wait for."""
    async with places:
        with lock:
            pass
        await to_thread.run_sync(query_and_give_back)
        await asyncio.get_running_loop().run_in_executor(executor, time.sleep, 0.002)


def consume() -> None:
    """Waits for work, like a background thread of many apps."""
    with work:
        while True:
            work.wait()


async def depend_hidden() -> None:
    """The same, without a lock or semaphore that could be seen: a queue holds the free places."""
    global waiting  # noqa: PLW0603 - a counter of this process
    waiting += 1
    try:
        await hidden.get()
        await asyncio.sleep(HOLD_S)
        hidden.put_nowait(None)
    finally:
        waiting -= 1


async def depend_on_executor() -> None:
    """The same from a thread of an executor of its own."""
    await asyncio.get_running_loop().run_in_executor(executor, time.sleep, HOLD_S)


def hold_a_place() -> None:
    """20 ms at something that serves four threads at a time."""
    with thread_places:
        time.sleep(HOLD_S)


async def depend_in_threads() -> None:
    """The same from a thread of AnyIO's."""
    await to_thread.run_sync(hold_a_place)


# A library of this name that has what the probe knows of it.
sys.path.insert(0, str(Path(__file__).with_name("site-packages")))
queue_pool = importlib.import_module("sqlalchemy.pool.impl").QueuePool(PLACES, 0)
del sys.path[0]


def query() -> None:
    """20 ms with a connection, which is kept."""
    queue_pool._do_get()
    time.sleep(HOLD_S)


def query_and_give_back() -> None:
    """The same, and it is given back at once."""
    query()
    queue_pool.free.release()


async def query_in_threads() -> None:
    """A `def` route that holds a connection only while it is called."""
    await to_thread.run_sync(query_and_give_back)


async def keep_a_connection() -> None:
    """A `def` route with a `yield` dependency: the connection is given back in another thread than it was taken in."""
    await to_thread.run_sync(query)
    await to_thread.run_sync(queue_pool.free.release)


def hold_the_lock() -> None:
    """2 ms under a lock."""
    with lock:
        time.sleep(0.002)


async def lock_in_threads() -> None:
    """The same from a thread of AnyIO's."""
    await to_thread.run_sync(hold_the_lock)


def multiply_on(threads: int) -> None:
    """Multiply in so many threads; OpenBLAS lets variables set no more than there are cores, unlike MKL."""
    import numpy as np  # noqa: PLC0415 - the other paths need the standard library alone

    if threads not in chosen:
        chosen.append(threads)
        (path,) = (Path(np.__file__).parents[1] / "numpy.libs").glob("libscipy_openblas64_*.so")
        ctypes.CDLL(str(path)).scipy_openblas_set_num_threads64_(threads)
    grid = np.ones((400, 400))
    grid @ grid


async def multiply() -> None:
    """Some milliseconds in BLAS, in a thread; it lets the loop go."""
    await asyncio.to_thread(multiply_on, BLAS_THREADS)


async def block() -> None:
    """20 ms in which the loop does nothing else."""
    time.sleep(BLOCK_S)


async def answer() -> None:
    """Does nothing."""


PATHS = {
    "/": answer,
    "/block": block,
    "/compute": compute,
    "/leak": leak,
    "/depend": depend,
    "/all": depend_on_all,
    "/hidden": depend_hidden,
    "/executor": depend_on_executor,
    "/query": query_in_threads,
    "/pool": depend_in_threads,
    "/orders": keep_a_connection,
    "/lock": lock_in_threads,
    "/blas": multiply,
}
behind: list[Any] = []
"""Coroutine functions that go on behind the requests."""


def stalling() -> Any:
    """The app, stalled once a second."""
    behind.append(stall)
    return app


def uneven() -> Any:
    """The app, whose connections all go to one worker of two."""
    behind.append(hold_out)
    return app


def ordering(connections: int) -> Any:
    """The app, with a pool of so many connections."""
    global queue_pool  # noqa: PLW0603 - made before the first request
    queue_pool = type(queue_pool)(connections, 0)
    return app


def gauged() -> Any:
    """The app, telling the probe of its four places."""
    probe: Any = sys.modules.get("loopwise_probe")
    if probe is not None:
        probe.GAUGES["dependency_pool"] = lambda: {
            "max": PLACES,
            "busy": min(waiting, PLACES),
            "queued": max(0, waiting - PLACES),
        }
    return app


def consuming() -> Any:
    """The app, with a thread in the background."""
    threading.Thread(target=consume, daemon=True).start()
    return app


async def live(receive: Any, send: Any) -> None:
    """The lifespan."""
    await receive()
    for each in behind:
        tasks.add(asyncio.get_running_loop().create_task(each()))
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answers every path of PATHS with `ok`."""
    if scope["type"] == "lifespan":
        await live(receive, send)
        return
    await PATHS[scope["path"]]()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


def spin() -> None:
    """Computes for 3 ms."""
    end_s = time.thread_time() + 0.003
    while time.thread_time() < end_s:
        pass


WSGI_PATHS = {"/": lambda: None, "/wait": lambda: time.sleep(BLOCK_S), "/compute": spin, "/lock": hold_the_lock}


def wsgi(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """A WSGI app that answers every path of WSGI_PATHS with `ok`."""
    WSGI_PATHS[environ["PATH_INFO"]]()
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
