"""Claims about waiting, threads and blocking calls, see texts.py."""

from loopwise.claims.claim import Text

WAITING = (
    Text(
        claim_id="C01",
        statement="A sync route handles one request at a time per worker.",
        belief=(
            "Blocking code keeps its thread, and a worker is thought of as one thread. That is how a worker "
            "of a WSGI server without threads behaves, and how a blocking call behaves in async def."
        ),
        experiment=(
            "A def route that sleeps 50 ms on one worker, under 1, 20, 40 and 80 users; beside it the same "
            "sleep in async def. Throughput is compared with users ÷ 0.050 s: where does it stop to follow?"
        ),
        prediction=(
            "FastAPI runs def routes in AnyIO's threads, whose limiter has 40 tokens per event loop (AnyIO: "
            "Working with threads). So 20 requests a second with one user, 400 with 20, 40 tokens ÷ 0.050 s "
            "= 800 with 40, and still 800 with 80."
        ),
        truth=(
            "A worker serves up to 40 sync requests at a time. One at a time is what a blocking call in "
            "async def does."
        ),
        wrong="c01_wrong",
        right="c01_right",
        advice=(
            "Leave a route that calls blocking code as def; do not turn it into async def to make it "
            "parallel."
        ),
    ),
    Text(
        claim_id="C02",
        statement="One async worker overlaps many waits.",
        belief=(
            "At every await the loop goes on with other requests, so that a wait costs a timer and no thread."
        ),
        experiment=(
            "An async def route that awaits 200 ms on one worker, under 1 to 500 users; beside it a wait "
            "that blocks. Does every user get as many answers as one user alone?"
        ),
        prediction=(
            "Users ÷ 0.200 s: 5 a second for one user, 250 for 50, 2,500 for 500, as long as the worker's "
            "core can route so many requests (asyncio: Coroutines and tasks). What blocks for 20 ms gets 1 "
            "÷ 0.020 s = 50, for any number of users."
        ),
        wrong="c02_wrong",
        right="c02_right",
        advice=(
            "Await outside of locks; bound what waits at the service that needs it, not around the route."
        ),
    ),
    Text(
        claim_id="C05",
        statement="A blocking call inside async def freezes the whole app.",
        belief=(
            "The event loop is one thread. While a function on it does not await, nothing else on it runs."
        ),
        experiment=(
            "A 20 ms sleep that blocks in async def, on one and on two workers, under 50 users; /health is "
            "asked beside it 20 times a second, and beside the same wait awaited and in def."
        ),
        prediction=(
            "Workers ÷ 0.020 s: 50 a second on one worker, 100 on two (asyncio: Developing with asyncio, "
            "Running blocking code). /health stands in the line of 50: up to 50 × 20 ms = 1 s until it is "
            "read, and as much again until it is answered."
        ),
        truth="It freezes its worker. Other workers go on, for those whose connections are there.",
        wrong="c05_wrong",
        right="c05_right",
        advice=(
            "In async def, await or leave it: use an async library, or make the route def. `blame` names "
            "the lines that block."
        ),
    ),
    Text(
        claim_id="C06",
        statement="FastAPI runs def routes in a thread pool by itself.",
        belief=(
            "FastAPI's documentation says so: a normal def path operation \"is run in an external threadpool "
            'that is then awaited".'
        ),
        experiment=(
            "A 50 ms sleep as def and as async def under 30 users: threads of the process and places of "
            "AnyIO's limiter in use; and def once more with a limiter of 10."
        ),
        prediction=(
            "30 tokens in use in def and none in async def; 30 ÷ 0.050 s = 600 a second in both. With 10 "
            "tokens: 10 ÷ 0.050 s = 200. The decision is made once per route, by whether it is a coroutine "
            "function (FastAPI: routing)."
        ),
        wrong="c06_wrong",
        right="c06_right",
        advice=(
            "Write def and leave the hop to FastAPI. Writing it by hand gives the same pool of 40 and one "
            "more thing to forget."
        ),
    ),
    Text(
        claim_id="C07",
        statement="A thread (run_in_executor, to_thread) repairs a blocking call.",
        belief="In a thread the call no longer holds the loop, and the route can await its end.",
        experiment=(
            "20 ms of blocking under 40 users: on the loop, by asyncio.to_thread, and in a def route; "
            "/health beside each."
        ),
        prediction=(
            "On the loop 1 ÷ 0.020 s = 50 a second. In asyncio's default executor min(32, cores + 4) "
            "threads (Python: ThreadPoolExecutor): 6 on two cores, 6 ÷ 0.020 s = 300 a second. In AnyIO's "
            "40 threads 40 ÷ 0.020 s = 2,000."
        ),
        truth=(
            "It frees the loop, so that others no longer suffer. But asyncio's pool is smaller than the one "
            "of def routes, and raising AnyIO's limit does not change it: the call itself queues at min(32, "
            "cores + 4)."
        ),
        wrong="c07_wrong",
        right="c07_right",
        advice=(
            "Prefer def, or anyio.to_thread.run_sync with a CapacityLimiter of a size that you chose. If "
            "you use asyncio.to_thread, set the loop's default executor."
        ),
    ),
    Text(
        claim_id="C08",
        statement="Tasks cost less memory and switching than threads.",
        belief=(
            "A thread has a stack and is switched by the kernel; a task is an object that the loop resumes."
        ),
        experiment=(
            "200 waits of 200 ms at a time, as 200 tasks and as 200 threads (AnyIO's limiter raised to "
            "200): memory, context switches and CPU time per request."
        ),
        prediction=(
            "200 ÷ 0.200 s = 1,000 a second in both, so that the price alone differs. A request in a thread "
            "wakes the thread and then the loop: two switches at least, where the loop serves many requests "
            "per wake-up. 200 stacks of some tens of kB in use are several MB."
        ),
        wrong="c08_wrong",
        right="c08_right",
        advice=(
            "For hundreds of waits at a time use tasks. For dozens the difference is not worth a rewrite."
        ),
    ),
    Text(
        claim_id="C11",
        statement="Even small blocking calls degrade an async app.",
        belief="Each blocking call holds up every request in flight, and several in a row add up.",
        experiment=(
            "300 requests a second that await 10 ms, of which 1 % or 10 % block the loop for 1, 5 or 20 ms "
            "instead; /health beside them."
        ),
        prediction=(
            "The loop is held for rate × share × time: 300 × 0.01 × 0.001 s = 0.3 % of the time at the "
            "mildest, 300 × 0.10 × 0.020 s = 60 % at the worst. Others' p99 moves once that is above 1 %, "
            "and then by the length of the call or more."
        ),
        truth=(
            "It depends on how often times how long. A millisecond in one request of a hundred is lost in "
            "the noise; 20 ms in one of a hundred is in the p99 of everybody."
        ),
        wrong="c11_wrong",
        right="c11_right",
        advice=(
            "Multiply rate, share and time. Above one per cent of the loop's time, give the call a thread."
        ),
    ),
    Text(
        claim_id="C14",
        statement="Sync routes for I/O scale poorly under heavy load.",
        belief="Each waiting request keeps a thread, and there are only so many.",
        experiment=(
            "100 ms of waiting as def and as async def, at 200, 360 and 600 requests a second that come "
            "whatever the answers do; response time counts from when a request was due."
        ),
        prediction=(
            "40 tokens ÷ 0.100 s = 400 a second. Below, def answers in 100 ms like async def; at 600 the "
            "line grows by 200 a second, so that after 1.8 s a request waits for 1.8 s × (600 ÷ 400 − 1) = "
            "0.9 s before its turn."
        ),
        truth="They scale up to tokens ÷ wait, exactly, and not at all beyond.",
        wrong="c14_wrong",
        right="c14_right",
        advice=(
            "Compare your rate with 40 × workers ÷ wait. Near it: async def, more workers, or a larger "
            "limiter."
        ),
    ),
    Text(
        claim_id="C17",
        statement="Mixing sync and async routes in one app is fine.",
        belief=(
            "FastAPI decides for each route by itself where it runs, and its documentation says that the "
            "two may be mixed."
        ),
        experiment=(
            "A route that awaits and a partner, 100 requests a second each: alone, then together. The "
            "partner waits in def, computes 5 ms in def, or blocks 5 ms in async def."
        ),
        prediction=(
            "Waits in def hold neither loop nor GIL: 100 × 0.020 s = 2 of 40 threads, p99 as alone. "
            "Computing takes half of the core and the GIL for up to 5 ms at a time; blocking takes half of "
            "the loop's time: both add milliseconds to the neighbour."
        ),
        truth=(
            "It is fine as long as the sync routes wait. A def route that computes shares the GIL with the "
            "loop, and its neighbours feel it."
        ),
        wrong="c17_wrong",
        right="c17_right",
        advice="Mix freely, each route by what it calls. Move what computes out of the process.",
    ),
)
