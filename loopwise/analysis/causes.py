"""Causes: why a run is not faster, each with its share and the numbers that show it.

To add a cause: one function that takes the signals and returns a Sign (or None where there is none), and one CauseSpec
in CAUSES. No cause is an answer as well: nothing is full, nothing waits.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pyarrow as pa

from loopwise.analysis import resources
from loopwise.analysis.bounds import Bound
from loopwise.analysis.checks.load import MAX_GENERATOR_CPU_RATIO
from loopwise.analysis.checks.server import MAX_UNEVEN
from loopwise.analysis.concurrency import pool_deadlock, threads_wait, users_wait, with_deadlock
from loopwise.analysis.memory import growth_limit_mb
from loopwise.analysis.rows import RunRows
from loopwise.analysis.sign import Sign
from loopwise.analysis.signals import MIN_POOL, Signals, WorkerSignals, gather
from loopwise.analysis.stands import Stands, stood_at
from loopwise.analysis.wording import count
from loopwise.model import Cause, Run

DEADLOCK = "pool_deadlock"
DISTURBED = 6.5
"""Rank of what other processes did: after whatever holds the app, before growth that holds nothing yet."""
NEARLY_FULL = 0.8
"""Generator: enough while the server has time (FREE), since the generator waits for its core now and then, too."""
SATURATED = 0.85
"""A server whose next request always waits still idles for the moment in which the generator sends it."""
MACHINE_FULL = 0.95
MIN_OTHERS = 0.5
"""Cores that others use: less is the harness and the system."""
MIN_WAITED = 0.005
"""A smaller share of the window is shown as 0 %."""
MIN_NATIVE = 0.25
"""Threads of a library that have less of the server's CPU don't decide what it does."""
MIN_DELAYED_MS = 30.0
"""Linux delays an acknowledgement by 40 ms at least."""
MIN_BLOCKED = 0.03
"""Below this share stalls are timers, garbage collections and neighbours on the host."""
BUSY, IDLE = 0.7, 0.6
"""A worker with MAX_UNEVEN times its fair share is overloaded if it is busy (BUSY) while another has time (IDLE)."""
SILENT = frozenset({"hung", "stopped"})
"""Checks by which a server that stops answering is known."""
FREE = 0.7
"""A server that wants less CPU than this does not make requests wait for it."""
QUEUEING = 3.0
"""So many times the service time without a queue, in the fastest tenth: a wait that varies is short at times."""
QUEUEING_MS = 2.0
"""And so much longer than that: fractions of a millisecond are the kernel's and the generator's."""


@dataclass(frozen=True)
class CauseSpec:
    """A cause: its name, rank, and the function that looks for it."""

    name: str
    rank: int
    """A cause stands before those whose repair it would make useless. No server setting helps where the generator is
    the limit; no thread or process more where there is no CPU for it, whatever is full as well; no pool more in a
    worker that the others could relieve, or where all threads wait for the same few connections. Within a rank the
    larger share is first."""
    find: Callable[[Signals], Sign | None]
    """None where there is no sign of it."""
    mode: str = ""
    """The mode whose slots it fills, or `cpu`: at that bound the case is held by this very cause."""
    remedy: str = ""
    """What to do, with places as in Sign; a sign's own goes first. Empty: the evidence says it."""
    stands: Stands = ""
    """Whose lines in the app belong to the evidence."""

    def cause(self, sign: Sign, signals: Signals) -> Cause:
        """The cause of a run that shows such a sign."""
        remedy = sign.fill(sign.remedy or self.remedy)
        share, evidence = min(1.0, sign.share), sign.evidence + stood_at(signals, self.stands, sign.share)
        return Cause(cause=self.name, share=round(share, 4), evidence=evidence, remedy=remedy)

    def is_bound(self, bound: Bound) -> bool:
        """Whether the cause and the bound are one thing."""
        return bool(self.mode) and self.mode == (bound.mode if bound.kind == "slots" else bound.kind)


