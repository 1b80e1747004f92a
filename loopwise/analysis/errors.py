"""Count failed requests by endpoint and kind of error, of a run and of a case over its runs."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from loopwise.analysis.rows import RunRows
from loopwise.model import OTHER, TOTAL, ErrorCount
from loopwise.visible import clean

MAX_KINDS = 20
"""Kinds that an endpoint has rows for, since a script can make a text of its own for every failure."""
MAX_ENDPOINTS = 20
"""Endpoints with kinds of their own; a script can name thousands."""
MAX_CHARACTERS = 200
"""Of a kind, which may be a script's own words."""
NAMED = 3
"""Kinds that a sentence names."""


@dataclass(frozen=True)
class CaseError:
    """Failed requests of one endpoint and kind, over the runs of a case in which there were any."""

    counted: ErrorCount
    """The sums; its example is from the first of these runs."""
    replicates: tuple[int, ...]
    """These runs."""
    runs: int
    """All runs of the case that were measured, invalid ones included."""

    @property
    def ratio(self) -> float:
        """Share of the endpoint's requests in these runs that failed so, 0–1."""
        return self.counted.count / max(self.counted.requests, 1)


def errors_of_run(rows: RunRows, table: pa.Table) -> tuple[ErrorCount, ...]:
    """Count the failed requests of a run; `table` has the same rows, perhaps with their connection and status."""
    failed = rows.counted & rows.is_failed if rows.run.window else np.zeros(rows.count, dtype=bool)
    if not failed.any():
        return ()
    requests = {name: int((rows.counted & rows.of(name)).sum()) for name in (*rows.endpoints, TOTAL)}
    return count_errors(table.filter(pa.array(failed)), requests, rows.window.start_ns)


def count_errors(failed: pa.Table, requests: Mapping[str, int], start_ns: int) -> tuple[ErrorCount, ...]:
    """Count failed requests by endpoint and kind.

    Args:
        failed: the rows that failed: endpoint, error, received_ns and, where known, status and connection.
        requests: by endpoint, and TOTAL: how many count, failed ones included.
        start_ns: beginning of the measurement.

    Returns:
        The endpoint with most failures first, of each its most frequent kind first; what is rare is summed.
    """
    if not failed.num_rows:
        return ()
    example = [name for name in ("connection", "status") if name in failed.column_names]
    ordered = failed.sort_by("received_ns")
    groups = ordered.group_by(["endpoint", "error"], use_threads=False).aggregate(
        [("received_ns", "count"), *((name, "first") for name in ("received_ns", *example))]
    )
    counts = (
        ErrorCount(
            endpoint=group["endpoint"],
            kind=one_line(group["error"]),
            count=group["received_ns_count"],
            requests=requests.get(group["endpoint"], 0),
            first_s=round((group["received_ns_first"] - start_ns) / 1e9, 6),
            connection=group.get("connection_first"),
            status=group.get("status_first"),
        )
        for group in groups.to_pylist()
    )
    return bounded(counts, requests.get(TOTAL, 0))


def one_line(text: str) -> str:
    """The text on one line, without control characters, cut to MAX_CHARACTERS."""
    line = clean(text)
    return line if len(line) <= MAX_CHARACTERS else f"{line[: MAX_CHARACTERS - 1]}…"


def bounded(counts: Iterable[ErrorCount], requests: int) -> tuple[ErrorCount, ...]:
    """Join counts of the same endpoint and kind, sort them, and sum those beyond MAX_KINDS and MAX_ENDPOINTS.

    Args:
        counts: in any order.
        requests: of all endpoints together.
    """
    by_endpoint: dict[str, dict[str, ErrorCount]] = {}
    for each in counts:
        of_endpoint = by_endpoint.setdefault(each.endpoint, {})
        known = of_endpoint.get(each.kind)
        of_endpoint[each.kind] = each if known is None else joined([known, each], each.endpoint, each.kind, 1)
    ranked = sorted(by_endpoint.values(), key=lambda kinds: -sum(each.count for each in kinds.values()))
    rows: list[ErrorCount] = []
    for kinds in ranked[:MAX_ENDPOINTS]:
        rows += _most_frequent(list(kinds.values()))
    rest = [each for kinds in ranked[MAX_ENDPOINTS:] for each in kinds.values()]
    if rest:
        rows.append(joined(rest, TOTAL, OTHER).model_copy(update={"requests": requests}))
    return tuple(rows)


def _most_frequent(counts: Sequence[ErrorCount]) -> list[ErrorCount]:
    """The kinds of one endpoint, most frequent first; those beyond MAX_KINDS as one."""
    ranked = sorted(counts, key=lambda each: (each.kind == OTHER, -each.count, each.kind))
    kept, rest = ranked[:MAX_KINDS], ranked[MAX_KINDS:]
    return [*kept, joined(rest, kept[0].endpoint, OTHER)] if len(rest) > 1 else ranked


def joined(counts: Sequence[ErrorCount], endpoint: str, kind: str, kinds: int | None = None) -> ErrorCount:
    """Several counts as one, with the example of the one that came first."""
    first = min(counts, key=lambda each: float("inf") if each.first_s is None else each.first_s)
    return first.model_copy(
        update={
            "endpoint": endpoint,
            "kind": kind,
            "count": sum(each.count for each in counts),
            "kinds": sum(each.kinds for each in counts) if kinds is None else kinds,
        }
    )


def over_runs(runs: Mapping[int, Sequence[ErrorCount]]) -> tuple[CaseError, ...]:
    """The errors of a case over its runs, by replicate; `runs` names those without errors, too."""
    found: dict[tuple[str, str], dict[int, ErrorCount]] = {}
    for replicate, counts in sorted(runs.items()):
        for each in counts:
            found.setdefault((each.endpoint, each.kind), {})[replicate] = each
    sums = {
        (endpoint, kind): next(iter(by_run.values())).model_copy(
            update={
                "count": sum(each.count for each in by_run.values()),
                "requests": sum(each.requests for each in by_run.values()),
                "kinds": max(each.kinds for each in by_run.values()),
            }
        )
        for (endpoint, kind), by_run in found.items()
    }
    kept = bounded(sums.values(), sum(max((each.requests for each in counts), default=0) for counts in runs.values()))
    return tuple(CaseError(each, tuple(found.get((each.endpoint, each.kind), runs)), len(runs)) for each in kept)


def by_kind(counts: Iterable[ErrorCount]) -> Counter[str]:
    """Number of failed requests by kind, over all endpoints."""
    kinds: Counter[str] = Counter()
    for each in counts:
        kinds[each.kind] += each.count
    return kinds


def listed(counts: Iterable[ErrorCount]) -> str:
    """The most frequent kinds with their numbers: `status_401 (9,120), refused (3)`."""
    kinds = by_kind(counts).most_common()
    named = [f"{kind} ({count:,})" for kind, count in kinds[:NAMED]]
    rest = sum(count for _, count in kinds[NAMED:])
    return ", ".join([*named, f"others ({rest:,})"] if rest else named)
