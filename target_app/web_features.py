"""Implementations of features that need FastAPI or Starlette: streaming, background tasks, middleware."""

import inspect
import json
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, MutableMapping, Sequence
from typing import Any

from fastapi import BackgroundTasks
from fastapi.responses import StreamingResponse
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import Response

from target_app.dependencies import background_task
from target_app.modes import Endpoint

PIECES = 4
"""Pieces of a streamed answer: enough to be more than one write, few enough for a small answer."""
HEADER = "x-loopwise-middleware"
"""Header that each middleware adds, so that it really touches the answer."""

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Message, Receive, Send], Awaitable[None]]


def streamed(endpoint: Endpoint) -> Callable[..., Any]:
    """Wrap an endpoint so that its answer is streamed in pieces; `def` stays `def`, `async def` stays `async def`."""
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


async def plan_background_task(tasks: BackgroundTasks) -> None:
    """Dependency that adds the background task: FastAPI passes a request's tasks to dependencies, too."""
    tasks.add_task(background_task)


class AsgiMiddleware:
    """Adds a header to the first message of an answer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Pass everything on, with the header added to the start of an answer."""

        async def with_header(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), (HEADER.encode(), b"asgi")]
            await send(message)

        await self.app(scope, receive, with_header if scope["type"] == "http" else send)


class BaseMiddleware(BaseHTTPMiddleware):
    """Adds a header to the response object."""

    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        """Call the app and add the header, as in Starlette's documentation."""
        response = await call_next(request)
        response.headers.append(HEADER, "base")
        return response
