"""Wrapper of the measured app: loads it, sets its thread pool and reports readiness.

The harness copies this file as `loopwise_probe.py` to a folder on PYTHONPATH and starts the server on
`loopwise_probe:app`, in the interpreter that the measured app belongs to. So: standard library only, Python
3.9 or newer, and nothing of ours. The environment says what to do:

LOOPWISE_APP      `module:attribute`, `module:factory()`; the attribute may be dotted
LOOPWISE_APP_DIR  folder that is put first on sys.path
LOOPWISE_FACTORY_ARGS  keyword arguments of the factory, as JSON; unset: none
LOOPWISE_INTERFACE  `asgi` (also if unset); `wsgi`: the wrapper is that of wsgi_probe.py; `a2wsgi`: a WSGI app is made
                  an ASGI app by the package a2wsgi; `any`: the app is only looked at, whichever it is
LOOPWISE_THREADS  tokens of AnyIO's thread limiter, in every worker process; unset leaves AnyIO's default. Of a WSGI
                  app its threads, which its server sets (unset: not known), or those of a2wsgi
LOOPWISE_TELEMETRY  folder to which every worker writes its figures (instruments.py); unset: nothing is measured
LOOPWISE_PROBE    `off`: nothing is measured either

`GET /.loopwise/ready` describes the process that serves; everything else goes to the app untouched.

An app can have pools of its own watched, if it is served by us: `GAUGES` takes a function per pool, which gives the
numbers of its places, of those in use, and of those who wait for one: `{"max": 4, "busy": 4, "queued": 11}`. It is
called from a thread, ten times a second. Names that causes are found for: `process_pool` and `dependency_pool`.

    if (probe := sys.modules.get("loopwise_probe")) is not None:
        probe.GAUGES["dependency_pool"] = lambda: {"max": pool.size, "busy": pool.used, "queued": pool.waiting}
"""

from __future__ import annotations

import asyncio
import difflib
import importlib
import importlib.metadata
import inspect
import json
import os
import platform
import re
import socket
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from pathlib import Path
from typing import Any

READY_PATH = "/.loopwise/ready"
PROBE_ERROR = "loopwise_probe.AppError: "
"""Begins the line that the harness takes for the reason of a failed start, as a traceback's last line does."""
REPORTED_PACKAGES = [
    "fastapi",
    "starlette",
    "pydantic",
    "anyio",
    "uvloop",
    "httptools",
    "h11",
    "httpx",
    "psycopg",
    "asyncpg",
    "aiosqlite",
]
"""Packages that affect a server's performance, beside the server's own (LOOPWISE_PACKAGES)."""

ASGI, WSGI, A2WSGI, ANY = "asgi", "wsgi", "a2wsgi", "any"
SERVE_WSGI = (
    'set interface = "wsgi" and server = "gunicorn" or "granian" (on a command line: --set matrix.interface=wsgi '
    '--set matrix.server=gunicorn), or interface = "a2wsgi" under any server'
)

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Message, Receive, Send], Awaitable[None]]


GAUGES: dict[str, Callable[[], Mapping[str, int]]] = {}
"""Pools that the app registers to be sampled, see above."""


PROJECT_DEPTH = 3
"""Folders above `src/package/module`."""


class AppError(Exception):
    """The app cannot be served; the message is one sentence for the person who named it."""


