"""Each server's command line, and the suite keys that it has nothing for.

To add a server: one function that makes its command line, a line in SERVERS, and what it can't do in REFUSALS.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from loopwise.model import Server

HOST = "127.0.0.1"
ENTRY = "loopwise_probe:app"
GRACE_S = "2"
"""How long every server lets requests in flight end, once it is told to stop."""
GRANIAN_CONNECTIONS = 1024
"""granian takes as many connections as its default backlog is long, shared among its workers."""


def uvicorn_argv(server: Server, python: str, port: int, scratch: Path) -> list[str]:
    """uvicorn; with several workers, under its own supervisor, which shares one socket among them."""
    del scratch
    argv = [python, "-m", "uvicorn", ENTRY, "--host", HOST, "--port", str(port), "--no-access-log"]
    argv += ["--log-level", "warning", "--loop", server.loop, "--http", server.http]
    argv += ["--timeout-graceful-shutdown", GRACE_S]
    if server.workers > 1:
        argv += ["--workers", str(server.workers)]
    if server.limit_concurrency is not None:
        argv += ["--limit-concurrency", str(server.limit_concurrency)]
    return [*argv, *_backlog(server)]


def gunicorn_argv(server: Server, python: str, port: int, scratch: Path) -> list[str]:
    """Gunicorn with the worker class of the package uvicorn-worker, configured by target_app/gunicorn_conf.py."""
    argv = [python, "-m", "gunicorn", ENTRY, "-c", str(scratch / "gunicorn_conf.py")]
    return [*argv, *_gunicorn_options(server, port), *_backlog(server)]


def gunicorn_asgi_argv(server: Server, python: str, port: int, scratch: Path) -> list[str]:
    """Gunicorn (25 or newer) with its own ASGI worker, which parses HTTP by itself."""
    del scratch
    argv = [python, "-m", "gunicorn", ENTRY, "--worker-class", "asgi", "--asgi-loop", server.loop]
    argv += ["--log-level", "warning", "--no-control-socket"]
    return [*argv, *_gunicorn_options(server, port)]


def _gunicorn_options(server: Server, port: int) -> list[str]:
    # Timeout 0: both worker classes beat their heart on the event loop, so gunicorn would kill the worker whose
    # loop is blocked for 30 s, and that is what is to be measured.
    options = ["--bind", f"{HOST}:{port}", "--workers", str(server.workers)]
    return [*options, "--timeout", "0", "--graceful-timeout", GRACE_S]


def granian_argv(server: Server, python: str, port: int, scratch: Path) -> list[str]:
    """granian, whose HTTP is written in Rust; each worker has a listening socket of its own (SO_REUSEPORT)."""
    del scratch
    argv = [python, "-m", "granian", ENTRY, "--interface", "asgi", "--host", HOST, "--port", str(port)]
    argv += ["--workers", str(server.workers), "--loop", server.loop, "--log-level", "warning"]
    argv += ["--workers-kill-timeout", GRACE_S]
    if server.backlog is not None:
        # granian derives the connections it takes from the backlog; a key changes what it names and nothing else.
        argv += ["--backpressure", str(max(1, GRANIAN_CONNECTIONS // server.workers))]
    return [*argv, *_backlog(server)]


def hypercorn_argv(server: Server, python: str, port: int, scratch: Path) -> list[str]:
    """hypercorn, configured by target_app/hypercorn_conf.py; its workers share one listening socket."""
    loop = "asyncio" if server.loop == "auto" else server.loop  # hypercorn's own default
    argv = [python, "-m", "hypercorn", "-c", f"file:{scratch / 'hypercorn_conf.py'}"]
    argv += ["--bind", f"{HOST}:{port}", "--workers", str(server.workers), "--worker-class", loop]
    argv += ["--log-level", "warning", "--graceful-timeout", GRACE_S]
    return [*argv, *_backlog(server), ENTRY]


def _backlog(server: Server) -> list[str]:
    return [] if server.backlog is None else ["--backlog", str(server.backlog)]


SERVERS: dict[str, Callable[[Server, str, int, Path], list[str]]] = {
    "uvicorn": uvicorn_argv,
    "gunicorn": gunicorn_argv,
    "gunicorn-asgi": gunicorn_asgi_argv,
    "granian": granian_argv,
    "hypercorn": hypercorn_argv,
}
"""Command line by server name: (server, interpreter, port, scratch folder) -> argv."""


ASKS_ROOT_ALONE = frozenset({"hypercorn"})
"""Servers whose workers die of a SIGTERM at once, without the app's shutdown: only the supervisor gets one."""


class Refusal(NamedTuple):
    """A suite key that a server can't do, or not for every value."""

    accepts: Callable[[Any], bool]
    """Whether a value that was set is possible all the same."""
    allowed: str
    because: str


def _nothing(_value: Any) -> bool:
    return False


REFUSALS: dict[str, dict[str, Refusal]] = {
    "uvicorn": {},
    "gunicorn": {},
    "gunicorn-asgi": {
        "http": Refusal(lambda value: value == "auto", "auto", "its ASGI worker parses HTTP by itself"),
        "limit_concurrency": Refusal(_nothing, "no value", "its ASGI worker answers however many ask"),
        "backlog": Refusal(
            _nothing, "no value", "its ASGI worker sets the queue of the socket back to asyncio's 100"
        ),
    },
    "granian": {
        "http": Refusal(lambda value: value == "auto", "auto", "it parses HTTP by itself, in Rust"),
        "limit_concurrency": Refusal(
            _nothing, "no value", "it lets what is above its limit wait and never answers 503"
        ),
        "backlog": Refusal(lambda value: value >= 128, "128 or more", "it takes no shorter queue"),
    },
    "hypercorn": {
        "http": Refusal(lambda value: value in {"auto", "h11"}, "auto, h11", "it has h11 alone"),
        "limit_concurrency": Refusal(_nothing, "no value", "it has no such limit"),
    },
}
"""Server -> suite key -> what it can't do with it."""


def refusal(server: Server) -> tuple[str, str] | None:
    """The first key that the server can't do as asked, and the sentence for it; None if it can do all."""
    for key, refused in REFUSALS[server.name].items():
        value = getattr(server, key)
        if value is not None and not refused.accepts(value):
            return key, (
                f"got {value!r}, {server.name} can't: {refused.because} (allowed is {refused.allowed}); "
                f"remove {key} or give {server.name} an entry of its own"
            )
    return None


NEEDS: Mapping[str, Mapping[str, str]] = {
    "uvicorn": {"uvicorn": "uvicorn"},
    "gunicorn": {"gunicorn": "gunicorn", "uvicorn_worker": "uvicorn-worker"},
    "gunicorn-asgi": {"gunicorn": "gunicorn>=25"},
    "granian": {"granian": "granian"},
    "hypercorn": {"hypercorn": "hypercorn"},
}
"""Server -> module that the app's interpreter must have -> the package to install for it."""


def remedy(server: Server, python: str, log: str) -> str | None:
    """What to install, where a server's log says that it, or the event loop asked for, is not there."""
    wanted = dict(NEEDS[server.name])
    if server.loop == "uvloop":
        wanted["uvloop"] = "uvloop"
    for module, package in wanted.items():
        if re.search(
            rf"No module named '?{module}\b|{module} is not installed|'{module}' implementation not", log
        ):
            return f"{python} has no {module}; run: {python} -m pip install '{package}'"
    if server.name == "gunicorn-asgi" and "class uri" in log:
        return f"the gunicorn of {python} is too old; run: {python} -m pip install '{NEEDS[server.name]['gunicorn']}'"
    return None
