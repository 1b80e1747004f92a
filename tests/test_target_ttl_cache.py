import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from target_app.connection_pool import AsyncConnectionPool, ConnectionPool
from target_app.ttl_cache import TTLCache
from target_app.workload import Answer, Cost
from target_app.workloads import cache, sqlite


def test_a_miss_of_many_threads_is_loaded_once() -> None:
    found: TTLCache[int] = TTLCache(4, 60)
    loads: list[int] = []
    barrier, released = threading.Barrier(8), threading.Event()

    def load(key: int) -> int:
        loads.append(key)
        released.wait(10)
        return key * 2

    def ask(_index: int) -> tuple[int, bool]:
        barrier.wait(10)
        return found.get(7, load)

    with ThreadPoolExecutor(8) as threads:
        asked = [threads.submit(ask, index) for index in range(8)]
        while not loads:
            pass
        released.set()
        assert {one.result() for one in asked} <= {(14, False), (14, True)}
    assert loads == [7]
    assert found.get(7, load) == (14, True)


def test_a_miss_of_many_coroutines_is_loaded_once_even_if_the_first_gives_up() -> None:
    loads: list[int] = []

    async def ask() -> None:
        found: TTLCache[int] = TTLCache(4, 60)
        released = asyncio.Event()

        async def load(key: int) -> int:
            loads.append(key)
            await released.wait()
            return key * 2

        tasks = [asyncio.ensure_future(found.get_async(7, load)) for _ in range(8)]
        await asyncio.sleep(0)
        tasks[0].cancel()
        released.set()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(results[0], asyncio.CancelledError)
        assert results[1:] == [(14, False)] * 7
        assert await found.get_async(7, load) == (14, True)

    asyncio.run(ask())
    assert loads == [7]


def test_a_load_that_fails_leaves_nothing_behind() -> None:
    found: TTLCache[int] = TTLCache(4, 60)

    def fail(_key: int) -> int:
        raise OSError("gone")

    async def fail_async(_key: int) -> int:
        raise OSError("gone")

    for _ in range(2):
        with pytest.raises(OSError, match="gone"):
            found.get(1, fail)
        with pytest.raises(OSError, match="gone"):
            asyncio.run(found.get_async(1, fail_async))
    assert found.get(1, lambda key: key) == (1, False)


def test_the_least_recently_used_entry_goes_first_and_old_ones_expire() -> None:
    now_s = [0.0]
    found: TTLCache[int] = TTLCache(2, 10, lambda: now_s[0])
    for key in (1, 2, 1, 3):  # 2 is the one not used for longest
        found.get(key, lambda key: key)
    assert [found.get(key, lambda key: key)[1] for key in (1, 3)] == [True, True]
    assert len(found) == 2
    assert found.newest() == 3
    now_s[0] = 10.0
    assert found.get(3, lambda key: key) == (3, False)


@settings(deadline=None)
@given(st.integers(min_value=0, max_value=1000), st.integers(min_value=1, max_value=300))
def test_hits_have_exactly_the_proportion_asked_for(thousandths: int, count: int) -> None:
    sequence = cache.Sequence(thousandths / 1000)
    hits = [sequence.cache.get(sequence.key(), lambda _key: {})[1] for _ in range(count)]
    expected = int(count * Fraction(thousandths, 1000))
    # With nothing but hits the first must load.
    assert sum(hits) == (expected if thousandths < 1000 else count - 1)


@pytest.mark.parametrize(
    ("params", "cost"),
    [
        (cache.CacheParams(), None),
        (cache.CacheParams(behind="upstream", hit_ratio=0.75), Cost(wait_ms=12.5, cpu_ms=0)),
        (cache.CacheParams(behind="upstream", hit_ratio=0, ms=20), Cost(wait_ms=20, cpu_ms=0)),
    ],
)
def test_a_cache_waits_for_its_misses_only(params: cache.CacheParams, cost: Cost | None) -> None:
    assert cache.cost(params) == cost


def test_a_hit_asks_nothing_of_what_is_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(sqlite.SCRATCH, str(tmp_path))
    asked: list[int] = []
    run = sqlite.run

    def counted(params: sqlite.SqliteParams) -> Answer:
        asked.append(params.after)
        return run(params)

    monkeypatch.setattr(sqlite, "run", counted)

    async def many() -> list[bool]:
        async with cache.start():
            return [cache.run(cache.CacheParams(hit_ratio=0.75))["hit"] for _ in range(12)]

    hits = asyncio.run(many())
    assert hits == [False, True, True, True] * 3
    assert len(asked) == 3


def test_a_lender_makes_no_more_than_its_size_and_closes_all() -> None:
    made: list[int] = []
    closed: list[int] = []

    def make() -> int:
        made.append(len(made))
        return made[-1]

    pool = ConnectionPool(make, closed.append, 2)
    with pool.acquire() as first, pool.acquire() as second:
        assert {first, second} == {0, 1}

    def use(_index: int) -> int:
        with pool.acquire() as thing:
            return thing

    with ThreadPoolExecutor(4) as threads:
        assert set(threads.map(use, range(40))) <= {0, 1}
    pool.close()
    assert made == [0, 1]
    assert sorted(closed) == [0, 1]


def test_an_async_lender_lends_to_one_at_a_time_and_makes_anew_what_could_not_be_made() -> None:
    out: list[int] = []
    most: list[int] = []

    async def many() -> None:
        tries = iter([False, True])

        async def make() -> int:
            if not next(tries):
                raise OSError("not now")
            return 1

        async def close(_thing: int) -> None:
            out.append(-1)

        pool = AsyncConnectionPool(make, close, 1)

        async def use() -> None:
            async with pool.acquire():
                out.append(1)
                most.append(len(out))
                await asyncio.sleep(0)
                out.pop()

        with pytest.raises(OSError, match="not now"):
            await use()
        await asyncio.gather(*(use() for _ in range(5)))
        await pool.close()

    asyncio.run(many())
    assert most == [1] * 5
    assert out == [-1]
