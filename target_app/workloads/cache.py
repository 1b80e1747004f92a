"""cache: a cache in the process, in front of `sqlite` or `upstream`, with hits in a given proportion."""

import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from fractions import Fraction
from typing import Literal

from pydantic import Field, model_validator

from target_app import items_table
from target_app.ttl_cache import TTLCache
from target_app.verification import verify
from target_app.workload import Answer, Cost, Params, Workload
from target_app.workloads import sqlite, upstream

CAPACITY = 1024
TTL_S = 3600.0
"""Longer than a run: an entry that expired would be a miss that nobody asked for."""
DEFAULT_MS = 50.0


class CacheParams(Params):
    """Hit ratio of the cache, and the workload behind it."""

    behind: Literal["sqlite", "upstream"] = Field(
        "sqlite",
        description="The workload that is asked on a miss, with a connection or client as it has by default.",
    )
    hit_ratio: float = Field(
        0.9,
        ge=0,
        le=1,
        allow_inf_nan=False,
        description="Share of requests that the cache answers: an even pattern, exact in every process.",
    )
    ms: float | None = Field(
        None,
        ge=0,
        le=10_000,
        allow_inf_nan=False,
        description="As in upstream, 50 where it is left out; only with it behind.",
    )

    @model_validator(mode="after")
    def _ms_needs_upstream(self) -> "CacheParams":
        if self.ms is not None and self.behind == "sqlite":
            raise ValueError('got ms with behind "sqlite", allowed is it with "upstream"; leave ms out')
        return self


class Sequence:
    """Sequence of keys that the requests of a process ask for.

    Of the first n requests, floor(n × hit_ratio) ask for what the cache has; each of the others for a new key. Before
    anything is loaded there is nothing to hit: then the first key is asked for, and loaded once for all.
    """

    def __init__(self, hit_ratio: float) -> None:
        self.cache: TTLCache[Answer] = TTLCache(CAPACITY, TTL_S)
        self._ratio = Fraction(str(hit_ratio))
        self._numbers: Iterator[int] = itertools.count()

    def key(self) -> int:
        """Return the next request's key."""
        number = next(self._numbers)
        is_hit = int((number + 1) * self._ratio) > int(number * self._ratio)
        if not is_hit:
            return number
        newest = self.cache.newest()
        return 0 if newest is None else newest


_sequences: dict[CacheParams, Sequence] = {}


def _sequence(params: CacheParams) -> Sequence:
    # setdefault is one step: threads that come here together agree on one.
    return _sequences.get(params) or _sequences.setdefault(params, Sequence(params.hit_ratio))


def _rows(key: int) -> sqlite.SqliteParams:
    return sqlite.SqliteParams(after=key % (items_table.SEEDED_ROWS - items_table.MOST_ROWS))


def _wait(params: CacheParams) -> upstream.UpstreamParams:
    return upstream.UpstreamParams(ms=DEFAULT_MS if params.ms is None else params.ms)


def _answer(params: CacheParams, key: int, found: Answer, was_there: bool) -> Answer:
    verify("key of the entry", found["key"], key)
    return {"behind": params.behind, "hit": was_there}


def run(params: CacheParams) -> Answer:
    """Look into the cache; on a miss ask the workload behind it on the calling thread."""

    def load(key: int) -> Answer:
        if params.behind == "sqlite":
            return {"key": key, **sqlite.run(_rows(key))}
        return {"key": key, **upstream.run(_wait(params))}

    sequence = _sequence(params)
    key = sequence.key()
    return _answer(params, key, *sequence.cache.get(key, load))


async def run_async(params: CacheParams) -> Answer:
    """Look into the cache; on a miss await the workload behind it."""

    async def load(key: int) -> Answer:
        if params.behind == "sqlite":
            return {"key": key, **await sqlite.run_async(_rows(key))}
        return {"key": key, **await upstream.run_async(_wait(params))}

    sequence = _sequence(params)
    key = sequence.key()
    return _answer(params, key, *await sequence.cache.get_async(key, load))


@asynccontextmanager
async def start() -> AsyncIterator[None]:
    """Start the workloads behind the cache, which is empty for every app."""
    async with sqlite.start_with_loop(), upstream.start():
        _sequences.clear()
        yield


def cost(params: CacheParams) -> Cost | None:
    """The mean over hits and misses; None in front of sqlite."""
    if params.behind == "sqlite":
        return None
    return Cost(wait_ms=_wait(params).ms * (1 - params.hit_ratio), cpu_ms=0.0)


WORKLOAD = Workload(
    name="cache",
    description="A cache in the process (least recently used, one load per miss) in front of sqlite or upstream.",
    params=CacheParams,
    run=run,
    run_async=run_async,
    cost=cost,
    lacks={"process": "every pool process would have a cache of its own, which others can't fill"},
    needs=lambda params: (upstream.SERVICE,) if params.behind == "upstream" else (),
    start=start,
)
