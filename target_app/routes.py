"""Write an app's OpenAPI documents and routes as JSON, for commands that choose by themselves what to ask.

The harness copies this file beside the probe (probe.py) and runs it in the app's own interpreter, in the app's own
environment: `python loopwise_routes.py FILE`. So: standard library only, Python 3.9 or newer, and nothing of ours but
the probe, which imports the app as a server would. No lifespan is run. FILE gets

    {"documents": [{"prefix": "/sub", "document": {OpenAPI}, "is_served": false}],
     "hidden": [{"method": "GET", "path": "/internal"}],
     "left_out": ["/static (mounted StaticFiles)", "/ws (WebSocket)"],
     "interface": "asgi", "distributions": ["flask", "gunicorn"]}

A document comes from the app's method `openapi` (FastAPI), also of apps that are mounted in it; or else from the path
at which its framework serves one, and `is_served` says so. Hidden routes are in none of the documents; those of Flask
and Quart are read from the app's `url_map`.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults

import loopwise_probe  # probe.py under the name that the harness gives it

SERVED_AT = (
    "/openapi.json",
    "/schema/openapi.json",
    "/api/openapi.json",
    "/docs/openapi.json",
    "/swagger.json",
    "/api/schema/?format=json",
    "/apispec_1.json",
    "/spec.json",
)
"""Where Quart-Schema, Litestar, Django Ninja, drf-spectacular and Flasgger serve theirs, and many of OpenAPI 2."""
ANSWER_TIMEOUT_S = 5.0
DOCUMENTATION = ("openapi_url", "docs_url", "redoc_url", "swagger_ui_oauth2_redirect_url")
"""Attributes of a FastAPI app with the paths of its own documentation, which nobody measures."""
DEPTH = 8
"""Apps in apps that are followed; more is a circle."""


class Listing:
    """Documents and routes of an app and of what is mounted in it."""

    def __init__(self) -> None:
        self.documents: list[dict[str, Any]] = []
        self.hidden: list[dict[str, str]] = []
        self.left_out: list[str] = []
        self.interface = "asgi"
        self.distributions = list(loopwise_probe.distributions(sys.path))

    def add(self, app: Any, prefix: str = "", depth: int = 0) -> None:
        """Add the document and the routes of an app and of what is mounted in it."""
        app = _unwrapped(app)
        routes = [each for each in _routes(app) if getattr(each, "path", None) is not None]
        described = self._add_document(app, prefix, {_plain(each.path) for each in routes})
        own_pages = {getattr(app, name, None) for name in DOCUMENTATION}
        for route in routes:
            methods = set(getattr(route, "methods", None) or ())
            if route.path in own_pages or any((method, _plain(route.path)) in described for method in methods):
                continue
            if methods:
                own = methods - ({"HEAD"} if "GET" in methods else set())
                self.hidden += [{"method": method, "path": prefix + _plain(route.path)} for method in sorted(own)]
            elif depth < DEPTH and _routes(getattr(route, "app", None)):
                self.add(route.app, prefix + _root_path(app) + route.path, depth + 1)
            else:
                self.left_out.append(f"{prefix}{route.path} ({_kind(route)})")

    def add_rules(self, app: Any) -> None:
        """Add the routes of a Flask or Quart app."""
        rules = getattr(getattr(app, "url_map", None), "iter_rules", None)
        for rule in () if rules is None else rules():
            path = re.sub(r"<(?:[^:<>]*:)?([^<>]*)>", r"{\1}", str(rule.rule))
            methods = set(rule.methods or ())
            if rule.endpoint == "static" or not methods:
                self.left_out.append(f"{path} ({'static files' if methods else 'WebSocket'})")
                continue
            own = methods - {"OPTIONS"} - ({"HEAD"} if "GET" in methods else set())
            self.hidden += [{"method": method, "path": path} for method in sorted(own)]

    def _add_document(self, app: Any, prefix: str, routed: set[str]) -> set[tuple[str, str]]:
        """Add an app's own document; returns the methods and paths in it."""
        make = getattr(app, "openapi", None)
        try:
            document = make() if callable(make) else None
        except Exception as error:  # its models can't be described: the app works all the same
            self.left_out.append(f"the document of {prefix or '/'} ({type(error).__name__}: {error})")
            return set()
        if not isinstance(document, dict) or not isinstance(document.get("paths"), dict):
            return set()
        # A document made by hand may show the paths of a mounted app, which has them under its prefix alone.
        own = {path: item for path, item in document["paths"].items() if not routed or path in routed}
        if other := len(document["paths"]) - len(own):
            self.left_out.append(f"{other} paths of the document of {prefix or '/'} (no route has them)")
        self.documents.append({"prefix": prefix, "document": {**document, "paths": own}, "is_served": False})
        return {(method.upper(), path) for path, item in own.items() if isinstance(item, dict) for method in item}


def _unwrapped(app: Any) -> Any:
    """The app inside of middleware such as `CORSMiddleware(app)`, if that has routes."""
    inner = app
    for _ in range(DEPTH):
        if any(getattr(inner, name, None) for name in ("openapi", "routes", "url_map")):
            return inner
        inner = getattr(inner, "app", None)
    return app


