"""How well open load keeps its schedule."""

from itertools import takewhile

import numpy as np

from loopwise.analysis.stats import nearest_rank
from loopwise.calibrate.document import RowSize, ScheduleAccuracy
from loopwise.calibrate.generation import INTS, Bench, Generated
from loopwise.errors import RunError
from loopwise.generator.arrivals import arrival_times, stretches
from loopwise.model import Load

RATES_RPS = (200.0, 1000.0, 2000.0, 5000.0)
WINDOWS = 2
"""A window is so many times longer than one of the cost rounds: the lowest rate needs the rows."""


def measure_schedule(
    bench: Bench,
) -> tuple[tuple[ScheduleAccuracy, ...], RowSize | None, tuple[str, ...]]:
    """Poisson arrivals at several rates; returns the accuracies, rows' size on disk, and what failed."""
    found: list[ScheduleAccuracy] = []
    problems: list[str] = []
    size: RowSize | None = None
    for rate_rps in RATES_RPS:
        bench.tell(f"open load's schedule: {rate_rps:g} requests/s")
        load = Load(
            model="open",
            rate_rps=rate_rps,
            warmup_s=bench.warmup_s,
            measure_s=bench.window_s * WINDOWS,
            timeout_s=5.0,
        )
        try:
            run = bench.generate(load)
            found.append(accuracy(load, run, bench.seed))
        except RunError as error:
            problems.append(f"open load at {rate_rps:g}/s: {error}")
            continue
        rows = run.rows.is_ok.size
        size = RowSize(
            load=f"open, {rate_rps:g} requests/s", rows=rows, bytes_per_row=run.rows.file_bytes / rows
        )
    return tuple(found), size, tuple(problems)


def accuracy(load: Load, run: Generated, seed: int) -> ScheduleAccuracy:
    """Set a run's rows beside the schedule, which is drawn again from the seed: a request that was dropped has no row.

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
    """When requests are due by the seed: from the first one's time to the window's end, ns since the epoch."""
    times = arrival_times(stretches(load), load.arrivals, seed)
    offset_ns = begin_ns - next(times)
    rest = takewhile(lambda time_ns: time_ns < end_ns, (offset_ns + time_ns for time_ns in times))
    return np.array([begin_ns, *rest], dtype=np.int64)
