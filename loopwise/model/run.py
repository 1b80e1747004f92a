"""An experiment and its runs, with all that was recorded of each run."""

from collections.abc import Iterable
from typing import Any, Literal

from pydantic import Field, model_validator

from loopwise.model.base import SCHEMA_VERSION, CaseId, Noun, Recorded
from loopwise.model.suite import Case, Suite

RunState = Literal["planned", "ok", "invalid", "failed", "disturbed"]

TOTAL = "all"
"""Endpoint of rows about all endpoints of a mix together."""
OTHER = "other"
"""Kind of errors that are summed: those beyond the most frequent ones."""
VICTIM = "victim "
"""Prefix of the endpoint in rows of the canary: `victim /health`."""


class PlannedRun(Noun):
    """One run of the plan: a case, its replicate and its state."""

    case_id: CaseId
    replicate: int = Field(ge=1)
    """From 1; replicate k of every case lies in block k."""
    attempt: int = Field(default=1, ge=1)
    """Above 1: repeats a run during which the machine was disturbed, at the end of its block."""
    state: RunState = "planned"


class Experiment(Noun):
    """experiment.json: everything decided before the first request, and the state of each run."""

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
    """The command line that started it."""
    seal: str | None = None
    """Tells the user and the machine that made it (loopwise.results.trust)."""

    @model_validator(mode="after")
    def _has_ids(self) -> "Experiment":
        """Folders have the names of cases, and only cases of the suite are measured."""
        ids = [case.case_id for case in self.suite.cases]
        if len({*ids, ""}) <= len(ids):
            raise ValueError("two cases have the same case_id, or one has none")
        if not {each.case_id for each in self.plan} <= set(ids):
            raise ValueError("the plan has a case_id that no case has")
        return self


class Window(Noun):
    """The measured part of a run."""

    start_ns: int
    end_ns: int
    warm: bool = True
    """Closed load: every user had an answer before the window opened."""

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
    """A sentence on a failed check: its meaning, and what to do."""


class Worker(Noun):
    """Figures of one worker process over the window."""

    pid: int
    requests: int | None = None
    """Requests that it finished, the canary's included; None without the probe."""
    share: float | None = None
    """Its requests ÷ all workers', 0–1; None without the probe, or without requests."""
    cpu_s: float = 0.0
    """CPU of the process, without its children's."""
    fate: Literal["", "ended", "appeared"] = ""
    """`ended`: before the window closed; `appeared`: after the server was ready."""


class Resource(Noun):
    """What requests of a worker wait for: a pool, lock, semaphore or executor, over the window."""

    pid: int
    """The worker process."""
    kind: str
    """`pool`, `lock`, `semaphore`, `condition` or `executor`."""
    name: str
    """As people know it: `SQLAlchemy's QueuePool`."""
    made_at: str = ""
    """`db.py:11`, the line of the app that made it; empty: not known."""
    waited_at: str = ""
    """The line of the app that most of its callers waited at; empty: not known."""
    count: int = 1
    """How many were made at that line; of pools, those that are still there."""
    places: int
    """Of all of them."""
    busy: float
    """Places in use, on average."""
    full_ratio: float
    """Share of the samples at which somebody waited for a place."""
    waiting: int
    """Median of those who waited at these samples."""
    wait_max_ms: float
    """Longest wait, one that went on at the window's end included."""


class Cause(Noun):
    """A reason why a run is not faster."""

    cause: str
    """A name in loopwise.analysis.causes.CAUSES."""
    share: float
    """How much of the window, or of what the cause is about, it takes; 0–1, see docs/schema.md."""
    evidence: str
    """The observation in words."""
    remedy: str = Field(default="", exclude_if=lambda remedy: not remedy)
    """Advice; empty where the evidence says it, and in results of earlier versions."""


StandKind = Literal["thread", "task", "loop"]


class WaitPlace(Noun):
    """A line of the app's own code at which threads or tasks stood in the window."""

    place: str
    """`shop/repo.py:31`, relative to the app's folder."""
    function: str
    """The function that the line is in."""
    call: str
    """What it waits in, as it is written there: `db.execute`, `with lock`; empty where the source can't be read."""
    kind: StandKind
    """`thread`: of a thread pool; `loop`: the event loop's own, while code held it."""
    count: float
    """How many stood there at once, on average, all workers together; of loops: how many were held there."""
    share: float
    """Of those of its kind that stood in the app's own code; of loops: of the looks at them. 0–1."""


