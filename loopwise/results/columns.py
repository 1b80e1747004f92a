"""Columns of a result's tables: a row per request (samples), and a row per process and sample (telemetry)."""

from dataclasses import dataclass

import pyarrow as pa

KERNEL, USER = "kernel", "user"
"""Clocks that stamp an arrival: the kernel's, or ours in user space."""
UNFINISHED = "unfinished"
"""Error of a request that the end of the run cut off: a row, but nobody's failure."""
HOST_PID = 0
"""Process id of telemetry rows that describe the whole machine."""
POOLS = ("limiter", "executor", "process_pool", "dependency_pool")
"""Pools as a probe names them, and as their columns' names begin."""
POOL_PARTS = ("max", "busy", "queued")

TEXT = pa.dictionary(pa.int32(), pa.string())
SAMPLES = pa.schema(
    [
        pa.field("scheduled_ns", pa.int64()),
        pa.field("sent_ns", pa.int64(), nullable=False),
        pa.field("received_ns", pa.int64(), nullable=False),
        pa.field("read_ns", pa.int64(), nullable=False),
        pa.field("endpoint", TEXT, nullable=False),
        pa.field("status", pa.int16(), nullable=False),
        pa.field("error", TEXT),
        pa.field("bytes", pa.int32(), nullable=False),
        pa.field("connection", pa.int32()),
        pa.field("stamp", TEXT, nullable=False),
    ]
)
TELEMETRY = pa.schema(
    [
        ("time_ns", pa.int64()),
        ("pid", pa.int32()),
        ("role", pa.dictionary(pa.int32(), pa.string())),
        ("cpu_s", pa.float64()),
        ("rss_mb", pa.float64()),
        ("threads", pa.int32()),
        ("context_switches", pa.int64()),
        ("steal_s", pa.float64()),
        ("total_s", pa.float64()),
        *((name, pa.float64()) for name in ("loop_lag_p50_ms", "loop_lag_p99_ms", "loop_lag_max_ms")),
        *(
            (name, pa.float64())
            for name in ("loop_stall_max_ms", "loop_blocked_s", "loop_cpu_s", "loop_wait_s")
        ),
        *((f"{pool}_{part}", pa.int32()) for pool in POOLS for part in POOL_PARTS),
        ("in_flight", pa.int32()),
        ("requests_done", pa.int64()),
        *((name, pa.float64()) for name in ("gc_pause_s", "gc_pause_max_ms", "probe_late_ms")),
    ]
)


@dataclass
class Sample:
    """One row of telemetry.parquet. Times are seconds of CPU since the process (or the machine) began."""

    time_ns: int
    pid: int
    """0: the whole machine."""
    role: str
    """`host` or `server`."""
    cpu_s: float
    rss_mb: float | None = None
    threads: int | None = None
    context_switches: int | None = None
    steal_s: float | None = None
    total_s: float | None = None
    """host: CPU seconds of all cores, idle ones included."""
    loop_lag_p50_ms: float | None = None
    """This and all that follows: from the probe in a worker; None for other processes, or where it is off."""
    loop_lag_p99_ms: float | None = None
    loop_lag_max_ms: float | None = None
    loop_stall_max_ms: float | None = None
    loop_blocked_s: float | None = None
    loop_cpu_s: float | None = None
    loop_wait_s: float | None = None
    limiter_max: int | None = None
    limiter_busy: int | None = None
    limiter_queued: int | None = None
    executor_max: int | None = None
    executor_busy: int | None = None
    executor_queued: int | None = None
    process_pool_max: int | None = None
    process_pool_busy: int | None = None
    process_pool_queued: int | None = None
    dependency_pool_max: int | None = None
    dependency_pool_busy: int | None = None
    dependency_pool_queued: int | None = None
    in_flight: int | None = None
    requests_done: int | None = None
    gc_pause_s: float | None = None
    gc_pause_max_ms: float | None = None
    probe_late_ms: float | None = None
    lags: dict[int, int] | None = None
    """Counts of lag by bucket; on disk as the three loop_lag columns."""
