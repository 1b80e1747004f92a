"""Watches the event loop from a thread and writes findings to a file. Standard library and aiocop only, Python 3.10.

Two instruments that complete each other. aiocop wraps every callback of the loop: it times it, and tells which calls
that can block were made inside. A thread samples every millisecond which line the loop's thread executes. A C call
that keeps the GIL (a regular expression, JSON) keeps that thread waiting, too; CPython lets go of the GIL as such a
call returns, so the thread wakes at the very line, late, and the line is given all the time since its last sample.

The thread also writes the findings, several times a second, with the callback that is still being executed: an app
that hangs, exits or is killed leaves them. For C code that never lets go of the GIL, faulthandler writes
the stacks without it.
"""

from __future__ import annotations

import asyncio
import copy
import faulthandler
import gc
import json
import os
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import aiocop
from aiocop.core.blocking_io import format_stack_frame

from .places import Places, Spot, stack_of
from .tally import Sample, Tally, shares

SAMPLE_S = 0.001
SWITCH_S = 0.0005
"""How long a thread waits before it asks for the GIL; Python's 5 ms would blind the sampling thread for as long."""
WRITE_S, HELD_S = 0.5, 0.3
"""How often findings are written. While callbacks follow each other the loop's thread does it, between them: a watching
thread that writes would miss C code that keeps the GIL. It writes while nothing runs, and in callbacks that take longer
than the second.
"""
STUCK_S = 2.0
"""After so long without the GIL the stacks are written without it."""
WAIT_S = 0.5
"""The place at which a request waits is noted once it has been unanswered for so long."""
LEAST_WEIGHT = 10
"""aiocop's weight of calls from opening a file upwards; below are stat and the like."""
BACKGROUND = "background"
"""Endpoint of callbacks that belong to no request."""
FRAME_SEPARATOR = " <- "

sleep = time.sleep  # as it is before aiocop replaces it

Subject = Any
"""The request that a callback works for: the harness's number of its endpoint, or the ASGI scope if it is unmarked."""


class Request(NamedTuple):
    """A request that is not answered yet."""

    subject: Subject
    task: asyncio.Task[Any] | None
    since_ns: int
    others: weakref.WeakSet[asyncio.Task[Any]]
    """Tasks that existed before it."""


