"""Endpoints of an app in other modes than they are written in (target_app/own_modes), in this process."""

import asyncio
import json
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from support import moded_app
from support.moded_app import IN_REQUEST, PLACES, REQUESTS, FakePool, ask, compare, make

from loopwise.errors import EndpointError
from loopwise.servers.lifecycle import RunningServer
from target_app.own_modes import calls, moded
from target_app.own_modes.calls import ModeError
from target_app.own_modes.endpoints import find
from target_app.own_modes.moded import REFUSED, Asked, Moded

MODES = ("async", "sync", "to_thread", "process")
HERE = "support/moded_app.py"


# Arguments that belong to the request go to no other process.
POSSIBLE = [
    (*request, mode)
    for request in REQUESTS
    for mode in MODES
    if not (mode == "process" and request[2].startswith(IN_REQUEST))
]


@pytest.mark.parametrize(("written", "method", "path", "body", "mode"), POSSIBLE)
def test_a_mode_changes_where_a_function_runs_and_nothing_else(
    written: str, method: str, path: str, body: bytes, mode: str
) -> None:
    found = asyncio.run(compare(moded, method, path, body, mode))
    assert found["where"] == [PLACES[written, mode]]
    assert found["same"], "answer, background task, dependency with yield or document is another one"
    assert found["twice"], "the second answer, after the first was proven to be in the mode, is another one"


async def refusal_of(path: str, mode: str, capfd: pytest.CaptureFixture[str], method: str = "GET") -> str:
    """The sentence that refuses a mode, from the start or from the first request."""
    app = Moded(make(), mode, [Asked(method, path)], make_pool=FakePool)
    try:
        app.check()
        await app.begin()
    except ModeError as reason:
        return str(reason)
    with suppress(ModeError):
        await ask(app, method, path)
    told = [line for line in capfd.readouterr().err.splitlines() if line.startswith(REFUSED)]
    return told[0].removeprefix(REFUSED) if told else ""


REFUSALS = {
    ("/sleeps", "sync"): "it needs the event loop at {here} (await asyncio.sleep(0.001)), and would run without one",
    ("/sleeps", "to_thread"): "it needs the event loop at {here} (await asyncio.sleep(0.001))",
    ("/sleeps", "process"): "it needs the event loop at {here} (await asyncio.sleep(0.001))",
    ("/suspends", "sync"): "it suspends at {here} (await asyncio.sleep(0)), and would have no event loop to go on with",
    ("/streams", "sync"): "it is a generator ({here}), which the framework runs piece by piece",
    ("/star/deep/class", "sync"): "it is a class ({here}), which answers requests by itself",
    ("/instance", "process"): "it is no plain function but a Instance",
    (
        "/lock-in-answer",
        "process",
    ): "its answer['rows'][0] (lock) can't be pickled, and so can't come back from another process ({here})",
    (
        "/lock-as-argument",
        "process",
    ): "its argument held (lock) can't be pickled, and so can't go to another process ({here})",
    ("/answers-stream", "process"): "its answer.body_iterator",
    ("/star/deep/def/x", "process"): "its argument request",
    ("/nowhere", "sync"): "the app has no route for it; correct the endpoint",
    ("/api/v1/orders/def", "sync"): "its path has a route for other methods only; correct the endpoint",
}


@pytest.mark.parametrize(("path", "mode"), REFUSALS)
def test_what_is_not_possible_is_one_sentence_with_the_line(
    path: str, mode: str, capfd: pytest.CaptureFixture[str]
) -> None:
    sentence = asyncio.run(refusal_of(path, mode, capfd))
    assert sentence.startswith(f"GET {path} can't be measured as {mode}: ")
    assert sentence.endswith(f"; leave {mode} out of mode")
    before, _, after = REFUSALS[path, mode].partition("{here}")
    assert before in sentence
    assert after in sentence.partition(before)[2]
    assert HERE in sentence or "{here}" not in REFUSALS[path, mode]


