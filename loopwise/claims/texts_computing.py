"""Claims about computing, see texts.py."""

from loopwise.claims.claim import Text

COMPUTING = (
    Text(
        claim_id="C04",
        statement="CPU-heavy code gains nothing from async.",
        belief="Async overlaps waits. Computing has none, and one event loop runs on one core.",
        experiment="5 ms of pure Python per request as async def and as def, 16 users on one worker.",
        prediction=(
            "1 core ÷ 0.005 s = 200 a second in both. Async def may be some per cent ahead, since def pays "
            "a hop to a thread and its threads contend for the GIL (Python: sys.setswitchinterval)."
        ),
        wrong="c04_wrong",
        right="c04_right",
        advice=(
            "Do not write async def to make computing faster. Look for more processes: workers, or a "
            "process pool."
        ),
    ),
    Text(
        claim_id="C09",
        statement="CPU-bound work on the event loop hurts everyone else.",
        belief="Computing does not await, so that it holds the loop as any blocking call does.",
        experiment=(
            "8 users keep one worker computing, 10 ms a request: on the loop, in threads (def), and in one "
            "other process; /health beside each, and beside a route that only waits."
        ),
        prediction=(
            "On the loop /health waits for up to 8 × 10 ms = 80 ms until it is read, and as much again until it "
            "is answered. In threads it must get the GIL, which another thread keeps for up to 5 ms at a time "
            "(Python: sys.getswitchinterval), several times per request. Behind a process pool it waits for nothing."
        ),
        wrong="c09_wrong",
        right="c09_right",
        advice=(
            "Computing of more than a millisecond or so belongs in a process pool or in a worker of its "
            "own; def softens it, no more."
        ),
    ),
    Text(
        claim_id="C10",
        statement="Async is not faster for every task.",
        belief=(
            "What async saves is waiting in threads. A task that waits for nothing can only save the hop to "
            "one."
        ),
        experiment=(
            "A route that does nothing and one that computes 5 ms, each as async def and as def, 16 users "
            "on one worker."
        ),
        prediction=(
            "Doing nothing: async def is faster by the hop to a thread and back (some 0.05 ms, nearly as much as the "
            "route itself). Computing: 1 ÷ 0.005 s = 200 a second in both, and 0.05 ms of 5 ms is 1 %."
        ),
        wrong="c10_wrong",
        right="c10_right",
        advice=(
            "Routes that neither wait nor compute may be async def and save the hop. For routes that "
            "compute, the mode hardly matters for speed."
        ),
    ),
    Text(
        claim_id="C12",
        statement="Async alone uses one core; workers use more.",
        belief=(
            "An event loop is one thread, and the GIL lets one thread compute at a time; a worker is a "
            "process of its own."
        ),
        experiment="5 ms of computing in async def, 50 users, on one and on two workers.",
        prediction=(
            "min(workers, cores) ÷ 0.005 s: 200 a second on one worker, 400 on two, less what the load "
            "generator takes of the second core (uvicorn: --workers starts processes that share the "
            "socket)."
        ),
        wrong="c12_wrong",
        right="c12_right",
        advice="Start as many workers as cores for what computes. asyncio.gather overlaps waits only.",
        needs_cores=2,
    ),
    Text(
        claim_id="C13",
        statement="A process pool lets an async app use more cores.",
        belief="Each process has its own GIL, and the loop only waits for the answer.",
        experiment=(
            "Computing of 0.1, 1 and 20 ms under one worker and 8 users: on the loop, and in a pool of "
            "one process per core."
        ),
        prediction=(
            "Cores ÷ CPU time in the pool: 2 ÷ 0.020 s = 100 a second against 50. Each call is pickled, "
            "piped and answered by two threads and two processes (Python: concurrent.futures): some tenths "
            "of a millisecond, so that 0.1 ms of work must lose."
        ),
        truth=(
            "For work that is larger than the hop to the pool and back. Smaller work is done faster where "
            "it is."
        ),
        wrong="c13_wrong",
        right="c13_right",
        advice=(
            "Send what takes milliseconds, in few large calls. More workers bring the same cores without "
            "the hop."
        ),
        needs_cores=2,
    ),
    Text(
        claim_id="C18",
        statement="For CPU-bound work sync routes and more workers may be better.",
        belief="If async brings nothing, plain def does; and more workers use more cores.",
        experiment=(
            "5 ms of computing as async def and as def, on one and on two workers, 50 users, /health beside "
            "them."
        ),
        prediction=(
            "min(workers, cores) ÷ 0.005 s in either mode: 200 and 400 a second. /health waits for once or twice "
            "50 × 5 ms = 250 ms in async def on one worker; in def it contends for the GIL in turns of 5 ms instead "
            "(Python: sys.getswitchinterval)."
        ),
        truth=(
            "More workers are better. Def is not faster; at most it leaves the loop able to answer others."
        ),
        wrong="c18_wrong",
        right="c18_right",
        advice=(
            "Take the cores by workers (or a pool). Choose def for computing for the sake of the other "
            "routes, not for speed."
        ),
        needs_cores=2,
    ),
)
