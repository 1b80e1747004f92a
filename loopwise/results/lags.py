"""Histogram of event-loop lag, as the probe in a worker counts it: buckets a sixteenth of a doubling wide."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

SUB_BUCKETS = 16
"""Buckets per doubling, as in the probe (`bucket` in target_app)."""


def merge_counts(parts: Iterable[Mapping[Any, int]]) -> Counter[int]:
    """Counts by bucket of several lines or workers together; buckets are numbers, or their text as in JSON."""
    merged: Counter[int] = Counter()
    for part in parts:
        merged.update({int(number): count for number, count in part.items()})
    return merged


def lag_ms(counts: Mapping[int, int], quantile: float) -> float | None:
    """The quantile of the lag by nearest rank, as its bucket's middle: within ±3 %. None if nothing was counted."""
    total = sum(counts.values())
    rank, below = max(1, -(-int(total * quantile * 1e6) // 1_000_000)), 0
    for number in sorted(counts):
        below += counts[number]
        if below >= rank:
            return _middle_us(number) / 1e3
    return None


def _middle_us(number: int) -> float:
    """The middle of a bucket, in µs; the inverse of the probe's `bucket`."""
    shift = max(0, number // SUB_BUCKETS - 1)
    low = (number - shift * SUB_BUCKETS) << shift
    return low + ((1 << shift) - 1) / 2