class Kill(Noun):
    """A rule of production by which the server, or its requests, would have been ended."""

    rule: str
    """A name in loopwise.analysis.production.RULES."""
    evidence: str
    """The observation in words."""


class ErrorCount(Noun):
    """Number of failed requests of one endpoint and kind of error."""

    endpoint: str
    """TOTAL for endpoints that are summed, since a script can name thousands."""
    kind: str
    """As in the `error` column of samples, on one line and cut after 200 characters; OTHER for rare kinds, summed."""
    count: int
    requests: int
    """Requests of the endpoint that count, failed ones included."""
    kinds: int = 1
    """Kinds in this row; above 1 for OTHER."""
    first_s: float | None = None
    """When the first one failed, in seconds after the measurement began. The rest of the example is of it, too."""
    connection: int | None = None
    status: int | None = None
    """HTTP status; 0: no complete answer."""


class ServerFacts(Recorded):
    """Facts about the server process; empty where a run failed, or the server already ran."""

    argv: tuple[str, ...] = ()
    """The command line that started it."""
    port: int | None = None
    """On 127.0.0.1."""
    pinned_to: tuple[int, ...] = ()
    """Cores that it was pinned to; empty: any."""
    pids: tuple[int, ...] = ()
    """Process ids of the workers that were ready."""
    start_s: float | None = None
    """From its start until every worker had answered."""
    python: str | None = None
    """Version of the app's interpreter."""
    loop: str | None = None
    """Class of the event loop in use."""
    threads: int | None = None
    """Tokens of AnyIO's thread limiter; None: the app has not loaded AnyIO."""
    nodelay: bool | None = None
    """Whether all workers' connections send at once (TCP_NODELAY); None: the loop is not asyncio's, or doesn't tell."""
    versions: dict[str, str] = Field(default_factory=dict)
    """Packages of the app's environment that move numbers, and those of servers."""
    distributions: dict[str, str] = Field(default_factory=dict)
    """All that are installed in the app's interpreter, by normalized name; empty in results of earlier versions."""
    variables: dict[str, str] | None = None
    """Of its environment those that move numbers and are not in the case's `env` (loopwise.servers.variables); None in
    results of earlier versions."""
    pool_deaths: int | None = None
    """How often target_app's process pool lost a process and was replaced; None: the case has no such pool."""


class ScriptFigures(Recorded):
    """A Locust file's tasks and exceptions over the whole run, all generator processes together."""

    tasks: int = 0
    """Task executions, those of nested TaskSets included."""
    errors: int = 0
    """Exceptions of its tasks, on_start, on_stop, wait_time, listeners of events, and shapes."""
    first_error: str = ""
    """`KeyError: 'id'`"""
    first_error_at: str = ""
    """`journey.py:11`, relative to the Locust file's folder."""
    first_error_ns: int = 0
    """When; nanoseconds since the epoch."""
    stopped_at: str = ""
    """Line of the first StopUser or StopTest."""

    @classmethod
    def merged(cls, parts: Iterable["ScriptFigures"]) -> "ScriptFigures | None":
        """The figures of several processes as one; None without any."""
        known = list(parts)
        if not known:
            return None
        first = min(known, key=lambda each: (not each.errors, each.first_error_ns))
        totals: dict[str, Any] = {
            "tasks": sum(each.tasks for each in known),
            "errors": sum(each.errors for each in known),
            "stopped_at": next((each.stopped_at for each in known if each.stopped_at), ""),
        }
        return first.model_copy(update=totals)


