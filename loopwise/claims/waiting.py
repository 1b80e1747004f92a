"""Claims about waiting: threads, tasks and queues."""

from loopwise.claims.claim import RESPONSE, Claim, Gauge, Opinion, word, word_at_ends
from loopwise.claims.crossover import RATE, USERS, Sweep, sweep
from loopwise.claims.evidence import RESPONSE_P99, RPS, VICTIM, Evidence
from loopwise.claims.finding import number_of
from loopwise.claims.panels import bar_chart, line_chart, modes
from loopwise.claims.questions import DOUBLED, MANY, SERVES_MORE, at_least, at_most, judge, over

FULL = 0.93
"""Below this part of proportional throughput users wait for something: 43 users for 40 places do."""


def _knee(evidence: Evidence, mode: str, begins: str) -> Sweep:
    """From how many users on throughput no longer follows their number."""
    alone = evidence.one(workload="sleep", mode=mode, users=1)
    return sweep(
        USERS,
        [each for each in evidence.all(workload="sleep", mode=mode) if each.case.load.users > 1],
        lambda users, group: at_most(over(evidence.ratio(group[mode], alone, RPS), users), FULL),
        begins,
        modes=(mode,),
    )


def knee_of_sync(evidence: Evidence) -> Sweep:
    """From how many users on a def route's users wait for a thread."""
    return _knee(evidence, "sync", "requests wait for a thread")


def _c01(evidence: Evidence) -> Opinion:
    alone, knee = evidence.one(workload="sleep", mode="sync", users=1), knee_of_sync(evidence)
    most = evidence.largest(USERS, alone, workload="sleep", mode="sync")
    (more,) = judge([at_least(evidence.ratio(most, alone, RPS), MANY)])
    return Opinion(
        word(refuted=more.yes, confirmed=more.no),
        f"one worker's def route serves {more.times} as many requests a second for {most.case.load.users} users as for "
        f"one; requests begin to wait for a thread {knee.bracket.between}",
        more,
        most,
        knee.bracket,
    )


C01 = Claim(
    claim_id="C01",
    statement="A sync route handles one request at a time per worker.",
    belief="Blocking code occupies its thread, and a worker is often thought of as one thread. A WSGI worker "
    "without threads behaves like that, and so does a blocking call in async def.",
    experiment="A def route that sleeps 50 ms on one worker, under 1, 20, 40 and 80 users; beside it the same "
    "sleep in async def. Throughput is compared with users ÷ 0.050 s: at what point does it fall behind?",
    prediction="FastAPI runs def routes in AnyIO's threads, whose limiter has 40 tokens per event loop (AnyIO: "
    "Working with threads). So 20 requests a second with one user, 400 with 20, 40 tokens ÷ 0.050 s = 800 with 40, "
    "and still 800 with 80.",
    truth="A worker serves up to 40 sync requests at a time. One at a time is what a blocking call in async def does.",
    advice="Leave a route that calls blocking code as def; do not turn it into async def to make it parallel.",
    rule=_c01,
    crossover=knee_of_sync,
    chart=line_chart(RPS, USERS, modes("sleep", "sync", "blocking")),
)


def knee_of_async(evidence: Evidence) -> Sweep:
    """Up to how many users all waits of one worker overlap."""
    return _knee(evidence, "async", "the worker lacks the CPU time for all of them")


def _c02(evidence: Evidence) -> Opinion:
    alone, knee = evidence.one(workload="sleep", mode="async", users=1), knee_of_async(evidence)
    most = evidence.largest(USERS, alone, workload="sleep", mode="async")
    (more,) = judge([at_least(evidence.ratio(most, alone, RPS), MANY)])
    users, known = most.case.load.users, more.estimate
    part = "an unknown part" if known is None else f"{min(known.value / users, 1.0) * 100:.0f} %"
    has_end = knee.bracket.high is not None
    end = f"; the worker's time is used up {knee.bracket.between}" if has_end else ""
    return Opinion(
        word(confirmed=more.yes, refuted=more.no),
        f"one worker serves {more.times} as many requests a second for {users} users as for one: "
        f"of {users} users' waits {part} overlap{end}",
        more,
        most,
        knee.bracket if has_end else None,
    )


