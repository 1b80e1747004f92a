"""Time the canary on the idle app, before the load begins."""

import numpy as np

from loopwise.analysis.stats import nearest_rank
from loopwise.model import Case
from loopwise.servers.exchange import time_answers
from loopwise.servers.origin import resolve
from loopwise.servers.wire import DEFAULT_HEADERS, encode

ASKED = 100
"""Of so many answers the second slowest is the 99th percentile."""
MOST_S = 1.0
"""A slow canary is asked less often."""
LEAST = 20


def idle_p99_ms(case: Case, url: str) -> float | None:
    """The canary's 99th percentile without load; None without a canary, or where too few answers come in a second."""
    if case.load.victim is None:
        return None
    try:
        origin = resolve(url)
        request = encode("GET", case.load.victim, {"Host": origin.host_header}, DEFAULT_HEADERS)
        times_s = time_answers(origin, request, most=ASKED, most_s=MOST_S)
    except OSError:
        return None
    return nearest_rank(np.sort(times_s), 0.99) * 1e3 if len(times_s) >= LEAST else None
