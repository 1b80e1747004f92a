"""Rules of the claims about whole apps: neighbours, drivers, clients, caches and servers. Pure."""

from loopwise.analysis.figures import CaseFigures
from loopwise.analysis.stats import LogRatio
from loopwise.claims.axes import hit_ratio, part_param
from loopwise.claims.look import Look, measured
from loopwise.claims.opinion import Opinion, between, number_of, word
from loopwise.claims.questions import Judged, Unmeasured, at_least, at_most, judge, same
from loopwise.claims.rules_computing import GAIN
from loopwise.claims.rules_waiting import RESPONSE_P99, RPS, SERVES_MORE, VICTIM_P50
from loopwise.claims.sweeps import Sweep, sweep

DOUBLED = 2.0
RELIEF = 1.5
"""From this factor of /health's median on, leaving the loop is a help to others."""
LITTLE = 0.25
"""±25 %: what differs less than this matters little beside a factor of two."""


def endpoint_of(mix: CaseFigures, mode: str, *, last: bool = False) -> str:
    """The endpoint of a mix's first part with this mode; its last part's with `last`."""
    found = [
        endpoint.name
        for endpoint, part in zip(mix.case.endpoints, mix.case.parts, strict=True)
        if part.mode == mode
    ]
    return found[-1 if last else 0]


def blocked_share(mix: CaseFigures) -> float:
    """The part of a mix's requests that block."""
    blocking = sum(part.weight for part in mix.case.parts if part.mode == "blocking")
    return blocking / sum(part.weight for part in mix.case.parts)


def harm_of_blocking(look: Look, share: float | None = None) -> Sweep:
    """C11: from how many ms of blocking on the p99 of the routes beside it doubles.

    Args:
        look: at the summary.
        share: of the requests that block; None: the largest there is.
    """
    alone = look.one(workload="sleep", mode="async")
    mixes = [each for each in look.mixes() if blocked_share(each) > 0]
    if not mixes:
        raise Unmeasured("the result has no mix with a part that blocks, and the rule needs some")
    share = max(map(blocked_share, mixes)) if share is None else share
    return sweep(
        part_param("blocking", "ms", "ms of blocking"),
        [each for each in mixes if abs(blocked_share(each) - share) < 1e-9],
        lambda _, group: at_least(_beside(look, group["mix"], alone), DOUBLED),
        f"the p99 of the others doubles when {share * 100:.0f} % of the requests block",
        modes=("mix",),
    )


def _beside(look: Look, mix: CaseFigures, alone: CaseFigures) -> LogRatio | None:
    """A mix's awaiting route over the same route alone."""
    return look.ratio(mix, alone, RESPONSE_P99, endpoint=endpoint_of(mix, "async"))


def c11(look: Look) -> Opinion:
    """Even small blocking calls degrade an async app."""
    shares = sorted({blocked_share(each) for each in look.mixes() if blocked_share(each) > 0})
    often = harm_of_blocking(look)
    seldom = harm_of_blocking(look, shares[0])
    if (min(often.planned), max(often.planned)) != (min(seldom.planned), max(seldom.planned)):
        raise Unmeasured(
            "the result has not the same ms of blocking for every share, and the rule needs them"
        )
    (short, at_short), (long, at_long) = often.needs_ends()
    slower = next(
        each
        for each in look.mixes()
        if blocked_share(each) == shares[-1] and often.axis.get(each.case) == long
    )
    rarely = f"; with {shares[0] * 100:.0f} % {between(seldom.bracket)}" if len(shares) > 1 else ""
    return Opinion(
        word(
            depends=at_short.no and at_long.yes,
            confirmed=at_short.yes and at_long.yes,
            refuted=at_short.no and at_long.no,
        ),
        f"when {shares[-1] * 100:.0f} % of the requests block for {number_of(long)} ms, the p99 of the others is "
        f"{at_long.times} as long, for {number_of(short)} ms {at_short.times}; it doubles {between(often.bracket)}"
        f"{rarely}",
        at_long,
        slower,
        often.bracket,
    )


