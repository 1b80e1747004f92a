"""Signals of a run: the figures from telemetry and rows by which causes are found."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pyarrow as pa

from loopwise.analysis.memory import Growth, memory_growth
from loopwise.analysis.outside import with_waiting
from loopwise.analysis.rows import RunRows
from loopwise.analysis.stats import rank
from loopwise.model import Resource, Run, StandKind, WaitPlace
from loopwise.results.columns import POOLS

FIRST_ROWS = 3
"""The service time without a queue is that of the third fastest row: the fastest may be an outlier."""
MIN_ROWS = 20
STANDSTILL_S = 1.0
"""A silence is short of this while connections are opened or a lock is passed on."""
STANDSTILL_FULL = 0.75
"""Share of its samples: where waiting for a connection has a limit, all give up at once, and wait again."""
MIN_POOL = 0.2
"""Ten samples a second: below this share it was full for moments, which a pool may be."""


@dataclass(frozen=True)
class PoolSignals:
    """Use of one of a worker's pools."""

    full_ratio: float
    """Share of the samples at which every place was taken and somebody waited."""
    places: int
    queued: int
    """Median of those who waited while it was full."""


@dataclass(frozen=True)
class WorkerSignals:
    """One worker process in the window; ratios are of its length."""

    share: float | None
    """Of the requests; None if there were none."""
    cpu_ratio: float
    """CPU of all its threads."""
    wait_ratio: float
    """Time in which the loop's thread could have run, but had no core."""
    held_ratio: float
    """Of which code on the loop kept it; what the machine and other threads had of its stalls is taken off."""
    stall_ms: float
    native_threads: int = 0
    """Threads of BLAS, OpenMP and the like at work, most of the time."""
    native_cpu_ratio: float = 0.0
    native_wait_ratio: float = 0.0
    """Time in which they could have run, but had no core, all of them together."""
    pid: int = 0
    in_flight: float | None = None
    """Requests that the app had begun and not ended, on average."""
    pools: dict[str, PoolSignals] = field(default_factory=dict)
    holds_between: bool = False
    """At times more callers held or awaited a connection than there are threads, all of them taken: holders wait for a
    thread."""

    def want_ratio(self, left_ratio: float) -> float:
        """CPU that it used or waited for, 0–1, of what the hypervisor left."""
        return min(1.0, (self.cpu_ratio + self.wait_ratio) / left_ratio)


@dataclass(frozen=True)
class Standstill:
    """A server that no longer answers, with threads and a pool full to the end."""

    since_s: float | None
    """Last answer, in seconds after the window opened; below 0: in the warm-up; None: there was none."""
    silence_ratio: float
    """Share of the window without an answer."""
    threads: int
    places: int


@dataclass(frozen=True)
class Signals:
    """A run, as causes see it."""

    workers: tuple[WorkerSignals, ...] = ()
    """Those whose probe measured; empty without it, and then most causes can't be found."""
    cores: int = 1
    """Cores that the server may use."""
    server_cpu_ratio: float = 0.0
    """CPU of all the server's processes ÷ the window; 2.0: two cores."""
    machine_ratio: float = 0.0
    """Share of the machine's CPU that was used or stolen."""
    machine_cores: int = 1
    steal_ratio: float = 0.0
    """CPU seconds stolen from all cores ÷ the window."""
    generator_ratio: float = 0.0
    """CPU of the busiest generator process ÷ time."""
    generator_processes: int = 1
    rss_mb: float = 0.0
    rss_growth_mb: float = 0.0
    growth: Growth | None = None
    """Of long windows."""
    low_ms: float | None = None
    """Fastest tenth of the window's service times."""
    median_ms: float | None = None
    """Of the window's service times."""
    inside_ms: float | None = None
    """Time that a request spent in the app, on average: by Little's law from those in flight there."""
    nodelay: bool | None = None
    """Whether the server's connections send at once; None: not known."""
    alone_ms: float | None = None
    """Service time without a queue: of the whole run's fastest rows."""
    served_at_once: float | None = None
    """Requests that were really served at once, by Little's law."""
    resources: tuple[Resource, ...] = ()
    """Pools, locks, semaphores and executors of the app, in all workers."""
    standstill: Standstill | None = None
    users: int | None = None
    """Of closed load that never pauses; None: of another load."""
    waits_at: tuple[WaitPlace, ...] = ()
    """Lines at which threads, tasks and loops stood."""
    interface: str = "asgi"
    """Of the app: `wsgi` and `a2wsgi` are served by threads."""

    @property
    def left_ratio(self) -> float:
        """Share of a core that the hypervisor left; at least half, since the estimate is too coarse below that."""
        return max(1.0 - self.steal_ratio / self.machine_cores, 0.5)

    def places(self, kind: StandKind) -> tuple[WaitPlace, ...]:
        """Lines at which those of a kind stood, the most frequent first."""
        return tuple(place for place in self.waits_at if place.kind == kind)


