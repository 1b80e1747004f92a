"""WSGI wrapper of the measured app: reports readiness, and counts the requests in its threads.

Copied beside the probe as `loopwise_wsgi.py`, for apps with LOOPWISE_INTERFACE = wsgi, so: standard library only,
Python 3.9 or newer, and nothing of ours but the probe and its instruments.
"""

from __future__ import annotations

import importlib
import json
import threading
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from typing import Any

import loopwise_probe  # probe.py under the name that the harness gives it

Environ = MutableMapping[str, Any]
StartResponse = Callable[..., Any]
WSGIApp = Callable[[Environ, StartResponse], Iterable[bytes]]


class End:
    """Closes an app's answer, and marks the end of its request once."""

    def __init__(self, answer: Any, leave: Callable[[], None]) -> None:
        self._close = getattr(answer, "close", None)
        self._left = [leave]

    def __call__(self) -> None:
        """Close it."""
        try:
            if self._close is not None:
                self._close()
        finally:
            if self._left:
                self._left.pop()()


class Answer:
    """An app's answer, which ends when the server closes it."""

    def __init__(self, answer: Iterable[bytes], end: End) -> None:
        self._parts = iter(answer)
        self.close = end

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return next(self._parts)


class WsgiProbe:
    """WSGI wrapper around the measured app, one per worker process.

    Args:
        app: to be served.
        threads: of the worker, which its server starts; None: not known.
        telemetry: folder for its figures; None: nothing is measured.
    """

    def __init__(self, app: WSGIApp, threads: int | None, telemetry: str | None) -> None:
        self.app = app
        self.threads = threads
        self.telemetry = telemetry
        self._instruments: Any = None
        self._is_set_up = False
        self._lock = threading.Lock()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Pass everything on but the ready path."""
        if not self._is_set_up:
            self._set_up()
        if environ.get("PATH_INFO") == loopwise_probe.READY_PATH and environ.get("REQUEST_METHOD") == "GET":
            return self._answer(start_response)
        instruments = self._instruments
        if instruments is None:
            return self.app(environ, start_response)
        instruments.enter()
        try:
            answer = self.app(environ, start_response)
        except BaseException:
            instruments.leave()
            raise
        watched: Iterable[bytes] = _watched(answer, environ, instruments.leave)
        return watched

    def _set_up(self) -> None:
        """Begin to measure, in the process that serves: a supervisor may have loaded the app before it forked."""
        with self._lock:
            if not self._is_set_up and self.telemetry is not None:
                module = importlib.import_module("loopwise_instruments")
                instruments = module.ThreadInstruments(self.telemetry, loopwise_probe.GAUGES, self.threads)
                instruments.waits = importlib.import_module("loopwise_waits.watching")
                instruments.stacks = loopwise_probe.stacks(None)
                instruments.start()
                self._instruments = instruments
            self._is_set_up = True

    def _answer(self, start_response: StartResponse) -> Iterable[bytes]:
        facts = {**loopwise_probe.describe_process(None, self.threads), "nodelay": None}
        body = json.dumps(facts).encode()
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]


def _watched(answer: Any, environ: Environ, leave: Callable[[], None]) -> Any:
    """The answer, such that its end is marked, and of a kind that the server treats as it does the app's own."""
    if isinstance(answer, (list, tuple)):
        leave()  # All of it is there; servers send a list in one piece.
        return answer
    end = End(answer, leave)
    wrapper = environ.get("wsgi.file_wrapper")
    if isinstance(wrapper, type) and isinstance(answer, wrapper):
        vars(answer)["close"] = end  # The server knows its own type, and lets the kernel send the file.
        return answer
    return Answer(answer, end)
