"""Whether answers came until the window closed, or the server stopped somewhere inside it.

An average over a window says nothing of a server that answered fast and then not at all: throughput is spread over a
dead time, and latencies leave out the requests that hang.
"""

from typing import NamedTuple

import numpy as np

from loopwise.analysis.rows import INTS, MASK, RunRows

ENOUGH = 20
"""Answers in the window from which its own gaps say what is usual; with fewer, those of the warm-up count, too."""
HANG_FACTOR = 2.0
HANG_MIN_S = 1.0
"""A request hangs when it has waited this long, and HANG_FACTOR times as long as any answer took."""


class Ending(NamedTuple):
    """The end of a window."""

    silence_s: float
    """From the last successful answer to the window's end, or all of the window."""
    usual_s: float
    """Longest gap between answers, or longest answer, before that; 0 without answers."""
    slowest_s: float = 0.0
    """Longest answer of the run."""
    hung: int = 0
    """Requests in flight at the end that hang."""
    waited_s: float = 0.0
    """Wait of the oldest of them until it was given up."""
    endpoint: str = ""
    """Of that one."""


def ending(rows: RunRows, unfinished: MASK) -> Ending:
    """Describe the end of a window.

    Args:
        rows: of the run.
        unfinished: mask of the rows that the end of the run cut off.
    """
    window, load = rows.window, ~rows.is_victim
    good = load & rows.is_ok
    received_ns, service_ns = rows.column["received_ns"], rows.duration_ns("service", np.ones(rows.count, dtype=bool))
    inside = good & rows.arrived
    known = inside if inside.sum() >= ENOUGH else good & (received_ns < window.end_ns)
    last_ns = int(received_ns[inside].max()) if inside.any() else window.start_ns
    slowest_ns = int(service_ns[good].max()) if good.any() else 0
    waited_ns = service_ns * (load & unfinished & (rows.column["sent_ns"] < window.end_ns))
    hangs = waited_ns > max(HANG_MIN_S * 1e9, HANG_FACTOR * slowest_ns)
    oldest = int(waited_ns.argmax()) if hangs.any() else None
    return Ending(
        silence_s=(window.end_ns - last_ns) / 1e9,
        usual_s=max(_longest_gap_ns(received_ns[known]), int(service_ns[known].max(initial=0))) / 1e9,
        slowest_s=slowest_ns / 1e9,
        hung=int(hangs.sum()),
        waited_s=0.0 if oldest is None else int(waited_ns[oldest]) / 1e9,
        endpoint="" if oldest is None else rows.endpoint(oldest),
    )


def _longest_gap_ns(times_ns: INTS) -> int:
    return int(np.diff(np.sort(times_ns)).max(initial=0))
