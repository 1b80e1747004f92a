"""Features of routes besides their workload: FEATURES maps each name to the function that adds it to every route.

LOOPWISE_FEATURES names them, joined by `+`: `response_model+sync_dependency`. Code that needs FastAPI or Starlette is
in web_features.py and is imported when a feature is added, so that listing the names loads no framework.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

from pydantic import JsonValue, RootModel

from target_app.dependencies import async_dependency, sync_dependency, yield_dependency

FEATURES_VARIABLE = "LOOPWISE_FEATURES"
JOINT = "+"


class Reply(RootModel[dict[str, JsonValue]]):
    """The model of every answer: pydantic checks each value of it."""


@dataclass
class Routing:
    """Settings shared by all routes of the app."""

    response_model: Any = None
    """None: FastAPI would send a `def` route to the thread pool a second time to validate its answer."""
    dependencies: list[Callable[..., Any]] = field(default_factory=list)
    middleware: list[Any] = field(default_factory=list)
    is_streamed: bool = False


def with_response_model(routing: Routing) -> None:
    """A response model: FastAPI validates each answer, that of a `def` route by a second trip to the thread pool."""
    routing.response_model = Reply


def with_sync_dependency(routing: Routing) -> None:
    """A `def` dependency: one more trip to the thread pool before the route."""
    routing.dependencies.append(sync_dependency)


def with_async_dependency(routing: Routing) -> None:
    """An `async def` dependency: awaited on the event loop before the route."""
    routing.dependencies.append(async_dependency)


def with_yield_dependency(routing: Routing) -> None:
    """A `def` dependency with `yield`: one trip to the thread pool before the route, another one after it."""
    routing.dependencies.append(yield_dependency)


def with_background_task(routing: Routing) -> None:
    """A `def` background task: a trip to the thread pool once the answer is sent."""
    from target_app.web_features import plan_background_task  # loads the web framework

    routing.dependencies.append(plan_background_task)


def with_streaming(routing: Routing) -> None:
    """The answer as a StreamingResponse of four pieces, each of a `def` route's by a trip to the thread pool."""
    routing.is_streamed = True


def with_middleware_asgi(routing: Routing) -> None:
    """A middleware in pure ASGI that adds a header."""
    from target_app.web_features import AsgiMiddleware  # loads the web framework

    routing.middleware.append(AsgiMiddleware)


def with_middleware_base(routing: Routing) -> None:
    """A middleware on Starlette's BaseHTTPMiddleware that adds a header: a task and a stream for each request."""
    from target_app.web_features import BaseMiddleware  # loads the web framework

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
    frozenset({"response_model", "streaming"}): "FastAPI sends a streamed answer as it is and validates nothing",
}
"""Features that can't stand together, and why."""


def description(feature: str) -> str:
    """Return one sentence about a feature."""
    return inspect.getdoc(FEATURES[feature]) or ""


def normal(text: str) -> str:
    """Return the features in the order of FEATURES, so that equal sets have equal text.

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
    """Build the routing that the features ask for.

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
