"""Claims about computing: the event loop, threads and processes that share cores."""

from loopwise.analysis.figures import CaseFigures
from loopwise.analysis.paired import is_usable
from loopwise.claims.claim import HEALTH, Claim, Opinion, word, word_at_ends
from loopwise.claims.crossover import WORKERS, Sweep, param
from loopwise.claims.evidence import RPS, VICTIM, Evidence
from loopwise.claims.finding import number_of
from loopwise.claims.panels import ON_WORKERS, bar_chart, line_chart, modes
from loopwise.claims.questions import DOUBLED, GAIN, SERVES_MORE, at_least, at_most, judge

HURT = 3.0
"""From this factor on a neighbour's p99 is hurt: that of some thirty probes is their slowest, and scatters twofold."""
MORE_CORES = 1.4
"""On two cores, with a generator beside them, two processes bring less than 2; one core can't do this."""
MS_OF_COMPUTING = param("ms", "ms of computing")


def _c04(evidence: Evidence) -> Opinion:
    loop, thread = evidence.modes("async", "sync", workload="cpu")
    (gain,) = judge([at_most(evidence.ratio(loop, thread, RPS), GAIN)])
    return Opinion(
        word(confirmed=gain.yes, refuted=gain.no),
        f"computing, async def serves {gain.times} the requests of def: the gain is below "
        f"{(GAIN - 1) * 100:.0f} %, or it would be called one",
        gain,
        loop,
    )


C04 = Claim(
    claim_id="C04",
    statement="CPU-heavy code gains nothing from async.",
    belief="Async overlaps waits. Computing has none, and one event loop runs on one core.",
    experiment="5 ms of pure Python per request as async def and as def, 16 users on one worker.",
    prediction="1 core ÷ 0.005 s = 200 a second in both. Async def may be some per cent ahead, since def pays for "
    "a hop to a thread and its threads contend for the GIL (Python: sys.setswitchinterval).",
    advice="Do not write async def to make computing faster. Use more processes: workers, or a process pool.",
    rule=_c04,
    chart=bar_chart(RPS, modes("cpu", "async", "sync")),
    gauge=HEALTH,
)


def _c09(evidence: Evidence) -> Opinion:
    loop, threads, process = evidence.modes("async", "sync", "process", workload="cpu")
    waiting = evidence.one(workload="sleep", mode="async")
    (hurt,) = judge([at_least(evidence.ratio(loop, waiting, VICTIM), HURT)])
    others = judge([at_least(evidence.ratio(loop, each, VICTIM), DOUBLED) for each in (threads, process)])
    return Opinion(
        word(confirmed=hurt.yes, refuted=hurt.no),
        f"beside computing on the loop /health's p99 is {hurt.times} as long as beside waiting, "
        f"{others[0].times} as long as beside the same work in threads, and {others[1].times} as long as beside it in "
        "another process",
        hurt,
        loop,
    )


C09 = Claim(
    claim_id="C09",
    statement="CPU-bound work on the event loop hurts everyone else.",
    belief="Computing does not await, so it blocks the loop as any blocking call does.",
    experiment="8 users keep one worker computing, 10 ms a request: on the loop, in threads (def), and in one "
    "other process; /health beside each, and beside a route that only waits.",
    prediction="On the loop /health waits for up to 8 × 10 ms = 80 ms until it is read, and as much again until it "
    "is answered. In threads it must get the GIL, which another thread keeps for up to 5 ms at a time (Python: "
    "sys.getswitchinterval), several times per request. Behind a process pool it waits for nothing.",
    advice="Computing of more than a millisecond or so belongs in a process pool or in a worker of its own; def "
    "softens the harm, no more.",
    rule=_c09,
    chart=bar_chart(
        VICTIM,
        [
            *modes("sleep", "async", label="beside waiting"),
            *modes("cpu", "async", label="computing on the loop"),
            *modes("cpu", "sync", label="computing in threads"),
            *modes("cpu", "process", label="in a process pool"),
        ],
    ),
    gauge=HEALTH,
)


def _c10(evidence: Evidence) -> Opinion:
    pairs = [evidence.modes("async", "sync", workload=workload) for workload in ("noop", "cpu")]
    nothing, computing = judge([at_most(evidence.ratio(loop, thread, RPS), GAIN) for loop, thread in pairs])
    return Opinion(
        word(confirmed=computing.yes or nothing.yes, refuted=computing.no and nothing.no),
        f"async def serves {nothing.times} the requests of def where the route does nothing, and {computing.times} "
        "where it computes 5 ms",
        computing,
        pairs[1][0],
    )


C10 = Claim(
    claim_id="C10",
    statement="Async is not faster for every task.",
    belief="What async saves is waiting in threads. A task that waits for nothing can only save the hop to one.",
    experiment="A route that does nothing and one that computes 5 ms, each as async def and as def, 16 users on "
    "one worker.",
    prediction="Doing nothing: async def is faster by the hop to a thread and back (some 0.05 ms, nearly as much "
    "as the route itself). Computing: 1 ÷ 0.005 s = 200 a second in both, and 0.05 ms of 5 ms is 1 %.",
    advice="Routes that neither wait nor compute may be async def and save the hop. For routes that compute, the "
    "mode hardly matters for speed.",
    rule=_c10,
    chart=bar_chart(
        RPS,
        [
            *modes("noop", "async", "sync", label="{}, nothing"),
            *modes("cpu", "async", "sync", label="{}, computing"),
        ],
    ),
)


