"""The lessons' routes: each claim has a wrong and a right one, which answer alike and say what they do."""

import asyncio
import inspect
import itertools
from pathlib import Path

import httpx
import pytest
from fastapi.routing import APIRoute

from target_app.lessons import blocking, cpu, databases, http_clients, threads, waiting
from target_app.lessons.app import app
from target_app.lessons.slow_service import slow_service
from target_app.lessons.work import compute
from target_app.workloads.cpu import expected

CLAIMS = [f"c{number:02}" for number in range(1, 21)]
MODULES = (waiting, blocking, threads, cpu, databases, http_clients)
ROUTES = {route.path: route for module in MODULES for route in module.router.routes if isinstance(route, APIRoute)}
LOOP, THREAD = "loop", "thread"
MODES = {
    # claim: (the wrong one runs on, the right one runs on)
    "c01": (LOOP, THREAD),
    "c02": (LOOP, LOOP),
    "c03": (THREAD, LOOP),
    "c04": (LOOP, THREAD),
    "c05": (LOOP, LOOP),
    "c06": (LOOP, THREAD),
    "c07": (LOOP, LOOP),
    "c08": (THREAD, LOOP),
    "c09": (LOOP, LOOP),
    "c10": (THREAD, LOOP),
    "c11": (LOOP, LOOP),
    "c12": (LOOP, LOOP),
    "c13": (LOOP, LOOP),
    "c14": (THREAD, LOOP),
    "c15": (LOOP, THREAD),
    "c16": (LOOP, LOOP),
    "c17": (LOOP, THREAD),
    "c18": (LOOP, THREAD),
    "c19": (LOOP, LOOP),
    "c20": (THREAD, LOOP),
}


def ask(*paths: str) -> dict[str, httpx.Response]:
    """Starts the app, sends the requests one after the other, stops the app."""

    async def session() -> dict[str, httpx.Response]:
        transport = httpx.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://lessons") as client,
        ):
            return {path: await client.get(path) for path in paths}

    return asyncio.run(session())


@pytest.fixture(scope="module")
def answered() -> dict[str, httpx.Response]:
    """Every route of the app, asked once."""
    return ask("/health", *ROUTES)


def test_every_claim_has_a_wrong_and_a_right_route_whose_functions_are_named_after_it() -> None:
    for claim in CLAIMS:
        for side in ("wrong", "right"):
            assert ROUTES[f"/{claim}/{side}"].endpoint.__name__ == f"{claim}_{side}"
    assert {path.split("/")[1] for path in ROUTES} == set(CLAIMS)


@pytest.mark.parametrize("claim", CLAIMS)
def test_wrong_and_right_give_the_same_answer(claim: str, answered: dict[str, httpx.Response]) -> None:
    wrong, right = (answered[f"/{claim}/{side}"] for side in ("wrong", "right"))
    assert (wrong.status_code, right.status_code) == (200, 200)
    assert wrong.json()
    assert wrong.json() == right.json()


@pytest.mark.parametrize(("other", "like"), [("/c07/better", "/c07/right"), ("/c15/aiosqlite", "/c15/right")])
def test_a_third_way_gives_the_answer_of_the_others(other: str, like: str, answered: dict[str, httpx.Response]) -> None:
    assert answered[other].json() == answered[like].json()


@pytest.mark.parametrize("claim", CLAIMS)
def test_each_route_runs_where_its_lesson_says(claim: str) -> None:
    found = tuple(
        LOOP if inspect.iscoroutinefunction(ROUTES[f"/{claim}/{side}"].endpoint) else THREAD
        for side in ("wrong", "right")
    )
    assert found == MODES[claim]


@pytest.mark.parametrize("path", sorted(ROUTES))
def test_every_route_is_a_few_lines_with_a_sentence_about_it(path: str) -> None:
    endpoint = ROUTES[path].endpoint
    assert inspect.getdoc(endpoint)
    assert len(inspect.getsource(endpoint).splitlines()) <= 12


@pytest.mark.parametrize("claim", CLAIMS)
def test_every_wrong_route_says_what_it_does_to_the_others(claim: str) -> None:
    source = inspect.getsource(ROUTES[f"/{claim}/wrong"].endpoint)
    assert any(line.strip().startswith("# ") for line in source.splitlines())


def test_the_victim_is_there(answered: dict[str, httpx.Response]) -> None:
    assert answered["/health"].json() == {"status": "ok"}


@pytest.mark.parametrize("side", ["wrong", "right"])
def test_every_tenth_request_of_c11_is_the_one_that_blocks(side: str, monkeypatch: pytest.MonkeyPatch) -> None:
    slept_s: list[float] = []
    monkeypatch.setattr("target_app.lessons.blocking.time.sleep", slept_s.append)
    endpoint = ROUTES[f"/c11/{side}"].endpoint

    async def twenty() -> None:
        await asyncio.gather(*(endpoint() for _ in range(20)))

    asyncio.run(twenty())
    assert slept_s == [0.02, 0.02]


@pytest.mark.parametrize(("side", "questions"), [("wrong", 3), ("right", 1)])
def test_only_the_cached_route_spares_the_database(side: str, questions: int, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Path] = []

    def totals(path: Path) -> dict[str, int]:
        asked.append(path)
        return {"shop 0": 1}

    monkeypatch.setattr(databases, "totals", totals)
    paths = [f"/c19/{side}?{number}" for number in range(3)]
    assert [each.json() for each in ask(*paths).values()] == [{"shop 0": 1}] * 3
    assert len(asked) == questions


def test_an_answer_that_is_no_longer_fresh_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = itertools.count()
    monkeypatch.setattr(databases, "FRESH_S", -1.0)
    monkeypatch.setattr(databases, "totals", lambda _path: {"shop 0": next(numbers)})
    found = ask("/c19/right?1", "/c19/right?2")
    assert [each.json() for each in found.values()] == [{"shop 0": 0}, {"shop 0": 1}]


def test_the_computing_is_what_a_shortcut_says_it_is() -> None:
    assert compute(1000) == expected(1000)


def test_the_shops_totals_are_those_of_the_rows(answered: dict[str, httpx.Response]) -> None:
    cents = [0] * 5
    for number in range(databases.SALES):
        cents[number % 5] += number % 997
    assert answered["/c15/right"].json() == {f"shop {shop}": total for shop, total in enumerate(cents)}


def test_the_slow_service_is_gone_after_its_block() -> None:
    with slow_service() as url, httpx.Client(trust_env=False) as asking:
        assert asking.get(f"{url}/wait", params=http_clients.question(1)).json()["token"] == "found"
    with httpx.Client(trust_env=False) as asking, pytest.raises(httpx.ConnectError):
        asking.get(f"{url}/wait", params=http_clients.question(1))


def test_the_app_can_start_again_and_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOPWISE_SCRATCH", str(tmp_path))
    for _ in range(2):
        assert ask("/c15/wrong")["/c15/wrong"].status_code == 200
        assert not app.state.sales.exists()
    assert list(tmp_path.iterdir()) == []
