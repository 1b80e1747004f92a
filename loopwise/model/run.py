"""What was measured: an experiment and its runs."""

from typing import Any, Literal

from pydantic import Field

from loopwise.model.base import SCHEMA_VERSION, Noun
from loopwise.model.suite import Case, Suite

RunState = Literal["planned", "ok", "invalid", "failed", "disturbed"]
CauseName = Literal[
    "generator_bound",
    "cpu_saturated",
    "worker_imbalance",
    "loop_blocked",
    "thread_pool_full",
    "executor_full",
    "process_pool_full",
    "dependency_bound",
    "memory_growth",
]

TOTAL = "all"
"""The endpoint column's value for rows that speak of all endpoints of a mix together."""


VICTIM = "victim "
"""Begins the endpoint's name in rows of the victim probe: `victim /health`."""


class PlannedRun(Noun):
    """One run of the plan: a case, its replicate, and what became of it."""

    case_id: str
    replicate: int
    """From 1; replicate k of every case lies in block k."""
    attempt: int = 1
    """Above 1: it repeats a run during which the machine was disturbed, at the end of its block."""
    state: RunState = "planned"


class Experiment(Noun):
    """experiment.json: everything that was decided before the first request, and the state of each run."""

    schema_version: int = SCHEMA_VERSION
    name: str
    """Name of the result's folder."""
    label: str | None = None
    created_at: str
    """ISO 8601, UTC."""
    suite: Suite
    seed: int
    environment: dict[str, Any]
    """The machine, its limits and the versions in use (machine.describe)."""
    calibration: dict[str, float] = Field(default_factory=dict)
    """Constants measured once before the first run, the same for all runs: `cpu_iterations_per_ms`."""
    plan: tuple[PlannedRun, ...] = ()
    """In the order of execution."""
    finished_at: str | None = None
    command: str | None = None
    """The command line that began it, to do the same again."""


class Window(Noun):
    """The measured part of a run."""

    start_ns: int
    end_ns: int
    warm: bool = True
    """Closed load: every user had been answered before the window began."""

    @property
    def duration_s(self) -> float:
        """Length of the window in seconds."""
        return (self.end_ns - self.start_ns) / 1e9


class Check(Noun):
    """One fact about a run that decides whether its numbers can be used."""

    name: str
    value: float
    limit: float
    effect: Literal["void", "flag"]
    """What a failed check does: make the run invalid, or put a mark beside its numbers."""
    ok: bool
    detail: str = ""
    """A sentence for a failed check: what it means and what to do."""


class Worker(Noun):
    """What one worker process of the server did in the window."""

    pid: int
    requests: int | None = None
    """Requests that it finished, the victim's included; None without the probe."""
    share: float | None = None
    """Its requests ÷ all workers', 0–1; None without the probe, or without requests."""
    cpu_s: float = 0.0
    """CPU of the process itself, without its children's."""
    fate: Literal["", "ended", "appeared"] = ""
    """`ended`: gone before the window closed; `appeared`: came after the server was ready."""


class Cause(Noun):
    """Why a run is not faster; an entry of Run.causes."""

    cause: CauseName
    share: float
    """How much of the window, or of what the cause is about, it takes; 0–1, see docs/schema.md."""
    evidence: str
    """What was seen, in words."""


class Run(Noun):
    """run.json: one case measured once, on a freshly started server."""

    schema_version: int = SCHEMA_VERSION
    case: Case
    replicate: int
    attempt: int = 1
    """As PlannedRun.attempt."""
    order: int
    """Position in the order of execution, from 1."""
    status: Literal["ok", "invalid", "failed", "disturbed"]
    error: str | None = None
    """Why a run failed, in one sentence."""
    started_at: str
    window: Window | None = None
    server: dict[str, Any] = Field(default_factory=dict)
    """argv, versions, pids, port, start_s; empty for a server that already ran."""
    generator: dict[str, Any] = Field(default_factory=dict)
    """cpu_s, wall_s, requests, cores, stamp, connections_max."""
    counts: dict[str, int] = Field(default_factory=dict)
    """rows, window_rows, ok, errors, unfinished."""
    host: dict[str, float] = Field(default_factory=dict)
    """The machine and the server's processes over the window (telemetry.window_figures, machine.changes)."""
    workers: tuple[Worker, ...] = ()
    """The server's worker processes; empty for a server that already ran."""
    checks: tuple[Check, ...] = ()
    causes: tuple[dict[str, Any], ...] = ()
    """cause, share and evidence, the most decisive first (loopwise.analysis.causes)."""
