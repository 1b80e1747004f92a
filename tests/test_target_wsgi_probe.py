"""The probe of WSGI apps in this very process: what it passes on, what it counts, what it tells of the process."""

import gc
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, cast

import pytest
from support.probe import load_file

APP = '''
closed = []

class Parts:
    """An answer that wants to be closed, as Flask's do."""

    def __iter__(self):
        yield b"one "
        yield b"two"

    def close(self):
        closed.append("closed")

def app(environ, start_response):
    if environ["PATH_INFO"] == "/raises":
        raise KeyError("lost")
    start_response("200 OK", [("Content-Type", "text/plain")])
    if environ["PATH_INFO"] == "/file":
        return environ["wsgi.file_wrapper"](closed)
    return [b"a list"] if environ["PATH_INFO"] == "/list" else Parts()

async def coroutine(environ, start_response):
    return []

async def asgi(scope, receive, send):
    pass

class Answer:
    def __init__(self, environ, start_response):
        start_response("200 OK", [])

    def __iter__(self):
        return iter([b"by a class"])

class NoAnswer:
    def __init__(self, environ, start_response):
        pass

def create(debug=False, name=None):
    return app
'''


class Served:
    """The wrapped app as a server calls it."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.status = ""

    def ask(self, path: str = "/", **environ: Any) -> Any:
        def start_response(status: str, headers: list[tuple[str, str]]) -> None:
            del headers
            self.status = status

        return self.app({"PATH_INFO": path, "REQUEST_METHOD": "GET", **environ}, start_response)

    def figures(self) -> dict[str, Any]:
        look: dict[str, Any] = self.app._instruments.sample(0.0)
        return look


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Wraps an attribute of the module, with four threads, and stops its instruments in the end."""
    (tmp_path / "wsgi_shop.py").write_text(APP)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setitem(sys.modules, "wsgi_shop", ModuleType("wsgi_shop"))
    del sys.modules["wsgi_shop"]
    for name in ("instruments", "blame/places", "stacks"):
        monkeypatch.setitem(sys.modules, f"loopwise_{Path(name).name}", load_file(f"{name}.py"))
    waits = SimpleNamespace(watch=lambda _: None, sample=lambda _: [], fullest_pool=lambda _: None)
    monkeypatch.setitem(sys.modules, "loopwise_waits.watching", cast(ModuleType, waits))
    variables = {"APP_DIR": tmp_path, "TELEMETRY": tmp_path / "telemetry", "THREADS": 4}
    for name, value in variables.items():
        monkeypatch.setenv(f"LOOPWISE_{name}", str(value))
    callbacks, made = list(gc.callbacks), []

    def wrap(attribute: str, **changed: str) -> Served:
        monkeypatch.setenv("LOOPWISE_APP", "wsgi_shop:app")
        monkeypatch.setenv("LOOPWISE_INTERFACE", "any")
        monkeypatch.setitem(sys.modules, "loopwise_probe", load_file("probe.py"))
        monkeypatch.setitem(sys.modules, "loopwise_wsgi", load_file("wsgi_probe.py"))
        for name, value in {"APP": f"wsgi_shop:{attribute}", "INTERFACE": "wsgi", **changed}.items():
            monkeypatch.setenv(f"LOOPWISE_{name}", value)
        made.append(Served(load_file("probe.py").app))
        return made[-1]

    yield wrap
    gc.callbacks[:] = callbacks
    for each in made:
        if (instruments := getattr(each.app, "_instruments", None)) is not None:
            instruments._sink = -1  # which ends its thread


def test_answers_pass_unchanged_and_are_closed(served: Any) -> None:
    shop = served("app")
    whole = shop.ask("/list")
    assert whole == [b"a list"]
    parts = shop.ask()
    assert (b"".join(parts), shop.status, sys.modules["wsgi_shop"].closed) == (b"one two", "200 OK", [])
    parts.close()
    parts.close()
    assert sys.modules["wsgi_shop"].closed == ["closed"] * 2
    assert list(served("Answer").ask()) == [b"by a class"]