def generator_bound(signals: Signals) -> Sign | None:
    """The load generator used its core up: the server was not asked for more."""
    wants = [worker.want_ratio(signals.left_ratio) for worker in signals.workers]
    limit = NEARLY_FULL if wants and max(wants) < FREE else MAX_GENERATOR_CPU_RATIO
    words = "the generator used {share:.0%} of its core: what is slow is the load, not the server"
    numbers = {"processes": signals.generator_processes}
    return Sign(signals.generator_ratio, words, numbers) if signals.generator_ratio >= limit else None


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
    if mean >= SATURATED:
        words, numbers = _computed(signals)
        others = _others_cores(signals)
        if numbers["waited"] > numbers["used"] and others >= MIN_OTHERS:
            remedy = f"other processes used {others:.1f} of {signals.machine_cores} cores: measure while they don't run"
            return Sign(share, words, numbers, remedy, is_disturbance=True)
        return Sign(share, words, numbers, _cpu_remedy(signals))
    words = f"CPU saturated: the server used {{used:.2f}} of {count(signals.cores, 'core')}"
    return Sign(share, words, {"used": signals.server_cpu_ratio}, _cpu_remedy(signals))


def _computed(signals: Signals) -> tuple[str, dict[str, float]]:
    """Shares of the window in which the workers computed and in which they waited for a core, as words and numbers."""
    used = [min(1.0, worker.cpu_ratio) for worker in signals.workers]
    # What a worker used and waited for is no more than the window.
    waited = [min(worker.wait_ratio, 1.0 - own) for worker, own in zip(signals.workers, used, strict=True)]
    numbers = {"used": sum(used) / len(used), "waited": sum(waited) / len(waited)}
    words = f"CPU saturated: {count(len(used), 'worker')} computed {{used:.0%}} of the window"
    return words + (" and waited for a core {waited:.0%}" if numbers["waited"] >= MIN_WAITED else ""), numbers


def _others_cores(signals: Signals) -> float:
    """Cores that neither the server nor the generator used."""
    return signals.machine_ratio * signals.machine_cores - signals.server_cpu_ratio - signals.generator_ratio


def _cpu_remedy(signals: Signals) -> str:
    workers, cores = len(signals.workers), signals.machine_cores
    if workers < cores:
        return (
            f"raise `workers` from {workers} towards {cores}, while cores are free; else only less work for each "
            "request helps, never more threads"
        )
    return f"only less work for each request helps, never more threads: {cores} cores have {workers} workers"


