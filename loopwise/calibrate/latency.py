"""Reported service times beside the packets of the same run."""

from typing import Literal, NamedTuple

import numpy as np

from loopwise.calibrate.capture import Capture, capture
from loopwise.calibrate.cost import DECLARED, FAST
from loopwise.calibrate.document import LatencyTruth
from loopwise.calibrate.generation import CONNECTIONS, INTS, Bench, Generated, percentiles_us
from loopwise.errors import RunError
from loopwise.model import Load

STEADY_USERS, STEADY_THINK_S = 20, 0.02
"""About 900 requests a second: each tool is far from its limit. The pause is that of fast_http_user_steady.py."""
STEADY_WINDOWS = 7
"""A steady window is so many times longer than a saturated one: p99.9 needs 10,000 rows."""


class Situation(NamedTuple):
    """A run to be captured."""

    tool: str
    name: Literal["steady", "saturated"]
    scenario: str | None


SITUATIONS = (
    Situation(DECLARED, "steady", None),
    Situation(DECLARED, "saturated", None),
    Situation(FAST, "steady", "fast_http_user_steady"),
    Situation(FAST, "saturated", "fast_http_user"),
)


def measure_latency(bench: Bench, *, is_captured: bool) -> tuple[tuple[LatencyTruth, ...], tuple[str, ...]]:
    """Run every situation; returns what was found, and a sentence per step that failed."""
    found: list[LatencyTruth] = []
    problems: list[str] = []
    for situation in SITUATIONS:
        bench.tell(f"latency beside the packets: {situation.tool}, {situation.name}")
        try:
            found.append(_measure(bench, situation, is_captured=is_captured))
        except RunError as error:
            problems.append(f"latency of {situation.tool}, {situation.name}: {error}")
    return tuple(found), tuple(problems)


def _measure(bench: Bench, situation: Situation, *, is_captured: bool) -> LatencyTruth:
    is_steady = situation.name == "steady"
    load = Load(
        users=STEADY_USERS if is_steady else CONNECTIONS,
        think_s=STEADY_THINK_S if is_steady and situation.scenario is None else 0.0,
        warmup_s=bench.warmup_s,
        warmup_max_s=5.0,
        measure_s=bench.window_s * (STEADY_WINDOWS if is_steady else 1),
        timeout_s=5.0,
    )

    def run() -> Generated:
        return bench.generate(load, scenario=situation.scenario)

    if not is_captured:
        return truth(situation, load.users, run(), None)
    generated, packets = capture(bench.server.port, bench.folder, run)
    return truth(situation, load.users, generated, packets)


def truth(situation: Situation, connections: int, run: Generated, packets: Capture | None) -> LatencyTruth:
    """Set a run's rows beside its packets. Both are of the window, by the answer's arrival; counts of the whole run."""
    times, inside = run.rows.times, run.in_window
    lag_ns = (times["read_ns"] - times["received_ns"])[inside & run.rows.is_kernel]
    return LatencyTruth(
        tool=situation.tool,
        situation=situation.name,
        connections=connections,
        throughput_rps=float(inside.sum()) / ((run.end_ns - run.start_ns) / 1e9),
        rows=int(inside.size),
        packet_requests=None if packets is None else len(packets.exchanges),
        packets_dropped=None if packets is None else packets.dropped,
        reported_us=percentiles_us((times["received_ns"] - times["sent_ns"])[inside]),
        packets_us={} if packets is None else percentiles_us(_durations_ns(packets, run)),
        lag_us=percentiles_us(lag_ns),
    )


def _durations_ns(packets: Capture, run: Generated) -> INTS:
    """Request → end of the answer, of the exchanges whose answer ended in the window."""
    return np.array(
        [
            response_ns - request_ns
            for request_ns, response_ns in packets.exchanges
            if response_ns is not None and run.start_ns <= response_ns < run.end_ns
        ],
        dtype=np.int64,
    )
