"""Messages between the harness and a generator process: orders and events, as JSON lines over its pipes."""

from typing import Any, Literal, NamedTuple

from pydantic import Field

from loopwise.model import Endpoint, GeneratorFigures, Load, Noun, SideName

GO = "go\n"
"""The line that lets an order with `holds` open its window."""
WORKER_START_S = 2.0
"""Longest time that each of several generator processes takes to start, where they outnumber the cores."""

ABBA = (0, 1, 1, 0)
"""Order of a pair's slices; 0 is the side that comes first. Linear drift over four slices affects both sides alike."""


class Rival(Noun):
    """A second server under the same load: the candidate of a pair."""

    url: str
    endpoints: tuple[Endpoint, ...]
    slice_s: float | None = None
    """Length of a slice, in which one of the two is under load; None: both at once (a duel)."""
    slices: int = 0
    """Number of slices, of both sides together."""
    first: SideName = "baseline"
    """Side of the first slice."""
    has_canary: bool = False
    """Whether the load's canary is asked of both sides, in their slices."""


class Slice(NamedTuple):
    """A stretch of time in which one side alone was under load, from all its users."""

    side: SideName
    start_ns: int
    end_ns: int


class Order(Noun):
    """One run to be generated."""

    url: str
    """Base URL of the target: `http://127.0.0.1:8000`."""
    endpoints: tuple[Endpoint, ...] = ()
    scenario: str | None = None
    """A Locust file that makes the requests instead of `endpoints`."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Options of the Locust file and of Locust, as the suite gives them."""
    load: Load
    rival: Rival | None = None
    """The candidate, if this is a round of a pair; rows then carry the side before the endpoint's name."""
    seed: int = 1
    samples: str
    """Path of the Arrow stream for the rows."""
    holds: bool = False
    """Keep warming up until the harness sends GO: it may be starting the servers of coming runs."""
    opens_ahead: bool = True
    """Open connections before their first request; else with it, where one without a request keeps a thread busy."""
    processes: int = 1
    """Generator processes that share the load."""
    part: int = 0
    """Index of the process that this order is for, from 0."""
    cores: tuple[int, ...] = ()
    """Cores the generator is pinned to for this run; empty: not pinned."""

    @property
    def runs_code(self) -> bool:
        """Whether a file of the user's is executed. It may keep state, so the run has processes of its own."""
        return self.scenario is not None or self.load.shape is not None


class Event(Noun):
    """A step of a run; `done` and `failed` end it."""

    event: Literal["ready", "progress", "warm", "window_opened", "window_closed", "done", "failed"]
    """warm: the window could open; an order with `holds` waits for GO now."""
    time_ns: int = 0
    phase: str = ""
    rows: int = 0
    errors: int = 0
    warm: bool = True
    """window_opened: every user had had an answer by then."""
    message: str = ""
    """failed: one sentence."""
    figures: GeneratorFigures = GeneratorFigures()
    """done: over the window."""
    slices: tuple[Slice, ...] = ()
    """done: the slices of a pair, in the order of time."""
