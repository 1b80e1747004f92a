"""Claims about what an app asks, keeps and is served by, see texts.py."""

from loopwise.claims.claim import Text

SERVICES = (
    Text(
        claim_id="C03",
        statement="Async raises throughput for slow external services.",
        belief="A request that waits for another service needs no CPU, and async def lets any number of them wait.",
        experiment=(
            "An HTTP service that answers after 500 ms on average, asked by httpx.AsyncClient in async def and by "
            "httpx.Client in def, by 20 and by 80 users."
        ),
        prediction=(
            "With 20 users both give 20 ÷ 0.500 s = 40 a second. With 80 users def is capped at 40 tokens ÷ 0.500 s = "
            "80 (AnyIO: Working with threads), and async def gives 80 ÷ 0.500 s = 160."
        ),
        truth=(
            "It does once more than 40 requests per worker wait at the same time, and as long as the client's own CPU "
            "time allows. httpx's pool compares all its connections with each other (httpcore: connection_pool.py): "
            "with 100 of them idle at once a request cost 24 ms of CPU where we tried it, and def was the faster one."
        ),
        wrong="c03_wrong",
        right="c03_right",
        advice=(
            "Use async def with one async client where more than 40 slow calls per worker are in flight. Set its "
            "connection limits (httpx opens 100 at most and keeps 20), and watch its CPU time per request."
        ),
    ),
    Text(
        claim_id="C15",
        statement="Async database drivers help.",
        belief="A query is a wait, and a wait should be awaited.",
        experiment=(
            "The same SQLite file read by aiosqlite in async def, by sqlite3 in def, and by sqlite3 in "
            "async def; 1 and 1000 rows, 40 users, /health beside them."
        ),
        prediction=(
            "sqlite3 in async def holds the loop for each query; the other two free it. aiosqlite hands every step "
            "(execute, fetch, close) to a thread of the connection (aiosqlite: core.py): 3 × 0.05 ms or more, against "
            "1 × 0.05 ms for sqlite3 in def. So it can't be faster than that, and for one row it must be slower."
        ),
        truth=(
            "Against a blocking driver in async def with long queries, they help the other requests. "
            "Against the same driver in def they bring nothing as long as 40 threads are enough; with "
            "SQLite they cost."
        ),
        wrong="c15_wrong",
        right="c15_right",
        advice=(
            "Never a blocking driver in async def for queries that take long. A blocking driver in def is a "
            "good choice up to 40 queries at a time."
        ),
    ),
    Text(
        claim_id="C16",
        statement="Use an async HTTP client.",
        belief="An async client lets the loop go on while the other service thinks.",
        experiment=(
            "A service of 50 ms asked by 20 users: httpx.AsyncClient in async def and httpx.Client in def, "
            "each one for all requests, and a new one for each."
        ),
        prediction=(
            "20 ÷ 0.050 s = 400 a second for a client that only waits. A new client makes a TLS context and "
            "loads the certificates each time (httpx: SSL): more than 10 ms of CPU, so fewer than 1 ÷ 0.010 "
            "s = 100 a second, async or not."
        ),
        truth=(
            "Whether the client is shared matters more than whether it is async: an async client per "
            "request is slower than a shared sync one in def, and holds the loop as well. Up to 40 at a "
            "time a shared sync client in def does as well."
        ),
        wrong="c16_wrong",
        right="c16_right",
        advice=(
            "Make one client when the app starts, close it when it stops. Then choose async for more than "
            "40 calls at a time."
        ),
    ),
    Text(
        claim_id="C19",
        statement="Caching helps.",
        belief="An answer that is kept costs a look-up instead of a query.",
        experiment=(
            "SQLite behind a cache that has the answer for none, 50, 90 and all of the requests, as async "
            "def (aiosqlite) and as def (sqlite3), 16 users."
        ),
        prediction=(
            "Time per request = route + (1 − hit ratio) × query. If a query costs as much CPU as three "
            "routes, 50 % hits give 4 ÷ 2.5 = 1.6 times the throughput, and all hits 4 times: the last "
            "tenth brings as much as the first half."
        ),
        wrong="c19_wrong",
        right="c19_right",
        advice=(
            "Cache what is asked often and may be a little old; measure the hit ratio. At high ratios "
            "answer hits on the loop, without a thread."
        ),
    ),
    Text(
        claim_id="C20",
        statement="The server process manager matters little beside the route's mode.",
        belief="Servers hand requests to the same app; what the app does with them is the larger part.",
        experiment=(
            "100 ms of waiting as async def and as def, 80 users, on uvicorn, gunicorn, granian and "
            "hypercorn; and a route that does nothing."
        ),
        prediction=(
            "Under every server 80 ÷ 0.100 s = 800 a second in async def and 40 tokens ÷ 0.100 s = 400 in "
            "def: the mode is a factor of 2, the server none. Where the route does nothing, what is left is "
            "the server's own price."
        ),
        truth=(
            "For routes that wait. For routes that do almost nothing the server's parsing is most of the "
            "cost, and then it matters."
        ),
        wrong="c20_wrong",
        right="c20_right",
        advice=("Decide the modes first. Compare servers only if your routes take well below a millisecond."),
    ),
)