class Observer:
    """Joins aiocop's timing of callbacks with the samples that fell into them.

    Sums are done in the loop's thread as a callback ends, when its time is taken: a watching thread that is busy misses
    the end of C code that keeps the GIL.

    Args:
        places: chooses the line to blame.
        threshold_ns: callbacks that hold the loop for less are ignored, unless many add up.
        folder: findings-PID.json and stuck-PID.txt are written there.
        subject: returns the Subject of the running callback.
    """

    def __init__(self, places: Places, threshold_ns: int, folder: Path, subject: Callable[[], Subject]) -> None:
        self.places = places
        self.threshold_ns = threshold_ns
        self.folder = folder
        self.subject = subject
        self.attended = False
        self._requests: dict[int, Request] = {}
        self._claimed: dict[int, str] = {}
        self._waited: dict[str, list[tuple[str, int]]] = {}
        self._tallies: dict[str, Tally] = {}
        self._samples: deque[Sample] = deque()
        self._lock, self._writing = threading.Lock(), threading.Lock()
        self._written_ns = 0
        self._told: set[tuple[str, int]] = set()
        self._open: tuple[Subject, int] | None = None
        self._delay_ns = 0
        self._schedstat: int | None = None
        self._thread = 0
        self._attended_ns = 0
        self._traces: dict[str, tuple[str, int] | None] = {}
        self._modules: tuple[int, dict[str, str]] = (0, {})

    def attend(self) -> None:
        """Begin, from the loop's thread: callbacks that are scheduled from now on are watched."""
        if self.attended:
            return
        self.attended = True
        try:
            self._schedstat = os.open("/proc/thread-self/schedstat", os.O_RDONLY)
        except OSError:
            self._schedstat = None  # no Linux: time that the machine did not give us is not told apart
        sys.setswitchinterval(SWITCH_S)
        self._thread = threading.get_ident()
        self._attended_ns = time.perf_counter_ns()
        self._app_files()  # takes long the first time, in which the thread would see nothing
        self._write()
        threading.Thread(target=self._watch, name="loopwise-blame", daemon=True).start()
        aiocop.register_context_provider(self._began)
        aiocop.detect_slow_tasks(threshold_ms=0, on_slow_task=self._callback_ended, cpu_sampling=False)
        aiocop.activate()

    # In the loop's thread.

    def request_began(self, number: int, subject: Subject) -> None:
        """Note a request, of which the running callback is the first step."""
        others = weakref.WeakSet(asyncio.all_tasks())
        self._requests[number] = Request(subject, asyncio.current_task(), time.perf_counter_ns(), others)
        if self._open is not None:
            self._open = subject, self._open[1]

    def request_ended(self, number: int) -> None:
        """Forget a request."""
        del self._requests[number]

    def _began(self) -> dict[str, Any]:
        """Called by aiocop as a callback begins, at its first call that can block, and as it ends."""
        if self._open is None:
            self._delay_ns = self._run_delay_ns()
            self._open = self.subject(), time.perf_counter_ns()
        return {"subject": self.subject()}

    def _callback_ended(self, event: aiocop.SlowTaskEvent) -> None:
        """Every callback comes here: the threshold given to aiocop is 0."""
        end_ns = time.perf_counter_ns()
        start_ns = end_ns - round(event.elapsed_ms * 1e6)
        held_ns = max(0, end_ns - start_ns - max(0, self._run_delay_ns() - self._delay_ns))
        self._open = None
        samples = []
        while self._samples:
            samples.append(self._samples.popleft())
        inside = [each for each in samples if start_ns < each.at_ns]
        found = shares(self.places, inside, start_ns, end_ns)
        calls = [
            (each["event"].partition("(")[0], *place)
            for each in event.blocking_events
            if (each["severity"] or 0) >= LEAST_WEIGHT and (place := self._app_frame(each["trace"])) is not None
        ]
        with self._lock:
            tally = self._tallies.setdefault(self.name_of(event.context.get("subject")), Tally())
            tally.callbacks += 1
            for call in calls:
                tally.calls[call] = tally.calls.get(call, 0) + 1
            if held_ns >= self.threshold_ns:
                tally.blame(held_ns, found)
            else:
                tally.pass_over(held_ns, found, sampled=bool(inside))
        if end_ns - self._written_ns > WRITE_S * 1e9:
            self._write()

    def _run_delay_ns(self) -> int:
        if self._schedstat is None:
            return 0
        return int(os.pread(self._schedstat, 100, 0).split()[1])

    # In the watching thread.

    def _watch(self) -> None:
        stuck = (self.folder / f"stuck-{os.getpid()}.txt").open("w", encoding="utf-8")
        since_ns, armed_ns = time.perf_counter_ns(), 0
        while True:
            sleep(SAMPLE_S)
            at_ns = time.perf_counter_ns()
            running, spot = self._open, None
            if running is not None:
                spot = self.places.spot(stack_of(sys._current_frames().get(self._thread)))
                self._samples.append(Sample(since_ns, at_ns, spot))
            since_ns = at_ns
            if at_ns - armed_ns > WRITE_S * 1e9:
                armed_ns = at_ns
                stuck.seek(0)
                stuck.truncate()
                faulthandler.dump_traceback_later(STUCK_S, file=stuck)
            if self._is_due(running, spot, at_ns):
                self._write()

    def _is_due(self, running: tuple[Subject, int] | None, spot: Spot | None, at_ns: int) -> bool:
        """Whether the watching thread is to write now."""
        is_old = at_ns - self._written_ns > WRITE_S * 1e9
        if running is None:
            return is_old
        held_ns = at_ns - running[1]
        if held_ns > self.threshold_ns and spot is not None and spot.is_app and spot[:2] not in self._told:
            self._told.add(spot[:2])
            return True  # a line is written at once the first time, for it may end the process
        return is_old and held_ns > HELD_S * 1e9

    def name_of(self, subject: Subject) -> str:
        """The key of an endpoint in the findings; of an unmarked request its method and route."""
        if subject is None:
            return BACKGROUND
        return subject if isinstance(subject, str) else _route_of(subject)

    def _app_frame(self, trace: str) -> tuple[str, int] | None:
        """Path and line of the innermost frame of aiocop's text that lies in the app."""
        if trace not in self._traces:
            files = self._app_files()
            place = None
            for frame in trace.split(FRAME_SEPARATOR):
                path, _, line = frame.rpartition(":")[0].rpartition(":")
                if path in files:
                    place = files[path], int(line)
                    break
            self._traces[trace] = place
        return self._traces[trace]

    def _app_files(self) -> dict[str, str]:
        """Map aiocop's shortened paths of the app's own modules to their full paths."""
        modules = list(sys.modules.values())
        if len(modules) != self._modules[0]:
            found = {}
            for module in modules:
                path = getattr(module, "__file__", None)
                if isinstance(path, str) and self.places.kind(path) == "app":
                    found[format_stack_frame((path, 0, "")).rpartition(":0:")[0]] = self.places.real(path)
            self._modules = len(modules), found
        return self._modules[1]

    def _write(self) -> None:
        """Replace the file, so that a reader never sees half of it."""
        with self._writing:
            self._replace_file()

    def _replace_file(self) -> None:
        self._written_ns = time.perf_counter_ns()
        with self._lock:
            tallies = {name: tally.as_json() for name, tally in self._tallies.items()}
            running = self._running()
        if running is not None:
            tallies[running[0]] = running[1]
        text = json.dumps(
            {
                "written_ns": time.time_ns(),
                "watched_s": (time.perf_counter_ns() - self._attended_ns) / 1e9,
                "thread": self._thread,
                "endpoints": tallies,
                "waits": self._waits(),
            }
        )
        new = self.folder / f"findings-{os.getpid()}.new"
        new.write_text(text, encoding="utf-8")
        new.replace(new.with_suffix(".json"))

    def _running(self) -> tuple[str, dict[str, Any]] | None:
        """The tally to which the callback belongs that is being executed, as if it ended now; None: it held nothing."""
        running, samples, end_ns = self._open, list(self._samples), time.perf_counter_ns()
        if running is None or end_ns - running[1] < self.threshold_ns or not samples or samples[-1].spot is None:
            return None
        name = self.name_of(running[0])
        tally = copy.deepcopy(self._tallies.get(name, Tally()))
        tally.blame(end_ns - running[1], shares(self.places, samples, running[1], end_ns))
        return name, tally.as_json()

    def _waits(self) -> dict[str, list[tuple[str, int]]]:
        """By endpoint, lines of the app at which overdue requests waited, innermost first.

        They are found in the request's task, in other threads and in later tasks, and kept: a client that gives up may
        end the request.
        """
        now_ns = time.perf_counter_ns()
        overdue = [each for each in list(self._requests.values()) if now_ns - each.since_ns > WAIT_S * 1e9]
        if not overdue:
            return self._waited
        request = overdue[-1]
        name = self.name_of(request.subject)
        spots = [
            _awaiting(request.task, self.places),
            *self._standing(name),
            *(_awaiting(task, self.places) for task in self._tasks_since(request)),
        ]
        places = [(spot.path, spot.line) for spot in spots if spot is not None and spot.is_app]
        if places:
            self._waited[name] = places
        return self._waited

    def _standing(self, name: str) -> list[Spot]:
        """Lines of the app at which threads stand, those left out that an earlier endpoint left there."""
        found = []
        for thread, frame in sys._current_frames().items():
            spot = None if thread in {self._thread, threading.get_ident()} else self.places.spot(stack_of(frame))
            if spot is not None and spot.is_app and self._claimed.setdefault(thread, name) == name:
                found.append(spot)
        return found

    def _tasks_since(self, request: Request) -> list[asyncio.Task[Any]]:
        """Tasks that began later than a request; those of a streamed answer among them."""
        if request.task is None:
            return []
        try:
            return [task for task in asyncio.all_tasks(request.task.get_loop()) if task not in request.others]
        except RuntimeError:
            return []  # the loop's thread began or ended tasks at that moment


