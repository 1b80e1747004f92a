"""What the harness asks of a generator, and what it is told. JSON lines over the process's pipes."""

from typing import Any, Literal

from pydantic import Field

from loopwise.model import Endpoint, Load, Noun


class Order(Noun):
    """One run to be generated."""

    url: str
    """Base URL of the target: `http://127.0.0.1:8000`."""
    endpoints: tuple[Endpoint, ...] = ()
    scenario: str | None = None
    """A Locust file that makes the requests instead of `endpoints`."""
    load: Load
    seed: int = 1
    samples: str
    """Path of the Arrow stream that the rows go to."""


class Event(Noun):
    """What happened in a run; `done` and `failed` end it."""

    event: Literal["ready", "progress", "window_opened", "window_closed", "done", "failed"]
    time_ns: int = 0
    phase: str = ""
    rows: int = 0
    errors: int = 0
    warm: bool = True
    """window_opened: every user had been answered by then."""
    message: str = ""
    """failed: one sentence."""
    figures: dict[str, Any] = Field(default_factory=dict)
    """done: the generator's own figures over the window, for run.json."""
