"""The Workload type; each file in workloads/ defines one, and modes.py builds its routes."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict


class Params(BaseModel):
    """Base of every workload's query parameters: bounded by their fields, closed to unknown ones."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True)
class Cost:
    """Expected cost of one request on an idle machine, without the framework's own share."""

    wait_ms: float
    """Time spent waiting, without the CPU."""
    cpu_ms: float
    """Time spent computing, holding the GIL."""


P = TypeVar("P", bound=Params)
Answer = dict[str, Any]
"""A small JSON object, the same for the same parameters whatever the mode."""


@dataclass(frozen=True)
class Workload(Generic[P]):
    """The work of a route, independent of the mode it is exposed in."""

    name: str
    """First segment of its routes' path."""
    description: str
    """One sentence for lists."""
    params: type[P]
    run: Callable[[P], Answer]
    """Does the work, blocking the calling thread; importable by name, so that it can be sent to a process pool."""
    run_async: Callable[[P], Awaitable[Answer]]
    """Does the same work as a coroutine; where there is nothing to await, it blocks all the same."""
    cost: Callable[[P], Cost | None]
    """None where only a measurement can tell."""
    lacks: Mapping[str, str] = field(default_factory=dict)
    """Modes that make no sense for it, and why: `got "blocking" (why), allowed for noop are …`."""
    needs: Callable[[P], tuple[str, ...]] = lambda _params: ()
    """Services (SERVICES in loopwise/servers/services.py) that must run; their addresses are in the environment."""
    refuses: Callable[[P, str], tuple[str, str] | None] = lambda _params, _mode: None
    """Why it can't be served with these parameters in this mode here, as (key, sentence): what is not installed."""
    start: Callable[[], AbstractContextManager[None] | AbstractAsyncContextManager[None]] = nullcontext
    """Entered when the app starts, left when it stops."""
    is_calibrated: bool = False
    """Whether its work depends on the speed of this machine (`python -m target_app calibrate`)."""