def _awaiting(task: asyncio.Task[Any] | None, places: Places) -> Spot | None:
    """The innermost line of the app at which a task is suspended."""
    place: Any = task.get_coro() if task is not None else None
    found = None
    while place is not None:
        frame = getattr(place, "cr_frame", None) or getattr(place, "ag_frame", None)
        kind = None if frame is None else places.kind(frame.f_code.co_filename)
        if kind == "app":
            found = places.spot(stack_of(frame)[:1])
        elif kind == "dispatcher":
            found = None  # it was a middleware that passes the request on
        inner = getattr(place, "cr_await", None) or getattr(place, "ag_await", None)
        if frame is None:  # a step of an asynchronous generator shows the generator to the garbage collector alone
            inner = next((each for each in gc.get_referents(place) if hasattr(each, "ag_frame")), None)
        place = inner
    return found


def _route_of(scope: Mapping[str, Any]) -> str:
    """Name a request by method and route, `GET /items/{id}`; by its path where the router says no more."""
    method = scope.get("method", "WS")
    route = scope.get("route")
    path = getattr(route, "path_format", None) or getattr(route, "path", None)
    if isinstance(path, str):
        root = scope.get("root_path", "")
        mounts = root.removeprefix(scope.get("app_root_path", root))
        return f"{method} {mounts}{path}"
    return f"{method} {scope['path']}"
