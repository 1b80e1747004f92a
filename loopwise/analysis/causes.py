"""Why a run is not faster: named causes with their evidence in words. Pure functions.

To add a cause: one function that takes the evidence and returns a Cause (or None where there is no sign of it), one
line in CAUSES. No cause is an answer as well: nothing is full, nothing waits.
"""

from collections.abc import Callable, Sequence

import pyarrow as pa

from loopwise.analysis.signals import Evidence, WorkerEvidence, gather
from loopwise.model import Cause, Run

FULL = 0.9
"""Generator: as the check generator_cpu (METHOD §2)."""
NEARLY_FULL = 0.8
"""Generator: enough while the server has time (FREE), since the generator waits for its core now and then, too."""
SATURATED = 0.85
"""A server whose next request always waits still idles for the moment in which the generator sends it."""
MACHINE_FULL = 0.95
MIN_BLOCKED = 0.03
"""Below this share stalls are timers, garbage collections and neighbours on the host."""
MIN_POOL = 0.2
"""Ten looks a second: below this share it was full for moments, which a pool may be."""
UNEVEN = 1.5
"""A worker is overloaded with so many times its fair share, if it is busy (BUSY) while another has time (IDLE)."""
BUSY, IDLE = 0.7, 0.6
FREE = 0.7
"""A server that wants less CPU than this does not make requests wait for it."""
QUEUEING = 3.0
"""So many times the service time without a queue, in the fastest tenth: a wait that varies is short at times."""
QUEUEING_MS = 2.0
"""And so much longer than that: fractions of a millisecond are the kernel's and the generator's."""
MIN_GROWTH_MB, MIN_GROWTH_RATIO = 8.0, 0.05
"""Less is what caches and the allocator take in the first seconds under load."""


def generator_bound(evidence: Evidence) -> Cause | None:
    """The load generator used its core up: the server was not asked for more."""
    ratio = evidence.generator_ratio
    wants = [worker.want_ratio(evidence.left_ratio) for worker in evidence.workers]
    limit = NEARLY_FULL if wants and max(wants) < FREE else FULL
    if ratio < limit:
        return None
    words = f"the generator used {_percent(ratio)} of its core: what is slow is the load, not the server"
    return _cause("generator_bound", ratio, words)


def cpu_saturated(evidence: Evidence) -> Cause | None:
    """Every worker computes all the time, or the server's cores are used up."""
    wants = [worker.want_ratio(evidence.left_ratio) for worker in evidence.workers]
    mean = sum(wants) / len(wants) if wants else 0.0
    used = evidence.server_cpu_ratio / evidence.cores / evidence.left_ratio
    if evidence.machine_ratio >= MACHINE_FULL and 2 * evidence.server_cpu_ratio >= evidence.machine_cores:
        used = max(used, evidence.machine_ratio)
    share = max(mean, used)
    if share < SATURATED:
        return None
    words = (
        f"CPU saturated: the server used {evidence.server_cpu_ratio:.2f} of {_count(evidence.cores, 'core')}"
    )
    if mean >= SATURATED:
        words = f"CPU saturated: {_count(len(wants), 'worker')} computed {_percent(mean)} of the window"
    return _cause("cpu_saturated", share, words)


def worker_imbalance(evidence: Evidence) -> Cause | None:
    """One worker has more than it can do while another has time."""
    known = [worker for worker in evidence.workers if worker.share is not None]
    if len(known) < 2:
        return None
    loads = {id(worker): _load(worker, evidence) for worker in known}
    busiest = max(known, key=lambda worker: worker.share or 0.0)
    least = min(loads.values())
    share, load = busiest.share or 0.0, loads[id(busiest)]
    if share < UNEVEN / len(known) or load < BUSY or least > IDLE * load:
        return None
    words = (
        f"one of {len(known)} workers served {_percent(share)} of the requests and was busy {_percent(load)} of the "
        f"window, another {_percent(least)}"
    )
    return _cause("worker_imbalance", share, words)


def first_causes(runs: Sequence[Run]) -> dict[str, str]:
    """Evidence of each case's first cause, by case_id, from the first run that names it."""
    names = first_cause_names(runs)
    evidence: dict[str, str] = {}
    for run in runs:
        case_id = run.case.case_id
        if run.status == "ok" and run.causes and run.causes[0].cause == names.get(case_id):
            evidence.setdefault(case_id, run.causes[0].evidence)
    return evidence


def first_cause_names(runs: Sequence[Run]) -> dict[str, str]:
    """The cause that most usable runs of a case name first, by case_id; left out where most name none."""
    named: dict[str, list[str]] = {}
    for run in runs:
        if run.status == "ok":
            named.setdefault(run.case.case_id, []).append(run.causes[0].cause if run.causes else "")
    most = {case_id: max(names, key=names.count) for case_id, names in named.items()}
    return {case_id: name for case_id, name in most.items() if name}


def _load(worker: WorkerEvidence, evidence: Evidence) -> float:
    """How near a worker was to what it can do: CPU, event loop or its fullest pool."""
    pools = [pool.full_ratio for pool in worker.pools.values()]
    return max(worker.want_ratio(evidence.left_ratio), worker.held_ratio, *pools, 0.0)


def loop_blocked(evidence: Evidence) -> Cause | None:
    """Code on the event loop kept it, and everybody else waited."""
    if not evidence.workers:
        return None
    worst = max(evidence.workers, key=lambda worker: worker.held_ratio)
    share = worst.held_ratio
    if share < MIN_BLOCKED:
        return None
    where = (
        "event loop"
        if len(evidence.workers) == 1
        else f"event loop of one of {len(evidence.workers)} workers"
    )
    words = f"{where} blocked {_percent(share)} of the window, longest stall {worst.stall_ms:.0f} ms"
    return _cause("loop_blocked", share, words)


