"""Causes: why a run is not faster, each with its share and the numbers that show it.

To add a cause: one function that takes the signals and returns a Sign (or None where there is none), and one CauseSpec
in CAUSES. No cause is an answer as well: nothing is full, nothing waits.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from loopwise.analysis.bounds import Bound
from loopwise.analysis.rows import RunRows
from loopwise.analysis.signals import Signals, WorkerSignals, gather
from loopwise.analysis.wording import count
from loopwise.model import Cause, Run

FULL = 0.9
"""Generator: as the check generator_cpu."""
NEARLY_FULL = 0.8
"""Generator: enough while the server has time (FREE), since the generator waits for its core now and then, too."""
SATURATED = 0.85
"""A server whose next request always waits still idles for the moment in which the generator sends it."""
MACHINE_FULL = 0.95
MIN_BLOCKED = 0.03
"""Below this share stalls are timers, garbage collections and neighbours on the host."""
MIN_POOL = 0.2
"""Ten samples a second: below this share it was full for moments, which a pool may be."""
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


@dataclass(frozen=True)
class Sign:
    """The evidence of one cause, in numbers."""

    share: float
    """How much of the window, or of what the cause is about; 0–1, cut off at 1."""
    numbers: Mapping[str, float] = field(default_factory=dict)
    """What its sentence needs besides."""


@dataclass(frozen=True)
class CauseSpec:
    """A cause: its name, rank, and how it is found and worded."""

    name: str
    rank: int
    """A cause stands before those whose repair it would make useless. No server setting helps where the generator is
    the limit; no thread or process more where there is no CPU for it, whatever is full as well; no pool more in a
    worker that the others could relieve, or where all threads wait for the same few connections. Within a rank the
    larger share is first."""
    share: str
    """What its share is of, as docs/schema.md has it."""
    named_when: str
    find: Callable[[Signals], Sign | None]
    words: Callable[[Sign], str]
    """The evidence in words."""
    mode: str = ""
    """The mode whose slots it fills, or `cpu`: at that bound the case is held by this very cause."""

    def cause(self, signals: Signals) -> Cause | None:
        """Look for the cause in a run."""
        sign = self.find(signals)
        if sign is None:
            return None
        return Cause(cause=self.name, share=round(min(1.0, sign.share), 4), evidence=self.words(sign))

    def is_bound(self, bound: Bound) -> bool:
        """Whether the cause and the bound are one thing."""
        return bool(self.mode) and self.mode == (bound.mode if bound.kind == "slots" else bound.kind)


def generator_bound(signals: Signals) -> Sign | None:
    """The load generator used its core up: the server was not asked for more."""
    wants = [worker.want_ratio(signals.left_ratio) for worker in signals.workers]
    limit = NEARLY_FULL if wants and max(wants) < FREE else FULL
    return Sign(signals.generator_ratio) if signals.generator_ratio >= limit else None


def cpu_saturated(signals: Signals) -> Sign | None:
    """Every worker computes all the time, or the server's cores are used up."""
    wants = [worker.want_ratio(signals.left_ratio) for worker in signals.workers]
    mean = sum(wants) / len(wants) if wants else 0.0
    used = signals.server_cpu_ratio / signals.cores / signals.left_ratio
    if signals.machine_ratio >= MACHINE_FULL and 2 * signals.server_cpu_ratio >= signals.machine_cores:
        used = max(used, signals.machine_ratio)
    share = max(mean, used)
    if share < SATURATED:
        return None
    numbers = {"workers": len(wants), "busy": mean, "used": signals.server_cpu_ratio, "cores": signals.cores}
    return Sign(share, numbers)


def _saturated_words(sign: Sign) -> str:
    numbers = sign.numbers
    if numbers["busy"] >= SATURATED:
        workers = count(int(numbers["workers"]), "worker")
        return f"CPU saturated: {workers} computed {_percent(numbers['busy'])} of the window"
    return f"CPU saturated: the server used {numbers['used']:.2f} of {count(int(numbers['cores']), 'core')}"


