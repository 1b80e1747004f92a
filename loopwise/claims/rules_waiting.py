"""Rules of the claims about waiting: threads, tasks and what stands in line. Pure.

Thresholds lie far from 1, where arithmetic expects a factor of two or more: noise leaves such a claim undecided, and
does not turn it round.
"""

from loopwise.claims.axes import RATE, USERS
from loopwise.claims.look import Look
from loopwise.claims.opinion import Opinion, between, number_of, word
from loopwise.claims.questions import at_least, at_most, judge, over, same
from loopwise.claims.sweeps import Sweep, sweep
from loopwise.model import Estimate

RPS, VICTIM, RESPONSE_P99 = "throughput_rps", "victim_p99_ms", "response_time_p99_ms"
VICTIM_P50 = "victim_p50_ms"
"""Of twenty looks a second, what tells two waits apart that scatter: their p99 is the slowest single one."""
SERVES_MORE = 1.1
"""From this ratio of throughput on, one side is said to serve more: twice the usual margin of 5 %, so that a search
does not end on a difference nobody would notice."""
FULL = 0.93
"""Below this part of proportional throughput users wait for something: 43 users for 40 places do."""
MANY = 5.0
"""What is done one at a time is 1; a factor of five is several at a time, whatever the noise."""


def knee_of_sync(look: Look) -> Sweep:
    """C01: from how many users on a def route's users wait for a thread."""
    alone = look.one(workload="sleep", mode="sync", users=1)
    others = [each for each in look.all(workload="sleep", mode="sync") if each.case.load.users > 1]
    return sweep(
        USERS,
        others,
        lambda users, group: at_most(over(look.ratio(group["sync"], alone, RPS), users), FULL),
        "requests wait for a thread",
        modes=("sync",),
    )


def c01(look: Look) -> Opinion:
    """A sync route handles one request at a time per worker."""
    alone, knee = look.one(workload="sleep", mode="sync", users=1), knee_of_sync(look)
    most = look.largest(USERS, alone, workload="sleep", mode="sync")
    (more,) = judge([at_least(look.ratio(most, alone, RPS), MANY)])
    return Opinion(
        word(refuted=more.yes, confirmed=more.no),
        f"one worker's def route serves {more.times} as many requests a second for {most.case.load.users} users as for "
        f"one; requests begin to wait for a thread {between(knee.bracket)}",
        more,
        most,
        knee.bracket,
    )


def knee_of_async(look: Look) -> Sweep:
    """C02: up to how many users all waits of one worker overlap."""
    alone = look.one(workload="sleep", mode="async", users=1)
    others = [each for each in look.all(workload="sleep", mode="async") if each.case.load.users > 1]
    return sweep(
        USERS,
        others,
        lambda users, group: at_most(over(look.ratio(group["async"], alone, RPS), users), FULL),
        "the worker has not the time for all of them",
        modes=("async",),
    )


def c02(look: Look) -> Opinion:
    """One async worker overlaps many waits."""
    alone, knee = look.one(workload="sleep", mode="async", users=1), knee_of_async(look)
    most = look.largest(USERS, alone, workload="sleep", mode="async")
    (more,) = judge([at_least(look.ratio(most, alone, RPS), MANY)])
    overlap = f"of {most.case.load.users} users' waits {_part(more.estimate, most.case.load.users)} overlap"
    end = "" if knee.bracket.high is None else f"; the worker's time is used up {between(knee.bracket)}"
    return Opinion(
        word(confirmed=more.yes, refuted=more.no),
        f"one worker serves {more.times} as many requests a second for {most.case.load.users} users as for one: "
        f"{overlap}{end}",
        more,
        most,
        knee.bracket if knee.bracket.high is not None else None,
    )


def _part(ratio: Estimate | None, users: int) -> str:
    return "an unknown part" if ratio is None else f"{min(ratio.value / users, 1.0) * 100:.0f} %"


def gain_of_async(look: Look) -> Sweep:
    """C03: from how many users on an async client serves more than a sync one."""
    return sweep(
        USERS,
        [each for mode in ("async", "sync") for each in look.all(workload="upstream", mode=mode)],
        lambda _, group: at_least(look.ratio(group["async"], group["sync"], RPS), SERVES_MORE),
        "async def serves more than def",
        modes=("async", "sync"),
    )


def c03(look: Look) -> Opinion:
    """Async raises throughput for slow external services."""
    gain = gain_of_async(look)
    (few, at_few), (many, at_many) = gain.needs_ends()
    slower = look.one(workload="upstream", mode="sync", users=int(many))
    return Opinion(
        word(
            depends=at_few.no and at_many.yes,
            confirmed=at_few.yes and at_many.yes,
            refuted=at_few.no and at_many.no,
        ),
        f"async def serves {at_many.times} the requests of def at {number_of(many)} users, and {at_few.times} at "
        f"{number_of(few)}; it begins to serve more {between(gain.bracket)}",
        at_many,
        slower,
        gain.bracket,
    )


