"""What a hand-written route may have besides its work: a feature is one function that adds it to every route.

LOOPWISE_FEATURES names them, joined by `+`: `response_model+sync_dependency`.
"""

import inspect
import json
import math
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, MutableMapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

from fastapi import BackgroundTasks, Depends
from fastapi.responses import StreamingResponse
from pydantic import JsonValue, RootModel
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import Response

from target_app.modes import Endpoint

FEATURES_VARIABLE = "LOOPWISE_FEATURES"
JOINT = "+"
PIECES = 4
"""Pieces of a streamed answer: enough to be more than one write, few enough for a small answer."""
HEADER = "x-loopwise-middleware"
"""What each middleware adds to an answer, so that it has touched it."""

done: Counter[str] = Counter()
"""How often a feature has done in this process what no answer shows."""

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Message, Receive, Send], Awaitable[None]]


class Reply(RootModel[dict[str, JsonValue]]):
    """The model of every answer: pydantic checks each value of it."""


@dataclass
class Routing:
    """What all routes of the app have in common."""

    response_model: Any = None
    """None: FastAPI would send a `def` route to the thread pool a second time to validate its answer."""
    dependencies: list[Any] = field(default_factory=list)
    middleware: list[Any] = field(default_factory=list)
    is_streamed: bool = False


def with_response_model(routing: Routing) -> None:
    """A response model: FastAPI validates each answer, that of a `def` route by a second trip to the thread pool."""
    routing.response_model = Reply


def with_sync_dependency(routing: Routing) -> None:
    """A `def` dependency: one more trip to the thread pool before the route."""
    routing.dependencies.append(Depends(_sync_dependency))


def with_async_dependency(routing: Routing) -> None:
    """An `async def` dependency: awaited on the event loop before the route."""
    routing.dependencies.append(Depends(_async_dependency))


def with_yield_dependency(routing: Routing) -> None:
    """A `def` dependency with `yield`: one trip to the thread pool before the route, another one after it."""
    routing.dependencies.append(Depends(_yield_dependency))


def with_background_task(routing: Routing) -> None:
    """A `def` background task: a trip to the thread pool once the answer is sent."""
    routing.dependencies.append(Depends(_plan_background_task))


def with_streaming(routing: Routing) -> None:
    """The answer as a StreamingResponse of four pieces, each of a `def` route's by a trip to the thread pool."""
    routing.is_streamed = True


def with_middleware_asgi(routing: Routing) -> None:
    """A middleware in pure ASGI that adds a header."""
    routing.middleware.append(AsgiMiddleware)


def with_middleware_base(routing: Routing) -> None:
    """A middleware on Starlette's BaseHTTPMiddleware that adds a header: a task and a stream for each request."""
    routing.middleware.append(BaseMiddleware)


FEATURES: dict[str, Callable[[Routing], None]] = {
    "response_model": with_response_model,
    "sync_dependency": with_sync_dependency,
    "async_dependency": with_async_dependency,
    "yield_dependency": with_yield_dependency,
    "background_task": with_background_task,
    "streaming": with_streaming,
    "middleware_asgi": with_middleware_asgi,
    "middleware_base": with_middleware_base,
}
EXCLUDED: dict[frozenset[str], str] = {
    frozenset(
        {"response_model", "streaming"}
    ): "FastAPI sends a streamed answer as it is and validates nothing",
}
"""Features that can't stand together, and why."""


def description(feature: str) -> str:
    """One sentence about a feature."""
    return inspect.getdoc(FEATURES[feature]) or ""


def normal(text: str) -> str:
    """The features in the order of FEATURES: however they are written, the same ones are the same text.

    Raises:
        ValueError: one does not exist or stands twice, or two exclude each other.
    """
    names = text.split(JOINT) if text else []
    for name in names:
        if name not in FEATURES:
            allowed = f'allowed are "" for none and {", ".join(FEATURES)}, joined by {JOINT}'
            raise ValueError(f'got "{name}", {allowed}')
        if names.count(name) > 1:
            raise ValueError(f'got "{name}" twice; leave one out')
    for pair in combinations(names, 2):
        if why := EXCLUDED.get(frozenset(pair)):
            raise ValueError(f"got {pair[0]} and {pair[1]}, which exclude each other: {why}; leave one out")
    return JOINT.join(name for name in FEATURES if name in names)


def routing_of(text: str) -> Routing:
    """What the features make of every route.

    Raises:
        ValueError: as in `normal`.
    """
    try:
        names = normal(text)
    except ValueError as error:
        raise ValueError(f"{FEATURES_VARIABLE}: {error}") from None
    routing = Routing()
    for name in filter(None, names.split(JOINT)):
        FEATURES[name](routing)
    return routing


def streamed(endpoint: Endpoint) -> Callable[..., Any]:
    """The same endpoint, `def` or `async def` as before, whose answer leaves in pieces."""
    if inspect.iscoroutinefunction(endpoint):

        async def by_coroutine(params: Any) -> StreamingResponse:
            return _stream(_async_pieces(_cut(await endpoint(params))))

        return by_coroutine

    def by_function(params: Any) -> StreamingResponse:
        return _stream(iter(_cut(endpoint(params))))

    return by_function


def _stream(pieces: Iterator[bytes] | AsyncIterator[bytes]) -> StreamingResponse:
    return StreamingResponse(pieces, media_type="application/json")


def _cut(answer: Any) -> Sequence[bytes]:
    body = json.dumps(answer, ensure_ascii=False, separators=(",", ":")).encode()
    size = math.ceil(len(body) / PIECES)
    return [body[start : start + size] for start in range(0, len(body), size)]


async def _async_pieces(pieces: Sequence[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


def _sync_dependency() -> None:
    done["sync_dependency"] += 1


async def _async_dependency() -> None:
    done["async_dependency"] += 1


def _yield_dependency() -> Iterator[None]:
    try:
        yield
    finally:
        done["yield_dependency"] += 1


async def _plan_background_task(tasks: BackgroundTasks) -> None:
    tasks.add_task(_background_task)


def _background_task() -> None:
    done["background_task"] += 1


class AsgiMiddleware:
    """Adds a header to the first message of an answer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Passes everything on but the start of an answer."""

        async def with_header(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), (HEADER.encode(), b"asgi")]
            await send(message)

        await self.app(scope, receive, with_header if scope["type"] == "http" else send)


class BaseMiddleware(BaseHTTPMiddleware):
    """Adds a header to the response object."""

    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        """As Starlette's documentation shows it."""
        response = await call_next(request)
        response.headers.append(HEADER, "base")
        return response
