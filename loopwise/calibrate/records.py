"""Records of a calibration, as calibration.json holds them."""

from collections.abc import Sequence
from statistics import median
from typing import Any, Literal

from loopwise.model import Noun

SCHEMA_VERSION = 1
"""Version of calibration.json. History: 1, first."""
DECLARED, STAMPED = "ours, declared", "ours, StampedUser"
FAST, HTTP = "FastHttpUser", "HttpUser"
"""Names of the generators, as records and tables call them."""


class Spread(Noun):
    """A figure over the rounds: median, lowest and highest. Rounds are too few for an interval."""

    median: float
    low: float
    high: float
    rounds: int

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """The spread of one value per round.

        Raises:
            ValueError: there are no values.
        """
        if not values:
            raise ValueError("a spread needs at least one round")
        return cls(median=median(values), low=min(values), high=max(values), rounds=len(values))


class Missing(Noun):
    """A tool that is not installed or not permitted, and what is not measured without it."""

    tool: str
    effect: str
    remedy: str


class ToolCost(Noun):
    """Cost of one generator that sends as fast as it can."""

    tool: str
    cpu_us_per_request: Spread
    """User and system time of the generator's process ÷ the requests it recorded."""
    throughput_rps: Spread
    generator_cpu_ratio: Spread
    """CPU seconds of the generator per second of the window; 1: its core is full."""
    server_cpu_ratio: Spread
    requests: int
    errors: int
    bottleneck: str
    """Whose core was full: `generator`, `server`, `both`, or `neither` (the machine was disturbed)."""


class CostRatio(Noun):
    """CPU per request of one tool ÷ that of another, computed within each round."""

    numerator: str
    denominator: str
    ratio: Spread


class LatencyTruth(Noun):
    """Service time as one generator reported it, beside the packets of the same run."""

    tool: str
    situation: Literal["steady", "saturated"]
    connections: int
    throughput_rps: float
    rows: int
    """Requests that the generator recorded in the whole run, those cut off by its end included."""
    packet_requests: int | None
    """Requests on the wire in the whole run; None without a capture."""
    packets_dropped: int | None
    """Packets that the kernel could not hand to the capture: with any, the counts can't agree."""
    reported_us: dict[str, float]
    """Service time in µs by percentile (`p50`, `p90`, `p99`, `p999`); p999 only with ten rows above it."""
    packets_us: dict[str, float]
    """First packet of the request → last packet of the answer; empty without a capture."""
    lag_us: dict[str, float]
    """Arrived → read by the generator; empty for clients that don't know when an answer arrived."""

    def error_us(self, percentile: str) -> float | None:
        """Reported − true; None without a capture."""
        if percentile not in self.reported_us or percentile not in self.packets_us:
            return None
        return self.reported_us[percentile] - self.packets_us[percentile]

    def error_ratio(self, percentile: str) -> float | None:
        """The error relative to the packets' value."""
        error_us = self.error_us(percentile)
        return None if error_us is None else error_us / self.packets_us[percentile]


class ScheduleAccuracy(Noun):
    """How well open load (Poisson arrivals) kept its schedule at one rate."""

    rate_rps: float
    due: int
    """Requests drawn from the seed for the time up to the window's end."""
    sent: int
    """Rows that are due at exactly those times and were sent."""
    late_us: dict[str, float]
    """sent − scheduled in the window, µs: `p50`, `p99`, `max`."""

    @property
    def sent_ratio(self) -> float:
        """1: nothing was dropped."""
        return self.sent / self.due if self.due else 0.0


class UserMemory(Noun):
    """Memory of mostly idle virtual users; their sockets are the kernel's."""

    users: int
    growth_bytes: int
    """Growth of the generator's resident memory, from a few users to all of them."""
    bytes_per_user: float


class RowSize(Noun):
    """Size of a row on disk, the file's header and footer included."""

    load: str
    rows: int
    bytes_per_row: float


class Target(Noun):
    """A figure beside the target that the generator should reach."""

    figure: str
    reach: str
    found: str
    state: Literal["met", "not met", "not measured"]
    detail: str = ""
    """Why it was not measured, or how it was missed."""


class Calibration(Noun):
    """calibration.json: everything that one calibration measured."""

    schema_version: int = SCHEMA_VERSION
    created_at: str
    """ISO 8601, UTC."""
    duration_s: float
    seed: int
    window_s: float
    """Length of one measured window of the cost rounds; the other steps scale with it."""
    environment: dict[str, Any]
    server: str
    """The static server, with its version."""
    server_core: int | None
    """None: there are too few cores to keep generator and server apart."""
    generator_core: int | None
    steal_ratio: float
    """Share of the machine's CPU that the hypervisor took during the calibration."""
    missing: tuple[Missing, ...] = ()
    problems: tuple[str, ...] = ()
    """Steps that failed, one sentence each."""
    cost: tuple[ToolCost, ...] = ()
    ratios: tuple[CostRatio, ...] = ()
    latency: tuple[LatencyTruth, ...] = ()
    schedule: tuple[ScheduleAccuracy, ...] = ()
    memory: UserMemory | None = None
    row_sizes: tuple[RowSize, ...] = ()
    targets: tuple[Target, ...] = ()