def load_app(target: str, folder: str | None = None, interface: str = ASGI) -> Any:
    """Import `module:attribute` or call `module:factory()`, with `folder` first on sys.path.

    Raises:
        AppError: it cannot be imported, found or called, or it is no app of this interface. The cause is chained.
    """
    if folder and sys.path[:1] != [folder]:
        sys.path.insert(0, folder)
    module_name, colon, attribute = target.partition(":")
    if not (module_name and colon and attribute):
        raise AppError(f'LOOPWISE_APP: got "{target}", allowed is "module:attribute" or "module:factory()"')
    where = f'cannot serve "{target}" from {folder or Path.cwd()} with {sys.executable}'
    try:
        found: Any = importlib.import_module(module_name)
    except AppError:
        raise  # a wrapper's own sentence, on the app that it loads
    except (Exception, SystemExit) as error:
        raise AppError(f"{where}: importing {module_name} raised {_one_line(error)}{_other_folder()}") from error
    path = attribute[:-2] if attribute.endswith("()") else attribute
    for name in path.split("."):
        found = _attribute(found, name, where)
    if attribute.endswith("()"):
        arguments = json.loads(os.environ.get("LOOPWISE_FACTORY_ARGS") or "{}")
        try:
            found = found(**arguments)
        except (Exception, SystemExit) as error:
            call = f"{path}({_assigned(arguments)})"
            raise AppError(f"{where}: calling {call} raised {_one_line(error)}{_other_folder()}") from error
    _check_interface(found, interface, target, where)
    return found


def _assigned(arguments: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in arguments.items())


def _other_folder() -> str:
    """Name the folder above the working directory that has a .env, which is where the app is used to be started."""
    here = Path.cwd()
    for folder in (here, *here.parents[:PROJECT_DEPTH]):
        if (folder / ".env").is_file():
            break
    else:
        return ""
    return f"; it was started in {here}, and {folder} has a .env: name that as `cwd` (--cwd)" if folder != here else ""


def _one_line(error: BaseException) -> str:
    """An exception in one line: `ModuleNotFoundError: No module named 'redis'`."""
    return " ".join(f"{type(error).__name__}: {error}".split()).rstrip(": ")


def _attribute(owner: Any, name: str, where: str) -> Any:
    try:
        return getattr(owner, name)
    except AttributeError:
        similar = difflib.get_close_matches(name, dir(owner), n=3)
        public = [known for known in dir(owner) if not known.startswith("_")]
        known = f"did you mean {' or '.join(similar)}?" if similar else f"it has {', '.join(public[:12]) or 'none'}"
        owner_name = getattr(owner, "__name__", type(owner).__name__)
        raise AppError(f'{where}: {owner_name} has no attribute "{name}"; {known}') from None


def interface_of(app: Any) -> str | None:
    """Return `asgi` or `wsgi`, by what a callable takes; None: it is no app of either kind."""
    if not callable(app):
        return None
    try:
        signature = inspect.signature(app)
    except (TypeError, ValueError):
        return ASGI  # Compiled callables don't tell.
    is_open = any(each.kind == each.VAR_POSITIONAL for each in signature.parameters.values())
    if _binds(signature, 0) and not is_open:
        return None  # A factory with nothing but optional arguments.
    is_class = inspect.isclass(app)
    if _binds(signature, 3):
        # The answer of a class is its instance.
        return ASGI if not is_class or hasattr(app, "__await__") else None
    is_wsgi = hasattr(app, "__iter__") if is_class else not _is_coroutine_function(app)
    return WSGI if is_wsgi and _binds(signature, 2) else None


def _binds(signature: inspect.Signature, count: int) -> bool:
    """Whether a callable can be called with so many arguments."""
    try:
        signature.bind(*range(count))
    except TypeError:
        return False
    return True


def _is_coroutine_function(app: Any) -> bool:
    return inspect.iscoroutinefunction(app) or inspect.iscoroutinefunction(type(app).__call__)


