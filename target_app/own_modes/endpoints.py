"""Find the function that an app calls for a request, and replace it. Standard library only, Python 3.9.

It works on the routes of FastAPI from 0.100 on and of Starlette: in memory, on this process's own objects. All else of
a route stays: its dependencies, models, status codes, background tasks, and its part of the OpenAPI document.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import unquote

from .calls import Call, ModeError, function_of, is_async, place, refuse_unnamed, streams

DEPTH = 16
"""Apps in apps that are followed; more is a circle."""
FULL = 2
"""Value of starlette.routing.Match.FULL."""
FILLED_IN = {
    "background_tasks_param_name": "BackgroundTasks",
    "response_param_name": "Response",
    "request_param_name": "Request",
    "http_connection_param_name": "HTTPConnection",
}
"""Attributes of FastAPI's Dependant with the names of parameters that live in the request."""


class Endpoint:
    """A route's function, and how it is replaced."""

    def __init__(self, route: Any) -> None:
        self.route = route
        self.dependant = getattr(route, "dependant", None)
        """FastAPI's description of function and dependencies; None of a Starlette route."""
        self.call: Call = route.endpoint if self.dependant is None else self.dependant.call

    @property
    def written(self) -> str:
        """How it is written: `def` or `async def`."""
        return "async def" if is_async(self.call) else "def"

    def refuse(self, mode: str) -> None:
        """Refuse a function that can't be run in a mode, as far as can be told without a request.

        Raises:
            ModeError: it can't.
        """
        if isinstance(function_of(self.call), type):
            raise ModeError(f"it is a class ({place(self.call)}), which answers requests by itself; name a function")
        if streams(self.call):
            raise ModeError(f"it is a generator ({place(self.call)}), which the framework runs piece by piece")
        if mode == "process":
            refuse_unnamed(self.call)
            for attribute, kind in FILLED_IN.items():
                if (name := getattr(self.dependant, attribute, None)) is not None:
                    raise ModeError(
                        f"its argument {name} ({kind}) belongs to this process's request ({place(self.call)})"
                    )

    def replace(self, call: Call) -> None:
        """Let the framework call another function instead.

        Raises:
            ModeError: the route is not built as it is known here.
        """
        if self.dependant is None:
            _replace_handler(self.route, call)
        else:
            _set_call(self.dependant, call)
            self._rebuild()
        self.route.endpoint = call

    def _rebuild(self) -> None:
        """Build the route's ASGI app anew, as FastAPI did: it decides at that time whether to await its function."""
        routing: Any = importlib.import_module("fastapi.routing")
        original = getattr(self.route, "original_route", self.route)
        if not hasattr(self.route, "app"):
            return  # of included routers, FastAPI before 0.141 builds it for each request
        token = None
        if original is not self.route:  # a route of an included router, with all that the inclusion adds
            token = routing._effective_route_context_var.set(self.route)
        try:
            app = routing.request_response(original.get_route_handler())
        finally:
            if token is not None:
                routing._effective_route_context_var.reset(token)
        if (limit := getattr(self.route, "max_body_size", None)) is not None:
            app = routing.wrap_app_with_body_limit(app, limit)
        self.route.app = app

    def dependencies(self) -> Iterator[Any]:
        """Yield what FastAPI knows of each dependency, those of dependencies included."""
        left = list(self.dependant.dependencies) if self.dependant is not None else []
        while left:
            each = left.pop(0)
            left += each.dependencies
            yield each

    def replace_dependencies(self, replacement: Callable[[Call], Call]) -> None:
        """Replace the functions of all dependencies; classes and generators stay, and so do overridden ones' places."""
        provider = getattr(self.route, "dependency_overrides_provider", None)
        overrides = getattr(provider, "dependency_overrides", None) or {}
        made: dict[Any, Call] = {}
        for each in self.dependencies():
            call = overrides.get(each.call, each.call)
            if isinstance(function_of(call), type) or streams(call):
                continue
            made.setdefault(call, replacement(call))
            if each.call in overrides:
                overrides[each.call] = made[call]
            elif each.call not in made.values():
                _set_call(each, made[call])


def _set_call(dependant: Any, call: Call) -> None:
    dependant.call = call
    for name in list(getattr(dependant, "__dict__", {})):
        # FastAPI 0.121 to 0.136 keeps what it once found out about the function.
        if hasattr(getattr(type(dependant), name, None), "__set_name__"):
            del dependant.__dict__[name]


def _replace_handler(route: Any, call: Call) -> None:
    """Replace the function of a Starlette route, inside of the route's own middleware."""
    routing: Any = importlib.import_module("starlette.routing")
    app = routing.request_response(call)
    owner = route
    for _ in range(DEPTH):
        if getattr(owner.app, "__qualname__", "").startswith("request_response."):
            owner.app = app
            return
        if not hasattr(owner.app, "app"):
            break
        owner = owner.app
    raise ModeError(f"its route is answered by a {type(owner.app).__name__}, not by a function")


def find(app: Any, method: str, path: str) -> Endpoint:
    """Find the function that an app calls for a request.

    Args:
        app: of FastAPI or Starlette, perhaps within middleware.
        method: `GET`.
        path: as it is requested, perhaps with a query.

    Raises:
        ModeError: the app is another framework's, or has no such route.
    """
    if "starlette.routing" not in sys.modules:
        raise ModeError("the app is none of FastAPI or Starlette, whose routes are known here")
    scope: dict[str, Any] = {
        "type": "http",
        "method": method,
        "path": unquote(path.partition("?")[0]),
        "root_path": "",
        "query_string": path.partition("?")[2].encode(),
        "headers": [(b"host", b"127.0.0.1")],
        "path_params": {},
    }
    for _ in range(DEPTH):
        app = _with_routes(app)
        scope["root_path"] = getattr(app, "root_path", "") or scope["root_path"]
        route, child = _matching(_routes(app), scope)
        if getattr(route, "endpoint", None) is not None:
            return Endpoint(route)
        scope.update(child)
        app = getattr(route, "app", None)
    raise ModeError("its apps are mounted in a circle")


def _with_routes(app: Any) -> Any:
    """Return the app inside of middleware that has routes."""
    inner = app
    for _ in range(DEPTH):
        if isinstance(getattr(inner, "routes", None), list):
            return inner
        inner = getattr(inner, "app", None)
    raise ModeError(f"it is answered by a {type(app).__name__}, none of FastAPI's or Starlette's apps with routes")


def _routes(app: Any) -> Iterable[Any]:
    """Return the routes as they are matched, those of included routers among them."""
    routing = sys.modules.get("fastapi.routing")
    contexts = getattr(routing, "iter_route_contexts", None)  # where FastAPI keeps included routers apart
    return app.routes if contexts is None else [each._effective_route for each in contexts(app.routes)]


def _matching(routes: Iterable[Any], scope: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    partial = False
    for route in routes:
        match, child = route.matches(dict(scope))
        if match.value == FULL:
            return route, child
        partial = partial or match.value > 0
    words = "its path has a route for other methods only" if partial else "the app has no route for it"
    raise ModeError(f"{words}; correct the endpoint")
