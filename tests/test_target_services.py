"""Workloads that need a service, against the real one: the same answer in every mode, and none that is wrong."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.service import need_postgres, running

from loopwise.servers.services import SERVICES
from target_app import upstream as service
from target_app.app import create_app
from target_app.catalogue import describe, modes_of
from target_app.verification import WrongAnswerError
from target_app.workloads import WORKLOADS, postgres, upstream

pytestmark = pytest.mark.e2e

QUERIES: list[tuple[str, tuple[str, ...]]] = [
    ("upstream", ("?ms=1", "?ms=1&client=request", "?ms=1&distribution=lognormal&sigma=0.3")),
    ("cache", ("?behind=upstream&ms=1&hit_ratio=0.5",) * 4),
    ("postgres", ("?rows=7&after=100", "?operation=write&rows=3&pool_size=2")),
    ("postgres", ("?driver=asyncpg&rows=7&after=100", "?driver=asyncpg&operation=write&rows=3&pool_size=2")),
]
ROUTES = [
    (name, mode, queries)
    for name, queries in QUERIES
    for mode in modes_of(WORKLOADS[name])
    if mode == "async" or "asyncpg" not in queries[0]
]


@pytest.fixture(scope="module")
def upstream_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with running("upstream", tmp_path_factory.mktemp("upstream")) as variables:
        yield variables


@pytest.fixture(scope="module")
def postgres_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    need_postgres()
    with running("postgres", tmp_path_factory.mktemp("postgres")) as variables:
        yield variables


def answers(monkeypatch: pytest.MonkeyPatch, name: str, mode: str, queries: tuple[str, ...]) -> list[Any]:
    """What a route answers to the queries, one after the other."""
    monkeypatch.setenv("LOOPWISE_WORKLOADS", name)
    monkeypatch.setenv("LOOPWISE_MODES", mode)
    app = create_app()

    async def session() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://target") as client,
        ):
            return [await client.get(f"/{name}/{mode}{query}") for query in queries]

    responses = asyncio.run(session())
    assert [response.status_code for response in responses] == [200] * len(queries), responses[0].text
    return [response.json() for response in responses]


EXPECTED = {
    "upstream": [{"ms": 1, "distribution": each} for each in ("fixed", "fixed", "lognormal")],
    "cache": [{"behind": "upstream", "hit": hit} for hit in (False, True, False, True)],
    "postgres": [
        {"operation": "read", "rows": 7, "checksum": sum(100 + row * 7919 % 9901 for row in range(101, 108))},
        {"operation": "write", "rows": 3},
    ],
}


@pytest.mark.parametrize(("name", "mode", "queries"), ROUTES)
def test_every_mode_gives_the_same_answer(
    name: str,
    mode: str,
    queries: tuple[str, ...],
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    fixture = "postgres_service" if name == "postgres" else "upstream_service"
    for variable, value in request.getfixturevalue(fixture).items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setenv("LOOPWISE_SCRATCH", str(tmp_path))
    assert answers(monkeypatch, name, mode, queries) == EXPECTED[name]


@pytest.mark.parametrize("form", ["run", "run_async"])
@pytest.mark.parametrize("client", ["shared", "request"])
def test_an_answer_to_somebody_else_is_refused(
    form: str, client: str, upstream_service: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(service.URL, upstream_service[service.URL])
    question = upstream._question
    asked: list[dict[str, Any]] = []

    def swap(params: upstream.UpstreamParams) -> dict[str, Any]:
        asked.append(question(params))
        return Swapped(asked[-1])

    class Swapped(dict[str, Any]):
        """Is sent with its own token, and expects another one back."""

        def __getitem__(self, key: str) -> Any:
            return "another" if key == "token" else super().__getitem__(key)

    monkeypatch.setattr(upstream, "_question", swap)
    params = upstream.UpstreamParams.model_validate({"ms": 0, "client": client})

    async def ask() -> Any:
        async with upstream.start():
            return upstream.run(params) if form == "run" else await upstream.run_async(params)

    with pytest.raises(WrongAnswerError, match="token that the upstream service gave back"):
        asyncio.run(ask())


def test_a_service_that_is_gone_is_an_answer_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(service.URL, "http://127.0.0.1:9")

    async def ask() -> None:
        async with upstream.start():
            with pytest.raises(WrongAnswerError, match="gave no answer"):
                upstream.run(upstream.UpstreamParams(ms=0))
            with pytest.raises(WrongAnswerError, match="gave no answer"):
                await upstream.run_async(upstream.UpstreamParams(ms=0))

    asyncio.run(ask())


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/wait?ms=soon&sigma=0&seed=1&number=1&token=a", "could not convert"),
        ("/wait?ms=-1&sigma=0&seed=1&number=1&token=a", "a wait of -1.0 ms"),
        ("/wait?ms=1", "sigma"),
        ("/other", "allowed is GET /wait"),
    ],
)
def test_the_service_refuses_what_it_does_not_understand(
    path: str, says: str, upstream_service: dict[str, str]
) -> None:
    answer = httpx.get(upstream_service[service.URL] + path, trust_env=False)
    assert answer.status_code == 400
    assert says in answer.json()["detail"]


def test_servers_at_the_same_time_have_tables_of_their_own_and_those_of_earlier_blocks_go(
    postgres_service: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    psycopg = pytest.importorskip("psycopg")
    monkeypatch.setenv(postgres.DSN, postgres_service[postgres.DSN])
    counts, tables = [], set()
    for seed, scratch in (("7/1", "/a"), ("7/1", "/b"), ("7/2", "/a")):
        monkeypatch.setenv(postgres.SEED, seed)
        monkeypatch.setenv("LOOPWISE_SCRATCH", scratch)
        postgres._create_table()
        postgres._create_table()  # as a second worker does
        with psycopg.connect(postgres_service[postgres.DSN]) as connection:
            rows = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        counts.append(len(rows))
        tables |= {name for (name,) in rows if name.startswith(postgres._block())}
    assert counts == [1, 2, 1]
    assert len(tables) == 3


def test_waits_follow_the_seed_and_have_the_mean_asked_for() -> None:
    def waits(seed: str, sigma: float) -> list[float]:
        return [service.drawn_ms(50, sigma, seed, str(number)) for number in range(20_000)]

    assert waits("1", 0) == [50] * 20_000
    assert waits("1", 0.5) == waits("1", 0.5) != waits("2", 0.5)
    for seed in ("1", "2", "3"):
        # Standard error: 50 × sqrt(exp(0.25) - 1) / sqrt(20000) = 0.19; the draws are fixed, so is the outcome.
        assert sum(waits(seed, 0.5)) / 20_000 == pytest.approx(50, abs=0.8)


def test_every_needed_service_is_one_that_the_harness_has() -> None:
    needs = Counter(
        need
        for name in WORKLOADS
        for need in describe({"workload": name, "mode": "async", "params": {}}).get("needs", [])
    )
    assert set(needs) == set(SERVICES)


class PsycopgPool:
    def get_stats(self) -> dict[str, int]:
        return {"pool_max": 10, "pool_size": 10, "pool_available": 1, "requests_waiting": 0}


class AsyncpgPool:
    """asyncpg's keeps those who wait in its queue."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[None] = asyncio.Queue()

    def get_max_size(self) -> int:
        return 4

    def get_size(self) -> int:
        return 4

    def get_idle_size(self) -> int:
        return 0


def test_the_probe_is_told_of_the_connections_of_all_pools(monkeypatch: pytest.MonkeyPatch) -> None:
    async def session() -> dict[str, int]:
        pool = AsyncpgPool()
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        done.set_result(pool)
        monkeypatch.setattr(postgres, "_pools", {10: PsycopgPool()})
        opening: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        monkeypatch.setattr(postgres, "_async_pools", {("asyncpg", 4): done, ("psycopg", 9): opening})
        waiters = [asyncio.ensure_future(pool._queue.get()) for _ in range(2)]
        await asyncio.sleep(0)
        found = postgres.occupancy()
        for waiter in waiters:
            waiter.cancel()
        return found

    assert asyncio.run(session()) == {"max": 14, "busy": 13, "queued": 2}
