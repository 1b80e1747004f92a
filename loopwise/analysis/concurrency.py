"""Queues and deadlocks that show in the number of requests really served at once (Little's law)."""

from loopwise.analysis.sign import Sign
from loopwise.analysis.signals import MIN_POOL, Signals

FEW = 0.75
"""Of the threads, or of the users: alone and under load a request's time differs by some percent anyway."""
SLOWER = 1.5
"""The fastest tenth takes so many times as long as alone: a time that varies by itself is short at times."""
SLOWER_MS = 2.0


def threads_wait(signals: Signals) -> Sign | None:
    """All threads are taken, but far fewer requests are served at once: the threads wait for something themselves."""
    pools = [worker.pools["limiter"] for worker in signals.workers if "limiter" in worker.pools]
    full, served = max((pool.full_ratio for pool in pools), default=0.0), signals.served_at_once
    threads = sum(pool.places for pool in pools)
    # What the canary takes of a single thread is no wait: fewer places than threads are at least one fewer.
    is_all = served is not None and max(1, round(served)) >= threads
    if served is None or served < 0.5 or full < MIN_POOL or served > FEW * threads or is_all:
        return None
    words = (
        "the {threads} threads wait for some {places:.0f} places themselves: by throughput × time alone no more than "
        "{places:.0f} requests were served at once (connections, a lock, a semaphore)"
    )
    remedy = (
        "raise what has {places:.0f} places, or lower `threads` to it; more threads won't help, they only wait there"
    )
    return Sign(full, words, {"threads": threads, "places": max(1.0, served)}, remedy)


def users_wait(signals: Signals) -> Sign | None:
    """Far fewer requests are served at once than there are users, and even the fastest take longer than alone."""
    served, users = signals.served_at_once, signals.users
    if served is None or users is None or signals.low_ms is None or not signals.alone_ms:
        return None
    longer_ms = signals.low_ms - signals.alone_ms
    if served > FEW * users or longer_ms < SLOWER_MS or signals.low_ms < SLOWER * signals.alone_ms:
        return None
    words = (
        "{users} users queue for some {places:.0f} places outside the server's own loop, pools and CPU: by throughput "
        "× time alone no more than {places:.0f} requests were served at once (connections, a lock, a semaphore)"
    )
    remedy = "raise what has {places:.0f} places; more workers help only if each has its own"
    return Sign(1 - served / users, words, {"users": users, "places": max(1.0, served)}, remedy)


def pool_deadlock(signals: Signals) -> Sign | None:
    """All threads wait for a connection, and those who hold one wait for a thread: nothing moves any more."""
    still = signals.standstill
    if still is None:
        return None
    since = "no request was answered"
    if still.since_s is not None:
        where = "in the warm-up" if still.since_s < 0 else f"{still.since_s:.1f} s after the window opened"
        since = f"the last answer came {where}"
    words = (
        f"deadlock: {since}; all {{threads}} threads wait for one of {{places}} connections, whose holders wait for a "
        "thread: {threads} + {places} = {users} users of a worker are enough for that"
    )
    remedy = "make the pool as large as the threads ({threads}), or set `threads` = {places}; more threads won't help"
    numbers = {"threads": still.threads, "places": still.places, "users": still.threads + still.places}
    return Sign(still.silence_ratio, words, numbers, remedy)


def with_deadlock(sign: Sign, signals: Signals) -> Sign:
    """The sign of a full pool, with the users at which it will be a deadlock, where holders wait for threads."""
    for worker in signals.workers:
        limiter = worker.pools.get("limiter")
        if worker.holds_between and limiter is not None:
            words = (
                sign.words + "; holders wait for one of {threads} threads, too: from {users} users of a worker on "
                "({threads} + {places}) it is a deadlock"
            )
            places = int(sign.numbers["places"])
            numbers = {**sign.numbers, "threads": limiter.places, "users": limiter.places + places}
            remedy = "raise the pool to {threads}, or lower `threads` to {places}; more threads won't help"
            return Sign(sign.share, words, numbers, remedy)
    return sign