def _root_path(app: Any) -> str:
    """The prefix without which what is mounted in an app is not found: Starlette counts its `root_path` in there."""
    if not hasattr(sys.modules.get("starlette._utils"), "get_route_path"):
        return ""  # before 0.33 it did not
    return str(getattr(app, "root_path", "") or "").rstrip("/")


def _routes(app: Any) -> Iterable[Any]:
    """The routes of a Starlette or FastAPI app, those of included routers among them; [] for anything else."""
    routes = getattr(app, "routes", None)
    if not isinstance(routes, list):
        return []
    routing = sys.modules.get("fastapi.routing")
    contexts = getattr(routing, "iter_route_contexts", None)  # FastAPI's own way, where it keeps routers apart
    return routes if contexts is None else list(_effective(contexts(routes)))


def _effective(contexts: Iterable[Any]) -> Iterator[Any]:
    for each in contexts:
        route = each.original_route
        yield each if getattr(route, "methods", None) is not None else getattr(each, "_effective_route", route)


def _plain(path: str) -> str:
    """A path as documents write it: `/files/{name:path}` becomes `/files/{name}`."""
    head, *parts = path.split("{")
    return head + "".join(
        "{" + name.partition(":")[0] + "}" + rest for name, _, rest in (p.partition("}") for p in parts)
    )


def _kind(route: Any) -> str:
    name = type(route).__name__
    if "WebSocket" in name:
        return "WebSocket"
    inner = getattr(route, "app", None)
    return name.lower() if inner is None else f"mounted {type(inner).__name__}"


async def _served_document(app: Any) -> dict[str, Any] | None:
    """The first document that the app serves at one of the usual paths."""
    for target in SERVED_AT:
        try:
            document = json.loads(await asyncio.wait_for(_body(app, target), ANSWER_TIMEOUT_S))
        except Exception:  # an app without such a path may do anything
            continue
        if _is_document(document):
            found: dict[str, Any] = document
            return found
    return None


def _is_document(found: Any) -> bool:
    return isinstance(found, dict) and isinstance(found.get("paths"), dict)


def _served_by_wsgi(app: Any) -> dict[str, Any] | None:
    """The same of a WSGI app, which is asked in a thread that nobody waits for any longer than that."""
    found: list[dict[str, Any]] = []

    def ask(target: str) -> None:
        try:
            document = json.loads(_wsgi_body(app, target))
        except Exception:  # as above
            return
        if _is_document(document):
            found.append(document)

    for target in SERVED_AT:
        thread = threading.Thread(target=ask, args=(target,), daemon=True)
        thread.start()
        thread.join(ANSWER_TIMEOUT_S)
        if found:
            return found[0]
    return None


def _wsgi_body(app: Any, target: str) -> bytes:
    """The body of a GET request to a WSGI app; empty unless it is answered with 200."""
    path, _, query = target.partition("?")
    environ: dict[str, Any] = {"PATH_INFO": path, "QUERY_STRING": query, "HTTP_ACCEPT": "application/json"}
    setup_testing_defaults(environ)
    statuses: list[str] = []
    answer = app(environ, lambda *told: statuses.append(told[0]))
    try:
        body = b"".join(answer)
    finally:
        getattr(answer, "close", lambda: None)()
    return body if statuses[-1].startswith("200") else b""


async def _body(app: Any, target: str) -> bytes:
    """The body of a GET request that is made without a server; empty unless it is answered with 200."""
    path, _, query = target.partition("?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(b"host", b"127.0.0.1"), (b"accept", b"application/json")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
        "state": {},
        "extensions": {},
    }
    pieces: list[bytes] = []
    status = 0
    gone = asyncio.Event()

    async def receive() -> dict[str, Any]:
        if not gone.is_set():
            gone.set()
            return {"type": "http.request", "body": b"", "more_body": False}
        await asyncio.Event().wait()  # nobody hangs up
        raise AssertionError

    async def send(message: dict[str, Any]) -> None:
        nonlocal status
        status = message.get("status", status)
        pieces.append(message.get("body", b""))

    await app(scope, receive, send)
    return b"".join(pieces) if status == 200 else b""


def main(target: str) -> None:
    """Write the listing of the probe's app to a file."""
    listing = Listing()
    app = loopwise_probe.app.app
    listing.interface = loopwise_probe.interface_of(app) or "asgi"
    listing.add(app)
    if not listing.documents:
        listing.add_rules(_unwrapped(app))
    is_wsgi = listing.interface == loopwise_probe.WSGI
    document = None
    if not listing.documents:
        document = _served_by_wsgi(app) if is_wsgi else asyncio.run(_served_document(app))
    if document is not None:
        listing.documents.append({"prefix": "", "document": document, "is_served": True})
        listing.hidden.clear()  # by its own document the app says what it offers
    text = json.dumps(vars(listing), default=str)  # a date in an example
    Path(target).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
