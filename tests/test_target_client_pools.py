"""The probe's look at connection pools of known libraries, on small fakes of the same names."""

import asyncio
import sys
import threading
from types import SimpleNamespace
from typing import Any

import pytest
from support.probe import load_file

client_pools = load_file("client_pools.py")


def fake_sqlalchemy(monkeypatch: pytest.MonkeyPatch, places: int) -> tuple[Any, threading.Semaphore]:
    free = threading.Semaphore(places)

    class QueuePool:
        _max_overflow = 2

        def _do_get(self) -> str:
            free.acquire()
            return "connection"

        def size(self) -> int:
            return places - self._max_overflow

        def checkedout(self) -> int:
            return places - free._value

    monkeypatch.setitem(sys.modules, "sqlalchemy.pool.impl", SimpleNamespace(QueuePool=QueuePool))
    return QueuePool(), free


def test_a_pool_made_before_the_probe_looked_is_seen_with_those_who_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    pool, free = fake_sqlalchemy(monkeypatch, places=3)
    pools = client_pools.Pools()
    pools.look()
    assert pools.figures() is None
    assert pool._do_get() == "connection"
    assert pools.figures() == [3, 1, 0]
    takers = [threading.Thread(target=pool._do_get) for _ in range(5)]
    for each in takers:
        each.start()
    while pools.figures() != [3, 3, 3]:
        pass
    for _ in takers:
        free.release()
    for each in takers:
        each.join()
    assert pools.figures() == [3, 1, 0]


def test_a_library_imported_later_is_seen_at_the_next_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "sqlalchemy.pool.impl", raising=False)  # an app of another test imported it
    pools = client_pools.Pools()
    pools.look()
    pool, _ = fake_sqlalchemy(monkeypatch, places=3)
    pools.look()
    pools.look()
    pool._do_get()
    assert pools.figures() == [3, 1, 0]


def test_a_pool_that_breaks_what_is_known_of_it_harms_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    pool, _ = fake_sqlalchemy(monkeypatch, places=3)
    pools = client_pools.Pools()
    pools.look()
    monkeypatch.delattr(type(pool), "checkedout")
    assert pool._do_get() == "connection"
    assert pools.figures() is None


def test_an_async_pool_counts_the_tasks_that_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    class Pool:
        def __init__(self) -> None:
            self._queue: asyncio.Queue[int] = asyncio.Queue()
            self._queue.put_nowait(1)

        async def _acquire(self, timeout: float | None) -> int:
            return await asyncio.wait_for(self._queue.get(), timeout)

        def get_max_size(self) -> int:
            return 1

    monkeypatch.setitem(sys.modules, "asyncpg.pool", SimpleNamespace(Pool=Pool))
    pools = client_pools.Pools()
    pools.look()

    async def session() -> None:
        pool = Pool()
        assert await pool._acquire(None) == 1
        waiting = asyncio.create_task(pool._acquire(timeout=None))
        await asyncio.sleep(0.01)
        assert pools.figures() == [1, 1, 1]
        pool._queue.put_nowait(1)
        assert await waiting == 1

    asyncio.run(session())


@pytest.mark.parametrize("module", ["psycopg_pool.pool", "psycopg_pool.pool_async", "asyncpg.pool"])
def test_the_installed_libraries_have_what_is_known_of_them(module: str) -> None:
    __import__(module)
    kind = next(each for each in client_pools.KINDS if each.module == module)
    assert callable(getattr(getattr(sys.modules[module], kind.name), kind.method))
