"""Claims about databases, HTTP clients, caches and servers."""

from loopwise.analysis.figures import CaseFigures
from loopwise.claims.claim import Claim, Opinion, word, word_at_ends
from loopwise.claims.crossover import HIT_RATIO, USERS, Sweep
from loopwise.claims.evidence import RPS, VICTIM_P50, Evidence, measured
from loopwise.claims.finding import number_of
from loopwise.claims.panels import bar_chart, line_chart, modes
from loopwise.claims.questions import GAIN, SERVES_MORE, Judged, Unmeasured, at_least, at_most, judge, same

RELIEF = 1.5
"""From this factor of /health's median on, leaving the loop is a help to others."""
LITTLE = 0.25
"""±25 %: what differs less than this matters little beside a factor of two."""
BOTH = ("async", "sync")


def gain_of_async(evidence: Evidence) -> Sweep:
    """From how many users on an async client serves more than a sync one."""
    begins = "async def serves more than def"
    return evidence.sweep(USERS, "upstream", BOTH, lambda ratio: at_least(ratio, SERVES_MORE), begins)


def _c03(evidence: Evidence) -> Opinion:
    gain = gain_of_async(evidence)
    (few, at_few), (many, at_many) = gain.needs_ends()
    return Opinion(
        word_at_ends(at_few, at_many),
        f"async def serves {at_many.times} the requests of def at {number_of(many)} users, and {at_few.times} at "
        f"{number_of(few)}; it begins to serve more {gain.bracket.between}",
        at_many,
        evidence.one(workload="upstream", mode="sync", users=int(many)),
        gain.bracket,
    )


C03 = Claim(
    claim_id="C03",
    statement="Async raises throughput for slow external services.",
    belief="A request that waits for another service needs no CPU, and async def lets any number of them wait.",
    experiment="An HTTP service that answers after 500 ms on average, called by httpx.AsyncClient in async def and "
    "by httpx.Client in def, under 20 and 80 users.",
    prediction="With 20 users both give 20 ÷ 0.500 s = 40 a second. With 80 users def is capped at 40 tokens ÷ "
    "0.500 s = 80 (AnyIO: Working with threads), and async def gives 80 ÷ 0.500 s = 160.",
    truth="It does once more than 40 requests per worker wait at the same time, and as long as the client's own "
    "CPU time allows. httpx's pool compares all its connections with each other (httpcore: connection_pool.py): "
    "with 100 of them idle at once a request cost 24 ms of CPU where we tried it, and def was the faster one.",
    advice="Use async def with one async client where more than 40 slow calls per worker are in flight. Set its "
    "connection limits (httpx opens 100 at most and keeps 20), and watch its CPU time per request.",
    rule=_c03,
    crossover=gain_of_async,
    chart=line_chart(RPS, USERS, modes("upstream", "async", "sync")),
)


def _c15(evidence: Evidence) -> Opinion:
    rows = sorted({each.case.params["rows"] for each in evidence.all(workload="sqlite", mode="async")})
    if not rows:
        raise Unmeasured("the result has no case of sqlite in mode async, and the rule needs some")
    cases = [
        evidence.modes("async", "sync", "blocking", **{"workload": "sqlite", "params.rows": count}) for count in rows
    ]
    gains = judge([at_least(evidence.ratio(loop, thread, RPS), GAIN) for loop, thread, _ in cases])
    loop, _, blocking = cases[-1]
    (relief,) = judge([at_least(evidence.ratio(blocking, loop, VICTIM_P50), RELIEF)])
    nothing = all(each.no for each in gains)
    ratios = " and ".join(
        f"{each.times} where a query reads {count} row{'s' if count != 1 else ''}"
        for count, each in zip(rows, gains, strict=True)
    )
    return Opinion(
        word(
            depends=nothing and relief.yes,
            confirmed=all(each.yes for each in gains),
            refuted=nothing and relief.no,
        ),
        f"aiosqlite in async def serves {ratios} of what sqlite3 serves in def; beside sqlite3 on the loop the "
        f"median of /health is {relief.times} as long as beside it",
        gains[0],
        cases[0][0],
    )


