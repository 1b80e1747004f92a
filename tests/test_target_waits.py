"""What requests wait for, as the probe sees it in an app's own interpreter: pools, locks, semaphores, executors."""

import importlib
from pathlib import Path
from typing import Any

import pytest
from support.waits import watched

from target_app.waits.pools import KINDS
from target_app.waits.resources import Figures

ASYNC = """
async def session(call, number, waiting):
    tasks = [asyncio.create_task(call()) for _ in range(number)]
    await tell_async(waiting)
    for each in tasks:
        each.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

"""

# what the app does, and what is seen: kind, name, made_at, waited_at, places, busy, waiting
APPS: dict[str, tuple[str, tuple[str, str, str, str, int, int, int]]] = {
    "a lock": (
        """
lock = threading.Lock()
def ask():
    with lock: pass
lock.acquire()
start(3, ask)
tell(3)
""",
        ("lock", "threading.Lock", "shop.py:3", "shop.py:5", 1, 1, 3),
    ),
    "an RLock of a dataclass": (
        """
from dataclasses import dataclass, field
@dataclass
class Store:
    lock: threading.RLock = field(default_factory=threading.RLock)
store = Store()
def ask():
    with store.lock: pass
with store.lock, store.lock:
    start(2, ask)
    tell(2)
""",
        ("lock", "threading.RLock", "shop.py:7", "shop.py:9", 1, 1, 2),
    ),
    "a lock for each key": (
        """
from collections import defaultdict
locks = defaultdict(threading.Lock)
for key in range(20):
    locks[key].acquire()
start(2, locks[7].acquire)
tell(2)
""",
        ("lock", "threading.Lock", "shop.py:6", "", 1, 1, 2),
    ),
    "a semaphore": (
        """
places = threading.BoundedSemaphore(2)
start(5, places.acquire)
tell(3)
""",
        ("semaphore", "threading.BoundedSemaphore", "shop.py:3", "", 2, 2, 3),
    ),
    "the lock of a condition": (
        """
free = threading.Condition()
def ask():
    with free: pass
with free:
    start(2, ask)
    tell(2)
""",
        ("condition", "threading.Condition", "shop.py:3", "shop.py:5", 1, 1, 2),
    ),
    "a condition that threads of a pool wait for, and a consumer": (
        """
from concurrent.futures import ThreadPoolExecutor
free, executor = threading.Condition(), ThreadPoolExecutor(9)
def ask():
    with free:
        free.wait()
start(1, ask)
for _ in range(3):
    executor.submit(ask)
tell(3)
with free:
    free.notify_all()
""",
        ("condition", "threading.Condition", "shop.py:4", "shop.py:7", 1, 1, 3),
    ),
    "a lock of tasks": (
        ASYNC
        + """
lock = asyncio.Lock()
async def ask():
    async with lock:
        await asyncio.sleep(60)
asyncio.run(session(ask, 4, 3))
""",
        ("lock", "asyncio.Lock", "shop.py:11", "shop.py:13", 1, 1, 3),
    ),
    "a semaphore of tasks": (
        ASYNC
        + """
places = asyncio.Semaphore(2)
async def ask():
    async with places:
        await asyncio.sleep(60)
asyncio.run(session(ask, 5, 3))
""",
        ("semaphore", "asyncio.Semaphore", "shop.py:11", "shop.py:13", 2, 2, 3),
    ),
    "an executor": (
        """
from concurrent.futures import ThreadPoolExecutor
executor, go = ThreadPoolExecutor(2), threading.Event()
calls = [executor.submit(go.wait) for _ in range(5)]
tell(3)
go.set()
""",
        ("executor", "ThreadPoolExecutor", "shop.py:4", "shop.py:5", 2, 2, 3),
    ),
    "a2wsgi's threads": (
        """
import a2wsgi
middleware, go = a2wsgi.WSGIMiddleware(2), threading.Event()
calls = [middleware.executor.submit(go.wait) for _ in range(5)]
tell(3)
go.set()
""",
        ("executor", "a2wsgi's ThreadPoolExecutor", "shop.py:4", "shop.py:5", 2, 2, 3),
    ),
    "SQLAlchemy": (
        """
from sqlalchemy.pool.impl import QueuePool
pool = QueuePool(1, 2)
def ask():
    pool._do_get()
start(5, ask)
tell(2)
""",
        ("pool", "SQLAlchemy's QueuePool", "shop.py:4", "shop.py:6", 3, 3, 2),
    ),
    "SQLAlchemy, async": (
        """
from sqlalchemy.pool.impl import AsyncAdaptedQueuePool
pool = AsyncAdaptedQueuePool(1, 2)
start(5, pool._do_get)
tell(2)
""",
        ("pool", "SQLAlchemy's QueuePool", "shop.py:4", "", 3, 3, 2),
    ),
    "redis": (
        """
from redis.connection import BlockingConnectionPool
pool = BlockingConnectionPool(2)
start(5, pool.get_connection)
tell(3)
""",
        ("pool", "redis's BlockingConnectionPool", "shop.py:4", "", 2, 2, 3),
    ),
    "redis that never blocks": (
        """
from redis.connection import ConnectionPool
pool = ConnectionPool(2)
pool.get_connection()
tell(0)
""",
        ("pool", "redis's ConnectionPool", "shop.py:4", "", 2, 1, 0),
    ),
    "redis, async": (
        ASYNC
        + """
from redis.asyncio.connection import BlockingConnectionPool
pool = BlockingConnectionPool(2)
async def ask():
    await pool.get_connection()
asyncio.run(session(ask, 5, 3))
""",
        ("pool", "redis's asyncio BlockingConnectionPool", "shop.py:12", "shop.py:14", 2, 2, 3),
    ),
    "psycopg_pool": (
        """
from psycopg_pool.pool import ConnectionPool
pool = ConnectionPool()
start(5, pool.getconn)
tell(3)
""",
        ("pool", "psycopg_pool's ConnectionPool", "shop.py:4", "", 2, 2, 3),
    ),
    "psycopg_pool, async": (
        ASYNC
        + """
from psycopg_pool.pool_async import AsyncConnectionPool
pool = AsyncConnectionPool()
asyncio.run(session(pool.getconn, 5, 3))
""",
        ("pool", "psycopg_pool's AsyncConnectionPool", "shop.py:12", "", 2, 2, 3),
    ),
    "asyncpg": (
        ASYNC
        + """
from asyncpg.pool import Pool
async def main():
    pool = Pool()
    await session(lambda: pool._acquire(None), 3, 2)
asyncio.run(main())
""",
        ("pool", "asyncpg's Pool", "shop.py:13", "", 1, 1, 2),
    ),
    "aiosqlite": (
        ASYNC
        + """
import aiosqlite
async def main():
    async with aiosqlite.connect(":memory:") as db:
        go = threading.Event()
        await db.create_function("wait", 0, lambda: go.wait(20))
        tasks = [asyncio.create_task(db.execute("SELECT wait()")) for _ in range(4)]
        await tell_async(3)
        go.set()
        await asyncio.gather(*tasks)
asyncio.run(main())
""",
        ("pool", "aiosqlite's connection", "shop.py:13", "", 1, 1, 3),
    ),
    "httpx": (
        ASYNC
        + """
import httpx
async def main():
    async with httpx.AsyncClient(limits=httpx.Limits(max_connections=2), timeout=None) as client:
        async with await asyncio.start_server(lambda *_: asyncio.sleep(60), "127.0.0.1", 0) as server:
            host, port = server.sockets[0].getsockname()
            async def ask():
                await client.get(f"http://{host}:{port}/")
            await session(ask, 5, 3)
            server.close()
asyncio.run(main())
""",
        ("pool", "httpx's connection pool (async)", "shop.py:13", "shop.py:17", 2, 2, 3),
    ),
    "httpx in threads": (
        """
import httpx, socket
client = httpx.Client(limits=httpx.Limits(max_connections=1), timeout=None)
with socket.create_server(("127.0.0.1", 0)) as server:
    def ask():
        client.get("http://127.0.0.1:{}/".format(server.getsockname()[1]))
    start(3, ask)
    tell(2)
""",
        ("pool", "httpx's connection pool", "shop.py:4", "shop.py:7", 1, 1, 2),
    ),
}


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What each app has shown, all in one interpreter."""
    found = watched(tmp_path_factory.mktemp("waits"), [app for app, _ in APPS.values()])
    return dict(zip(APPS, found, strict=True))


@pytest.mark.parametrize("name", APPS)
def test_a_resource_is_seen_with_its_figures_and_lines(name: str, shown: dict[str, Any]) -> None:
    assert isinstance(shown[name], list), shown[name]
    found = Figures(**shown[name][0])
    assert (*found[:4], found.places, found.busy, found.waiting) == APPS[name][1]
    assert (found.wait_max_ms > 0) == (found.waiting > 0 or (found.busy > 0 and found.kind == "pool"))


def test_what_libraries_and_python_itself_make_is_left_alone(tmp_path: Path) -> None:
    library = "import threading, asyncio\nlocks = threading.Lock(), threading.Semaphore(1), asyncio.Lock()"
    app = """
