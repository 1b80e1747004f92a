"""The pytest plugin: stalls are found and named through every client, nothing else is one, and a server is measured."""

import asyncio
import importlib
import importlib.metadata
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import httpx
import psutil
import pytest
import uvloop
from support.docs import blocks, text_of

from loopwise.errors import EndpointError, LoopwiseError, UsageError
from loopwise.pytest_plugin import Loopwise
from loopwise.pytest_plugin.asking import Request
from loopwise.pytest_plugin.blaming import blame_module
from loopwise.pytest_plugin.loop_free import LoopHeldError, Trial
from loopwise.pytest_plugin.serving import served, target_of
from loopwise.pytest_plugin.watching import Call
from loopwise.servers import processes

pytest_plugins = ["pytester"]

LOOPWISE = Loopwise(Path(__file__).parent)
STALL_S = 0.03
PLUGIN = () if importlib.metadata.entry_points(group="pytest11", name="loopwise") else ("-p", "loopwise.pytest_plugin")
"""An environment that was made before the entry point was there lacks it."""


class App:
    """An ASGI app; `visits` counts its requests."""

    def __init__(self) -> None:
        self.visits = 0
        self.scope: Any = None
        self.jobs: asyncio.Queue[str] | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self.live(scope, receive, send)
            return
        self.visits += 1
        self.scope = scope
        status = await getattr(self, scope["path"].strip("/"))()
        body = repr(scope.get("state")).encode()
        await send({"type": "http.response.start", "status": status or 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    async def live(self, scope: Any, receive: Any, send: Any) -> None:
        self.jobs = asyncio.Queue()
        worker = asyncio.create_task(self.work(self.jobs))
        scope["state"]["started"] = True
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        worker.cancel()
        await send({"type": "lifespan.shutdown.complete"})

    async def work(self, jobs: asyncio.Queue[str]) -> None:
        while True:
            await jobs.get()
            time.sleep(STALL_S)  # by the worker

    async def sleeps(self) -> None:
        time.sleep(STALL_S)  # by the route

    async def computes(self) -> None:
        end_s = time.thread_time() + STALL_S
        while time.thread_time() < end_s:  # computes
            pass

    async def tasks(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self.sleeps())

    async def queues(self) -> None:
        assert self.jobs is not None
        self.jobs.put_nowait("job")
        await asyncio.sleep(0.001)

    async def awaits(self) -> None:
        await asyncio.sleep(STALL_S)

    async def in_a_thread(self) -> None:
        await asyncio.to_thread(time.sleep, STALL_S)

    async def first(self) -> None:
        if self.visits == 1:
            time.sleep(STALL_S)

    async def at_times(self) -> None:
        if self.visits % 3 != 0:
            time.sleep(STALL_S)

    async def state(self) -> int:
        return 200 if self.scope.get("state") == {"started": True} else 500

    async def missing(self) -> int:
        return 404

    async def hangs(self) -> None:
        await asyncio.Event().wait()


def by_app(app: Any, endpoint: str) -> None:
    LOOPWISE.assert_loop_free(app, endpoint, times=2)


def by_test_client(app: Any, endpoint: str) -> None:
    # Warns as it is imported.
    with importlib.import_module("starlette.testclient").TestClient(app) as client:
        LOOPWISE.assert_loop_free(client, endpoint, times=2)


def by_async_client(app: Any, endpoint: str) -> None:
    LOOPWISE.assert_loop_free(httpx.AsyncClient(transport=httpx.ASGITransport(app)), endpoint, times=2)


def on(loop_factory: Any, app: Any, endpoint: str) -> None:
    """As a test does that is a coroutine; its own blocking is none of the app's."""

    async def test() -> None:
        time.sleep(STALL_S)
        await LOOPWISE.assert_loop_free_async(app, endpoint, times=2)
        time.sleep(STALL_S)

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(test())


def on_asyncio(app: Any, endpoint: str) -> None:
    on(asyncio.new_event_loop, app, endpoint)


def on_uvloop(app: Any, endpoint: str) -> None:
    on(uvloop.new_event_loop, app, endpoint)


Way = Callable[[Any, str], None]
WAYS: tuple[Way, ...] = (by_app, by_test_client, by_async_client, on_asyncio, on_uvloop)
SPOTS = {
    "sleeps": ("time.sleep(STALL_S)  # by the route", "time.sleep: 3"),
    "computes": ("while time.thread_time() < end_s:  # computes", "time.thread_time: "),
}
tolerant = pytest.mark.filterwarnings("ignore:Using `httpx`")


def line_of(text: str) -> int:
    lines = Path(__file__).read_text(encoding="utf-8").splitlines()
    return next(number for number, line in enumerate(lines, 1) if line.strip() == text)


@tolerant
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("stall", SPOTS)
def test_a_stall_is_found_with_its_line_through_every_client(stall: str, way: Way) -> None:
    source, what = SPOTS[stall]
    with pytest.raises(LoopHeldError, match=f"^GET /{stall} held the event loop for [34]") as caught:
        way(App(), f"GET /{stall}")
    assert f"test_pytest_plugin.py:{line_of(source)}\n    {source}\n    {what}" in str(caught.value)


@tolerant
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("path", ["awaits", "in_a_thread"])
def test_waiting_beside_the_loop_holds_nothing(path: str, way: Way) -> None:
    way(App(), f"GET /{path}")


def test_a_stall_in_a_task_of_the_request_and_of_the_app_is_found() -> None:
    for path, source in (("tasks", SPOTS["sleeps"][0]), ("queues", "time.sleep(STALL_S)  # by the worker")):
        with pytest.raises(AssertionError, match=rf"py:{line_of(source)}\n"):
            by_app(App(), f"GET /{path}")


def test_stalls_of_the_first_call_and_of_some_calls_do_not_count() -> None:
    for path, visits in (("first", 2), ("at_times", 3)):
        by_app(app := App(), f"GET /{path}")
        assert app.visits == visits


def test_an_app_is_started_with_its_state_and_a_client_is_taken_as_it_is() -> None:
    by_app(App(), "GET /state")
    with pytest.raises(EndpointError, match="GET /state: answered 500"):
        by_async_client(App(), "GET /state")


class Echo:
    """Answers 201 to what it wants."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise NotImplementedError("no lifespan")
        wanted = scope["method"] == "POST" and (b"x-key", b"1") in scope["headers"]
        is_sent = (await receive())["body"] == b'{"id":1}'
        await send({"type": "http.response.start", "status": 201 if wanted and is_sent else 400, "headers": []})
        await send({"type": "http.response.body"})


def test_headers_body_and_expected_status_are_those_that_are_given() -> None:
    LOOPWISE.assert_loop_free(Echo(), "POST /x", headers={"x-key": "1"}, json={"id": 1}, expect_status=201)
    with pytest.raises(EndpointError, match="POST /x: answered 400, expected 201"):
        LOOPWISE.assert_loop_free(Echo(), "POST /x", json={"id": 1}, expect_status=201)


async def fails_to_start(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "Traceback …\nKeyError: 'DATABASE'"})


def a_wsgi_app(environ: Any, start_response: Any) -> list[bytes]:
    return []


def in_a_loop() -> None:
    async def test() -> None:
        LOOPWISE.assert_loop_free(App(), "GET /awaits")

    asyncio.run(test())


def without_a_loop() -> None:
    LOOPWISE.assert_loop_free_async(App(), "GET /awaits").send(None)


REFUSED: list[tuple[type[LoopwiseError], str, Callable[[], object]]] = [
    (EndpointError, "answered 404, expected 2xx", lambda: by_app(App(), "GET /missing")),
    (
        EndpointError,
        r"no complete answer in 0\.05 s",
        lambda: LOOPWISE.assert_loop_free(App(), "/hangs", timeout_s=0.05),
    ),
    (EndpointError, "start-up failed: KeyError: 'DATABASE'", lambda: by_app(fails_to_start, "GET /")),
    (UsageError, "of type str; give an ASGI app", lambda: by_app("shop.main:app", "GET /")),
    (UsageError, "can't be called with", lambda: by_app(a_wsgi_app, "GET /")),
    (UsageError, "asks a server", lambda: by_app(httpx.AsyncClient(), "GET /")),
    (UsageError, "asks a server", lambda: by_app(httpx.Client(), "GET /")),
    (UsageError, "got 'GET', allowed is a method and a path such as \"GET", lambda: by_app(App(), "GET")),
    (UsageError, "longest_ms: got 0,", lambda: LOOPWISE.assert_loop_free(App(), "/", longest_ms=0)),
    (UsageError, "times: got 0,", lambda: LOOPWISE.assert_loop_free(App(), "/", times=0)),
    (UsageError, "write: await loopwise.assert_loop_free_async", in_a_loop),
    (UsageError, "anyio_backend asyncio", without_a_loop),
]


@pytest.mark.parametrize(("error", "words", "ask"), REFUSED)
def test_what_cannot_be_asked_is_refused_in_a_sentence(
    error: type[LoopwiseError], words: str, ask: Callable[[], object]
) -> None:
    with pytest.raises(error, match=words):
        ask()


def state_of_the_process() -> list[object]:
    scheduling = [name for name in vars(uvloop.Loop) if name.startswith("call_")]
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    return [asyncio.Handle._run, scheduling, sys.getswitchinterval(), threading.active_count(), descriptors]


def test_nothing_stays_behind_whatever_became_of_the_call() -> None:
    before = state_of_the_process()
    current = asyncio.new_event_loop()
    asyncio.set_event_loop(current)
    for path in ("sleeps", "awaits", "missing"):
        with pytest.raises((AssertionError, EndpointError)) if path != "awaits" else pytest.MonkeyPatch.context():
            by_app(App(), f"GET /{path}")
    assert asyncio.get_event_loop() is current
    asyncio.set_event_loop(None)
    current.close()
    assert state_of_the_process() == before


def test_two_at_once_in_one_loop_disturb_each_other_in_nothing() -> None:
    before = state_of_the_process()

    async def test() -> None:
        asked = (LOOPWISE.assert_loop_free_async(App(), f"GET /{path}", times=2) for path in ("awaits", "awaits"))
        await asyncio.gather(*asked)

    asyncio.run(test())
    assert state_of_the_process() == before


def test_a_tracer_such_as_coverages_changes_no_verdict() -> None:
    def trace(*_: object) -> Any:
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        by_app(App(), "GET /awaits")
        with pytest.raises(AssertionError, match=rf"py:{line_of(SPOTS['sleeps'][0])}\n"):
            by_app(App(), "GET /sleeps")
    finally:
        sys.settrace(before)


FREE, HELD, DISTURBED = (1, 1), (30, 31), (5, 31)
"""For how long the longest callback held the loop, and by the wall clock, in ms."""


@pytest.mark.parametrize(
    ("timed", "looks", "fails", "why"),
    [
        ([HELD, FREE], [], False, "the first call doesn't count, and one that is free decides"),
        ([FREE, HELD, HELD, FREE], [], False, "one that is free decides"),
        ([FREE, HELD, HELD, HELD], [HELD, HELD], True, "as many as are asked for, and two that name the line"),
        ([FREE, HELD, HELD, HELD], [HELD, FREE], False, "a call in which lines are sampled counts, too"),
        ([FREE, DISTURBED, HELD, HELD, HELD], [HELD, HELD], True, "most are held"),
        ([FREE, DISTURBED, DISTURBED, DISTURBED, FREE], [], False, "goes on while it isn't clear"),
    ],
)
def test_calls_decide_together(
    timed: list[tuple[int, int]], looks: list[tuple[int, int]], fails: bool, why: str
) -> None:
    trial = Trial(Request("GET", "/x"), 20.0, 3)
    spot = blame_module("places").Spot(__file__, 1, True, None, None)
    for held_ms, wall_ms in [*timed, *looks]:
        call = trial.next_call()
        assert call is not None, why
        call.threads.add(1)
        call.note(1, held_ms * 10**6, wall_ms * 10**6, lambda _: {spot: 1.0})
    assert trial.next_call() is None, why
    if fails:
        with pytest.raises(LoopHeldError):
            trial.decide()
    else:
        trial.decide()


def test_a_call_that_no_loop_worked_for_is_no_proof() -> None:
    trial = Trial(Request("GET", "/x"), 20.0, 1)
    while trial.next_call() is not None:
        pass
    with pytest.raises(EndpointError, match="without a callback"):
        trial.decide()


def test_callbacks_of_other_loops_count_for_nothing() -> None:
    call = Call(limit_ns=10)
    call.threads.add(1)
    call.note(2, 50, 50, lambda _: {})
    assert (call.is_held, call.is_free, call.over) == (False, True, [])


LIGHT = """
import sys, loopwise.pytest_plugin
heavy = {"httpx", "pydantic", "numpy", "pyarrow", "locust", "starlette", "loopwise.model", "asyncio"}
print(sorted(heavy & set(sys.modules)), [name for name in sys.modules if name.startswith("loopwise")])
"""


def test_the_plugin_loads_nothing_until_the_fixture_is_used() -> None:
    done = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True, check=True, cwd=Path.cwd())
    assert done.stdout == "[] ['loopwise', 'loopwise.pytest_plugin']\n"


def write_examples(*names: str) -> None:
    """Write those files of the page, by the name in the first line of each."""
    for code in blocks(text_of("pytest.md"), "python"):
        if (name := code.partition("\n")[0].removeprefix("# ")) in names:
            Path(name).write_text(code, encoding="utf-8")


def numberless(text: str) -> str:
    return re.sub(r"\d+(\.\d+)?", "0", text)


def test_the_examples_in_the_docs_do_what_is_said_of_them(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = text_of("pytest.md")
    write_examples("shop.py", "test_shop.py", "test_shop_async.py")
    monkeypatch.syspath_prepend(pytester.path)
    result = pytester.runpytest_inprocess(*PLUGIN, "-p", "no:cacheprovider", "-W", "error")
    result.assert_outcomes(passed=3, failed=1)
    (failure,) = (text for text in blocks(page, "") if "held the event loop" in text)
    shown = [line.removeprefix("E").strip() for line in result.outlines if line.startswith("E ")]
    begin = next(number for number, line in enumerate(shown) if "held the event loop" in line)
    shown[begin] = shown[begin].partition("LoopHeldError: ")[2]
    expected = [line.strip() for line in failure.splitlines()]
    assert [numberless(line) for line in shown[begin:]] == [numberless(line) for line in expected]
    assert expected[2] in shown
    result.stdout.re_match_lines([r"test_shop\.py:\d+: LoopHeldError"])  # the innermost frame that is shown


NAMED = App()
overridden: Any = App()
overridden.dependency_overrides = {print: print}


@pytest.mark.parametrize(
    ("app", "options", "words"),
    [
        (App(), {}, "no module that can be imported has this app"),
        (overridden, {}, "the app has dependency_overrides"),
        (httpx.AsyncClient(), {}, "give an app, or its name"),
        ("shop", {}, 'allowed is "module:attribute"'),
        ("shop:app", {"seconds": 11}, "seconds: got 11, allowed is a number above 0, up to 10"),
        ("shop:app", {"users": 0}, "users"),
    ],
)
def test_what_no_server_can_load_is_refused_before_anything_starts(
    app: Any, options: dict[str, Any], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts: list[object] = []
    monkeypatch.setattr(processes, "start", lambda *_, **__: starts.append(1))
    with pytest.raises(UsageError, match=words):
        served(cast(Any, None), app, Request("GET", "/"), **{**SHORT, **options})
    assert starts == []


SHORT: dict[str, Any] = {"users": 2, "seconds": 0.3, "workers": 1, "app_dir": None, "root": Path(__file__).parent}


def test_an_app_is_named_as_its_module_is_imported() -> None:
    here = Path(__file__)
    assert target_of(NAMED, None, here) == (f"{__name__}:NAMED", here.parent)
    assert target_of("support.docs:blocks", None, here) == ("support.docs:blocks", here.parent)
    assert target_of("nowhere.main:app", None, here) == ("nowhere.main:app", here)


SERVED = """
import pytest
from loopwise.pytest_plugin.serving import VoidError

def test_void(loopwise):
    with pytest.raises(VoidError, match="GET /second: void, .* errors: .* of the requests failed") as caught:
        loopwise.served("broken:app", "GET /second", users=2, seconds=0.2)
    assert "Its last lines:" in str(caught.value)
"""
BROKEN = """
import sys

asked = 0

async def app(scope, receive, send):
    global asked
    asked += 1
    assert scope["type"] == "http"
    print("asked", file=sys.stderr)
    await send({"type": "http.response.start", "status": 500 if asked > 30 and asked % 2 else 200, "headers": []})
    await send({"type": "http.response.body"})
"""


@pytest.mark.e2e
def test_an_endpoint_is_measured_on_a_server_and_nothing_is_left(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = pytester.mkdir("scratch")
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    monkeypatch.syspath_prepend(pytester.path)
    write_examples("shop.py", "test_shop_served.py")
    pytester.makepyfile(test_void=SERVED, broken=BROKEN)
    before = set(psutil.Process().children(recursive=True))
    pytester.runpytest_inprocess(*PLUGIN, "-p", "no:cacheprovider", "-W", "error").assert_outcomes(passed=2)
    left = [" ".join(each.cmdline()) for each in set(psutil.Process().children(recursive=True)) - before]
    assert [each for each in left if "watchdog" not in each] == []
    assert list(scratch.iterdir()) == []
