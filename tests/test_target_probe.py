"""The probe in this very process: how it loads an app, tells that it is ready, and describes the process."""

import ast
import asyncio
import gc
import re
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, cast

import anyio.to_thread
import httpx
import pytest
from support.probe import PACKAGE, load_file

SHOP = '''
import contextlib

seen = []

async def raw(scope, receive, send):
    """Knows no lifespan, like many small ASGI apps."""
    seen.append(scope["type"])
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": scope["path"].encode()})

async def silent(scope, receive, send):
    seen.append(scope["type"])
    if scope["type"] == "http":
        await raw(scope, receive, send)

async def alive(scope, receive, send):
    if scope["type"] == "http":
        return await raw(scope, receive, send)
    seen.append((await receive())["type"])
    await send({"type": "lifespan.startup.complete"})
    seen.append((await receive())["type"])
    await send({"type": "lifespan.shutdown.complete"})

async def broken(scope, receive, send):
    if scope["type"] == "http":
        return await raw(scope, receive, send)
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "no database"})
    raise RuntimeError("no database")

class Factory:
    @staticmethod
    def make():
        return raw

def create_app():
    return raw

def fail():
    raise KeyError("DATABASE_URL")

def wsgi(environ, start_response):
    return []

class Flask:
    def __call__(self, environ, start_response):
        return []

flask = Flask()

class Older:
    """An app of ASGI 2."""
    def __call__(self, scope):
        return raw

class Plain:
    def __call__(self, scope, receive, send):
        return []

older, plain = Older(), Plain()

def create_with(debug=False, name=None, port=0):
    return raw

class LooksLikeAsgi:
    def __init__(self, scope, receive, send):
        pass

number = 3
'''

Probed = Callable[..., ModuleType]


@pytest.fixture
def probed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Probed:
    """Imports the probe as a server does, around an attribute of the module `probed_shop`."""
    (tmp_path / "probed_shop.py").write_text(SHOP)
    (tmp_path / "probed_typo.py").write_text("import package_that_is_missing\n")
    (tmp_path / "probed_exit.py").write_text("raise SystemExit('set SECRET first')\n")
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in ("probed_shop", "probed_typo", "probed_exit"):
        # setitem first, so that the import is undone whatever the test does.
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
        del sys.modules[name]

    def load(app: str, threads: str = "") -> ModuleType:
        monkeypatch.setenv("LOOPWISE_APP", app)
        monkeypatch.setenv("LOOPWISE_APP_DIR", str(tmp_path))
        monkeypatch.setenv("LOOPWISE_THREADS", threads)
        return load_file("probe.py")

    return load


