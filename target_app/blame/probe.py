"""ASGI wrapper that finds the lines which hold the event loop, for an untimed pass behind probe.py.

The harness copies this package as `loopwise_blame`, with the package aiocop beside it, to a folder on PYTHONPATH of the
app's own interpreter, and names `loopwise_blame.probe:app` to the probe. So: standard library and aiocop only,
Python 3.10 or newer, and nothing of ours but the probe. `config.json` in its folder says what to do:

target        the app, as LOOPWISE_APP names it
app_dir       folder that is put first on sys.path; lines of files below it are the user's own
environ       variables that the app is to find
threshold_ms  callbacks that hold the loop for less are ignored

Two instruments that complete each other. aiocop wraps every callback of the loop: it times it, and tells which calls
that can block were made inside. A thread samples every millisecond which line the loop's thread executes. A C call
that keeps the GIL (a regular expression, JSON) keeps that thread waiting, too; CPython lets go of the GIL as such a
call returns, so the thread wakes at the very line, late, and the line is given all the time since its last sample.

A request tells which endpoint it is for by a header; `GET /.loopwise/blame` returns the findings so far.
"""

from __future__ import annotations

import contextvars
import json
import os
import sys
import threading
import time
from collections import deque
from pathlib import Path
from typing import Any

import loopwise_probe  # type: ignore[import-not-found]  # probe.py under the name that the harness gives it

CONFIG = json.loads(Path(__file__).with_name("config.json").read_text(encoding="utf-8"))
if sys.version_info < (3, 10):  # noqa: UP036 - it is the app's interpreter, not ours
    raise loopwise_probe.AppError(
        f"blame needs Python 3.10 or newer in the app's environment, {sys.executable} is"
        f" {sys.version_info[0]}.{sys.version_info[1]}; name a newer interpreter by --python"
    )

import aiocop  # noqa: E402 - its syntax is that of Python 3.10
from aiocop.core.blocking_io import format_stack_frame  # noqa: E402

from .places import Places, stack_of  # noqa: E402
from .tally import Sample, Tally, shares  # noqa: E402

FINDINGS_PATH = "/.loopwise/blame"
ENDPOINT_HEADER = b"x-loopwise-endpoint"
SAMPLE_S = 0.001
SWITCH_S = 0.0005
"""How long a thread waits before it asks for the GIL; Python's 5 ms would blind the sampling thread for as long."""
LEAST_WEIGHT = 10
"""aiocop's weight of calls from opening a file upwards; below are stat and the like."""
BACKGROUND, UNCOUNTED = "background", "uncounted"
"""Endpoints of callbacks that belong to no request, and of requests that the harness did not mark."""

sleep = time.sleep  # as it is before aiocop replaces it
endpoint_of_request: contextvars.ContextVar[str] = contextvars.ContextVar("loopwise_endpoint")


class Observer:
    """Joins aiocop's timing of a callback with the samples that fell into it."""

    def __init__(self, places: Places, threshold_ns: int) -> None:
        self.places = places
        self.threshold_ns = threshold_ns
        self.tallies: dict[str, Tally] = {}
        self.samples: deque[Sample] = deque()
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
        threading.Thread(target=self._sample, args=(thread,), name="loopwise-blame", daemon=True).start()
        aiocop.register_context_provider(self.context)
        aiocop.detect_slow_tasks(threshold_ms=0, on_slow_task=self.callback_ended, cpu_sampling=False)
        aiocop.activate()

    def _sample(self, thread: int) -> None:
        since_ns = time.perf_counter_ns()
        while True:
            sleep(SAMPLE_S)
            at_ns = time.perf_counter_ns()
            if self._in_callback:
                self.samples.append(Sample(since_ns, at_ns, stack_of(sys._current_frames().get(thread))))
            since_ns = at_ns

    def _run_delay_ns(self) -> int:
        """Time in which the loop's thread was ready and had no core, which no line is blamed for."""
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
        samples = []
        while self.samples:
            samples.append(self.samples.popleft())
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
            tally.blame(held_ns, shares(self.places, samples, start_ns, end_ns))

    def findings(self) -> bytes:
        """Return the findings so far as JSON."""
        endpoints = {endpoint: tally.as_json() for endpoint, tally in self.tallies.items()}
        return json.dumps({"endpoints": endpoints, "files": app_files(self.places)}).encode()


def app_files(places: Places) -> dict[str, str]:
    """Map aiocop's shortened paths of the app's own modules to their full paths."""
    found = {}
    for module in list(sys.modules.values()):
        path = getattr(module, "__file__", None)
        if isinstance(path, str) and places.kind(path) == "app":
            short = format_stack_frame((path, 0, "")).rpartition(":0:")[0]
            found[short] = os.path.realpath(path)
    return found


class Blamed:
    """ASGI wrapper that marks which endpoint a callback works for."""

    def __init__(self, app: Any, observer: Observer) -> None:
        self.app = app
        self.observer = observer
        self._attended = False

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Mark everything that a request causes, tasks that it starts included."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if not self._attended:  # start-up may block: nobody waits for an answer yet
            self._attended = True
            self.observer.attend()
        if scope["path"] == FINDINGS_PATH:
            endpoint_of_request.set(UNCOUNTED)
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": self.observer.findings()})
        else:
            named = dict(scope["headers"]).get(ENDPOINT_HEADER, UNCOUNTED.encode())
            endpoint_of_request.set(named.decode("latin-1"))
            await self.app(scope, receive, send)


def make() -> Blamed:
    """Load the app that the configuration names, and wrap it."""
    os.environ.update(CONFIG["environ"])
    observer = Observer(Places(CONFIG["app_dir"], str(Path(__file__).parents[1])), round(CONFIG["threshold_ms"] * 1e6))
    aiocop.patch_audit_functions()
    aiocop.start_blocking_io_detection(trace_depth=200)
    return Blamed(loopwise_probe.load_app(CONFIG["target"], CONFIG["app_dir"]), observer)


app = make()