import queue, lib
from concurrent.futures import Future
lib.locks[0].acquire()
queue.Queue().put(Future())
show(([type(each).__module__ for each in (*lib.locks, threading.Event()._cond._lock)]))
"""
    assert watched(tmp_path, [app], {"lib.py": library})[0] == ["_thread", "threading", "asyncio.locks", "_thread"]


def test_an_apps_locks_stay_what_they_are(tmp_path: Path) -> None:
    app = """
import pickle
class Gate(threading.Semaphore):
    def acquire(self, *arguments, **options):
        self.asked = True
        return super().acquire(*arguments, **options)
lock, gate = threading.Lock(), Gate(1)
facts = [isinstance(lock, threading.Lock), isinstance(lock, threading.RLock), isinstance(gate, Gate)]
facts += [type(gate).__name__, type(asyncio.Semaphore(1)).__name__, lock.acquire(timeout=0.01), lock.acquire(False)]
facts += [lock.acquire(True, 0.01), lock.locked(), gate.acquire(blocking=False), gate.acquire(timeout=0.01), gate.asked]
lock.release()
for wrong in (lock.release, lambda: pickle.dumps(lock), lambda: lock.acquire(False, 1)):
    try:
        wrong()
    except (RuntimeError, TypeError, ValueError) as error:
        facts.append(str(error))
