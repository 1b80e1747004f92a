"""What the right route of a lesson brings over the wrong one, as measured. Pure."""

from typing import NamedTuple

from loopwise.analysis.figures import CaseFigures
from loopwise.claims.claim import Lesson
from loopwise.claims.look import Look
from loopwise.claims.questions import CONFIDENCE


class Gauge(NamedTuple):
    """By what a lesson's routes are compared."""

    metric: str
    words: str
    """Completes "the right route …": `serves {} the requests of the wrong one`."""
    endpoint: str = ""
    """Where a mix's figure stands; empty: the case as a whole."""


THROUGHPUT = Gauge("throughput_rps", "serves {} the requests of the wrong one")
RESPONSE = Gauge("response_time_p99_ms", "takes {} the wrong one's p99")
HEALTH = Gauge("victim_p99_ms", "leaves /health {} the p99 that it has beside the wrong one")

GAUGES: dict[str, Gauge] = {
    "C04": HEALTH,
    "C05": HEALTH,
    "C08": Gauge("context_switches_per_request", "takes {} the wrong one's context switches per request"),
    "C09": HEALTH,
    "C11": RESPONSE,
    "C14": RESPONSE,
    "C17": Gauge("response_time_p99_ms", "leaves the route beside it {} the p99", endpoint="GET /c17/async"),
}
"""Claim -> its gauge, where that is not throughput: under open load all serve what arrives, and a route's harm to its
neighbours is not in its own figures."""


def lesson(look: Look, claim_id: str) -> Lesson | None:
    """The ratio right ÷ wrong; None where either has no valid run, or fewer than two."""
    gauge = GAUGES.get(claim_id, THROUGHPUT)
    wrong, right = (_route(look, f"/{claim_id.lower()}/{side}") for side in ("wrong", "right"))
    if wrong is None or right is None:
        return None
    endpoint = gauge.endpoint or None
    ratio = look.ratio(right, wrong, gauge.metric, endpoint=endpoint, baseline_endpoint=endpoint)
    if ratio is None or not ratio.has_interval:
        return None
    return Lesson(metric=gauge.metric, words=gauge.words, ratio=ratio.estimate(CONFIDENCE))


def _route(look: Look, path: str) -> CaseFigures | None:
    """The case that asks for a route of the lessons: on the fewest workers, where there are several."""
    found = [
        each
        for each in look.summary.cases.values()
        if each.case.app is not None and each.case.workload.split(" ")[-1] == path
    ]
    return min(found, key=lambda each: each.case.workers or 0, default=None)