def gather(rows: RunRows, telemetry: pa.Table) -> Signals:
    """Compute the signals of a run.

    Args:
        rows: of a run with window, host, generator and server.
        telemetry: telemetry.parquet.
    """
    run = rows.run
    if run.window is None:
        return Signals()
    window_s = run.window.duration_s
    samples = with_waiting(telemetry.to_pandas(), rows)
    inside = samples[samples["time_ns"].between(run.window.start_ns, run.window.end_ns)]
    host, machine_cores = run.host, run.generator.cores
    steal = host.steal_ratio or 0.0
    low_ms, median_ms, alone_ms = _service_times(rows)
    is_steady = run.case.load.model == "closed" and not run.case.load.think_s and run.case.scenario is None
    return Signals(
        workers=_workers(run, inside),
        cores=len(run.server.pinned_to) or machine_cores,
        server_cpu_ratio=(host.server_cpu_s or 0.0) / window_s,
        machine_ratio=(host.cpu_ratio or 0.0) + steal,
        machine_cores=machine_cores,
        steal_ratio=min(1.0, steal * machine_cores),
        generator_ratio=run.generator.cpu_ratio or 0.0,
        generator_processes=run.generator.processes,
        rss_mb=host.server_rss_mb or 0.0,
        rss_growth_mb=host.server_rss_growth_mb or 0.0,
        growth=memory_growth(rows, inside),
        low_ms=low_ms,
        median_ms=median_ms,
        inside_ms=_inside_ms(inside),
        nodelay=run.server.nodelay,
        alone_ms=alone_ms,
        served_at_once=rows.served_at_once,
        resources=run.resources,
        standstill=_standstill(rows, samples),
        users=run.case.load.users if is_steady else None,
        waits_at=run.waits_at,
        interface=run.case.server.interface if run.case.server else "asgi",
    )


def _workers(run: Run, samples: pd.DataFrame) -> tuple[WorkerSignals, ...]:
    stolen_s = samples[samples["role"] == "host"].set_index("time_ns")["steal_s"]
    shares = {worker.pid: worker.share for worker in run.workers}
    return tuple(
        _worker(mine, stolen_s, shares.get(int(str(pid))))
        for pid, mine in samples[samples["requests_done"].notna()].groupby("pid")
        if len(mine) >= 2
    )


def _inside_ms(samples: pd.DataFrame) -> float | None:
    """Mean time of a request within the app, all workers together; None where no probe counted, or nothing."""
    counted = samples[["time_ns", "pid", "in_flight", "requests_done"]].dropna()
    workers = [mine for _, mine in counted.groupby("pid") if len(mine) >= 2]
    done = sum(float(mine["requests_done"].iloc[-1] - mine["requests_done"].iloc[0]) for mine in workers)
    spent_ns = sum(
        float(mine["in_flight"].mean()) * float(mine["time_ns"].iloc[-1] - mine["time_ns"].iloc[0]) for mine in workers
    )
    return spent_ns / done / 1e6 if done else None


def _worker(samples: pd.DataFrame, stolen_s: pd.Series, share: float | None) -> WorkerSignals:
    first, last = samples.iloc[0], samples.iloc[-1]
    length_s = (last["time_ns"] - first["time_ns"]) / 1e9

    def ratio(column: str) -> float:
        spent = last[column] - first[column]
        return 0.0 if pd.isna(spent) else max(0.0, float(spent)) / length_s

    held = samples["dependency_pool_busy"] + samples["dependency_pool_queued"]
    return WorkerSignals(
        share=share,
        cpu_ratio=ratio("cpu_s"),
        wait_ratio=ratio("loop_wait_s"),
        held_ratio=min(1.0, _held_s(samples, stolen_s) / length_s),
        stall_ms=float(samples["loop_stall_max_ms"].iloc[1:].max()),
        native_threads=int(samples["native_threads"].fillna(0).median()),
        native_cpu_ratio=ratio("native_cpu_s"),
        native_wait_ratio=ratio("native_wait_s"),
        holds_between=bool((_is_full(samples, "limiter") & (held > samples["limiter_max"])).any()),
        pid=int(first["pid"]),
        in_flight=float(samples["in_flight"].mean()),
        pools={pool: _pool(samples, pool) for pool in POOLS if samples[f"{pool}_max"].notna().any()},
    )


