"""Who holds the event loop: put in front of an app for an untimed pass, behind probe.py.

The harness copies this file as `loopwise_blame.py`, with the package aiocop beside it, to a folder on PYTHONPATH of the
app's own interpreter, and names `loopwise_blame:app` to the probe. So: standard library and aiocop only,
Python 3.10 or newer, and nothing of ours but the probe. `loopwise_blame.json` beside it says what to do:

target        the app, as LOOPWISE_APP names it
app_dir       folder that is put first on sys.path; lines of files below it are the user's own
environ       variables that the app is to find
threshold_ms  a callback that holds the loop for less is nobody's fault

Two instruments that complete each other. aiocop wraps every callback of the loop: it times it, and tells which calls
that can block were made inside. A thread looks every millisecond at which line the loop's thread executes. A C call
that keeps the GIL (a regular expression, JSON) keeps that thread waiting, too; CPython lets go of the GIL as such a
call returns, so the thread wakes at the very line, late, and the line is given all the time since its last look.

A request tells which endpoint it is for by a header; `GET /.loopwise/blame` answers what was found so far.
"""

from __future__ import annotations

import contextvars
import json
import os
import sys
import sysconfig
import threading
import time
from collections import deque
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, NamedTuple

import loopwise_probe  # type: ignore[import-not-found]  # probe.py under the name that the harness gives it

CONFIG = json.loads(Path(__file__).with_name("loopwise_blame.json").read_text(encoding="utf-8"))
if sys.version_info < (3, 10):  # noqa: UP036 - it is the app's interpreter, not ours
    raise loopwise_probe.AppError(
        f"blame needs Python 3.10 or newer in the app's environment, {sys.executable} is"
        f" {sys.version_info[0]}.{sys.version_info[1]}; name a newer interpreter by --python"
    )

import aiocop  # noqa: E402 - its syntax is that of Python 3.10

FOUND_PATH = "/.loopwise/blame"
ENDPOINT_HEADER = b"x-loopwise-endpoint"
LOOK_S = 0.001
SWITCH_S = 0.0005
"""How long a thread waits before it asks for the GIL; Python's 5 ms would blind the looking thread for as long."""
LEAST_WEIGHT = 10
"""aiocop's weight of calls from opening a file upwards; below are stat and the like."""
BACKGROUND, UNCOUNTED = "background", "uncounted"
"""Endpoints of callbacks that belong to no request, and of requests that the harness did not mark."""
MACHINERY = ("asyncio", "uvloop", "uvicorn", "aiocop", "selectors.py", "runpy.py", "click", "contextlib.py")
"""Packages and modules that are never to blame: they run the loop."""
DISPATCHERS = (
    "fastapi/routing.py",
    "fastapi/applications.py",
    "fastapi/middleware/",
    "starlette/routing.py",
    "starlette/applications.py",
    "starlette/middleware/",
    "starlette/_exception_handler.py",
)
"""What calls the route. An app's frame further out is a middleware that passes a request on, not who is slow."""

sleep = time.sleep  # as it is before aiocop replaces it
endpoint_of_request: contextvars.ContextVar[str] = contextvars.ContextVar("loopwise_endpoint")


class Spot(NamedTuple):
    """A line and what it was about to call."""

    path: str
    line: int
    is_app: bool
    columns: tuple[int, int, int, int] | None
    """First line, last line, first column, column after the last (in bytes) of the expression; None before 3.11."""
    callee: str | None
    """The Python function that the line was in, as `requests.api.get`; None: C code, or the line itself."""


class Frame(NamedTuple):
    """A frame as it was."""

    code: CodeType
    at: int
    line: int
    module: str


Stack = list[Frame]
"""From the innermost frame outwards."""


class Look(NamedTuple):
    """What the loop's thread executed, and since when that is not known better."""

    since_ns: int
    at_ns: int
    stack: Stack


class Places:
    """Tells the app's own files from libraries, the standard library and what runs the loop."""

    def __init__(self, app_dir: str) -> None:
        self.app_dir = os.path.realpath(app_dir) + os.sep
        paths = sysconfig.get_paths()
        self.standard = tuple(os.path.realpath(paths[name]) + os.sep for name in ("stdlib", "platstdlib"))
        self._kinds: dict[str, str] = {}

    def kind(self, path: str) -> str:
        """One of `app`, `library`, `standard`, `machinery`, `dispatcher`."""
        known = self._kinds.get(path)
        if known is None:
            known = self._kinds[path] = self._kind(path)
        return known

    def _kind(self, path: str) -> str:
        real = os.path.realpath(path)
        installed = next((name for name in ("site-packages", "dist-packages") if f"/{name}/" in real), None)
        ours = real.startswith(os.path.realpath(os.path.dirname(__file__)) + os.sep)  # noqa: PTH120
        name = real.rpartition(f"/{installed}/")[2] if installed else ""
        if not installed and real.startswith(self.standard):
            installed, name = "standard", real.rpartition("/python")[2].partition("/")[2]
        if ours or path.startswith("<frozen") or name.startswith(MACHINERY):
            return "machinery"
        if installed == "standard":
            return "standard"
        if installed:
            return "dispatcher" if name.startswith(DISPATCHERS) else "library"
        return "app" if real.startswith(self.app_dir) else "library"

    def spot(self, stack: Stack) -> Spot | None:
        """The line to blame for what the stack's first frame does: the user's own if there is one, else a library's."""
        above: Frame | None = None
        fallback: tuple[Frame, Frame | None] | None = None
        plain: tuple[Frame, Frame | None] | None = None
        for frame in stack:
            kind = self.kind(frame.code.co_filename)
            if kind == "app":
                return _spot(frame, above, is_app=True)
            if kind == "library" and (fallback is None or fallback[0].code is frame.code):
                fallback = (
                    frame,
                    above,
                )  # the outermost of a recursion: one line instead of as many as it is deep
            if kind == "standard" and plain is None:
                plain = frame, above
            if kind == "dispatcher":
                fallback = fallback or (frame, above)
                break
            if kind != "machinery" or above is not None:
                above = frame
        chosen = fallback or plain
        return chosen and _spot(*chosen, is_app=False)


