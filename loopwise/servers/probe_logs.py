"""What the probes in the workers wrote, joined to what was seen of their processes from outside."""

import json
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from loopwise.results.columns import POOL_PARTS, POOLS

SUB_BUCKETS = 16
"""As in target_app/instruments.py: buckets of lag per doubling."""


class Look(NamedTuple):
    """A probe's line."""

    time_ns: int
    figures: dict[str, Any]


def read(folder: Path) -> dict[int, list[Look]]:
    """By pid, the lines of every probe in order of time; a line that was cut off by a kill is left out."""
    found: dict[int, list[Look]] = {}
    for path in sorted(folder.glob("*.jsonl")):
        looks = []
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            with suppress(ValueError, KeyError, TypeError):
                figures = json.loads(line)
                looks.append(Look(int(figures["time_ns"]), figures))
        if looks:
            found[int(path.stem)] = sorted(looks, key=lambda look: look.time_ns)
    return found


def gather(looks: Sequence[Look], times_ns: Sequence[int]) -> dict[int, dict[str, Any]]:
    """The looks as columns, those between two times brought together at the later one.

    Sums since the beginning and occupancies are those of the last look, extremes and counts of lag those of all. Looks
    after the last time are left out.

    Args:
        looks: of one probe.
        times_ns: ascending: when the process was looked at from outside.
    """
    groups: dict[int, list[dict[str, Any]]] = {}
    for look in looks:
        index = bisect_left(times_ns, look.time_ns)
        if index < len(times_ns):
            groups.setdefault(times_ns[index], []).append(look.figures)
    return {time_ns: _columns(group) for time_ns, group in groups.items()}


def _columns(group: list[dict[str, Any]]) -> dict[str, Any]:
    last = group[-1]
    lags: Counter[int] = Counter()
    for figures in group:
        lags.update({int(number): count for number, count in figures["lags"].items()})
    columns: dict[str, Any] = {
        "lags": dict(lags),
        "loop_lag_p50_ms": lag_ms(lags, 0.5),
        "loop_lag_p99_ms": lag_ms(lags, 0.99),
        "loop_lag_max_ms": max(figures["lag_max_ms"] for figures in group),
        "loop_stall_max_ms": max(figures["stall_ms"] for figures in group),
        "loop_blocked_s": last["blocked_s"],
        "loop_cpu_s": last["loop_cpu_s"],
        "loop_wait_s": last["loop_wait_s"],
        "in_flight": last["started"] - last["done"],
        "requests_done": last["done"],
        "gc_pause_s": last["gc_s"],
        "gc_pause_max_ms": max(figures["gc_max_ms"] for figures in group),
        "probe_late_ms": max(figures["late_ms"] for figures in group),
    }
    occupied = {**last["gauges"], "limiter": last["limiter"], "executor": last["executor"]}
    for pool in POOLS:
        places = occupied.get(pool) or (None, None, None)
        columns |= {f"{pool}_{part}": places[index] for index, part in enumerate(POOL_PARTS)}
    return columns


def merge_counts(parts: Iterable[Mapping[int, int]]) -> Counter[int]:
    """Counts of lag by bucket, of several looks or workers together."""
    merged: Counter[int] = Counter()
    for part in parts:
        merged.update(part)
    return merged


def lag_ms(counts: Mapping[int, int], quantile: float) -> float | None:
    """The quantile of the lag by nearest rank, as its bucket's middle: within ±3 %. None where nothing was counted."""
    total = sum(counts.values())
    rank, seen = max(1, -(-int(total * quantile * 1e6) // 1_000_000)), 0
    for number in sorted(counts):
        seen += counts[number]
        if seen >= rank:
            return _middle_us(number) / 1e3
    return None


def _middle_us(number: int) -> float:
    """The middle of a bucket, in µs; the inverse of `bucket` in target_app/instruments.py."""
    shift = max(0, number // SUB_BUCKETS - 1)
    low = (number - shift * SUB_BUCKETS) << shift
    return low + ((1 << shift) - 1) / 2
