"""Tables of the columns of samples.parquet (a row per request) and telemetry.parquet (a row per process and sample)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from loopwise.results.lags import lag_ms, merge_counts

KERNEL, USER = "kernel", "user"
"""Clocks that stamp an arrival: the kernel's, or ours in user space."""
UNFINISHED = "unfinished"
"""Error of a request that the end of the run cut off: a row, but not a failure."""
HOST_PID = 0
"""Process id of telemetry rows that describe the whole machine."""

INT16, INT32, INT64, FLOAT, BOOLEAN = pa.int16(), pa.int32(), pa.int64(), pa.float64(), pa.bool_()
TEXT = pa.dictionary(pa.int32(), pa.string())

ProbeLine = Mapping[str, Any]
"""One line of a worker's probe (`sample` in target_app/instruments.py)."""
Merge = Callable[[Sequence[ProbeLine]], float | None]
"""A column's value from the probe's lines of one sampling interval, at least one, in order of time."""


def last(key: str) -> Merge:
    """For sums since the beginning and for states: the value of the last line."""
    return lambda lines: lines[-1][key]


def greatest(key: str) -> Merge:
    """For extremes since the line before."""
    return lambda lines: max(line[key] for line in lines)


def greatest_known(key: str) -> Merge:
    """The same, of the lines that have it; None: none has."""
    return lambda lines: max((line[key] for line in lines if line.get(key) is not None), default=None)


def lag(quantile: float) -> Merge:
    """For quantiles of the lag: of all lines' counts together; None in a worker without an event loop."""
    return lambda lines: lag_ms(merge_counts(line["lags"] or {} for line in lines), quantile)


def pool(name: str, part: int) -> Merge:
    """For a pool's places, those in use and those who wait (part 0, 1, 2): of the last line; None without the pool."""

    def merge(lines: Sequence[ProbeLine]) -> float | None:
        figures: Sequence[int | None] | None = lines[-1].get(name) or lines[-1]["gauges"].get(name)
        return figures[part] if figures else None

    return merge


def in_flight(lines: Sequence[ProbeLine]) -> int:
    """Requests that were begun and not ended at the last line."""
    return int(lines[-1]["started"]) - int(lines[-1]["done"])


@dataclass(frozen=True)
class Column:
    """One column. The end of its name is its unit, as in every file of a result."""

    name: str
    type: pa.DataType
    meaning: str
    """As in docs/schema.md."""
    required: bool = False
    """Never null."""
    later: bool = False
    """Samples: files of earlier versions lack it."""
    merge: Merge | None = None
    """Telemetry: how it follows from the probe's lines; None: it is sampled from outside."""

    @property
    def type_words(self) -> str:
        """The type as docs/schema.md names it."""
        words = {TEXT: "dictionary of string", FLOAT: "float64"}.get(self.type, str(self.type))
        return words if self.required else f"{words} or null"