class Server:
    """What a server does to an app: the lifespan, then requests, in one event loop."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.sent: list[str] = []
        self.inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def send(self, message: dict[str, Any]) -> None:
        self.sent.append(message["type"])

    async def start(self) -> asyncio.Task[None]:
        await self.inbox.put({"type": "lifespan.startup"})
        task = asyncio.create_task(self.app({"type": "lifespan"}, self.inbox.get, self.send))
        while not (self.sent or task.done()):
            await asyncio.sleep(0)
        return task

    async def stop(self, task: asyncio.Task[None]) -> None:
        await self.inbox.put({"type": "lifespan.shutdown"})
        await task

    async def get(self, path: str, method: str = "GET") -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://target") as client:
            return await client.request(method, path)


@pytest.mark.parametrize(
    "app",
    [
        "probed_shop:raw",
        "probed_shop:create_app()",
        "probed_shop:Factory.make()",
    ],
)
def test_an_app_is_found_by_attribute_factory_or_dotted_factory(app: str, probed: Probed) -> None:
    async def session() -> str:
        return (await Server(probed(app).app).get("/items/1")).text

    assert asyncio.run(session()) == "/items/1"


@pytest.mark.parametrize(
    ("app", "fragment"),
    [
        ("", 'LOOPWISE_APP: got "", allowed is "module:attribute" or "module:factory()"'),
        ("probed_shop", 'got "probed_shop", allowed is "module:attribute"'),
        (
            "probed_missing:app",
            "importing probed_missing raised ModuleNotFoundError: No module named 'probed_missing'",
        ),
        ("probed_typo:app", "ModuleNotFoundError: No module named 'package_that_is_missing'"),
        ("probed_exit:app", "importing probed_exit raised SystemExit: set SECRET first"),
        (
            "probed_shop:create_ap()",
            'probed_shop has no attribute "create_ap"; did you mean create_app or create_with?',
        ),
        (
            "probed_shop:zzz",
            'probed_shop has no attribute "zzz"; it has Factory, Flask, LooksLikeAsgi, Older, Plain, alive',
        ),
        ("probed_shop:Factory.mak()", 'Factory has no attribute "mak"; did you mean make?'),
        ("probed_shop:fail()", "calling fail() raised KeyError: 'DATABASE_URL'"),
        ("probed_shop:number", "it is of type int, which is no ASGI app"),
        ("probed_shop:create_app", 'if it makes the app, write "probed_shop:create_app()"'),
        ("probed_shop:Factory", 'if it makes the app, write "probed_shop:Factory()"'),
        ("probed_shop:LooksLikeAsgi", "it is a class, whose instances can't be awaited as an answer"),
        ("probed_shop:wsgi()", "calling wsgi() raised TypeError"),
        ("probed_shop:create_with", 'if it makes the app, write "probed_shop:create_with()"'),
        ("probed_shop:Plain", 'if it makes the app, write "probed_shop:Plain()"'),
        (
            "probed_shop:older",
            "it takes (scope), the ASGI app of a server takes (scope, receive, send); of an app of ASGI 2",
        ),
        ("probed_shop:contextlib", 'it is of type module, which is no ASGI app; name the app in it: "contextlib:app"'),
        ("probed_shop:flask", "it takes (environ, start_response), so it is a WSGI app"),
    ],
)
def test_an_app_that_cannot_be_served_is_told_in_one_sentence(app: str, fragment: str, probed: Probed) -> None:
    with pytest.raises(Exception, match=re.escape(fragment)) as caught:
        probed(app)
    assert type(caught.value).__name__ == "AppError"
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("place", "is_named"), [("../..", True), (".", False), (None, False)])
def test_an_import_that_fails_names_the_folder_above_that_has_a_dotenv(
    place: str | None, is_named: bool, probed: Probed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "src" / "shop"
    here.mkdir(parents=True)
    monkeypatch.chdir(here)
    if place is not None:
        (here / place / ".env").resolve().write_text("A=1\n", encoding="utf-8")
    with pytest.raises(Exception, match="KeyError: 'DATABASE_URL'") as caught:
        probed("probed_shop:fail()")
    hint = f"; it was started in {here}, and {tmp_path} has a .env: name that as `cwd` (--cwd)"
    assert str(caught.value).endswith(hint) == is_named


def test_the_sentence_names_app_folder_and_interpreter(probed: Probed, tmp_path: Path) -> None:
    with pytest.raises(Exception, match="cannot serve") as caught:
        probed("probed_shop:nothing")
    assert f'cannot serve "probed_shop:nothing" from {tmp_path} with {sys.executable}' in str(caught.value)


def test_the_app_folder_comes_first_on_the_path(probed: Probed, tmp_path: Path) -> None:
    probed("probed_shop:raw")
    assert sys.path[0] == str(tmp_path)


def test_the_lifespan_is_passed_on_and_ready_waits_for_its_start(probed: Probed) -> None:
    async def session() -> None:
        server = Server(probed("probed_shop:alive").app)
        task = await server.start()
        assert server.sent == ["lifespan.startup.complete"]
        assert (await server.get("/.loopwise/ready")).status_code == 200
        await server.stop(task)
        assert server.sent[-1] == "lifespan.shutdown.complete"

    asyncio.run(session())
    assert sys.modules["probed_shop"].seen == ["lifespan.startup", "lifespan.shutdown"]


def test_ready_is_refused_while_the_app_still_starts(probed: Probed) -> None:
    async def session() -> int:
        server = Server(probed("probed_shop:alive").app)
        task = asyncio.create_task(server.app({"type": "lifespan"}, server.inbox.get, server.send))
        await asyncio.sleep(0)
        status = (await server.get("/.loopwise/ready")).status_code
        await server.inbox.put({"type": "lifespan.startup"})
        await server.stop(task)
        return status

    assert asyncio.run(session()) == 503


@pytest.mark.parametrize("attribute", ["raw", "silent"])
def test_an_app_without_lifespan_is_ready_all_the_same(attribute: str, probed: Probed) -> None:
    async def session() -> int:
        server = Server(probed(f"probed_shop:{attribute}").app)
        task = await server.start()
        # uvicorn takes an exception for "no lifespan" only if it sees it.
        assert (task.exception() is not None) == (attribute == "raw")
        return (await server.get("/.loopwise/ready")).status_code

    assert asyncio.run(session()) == 200


def test_a_failed_start_is_told_with_its_exception(probed: Probed, capfd: pytest.CaptureFixture[str]) -> None:
    async def session() -> None:
        with pytest.raises(RuntimeError):
            await (await Server(probed("probed_shop:broken").app).start())

    asyncio.run(session())
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("loopwise_probe.AppError: ")
    assert line.endswith("its start-up failed: no database")


def test_what_only_looks_like_an_asgi_app_is_told_as_soon_as_it_is_called(
    probed: Probed, capfd: pytest.CaptureFixture[str]
) -> None:
    async def session() -> int:
        server = Server(probed("probed_shop:plain").app)
        with pytest.raises(TypeError):
            await (await server.start())
        return (await server.get("/.loopwise/ready")).status_code

    assert asyncio.run(session()) == 503
    assert "it returned a list, which can't be awaited, so it is no ASGI app" in capfd.readouterr().err


def test_an_app_whose_start_failed_is_never_ready(probed: Probed) -> None:
    async def session() -> None:
        probe = probed("probed_shop:broken").app
        server = Server(probe)
        task = await server.start()
        with pytest.raises(RuntimeError, match="no database"):
            await task
        assert server.sent == ["lifespan.startup.failed"]
        assert (await server.get("/.loopwise/ready")).status_code == 503

    asyncio.run(session())


def test_ready_tells_who_serves(probed: Probed) -> None:
    probe = probed("probed_shop:raw", "7")
    probe.REPORTED_PACKAGES.append("a-package-that-nobody-installs")

    async def session() -> Any:
        return (await Server(probe.app).get("/.loopwise/ready")).json()

    facts = asyncio.run(session())
    assert set(facts) == {"pid", "ppid", "threads", "loop", "python", "versions", "distributions", "nodelay"}
    assert facts["threads"] == 7
    assert facts["loop"].startswith("asyncio.")
    assert facts["versions"]["fastapi"]
    assert "a-package-that-nobody-installs" not in facts["versions"]
    assert facts["distributions"]["pydantic-core"]


def test_distributions_are_those_that_are_imported_by_normalized_name(probed: Probed, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (
        first / "Foo_Bar-1.2.dist-info",
        second / "foo.bar-1.1.dist-info",
        second / "old-0.3-py3.9.egg-info",
        second / "no_version.egg-info",
        second / "foo_bar",
    ):
        folder.mkdir(parents=True)
    found = probed("probed_shop:raw").distributions([str(first), str(second), str(tmp_path / "python39.zip")])
    assert found == {"foo-bar": "1.2", "old": "0.3"}


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/"), ("GET", "/.loopwise/ready/"), ("GET", "/.loopwise"), ("POST", "/.loopwise/ready")],
)
def test_everything_but_the_ready_path_reaches_the_app(method: str, path: str, probed: Probed) -> None:
    async def session() -> list[str]:
        server = Server(probed("probed_shop:raw").app)
        return [(await server.get(path, method)).text for _ in range(2)]

    assert asyncio.run(session()) == [path, path]


@pytest.mark.parametrize("with_lifespan", [True, False])
def test_the_thread_limit_is_set_in_the_loop_that_serves(with_lifespan: bool, probed: Probed) -> None:
    async def session() -> float:
        server = Server(probed("probed_shop:alive", "3").app)
        if with_lifespan:
            task = await server.start()
            await server.stop(task)
        else:
            await server.get("/")
        return anyio.to_thread.current_default_thread_limiter().total_tokens

    assert asyncio.run(session()) == 3


def test_without_a_thread_limit_the_default_stays(probed: Probed) -> None:
    async def session() -> float:
        await Server(probed("probed_shop:raw").app).get("/")
        return anyio.to_thread.current_default_thread_limiter().total_tokens

    assert asyncio.run(session()) == 40


@pytest.mark.parametrize("threads", ["0", "-4", "many", "1.5"])
def test_a_thread_limit_that_is_no_whole_number_above_zero_is_refused(threads: str, probed: Probed) -> None:
    with pytest.raises(Exception, match=f'LOOPWISE_THREADS: got "{threads}", allowed is a whole number above 0'):
        probed("probed_shop:raw", threads)


def test_a_thread_limit_without_anyio_is_refused_at_import(probed: Probed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "anyio.to_thread", None)
    with pytest.raises(Exception, match="leave threads out, or install anyio there"):
        probed("probed_shop:raw", "8")


@pytest.mark.parametrize(
    ("environ", "folder"),
    [
        ({}, None),
        ({"LOOPWISE_TELEMETRY": "/t"}, "/t"),
        ({"LOOPWISE_TELEMETRY": "/t", "LOOPWISE_PROBE": "on"}, "/t"),
        ({"LOOPWISE_TELEMETRY": "/t", "LOOPWISE_PROBE": "off"}, None),
        ({"LOOPWISE_TELEMETRY": ""}, None),
    ],
)
def test_measuring_needs_a_folder_and_can_be_switched_off(
    environ: dict[str, str], folder: str | None, probed: Probed
) -> None:
    assert probed("probed_shop:raw").telemetry_folder(environ) == folder


def test_requests_are_counted_once_the_app_is_ready_and_failed_ones_end_too(
    probed: Probed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOOPWISE_TELEMETRY", str(tmp_path / "telemetry"))
    monkeypatch.setitem(sys.modules, "loopwise_instruments", load_file("instruments.py"))
    monkeypatch.setitem(sys.modules, "loopwise_places", load_file("blame/places.py"))
    monkeypatch.setitem(sys.modules, "loopwise_stacks", load_file("stacks.py"))
    asked: list[Any] = []
    waits = SimpleNamespace(watch=asked.append, sample=lambda _: [["pool"]], fullest_pool=lambda _: [4, 4, 9])
    monkeypatch.setitem(sys.modules, "loopwise_waits.watching", cast(ModuleType, waits))
    callbacks = list(gc.callbacks)

    async def session() -> dict[str, Any]:
        probe = probed("probed_shop:alive").app
        server = Server(probe)
        task = await server.start()
        for _ in range(3):
            await server.get("/items/1")
        await server.get("/.loopwise/ready")
        with pytest.raises(KeyError):
            await probe({"type": "http"}, server.inbox.get, server.send)
        look: dict[str, Any] = probe._instruments.sample(0.0)
        probe._instruments._sink = -1  # which ends its thread
        await server.stop(task)
        return look

    try:
        look = asyncio.run(session())
    finally:
        gc.callbacks[:] = callbacks
    assert (look["started"], look["done"]) == (4, 4)
    assert look["limiter"] == [40, 0, 0]
    assert (look["resources"], look["gauges"]) == ([["pool"]], {"dependency_pool": [4, 4, 9]})
    assert [files.is_own(f"{tmp_path}/{each}") for files in asked for each in ("shop.py", "site-packages/x.py")] == [
        *(True, False)
    ]
    assert [path.suffix for path in (tmp_path / "telemetry").iterdir()] == [".jsonl"]


@pytest.mark.parametrize(("is_shared", "expected"), [(True, False), (False, True)])
def test_a_socket_that_a_supervisor_shares_lacks_nodelay_on_asyncio(
    is_shared: bool, expected: bool, probed: Probed
) -> None:
    probe = probed("probed_shop:raw")

    async def session() -> bool | None:
        found: list[bool | None] = []

        async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            found.append(probe.has_nodelay({"client": writer.get_extra_info("peername")}))
            writer.close()

        shared = socket.create_server(("127.0.0.1", 0)) if is_shared else None
        places: dict[str, Any] = {"sock": shared} if shared else {"host": "127.0.0.1", "port": 0}
        async with await asyncio.start_server(serve, **places) as server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            await reader.read()
            writer.close()
            await writer.wait_closed()
        return found[0]

    assert asyncio.run(session()) is expected


NAMES = ["probe.py", "wsgi_probe.py", "instruments.py", "stacks.py", "blame/places.py", "routes.py"]
NAMES += [f"waits/{path.name}" for path in (PACKAGE / "waits").glob("*.py")]


@pytest.mark.parametrize("name", NAMES)
def test_what_runs_in_an_apps_process_needs_nothing_but_python_3_9(name: str) -> None:
    tree = ast.parse((PACKAGE / name).read_text(encoding="utf-8"), feature_version=(3, 9))
    imported = {alias.name.split(".")[0] for node in tree.body if isinstance(node, ast.Import) for alias in node.names}
    imported |= {
        str(node.module).split(".")[0] for node in tree.body if isinstance(node, ast.ImportFrom) and not node.level
    }
    assert imported <= sys.stdlib_module_names | {"loopwise_probe", "loopwise_places"}