def _held_s(samples: pd.DataFrame, stolen_s: pd.Series) -> float:
    """Seconds in which code on the loop kept it.

    A stall is also what the loop waits for the GIL while other threads compute, or for a core. That is taken off, but
    only where it was: each stretch of samples with a blocked loop loses what was computed, waited and stolen within it
    and until the sample after it, since the kernel counts late. Steal of a quiet second hides no stall.
    """
    steps = samples[["loop_blocked_s", "cpu_s", "loop_cpu_s", "loop_wait_s"]].astype(float).diff().iloc[1:]
    # Where the system does not say, the loop may have used all of the CPU.
    others_s = (steps["cpu_s"] - steps["loop_cpu_s"].fillna(steps["cpu_s"])).to_numpy()
    steal_s = stolen_s.reindex(samples["time_ns"]).astype(float).diff().iloc[1:]
    # At most as much as is stolen from all cores can one thread have lost.
    idle_s = (steps["loop_wait_s"].fillna(0.0).to_numpy() + steal_s.fillna(0.0).to_numpy()).clip(min=0.0)
    blocked_s = steps["loop_blocked_s"].fillna(0.0).to_numpy().clip(min=0.0)
    held_s, begin = 0.0, 0
    for end in range(1, len(blocked_s) + 1):
        if end < len(blocked_s) and (blocked_s[end] > 0) == (blocked_s[begin] > 0):
            continue
        until = end + 1
        taken_s = max(0.0, others_s[begin:until].sum()) + idle_s[begin:until].sum()
        held_s += max(0.0, blocked_s[begin:end].sum() - taken_s)
        begin = end
    return held_s


def _is_full(samples: pd.DataFrame, pool: str) -> pd.Series:
    return (samples[f"{pool}_busy"] >= samples[f"{pool}_max"]) & (samples[f"{pool}_queued"] > 0)


def _standstill(rows: RunRows, samples: pd.DataFrame) -> Standstill | None:
    """Whether a worker's threads and pool were full from the last answer to the window's end."""
    answered_ns = rows.column["received_ns"][rows.is_ok & ~rows.is_victim]
    window = rows.window
    answered_ns = answered_ns[answered_ns < window.end_ns]
    last_ns = int(answered_ns.max()) if answered_ns.size else window.start_ns
    if window.end_ns - last_ns < STANDSTILL_S * 1e9:
        return None
    after = (samples["time_ns"] > last_ns + STANDSTILL_S * 1e9 / 2) & (samples["time_ns"] <= window.end_ns)
    for _, mine in samples[after & samples["requests_done"].notna()].groupby("pid"):
        full = _is_full(mine, "limiter") & _is_full(mine, "dependency_pool")
        if len(mine) >= 2 and full.mean() >= STANDSTILL_FULL:
            end = mine.iloc[-1]
            return Standstill(
                since_s=(last_ns - window.start_ns) / 1e9 if answered_ns.size else None,
                silence_ratio=min(1.0, (window.end_ns - last_ns) / 1e9 / window.duration_s),
                threads=int(end["limiter_max"]),
                places=int(end["dependency_pool_max"]),
            )
    return None


def _pool(samples: pd.DataFrame, pool: str) -> PoolSignals:
    most, queued = (samples[f"{pool}_{part}"] for part in ("max", "queued"))
    full = _is_full(samples, pool)
    waiting = queued[full].median() if full.any() else 0.0
    return PoolSignals(full_ratio=float(full.mean()), places=int(most.dropna().iloc[-1]), queued=int(waiting))


def _service_times(rows: RunRows) -> tuple[float | None, float | None, float | None]:
    """Fastest tenth and median in the window, and fastest in the whole run, of the endpoint with most successes.

    Only one endpoint: several may differ by what they do.
    """
    successes = {name: rows.of(name) & rows.is_ok for name in rows.endpoints}
    busiest = max(successes.values(), key=lambda mine: int(mine.sum()), default=np.zeros(0, dtype=bool))
    inside = rows.duration_ns("service", busiest & rows.arrived)
    if inside.size < MIN_ROWS:
        return None, None, None
    whole, ascending = np.sort(rows.duration_ns("service", busiest)), np.sort(inside)
    low, median = (ascending[rank(quantile, inside.size) - 1] for quantile in (0.1, 0.5))
    return float(low) / 1e6, float(median) / 1e6, float(whole[FIRST_ROWS - 1]) / 1e6