def worker_imbalance(signals: Signals) -> Sign | None:
    """One worker has more than it can do while another has time."""
    known = [worker for worker in signals.workers if worker.share is not None]
    if len(known) < 2:
        return None
    busiest = max(known, key=lambda worker: worker.share or 0.0)
    share, load = busiest.share or 0.0, _load(busiest, signals)
    least = min(_load(worker, signals) for worker in known)
    if share < UNEVEN / len(known) or load < BUSY or least > IDLE * load:
        return None
    return Sign(share, {"workers": len(known), "busy": load, "least": least})


def _load(worker: WorkerSignals, signals: Signals) -> float:
    """How near a worker was to what it can do: CPU, event loop or its fullest pool."""
    pools = [pool.full_ratio for pool in worker.pools.values()]
    return max(worker.want_ratio(signals.left_ratio), worker.held_ratio, *pools, 0.0)


def loop_blocked(signals: Signals) -> Sign | None:
    """Code on the event loop kept it, and everybody else waited."""
    worst = max(signals.workers, key=lambda worker: worker.held_ratio, default=None)
    if worst is None or worst.held_ratio < MIN_BLOCKED:
        return None
    return Sign(worst.held_ratio, {"workers": len(signals.workers), "stall_ms": worst.stall_ms})


def _blocked_words(sign: Sign) -> str:
    workers = int(sign.numbers["workers"])
    where = "event loop" if workers == 1 else f"event loop of one of {workers} workers"
    return f"{where} blocked {_percent(sign.share)} of the window, longest stall {sign.numbers['stall_ms']:.0f} ms"


def full_pool(pool: str) -> Callable[[Signals], Sign | None]:
    """A pool of a worker whose places were all taken, while somebody waited."""

    def find(signals: Signals) -> Sign | None:
        pools = [worker.pools[pool] for worker in signals.workers if pool in worker.pools]
        worst = max(pools, key=lambda each: each.full_ratio, default=None)
        if worst is None or worst.full_ratio < MIN_POOL:
            return None
        return Sign(worst.full_ratio, {"places": worst.places, "queued": worst.queued})

    return find


def _full_words(template: str) -> Callable[[Sign], str]:
    return lambda sign: template.format(share=_percent(sign.share), **sign.numbers)


def dependency_bound(signals: Signals) -> Sign | None:
    """Requests queue at something that the server waits for: a full connection pool, or nothing that is its own.

    A wait by itself is no cause: `sleep` takes its 50 ms however fast the server is. A queue shows in the fastest tenth
    of the requests: without one, some are as fast as the first were.
    """
    full = full_pool("dependency_pool")(signals)
    if full is not None:
        return full
    if not signals.workers or signals.low_ms is None or not signals.alone_ms:
        return None
    load = max(_load(worker, signals) for worker in signals.workers)
    factor = signals.low_ms / signals.alone_ms
    is_queueing = factor >= QUEUEING and signals.low_ms - signals.alone_ms >= QUEUEING_MS
    if load >= FREE or _has_own_cause(signals) or not is_queueing:
        return None
    return Sign(1 - 1 / factor, {"busy": load, "factor": factor, "low_ms": signals.low_ms})


def _dependency_words(sign: Sign) -> str:
    numbers = sign.numbers
    if "places" in numbers:
        return _full_words(
            "connections to a dependency used up {share} of the window: all {places} in use, {queued} waiting"
        )(sign)
    return (
        f"requests queue outside the server's own loop, pools and CPU (busy {_percent(numbers['busy'])}): even the "
        f"fastest tenth took {numbers['factor']:.1f} × as long as the first, {numbers['low_ms']:.0f} ms; "
        "it is a dependency, or a lock in the app"
    )


def _has_own_cause(signals: Signals) -> bool:
    """Whether something of the server's own, or the generator, already explains a queue."""
    own = ("generator_bound", "cpu_saturated", "worker_imbalance", "thread_pool_full", "executor_full")
    if any(CAUSES[name].find(signals) for name in (*own, "process_pool_full")):
        return True
    blocked = loop_blocked(signals)
    return blocked is not None and blocked.share >= MIN_POOL