def _check_interface(app: Any, wanted: str, target: str, where: str) -> None:
    """Refuse, before any request, an object that is no app of the wanted interface."""
    found = interface_of(app)
    expected = ASGI if wanted == ASGI else WSGI
    if found == expected or (found is not None and wanted == ANY):
        return
    name = "app" if wanted == ANY else f"{expected.upper()} app"
    if not callable(app):
        raise AppError(f"{where}: it is of type {type(app).__name__}, which is no {name}; {_inner_app(app)}")
    called = f'if it makes the app, write "{target}()"' if not target.endswith("()") else "name the app itself"
    is_class = inspect.isclass(app)
    try:
        takes = ", ".join(inspect.signature(app).parameters)
    except (TypeError, ValueError):
        takes = "what it does not tell"
    if is_class and found is None and _binds(inspect.signature(app), 3):
        raise AppError(f"{where}: it is a class, whose instances can't be awaited as an answer; {called}")
    if found == WSGI:
        raise AppError(f"{where}: it takes ({takes}), so it is a WSGI app; {SERVE_WSGI}")
    if found == ASGI:
        raise AppError(f"{where}: it takes ({takes}), so it is an ASGI app; leave `interface` out")
    if (inspect.isroutine(app) or is_class) and not target.endswith("()") and not _is_coroutine_function(app):
        hint = called
    elif _binds(inspect.signature(app), 1) and wanted != WSGI:
        hint = "of an app of ASGI 2 make one by asgiref.compatibility.guarantee_single_callable(app)"
    else:
        hint = f"name the {name} itself"
    known = {ASGI: "(scope, receive, send)", WSGI: "(environ, start_response), without async"}
    allowed = known[expected] if wanted != ANY else "(scope, receive, send) or (environ, start_response)"
    raise AppError(f"{where}: it takes ({takes}), the {name} of a server takes {allowed}; {hint}")


def _inner_app(found: Any) -> str:
    """Advice on an attribute that is no app: a module may have one."""
    if inspect.ismodule(found):
        inside = next((name for name in ("app", "application") if hasattr(found, name)), "app")
        return f'name the app in it: "{found.__name__}:{inside}"'
    return "name the app itself"


def thread_tokens(text: str | None) -> int | None:
    """Parse LOOPWISE_THREADS; None where it is not set.

    Raises:
        AppError: it is no number above 0, or this interpreter has no AnyIO to set it in.
    """
    if not text:
        return None
    if not text.isdecimal() or int(text) < 1:
        raise AppError(f'LOOPWISE_THREADS: got "{text}", allowed is a whole number above 0')
    try:
        importlib.import_module("anyio.to_thread")
    except ImportError as error:
        raise AppError(
            f"LOOPWISE_THREADS sets AnyIO's thread pool, which {sys.executable} cannot import ({error});"
            " leave threads out, or install anyio there"
        ) from error
    return int(text)


