"""The pytest plugin: a fixture `loopwise` that asserts on an app's event loop and measures its endpoints.

Every pytest that has Loopwise beside it loads this module, so it imports the rest only when the fixture is used.

blaming.py     loads what chooses the line to blame
watching.py    times the callbacks of this process's event loops
asking.py      asks an endpoint in this process
loop_free.py   decides, and says which lines held the loop
generating.py  the load generator that a session's tests share
serving.py     one run on a real server

PYTEST_DONT_REWRITE: it asserts nothing, and may have been imported before pytest registers it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from loopwise.pytest_plugin.asking import Request
    from loopwise.pytest_plugin.generating import SessionGenerator
    from loopwise.pytest_plugin.serving import Served


class Loopwise:
    """What the fixture gives; its methods raise LoopwiseError where something could not be asked or measured."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._generator: SessionGenerator | None = None

    def assert_loop_free(
        self,
        app: Any,
        endpoint: str,
        *,
        longest_ms: float = 20.0,
        times: int = 5,
        headers: Mapping[str, str] | None = None,
        json: Any = None,
        expect_status: int | None = None,
        timeout_s: float = 5.0,
    ) -> None:
        """Ask an endpoint in this process; fail where each time a callback holds the event loop for too long.

        Args:
            app: an ASGI app, a TestClient, or httpx.AsyncClient(transport=httpx.ASGITransport(app)).
            endpoint: `GET /items/1`.
            longest_ms: the longest that one callback may hold the loop, by computing or by waiting.
            times: calls at most, after a first one that does not count; the best of them decides.
            headers: of the request.
            json: its body.
            expect_status: of the answer; None: any 2xx.
            timeout_s: limit for the complete answer; a TestClient waits for ever.

        Raises:
            AssertionError: the loop was held; names the lines.
            LoopwiseError: the endpoint could not be asked, or answered otherwise than expected.
        """
        __tracebackhide__ = True
        from loopwise.pytest_plugin import loop_free

        request = _request(endpoint, headers, json, expect_status, timeout_s)
        loop_free.run(app, loop_free.Trial(request, longest_ms, times))

    async def assert_loop_free_async(
        self,
        app: Any,
        endpoint: str,
        *,
        longest_ms: float = 20.0,
        times: int = 5,
        headers: Mapping[str, str] | None = None,
        json: Any = None,
        expect_status: int | None = None,
        timeout_s: float = 5.0,
    ) -> None:
        """Do the same from a test that is a coroutine, on its loop; arguments as of `assert_loop_free`."""
        __tracebackhide__ = True
        from loopwise.pytest_plugin import loop_free

        request = _request(endpoint, headers, json, expect_status, timeout_s)
        await loop_free.run_async(app, loop_free.Trial(request, longest_ms, times))

    def served(
        self,
        app: Any,
        endpoint: str,
        *,
        users: int = 10,
        seconds: float = 0.5,
        workers: int = 1,
        headers: Mapping[str, str] | None = None,
        json: Any = None,
        expect_status: int | None = None,
        timeout_s: float = 5.0,
        app_dir: str | Path | None = None,
    ) -> Served:
        """Measure an endpoint under a bounded load, on uvicorn in a process of its own on this machine.

        Args:
            app: `module:app`, or an app that a module has under a name.
            endpoint: `GET /items/1`.
            users: virtual users, each with one request in flight.
            seconds: length of the window; at most 10.
            workers: processes of the server.
            headers: of each request.
            json: its body.
            expect_status: of each answer; None: any 2xx.
            timeout_s: limit for a complete answer.
            app_dir: folder that the app is imported from; None: where its module lies.

        Raises:
            LoopwiseError: nothing that counts could be measured: the server did not start, the endpoint answered
                otherwise than expected, or a check voided the run.
        """
        __tracebackhide__ = True
        from pathlib import Path

        from loopwise.pytest_plugin import serving
        from loopwise.pytest_plugin.generating import SessionGenerator

        if self._generator is None:
            self._generator = SessionGenerator()
        return serving.served(
            self._generator,
            app,
            _request(endpoint, headers, json, expect_status, timeout_s),
            users=users,
            seconds=seconds,
            workers=workers,
            app_dir=None if app_dir is None else Path(app_dir),
            root=self._root,
        )

    def close(self) -> None:
        """End what the session shares."""
        if self._generator is not None:
            self._generator.close()
            self._generator = None


def _request(
    endpoint: str, headers: Mapping[str, str] | None, json: Any, expect_status: int | None, timeout_s: float
) -> Request:
    """Make the request of the fixture's methods. Raises UsageError where there is none of that kind."""
    from loopwise.pytest_plugin import asking

    return asking.request_of(
        endpoint, headers=headers or {}, json=json, expect_status=expect_status, timeout_s=timeout_s
    )


@pytest.fixture(scope="session")
def loopwise(pytestconfig: pytest.Config) -> Iterator[Loopwise]:
    """Assert that no callback holds an app's event loop, and measure endpoints on a real server."""
    made = Loopwise(pytestconfig.rootpath)
    yield made
    made.close()