def c15(look: Look) -> Opinion:
    """Async database drivers help."""
    rows = sorted({each.case.params["rows"] for each in look.all(workload="sqlite", mode="async")})
    cases = {
        (count, mode): look.one({"params.rows": count}, workload="sqlite", mode=mode)
        for count in rows
        for mode in ("async", "sync", "blocking")
    }
    if not rows:
        raise Unmeasured("the result has no case of sqlite in mode async, and the rule needs some")
    gains = judge([at_least(look.ratio(cases[n, "async"], cases[n, "sync"], RPS), GAIN) for n in rows])
    (relief,) = judge(
        [at_least(look.ratio(cases[rows[-1], "blocking"], cases[rows[-1], "async"], VICTIM_P50), RELIEF)]
    )
    nothing = all(each.no for each in gains)
    told = " and ".join(
        f"{each.times} where a query reads {n} row{'s' if n != 1 else ''}"
        for n, each in zip(rows, gains, strict=True)
    )
    return Opinion(
        word(
            depends=nothing and relief.yes,
            confirmed=all(each.yes for each in gains),
            refuted=nothing and relief.no,
        ),
        f"aiosqlite in async def serves {told} of what sqlite3 serves in def; beside sqlite3 on the loop the "
        f"median of /health is {relief.times} as long as beside it",
        gains[0],
        cases[rows[0], "async"],
    )


def c16(look: Look) -> Opinion:
    """Use an async HTTP client."""
    kept, made = (
        look.one({"params.client": client}, workload="upstream", mode="async")
        for client in ("shared", "request")
    )
    plain = look.one({"params.client": "shared"}, workload="upstream", mode="sync")
    good, bad = judge(
        [
            at_least(look.ratio(kept, plain, RPS), 1 / GAIN),
            at_most(look.ratio(made, plain, RPS), 1 / GAIN),
        ]
    )
    return Opinion(
        word(depends=good.yes and bad.yes, confirmed=good.yes and bad.no, refuted=good.no),
        f"at {kept.case.load.users} users one shared AsyncClient serves {good.times} the requests of one shared Client "
        f"in def; an AsyncClient made for each request serves {bad.times}",
        bad,
        made,
    )


def c17(look: Look) -> Opinion:
    """Mixing sync and async routes in one app is fine."""
    alone = {mode: look.one(workload="sleep", mode=mode) for mode in ("async", "sync")}
    mixes = {_partner(each): measured(each) for each in look.mixes()}
    waits, blocks = (_mix(mixes, name) for name in (("sleep", "sync"), ("sleep", "blocking")))
    first, second = judge(
        [
            at_most(look.ratio(waits, alone[mode], RESPONSE_P99, endpoint=endpoint_of(waits, mode)), DOUBLED)
            for mode in ("async", "sync")
        ]
    )
    (hurt,) = judge([at_most(_beside(look, blocks, alone["async"]), GAIN)])
    computing = mixes.get(("cpu", "sync"))
    told = ""
    if computing is not None:
        (beside,) = judge([at_most(_beside(look, computing, alone["async"]), DOUBLED)])
        told = f", {beside.times} beside a def route that computes"
    fine, unfine = first.yes and second.yes, first.no or second.no
    return Opinion(
        word(depends=fine and hurt.no, confirmed=fine and hurt.yes, refuted=unfine),
        f"beside each other an async def route's p99 is {first.times} what it is alone and a def route's "
        f"{second.times}; the async def route's is {hurt.times} beside one that blocks the loop{told}",
        hurt,
        blocks,
    )


def _partner(mix: CaseFigures) -> tuple[str, str]:
    """What stands beside the awaiting route of a mix."""
    last = mix.case.parts[-1]
    return last.workload, last.mode


def _mix(mixes: dict[tuple[str, str], CaseFigures], partner: tuple[str, str]) -> CaseFigures:
    if partner not in mixes:
        raise Unmeasured(
            f"the result has no mix whose last part is {' '.join(partner)}, and the rule needs one"
        )
    return mixes[partner]


def end_of_driver(look: Look) -> Sweep:
    """C19: from which hit ratio on the driver matters less than the hop to a thread, which async def saves."""
    return sweep(
        hit_ratio(),
        [each for mode in ("async", "sync") for each in look.all(workload="cache", mode=mode)],
        lambda _, group: at_least(look.ratio(group["async"], group["sync"], RPS), SERVES_MORE),
        "the cache hides the driver: async def serves more than def",
        modes=("async", "sync"),
    )