def test_requests_count_from_the_call_to_the_end_of_the_answer(served: Any) -> None:
    shop = served("app")
    shop.ask("/list")
    one, two = shop.ask(), shop.ask()
    with pytest.raises(KeyError):
        shop.ask("/raises")
    before = shop.figures()
    one.close()
    one.close()
    two.close()
    after = shop.figures()
    assert (before["started"], before["done"], before["limiter"]) == (4, 2, [4, 2, None])
    assert (after["started"], after["done"], after["limiter"]) == (4, 4, [4, 0, None])


def test_a_file_stays_of_the_kind_that_the_server_knows(served: Any) -> None:
    class FileWrapper:
        def __init__(self, file: Any) -> None:
            self.file = file

        def close(self) -> None:
            self.file.append("file closed")

    shop = served("app")
    answer = shop.ask("/file", **{"wsgi.file_wrapper": FileWrapper})
    assert type(answer) is FileWrapper
    assert shop.figures()["done"] == 0
    answer.close()
    assert (shop.figures()["done"], sys.modules["wsgi_shop"].closed) == (1, ["file closed"])


def test_a_worker_without_a_loop_has_no_figures_of_one(served: Any) -> None:
    shop = served("app")
    shop.ask("/list")
    look = shop.figures()
    assert [look[name] for name in ("lags", "lag_max_ms", "stall_ms", "blocked_s", "executor")] == [None] * 5
    # Those of all its threads, by which a full CPU is told from threads that wait.
    assert look["loop_cpu_s"] > 0
    assert look["loop_wait_s"] >= 0


def test_without_telemetry_or_threads_nothing_is_made_up(served: Any) -> None:
    unknown = served("app", THREADS="")
    unknown.ask("/list")
    assert unknown.figures()["limiter"] is None
    assert json.loads(unknown.ask("/.loopwise/ready")[0])["threads"] is None
    silent = served("app", TELEMETRY="")
    assert (silent.ask("/list"), silent.app._instruments) == ([b"a list"], None)


def test_ready_tells_who_serves(served: Any) -> None:
    facts = json.loads(served("app").ask("/.loopwise/ready")[0])
    assert set(facts) == {"pid", "ppid", "threads", "loop", "python", "versions", "distributions", "nodelay"}
    assert (facts["threads"], facts["loop"], facts["nodelay"]) == (4, None, None)


@pytest.mark.parametrize(
    ("attribute", "interface", "words"),
    [
        ("asgi", "wsgi", "so it is an ASGI app; leave `interface` out"),
        ("asgi", "a2wsgi", "so it is an ASGI app; leave `interface` out"),
        ("coroutine", "wsgi", "takes (environ, start_response), without async; name the WSGI app itself"),
        ("NoAnswer", "wsgi", 'if it makes the app, write "wsgi_shop:NoAnswer()"'),
        ("create", "wsgi", 'if it makes the app, write "wsgi_shop:create()"'),
        ("closed", "wsgi", "it is of type list, which is no WSGI app; name the app itself"),
        ("app", "asgi", 'so it is a WSGI app; set interface = "wsgi" and server = "gunicorn" or "granian"'),
    ],
)
def test_an_app_of_another_kind_is_refused_in_one_sentence(
    attribute: str, interface: str, words: str, served: Any
) -> None:
    with pytest.raises(Exception, match="cannot serve") as caught:
        served(attribute, INTERFACE=interface)
    assert words in str(caught.value)
    assert type(caught.value).__name__ == "AppError"


def test_a2wsgi_is_the_users_own_and_its_threads_are_those_of_the_suite(
    served: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "a2wsgi", None)
    with pytest.raises(Exception, match=f"which {sys.executable} cannot import .*-m pip install a2wsgi"):
        served("app", INTERFACE="a2wsgi")

    class Middleware:
        def __init__(self, app: Any, workers: int = 10) -> None:
            self.app, self.executor, self.workers = app, object(), workers

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            raise NotImplementedError

    fake: Any = ModuleType("a2wsgi")
    fake.WSGIMiddleware = Middleware
    monkeypatch.setitem(sys.modules, "a2wsgi", fake)
    probe = served("app", INTERFACE="a2wsgi").app
    assert probe.app.app is sys.modules["wsgi_shop"].app
    assert (probe.app.workers, probe.serving) == (4, probe.app.executor)
    assert served("app", INTERFACE="a2wsgi", THREADS="").app.app.workers == 10
