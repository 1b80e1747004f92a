"""Say at which lines of the app threads, tasks and event loops stood."""

from collections.abc import Sequence
from typing import Literal

from loopwise.analysis.signals import MIN_POOL, Signals
from loopwise.model import StandKind, WaitPlace

Stands = Literal["", "thread", "loop", "any"]
"""Whose places explain a cause; `any`: those of threads where they are all taken, else of what most stand."""
MOST = 2
MIN_PART = 0.1
"""Places at which fewer stand are passed on the way."""
MIN_SEEN = 0.25
"""Of the time for which a loop was blocked: where less was seen, the looks have missed what blocks it."""


def stood_at(signals: Signals, stands: Stands, share: float) -> str:
    """The end of a cause's evidence: `; 35 of 40 threads stood at `with lock` (shop/llm.py:12)`; empty: not known.

    Args:
        signals: of the run.
        stands: whose places.
        share: of the cause.
    """
    if stands == "loop":
        return _held(signals.places("loop"), share)
    kind: StandKind = "thread"
    threads = _threads(signals)
    if stands == "any" and not threads:
        kind = max(("thread", "task"), key=lambda each: sum(place.count for place in signals.places(each)))
    places = signals.places(kind) if stands else ()
    told = [place for place in places if place.share >= MIN_PART and place.count >= 0.5][:MOST]
    if not told:
        return ""
    whole = (threads if kind == "thread" else 0) or round(told[0].count / told[0].share)
    stood = [f"{min(whole, round(place.count))} of {whole} {kind}s stood at {_words(place)}" for place in told[:1]]
    stood += [f"{round(place.count)} at {_words(place)}" for place in told[1:]]
    return f"; {', '.join(stood)}"


def _threads(signals: Signals) -> int:
    """Threads of the pools that were full."""
    pools = [each.pools[name] for each in signals.workers for name in ("limiter", "executor") if name in each.pools]
    return sum(pool.places for pool in pools if pool.full_ratio >= MIN_POOL)


def _held(places: Sequence[WaitPlace], share: float) -> str:
    seen = sum(place.share for place in places)
    if seen < MIN_SEEN * share:
        return ""
    told = [place for place in places if place.share >= MIN_PART * seen][:MOST]
    return f"; held at {' and '.join(map(_words, told))}"


def _words(place: WaitPlace) -> str:
    return f"`{place.call}` ({place.place})" if place.call else place.place
