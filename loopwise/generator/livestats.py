"""Locust's own statistics, fed in batches from the reactor's rows for Locust's listeners and masters.

Locust adds each request to a dozen counters as it ends; here the counters get a batch's sums at each flush. They agree
with the rows, at a hundredth of the cost.
"""

from typing import Any

import numpy as np
from locust.stats import RequestStats, StatsError, bucket_response_time
from numpy.typing import NDArray

from loopwise.generator.recorder import Batch, Recorder, failed, unfinished

INTS = NDArray[np.int64]
# The first call imports numpy.ma: later on that would stall a flush, and a generator that is out of files could not.
np.unique(np.zeros(1, dtype=np.int64))


def feed(stats: RequestStats, recorder: Recorder, batch: Batch) -> None:
    """Add the reactor's rows of a flush to Locust's statistics: by endpoint, in total, and their errors.

    Without unfinished requests, and without rows that have no connection: Locust's own clients counted those already.
    """
    errors, is_failed, counts = batch["error"].values, failed(batch, recorder), ~unfinished(batch, recorder)
    if batch["connection"].is_valid is not None:
        counts &= batch["connection"].is_valid
    endpoints = batch["endpoint"].values
    for endpoint in np.unique(endpoints[counts]).tolist():
        mine = counts & (endpoints == endpoint)
        method, _, name = recorder.endpoints.texts[endpoint].partition(" ")
        columns = [batch[key].values[mine] for key in ("sent_ns", "received_ns", "bytes")]
        for entry in (stats.entries[name, method], stats.total):
            _add(entry, *columns, failures=int((mine & is_failed).sum()))
        for number, count in _tally(errors[mine & is_failed]):
            text = recorder.errors.texts[number]
            key = StatsError.create_key(method, name, text)
            stats.errors.setdefault(key, StatsError(method, name, text)).occurrences += count


def _tally(values: NDArray[Any]) -> list[tuple[Any, int]]:
    """Each value with its number of occurrences."""
    distinct, counts = np.unique(values, return_counts=True)
    return list(zip(distinct.tolist(), counts.tolist(), strict=True))


def _add(entry: Any, sent_ns: INTS, received_ns: INTS, lengths: INTS, *, failures: int) -> None:
    """Add many requests to an entry, as StatsEntry.log and log_error do for one."""
    ms = (received_ns - sent_ns) / 1e6
    last_s = float(received_ns.max()) / 1e9
    before_s = entry.last_request_timestamp or last_s
    if entry.use_response_times_cache and int(last_s) > int(before_s):
        entry._cache_response_times(int(last_s) - 1)
    entry.last_request_timestamp = max(last_s, before_s)
    entry.num_requests += len(ms)
    entry.total_response_time += float(ms.sum())
    shortest = float(ms.min())
    known = entry.min_response_time
    entry.min_response_time = shortest if known is None else min(shortest, known)
    entry.max_response_time = max(float(ms.max()), entry.max_response_time)
    entry.total_content_length += int(lengths.sum())
    for second, count in _tally(received_ns // 1_000_000_000):
        entry.num_reqs_per_sec[second] += count
    # Locust's rule keeps two digits; rounding to microseconds first leaves fewer values to apply it to.
    for value, count in _tally(np.round(ms, 3)):
        entry.response_times[bucket_response_time(value)] += count
    entry.num_failures += failures
    if failures:
        entry.num_fail_per_sec[int(last_s)] += failures
