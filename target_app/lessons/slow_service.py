"""A slow HTTP service for the lessons on clients, on loopback.

It runs on an event loop in a thread of its own: it can't outlive the app, and costs it far less than httpx does.
"""

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager

from target_app.upstream import BACKLOG, Service

Started = Future[tuple[str, Callable[[], object]]]
"""The service's base URL, and what ends it; or why it does not serve."""


@contextmanager
def slow_service() -> Iterator[str]:
    """Serves `GET /wait?ms=…` while the `with` block runs; gives its base URL."""
    started: Started = Future()
    thread = threading.Thread(target=_run, args=(started,), name="lessons-slow-service", daemon=True)
    thread.start()
    url, end = started.result()
    try:
        yield url
    finally:
        end()
        thread.join()


def _run(started: Started) -> None:
    try:
        asyncio.run(_serve(started))
    except OSError as error:  # no port is free
        started.set_exception(error)


async def _serve(started: Started) -> None:
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    server = await loop.create_server(Service, "127.0.0.1", 0, backlog=BACKLOG)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    started.set_result((url, lambda: loop.call_soon_threadsafe(ended.set)))
    await ended.wait()
    server.close()
