"""An app whose endpoints are served in other modes, on any FastAPI from 0.100 on: `python moded_app.py` prints how.

No pytest, no httpx, Python 3.9: it also runs in environments that have an old FastAPI and nothing else.
"""

import asyncio
import importlib
import inspect
import json
import sys
import threading
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, Header, Response
from fastapi.responses import StreamingResponse
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.middleware import Middleware
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Mount, Route

seen: list[str] = []
"""Where each call of an endpoint or dependency was made, and what background tasks did."""


def note() -> None:
    """Keep where this code runs."""
    try:
        asyncio.get_running_loop()
        seen.append("loop")
    except RuntimeError:
        name = threading.current_thread().name
        seen.append("executor" if name.startswith("asyncio") else "process" if name == "MainThread" else "thread")


class Item(BaseModel):
    """What answers are cut to."""

    name: str


def token(x_token: str = Header(default="none")) -> str:
    """A dependency that is overridden."""
    raise AssertionError


def overriding(x_token: str = Header(default="none")) -> str:
    return "overridden " + x_token


async def awaited_dependency() -> str:
    note()
    return "awaited"


def plain_dependency() -> str:
    note()
    return "plain"


def yielding() -> Any:
    yield "yielded"
    seen.append("closed")


class Loud(APIRoute):
    """A route class of somebody's own."""

    def get_route_handler(self) -> Any:
        handler = super().get_route_handler()

        async def loud(request: Any) -> Any:
            answer = await handler(request)
            answer.headers["x-loud"] = "yes"
            return answer

        return loud


class Stamp:
    """A middleware of one route."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def stamp(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"x-stamp", b"yes")]
            await send(message)

        await self.app(scope, receive, stamp)


class Instance:
    """An endpoint that is an instance."""

    async def __call__(self) -> str:
        note()
        return "instance"


class Class(HTTPEndpoint):
    """An endpoint that is a class."""

    async def get(self, _request: Any) -> Any:
        return PlainTextResponse("class")


# Each answer is the same in every mode.


async def async_item(item_id: int, who: str = Depends(token), opened: str = Depends(yielding)) -> Any:
    note()
    return {"name": f"{item_id} {who} {opened}", "secret": 1}


def def_item(item_id: int, who: str = Depends(token), opened: str = Depends(yielding)) -> Any:
    note()
    return {"name": f"{item_id} {who} {opened}", "secret": 1}


async def async_order(wanted: Item, tasks: BackgroundTasks, response: Response) -> Any:
    note()
    tasks.add_task(seen.append, "task")
    response.headers["x-order"] = wanted.name
    return {"name": wanted.name}


def def_order(wanted: Item, tasks: BackgroundTasks, response: Response) -> Any:
    note()
    tasks.add_task(seen.append, "task")
    response.headers["x-order"] = wanted.name
    return {"name": wanted.name}


async def async_plain() -> Any:
    note()
    return {"plain": [1, 2]}


def def_plain() -> Any:
    note()
    return {"plain": [1, 2]}


async def async_depends(
    awaited: str = Depends(awaited_dependency), plain: str = Depends(plain_dependency)
) -> dict[str, str]:
    return {"awaited": awaited, "plain": plain}


async def starlette_async(request: Any) -> Any:
    note()
    return JSONResponse(dict(request.path_params), status_code=203)


def starlette_def(request: Any) -> Any:
    note()
    return JSONResponse(dict(request.path_params), status_code=203)


async def sleeps() -> str:
    await asyncio.sleep(0.001)
    return "slept"


async def suspends() -> str:
    await inner()
    return "went on"


async def inner() -> None:
    await asyncio.sleep(0)


async def streams() -> Any:
    yield "1"


def answers_stream() -> Any:
    return StreamingResponse(iter(["1"]))


def lock_in_answer() -> Any:
    return {"rows": [threading.Lock()]}


def lock() -> Any:
    return threading.Lock()


HELD = Depends(lock)


def lock_as_argument(held: Any = HELD) -> str:
    return "locked"


def raises() -> Any:
    raise LookupError("nothing there")


def make() -> Any:
    """Make the app anew: another mode changes it."""
    app = FastAPI()
    app.dependency_overrides[token] = overriding
    for written, endpoint in (("async", async_item), ("def", def_item)):
        app.get(f"/{written}/{{item_id}}", response_model=Item)(endpoint)
    router = APIRouter(prefix="/orders", dependencies=[Depends(yielding)], route_class=Loud)
    router.post("/async", status_code=201, response_model=Item)(async_order)
    router.post("/def", status_code=201, response_model=Item)(def_order)
    outer = APIRouter()
    outer.include_router(router, prefix="/v1")
    app.include_router(outer, prefix="/api")
    sub = FastAPI()
    sub.get("/async")(async_plain)
    sub.get("/def")(def_plain)
    app.mount("/sub", sub)
    routes = [
        Route("/async/{name}", starlette_async, **_within(Stamp)),
        Route("/def/{name}", starlette_def),
        Route("/class", Class),
    ]
    app.mount("/star", Starlette(routes=[Mount("/deep", routes=routes)]))
    for path, other in OTHERS.items():
        app.get(path)(other)
    return Stamp(app)


def _within(middleware: Any) -> dict[str, Any]:
    """The middleware of a route, which Starlette has from 0.32 on."""
    known = "middleware" in inspect.signature(Route).parameters
    return {"middleware": [Middleware(middleware)]} if known else {}


OTHERS: dict[str, Any] = {
    "/depends": async_depends,
    "/sleeps": sleeps,
    "/suspends": suspends,
    "/streams": streams,
    "/answers-stream": answers_stream,
    "/instance": Instance(),
    "/lock-in-answer": lock_in_answer,
    "/lock-as-argument": lock_as_argument,
    "/raises": raises,
}
REQUESTS = [
    (way, method, path.format(way), body)
    for way in ("async", "def")
    for method, path, body in (
        ("GET", "/{}/7?x=1", b""),
        ("POST", "/api/v1/orders/{}", b'{"name": "tea"}'),
        ("GET", "/sub/{}", b""),
        ("GET", "/star/deep/{}/x%20y", b""),
    )
]
PLACES = {
    ("async", "async"): "loop",
    ("async", "sync"): "thread",
    ("async", "to_thread"): "executor",
    ("async", "process"): "process",
    ("def", "async"): "loop",
    ("def", "sync"): "thread",
    ("def", "to_thread"): "executor",
    ("def", "process"): "process",
}
"""How it is written, and the mode -> where it runs."""
IN_REQUEST = ("/api/v1/orders/", "/star/")
"""Paths of endpoints whose arguments belong to the request, so that they can't go to another process."""