class Probe:
    """ASGI wrapper around the measured app, one per worker process."""

    def __init__(
        self, app: ASGIApp, threads: int | None = None, telemetry: str | None = None, serving: Any = None
    ) -> None:
        self.app = app
        self.threads = threads
        self.telemetry = telemetry
        self.serving = serving
        """Executor whose threads serve requests instead of AnyIO's; None: there is none."""
        self._instruments: Any = None
        self._ready = False
        self._server_sent_lifespan = False
        self._facts: bytes | None = None

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Pass everything on but the ready path; a measured request pays for the first branch only."""
        if self._ready and scope.get("path") != READY_PATH:
            instruments = self._instruments
            if instruments is None or scope["type"] != "http":
                await self.app(scope, receive, send)
                return
            instruments.enter()
            try:
                await self.app(scope, receive, send)
            finally:
                instruments.leave()
        elif scope["type"] == "lifespan":
            await self._run_lifespan(scope, receive, send)
        else:
            await self._answer_unready(scope, receive, send)

    async def _answer_unready(self, scope: Message, receive: Receive, send: Send) -> None:
        """Handle requests for the ready path, and those before the app is ready."""
        if not (self._ready or self._server_sent_lifespan):
            # Servers send lifespan before any request, or not at all.
            self._set_up()
            self._ready = True
        if scope["path"] == READY_PATH and scope["type"] == "http" and scope["method"] == "GET":
            await self._answer(scope, send)
        else:
            await self.app(scope, receive, send)

    async def _run_lifespan(self, scope: Message, receive: Receive, send: Send) -> None:
        """Pass the lifespan on and watch for the end of start-up."""
        failed = False

        async def watch(message: Message) -> None:
            nonlocal failed
            if message["type"] == "lifespan.startup.failed":
                failed = True
                _tell_failed_start(str(message.get("message", "")))
            self._ready = self._ready or message["type"] == "lifespan.startup.complete"
            await send(message)

        self._server_sent_lifespan = True
        self._set_up()
        try:
            answer: Any = self.app(scope, receive, watch)
            if answer is not None and not inspect.isawaitable(answer):
                failed = True
                kind = type(answer).__name__
                _tell_failed_start(
                    f"called with (scope, receive, send) it returned a {kind}, which can't be awaited, so it is no ASGI"
                    " app; name the app itself"
                )
            await answer
        finally:
            # An app that leaves before it completes start-up knows no lifespan; servers serve it anyway.
            self._ready = not failed

    def _set_up(self) -> None:
        """Do what needs the running event loop, before the app runs on it."""
        if self.threads is not None:
            import anyio.to_thread  # not every app's environment has AnyIO

            anyio.to_thread.current_default_thread_limiter().total_tokens = self.threads
        if self.telemetry is not None and self._instruments is None:
            module = importlib.import_module("loopwise_instruments")  # it lies beside us where it is wanted
            self._instruments = module.Instruments(self.telemetry, GAUGES)
            self._instruments.waits = importlib.import_module("loopwise_waits.watching")
            self._instruments.stacks = stacks(asyncio.get_running_loop())
            self._instruments.serving = self.serving
            self._instruments.start(asyncio.get_running_loop())
            self._instruments.limiter = _limiter()

    async def _answer(self, scope: Message, send: Send) -> None:
        if self._instruments is not None and self._instruments.limiter is None:
            self._instruments.limiter = _limiter()
        if self._ready and self._facts is None:
            threads = _tokens_in_use() if self.serving is None else self.serving._max_workers
            facts = describe_process(asyncio.get_running_loop(), threads)
            self._facts = json.dumps({**facts, "nodelay": has_nodelay(scope)}).encode()
        status, body = (200, self._facts) if self._facts is not None else (503, b'{"detail": "starting"}')
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def _tell_failed_start(message: str) -> None:
    """Write why the app's lifespan failed to the log, as an import's failure ends: a supervisor may try for ever."""
    lines = [line for line in message.splitlines() if line.strip()]
    # Starlette sends a traceback, others a sentence: its last line says it.
    reason = f": {lines[-1].strip()}" if lines else "; its log says why"
    target = os.environ.get("LOOPWISE_APP", "the app")
    text = f'{PROBE_ERROR}cannot serve "{target}" with {sys.executable}: its start-up failed{reason}\n'
    os.write(2, text.encode(errors="replace"))


def describe_process(loop: Any, threads: int | None) -> dict[str, Any]:
    """Describe this process: pid, parent, threads (None: not known), loop (None: none), Python, package versions."""
    kind = type(loop)
    return {
        "pid": os.getpid(),
        "ppid": os.getppid(),
        "threads": threads,
        "loop": None if loop is None else f"{kind.__module__}.{kind.__qualname__}",
        "python": platform.python_version(),
        "versions": _versions(),
        "distributions": distributions(sys.path),
    }


def has_nodelay(scope: Message) -> bool | None:
    """Return whether a request's connection sends at once (TCP_NODELAY); None on other loops than asyncio's.

    asyncio sets it only where the listening socket names its protocol, which those that supervisors share don't.
    """
    peer = tuple(scope.get("client") or ())[:2]
    for transport in list(getattr(asyncio.get_running_loop(), "_transports", {}).values()):
        if tuple(transport.get_extra_info("peername") or ())[:2] == peer != ():
            found = transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            return bool(found)
    return None


def _tokens_in_use() -> int | None:
    """Return AnyIO's limit in this loop; None if AnyIO is not loaded or has no limit (JSON has no inf)."""
    limiter = _limiter()
    return limiter.total_tokens if limiter and isinstance(limiter.total_tokens, int) else None


