"""Where threads and tasks stand: the probe's looks at real ones."""

import asyncio
import gc
import sys
import threading
import time
import weakref
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import anyio.to_thread
import pytest
import uvloop
from support.probe import load_file

from loopwise.servers.source import waits_in

sys.modules["loopwise_places"] = load_file("blame/places.py")
stacks_file = load_file("stacks.py")
LOOPS: list[Callable[[], asyncio.AbstractEventLoop]] = [asyncio.new_event_loop, uvloop.new_event_loop]

APP = """
import asyncio
import threading
import time

gate = threading.Semaphore(0)
places = asyncio.Semaphore(1)
fetched = asyncio.Event()

def query():
    with gate:
        pass

def route():
    return query()

def generated():
    exec("gate.acquire()", {"gate": gate})

async def fetch():
    await fetched.wait()

async def handler():
    async with places:
        await fetch()

async def both():
    await asyncio.gather(fetch(), fetch())

async def stream():
    yield await fetch()

async def read():
    async for _ in stream():
        pass

async def block(until):
    while not until():
        time.sleep(0.001)
"""


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The app, imported from a folder of its own."""
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "repo.py").write_text(APP, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path / "shop"))
    monkeypatch.delitem(sys.modules, "repo", raising=False)
    return __import__("repo")


def line_of(text: str) -> int:
    return APP.splitlines().index(text) + 1


def watched(app: ModuleType, loop: asyncio.AbstractEventLoop | None = None) -> Any:
    places = sys.modules["loopwise_places"].Places(str(Path(str(app.__file__)).parent), "/nowhere")
    return stacks_file.Stacks(places, loop)


def told(look: dict[str, Any]) -> list[tuple[str, int, str, float]]:
    """File, line and function of each place, with the number that stands there."""
    return [(Path(path).name, line, function, number) for path, line, function, _, _, number in look["at"]]


def look_until(stacks: Any, kind: str, number: float) -> dict[str, Any]:
    """Look until so many stand in the app's own code."""
    end_s = time.monotonic() + 20.0
    while True:
        stacks._due_s = dict.fromkeys(stacks._due_s, 0.0)
        look: dict[str, Any] = stacks.look().get(kind, {"of": 0})
        if look["of"] == number:
            return look
        assert time.monotonic() < end_s, look
        time.sleep(0.001)


@contextmanager
def opened(gate: threading.Semaphore, callers: int) -> Iterator[None]:
    """Let all callers through at the end."""
    try:
        yield
    finally:
        for _ in range(callers):
            gate.release()


def test_threads_of_a_pool_are_counted_at_the_apps_innermost_line(app: ModuleType) -> None:
    stacks = watched(app)
    with ThreadPoolExecutor(8) as pool, opened(app.gate, 6):
        for function in (app.route, app.route, app.route, app.generated):
            pool.submit(function)
        pool.submit(app.gate.acquire)  # nothing of it is the app's own
        look = look_until(stacks, "threads", 4)
        assert told(look) == [
            ("repo.py", line_of("    with gate:"), "query", 3),
            ("repo.py", line_of('    exec("gate.acquire()", {"gate": gate})'), "generated", 1),
        ]


@pytest.mark.parametrize("knows_columns", [True, False])
def test_what_a_line_waits_in_can_be_read(knows_columns: bool, app: ModuleType) -> None:
    stacks = watched(app)
    with ThreadPoolExecutor(1) as pool, opened(app.gate, 1):
        pool.submit(app.route)
        ((path, line, function, columns, callee, _),) = look_until(stacks, "threads", 1)["at"]
    assert function == "query"
    assert waits_in(path, line, columns if knows_columns else None, callee) == "with gate"


def test_threads_of_the_apps_own_and_idle_ones_do_not_count(app: ModuleType) -> None:
    stacks = watched(app)
    with ThreadPoolExecutor(2) as pool, opened(app.gate, 2):
        pool.submit(abs, 1).result()
        thread = threading.Thread(target=app.route)
        thread.start()
        pool.submit(app.route)
        assert look_until(stacks, "threads", 1)["of"] == 1
    thread.join()