Answer = tuple[int, list[Any], bytes]


class FakePool:
    """Runs what it is given in a thread that calls itself the main thread of a process."""

    def __init__(self, functions: Any) -> None:
        self.functions = functions

    async def start(self) -> None:
        """Start nothing."""

    async def run(self, function: Any, *args: Any) -> Any:
        """Run it."""
        found: list[Any] = []
        worker = threading.Thread(target=lambda: found.append(function(*args)), name="MainThread")
        worker.start()
        worker.join()
        return found[0]

    def stop(self) -> None:
        """Stop nothing."""


async def ask(app: Any, method: str, path: str, body: bytes = b"") -> Answer:
    """Status, headers and body of a request that is made without a server."""
    plain, _, query = path.partition("?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(plain),
        "raw_path": plain.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(b"host", b"t"), (b"content-type", b"application/json"), (b"x-token", b"abc")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
        "state": {},
    }
    sent: list[Any] = []

    async def receive() -> Any:
        if sent:
            await asyncio.sleep(60)  # nobody hangs up
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    status = sent[0]["status"]
    return status, sorted(sent[0]["headers"]), b"".join(each.get("body", b"") for each in sent)


def document(app: Any) -> Any:
    """The OpenAPI document of the app within its middleware, made anew."""
    app.app.openapi_schema = None
    return app.app.openapi()


async def compare(own_modes: Any, method: str, path: str, body: bytes, mode: str) -> dict[str, Any]:
    """Ask an endpoint as written and in a mode; says what differs, and where it ran."""
    seen.clear()
    app = make()
    written = await ask(app, method, path, body), [each for each in seen if each in ("task", "closed")], document(app)
    seen.clear()
    app = make()
    moded = own_modes.Moded(app, mode, [own_modes.Asked(method, path)], make_pool=FakePool)
    await moded.begin()
    answer = await ask(moded, method, path, body)
    where = [each for each in seen if each not in ("task", "closed")]
    again = answer, [each for each in seen if each in ("task", "closed")], document(app)
    return {
        "status": answer[0],
        "same": again == written,
        "where": where,
        "twice": answer == await ask(moded, method, path, body),
    }


async def _all(own_modes: Any) -> list[dict[str, Any]]:
    rows = []
    for written, method, path, body in REQUESTS:
        for mode in ("async", "sync", "to_thread", "process"):
            if not (mode == "process" and path.startswith(IN_REQUEST)):
                row = await compare(own_modes, method, path, body, mode)
                rows.append({"request": f"{method} {path}", "mode": mode, "written": written, **row})
    return rows


if __name__ == "__main__":
    import fastapi

    sys.path.insert(0, str(Path(__file__).parents[2] / "target_app"))
    under_test = importlib.import_module("own_modes.moded")

    print(json.dumps({"fastapi": fastapi.__version__, "rows": asyncio.run(_all(under_test))}))
