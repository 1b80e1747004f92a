"""Resources of the app that requests wait for, by name and line: connection pools, locks, semaphores and executors."""

from loopwise.analysis.concurrency import FEW, SLOWER
from loopwise.analysis.sign import Sign
from loopwise.analysis.signals import MIN_POOL, PoolSignals, Signals, WorkerSignals
from loopwise.model import Resource

MIN_WAITING = 0.1
"""Of the requests in the app: a lock that fewer wait for, on average, is passed on quickly."""
SETTINGS = {
    "SQLAlchemy": "`pool_size` + `max_overflow`",
    "psycopg_pool": "`max_size`",
    "asyncpg": "`max_size`",
    "redis": "`max_connections`",
    "httpx": "`max_connections` of httpx.Limits",
    "a2wsgi": "`workers` of WSGIMiddleware",
}
"""How a library calls the size, by the beginning of the resource's name."""
ONE_THREAD = "aiosqlite"
LOCKS = {
    "lock": (
        "held {share:.0%} of the window, {queued} waiting",
        "hold it for less, or have one for each thing that it guards: now one passes and {queued} wait",
    ),
    "semaphore": (
        "used up {share:.0%} of the window: all {places} places taken, {queued} waiting",
        "raise it above {places}, if what it guards takes more at once",
    ),
    "condition": (
        "waited for {share:.0%} of the window: {queued} waiting",
        "{queued} wait for what notifies it: make that faster, or have more of it",
    ),
}
"""By kind, words and remedy."""


def full_pool(signals: Signals) -> Sign | None:
    """A connection pool whose connections were all in use while somebody waited."""
    found = _worst(signals, "pool")
    if found is None:
        return None
    if found.name.startswith(ONE_THREAD):
        words = "busy {share:.0%} of the window: one call at a time in its thread, {queued} waiting"
        remedy = "open more connections, each has a thread of its own: {queued} calls wait for one"
    else:
        words = "used up {share:.0%} of the window: all {places} connections in use, {queued} waiting"
        remedy = f"raise {_setting(found, 'the pool')} above {{places}}, if the other side takes more at once"
    return _sign(found, signals, words, remedy)


def contended_lock(signals: Signals) -> Sign | None:
    """A lock, semaphore or condition of the app's that requests wait for."""
    found = _worst(signals, "lock", "semaphore", "condition")
    return None if found is None else _sign(found, signals, *LOCKS[found.kind])


def full_executor(signals: Signals) -> Sign | None:
    """A thread pool of the app's or of a library's, whose threads were all busy while calls waited."""
    found = _worst(signals, "executor")
    if found is None:
        return None
    words = "full {share:.0%} of the window: all {places} threads busy, {queued} calls waiting"
    remedy = f"raise {_setting(found, 'its max_workers')} above {{places}}, while its calls wait and don't compute"
    return _sign(found, signals, words, remedy)


def threads_wait_there(signals: Signals, limiter: PoolSignals) -> bool:
    """Whether nearly all threads of AnyIO's hold or await one resource: they are no limit themselves."""
    waiting = [each for each in signals.resources if each.full_ratio >= MIN_POOL]
    return any(each.waiting + each.places >= FEW * limiter.places for each in waiting if each.places < limiter.places)


def _worst(signals: Signals, *kinds: str) -> Resource | None:
    """The resource of these kinds that most wait for, if they wait for it for long and are many."""
    found = [each for each in signals.resources if each.kind in kinds and _is_telling(each, signals)]
    return max(found, key=lambda each: each.full_ratio * each.waiting, default=None)


def _is_telling(resource: Resource, signals: Signals) -> bool:
    if resource.full_ratio < MIN_POOL:
        return False
    in_flight = next((each.in_flight for each in signals.workers if each.pid == resource.pid), None)
    if resource.kind in {"pool", "semaphore"} or in_flight is None:
        return True
    if resource.full_ratio * resource.waiting < MIN_WAITING * in_flight:
        return False
    # Calls that nobody awaits pile up without delaying a request.
    is_slower = signals.low_ms is not None and signals.low_ms >= SLOWER * (signals.alone_ms or signals.low_ms)
    return resource.kind != "executor" or resource.waiting <= in_flight or is_slower


def _title(resource: Resource) -> str:
    name = resource.name if resource.kind != "semaphore" else f"{resource.name} of {resource.places}"
    made = f"{resource.count} made at " if resource.count > 1 else ""
    return _literal(f"{name} ({made}{resource.made_at})" if resource.made_at else name)


def _literal(text: str) -> str:
    """A text with nothing to fill: paths may hold braces."""
    return text.replace("{", "{{").replace("}", "}}")


def _setting(resource: Resource, otherwise: str) -> str:
    return next((words for name, words in SETTINGS.items() if resource.name.startswith(name)), otherwise)


def _sign(resource: Resource, signals: Signals, words: str, remedy: str) -> Sign:
    numbers = {"places": resource.places, "queued": resource.waiting, "wait_ms": resource.wait_max_ms}
    # The evidence goes on with the lines at which threads and tasks stand, where stacks were looked at.
    is_told = signals.waits_at and resource.kind != "executor"
    place = f" at {resource.waited_at}" if resource.waited_at and not is_told else ""
    words = f"{_title(resource)} {words}{_literal(place)}, the longest {{wait_ms:.0f}} ms"
    limiter = _limiter(resource, signals)
    if limiter is not None and limiter.full_ratio >= MIN_POOL and resource.places < limiter.places:
        numbers["threads"] = limiter.places
        lower = "" if resource.kind == "lock" else ", or lower `threads` to {places}"
        remedy += lower + "; more than {threads} threads won't help, they wait there, too"
    elif resource.kind in LOCKS:
        remedy += "; more workers help, if each may have its own"
    return Sign(resource.full_ratio, words, numbers, remedy)


def _limiter(resource: Resource, signals: Signals) -> PoolSignals | None:
    """The thread pool of the worker that has the resource."""
    worker: WorkerSignals | None = next((each for each in signals.workers if each.pid == resource.pid), None)
    return worker.pools.get("limiter") if worker is not None else None
