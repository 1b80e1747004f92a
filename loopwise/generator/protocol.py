"""What the harness asks of a generator, and what it is told. JSON lines over the process's pipes."""

from typing import Literal, NamedTuple

from loopwise.model import Endpoint, GeneratorFigures, Load, Noun, SideName

GO = "go\n"
"""The line that lets an order which holds open its window."""


ABBA = (0, 1, 1, 0)
"""Order of a pair's slices, from who comes first: drift that is linear over four slices hits both sides alike."""


class Rival(Noun):
    """A second server that is asked beside the order's own: the candidate of a pair, by the same load."""

    url: str
    endpoints: tuple[Endpoint, ...]
    slice_s: float | None = None
    """Length of a slice, in which one of the two is asked; None: both at once (a duel)."""
    slices: int = 0
    """How many slices there are, of both sides together."""
    first: SideName = "baseline"
    """Whose slice comes first."""


class Slice(NamedTuple):
    """A stretch of time in which one side alone was asked, by all its users, and answered."""

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
    load: Load
    rival: Rival | None = None
    """The candidate where this is a round of a pair; rows then carry the side before the endpoint's name."""
    seed: int = 1
    samples: str
    """Path of the Arrow stream that the rows go to."""
    holds: bool = False
    """Go on warming up until the harness says GO: it may be starting the servers of coming runs."""
    processes: int = 1
    """Generator processes that share the load."""
    part: int = 0
    """Which of them this order is for, from 0."""
    cores: tuple[int, ...] = ()
    """Cores the generator is pinned to for this run; empty: wherever the kernel likes."""


class Event(Noun):
    """What happened in a run; `done` and `failed` end it."""

    event: Literal["ready", "progress", "warm", "window_opened", "window_closed", "done", "failed"]
    """warm: the window could open; an order that holds waits for GO now."""
    time_ns: int = 0
    phase: str = ""
    rows: int = 0
    errors: int = 0
    warm: bool = True
    """window_opened: every user had been answered by then."""
    message: str = ""
    """failed: one sentence."""
    figures: "Figures | None" = None
    slices: tuple[Slice, ...] = ()
    """done: the slices of a pair, in the order of time."""


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

    def record(self) -> GeneratorFigures:
        """As run.json holds them."""
        return GeneratorFigures(**dict(self))
