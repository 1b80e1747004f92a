"""Counts of a case's rows over its valid runs, for formats that know neither replicates nor intervals.

Rows of one run are in memory at a time; of a case the number of times that each latency occurred, to the microsecond.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa

from loopwise.analysis.errors import MAX_KINDS, one_line
from loopwise.analysis.rows import FLOATS, INTS, Kind, RunRows
from loopwise.analysis.stats import rank
from loopwise.model import OTHER, TOTAL, Case, Run
from loopwise.results.folder import ResultFolder

MAX_NAME = 110
"""Characters of one part of a file's name: file systems allow 255 bytes, and there are two parts and a suffix."""


@dataclass
class Spread:
    """How often each latency occurred."""

    values_us: INTS = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    """Ascending, each once."""
    counts: INTS = field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    def add(self, durations_ns: INTS) -> None:
        """Count the latencies of one more run."""
        values, counts = np.unique((durations_ns + 500) // 1000, return_counts=True)
        both = np.concatenate([self.values_us, values])
        self.values_us, places = np.unique(both, return_inverse=True)
        weights = np.concatenate([self.counts, counts])
        self.counts = np.bincount(places, weights=weights, minlength=self.values_us.size).astype(np.int64)

    @property
    def total(self) -> int:
        """Number of latencies."""
        return int(self.counts.sum())

    @property
    def values_ms(self) -> FLOATS:
        """The values in ms."""
        return self.values_us / 1e3

    @property
    def mean_ms(self) -> float:
        """The mean; 0 without any value, as in the other tools."""
        return float((self.values_ms * self.counts).sum()) / self.total if self.total else 0.0

    @property
    def deviation_ms(self) -> float:
        """The standard deviation of these values, as of a population."""
        if not self.total:
            return 0.0
        squares = (self.values_ms - self.mean_ms) ** 2 * self.counts
        return float(np.sqrt(squares.sum() / self.total))

    def quantile_ms(self, quantile: float) -> float:
        """The exact nearest rank, to the microsecond; 0 without any value."""
        if not self.total:
            return 0.0
        index = np.searchsorted(np.cumsum(self.counts), rank(quantile, self.total))
        return float(self.values_ms[index])


@dataclass
class Tally:
    """One endpoint of a case, or all of them together."""

    requests: int = 0
    failures: int = 0
    bytes: int = 0
    all_service: Spread = field(default_factory=Spread)
    """Service times of all requests, including failed ones: what Locust and k6 show."""
    good: dict[Kind, Spread] = field(default_factory=dict)
    """Latencies of the successes, by kind: what Loopwise's own figures are made of."""

    def add(self, rows: RunRows, endpoint: str, sizes: INTS) -> None:
        """Count the rows of one more run: of an endpoint, or of all."""
        selected = rows.of(endpoint) & rows.counted
        good = selected & rows.is_ok
        self.requests += int(selected.sum())
        self.failures += int((selected & rows.is_failed).sum())
        self.bytes += int(sizes[selected].sum())
        self.all_service.add(rows.duration_ns("service", selected))
        for kind in rows.kinds:
            self.good.setdefault(kind, Spread()).add(rows.duration_ns(kind, good))


@dataclass
class Failure:
    """Requests of an endpoint that failed in one way."""

    count: int = 0
    first_ns: int = 0
    last_ns: int = 0

    def add(self, count: int, first_ns: int, last_ns: int) -> None:
        """Count more of them."""
        self.first_ns = min(self.first_ns or first_ns, first_ns)
        self.last_ns = max(self.last_ns, last_ns)
        self.count += count


@dataclass
class CaseTally:
    """A case over its valid runs."""

    case: Case
    window_s: float = 0.0
    """All windows together."""
    all: Tally = field(default_factory=Tally)
    endpoints: dict[str, Tally] = field(default_factory=dict)
    """By endpoint; of a case with one endpoint, it is `all`."""

    failed: dict[tuple[str, str], Failure] = field(default_factory=dict)
    """By endpoint and kind of error."""

    def add(self, table: pa.Table, run: Run) -> None:
        """Count the rows of one more run."""
        rows = RunRows(table, run)
        sizes = np.asarray(table.column("bytes").to_numpy(), dtype=np.int64)
        self.window_s += rows.window.duration_s
        self.all.add(rows, TOTAL, sizes)
        self._add_failures(table.filter(pa.array(rows.counted & rows.is_failed)))
        if len(self.case.endpoints) == 1 and self.case.scenario is None:
            self.endpoints = {rows.whole: self.all}
            return
        for name in rows.endpoints:
            self.endpoints.setdefault(name, Tally()).add(rows, name, sizes)

    def _add_failures(self, table: pa.Table) -> None:
        if not table.num_rows:
            return
        found = [("received_ns", each) for each in ("count", "min", "max")]
        for group in table.group_by(["endpoint", "error"]).aggregate(found).to_pylist():
            failure = self.failed.setdefault((group["endpoint"], one_line(group["error"])), Failure())
            failure.add(*(group[f"received_ns_{each}"] for each in ("count", "min", "max")))

    @property
    def failures(self) -> list[tuple[str, str, Failure]]:
        """Endpoint, kind and number; the most frequent kinds of each endpoint first, the rest summed as OTHER."""
        rows: list[tuple[str, str, Failure]] = []
        for endpoint in sorted({endpoint for endpoint, _ in self.failed}):
            mine = [(kind, each) for (name, kind), each in self.failed.items() if name == endpoint]
            mine.sort(key=lambda pair: (-pair[1].count, pair[0]))
            rows += [(endpoint, kind, each) for kind, each in mine[:MAX_KINDS]]
            if len(mine) > MAX_KINDS:
                rest = Failure()
                for _, each in mine[MAX_KINDS:]:
                    rest.add(each.count, each.first_ns, each.last_ns)
                rows.append((endpoint, OTHER, rest))
        return rows


class CountingFolder(ResultFolder):
    """A result that counts the rows of valid runs while a summary reads them, so that no file is read twice."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.tallies: dict[str, CaseTally] = {}
        """By case_id."""

    def samples(self, run: Run, columns: Sequence[str] | None = None) -> pa.Table:
        """Read and count those columns of a run's rows."""
        table = super().samples(run, None if columns is None else (*columns, "bytes"))
        if run.status == "ok" and run.window is not None:
            self.tallies.setdefault(run.case.case_id, CaseTally(run.case)).add(table, run)
        return table


def file_name(plain: str) -> str:
    """A part of a file's name that can't lead out of its folder and is unique to this text."""
    safe = re.sub(r"[^A-Za-z0-9._=+-]+", "-", plain).strip("-.")
    if safe == plain and 0 < len(safe) <= MAX_NAME:
        return safe
    return f"{safe[: MAX_NAME - 9]}-{hashlib.sha256(plain.encode(errors='replace')).hexdigest()[:8]}"