def stacks(loop: Any) -> Any:
    """Return what looks where threads and the tasks of a loop stand; None: there is no loop."""
    return importlib.import_module("loopwise_stacks").Stacks(_files(), loop)


def _files() -> Any:
    """Return what tells the app's own files from others."""
    folder = os.environ.get("LOOPWISE_APP_DIR") or os.curdir
    package = re.split("[.:]", os.environ.get("LOOPWISE_APP", ""))[0]
    return importlib.import_module("loopwise_places").Places(folder, str(Path(__file__).parent), package)


def _limiter() -> Any:
    """Return AnyIO's default limiter of the running loop; None while AnyIO is not loaded."""
    to_thread: Any = sys.modules.get("anyio.to_thread")
    return None if to_thread is None else to_thread.current_default_thread_limiter()


def _versions() -> dict[str, str]:
    found = {}
    servers = filter(None, os.environ.get("LOOPWISE_PACKAGES", "").split(","))
    for package in (*REPORTED_PACKAGES, *servers):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def distributions(folders: Iterable[str]) -> dict[str, str]:
    """Return all installed distributions by normalized name, read from the names of their folders, which is fast."""
    found: dict[str, str] = {}
    for folder in folders:
        try:
            entries = sorted(Path(folder or os.curdir).iterdir())
        except OSError:
            continue  # a zip file, or a folder that isn't there
        for entry in entries:
            kind = entry.suffix
            name, _, version = entry.stem.partition("-")
            if kind in (".dist-info", ".egg-info") and version:
                version = version.partition("-py")[0] if kind == ".egg-info" else version
                # The first one on the path is the one that is imported.
                found.setdefault(re.sub(r"[-_.]+", "-", name).lower(), version)
    return dict(sorted(found.items()))


def telemetry_folder(environ: Mapping[str, str]) -> str | None:
    """Return the folder to write figures to; None: measure nothing."""
    folder = environ.get("LOOPWISE_TELEMETRY")
    return folder if folder and environ.get("LOOPWISE_PROBE") != "off" else None


def watch_waits(environ: Mapping[str, str]) -> None:
    """Watch what the app imports and makes, where anything is measured."""
    if telemetry_folder(environ) is not None:
        importlib.import_module("loopwise_waits.watching").watch(_files())  # it lies beside us where it is wanted


def wrapped(environ: Mapping[str, str]) -> Any:
    """Load the app that the environment names, and wrap it as the environment says.

    Raises:
        AppError: it cannot be served like that.
    """
    interface = environ.get("LOOPWISE_INTERFACE") or ASGI
    found = load_app(environ.get("LOOPWISE_APP", ""), environ.get("LOOPWISE_APP_DIR"), interface)
    telemetry = telemetry_folder(environ)
    if interface == WSGI:
        threads = environ.get("LOOPWISE_THREADS")
        return importlib.import_module("loopwise_wsgi").WsgiProbe(found, int(threads) if threads else None, telemetry)
    if interface == A2WSGI:
        found = _as_asgi(found, environ.get("LOOPWISE_THREADS"))
        return Probe(found, None, telemetry, found.executor)
    return Probe(found, thread_tokens(environ.get("LOOPWISE_THREADS")), telemetry)


def _as_asgi(app: Any, threads: str | None) -> Any:
    """Wrap a WSGI app by the package a2wsgi, which is the user's own."""
    try:
        a2wsgi: Any = importlib.import_module("a2wsgi")
    except ImportError as error:
        raise AppError(
            f'interface = "a2wsgi" serves a WSGI app by the package a2wsgi, which {sys.executable} cannot import'
            f" ({error}); run: {sys.executable} -m pip install a2wsgi"
        ) from error
    return a2wsgi.WSGIMiddleware(app, workers=int(threads)) if threads else a2wsgi.WSGIMiddleware(app)


watch_waits(os.environ)
app = wrapped(os.environ)