def c05(look: Look) -> Opinion:
    """A blocking call inside async def freezes the whole app."""
    blocking = look.one(workload="sleep", mode="blocking", workers=1)
    two = look.one(workload="sleep", mode="blocking", workers=2)
    awaiting = look.one(workload="sleep", mode="async")
    slow, hurt, more = judge(
        [
            at_most(look.ratio(blocking, awaiting, RPS), 1 / MANY),
            at_least(look.ratio(blocking, awaiting, VICTIM), MANY),
            same(over(look.ratio(two, blocking, RPS), 2), 0.2),
        ]
    )
    workers = ", and a second worker doubles it" if more.yes else ""
    return Opinion(
        word(confirmed=slow.yes and hurt.yes, refuted=slow.no or hurt.no),
        f"blocking, the route serves {slow.times} the requests that it serves awaiting{workers}; the p99 of /health "
        f"beside it is {hurt.times} as long",
        slow,
        blocking,
    )


def c06(look: Look) -> Opinion:
    """FastAPI runs def routes in a thread pool by itself."""
    threads = look.one(workload="sleep", mode="sync", threads=None)
    fewer = look.one(workload="sleep", mode="sync", threads=10)
    tasks = look.one(workload="sleep", mode="async")
    more, capped = judge(
        [
            at_least(look.ratio(threads, tasks, "threads"), 2.0),
            at_most(look.ratio(fewer, threads, RPS), 0.6),
        ]
    )
    return Opinion(
        word(confirmed=more.yes and capped.yes, refuted=more.no or capped.no),
        f"under {threads.case.load.users} users the process has {more.times} the threads with a def route that it has "
        f"with async def, and with 10 places in AnyIO's limiter instead of 40 the def route serves {capped.times} as "
        "many requests",
        more,
        fewer,
    )


def cap_of_to_thread(look: Look) -> Sweep:
    """C07: from how many users on asyncio.to_thread serves less than a def route."""
    return sweep(
        USERS,
        [each for mode in ("to_thread", "sync") for each in look.all(workload="sleep", mode=mode)],
        lambda _, group: at_most(look.ratio(group["to_thread"], group["sync"], RPS), 1 / SERVES_MORE),
        "asyncio.to_thread serves less than def",
        modes=("to_thread", "sync"),
        # Python gives at least five threads (cores + 4): four users never wait for one.
        least=4.0,
    )


def c07(look: Look) -> Opinion:
    """A thread repairs a blocking call."""
    cap = cap_of_to_thread(look)
    users = look.one(workload="sleep", mode="blocking").case.load.users
    blocking = look.one(workload="sleep", mode="blocking", users=users)
    hopping = look.one(workload="sleep", mode="to_thread", users=users)
    threads = look.one(workload="sleep", mode="sync", users=users)
    more, freed, capped = judge(
        [
            at_least(look.ratio(hopping, blocking, RPS), 2.0),
            at_least(look.ratio(blocking, hopping, VICTIM), 2.0),
            at_most(look.ratio(hopping, threads, RPS), 1 / SERVES_MORE),
        ]
    )
    repairs = more.yes and freed.yes
    return Opinion(
        word(depends=repairs and capped.yes, confirmed=repairs and capped.no, refuted=more.no or freed.no),
        f"asyncio.to_thread serves {more.times} the requests of the blocking route and /health's p99 beside that is "
        f"{freed.times} as long; but at {users} users it serves {capped.times} the requests of def, and falls behind "
        f"it {between(cap.bracket)}",
        more,
        hopping,
        cap.bracket,
    )


def c08(look: Look) -> Opinion:
    """Tasks cost less memory and switching than threads."""
    tasks = look.one(workload="sleep", mode="async")
    threads = look.one(workload="sleep", mode="sync")
    memory, switches, cpu = judge(
        [
            at_most(look.ratio(tasks, threads, "rss_mb"), 1 / 1.02),
            at_most(look.ratio(tasks, threads, "context_switches_per_request"), 0.7),
            at_most(look.ratio(tasks, threads, "cpu_ms_per_request"), 0.9),
        ]
    )
    return Opinion(
        word(
            confirmed=memory.yes and switches.yes,
            refuted=memory.no and switches.no,
            depends=(memory.yes and switches.no) or (memory.no and switches.yes),
        ),
        f"{tasks.case.load.users} waits as tasks take {switches.times} the context switches per request, "
        f"{memory.times} the memory and {cpu.times} the CPU of as many threads",
        switches,
        threads,
    )


def knee_of_rate(look: Look) -> Sweep:
    """C14: from which rate on a def route is late."""
    return sweep(
        RATE,
        [each for mode in ("async", "sync") for each in look.all(workload="sleep", mode=mode)],
        lambda _, group: at_least(look.ratio(group["sync"], group["async"], RESPONSE_P99), 2.0),
        "def takes twice async def's p99",
        modes=("async", "sync"),
    )


def c14(look: Look) -> Opinion:
    """Sync routes for I/O scale poorly under heavy load."""
    knee = knee_of_rate(look)
    (low, at_low), (high, at_high) = knee.needs_ends()
    slower = look.one(workload="sleep", mode="sync", rate_rps=high)
    return Opinion(
        word(
            depends=at_low.no and at_high.yes,
            confirmed=at_low.yes and at_high.yes,
            refuted=at_low.no and at_high.no,
        ),
        f"at {number_of(high)} requests a second def's p99 is {at_high.times} as long as async def's, at "
        f"{number_of(low)} it is {at_low.times} as long; it begins to be late {between(knee.bracket)}",
        at_high,
        slower,
        knee.bracket,
    )
