"""From the rows of a pair's round to what each side gave. Pure: tables in, nouns out."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from loopwise.analysis.metrics import PERCENTILES, is_shown
from loopwise.analysis.stats import nearest_rank
from loopwise.generator.protocol import Slice
from loopwise.model import TOTAL, Side

BOOLS = NDArray[np.bool_]
INTS = NDArray[np.int64]


def side_of(table: pa.Table, name: str, stretches: Sequence[Slice], cpu_s: float | None, span: Slice) -> Side:
    """What one side gave.

    Args:
        table: all rows of the round; endpoints begin with the side's name.
        name: of the side.
        stretches: the times that count; those of the other side are left out.
        cpu_s: CPU time of the side's processes over `span`.
        span: from the first to the last moment of the measurement, in which the CPU time was spent: in slices it is
            longer than what counts, so the requests are counted over it, too.
    """
    endpoints = np.asarray(pc.cast(table.column("endpoint"), pa.string()).to_pylist(), dtype=object)
    mine = np.array([text.startswith(f"{name} ") for text in endpoints], dtype=bool)
    is_ok = np.asarray(pc.is_null(table.column("error")), dtype=bool)
    received = np.asarray(table.column("received_ns"), dtype=np.int64)
    service_ms = (received - np.asarray(table.column("sent_ns"), dtype=np.int64)) / 1e6
    counted, failed, duration_s = np.zeros(len(endpoints), dtype=bool), 0, 0.0
    for each in stretches:
        if each.side == name:
            answers, length_ns = _from_answer_to_answer(received, mine & is_ok, each)
            counted |= answers
            failed += int((mine & ~is_ok & (received >= each.start_ns) & (received < each.end_ns)).sum())
            duration_s += length_ns / 1e9
    served = int((mine & is_ok & (received >= span.start_ns) & (received < span.end_ns)).sum())
    names = sorted({text.removeprefix(f"{name} ") for text in endpoints[mine]})
    # The whole stands under one name on both sides: two modes of a workload have paths of their own.
    groups = {TOTAL: counted}
    if len(names) > 1:
        groups |= {each: counted & (endpoints == f"{name} {each}") for each in names}
    found = {each: _metrics(service_ms[mask], duration_s) for each, mask in groups.items()}
    if cpu_s is not None and served:
        found[TOTAL]["cpu_ms_per_request"] = cpu_s * 1e3 / served
    return Side(
        metrics=found,
        counts={
            "rows": int(mine.sum()),
            "window_rows": int(counted.sum()) + failed,
            "errors": failed,
            "served": served,
        },
    )


def _from_answer_to_answer(received: INTS, is_answer: BOOLS, stretch: Slice) -> tuple[BOOLS, int]:
    """The answers of a stretch that begins behind one answer and ends with another, and its length in nanoseconds.

    Servers answer in bursts (40 threads that share the GIL end together), and a slice begins when a burst ends. A
    stretch of fixed length would hold two bursts or three by chance, and always begin with a pause.
    """
    before = is_answer & (received < stretch.start_ns)
    inside = is_answer & (received >= stretch.start_ns) & (received < stretch.end_ns)
    start_ns = int(received[before].max()) if before.any() else stretch.start_ns
    end_ns = int(received[inside].max()) if inside.any() else stretch.end_ns
    return is_answer & (received > start_ns) & (received <= end_ns), end_ns - start_ns


def _metrics(service_ms: NDArray[np.float64], duration_s: float) -> dict[str, float]:
    found = {"throughput_rps": service_ms.size / duration_s if duration_s else 0.0}
    if service_ms.size:
        ascending = np.sort(service_ms)
        found["service_time_mean_ms"] = float(ascending.mean())
        found |= {
            f"service_time_{label}_ms": nearest_rank(ascending, quantile)
            for label, quantile in PERCENTILES.items()
            if is_shown(quantile, ascending.size)
        }
    return found