def in_loop(session: Callable[[], Awaitable[None]], new_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(session())  # type: ignore[arg-type]


@pytest.mark.parametrize("new_loop", LOOPS, ids=["asyncio", "uvloop"])
def test_tasks_are_counted_at_the_apps_innermost_line(new_loop: Any, app: ModuleType) -> None:
    async def session() -> None:
        stacks = watched(app, asyncio.get_running_loop())
        tasks = [asyncio.ensure_future(app.handler()) for _ in range(5)]
        tasks += [asyncio.ensure_future(app.both()), asyncio.ensure_future(app.read())]
        await asyncio.sleep(0.01)
        looks.append(stacks.look())
        app.fetched.set()
        await asyncio.gather(*tasks)

    looks: list[dict[str, Any]] = []
    in_loop(session, new_loop)
    assert sorted(told(looks[0]["tasks"])) == [
        ("repo.py", line_of("    await fetched.wait()"), "fetch", 4),
        ("repo.py", line_of("    async with places:"), "handler", 4),
    ]


def test_of_many_tasks_some_stand_for_all_in_turn(app: ModuleType) -> None:
    async def session() -> None:
        stacks = watched(app, asyncio.get_running_loop())
        tasks = [asyncio.ensure_future(app.fetch()) for _ in range(180)]
        await asyncio.sleep(0.01)
        for _ in range(6):
            stacks._due_s["tasks"] = 0.0
            looks.append(stacks.look()["tasks"])
        app.fetched.set()
        await asyncio.gather(*tasks)

    looks: list[dict[str, Any]] = []
    asyncio.run(session())
    assert [look["of"] for look in looks] == pytest.approx([180] * 6, abs=6)


def test_a_task_that_waits_for_a_thread_of_a_route_stands_at_no_line(app: ModuleType, tmp_path: Path) -> None:
    """A middleware of the app only passes the request on."""
    (tmp_path / "site-packages" / "starlette" / "middleware").mkdir(parents=True)
    library = tmp_path / "site-packages" / "starlette" / "middleware" / "base.py"
    code = compile("async def passes(wait):\n    await wait()\n", str(library), "exec")
    names: dict[str, Any] = {}
    exec(code, names)

    async def session() -> None:
        stacks = watched(app, asyncio.get_running_loop())
        app.call_next = names["passes"]  # type: ignore[attr-defined]
        source = "async def middleware(wait):\n    await call_next(wait)\n"
        exec(compile(source, str(app.__file__), "exec"), vars(app))
        task = asyncio.ensure_future(app.middleware(app.fetched.wait))
        inner = asyncio.ensure_future(app.middleware(app.fetch))
        await asyncio.sleep(0.01)
        looks.append(stacks.look()["tasks"])
        app.fetched.set()
        await asyncio.gather(task, inner)

    looks: list[dict[str, Any]] = []
    asyncio.run(session())
    assert told(looks[0]) == [("repo.py", line_of("    await fetched.wait()"), "fetch", 1)]


def test_the_lifespan_is_no_task_that_waits(app: ModuleType) -> None:
    names: dict[str, Any] = {}
    exec(compile("async def _run_lifespan(app):\n    await app()\n", "/nowhere/loopwise_probe.py", "exec"), names)

    async def session() -> None:
        stacks = watched(app, asyncio.get_running_loop())
        task = asyncio.ensure_future(names["_run_lifespan"](app.fetch))
        await asyncio.sleep(0.01)
        looks.append(stacks.look()["tasks"])
        app.fetched.set()
        await task

    looks: list[dict[str, Any]] = []
    asyncio.run(session())
    assert looks[0]["of"] == 0


def test_the_loops_thread_stands_only_while_it_is_blocked(app: ModuleType) -> None:
    async def session() -> None:
        stacks = watched(app, asyncio.get_running_loop())

        def sample() -> None:
            began.wait(20)
            for is_blocked in (False, True):
                stacks._due_s["threads"] = 0.0
                looks.append(stacks.look(is_blocked=is_blocked))

        with ThreadPoolExecutor(1) as pool:
            future = pool.submit(sample)

            def until() -> bool:
                began.set()
                return future.done()

            await app.block(until)

    began = threading.Event()
    looks: list[dict[str, Any]] = []
    asyncio.run(session())
    assert "loop" not in looks[0]
    (place,) = told(looks[1]["loop"])
    assert place[2:] == ("block", 1)
    assert looks[1]["threads"]["of"] == 0


def test_a_library_that_blocks_the_loop_by_itself_is_named(app: ModuleType, tmp_path: Path) -> None:
    """FastAPI encodes the answer of a `def` route on the loop."""
    folder = tmp_path / "site-packages"
    sources = {
        "fastapi/routing.py": "def serve(*both):\n    encode(*both)\n",
        "fastapi/encoders.py": "def encode(begin, until):\n    begin()\n    while not until():\n        sleep(0.001)\n",
    }
    names: dict[str, Any] = {"sleep": time.sleep}
    for path, source in sources.items():
        exec(compile(source, str(folder / path), "exec"), names)

    async def session() -> None:
        stacks = watched(app, asyncio.get_running_loop())

        def sample() -> None:
            began.wait(20)
            looks.append(stacks.look(is_blocked=True)["loop"])

        with ThreadPoolExecutor(1) as pool:
            future = pool.submit(sample)
            names["serve"](began.set, future.done)

    looks: list[dict[str, Any]] = []
    began = threading.Event()
    asyncio.run(session())
    ((name, _, function, _),) = told(looks[0])
    assert (name, function) == ("encoders.py", "encode")


def test_looks_that_cost_more_come_less_often(app: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    stacks = watched(app)
    now_s, spent_s = [100.0], [0.0]

    def spend() -> float:
        spent_s[0] += 0.001
        return spent_s[0]

    clock = type("Clock", (), {"monotonic": staticmethod(lambda: now_s[0]), "thread_time": staticmethod(spend)})
    monkeypatch.setattr(stacks_file, "time", clock)
    looks = 0
    for _ in range(1000):
        looks += bool(stacks.look())
        now_s[0] += 0.1
    assert looks * 0.001 / 100.0 <= stacks_file.MAX_COST * 1.1
    assert looks >= 150


def test_without_a_gil_nobody_looks_at_running_frames(app: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: False, raising=False)
    assert watched(app).look() == {}
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: True)
    assert watched(app).look() == {"threads": {"of": 0, "at": []}}


def test_a_look_leaves_no_frames_behind(app: ModuleType) -> None:
    """Frames hold what their functions do: a connection, a response."""

    class Response:
        pass

    kept: list[weakref.ref[Response]] = []

    def hold() -> None:
        response = Response()
        kept.append(weakref.ref(response))
        app.query()

    stacks = watched(app)
    gc.disable()
    try:
        with ThreadPoolExecutor(1) as pool, opened(app.gate, 1):
            pool.submit(hold)
            look_until(stacks, "threads", 1)
        assert kept[0]() is None
    finally:
        gc.enable()


def test_threads_of_anyio_are_threads_of_a_pool(app: ModuleType) -> None:
    async def session() -> None:
        stacks = watched(app, asyncio.get_running_loop())
        calls = [asyncio.ensure_future(anyio.to_thread.run_sync(app.route)) for _ in range(3)]
        end_s = time.monotonic() + 20.0
        while not looks or (looks[-1]["of"] < 3 and time.monotonic() < end_s):
            await asyncio.sleep(0.001)
            stacks._due_s["threads"] = 0.0
            looks.append(stacks.look()["threads"])
        for _ in calls:
            app.gate.release()
        await asyncio.gather(*calls)

    looks: list[dict[str, Any]] = []
    asyncio.run(session())
    assert told(looks[-1]) == [("repo.py", line_of("    with gate:"), "query", 3)]