C02 = Claim(
    claim_id="C02",
    statement="One async worker overlaps many waits.",
    belief="At every await the loop goes on with other requests, so a wait costs a timer and no thread.",
    experiment="An async def route that awaits 200 ms on one worker, under 1 to 500 users; beside it a wait that "
    "blocks. Does every user get as many answers as one user alone?",
    prediction="Users ÷ 0.200 s: 5 a second for one user, 250 for 50, 2,500 for 500, as long as the worker's core "
    "can route so many requests (asyncio: Coroutines and tasks). A route that blocks for 20 ms serves 1 ÷ 0.020 s "
    "= 50, for any number of users.",
    advice="Do not await while holding a lock; limit concurrency at the service that needs the limit, not around "
    "the whole route.",
    rule=_c02,
    crossover=knee_of_async,
    chart=line_chart(RPS, USERS, modes("sleep", "async")),
)


def _c06(evidence: Evidence) -> Opinion:
    threads = evidence.one(workload="sleep", mode="sync", threads=None)
    fewer = evidence.one(workload="sleep", mode="sync", threads=10)
    tasks = evidence.one(workload="sleep", mode="async")
    more, capped = judge(
        [
            at_least(evidence.ratio(threads, tasks, "threads"), 2.0),
            at_most(evidence.ratio(fewer, threads, RPS), 0.6),
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


C06 = Claim(
    claim_id="C06",
    statement="FastAPI runs def routes in a thread pool by itself.",
    belief="FastAPI's documentation says so: a normal def path operation \"is run in an external threadpool that "
    'is then awaited".',
    experiment="A 50 ms sleep as def and as async def under 30 users: threads of the process and tokens of AnyIO's "
    "limiter in use; and def once more with a limiter of 10.",
    prediction="30 tokens in use in def and none in async def; 30 ÷ 0.050 s = 600 a second in both. With 10 "
    "tokens: 10 ÷ 0.050 s = 200. The decision is made once per route, by whether it is a coroutine function "
    "(FastAPI: routing).",
    advice="Write def and leave the hop to FastAPI. Doing it by hand uses the same pool of 40 threads and adds one "
    "more thing to forget.",
    rule=_c06,
    chart=bar_chart("threads", modes("sleep", "async", "sync", threads=None)),
)


def cap_of_to_thread(evidence: Evidence) -> Sweep:
    """From how many users on asyncio.to_thread serves less than a def route."""
    begins = "asyncio.to_thread serves less than def"
    # Python gives at least five threads (cores + 4): four users never wait for one.
    return evidence.sweep(
        USERS,
        "sleep",
        ("to_thread", "sync"),
        lambda ratio: at_most(ratio, 1 / SERVES_MORE),
        begins,
        least=4.0,
    )


def _c07(evidence: Evidence) -> Opinion:
    cap = cap_of_to_thread(evidence)
    users = evidence.one(workload="sleep", mode="blocking").case.load.users
    blocking, hopping, threads = evidence.modes("blocking", "to_thread", "sync", workload="sleep", users=users)
    more, freed, capped = judge(
        [
            at_least(evidence.ratio(hopping, blocking, RPS), 2.0),
            at_least(evidence.ratio(blocking, hopping, VICTIM), 2.0),
            at_most(evidence.ratio(hopping, threads, RPS), 1 / SERVES_MORE),
        ]
    )
    repairs = more.yes and freed.yes
    return Opinion(
        word(depends=repairs and capped.yes, confirmed=repairs and capped.no, refuted=more.no or freed.no),
        f"asyncio.to_thread serves {more.times} the requests of the blocking route and /health's p99 beside that is "
        f"{freed.times} as long; but at {users} users it serves {capped.times} the requests of def, and falls behind "
        f"it {cap.bracket.between}",
        more,
        hopping,
        cap.bracket,
    )


C07 = Claim(
    claim_id="C07",
    statement="A thread (run_in_executor, to_thread) repairs a blocking call.",
    belief="In a thread the call no longer blocks the loop, and the route can await its end.",
    experiment="20 ms of blocking under 40 users: on the loop, by asyncio.to_thread, and in a def route; /health "
    "beside each.",
    prediction="On the loop 1 ÷ 0.020 s = 50 a second. In asyncio's default executor min(32, cores + 4) threads "
    "(Python: ThreadPoolExecutor): 6 on two cores, 6 ÷ 0.020 s = 300 a second. In AnyIO's 40 threads 40 ÷ 0.020 s "
    "= 2,000.",
    truth="It frees the loop, so other requests no longer suffer. But asyncio's pool is smaller than the one of "
    "def routes, and raising AnyIO's limit does not change it: the call itself queues for min(32, cores + 4) "
    "threads.",
    advice="Prefer def, or anyio.to_thread.run_sync with a CapacityLimiter of a size that you chose. If you use "
    "asyncio.to_thread, set the loop's default executor.",
    rule=_c07,
    crossover=cap_of_to_thread,
    chart=line_chart(RPS, USERS, modes("sleep", "sync", "to_thread", "blocking")),
)


def _c08(evidence: Evidence) -> Opinion:
    tasks, threads = evidence.modes("async", "sync", workload="sleep")
    memory, switches, cpu = judge(
        [
            at_most(evidence.ratio(tasks, threads, "rss_mb"), 1 / 1.02),
            at_most(evidence.ratio(tasks, threads, "context_switches_per_request"), 0.7),
            at_most(evidence.ratio(tasks, threads, "cpu_ms_per_request"), 0.9),
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


C08 = Claim(
    claim_id="C08",
    statement="Tasks cost less memory and switching than threads.",
    belief="A thread has a stack and is switched by the kernel; a task is an object that the loop resumes.",
    experiment="200 waits of 200 ms at a time, as 200 tasks and as 200 threads (AnyIO's limiter raised to 200): "
    "memory, context switches and CPU time per request.",
    prediction="200 ÷ 0.200 s = 1,000 a second in both, so only the cost differs. A request in a thread wakes the "
    "thread and then the loop: two switches at least, where the loop serves many requests per wake-up. 200 stacks "
    "of some tens of kB in use are several MB.",
    advice="For hundreds of concurrent waits use tasks. For dozens the difference is not worth a rewrite.",
    rule=_c08,
    chart=bar_chart("context_switches_per_request", modes("sleep", "async", "sync")),
    gauge=Gauge("context_switches_per_request", "takes {} the wrong one's context switches per request"),
)


def knee_of_rate(evidence: Evidence) -> Sweep:
    """From which rate on a def route is late."""
    begins = "def takes twice async def's p99"
    return evidence.sweep(
        RATE, "sleep", ("sync", "async"), lambda ratio: at_least(ratio, DOUBLED), begins, metric=RESPONSE_P99
    )


def _c14(evidence: Evidence) -> Opinion:
    knee = knee_of_rate(evidence)
    (low, at_low), (high, at_high) = knee.needs_ends()
    return Opinion(
        word_at_ends(at_low, at_high),
        f"at {number_of(high)} requests a second def's p99 is {at_high.times} as long as async def's, at "
        f"{number_of(low)} it is {at_low.times} as long; it begins to be late {knee.bracket.between}",
        at_high,
        evidence.one(workload="sleep", mode="sync", rate_rps=high),
        knee.bracket,
    )


C14 = Claim(
    claim_id="C14",
    statement="Sync routes for I/O scale poorly under heavy load.",
    belief="Each waiting request occupies a thread, and there are only so many.",
    experiment="100 ms of waiting as def and as async def, at 200, 360 and 600 requests a second that arrive "
    "whether or not earlier ones were answered; response time counts from when a request was due.",
    prediction="40 tokens ÷ 0.100 s = 400 a second. Below that, def answers in 100 ms like async def; at 600 the "
    "queue grows by 200 a second, so after 1.8 s a request waits for 1.8 s × (600 ÷ 400 − 1) = 0.9 s before its "
    "turn.",
    truth="They scale up to tokens ÷ wait, exactly, and not at all beyond.",
    advice="Compare your rate with 40 × workers ÷ wait. Near it: async def, more workers, or a larger limiter.",
    rule=_c14,
    crossover=knee_of_rate,
    chart=line_chart(RESPONSE_P99, RATE, modes("sleep", "async", "sync")),
    gauge=RESPONSE,
)


CLAIMS = (C01, C02, C06, C07, C08, C14)
