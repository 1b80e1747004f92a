"""Claims about blocking calls and the requests beside them."""

from loopwise.analysis.figures import CaseFigures
from loopwise.analysis.stats import LogRatio
from loopwise.claims.claim import HEALTH, RESPONSE, Claim, Gauge, Opinion, word, word_at_ends
from loopwise.claims.crossover import Sweep, part_param, sweep
from loopwise.claims.evidence import RESPONSE_P99, RPS, VICTIM, Evidence, measured
from loopwise.claims.finding import Bracket, number_of
from loopwise.claims.panels import ON_WORKERS, Panel, bar_chart, bars_of, lines_of, modes
from loopwise.claims.questions import DOUBLED, GAIN, MANY, Unmeasured, at_least, at_most, judge, over, same
from loopwise.model.modes import mode_named

MS_OF_BLOCKING = part_param("blocking", "ms", "ms of blocking")


def _c05(evidence: Evidence) -> Opinion:
    blocking = evidence.one(workload="sleep", mode="blocking", workers=1)
    two = evidence.one(workload="sleep", mode="blocking", workers=2)
    awaiting = evidence.one(workload="sleep", mode="async")
    slow, hurt, more = judge(
        [
            at_most(evidence.ratio(blocking, awaiting, RPS), 1 / MANY),
            at_least(evidence.ratio(blocking, awaiting, VICTIM), MANY),
            same(over(evidence.ratio(two, blocking, RPS), 2), 0.2),
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


C05 = Claim(
    claim_id="C05",
    statement="A blocking call inside async def freezes the whole app.",
    belief="The event loop is one thread. While a function on it does not await, nothing else on it runs.",
    experiment="A 20 ms sleep that blocks in async def, on one and on two workers, under 50 users; /health is "
    "requested beside it 20 times a second, and beside the same wait awaited and in def.",
    prediction="Workers ÷ 0.020 s: 50 a second on one worker, 100 on two (asyncio: Developing with asyncio, "
    "Running blocking code). /health queues behind the 50: up to 50 × 20 ms = 1 s until it is read, and as much "
    "again until it is answered.",
    truth="It freezes its worker. Other workers go on, for those whose connections are there.",
    advice="In async def, use an async library and await it; otherwise make the route def. `blame` names the lines "
    "that block.",
    rule=_c05,
    chart=bar_chart(VICTIM, modes("sleep", "blocking", "sync", "async", label=ON_WORKERS)),
    gauge=HEALTH,
)


def _endpoint(mix: CaseFigures, mode: str) -> str:
    """The endpoint of a mix's first part with this mode."""
    parts = zip(mix.case.endpoints, mix.case.parts, strict=True)
    return next(endpoint.name for endpoint, part in parts if part.mode == mode)


def _beside(evidence: Evidence, mix: CaseFigures, alone: CaseFigures) -> LogRatio | None:
    """p99 of a mix's awaiting route over that of the same route alone."""
    return evidence.ratio(mix, alone, RESPONSE_P99, endpoint=_endpoint(mix, "async"))


def _blocked_share(mix: CaseFigures) -> float:
    """The part of a mix's requests that block."""
    blocking = sum(part.weight for part in mix.case.parts if part.mode == "blocking")
    return blocking / sum(part.weight for part in mix.case.parts)


def _by_share(evidence: Evidence) -> dict[float, list[CaseFigures]]:
    """The mixes that have a part that blocks, by its share, ascending."""
    mixes = [each for each in evidence.mixes() if _blocked_share(each) > 0]
    shares = sorted({_blocked_share(each) for each in mixes})
    return {share: [each for each in mixes if _blocked_share(each) == share] for share in shares}


def harm_of_blocking(evidence: Evidence, index: int = -1) -> Sweep:
    """From how many ms of blocking on the p99 of the routes beside it doubles. `index`: of the shares, ascending."""
    alone = evidence.one(workload="sleep", mode="async")
    mixes = _by_share(evidence)
    if not mixes:
        raise Unmeasured("the result has no mix with a part that blocks, and the rule needs some")
    share = list(mixes)[index]
    return sweep(
        MS_OF_BLOCKING,
        mixes[share],
        lambda _, group: at_least(_beside(evidence, group["mix"], alone), DOUBLED),
        f"the p99 of the others doubles when {share * 100:.0f} % of the requests block",
        modes=("mix",),
    )


def _c11(evidence: Evidence) -> Opinion:
    often, seldom, mixes = harm_of_blocking(evidence), harm_of_blocking(evidence, 0), _by_share(evidence)
    if (min(often.planned), max(often.planned)) != (min(seldom.planned), max(seldom.planned)):
        raise Unmeasured("the result has not the same ms of blocking for every share, and the rule needs them")
    (short, at_short), (long, at_long) = often.needs_ends()
    least, most = min(mixes), max(mixes)
    rarely = f"; with {least * 100:.0f} % {seldom.bracket.between}" if len(mixes) > 1 else ""
    return Opinion(
        word_at_ends(at_short, at_long),
        f"when {most * 100:.0f} % of the requests block for {number_of(long)} ms, the p99 of the others is "
        f"{at_long.times} as long, for {number_of(short)} ms {at_short.times}; it doubles {often.bracket.between}"
        f"{rarely}",
        at_long,
        next(each for each in mixes[most] if MS_OF_BLOCKING.get(each.case) == long),
        often.bracket,
    )


def _shares_chart(evidence: Evidence, crossover: Bracket | None) -> Panel | None:
    """The awaiting route beside each share of blocking ones."""
    rows = (
        (f"{share * 100:.0f} % block", mode, mixes, _endpoint(mixes[0], "async"))
        for (share, mixes), mode in zip(_by_share(evidence).items(), ("async", "blocking"), strict=False)
    )
    return lines_of(evidence, RESPONSE_P99, MS_OF_BLOCKING, rows, crossover)


C11 = Claim(
    claim_id="C11",
    statement="Even small blocking calls degrade an async app.",
    belief="Each blocking call holds up every request in flight, and several in a row add up.",
    experiment="300 requests a second that await 10 ms, of which 1 % or 10 % block the loop for 1, 5 or 20 ms "
    "instead; /health beside them.",
    prediction="The loop is blocked for rate × share × time: 300 × 0.01 × 0.001 s = 0.3 % of the time at the "
    "mildest, 300 × 0.10 × 0.020 s = 60 % at the worst. The p99 of the others moves once that is above 1 %, and "
    "then by the length of the call or more.",
    truth="It depends on how often times how long. A millisecond in one request of a hundred is lost in the noise; "
    "20 ms in one of a hundred is in the p99 of everybody.",
    advice="Multiply rate, share and time. Above one per cent of the loop's time, give the call a thread.",
    rule=_c11,
    crossover=harm_of_blocking,
    chart=_shares_chart,
    gauge=RESPONSE,
)


def _partners(evidence: Evidence) -> dict[tuple[str, str], CaseFigures]:
    """Mixes by workload and mode of what stands beside the awaiting route."""
    return {(each.case.parts[-1].workload, each.case.parts[-1].mode): each for each in evidence.mixes()}


def _c17(evidence: Evidence) -> Opinion:
    alone = dict(zip(("async", "sync"), evidence.modes("async", "sync", workload="sleep"), strict=True))
    mixes = {partner: measured(each) for partner, each in _partners(evidence).items()}
    for partner in (("sleep", "sync"), ("sleep", "blocking")):
        if partner not in mixes:
            raise Unmeasured(f"the result has no mix whose last part is {' '.join(partner)}, and the rule needs one")
    waits, blocks = mixes["sleep", "sync"], mixes["sleep", "blocking"]
    first, second = judge(
        [
            at_most(evidence.ratio(waits, each, RESPONSE_P99, endpoint=_endpoint(waits, mode)), DOUBLED)
            for mode, each in alone.items()
        ]
    )
    (hurt,) = judge([at_most(_beside(evidence, blocks, alone["async"]), GAIN)])
    computing = mixes.get(("cpu", "sync"))
    beside = ""
    if computing is not None:
        (ratio,) = judge([at_most(_beside(evidence, computing, alone["async"]), DOUBLED)])
        beside = f", {ratio.times} beside a def route that computes"
    fine = first.yes and second.yes
    return Opinion(
        word(depends=fine and hurt.no, confirmed=fine and hurt.yes, refuted=first.no or second.no),
        f"beside each other an async def route's p99 is {first.times} what it is alone and a def route's "
        f"{second.times}; the async def route's is {hurt.times} beside one that blocks the loop{beside}",
        hurt,
        blocks,
    )


def _neighbours_chart(evidence: Evidence, _: Bracket | None) -> Panel | None:
    """The awaiting route alone and in every mix."""
    rows: list[tuple[str, str, CaseFigures, str | None]] = [
        ("async def alone", "async", case, None) for case in evidence.all(workload="sleep", mode="async")
    ]
    rows += [
        (f"beside {mode_named(mode).words} ({workload})", mode, mix, _endpoint(mix, "async"))
        for (workload, mode), mix in _partners(evidence).items()
    ]
    return bars_of(evidence, RESPONSE_P99, rows)


C17 = Claim(
    claim_id="C17",
    statement="Mixing sync and async routes in one app is fine.",
    belief="FastAPI decides for each route by itself where it runs, and its documentation says that the two may be "
    "mixed.",
    experiment="A route that awaits and a partner, 100 requests a second each: alone, then together. The partner "
    "waits in def, computes 5 ms in def, or blocks 5 ms in async def.",
    prediction="Waits in def hold neither the loop nor the GIL: 100 × 0.020 s = 2 of 40 threads, p99 as alone. "
    "Computing takes half of the core and the GIL for up to 5 ms at a time; blocking takes half of the loop's "
    "time: both add milliseconds to the neighbour.",
    truth="It is fine as long as the sync routes wait. A def route that computes shares the GIL with the loop, and "
    "its neighbours feel it.",
    advice="Mix freely, and choose the mode of each route by what it calls. Move computing out of the process.",
    rule=_c17,
    chart=_neighbours_chart,
    gauge=Gauge(RESPONSE_P99, "leaves the route beside it {} the p99", endpoint="GET /c17/async"),
)


CLAIMS = (C05, C11, C17)
