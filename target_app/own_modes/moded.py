"""ASGI wrapper that serves endpoints in another mode than they are written in. Standard library only, Python 3.9."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any
from urllib.parse import unquote

from .calls import Call, ModeError, in_mode, is_async, named
from .endpoints import find

App = Callable[[Any, Any, Any], Awaitable[None]]
REFUSED = "loopwise_modes: "
"""Begins the line on stderr that says why the mode is not possible (loopwise/servers/own_modes.py)."""


class Asked:
    """A request that is made, and the endpoint that answers it."""

    def __init__(self, method: str, path: str) -> None:
        self.method, self.path = method, path
        self.decoded_path = unquote(path.partition("?")[0])
        self.endpoint: Any = None
        self.call: Any = None
        """What the framework calls; None: the function is written in the mode."""
        self.calls = 0
        """How often, until the first one is seen."""

    def __str__(self) -> str:
        """Format as `GET /items/1`."""
        return f"{self.method} {self.path}"


class Moded:
    """ASGI wrapper that replaces the functions of endpoints once the app has started.

    Args:
        app: the measured app.
        mode: async, sync, to_thread or process.
        asked: the requests.
        dependencies: `own` or `same`.
        make_pool: makes the process pool for the functions that it will run; for mode `process`.
        error: raised, with a sentence, where the app can't be served so.
    """

    def __init__(
        self,
        app: App,
        mode: str,
        asked: list[Asked],
        *,
        dependencies: str = "own",
        make_pool: Callable[[list[Call]], Any] | None = None,
        error: type[Exception] = ModeError,
    ) -> None:
        self.app = app
        self.mode = mode
        self.asked = asked
        self.dependencies = dependencies
        self._make_pool = make_pool
        self._error = error
        self._pool: Any = None
        self._has_begun = False
        self._refused: set[str] = set()
        self._unproven: list[Asked] = []
        """Requests whose replaced function has not been called so far."""

    def __call__(self, scope: Any, receive: Any, send: Any) -> Awaitable[None]:
        """Pass everything on; the first requests are watched. A measured request pays for no coroutine of ours."""
        if self._has_begun and not self._unproven:
            return self.app(scope, receive, send)
        return self._begin_with(scope, receive, send)

    async def _begin_with(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve the lifespan, and the requests before each replaced function has been called."""
        if scope["type"] == "lifespan":
            try:
                await self.app(scope, receive, self._beginning(send))
            finally:
                if self._pool is not None:
                    self._pool.stop()
            return
        if not self._has_begun:  # servers and apps without lifespan
            try:
                await self.begin()
            except self._error as reason:
                _tell(str(reason))
                raise
        if self._unproven and scope["type"] == "http":
            await self._watch(scope, receive, send)
            return
        await self.app(scope, receive, send)

    def check(self) -> None:
        """Refuse what can be refused before the app has started. A route may be added while it starts.

        Raises:
            error: an endpoint can't be served in the mode; the message is a whole sentence.
        """
        for each in self.asked:
            try:
                endpoint = find(self.app, each.method, each.path)
            except ModeError:
                continue  # `begin` says it, if nothing has changed by then
            self._refusing(each, endpoint.refuse, self.mode)

    async def begin(self) -> None:
        """Replace the functions, and start the pool.

        Raises:
            error: as in `check`, or there is no such endpoint.
        """
        self._has_begun = True
        for each in self.asked:
            each.endpoint = self._refusing(each, find, self.app, each.method, each.path)
            self._refusing(each, each.endpoint.refuse, self.mode)
        if self._make_pool is not None:
            self._pool = self._make_pool([each.endpoint.call for each in self.asked])
            await self._pool.start()
        for each in self.asked:
            replacement = partial(self._in_mode, each)
            call = replacement(each.endpoint.call)
            if call is not each.endpoint.call:
                each.call = call
                self._refusing(each, each.endpoint.replace, _counted(call, each))
                self._unproven.append(each)
            if self.dependencies == "same":
                each.endpoint.replace_dependencies(replacement)

    def _in_mode(self, each: Asked, call: Call) -> Call:
        run_pooled = None if self._pool is None else self._pool.run
        return in_mode(call, self.mode, lambda reason: self._refuse(each, reason), run_pooled)

    def _refusing(self, each: Asked, act: Callable[..., Any], *args: Any) -> Any:
        try:
            return act(*args)
        except ModeError as reason:
            raise self._error(self._sentence(each, reason)) from reason

    def _sentence(self, each: Asked, reason: object) -> str:
        return f"{each} can't be measured as {self.mode}: {reason}; leave {self.mode} out of mode"

    def _refuse(self, each: Asked, reason: object) -> None:
        """Tell the harness why a request could not be answered in the mode; each reason once."""
        sentence = self._sentence(each, reason)
        if sentence not in self._refused:
            self._refused.add(sentence)
            _tell(sentence)

    def _beginning(self, send: Any) -> Any:
        async def watch(message: Any) -> None:
            if message["type"] == "lifespan.startup.complete":
                await self.begin()
            await send(message)

        return watch

    async def _watch(self, scope: Any, receive: Any, send: Any) -> None:
        """Refuse an endpoint that is answered without its function, by a cache or another route."""
        asked = (scope["method"], scope["path"])
        each = next((each for each in self._unproven if (each.method, each.decoded_path) == asked), None)
        status = 0

        async def note(message: Any) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        await self.app(scope, receive, note)
        for proven in [other for other in self._unproven if other.calls]:
            self._unproven.remove(proven)
            proven.endpoint.replace(proven.call)  # without the counting
        if each in self._unproven and 200 <= status < 300:
            self._refuse(each, "it is answered without a call of its function, by a middleware or a cache before it")


def _tell(sentence: str) -> None:
    # One system call: lines of several workers don't mix.
    os.write(2, f"{REFUSED}{' '.join(sentence.split())}\n".encode(errors="replace"))


def _counted(call: Call, each: Asked) -> Call:
    def counted(*args: Any, **kwargs: Any) -> Any:
        each.calls += 1
        return call(*args, **kwargs)

    async def counted_async(*args: Any, **kwargs: Any) -> Any:
        each.calls += 1
        return await call(*args, **kwargs)

    return named(counted_async if is_async(call) else counted, call)
