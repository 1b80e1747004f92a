"""Rules of the claims about computing: the event loop, threads and processes that share cores. Pure."""

from loopwise.analysis.paired import is_usable
from loopwise.claims.axes import WORKERS, param
from loopwise.claims.look import Look
from loopwise.claims.opinion import Opinion, between, number_of, word
from loopwise.claims.questions import at_least, at_most, judge
from loopwise.claims.rules_waiting import RPS, SERVES_MORE, VICTIM
from loopwise.claims.sweeps import Sweep, sweep

GAIN = 1.2
"""Nobody rewrites a route for less than a fifth, and the hop to a thread costs 5 ms of work less than that."""
HURT = 3.0
"""From this factor on a neighbour's p99 is hurt: that of some thirty probes is their slowest, and scatters twofold."""
MORE_CORES = 1.4
"""On two cores, with a generator beside them, two processes bring less than 2; one core can't do this."""


def c04(look: Look) -> Opinion:
    """CPU-heavy code gains nothing from async."""
    loop, thread = look.one(workload="cpu", mode="async"), look.one(workload="cpu", mode="sync")
    (gain,) = judge([at_most(look.ratio(loop, thread, RPS), GAIN)])
    return Opinion(
        word(confirmed=gain.yes, refuted=gain.no),
        f"computing, async def serves {gain.times} the requests of def: the gain is below "
        f"{(GAIN - 1) * 100:.0f} %, or it would be called one",
        gain,
        loop,
    )


def c09(look: Look) -> Opinion:
    """CPU-bound work on the event loop hurts everyone else."""
    loop, waiting = look.one(workload="cpu", mode="async"), look.one(workload="sleep", mode="async")
    threads, process = look.one(workload="cpu", mode="sync"), look.one(workload="cpu", mode="process")
    (hurt,) = judge([at_least(look.ratio(loop, waiting, VICTIM), HURT)])
    others = judge([at_least(look.ratio(loop, each, VICTIM), 2.0) for each in (threads, process)])
    return Opinion(
        word(confirmed=hurt.yes, refuted=hurt.no),
        f"beside computing on the loop /health's p99 is {hurt.times} as long as beside waiting, "
        f"{others[0].times} as long as beside the same work in threads, and {others[1].times} as long as beside it in "
        "another process",
        hurt,
        loop,
    )


def c10(look: Look) -> Opinion:
    """Async is not faster for every task."""
    pairs = [
        (look.one(workload=workload, mode="async"), look.one(workload=workload, mode="sync"))
        for workload in ("noop", "cpu")
    ]
    nothing, computing = judge([at_most(look.ratio(*pair, RPS), GAIN) for pair in pairs])
    return Opinion(
        word(confirmed=computing.yes or nothing.yes, refuted=computing.no and nothing.no),
        f"async def serves {nothing.times} the requests of def where the route does nothing, and {computing.times} "
        "where it computes 5 ms",
        computing,
        pairs[1][0],
    )


def c12(look: Look) -> Opinion:
    """Async alone uses one core; workers use more."""
    one = look.one(workload="cpu", mode="async", workers=1)
    many = look.largest(WORKERS, one, workload="cpu", mode="async")
    (more,) = judge([at_least(look.ratio(many, one, RPS), MORE_CORES)])
    used = _cores_used(look, one.case.case_id)
    alone = "" if used is None else f"; one worker alone kept {used:.2f} cores busy"
    return Opinion(
        word(confirmed=more.yes, refuted=more.no),
        f"{many.case.workers} workers serve {more.times} the requests of one{alone}",
        more,
        one,
    )


def _cores_used(look: Look, case_id: str) -> float | None:
    """CPU time over wall time of a case's runs."""
    case = look.summary.cases[case_id]
    cpu_ms, rps = (case.values(metric) for metric in ("cpu_ms_per_request", RPS))
    used = [cpu_ms[replicate] * rps[replicate] / 1e3 for replicate in rps if replicate in cpu_ms]
    used = [each for each in used if is_usable(each)]
    return sum(used) / len(used) if used else None


def gain_of_pool(look: Look) -> Sweep:
    """C13: from how much computing on a process pool pays."""
    return sweep(
        param("ms", "ms of computing"),
        [each for mode in ("async", "process") for each in look.all(workload="cpu", mode=mode)],
        lambda _, group: at_least(look.ratio(group["process"], group["async"], RPS), SERVES_MORE),
        "a process pool serves more than the loop",
        modes=("async", "process"),
    )


def c13(look: Look) -> Opinion:
    """A process pool lets an async app use more cores."""
    gain = gain_of_pool(look)
    (short, at_short), (long, at_long) = gain.needs_ends()
    slower = look.one({"params.ms": long}, workload="cpu", mode="async")
    return Opinion(
        word(
            depends=at_short.no and at_long.yes,
            confirmed=at_short.yes and at_long.yes,
            refuted=at_short.no and at_long.no,
        ),
        f"with {number_of(long)} ms of computing a process pool serves {at_long.times} the requests of the loop, with "
        f"{number_of(short)} ms {at_short.times}; it begins to pay {between(gain.bracket)}",
        at_long,
        slower,
        gain.bracket,
    )


def c18(look: Look) -> Opinion:
    """For CPU-bound work sync routes and more workers may be better."""
    loop, thread = (look.one(workload="cpu", mode=mode, workers=1) for mode in ("async", "sync"))
    many = look.largest(WORKERS, loop, workload="cpu", mode="async")
    workers, mode = judge(
        [
            at_least(look.ratio(many, loop, RPS), MORE_CORES),
            at_least(look.ratio(thread, loop, RPS), GAIN),
        ]
    )
    (health,) = judge([at_least(look.ratio(loop, thread, VICTIM), 2.0)])
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