def _c12(evidence: Evidence) -> Opinion:
    one = evidence.one(workload="cpu", mode="async", workers=1)
    many = evidence.largest(WORKERS, one, workload="cpu", mode="async")
    (more,) = judge([at_least(evidence.ratio(many, one, RPS), MORE_CORES)])
    used = _cores_used(one)
    alone = "" if used is None else f"; one worker alone kept {used:.2f} cores busy"
    return Opinion(
        word(confirmed=more.yes, refuted=more.no),
        f"{many.case.workers} workers serve {more.times} the requests of one{alone}",
        more,
        one,
    )


C12 = Claim(
    claim_id="C12",
    statement="Async alone uses one core; workers use more.",
    belief="An event loop is one thread, and the GIL lets one thread compute at a time; a worker is a process of "
    "its own.",
    experiment="5 ms of computing in async def, 50 users, on one and on two workers.",
    prediction="min(workers, cores) ÷ 0.005 s: 200 a second on one worker, 400 on two, less what the load "
    "generator takes of the second core (uvicorn: --workers starts processes that share the socket).",
    advice="Start as many workers as cores for routes that compute. asyncio.gather overlaps waits only.",
    needs_cores=2,
    rule=_c12,
    chart=bar_chart(RPS, modes("cpu", "async", label=ON_WORKERS)),
)


def _cores_used(case: CaseFigures) -> float | None:
    """CPU time over wall time of a case's runs."""
    cpu_ms, rps = (case.values(metric) for metric in ("cpu_ms_per_request", RPS))
    used = [cpu_ms[replicate] * rps[replicate] / 1e3 for replicate in rps if replicate in cpu_ms]
    used = [each for each in used if is_usable(each)]
    return sum(used) / len(used) if used else None


def gain_of_pool(evidence: Evidence) -> Sweep:
    """From how much computing on a process pool pays."""
    begins = "a process pool serves more than the loop"
    return evidence.sweep(
        MS_OF_COMPUTING, "cpu", ("process", "async"), lambda ratio: at_least(ratio, SERVES_MORE), begins
    )


def _c13(evidence: Evidence) -> Opinion:
    gain = gain_of_pool(evidence)
    (short, at_short), (long, at_long) = gain.needs_ends()
    return Opinion(
        word_at_ends(at_short, at_long),
        f"with {number_of(long)} ms of computing a process pool serves {at_long.times} the requests of the loop, with "
        f"{number_of(short)} ms {at_short.times}; it begins to pay {gain.bracket.between}",
        at_long,
        evidence.one({"params.ms": long}, workload="cpu", mode="async"),
        gain.bracket,
    )


C13 = Claim(
    claim_id="C13",
    statement="A process pool lets an async app use more cores.",
    belief="Each process has its own GIL, and the loop only waits for the answer.",
    experiment="Computing of 0.1, 1 and 20 ms under one worker and 8 users: on the loop, and in a pool of one "
    "process per core.",
    prediction="Cores ÷ CPU time in the pool: 2 ÷ 0.020 s = 100 a second against 50. Each call is pickled, piped "
    "and answered by two threads and two processes (Python: concurrent.futures): some tenths of a millisecond, so "
    "0.1 ms of work must lose.",
    truth="For work that is larger than the hop to the pool and back. Smaller work is faster where it is.",
    advice="Send what takes milliseconds, in few large calls. More workers bring the same cores without the hop.",
    needs_cores=2,
    rule=_c13,
    crossover=gain_of_pool,
    chart=line_chart(RPS, MS_OF_COMPUTING, modes("cpu", "async", "process")),
)


def _c18(evidence: Evidence) -> Opinion:
    loop, thread = evidence.modes("async", "sync", workload="cpu", workers=1)
    many = evidence.largest(WORKERS, loop, workload="cpu", mode="async")
    workers, mode = judge(
        [
            at_least(evidence.ratio(many, loop, RPS), MORE_CORES),
            at_least(evidence.ratio(thread, loop, RPS), GAIN),
        ]
    )
    (health,) = judge([at_least(evidence.ratio(loop, thread, VICTIM), DOUBLED)])
    return Opinion(
        word(
            depends=(workers.yes and mode.no) or (workers.no and mode.yes),
            confirmed=workers.yes and mode.yes,
            refuted=workers.no and mode.no,
        ),
        f"{many.case.workers} workers serve {workers.times} the requests of one, def {mode.times} those of async def; "
        f"/health's p99 is {health.times} as long beside async def as beside def",
        workers,
        loop,
    )


C18 = Claim(
    claim_id="C18",
    statement="For CPU-bound work sync routes and more workers may be better.",
    belief="If async brings nothing, plain def does; and more workers use more cores.",
    experiment="5 ms of computing as async def and as def, on one and on two workers, 50 users, /health beside them.",
    prediction="min(workers, cores) ÷ 0.005 s in either mode: 200 and 400 a second. /health waits for once or "
    "twice 50 × 5 ms = 250 ms in async def on one worker; in def it contends for the GIL in turns of 5 ms instead "
    "(Python: sys.getswitchinterval).",
    truth="More workers are better. Def is not faster; at most it leaves the loop able to answer others.",
    advice="Use the cores by workers (or a pool). Choose def for computing for the sake of the other routes, not "
    "for speed.",
    needs_cores=2,
    rule=_c18,
    chart=bar_chart(RPS, modes("cpu", "async", "sync", label=ON_WORKERS)),
)


CLAIMS = (C04, C09, C10, C12, C13, C18)