def cpu_oversubscribed(signals: Signals) -> Sign | None:
    """More threads of BLAS or OpenMP than cores compute, and take the cores from each other."""
    computing = [worker for worker in signals.workers if worker.native_threads]
    # The thread that calls takes part.
    threads = sum(worker.native_threads + 1 for worker in computing)
    cpu_ratio = sum(worker.native_cpu_ratio for worker in computing)
    wait_ratio = sum(worker.native_wait_ratio for worker in computing)
    if threads <= signals.cores or cpu_ratio < MIN_NATIVE * signals.server_cpu_ratio:
        return None
    share = wait_ratio / max(wait_ratio + cpu_ratio, 1e-9)
    if share < MIN_POOL:
        return None
    words = (
        f"more computing threads than cores: {{threads:.0f}} of BLAS or OpenMP in {count(len(computing), 'worker')} on "
        f"{count(signals.cores, 'core')} waited for a core {{share:.0%}} of their time; set OMP_NUM_THREADS="
        "{each:.0f} (OPENBLAS_NUM_THREADS, MKL_NUM_THREADS)"
    )
    each = max(1, signals.cores // len(computing))
    return Sign(share, words, {"threads": threads, "each": each})


def worker_imbalance(signals: Signals) -> Sign | None:
    """One worker has more than it can do while another has time."""
    known = [worker for worker in signals.workers if worker.share is not None]
    if len(known) < 2:
        return None
    busiest = max(known, key=lambda worker: worker.share or 0.0)
    share, load = busiest.share or 0.0, _load(busiest, signals)
    least = min(_load(worker, signals) for worker in known)
    if share < MAX_UNEVEN / len(known) or load < BUSY or least > IDLE * load:
        return None
    words = (
        "one of {workers} workers served {share:.0%} of the requests and was busy {busy:.0%} of the window, "
        "another {least:.0%}"
    )
    return Sign(share, words, {"workers": len(known), "busy": min(1.0, load), "least": min(1.0, least)})


def _busy(worker: WorkerSignals, signals: Signals) -> float:
    """Share of the window in which a worker used its CPU or its event loop."""
    return max(worker.want_ratio(signals.left_ratio), worker.held_ratio)


def _load(worker: WorkerSignals, signals: Signals) -> float:
    """The same of a worker's CPU, event loop or fullest pool: 1 is all that it can do."""
    return max(_busy(worker, signals), *(pool.full_ratio for pool in worker.pools.values()), 0.0)


def small_writes(signals: Signals) -> Sign | None:
    """Each answer waits for the client's delayed acknowledgement, since it leaves in several writes (Nagle)."""
    if signals.nodelay is not False or signals.median_ms is None or signals.inside_ms is None:
        return None
    outside_ms = signals.median_ms - signals.inside_ms
    load = max(_busy(worker, signals) for worker in signals.workers)
    if outside_ms < MIN_DELAYED_MS or load >= FREE:
        return None
    words = (
        "answers wait {outside_ms:.0f} ms of {median_ms:.0f} ms outside the app (busy {load:.0%}): asyncio sends each "
        "in several writes without TCP_NODELAY, and all but the first wait for the client's delayed acknowledgement "
        "(Nagle's algorithm); serve with uvloop, or send each answer in one write"
    )
    numbers = {"outside_ms": outside_ms, "median_ms": signals.median_ms, "load": load}
    return Sign(outside_ms / signals.median_ms, words, numbers)


def loop_blocked(signals: Signals) -> Sign | None:
    """Code on the event loop kept it, and everybody else waited."""
    worst = max(signals.workers, key=lambda worker: worker.held_ratio, default=None)
    if worst is None or worst.held_ratio < MIN_BLOCKED:
        return None
    where = "event loop" if len(signals.workers) == 1 else f"event loop of one of {len(signals.workers)} workers"
    words = f"{where} blocked {{share:.0%}} of the window, longest stall {{stall_ms:.0f}} ms"
    return Sign(worst.held_ratio, words, {"stall_ms": worst.stall_ms})


def full_pool(pool: str, words: str) -> Callable[[Signals], Sign | None]:
    """A pool of a worker whose places were all taken, while somebody waited."""

    def find(signals: Signals) -> Sign | None:
        pools = [worker.pools[pool] for worker in signals.workers if pool in worker.pools]
        worst = max(pools, key=lambda each: each.full_ratio, default=None)
        if worst is None or worst.full_ratio < MIN_POOL:
            return None
        return Sign(worst.full_ratio, words, {"places": worst.places, "queued": worst.queued})

    return find


_told_pool = full_pool(
    "dependency_pool",
    "connections to a dependency used up {share:.0%} of the window: all {places} in use, {queued} waiting",
)
_default_executor = full_pool(
    "executor",
    "asyncio's default executor full {share:.0%} of the window: all {places} threads busy, {queued} calls waiting",
)
_threads = full_pool(
    "limiter",
    "thread pool full {share:.0%} of the window: {places} of {places} tokens in use, {queued} waiting",
)


def dependency_pool_full(signals: Signals) -> Sign | None:
    """A connection pool is used up: one that the probe knows by name, or one that the app tells of."""
    full = resources.full_pool(signals) or _told_pool(signals)
    return with_deadlock(full, signals) if full is not None else None


def executor_full(signals: Signals) -> Sign | None:
    """Threads of asyncio's default executor, or of another one, are used up."""
    return _default_executor(signals) or resources.full_executor(signals)


def thread_pool_full(signals: Signals) -> Sign | None:
    """The threads that serve requests are used up, and don't just wait for the same few places."""
    limiters = [worker.pools["limiter"] for worker in signals.workers if "limiter" in worker.pools]
    if limiters and all(resources.threads_wait_there(signals, each) for each in limiters):
        return None
    sign = _threads(signals)
    if sign is None or signals.interface == "asgi":
        return sign
    words = "threads full {share:.0%} of the window: {places} of {places} of a worker busy, {queued} requests waiting"
    remedy = "raise `threads` above {places}, if what they wait for takes more at once; only workers use more cores"
    return Sign(sign.share, words, sign.numbers, remedy)


def dependency_bound(signals: Signals) -> Sign | None:
    """Requests queue at something that the server waits for, and that has no name.

    A wait by itself is no cause: `sleep` takes its 50 ms however fast the server is. A queue shows in the fastest tenth
    of the requests: without one, some are as fast as the first were.
    """
    if not signals.workers or dependency_pool_full(signals) or resources.contended_lock(signals):
        return None
    if max(_busy(worker, signals) for worker in signals.workers) < FREE and (sign := threads_wait(signals)) is not None:
        return sign
    load = max(_load(worker, signals) for worker in signals.workers)
    if load >= FREE or _has_own_cause(signals):
        return None
    return users_wait(signals) or _slower_than_first(signals, load)


def _slower_than_first(signals: Signals, load: float) -> Sign | None:
    """Even the fastest tenth of the requests takes far longer than the first did."""
    if signals.low_ms is None or not signals.alone_ms:
        return None
    factor = signals.low_ms / signals.alone_ms
    if factor < QUEUEING or signals.low_ms - signals.alone_ms < QUEUEING_MS:
        return None
    words = (
        "requests queue outside the server's own loop, pools and CPU (busy {busy:.0%}): even the fastest tenth "
        "took {factor:.1f} × as long as the first, {low_ms:.0f} ms; it is a dependency, or a lock in the app"
    )
    return Sign(1 - 1 / factor, words, {"busy": load, "factor": factor, "low_ms": signals.low_ms})


def _has_own_cause(signals: Signals) -> bool:
    """Whether something of the server's own, or the generator, already explains a queue."""
    own = ("generator_bound", "cpu_saturated", "small_writes", "worker_imbalance", "thread_pool_full", "executor_full")
    if any(CAUSES[name].find(signals) for name in (*own, "process_pool_full")):
        return True
    blocked = loop_blocked(signals)
    return blocked is not None and blocked.share >= MIN_POOL


def memory_growth(signals: Signals) -> Sign | None:
    """Memory rose from each fifth of the window to the next."""
    growth_mb, rss_mb = signals.rss_growth_mb, signals.rss_mb
    if growth_mb < growth_limit_mb(rss_mb):
        return None
    words = "memory grew steadily by {growth_mb:.0f} MB within the window, to {rss_mb:.0f} MB"
    numbers = {"growth_mb": growth_mb, "rss_mb": rss_mb}
    if signals.growth is not None:
        words += ": {mb:.3g} [{low_mb:.3g}, {high_mb:.3g}] MB per 1,000 requests"
        numbers |= signals.growth._asdict()
    return Sign(growth_mb / rss_mb, words, numbers)


_SPECS = (
    CauseSpec(DEADLOCK, 0, pool_deadlock, remedy="make the pool as large as the threads", stands="any"),
    CauseSpec(
        "generator_bound",
        1,
        generator_bound,
        remedy="lower users or rate_rps, or raise `processes` of [generator] above {processes}",
    ),
    CauseSpec("cpu_oversubscribed", 2, cpu_oversubscribed),
    CauseSpec(
        "cpu_saturated",
        3,
        cpu_saturated,
        "cpu",
        "less work for each request",
    ),
    CauseSpec(
        "worker_imbalance",
        4,
        worker_imbalance,
        remedy="more connections than users here, or a balancer in front, spread over all {workers} workers",
    ),
    CauseSpec("small_writes", 4, small_writes),
    CauseSpec(
        "loop_blocked",
        6,
        loop_blocked,
        "blocking",
        "`blame` names the line that holds it for {stall_ms:.0f} ms: make an `async def` around it `def`, or await "
        "what holds no loop",
        "loop",
    ),
    CauseSpec(
        "thread_pool_full",
        6,
        thread_pool_full,
        "sync",
        "raise `threads` above {places}, if what they wait for takes more at once, or make the route `async def`",
        "thread",
    ),
    CauseSpec(
        "executor_full",
        6,
        executor_full,
        "to_thread",
        "set a default executor of more than {places} threads (loop.set_default_executor), or await without a thread",
        "thread",
    ),
    CauseSpec(
        "process_pool_full",
        6,
        full_pool(
            "process_pool",
            "process pool full {share:.0%} of the window: all {places} processes busy, {queued} calls waiting",
        ),
        "process",
        "raise `pool_processes` (of an app's own pool its max_workers) above {places} while cores are free",
    ),
    CauseSpec(
        "dependency_pool_full",
        5,
        dependency_pool_full,
        remedy="raise the pool above {places}, if the other side takes more at once; {queued} callers wait for it",
        stands="any",
    ),
    CauseSpec(
        "lock_contended",
        5,
        resources.contended_lock,
        remedy="hold it for less, or have more places: {queued} wait for {places}",
        stands="any",
    ),
    CauseSpec(
        "dependency_bound",
        5,
        dependency_bound,
        remedy="raise what requests wait for, most of {low_ms:.0f} ms; more threads or workers only wait there, too",
        stands="any",
    ),
    CauseSpec(
        "memory_growth",
        7,
        memory_growth,
        remedy="look for what keeps {growth_mb:.0f} MB of requests; a longer measure_s shows whether it ends",
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
    """All causes that the signals show, by rank and share; what others did comes after what holds the app."""
    signs = [(spec, sign) for spec in CAUSES.values() if (sign := spec.find(signals)) is not None]
    signs.sort(key=lambda each: (DISTURBED if each[1].is_disturbance else each[0].rank, -min(1.0, each[1].share)))
    return tuple(spec.cause(sign, signals) for spec, sign in signs)


def deadlock_of(run: Run) -> Cause | None:
    """The deadlock that a run found, if it did: a finding about the app, though there are no numbers."""
    return next((each for each in run.causes if each.cause == DEADLOCK), None)


def _is_telling(run: Run) -> bool:
    """Whether a run's causes are those of its case: it is valid, or the app itself has deadlocked."""
    return run.status == "ok" or deadlock_of(run) is not None


def _is_silent(run: Run) -> bool:
    """Whether a run is invalid for nothing but that its server stopped answering: why, its causes may say."""
    void = {check.name for check in run.checks if not check.ok and check.effect == "void"}
    return run.status == "invalid" and bool(void & SILENT) and void <= {*SILENT, "rows"}


def _telling(runs: Sequence[Run]) -> list[Run]:
    """The runs whose causes are those of their cases; silent ones only of cases that have no other."""
    telling = [run for run in runs if _is_telling(run)]
    known = {run.case.case_id for run in telling}
    return telling + [run for run in runs if run.case.case_id not in known and _is_silent(run)]


def first_causes(runs: Sequence[Run]) -> dict[str, Cause]:
    """Each case's first cause by case_id, from the first run that names it."""
    names = first_cause_names(runs)
    causes: dict[str, Cause] = {}
    for run in _telling(runs):
        case_id = run.case.case_id
        if run.causes and run.causes[0].cause == names.get(case_id):
            causes.setdefault(case_id, run.causes[0])
    return causes


def first_cause_names(runs: Sequence[Run]) -> dict[str, str]:
    """The cause that most usable runs of a case name first, by case_id; left out where most name none."""
    named: dict[str, list[str]] = {}
    for run in _telling(runs):
        named.setdefault(run.case.case_id, []).append(run.causes[0].cause if run.causes else "")
    most = {case_id: max(names, key=names.count) for case_id, names in named.items()}
    return {case_id: name for case_id, name in most.items() if name}