@pytest.mark.parametrize("mode", ["async", "sync", "to_thread"])
def test_an_instance_can_be_called_in_any_mode_of_one_process(mode: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert asyncio.run(refusal_of("/instance", mode, capfd)) == ""


def test_an_exception_comes_back_from_the_pool_as_it_was() -> None:
    async def asked() -> None:
        app = Moded(make(), "process", [Asked("GET", "/raises")], make_pool=FakePool)
        await app.begin()
        await ask(app, "GET", "/raises")

    with pytest.raises(LookupError, match="nothing there") as raised:
        asyncio.run(asked())
    (note,) = raised.value.__notes__
    assert re.search(rf"in a process of the pool, .*: \S*{HERE}:\d+ \(raise LookupError", note)


def test_the_server_has_started_before_functions_are_replaced_and_the_pool_ends_with_it() -> None:
    sent: list[str] = []
    ended: list[str] = []

    class Pool(FakePool):
        async def start(self) -> None:
            sent.append("pool")

        def stop(self) -> None:
            ended.append("pool")

    async def serve() -> None:
        inbox = iter(["lifespan.startup", "lifespan.shutdown"])

        async def receive() -> Any:
            return {"type": next(inbox)}

        async def send(message: Any) -> None:
            sent.append(message["type"])

        app = Moded(make(), "process", [Asked("GET", "/def/7")], make_pool=Pool)
        await app({"type": "lifespan", "state": {}}, receive, send)

    asyncio.run(serve())
    assert sent == ["pool", "lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert ended == ["pool"]


def test_a_cache_before_the_function_is_found_out(capfd: pytest.CaptureFixture[str]) -> None:
    async def cached(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"cached"})

    async def asked() -> None:
        app = Moded(make(), "sync", [Asked("GET", "/async/7")])
        await app.begin()
        app.app = cached
        await ask(app, "GET", "/async/7")

    asyncio.run(asked())
    assert "it is answered without a call of its function" in capfd.readouterr().err


@pytest.mark.parametrize(("dependencies", "places"), [("own", ["loop", "thread"]), ("same", ["executor", "executor"])])
def test_dependencies_keep_their_mode_unless_they_are_to_have_the_same(dependencies: str, places: list[str]) -> None:
    async def asked() -> bytes:
        app = Moded(make(), "to_thread", [Asked("GET", "/depends")], dependencies=dependencies)
        await app.begin()
        moded_app.seen.clear()
        return (await ask(app, "GET", "/depends"))[2]

    assert json.loads(asyncio.run(asked())) == {"awaited": "awaited", "plain": "plain"}
    assert sorted(moded_app.seen) == places


def test_a_dependency_that_is_overridden_stays_so_in_the_same_mode() -> None:
    async def asked() -> bytes:
        app = Moded(make(), "to_thread", [Asked("GET", "/async/7")], dependencies="same")
        await app.begin()
        return (await ask(app, "GET", "/async/7"))[2]

    assert json.loads(asyncio.run(asked())) == {"name": "7 overridden abc yielded"}


def test_another_framework_is_refused() -> None:
    async def raw(scope: Any, receive: Any, send: Any) -> None:
        """An ASGI app without routes."""

    with pytest.raises(ModeError, match="it is answered by a function, none of FastAPI's or Starlette's apps"):
        find(raw, "GET", "/")


def test_written_says_how_the_function_is_written() -> None:
    assert [find(make(), "GET", path).written for path in ("/async/1", "/def/1", "/instance")] == [
        "async def",
        "def",
        "async def",
    ]


def test_a_local_function_is_refused_by_its_name_before_any_request() -> None:
    def local() -> None:
        """Other processes can't find it."""

    with pytest.raises(
        ModeError, match=r"another process can't find the function of .*test_own_modes.py:\d+ as .*local"
    ):
        calls.refuse_unnamed(local)


def test_a_call_that_fails_under_load_voids_the_load(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    log.write_text(f"started\n{REFUSED}GET /a can't be measured as sync: it suspends\n")
    with pytest.raises(EndpointError, match=r"^GET /a can't be measured as sync: it suspends$"):
        RunningServer("http://127.0.0.1:9", variant_log=log).refuse_void()
    RunningServer("http://127.0.0.1:9").refuse_void()