C15 = Claim(
    claim_id="C15",
    statement="Async database drivers help.",
    belief="A query is a wait, and a wait should be awaited.",
    experiment="The same SQLite file read by aiosqlite in async def, by sqlite3 in def, and by sqlite3 in async "
    "def; 1 and 1000 rows, 40 users, /health beside them.",
    prediction="sqlite3 in async def blocks the loop for each query; the other two free it. aiosqlite hands every "
    "step (execute, fetch, close) to a thread of the connection (aiosqlite: core.py): 3 × 0.05 ms or more, against "
    "1 × 0.05 ms for sqlite3 in def. So it can't be faster than that, and for one row it must be slower.",
    truth="Compared with a blocking driver in async def and long queries, they help the other requests. Compared "
    "with the same driver in def they bring nothing as long as 40 threads are enough; with SQLite they cost.",
    advice="Never use a blocking driver in async def for long queries. A blocking driver in def is a good choice "
    "up to 40 queries at a time.",
    rule=_c15,
    chart=bar_chart(RPS, modes("sqlite", "async", "sync", "blocking", label="{}, {rows} rows")),
)


def _c16(evidence: Evidence) -> Opinion:
    kept, made = (
        evidence.one({"params.client": client}, workload="upstream", mode="async") for client in ("shared", "request")
    )
    plain = evidence.one({"params.client": "shared"}, workload="upstream", mode="sync")
    good, bad = judge(
        [
            at_least(evidence.ratio(kept, plain, RPS), 1 / GAIN),
            at_most(evidence.ratio(made, plain, RPS), 1 / GAIN),
        ]
    )
    return Opinion(
        word(depends=good.yes and bad.yes, confirmed=good.yes and bad.no, refuted=good.no),
        f"at {kept.case.load.users} users one shared AsyncClient serves {good.times} the requests of one shared Client "
        f"in def; an AsyncClient made for each request serves {bad.times}",
        bad,
        made,
    )


C16 = Claim(
    claim_id="C16",
    statement="Use an async HTTP client.",
    belief="An async client lets the loop go on while the other service works.",
    experiment="A service of 50 ms called by 20 users: httpx.AsyncClient in async def and httpx.Client in def, "
    "with one client for all requests, and with a new one for each.",
    prediction="20 ÷ 0.050 s = 400 a second for a client that only waits. A new client makes a TLS context and "
    "loads the certificates each time (httpx: SSL): more than 10 ms of CPU, so fewer than 1 ÷ 0.010 s = 100 a "
    "second, async or not.",
    truth="Whether the client is shared matters more than whether it is async: an async client per request is "
    "slower than a shared sync one in def, and blocks the loop as well. Up to 40 calls at a time a shared sync "
    "client in def does as well.",
    advice="Make one client when the app starts, close it when the app stops. Then choose async for more than 40 "
    "calls at a time.",
    rule=_c16,
    chart=bar_chart(RPS, modes("upstream", "async", "sync", label="{}, client: {client}")),
)


def end_of_driver(evidence: Evidence) -> Sweep:
    """From which hit ratio on the driver matters less than the hop to a thread, which async def saves."""
    begins = "the cache hides the driver: async def serves more than def"
    return evidence.sweep(HIT_RATIO, "cache", BOTH, lambda ratio: at_least(ratio, SERVES_MORE), begins)


def _c19(evidence: Evidence) -> Opinion:
    # The suite's own hit ratios: a search adds others, of which the verdict must not depend.
    planned = {case.case_id for case in evidence.summary.experiment.suite.cases}
    cached = [e for e in evidence.all(workload="cache", mode="sync") if e.case.case_id in planned]
    ratios = sorted({each.case.params["hit_ratio"] for each in cached} - {0.0})
    without = dict(zip(BOTH, evidence.modes(*BOTH, **{"workload": "cache", "params.hit_ratio": 0.0}), strict=True))
    if not ratios:
        raise Unmeasured("the result has no case of cache with hits, and the rule needs some")
    questions = {
        (mode, ratio): at_least(evidence.ratio(case, without[mode], RPS), SERVES_MORE)
        for ratio in ratios
        for mode, case in zip(
            BOTH, evidence.modes(*BOTH, **{"workload": "cache", "params.hit_ratio": ratio}), strict=True
        )
    }
    judged = dict(zip(questions, judge(list(questions.values())), strict=True))
    least, most = ({mode: judged[mode, end] for mode in BOTH} for end in (ratios[0], ratios[-1]))
    driver = end_of_driver(evidence)
    return Opinion(
        word(
            depends=all(each.no for each in least.values()) and all(each.yes for each in most.values()),
            confirmed=all(each.yes for each in judged.values()),
            refuted=all(each.no for each in judged.values()),
        ),
        f"with every answer in the cache def serves {most['sync'].times} the requests that it serves without one, "
        f"async def {most['async'].times}; at a hit ratio of {ratios[0]:g} it is {least['sync'].times} and "
        f"{least['async'].times}. Async def begins to serve more than def, whatever its driver costs, "
        f"{driver.bracket.between}",
        most["sync"],
        without["sync"],
        driver.bracket,
    )


