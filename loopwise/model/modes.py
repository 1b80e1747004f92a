"""Modes: the ways to expose a workload, what limits each, and what it is called."""

from collections.abc import Callable
from dataclasses import dataclass

from loopwise.model.suite import Case, Server

ANYIO_TOKENS = 40
"""Threads of AnyIO's default limiter, per event loop (AnyIO's documentation of `to_thread.run_sync`)."""


@dataclass(frozen=True)
class Mode:
    """A way to expose a workload."""

    name: str
    """In suites, results and URLs."""
    words: str
    """In sentences, for those who know FastAPI: `async def`."""
    label: str = ""
    """In tables and charts; empty: the name."""
    slots: Callable[[Server, int], int] | None = None
    """Requests that a worker serves at a time, by server settings and cores; None: as many as arrive."""
    limited: str = ""
    """Completes "X is slower because it …" where the slots are the bound."""
    on_loop: bool = False
    """Whether what it computes holds the event loop."""
    uses_pool: bool = False
    """Whether it computes in a process pool instead of the worker."""
    of_apps: bool = False
    """Whether the endpoint of an app can be run in it as well (target_app/own_modes)."""

    @property
    def shown(self) -> str:
        """The mode's name for people."""
        return self.label or self.name

    def limit(self, slots: int, workers: int) -> str:
        """`waits for its 80 threads`, of all workers together."""
        loops = "its event loop" if workers == 1 else f"each of its {workers} event loops"
        return self.limited.format(slots=slots, loops=loops)


MODES: dict[str, Mode] = {
    mode.name: mode
    for mode in (
        Mode("async", "async def", on_loop=True, of_apps=True),
        Mode(
            "sync",
            "def",
            slots=lambda server, _cores: server.threads or ANYIO_TOKENS,
            limited="waits for its {slots} threads",
            of_apps=True,
        ),
        Mode(
            "blocking",
            "blocking in async def",
            slots=lambda _server, _cores: 1,
            limited="serves one request at a time on {loops}",
            on_loop=True,
        ),
        Mode(
            "to_thread",
            "asyncio.to_thread",
            # asyncio's default executor (Python's documentation of ThreadPoolExecutor)
            slots=lambda _server, cores: min(32, cores + 4),
            limited="waits for the {slots} threads of asyncio's default executor",
            of_apps=True,
        ),
        Mode(
            "process",
            "process pool",
            slots=lambda server, cores: server.pool_processes or cores,
            limited="waits for its {slots} pool processes",
            uses_pool=True,
            of_apps=True,
        ),
    )
}
"""The modes of target_app by name, in the order of every list; charts assign styles by position."""

OWN = Mode("own", "the app", label="your app")
"""The mode of an app that is not ours. People read its words and its label, never its name."""
AS_WRITTEN = "as written"
"""What people read for OWN beside other modes of the same app."""
OWN_MODES = (OWN.name, *(mode.name for mode in MODES.values() if mode.of_apps))
"""What an endpoint of an app can be measured in. A `def` that is called on the loop, as `async`, is what blocks."""
MIX = Mode("mix", "several workloads, each in its own mode")
"""The mode of a case whose parts have modes of their own."""


def mode_named(name: str) -> Mode:
    """The mode of that name; one that only another version of Loopwise knows has no limits."""
    return MODES.get(name) or next((mode for mode in (OWN, MIX) if mode.name == name), Mode(name, name))


def uses_pool(case: Case) -> bool:
    """Whether a route of the case computes in a process pool."""
    return any(mode_named(name).uses_pool for name in case.modes)