def c19(look: Look) -> Opinion:
    """Caching helps."""
    modes = ("async", "sync")
    ratios = sorted(
        {each.case.params["hit_ratio"] for each in look.all(workload="cache", mode="sync")} - {0.0}
    )
    without = {mode: look.one({"params.hit_ratio": 0.0}, workload="cache", mode=mode) for mode in modes}
    suites = [ratio for ratio in ratios if _is_of_suite(look, ratio)]
    if not suites:
        raise Unmeasured("the result has no case of cache with hits, and the rule needs some")
    gains = {
        (mode, ratio): at_least(
            look.ratio(
                look.one({"params.hit_ratio": ratio}, workload="cache", mode=mode), without[mode], RPS
            ),
            SERVES_MORE,
        )
        for mode in modes
        for ratio in suites
    }
    judged: dict[tuple[str, float], Judged] = dict(zip(gains, judge(list(gains.values())), strict=True))
    least, most = ([judged[mode, end] for mode in modes] for end in (suites[0], suites[-1]))
    driver = end_of_driver(look)
    best = judged["sync", suites[-1]]
    told = {(mode, end): judged[mode, suites[end]].times for mode in modes for end in (0, -1)}
    return Opinion(
        word(
            depends=all(each.no for each in least) and all(each.yes for each in most),
            confirmed=all(each.yes for each in judged.values()),
            refuted=all(each.no for each in judged.values()),
        ),
        f"with every answer in the cache def serves {best.times} the requests that it serves without one, async def "
        f"{told['async', -1]}; at a hit ratio of {suites[0]:g} it is {told['sync', 0]} and {told['async', 0]}. "
        f"Async def begins to serve more than def, whatever its driver costs, {between(driver.bracket)}",
        best,
        without["sync"],
        driver.bracket,
    )


def _is_of_suite(look: Look, ratio: float) -> bool:
    """Whether the suite itself has the hit ratio, and not only a search beside it."""
    planned = {case.case_id for case in look.summary.experiment.suite.cases}
    return any(
        each.case.case_id in planned
        for each in look.all({"params.hit_ratio": ratio}, workload="cache", mode="sync")
    )


def c20(look: Look) -> Opinion:
    """The server process manager matters little beside the route's mode."""
    waiting: dict[tuple[str, str], CaseFigures] = {
        (each.case.server.name, each.case.mode): measured(each)
        for each in look.all(workload="sleep")
        if each.case.server
    }
    names: list[str] = [name for name, mode in waiting if mode == "async"]
    if set(waiting) != {(name, mode) for name, _ in waiting for mode in ("async", "sync")}:
        raise Unmeasured(
            "not every server of the result has a waiting route in both modes, and the rule needs them"
        )
    first = _first(names)
    modes = [at_least(look.ratio(waiting[n, "async"], waiting[n, "sync"], RPS), 1 + LITTLE) for n in names]
    servers = [
        same(look.ratio(waiting[name, mode], waiting[first, mode], RPS), LITTLE)
        for name in names
        if name != first
        for mode in ("async", "sync")
    ]
    judged = judge([*modes, *servers])
    by_mode, by_server = judged[: len(modes)], judged[len(modes) :]
    idle: dict[str, CaseFigures] = {
        each.case.server.name: each for each in look.all(workload="noop") if each.case.server
    }
    told, differs = _idle(look, idle, first)
    fine = all(each.yes for each in judged)
    weakest = min(by_mode, key=lambda each: each.depth)
    return Opinion(
        word(
            depends=fine and differs,
            confirmed=fine and not differs,
            refuted=any(each.no for each in by_server) and not any(each.yes for each in by_mode),
        ),
        f"where the route waits, async def serves {weakest.times} the requests of def on the server with the smallest "
        f"difference, and servers of one mode differ by {_spread(by_server)} at most{told}",
        weakest,
        waiting[first, "sync"],
    )


def _first(names: list[str]) -> str:
    if len(names) < 2:
        raise Unmeasured(f"{len(names)} servers have a waiting route in async def, and the rule needs two")
    return "uvicorn" if "uvicorn" in names else names[0]


def _spread(judged: list[Judged]) -> str:
    far = max(max(each.estimate.value, 1 / each.estimate.value) if each.estimate else 1.0 for each in judged)
    return f"{(far - 1) * 100:.0f} %"


def _idle(look: Look, idle: dict[str, CaseFigures], first: str) -> tuple[str, bool]:
    """What servers make of a route that does nothing, in words, and whether one of them surely differs."""
    if not idle:
        return "", False
    if first not in idle or len(idle) < 2:
        raise Unmeasured(f"the result has a route that does nothing, but not on {first} and another server")
    others = [name for name in idle if name != first]
    for each in idle.values():
        measured(each)
    ratios = judge([same(look.ratio(idle[name], idle[first], RPS), LITTLE) for name in others])
    told = ", ".join(f"{name} {each.times}" for name, each in zip(others, ratios, strict=True))
    return (
        f"; where it does nothing, the server is all there is: {told} the requests of {first}",
        any(each.no for each in ratios),
    )