# fmt: off
SAMPLE_COLUMNS = (
    Column("scheduled_ns", INT64,
        meaning="when the request was due: in open load, and for the victim; null in closed load and Locust files"),
    Column("sent_ns", INT64, required=True,
        meaning="just before the request was sent, over TLS after the handshake; without a connection: when it began"),
    Column("received_ns", INT64, required=True,
        meaning="when the answer's last byte arrived. Without a complete answer: when that became known"),
    Column("read_ns", INT64, required=True,
        meaning="when the generator read it; `read_ns` − `received_ns` is the generator's lag"),
    Column("endpoint", TEXT, required=True,
        meaning="`GET /items/1`; a name given in a Locust file replaces the path; `victim /health` for the victim"),
    Column("status", INT16, "HTTP status; 0: no complete answer", required=True),
    Column("error", TEXT, "null: a success. Else [what went wrong](#kinds-of-error)"),
    Column("bytes", INT64, "length of the answer, see below", required=True),
    Column("connection", INT32,
        meaning="number of the connection, unique in the run; null without one, and for plain Locust clients"),
    Column("stamp", TEXT, required=True,
        meaning="where `received_ns` is from: `kernel`, or `user` (the generator's own clock, late by its delay)"),
    Column("retried", BOOLEAN, later=True,
        meaning="sent twice, see below; null where `connection` is, and in files of earlier versions"),
)
TELEMETRY_COLUMNS = (
    Column("time_ns", INT64, "when", required=True),
    Column("pid", INT32, "the process; 0: the whole machine", required=True),
    Column("role", TEXT, "`host` or `server` (supervisor, workers and pool processes alike)", required=True),
    Column("cpu_s", FLOAT, "CPU seconds used since it began; host: by all processes, since boot", required=True),
    Column("rss_mb", FLOAT, "resident memory; null for the host"),
    Column("threads", INT32, "threads; null for the host"),
    Column("context_switches", INT64, "since it began, voluntary or not; null for the host"),
    Column("steal_s", FLOAT, "host: CPU seconds that the hypervisor took since boot; null for processes"),
    Column("total_s", FLOAT, "host: CPU seconds of all cores since boot, idle ones included; null for processes"),
    Column("pss_mb", FLOAT,
        meaning="memory, each page divided by its processes; only at the window's ends, and where Linux tells"),
    Column("loop_lag_p50_ms", FLOAT, merge=lag(0.5),
        meaning="how long a callback that was due waited, since the row before; null while the loop is blocked, and "
        "where there is none (`wsgi`), as the next four"),
    Column("loop_lag_p99_ms", FLOAT, "the same, 99th percentile, within 3 %", merge=lag(0.99)),
    Column("loop_lag_max_ms", FLOAT, merge=greatest_known("lag_max_ms"),
        meaning="the same, greatest; callbacks that still wait included"),
    Column("loop_stall_max_ms", FLOAT, merge=greatest_known("stall_ms"),
        meaning="longest time that one piece of code kept the loop, since the row before; one that goes on included"),
    Column("loop_blocked_s", FLOAT, merge=last("blocked_s"),
        meaning="all such stalls of 4 ms or more, since the process began"),
    Column("loop_cpu_s", FLOAT, merge=last("loop_cpu_s"),
        meaning="CPU of the loop's thread; without a loop (`wsgi`), of all threads"),
    Column("loop_wait_s", FLOAT, merge=last("loop_wait_s"),
        meaning="time in which that thread (or those) could have run, but had no core"),
    Column("native_threads", INT32, merge=greatest_known("native_threads"),
        meaning="threads that Python didn't start (BLAS, OpenMP) and that ran since the row before; not under granian"),
    Column("native_cpu_s", FLOAT, "CPU of such threads", merge=last("native_cpu_s")),
    Column("native_wait_s", FLOAT, merge=last("native_wait_s"),
        meaning="time in which they could have run, but had no core, all of them together"),
    Column("limiter_max", INT32, merge=pool("limiter", 0),
        meaning="tokens of AnyIO's default limiter, the threads of `def` routes; null while AnyIO is not loaded. "
        "Of a WSGI app the threads that serve it, null where their number is not known"),
    Column("limiter_busy", INT32, "tokens in use; threads that work on a request", merge=pool("limiter", 1)),
    Column("limiter_queued", INT32, merge=pool("limiter", 2),
        meaning="tasks that wait for a token; null for `wsgi`, whose requests wait in the server"),
    Column("executor_max", INT32, merge=pool("executor", 0),
        meaning="most threads of asyncio's default executor (`asyncio.to_thread`); null while there is none"),
    Column("executor_busy", INT32, "threads at work", merge=pool("executor", 1)),
    Column("executor_queued", INT32, "calls that wait for a thread", merge=pool("executor", 2)),
    Column("process_pool_max", INT32, merge=pool("process_pool", 0),
        meaning="processes of the app's pool; these six as the app [reports them](extending.md#your-own-pools)"),
    Column("process_pool_busy", INT32, "processes at work", merge=pool("process_pool", 1)),
    Column("process_pool_queued", INT32, "calls that wait for a process", merge=pool("process_pool", 2)),
    Column("dependency_pool_max", INT32, merge=pool("dependency_pool", 0),
        meaning="most connections to something that the app depends on"),
    Column("dependency_pool_busy", INT32, "connections in use", merge=pool("dependency_pool", 1)),
    Column("dependency_pool_queued", INT32, "callers that wait for a connection", merge=pool("dependency_pool", 2)),
    Column("in_flight", INT32, "HTTP requests that the app has begun and not ended", merge=in_flight),
    Column("requests_done", INT64, merge=last("done"),
        meaning="HTTP requests that it has ended since the process began, background tasks included"),
    Column("gc_pause_s", FLOAT, "garbage collection since the process began", merge=last("gc_s")),
    Column("gc_pause_max_ms", FLOAT, "its longest pause since the row before", merge=greatest("gc_max_ms")),
    Column("probe_late_ms", FLOAT, merge=greatest("late_ms"),
        meaning="how late the probe's own thread woke: it waits for the GIL and for a core like any other"),
)
# fmt: on
SAMPLES = pa.schema([pa.field(each.name, each.type, nullable=not each.required) for each in SAMPLE_COLUMNS])
TELEMETRY = pa.schema([(each.name, each.type) for each in TELEMETRY_COLUMNS])
POOLS = tuple(each.name.removesuffix("_queued") for each in TELEMETRY_COLUMNS if each.name.endswith("_queued"))
"""Pools as a probe names them, and as the names of their columns begin."""


@dataclass
class Sample:
    """One row of telemetry.parquet. Times are seconds of CPU since the process (or the machine) began."""

    time_ns: int
    pid: int
    role: str
    cpu_s: float
    rss_mb: float | None = None
    threads: int | None = None
    context_switches: int | None = None
    steal_s: float | None = None
    total_s: float | None = None
    pss_mb: float | None = None
    probe: Mapping[str, float | None] = field(default_factory=dict)
    """Columns that the probe in a worker measured; empty for other processes, or where it is off."""
    lags: Mapping[int, int] | None = None
    """The probe's counts of lag by bucket; on disk as the three loop_lag columns."""

    def row(self) -> dict[str, Any]:
        """The sample as columns."""
        outside = {name: value for name, value in vars(self).items() if name not in {"probe", "lags"}}
        return outside | dict(self.probe)