def _full(name: str, pool: str, words: str) -> Callable[[Evidence], Cause | None]:
    """A cause that is a full pool; `words` is told places and queued."""

    def look(evidence: Evidence) -> Cause | None:
        pools = [worker.pools[pool] for worker in evidence.workers if pool in worker.pools]
        worst = max(pools, key=lambda each: each.full_ratio, default=None)
        if worst is None or worst.full_ratio < MIN_POOL:
            return None
        told = words.format(places=worst.places, queued=worst.queued, share=_percent(worst.full_ratio))
        return _cause(name, worst.full_ratio, told)

    return look


thread_pool_full = _full(
    "thread_pool_full",
    "limiter",
    "thread pool full {share} of the window: {places} of {places} tokens in use, {queued} waiting",
)
executor_full = _full(
    "executor_full",
    "executor",
    "asyncio's default executor full {share} of the window: all {places} threads busy, {queued} calls waiting",
)
process_pool_full = _full(
    "process_pool_full",
    "process_pool",
    "process pool full {share} of the window: all {places} processes busy, {queued} calls waiting",
)
dependency_pool_full = _full(
    "dependency_bound",
    "dependency_pool",
    "connections to a dependency used up {share} of the window: all {places} in use, {queued} waiting",
)


def dependency_bound(evidence: Evidence) -> Cause | None:
    """Requests queue at something that the server waits for: a full connection pool, or nothing that is its own.

    A wait by itself is no cause: `sleep` takes its 50 ms however fast the server is. A queue shows in the fastest tenth
    of the requests: without one, some are as fast as the first were.
    """
    full = dependency_pool_full(evidence)
    if full is not None:
        return full
    if not evidence.workers or evidence.low_ms is None or not evidence.alone_ms:
        return None
    load = max(_load(worker, evidence) for worker in evidence.workers)
    factor = evidence.low_ms / evidence.alone_ms
    is_queueing = factor >= QUEUEING and evidence.low_ms - evidence.alone_ms >= QUEUEING_MS
    if load >= FREE or _own_cause(evidence) or not is_queueing:
        return None
    words = (
        f"requests queue outside the server's own loop, pools and CPU (busy {_percent(load)}): even the fastest tenth "
        f"took {factor:.1f} × as long as the first, {evidence.low_ms:.0f} ms; it is a dependency, or a lock in the app"
    )
    return _cause("dependency_bound", 1 - 1 / factor, words)


def _own_cause(evidence: Evidence) -> bool:
    """Whether something of the server's own, or the generator, already explains a queue."""
    own = (
        generator_bound,
        cpu_saturated,
        worker_imbalance,
        thread_pool_full,
        executor_full,
        process_pool_full,
    )
    if any(look(evidence) for look in own):
        return True
    blocked = loop_blocked(evidence)
    return blocked is not None and blocked.share >= MIN_POOL


def memory_growth(evidence: Evidence) -> Cause | None:
    """Memory rose from each fifth of the window to the next."""
    growth_mb = evidence.rss_growth_mb
    if growth_mb < MIN_GROWTH_MB or growth_mb < MIN_GROWTH_RATIO * evidence.rss_mb:
        return None
    words = f"memory grew steadily by {growth_mb:.0f} MB within the window, to {evidence.rss_mb:.0f} MB"
    return _cause("memory_growth", min(1.0, growth_mb / evidence.rss_mb), words)


CAUSES: dict[str, Callable[[Evidence], Cause | None]] = {
    "generator_bound": generator_bound,
    "cpu_saturated": cpu_saturated,
    "worker_imbalance": worker_imbalance,
    "loop_blocked": loop_blocked,
    "thread_pool_full": thread_pool_full,
    "executor_full": executor_full,
    "process_pool_full": process_pool_full,
    "dependency_bound": dependency_bound,
    "memory_growth": memory_growth,
}
"""By name, in the order in which they are decisive; see RANKS."""

RANKS: tuple[frozenset[str], ...] = (
    frozenset({"generator_bound"}),
    frozenset({"cpu_saturated"}),
    frozenset({"worker_imbalance"}),
    frozenset({"dependency_bound"}),
    frozenset({"loop_blocked", "thread_pool_full", "executor_full", "process_pool_full"}),
    frozenset({"memory_growth"}),
)
"""Who is named before whom: a cause stands before those whose repair it would make useless. No server setting helps
where the generator is the limit; no thread or process more where there is no CPU for it, whatever is full as well; no
pool more in a worker that the others could relieve, or where all threads wait for the same few connections. Within a
rank the larger share of the window is first."""


def find(run: Run, telemetry: pa.Table, samples: pa.Table) -> tuple[Cause, ...]:
    """All causes of a run, the most decisive first; empty: nothing found.

    Args:
        run: measured, with window, host, generator, server and workers.
        telemetry: telemetry.parquet.
        samples: samples.parquet.
    """
    return rank(gather(run, telemetry, samples))


def rank(evidence: Evidence) -> tuple[Cause, ...]:
    """As `find`, from evidence."""
    found = [cause for look in CAUSES.values() if (cause := look(evidence)) is not None]
    return tuple(sorted(found, key=lambda cause: (_rank(cause.cause), -cause.share)))


def _rank(name: str) -> int:
    return next(number for number, names in enumerate(RANKS) if name in names)


def _cause(name: str, share: float, evidence: str) -> Cause:
    return Cause(cause=name, share=round(min(1.0, share), 4), evidence=evidence)


def _percent(ratio: float) -> str:
    return f"{min(ratio, 1.0) * 100:.0f} %"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' if number != 1 else ''}"