_columns: dict[tuple[CodeType, int], tuple[int, int, int, int] | None] = {}


def _spot(frame: Frame, above: Frame | None, *, is_app: bool) -> Spot:
    key = (frame.code, frame.at)
    if key not in _columns:
        _columns[key] = _columns_at(*key)
    callee = None
    if above is not None:
        callee = f"{above.module}.{getattr(above.code, 'co_qualname', above.code.co_name)}"
    path = os.path.realpath(frame.code.co_filename)
    return Spot(path, frame.line, is_app, _columns[key], callee)


def stack_of(frame: FrameType | None) -> Stack:
    """A copy, made at one go: nothing here lets go of the GIL, so the loop's thread can't run on meanwhile."""
    copied = []
    while frame is not None:
        name = frame.f_globals.get("__name__", "?")
        copied.append(Frame(frame.f_code, frame.f_lasti, frame.f_lineno, name))
        frame = frame.f_back
    return copied


def _columns_at(code: CodeType, at: int) -> tuple[int, int, int, int] | None:
    positions = getattr(code, "co_positions", None)
    if positions is None or at < 0:
        return None
    found = list(positions())[at // 2]
    first, last, start, end = found
    return None if None in found else (first, last, start, end)


class Tally:
    """What is known of one endpoint."""

    def __init__(self) -> None:
        self.callbacks = 0
        self.held = 0
        self.held_ns = 0
        self.unseen_ns = 0
        self.spots: dict[tuple[str, int, bool], dict[str, Any]] = {}
        self.calls: dict[tuple[str, str], int] = {}

    def blame(self, held_ns: int, shares: dict[Spot, float]) -> None:
        """A callback held the loop; `shares` says how much of it each spot had."""
        self.held += 1
        self.held_ns += held_ns
        if not shares:
            self.unseen_ns += held_ns
        lines: dict[tuple[str, int, bool], int] = {}
        for spot, share in shares.items():
            key = spot[:3]
            ns = round(held_ns * share)
            lines[key] = lines.get(key, 0) + ns
            entry = self.spots.setdefault(key, {"total_ns": 0, "longest_ns": 0, "times": 0, "details": {}})
            detail = json.dumps([spot.columns, spot.callee])
            entry["details"][detail] = entry["details"].get(detail, 0) + ns
        for key, ns in lines.items():
            entry = self.spots[key]
            entry["total_ns"] += ns
            entry["longest_ns"] = max(entry["longest_ns"], ns)
            entry["times"] += 1

    def told(self) -> dict[str, Any]:
        """As JSON."""
        spots = [
            {
                **{name: entry[name] for name in ("total_ns", "longest_ns", "times")},
                **dict(zip(("path", "line", "is_app"), key, strict=True)),
                "columns": json.loads(max(entry["details"], key=entry["details"].get))[0],
                "callee": json.loads(max(entry["details"], key=entry["details"].get))[1],
            }
            for key, entry in self.spots.items()
        ]
        calls = [
            {"call": call, "frame": frame, "times": times} for (call, frame), times in self.calls.items()
        ]
        return {
            "callbacks": self.callbacks,
            "held": self.held,
            "held_ns": self.held_ns,
            "unseen_ns": self.unseen_ns,
            "spots": spots,
            "calls": calls,
        }


class Witness:
    """Joins what aiocop says of a callback with what the looking thread saw in it."""

    def __init__(self, places: Places, threshold_ns: int) -> None:
        self.places = places
        self.threshold_ns = threshold_ns
        self.tallies: dict[str, Tally] = {}
        self.looks: deque[Look] = deque()
        self._in_callback = False
        self._waited_ns = 0
        self._schedstat: int | None = None

    def attend(self) -> None:
        """Begin, from the loop's thread: callbacks that are scheduled from now on are watched."""
        try:
            self._schedstat = os.open("/proc/thread-self/schedstat", os.O_RDONLY)
        except OSError:
            self._schedstat = None  # no Linux: time that the machine did not give us is not told apart
        sys.setswitchinterval(SWITCH_S)
        thread = threading.get_ident()
        threading.Thread(target=self._look, args=(thread,), name="loopwise-blame", daemon=True).start()
        aiocop.register_context_provider(self.context)
        aiocop.detect_slow_tasks(threshold_ms=0, on_slow_task=self.callback_ended, cpu_sampling=False)
        aiocop.activate()

    def _look(self, thread: int) -> None:
        since_ns = time.perf_counter_ns()
        while True:
            sleep(LOOK_S)
            at_ns = time.perf_counter_ns()
            if self._in_callback:
                self.looks.append(Look(since_ns, at_ns, stack_of(sys._current_frames().get(thread))))
            since_ns = at_ns

    def _run_delay_ns(self) -> int:
        """Time that the loop's thread was ready and had no core: the machine's fault, not a line's."""
        if self._schedstat is None:
            return 0
        return int(os.pread(self._schedstat, 100, 0).split()[1])

    def context(self) -> dict[str, Any]:
        """Called by aiocop as a callback begins, at its first call that can block, and as it ends."""
        if not self._in_callback:
            self._in_callback = True
            self._waited_ns = self._run_delay_ns()
        return {"endpoint": endpoint_of_request.get(None)}

    def callback_ended(self, event: aiocop.SlowTaskEvent) -> None:
        """Every callback comes here: the threshold given to aiocop is 0."""
        end_ns = time.perf_counter_ns()
        waited_ns = self._run_delay_ns() - self._waited_ns
        self._in_callback = False
        start_ns = end_ns - round(event.elapsed_ms * 1e6)
        looks = []
        while self.looks:
            looks.append(self.looks.popleft())
        endpoint = event.context.get("endpoint") or BACKGROUND
        if endpoint == UNCOUNTED:
            return
        tally = self.tallies.setdefault(endpoint, Tally())
        tally.callbacks += 1
        for blocking in event.blocking_events:
            if (blocking["severity"] or 0) >= LEAST_WEIGHT:
                key = (blocking["event"].partition("(")[0], blocking["trace"])
                tally.calls[key] = tally.calls.get(key, 0) + 1
        held_ns = end_ns - start_ns - max(0, waited_ns)
        if held_ns >= self.threshold_ns:
            tally.blame(held_ns, self._shares(looks, start_ns, end_ns))

    def _shares(self, looks: list[Look], start_ns: int, end_ns: int) -> dict[Spot, float]:
        """How the time between start and end divides among the spots; each look stands for the time before it."""
        weights: dict[Spot, int] = {}
        last: Spot | None = None
        for look in looks:
            weight = min(look.at_ns, end_ns) - max(look.since_ns, start_ns)
            spot = self.places.spot(look.stack) if weight > 0 else None
            if spot is not None and last is not None and self.places.kind(spot.path) == "dispatcher":
                spot = last  # what a route made is freed as it returns
            if spot is not None:
                weights[spot] = weights.get(spot, 0) + weight
                last = spot if spot.is_app else last
        total = sum(weights.values())
        return {spot: weight / total for spot, weight in weights.items()}

    def told(self) -> bytes:
        """What was found so far, as JSON."""
        found = {endpoint: tally.told() for endpoint, tally in self.tallies.items()}
        return json.dumps({"endpoints": found, "files": app_files(self.places)}).encode()


def app_files(places: Places) -> dict[str, str]:
    """Maps aiocop's short form of a path -> the path, of the app's own modules: it shortens what it tells."""
    from aiocop.core.blocking_io import format_stack_frame  # noqa: PLC0415 - beside its only use

    found = {}
    for module in list(sys.modules.values()):
        path = getattr(module, "__file__", None)
        if isinstance(path, str) and places.kind(path) == "app":
            short = format_stack_frame((path, 0, "")).rpartition(":0:")[0]
            found[short] = os.path.realpath(path)
    return found


class Blamed:
    """An ASGI app around the user's, which tells the witness whom a callback works for."""

    def __init__(self, app: Any, witness: Witness) -> None:
        self.app = app
        self.witness = witness
        self._attended = False

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Marks what follows from a request, tasks that it starts included."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if not self._attended:  # start-up may block: nobody waits for an answer yet
            self._attended = True
            self.witness.attend()
        if scope["path"] == FOUND_PATH:
            endpoint_of_request.set(UNCOUNTED)
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": self.witness.told()})
        else:
            named = dict(scope["headers"]).get(ENDPOINT_HEADER, UNCOUNTED.encode())
            endpoint_of_request.set(named.decode("latin-1"))
            await self.app(scope, receive, send)


def make() -> Blamed:
    """The app that the configuration names, watched."""
    os.environ.update(CONFIG["environ"])
    witness = Witness(Places(CONFIG["app_dir"]), round(CONFIG["threshold_ms"] * 1e6))
    aiocop.patch_audit_functions()
    aiocop.start_blocking_io_detection(trace_depth=200)
    return Blamed(loopwise_probe.load_app(CONFIG["target"], CONFIG["app_dir"]), witness)


app = make()
