"""The pytest plugin: a fixture `loopwise` that asserts on an app's event loop and measures its endpoints.

Every pytest that has Loopwise beside it loads this module, so it imports the rest only when the fixture is used.

blaming.py     loads what chooses the line to blame
watching.py    times the callbacks of this process's event loops
asking.py      asks an endpoint in this process
loop_free.py   decides, and says which lines held the loop

PYTEST_DONT_REWRITE: it asserts nothing, and may have been imported before pytest registers it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class Loopwise:
    """What the fixture gives; its methods raise LoopwiseError where something could not be asked or measured."""

    def __init__(self, root: Path) -> None:
        self._root = root

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
        from loopwise.pytest_plugin import asking, loop_free

        request = asking.request_of(
            endpoint, headers=headers or {}, json=json, expect_status=expect_status, timeout_s=timeout_s
        )
        loop_free.run(app, loop_free.Trial(request, longest_ms, times, self._root))

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
        from loopwise.pytest_plugin import asking, loop_free

        request = asking.request_of(
            endpoint, headers=headers or {}, json=json, expect_status=expect_status, timeout_s=timeout_s
        )
        await loop_free.run_async(app, loop_free.Trial(request, longest_ms, times, self._root))


@pytest.fixture(scope="session")
def loopwise(pytestconfig: pytest.Config) -> Loopwise:
    """Assert that no callback holds an app's event loop, and measure endpoints on a real server."""
    return Loopwise(pytestconfig.rootpath)