class GeneratorFigures(Recorded):
    """The generator's own figures over the window; empty in a failed run."""

    processes: int = 1
    cpu_s: float = 0.0
    """CPU of all generator processes."""
    busiest_cpu_s: float = 0.0
    """CPU of the one that used most."""
    wall_s: float = 0.0
    """Length of the window on the generator's clock."""
    requests: int = 0
    """Rows recorded during the window, the canary's included."""
    cores: int = 1
    """Cores of the machine."""
    pinned_to: tuple[int, ...] = ()
    """Cores that it was pinned to; empty: any."""
    users: int | None = None
    """Locust users at the window's end."""
    users_wanted: int | None = None
    users_mean: float | None = None
    """Locust users on average over the window."""
    users_gone_s: float | None = None
    """Since when no user was left, in seconds from the window's start; None: users were there to its end."""
    script: ScriptFigures | None = None
    """Of a Locust file; None: declared load."""
    clock_step_ms: float | None = None
    """How far the wall clock moved against the monotonic clock during the run."""
    longest_pause_s: float | None = None
    """Longest time in the window in which one of its processes, due to wake every 10 or 50 ms, did not run."""
    stamp: str = ""
    """Clocks that stamped the rows: `kernel`, `user` or `kernel+user`."""

    @property
    def cpu_ratio(self) -> float | None:
        """Share of its core that the busiest process used, 0–1; None where no time passed."""
        return self.busiest_cpu_s / self.wall_s if self.wall_s else None


class HostFigures(Recorded):
    """Figures of the machine and of the server's processes over the window; None: not measured."""

    steal_ratio: float | None = None
    """Share of the machine's CPU time that the hypervisor took."""
    cpu_ratio: float | None = None
    """Share of it that was used, by any process."""
    harness_pause_s: float | None = None
    """Longest time in which the harness, due to sample every 100 ms, took no sample, or missed an end of the window."""
    server_cpu_s: float | None = None
    """CPU of all processes of the server, user and system."""
    server_rss_mb: float | None = None
    """Greatest sum of their resident memory."""
    server_pss_mb: float | None = None
    """Their memory at the window's end, with what they share counted once."""
    server_rss_growth_mb: float | None = None
    """Its growth from the window's first fifth to the last; 0 unless each fifth rose above the one before."""
    server_threads: float | None = None
    """Their threads at the window's end."""
    server_context_switches: float | None = None
    """Their context switches, voluntary or not."""
    loop_lag_p99_ms: float | None = None
    """99th percentile of a callback's wait for an event loop, all workers together."""
    loop_stall_max_ms: float | None = None
    """Longest time that one piece of code held an event loop."""
    loop_blocked_ratio: float | None = None
    """Share of the window that such stalls took, in the worker where they took most."""
    gc_pause_max_ms: float | None = None
    """Longest garbage collection of a worker."""
    processes_cpu_s: float | None = None
    """CPU of all processes of the machine, interrupts not included."""
    harness_cpu_s: float | None = None
    """CPU of the harness itself."""
    cores_before: float | None = None
    """Cores that the harness could use when the window opened."""
    cores_after: float | None = None
    """And when it closed."""
    frequency_ratio: float | None = None
    """Clock of the fastest core at the window's end ÷ at its start."""
    swapped_mb: float | None = None
    """Memory moved to and from swap, by any process."""


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
    server: ServerFacts = ServerFacts()
    generator: GeneratorFigures = GeneratorFigures()
    canary_idle_p99_ms: float | None = None
    """The canary's 99th percentile before the load, of 100 answers one after another; None: no canary, or too slow."""
    counts: dict[str, int] = Field(default_factory=dict)
    """rows, window_rows, ok, errors, unfinished, …"""
    errors: tuple[ErrorCount, ...] = ()
    """By endpoint and kind, the most frequent first; of the rows that count, as `counts["errors"]`."""
    host: HostFigures = HostFigures()
    alone_ms: dict[str, float] = Field(default_factory=dict)
    """By endpoint: time of a request while nobody else waits, measured before the load; empty: not measured."""
    served_at_once: float | None = None
    """Requests served at once, by Little's law: throughput × time alone; None: not known."""
    workers: tuple[Worker, ...] = ()
    """The server's worker processes; empty for a server that already ran."""
    resources: tuple[Resource, ...] = ()
    """What requests could wait for in the workers, those most waited for first; empty without the probe."""
    checks: tuple[Check, ...] = ()
    causes: tuple[Cause, ...] = ()
    """The most decisive first (loopwise.analysis.causes)."""
    waits_at: tuple[WaitPlace, ...] = Field(default=(), exclude_if=lambda places: not places)
    """Lines of the app at which threads and tasks stood; empty without the probe, or for target_app."""
    kills: tuple[Kill, ...] = ()
    """Rules of production that would have ended it (loopwise.analysis.production)."""