def memory_growth(signals: Signals) -> Sign | None:
    """Memory rose from each fifth of the window to the next."""
    growth_mb, rss_mb = signals.rss_growth_mb, signals.rss_mb
    if growth_mb < MIN_GROWTH_MB or growth_mb < MIN_GROWTH_RATIO * rss_mb:
        return None
    return Sign(growth_mb / rss_mb, {"growth_mb": growth_mb, "rss_mb": rss_mb})


def _percent(ratio: float) -> str:
    return f"{min(ratio, 1.0) * 100:.0f} %"


_SPECS = (
    CauseSpec(
        "generator_bound",
        0,
        "of its core that the busiest generator process used",
        "at least 0.9; 0.8 while every worker is less than 0.7 busy",
        generator_bound,
        lambda sign: f"the generator used {_percent(sign.share)} of its core: what is slow is the load, not the server",
    ),
    CauseSpec(
        "cpu_saturated",
        1,
        "of the window in which the workers computed, on average; or of the cores that the server may use",
        "at least 0.85, after what the hypervisor took",
        cpu_saturated,
        _saturated_words,
        mode="cpu",
    ),
    CauseSpec(
        "worker_imbalance",
        2,
        "of the requests that the busiest worker served",
        "1.5 times a fair share, while it was busy (0.7) and another at most 0.6 as much",
        worker_imbalance,
        lambda sign: (
            f"one of {sign.numbers['workers']} workers served {_percent(sign.share)} of the requests and was busy "
            f"{_percent(sign.numbers['busy'])} of the window, another {_percent(sign.numbers['least'])}"
        ),
    ),
    CauseSpec(
        "loop_blocked",
        4,
        "of the window in which code kept the event loop, without waits for the GIL or for a core",
        "at least 0.03",
        loop_blocked,
        _blocked_words,
        mode="blocking",
    ),
    CauseSpec(
        "thread_pool_full",
        4,
        "of the samples at which all of AnyIO's tokens were in use and a task waited",
        "at least 0.2",
        full_pool("limiter"),
        _full_words("thread pool full {share} of the window: {places} of {places} tokens in use, {queued} waiting"),
        mode="sync",
    ),
    CauseSpec(
        "executor_full",
        4,
        "the same, of asyncio's default executor",
        "at least 0.2",
        full_pool("executor"),
        _full_words(
            "asyncio's default executor full {share} of the window: all {places} threads busy, {queued} calls waiting"
        ),
        mode="to_thread",
    ),
    CauseSpec(
        "process_pool_full",
        4,
        "the same, of the app's process pool",
        "at least 0.2",
        full_pool("process_pool"),
        _full_words("process pool full {share} of the window: all {places} processes busy, {queued} calls waiting"),
        mode="process",
    ),
    CauseSpec(
        "dependency_bound",
        3,
        "the same, of connections to a dependency; or 1 − fastest ÷ fastest tenth of the service times",
        "at least 0.2; or that tenth is 3 times the run's fastest while nothing above explains it and the workers are "
        "less than 0.7 busy",
        dependency_bound,
        _dependency_words,
    ),
    CauseSpec(
        "memory_growth",
        5,
        "growth within the window ÷ memory",
        "over 8 MB and 5 %, each fifth of the window above the one before",
        memory_growth,
        lambda sign: (
            f"memory grew steadily by {sign.numbers['growth_mb']:.0f} MB within the window, "
            f"to {sign.numbers['rss_mb']:.0f} MB"
        ),
    ),
)
CAUSES = {spec.name: spec for spec in _SPECS}
"""By name, in the order of docs/schema.md."""


def find(rows: RunRows, telemetry: pa.Table) -> tuple[Cause, ...]:
    """All causes of a run, the most decisive first; empty: nothing found.

    Args:
        rows: of a run with window, host, generator, server and workers.
        telemetry: telemetry.parquet.
    """
    return rank(gather(rows, telemetry))


def rank(signals: Signals) -> tuple[Cause, ...]:
    """All causes that the signals show, by rank and share."""
    causes = [cause for spec in CAUSES.values() if (cause := spec.cause(signals)) is not None]
    return tuple(sorted(causes, key=lambda cause: (CAUSES[cause.cause].rank, -cause.share)))


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
