"""Measures how true the generator is: service times beside captured packets, open load beside its schedule."""

from itertools import takewhile
from typing import Literal, NamedTuple

import numpy as np

from loopwise.analysis.stats import nearest_rank
from loopwise.calibrate.bench import CONNECTIONS, INTS, Bench, Generated, percentiles_us
from loopwise.calibrate.packets import Capture, capture
from loopwise.calibrate.records import DECLARED, FAST, LatencyTruth, RowSize, ScheduleAccuracy
from loopwise.errors import RunError
from loopwise.generator.arrivals import arrival_times, stretches
from loopwise.model import Load

STEADY_USERS, STEADY_THINK_S = 20, 0.02
"""About 900 requests a second, far from each tool's limit. The pause is that of fast_http_user_steady.py."""
STEADY_WINDOWS = 7
"""A steady window is so many times longer than a saturated one: p99.9 needs 10,000 rows."""


class Situation(NamedTuple):
    """A generator and load whose packets are captured."""

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
    """Run every situation; return the latencies, and a sentence for each step that failed."""
    truths: list[LatencyTruth] = []
    problems: list[str] = []
    for situation in SITUATIONS:
        bench.tell(f"latency beside the packets: {situation.tool}, {situation.name}")
        try:
            truths.append(_measure(bench, situation, is_captured=is_captured))
        except RunError as error:
            problems.append(f"latency of {situation.tool}, {situation.name}: {error}")
    return tuple(truths), tuple(problems)


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
    """Compare a run's rows with its packets: latencies of answers in the window, counts of the whole run."""
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
    """Request → end of the answer, for answers that ended in the window."""
    return np.array(
        [
            response_ns - request_ns
            for request_ns, response_ns in packets.exchanges
            if response_ns is not None and run.start_ns <= response_ns < run.end_ns
        ],
        dtype=np.int64,
    )


RATES_RPS = (200.0, 1000.0, 2000.0, 5000.0)
SCHEDULE_WINDOWS = 2
"""A window is so many times longer than one of the cost rounds: the lowest rate needs the rows."""


def measure_schedule(
    bench: Bench,
) -> tuple[tuple[ScheduleAccuracy, ...], RowSize | None, tuple[str, ...]]:
    """Run Poisson arrivals at several rates; return accuracies, a row's size on disk, and a sentence per failure."""
    accuracies: list[ScheduleAccuracy] = []
    problems: list[str] = []
    size: RowSize | None = None
    for rate_rps in RATES_RPS:
        bench.tell(f"open load's schedule: {rate_rps:g} requests/s")
        load = Load(
            model="open",
            rate_rps=rate_rps,
            warmup_s=bench.warmup_s,
            measure_s=bench.window_s * SCHEDULE_WINDOWS,
            timeout_s=5.0,
        )
        try:
            run = bench.generate(load)
            accuracies.append(accuracy(load, run, bench.seed))
        except RunError as error:
            problems.append(f"open load at {rate_rps:g}/s: {error}")
            continue
        rows = run.rows.is_ok.size
        size = RowSize(load=f"open, {rate_rps:g} requests/s", rows=rows, bytes_per_row=run.rows.file_bytes / rows)
    return tuple(accuracies), size, tuple(problems)


def accuracy(load: Load, run: Generated, seed: int) -> ScheduleAccuracy:
    """Compare a run's rows with its schedule, drawn again from the seed: a request that was dropped has no row.

    Raises:
        RunError: nothing was sent.
    """
    times = run.rows.times
    scheduled_ns, sent_ns = times["scheduled_ns"], times["sent_ns"]
    inside = (scheduled_ns >= run.start_ns) & (scheduled_ns < run.end_ns)
    if not inside.any():
        raise RunError("no request was due in the window; give it more time")
    is_sent = ~run.rows.is_unfinished
    drawn_ns = _drawn_ns(load, seed, begin_ns=int(scheduled_ns.min()), end_ns=run.end_ns)
    late_us = np.sort((sent_ns - scheduled_ns)[inside & is_sent]) / 1e3
    return ScheduleAccuracy(
        rate_rps=load.rate_rps,
        due=int(drawn_ns.size),
        sent=int(np.isin(scheduled_ns[is_sent], drawn_ns).sum()),
        late_us={
            "p50": nearest_rank(late_us, 0.5),
            "p99": nearest_rank(late_us, 0.99),
            "max": nearest_rank(late_us, 1.0),
        },
    )


def _drawn_ns(load: Load, seed: int, *, begin_ns: int, end_ns: int) -> INTS:
    """Due times drawn from the seed, from the first row's to the window's end, ns since the epoch."""
    times = arrival_times(stretches(load), load.arrivals, seed)
    offset_ns = begin_ns - next(times)
    rest = takewhile(lambda time_ns: time_ns < end_ns, (offset_ns + time_ns for time_ns in times))
    return np.array([begin_ns, *rest], dtype=np.int64)