C19 = Claim(
    claim_id="C19",
    statement="Caching helps.",
    belief="A cached answer costs a look-up instead of a query.",
    experiment="SQLite behind a cache that has the answer for none, 50, 90 and all of the requests, as async def "
    "(aiosqlite) and as def (sqlite3), 16 users.",
    prediction="Time per request = route + (1 − hit ratio) × query. If a query costs as much CPU as three routes, "
    "50 % hits give 4 ÷ 2.5 = 1.6 times the throughput, and all hits 4 times: the last tenth brings as much as the "
    "first half.",
    advice="Cache what is requested often and may be a little old; measure the hit ratio. At high ratios answer "
    "hits on the loop, without a thread.",
    rule=_c19,
    crossover=end_of_driver,
    chart=line_chart(RPS, HIT_RATIO, modes("cache", "async", "sync")),
)


def _c20(evidence: Evidence) -> Opinion:
    waiting: dict[tuple[str, str], CaseFigures] = {
        (each.case.server.name, each.case.mode): measured(each)
        for each in evidence.all(workload="sleep")
        if each.case.server
    }
    names = [name for name, mode in waiting if mode == "async"]
    if set(waiting) != {(name, mode) for name, _ in waiting for mode in BOTH}:
        raise Unmeasured("not every server of the result has a waiting route in both modes, and the rule needs them")
    if len(names) < 2:
        raise Unmeasured(f"{len(names)} servers have a waiting route in async def, and the rule needs two")
    first = "uvicorn" if "uvicorn" in names else names[0]
    of_modes = [
        at_least(evidence.ratio(waiting[name, "async"], waiting[name, "sync"], RPS), 1 + LITTLE) for name in names
    ]
    of_servers = [
        same(evidence.ratio(waiting[name, mode], waiting[first, mode], RPS), LITTLE)
        for name in names
        if name != first
        for mode in BOTH
    ]
    judged = judge([*of_modes, *of_servers])
    by_mode, by_server = judged[: len(of_modes)], judged[len(of_modes) :]
    idle, differs = _idle(evidence, first)
    fine = all(each.yes for each in judged)
    weakest = min(by_mode, key=lambda each: each.depth)
    return Opinion(
        word(
            depends=fine and differs,
            confirmed=fine and not differs,
            refuted=any(each.no for each in by_server) and not any(each.yes for each in by_mode),
        ),
        f"where the route waits, async def serves {weakest.times} the requests of def on the server with the smallest "
        f"difference, and servers of one mode differ by {_spread(by_server)} at most{idle}",
        weakest,
        waiting[first, "sync"],
    )


C20 = Claim(
    claim_id="C20",
    statement="The server process manager matters little beside the route's mode.",
    belief="Servers hand requests to the same app; what the app does with them is the larger part.",
    experiment="100 ms of waiting as async def and as def, 80 users, on uvicorn, gunicorn, granian and hypercorn; "
    "and a route that does nothing.",
    prediction="Under every server 80 ÷ 0.100 s = 800 a second in async def and 40 tokens ÷ 0.100 s = 400 in def: "
    "the mode is a factor of 2, the server none. Where the route does nothing, only the server's own cost is left.",
    truth="For routes that wait. For routes that do almost nothing the server's parsing is most of the cost, and "
    "then it matters.",
    advice="Decide the modes first. Compare servers only if your routes take well below a millisecond.",
    rule=_c20,
    chart=bar_chart(RPS, modes("sleep", "async", "sync", label="{}, {server}")),
)


def _spread(judged: list[Judged]) -> str:
    far = max(max(each.estimate.value, 1 / each.estimate.value) if each.estimate else 1.0 for each in judged)
    return f"{(far - 1) * 100:.0f} %"


def _idle(evidence: Evidence, first: str) -> tuple[str, bool]:
    """How servers differ on a route that does nothing, in words, and whether one of them surely does."""
    idle: dict[str, CaseFigures] = {
        each.case.server.name: each for each in evidence.all(workload="noop") if each.case.server
    }
    if not idle:
        return "", False
    if first not in idle or len(idle) < 2:
        raise Unmeasured(f"the result has a route that does nothing, but not on {first} and another server")
    others = [name for name in idle if name != first]
    for each in idle.values():
        measured(each)
    ratios = judge([same(evidence.ratio(idle[name], idle[first], RPS), LITTLE) for name in others])
    listed = ", ".join(f"{name} {each.times}" for name, each in zip(others, ratios, strict=True))
    return (
        f"; where it does nothing, the server is all there is: {listed} the requests of {first}",
        any(each.no for each in ratios),
    )


CLAIMS = (C03, C15, C16, C19, C20)
