"""What the harness asks of a generator, and what it is told. JSON lines over the process's pipes."""

from typing import Any, Literal

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
    processes: int = 1
    """Generator processes that share the load."""
    part: int = 0
    """Which of them this order is for, from 0."""
    cores: tuple[int, ...] = ()
    """Cores the generator is pinned to for this run; empty: wherever the kernel likes."""


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
    figures: "Figures | None" = None


class Figures(Noun):
    """done: the generator's own figures over the window; `generator` in run.json."""

    processes: int = 1
    cpu_s: float
    """CPU of all generator processes."""
    busiest_cpu_s: float
    """CPU of the one that used most."""
    wall_s: float
    requests: int
    cores: int
    """Cores of this machine."""
    pinned_to: tuple[int, ...] = ()
    users: int
    users_wanted: int
    clock_step_ms: float

    def record(self) -> dict[str, Any]:
        """As run.json holds it."""
        return self.model_dump(mode="json")
