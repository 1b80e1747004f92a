"""Locust's own statistics, fed in batches with what the reactor recorded: what Locust's listeners and masters see.

Locust adds each request to a dozen counters as it ends; here the counters get a batch's sums at each flush. They say
the same as the rows, at a hundredth of the price.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from locust.stats import RequestStats, StatsError, bucket_response_time

from loopwise.generator.recorder import UNFINISHED, Recorder, Row


def feed(stats: RequestStats, recorder: Recorder, rows: Sequence[Row]) -> None:
    """Add rows to Locust's statistics: by endpoint, in total, and their errors. Unfinished requests are left out."""
    unfinished = recorder.errors.number(UNFINISHED)
    by_endpoint: dict[int, list[Row]] = {}
    for row in rows:
        if row[6] != unfinished:
            by_endpoint.setdefault(row[4], []).append(row)
    for endpoint, group in by_endpoint.items():
        method, _, name = recorder.endpoints.texts[endpoint].partition(" ")
        entry = stats.entries[name, method]
        table = np.array([(row[1], row[2], row[7]) for row in group], dtype=np.int64)
        failed = [row for row in group if row[6] is not None]
        for each in (entry, stats.total):
            _add(each, table, len(failed))
        for number, count in Counter(row[6] for row in failed).items():
            text = recorder.errors.texts[number or 0]
            error = stats.errors.setdefault(
                StatsError.create_key(method, name, text), StatsError(method, name, text)
            )
            error.occurrences += count


def _add(entry: Any, table: "np.ndarray[Any, np.dtype[np.int64]]", failures: int) -> None:
    """What StatsEntry.log and log_error do for one request, for many."""
    ms = (table[:, 1] - table[:, 0]) / 1e6
    last_s = float(table[:, 1].max()) / 1e9
    if (
        entry.use_response_times_cache
        and entry.last_request_timestamp
        and int(last_s) > int(entry.last_request_timestamp)
    ):
        entry._cache_response_times(int(last_s) - 1)
    entry.num_requests += len(ms)
    entry.last_request_timestamp = max(last_s, entry.last_request_timestamp or 0.0)
    entry.total_response_time += float(ms.sum())
    shortest = float(ms.min())
    entry.min_response_time = (
        shortest if entry.min_response_time is None else min(shortest, entry.min_response_time)
    )
    entry.max_response_time = max(float(ms.max()), entry.max_response_time)
    entry.total_content_length += int(table[:, 2].sum())
    for second, count in Counter((table[:, 1] // 1_000_000_000).tolist()).items():
        entry.num_reqs_per_sec[second] += count
    # Locust rounds to two digits; rounding to a thousandth first leaves few distinct values to round by its rule.
    for value, count in Counter(np.round(ms, 3).tolist()).items():
        entry.response_times[bucket_response_time(value)] += count
    entry.num_failures += failures
    if failures:
        entry.num_fail_per_sec[int(last_s)] += failures