show((facts))
"""
    facts: list[Any] = watched(tmp_path, [app])[0]
    assert facts[:3] == [True, False, True]
    assert facts[3:12] == ["Gate", "Semaphore", True, False, False, True, True, False, True]
    assert facts[12:] == [
        "release unlocked lock",
        "cannot pickle '_thread.lock' object",
        "can't specify a timeout for a non-blocking call",
    ]


def test_classes_that_are_watched_look_as_before_to_who_inspects_them(tmp_path: Path) -> None:
    app = """
import copy, inspect
from concurrent.futures import ThreadPoolExecutor
from sqlalchemy.pool.impl import AsyncAdaptedQueuePool, QueuePool
class Threads(ThreadPoolExecutor):
    def __init__(self, size): super().__init__(size)
facts = [str(inspect.signature(each)) for each in (QueuePool, ThreadPoolExecutor, asyncio.Semaphore, Threads)]
facts += [QueuePool.__init__.__code__.co_varnames[:3], Threads(3)._max_workers]
facts += [copy.copy(AsyncAdaptedQueuePool(3)).size()]
show(facts)
"""
    *facts, fields, size, copied = watched(tmp_path, [app])[0]
    assert facts[0] == "(pool_size=5, max_overflow=10)"
    assert facts[1].startswith("(max_workers=None, thread_name_prefix='', ")
    assert facts[2:] == ["(value=1)", "(size)"]
    assert (fields, size, copied) == (["self", "pool_size", "max_overflow"], 3, 3)


def test_a_lock_for_each_request_keeps_nothing(tmp_path: Path) -> None:
    app = """
import gc
for _ in range(1000):
    with threading.Lock(): pass
    asyncio.Semaphore(3)
gc.collect()
from loopwise_waits.resources import RESOURCES
show(([len(RESOURCES._of_owners), len(RESOURCES._of_lines), *told()]))
"""
    assert watched(tmp_path, [app])[0] == [0, 2]


def test_another_version_of_a_library_is_left_alone_and_told_once(tmp_path: Path) -> None:
    files = {"sqlalchemy/pool/impl.py": "class QueuePool:\n    pass", "redis/connection.py": ""}
    app = """
import io, sys, redis.connection
sys.stderr = io.StringIO()
from sqlalchemy.pool.impl import QueuePool
pools = QueuePool(), QueuePool()
show([told(), sys.stderr.getvalue()])
"""
    found, log = watched(tmp_path, [app], files)[0]
    assert found == []
    assert log.startswith("loopwise_probe: SQLAlchemy's QueuePool is not watched, a version that is not known (")
    assert log.count("\n") == 1


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: str(kind.name))
def test_the_installed_libraries_have_what_is_known_of_them(kind: Any) -> None:
    module = importlib.import_module(kind.module)
    owner = getattr(module, kind.owner)
    requests = getattr(module, kind.owner.replace("ConnectionPool", "PoolRequest"), None)
    assert callable(getattr(owner, kind.method, None) or getattr(requests, kind.method))
