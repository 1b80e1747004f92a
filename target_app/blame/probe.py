"""ASGI wrapper that finds the lines which hold the event loop, for an untimed pass behind probe.py.

The harness copies this package as `loopwise_blame`, with the package aiocop beside it, to a folder on PYTHONPATH of the
app's own interpreter, and names `loopwise_blame.probe:app` to the probe. So: standard library and aiocop only,
Python 3.10 or newer, and nothing of ours but the probe. `config.json` in its folder says what to do:

target        the app, as LOOPWISE_APP names it
app_dir       folder that is put first on sys.path; lines of files below it are the user's own
environ       variables that the app is to find
threshold_ms  callbacks that hold the loop for less are ignored, unless many add up

Findings lie in the same folder (observer.py). A request tells which endpoint it is for by a header.
"""

from __future__ import annotations

import contextvars
import itertools
import json
import os
import sys
from pathlib import Path
from typing import Any

import loopwise_probe  # probe.py under the name that the harness gives it

FOLDER = Path(__file__).parent
CONFIG = json.loads((FOLDER / "config.json").read_text(encoding="utf-8"))
if sys.version_info < (3, 10):  # It is the app's interpreter, not ours
    raise loopwise_probe.AppError(
        f"blame needs Python 3.10 or newer in the app's environment, {sys.executable} is"
        f" {sys.version_info[0]}.{sys.version_info[1]}; name a newer interpreter by --python"
    )

import aiocop  # Its syntax is that of Python 3.10.

from .observer import Observer
from .places import Places

ENDPOINT_HEADER = b"x-loopwise-endpoint"
current: contextvars.ContextVar[Any] = contextvars.ContextVar("loopwise_endpoint", default=None)


class Blamed:
    """ASGI wrapper that marks which request a callback works for."""

    def __init__(self, app: Any, observer: Observer) -> None:
        self.app = app
        self.observer = observer
        self._numbers = itertools.count()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Mark everything that a request causes, tasks that it starts included."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, self._attending(send))
            return
        self.observer.attend()  # for servers and apps without lifespan
        marked = dict(scope["headers"]).get(ENDPOINT_HEADER)
        subject = scope if marked is None else marked.decode("latin-1")
        current.set(subject)
        number = next(self._numbers)
        self.observer.request_began(number, subject)
        try:
            await self.app(scope, receive, send)
        finally:
            self.observer.request_ended(number)

    def _attending(self, send: Any) -> Any:
        """Watch from the end of start-up on, which may block: nobody waits for an answer yet."""

        async def watch(message: Any) -> None:
            if message["type"] == "lifespan.startup.complete":
                self.observer.attend()
            await send(message)

        return watch


def make() -> Blamed:
    """Load the app that the configuration names, and wrap it."""
    os.environ.update(CONFIG["environ"])
    places = Places(CONFIG["app_dir"], str(Path(__file__).parents[1]))
    aiocop.patch_audit_functions()
    aiocop.start_blocking_io_detection(trace_depth=200)
    app = loopwise_probe.load_app(CONFIG["target"], CONFIG["app_dir"], loopwise_probe.ANY)
    if loopwise_probe.interface_of(app) == loopwise_probe.WSGI:
        raise loopwise_probe.AppError(
            f"{CONFIG['target']} is a WSGI app, which has no event loop to hold; measure it by run or try, which tell"
            " where its threads stand"
        )
    return Blamed(app, Observer(places, round(CONFIG["threshold_ms"] * 1e6), FOLDER, current.get))


app = make()
