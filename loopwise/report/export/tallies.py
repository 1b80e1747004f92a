"""What is counted of a case's rows over its valid runs, for formats that know neither replicates nor intervals.

Rows of one run are in memory at a time, and of a case only how often each latency occurred, to the microsecond.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from loopwise.analysis.rows import COLUMNS, FLOATS, INTS, MASK, Kind, RunRows
from loopwise.analysis.stats import rank
from loopwise.analysis.summary import Summary
from loopwise.errors import ResultError
from loopwise.model import TOTAL, Case, Run
from loopwise.results.folder import ResultFolder

MAX_NAME = 110
"""Characters of a part of a file's name: file systems allow 255 bytes, and there are two parts and a suffix."""


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
        """All that was counted."""
        return int(self.counts.sum())

    @property
    def values_ms(self) -> FLOATS:
        """The values in ms."""
        return self.values_us / 1e3

    @property
    def mean_ms(self) -> float:
        """The mean; 0 without any value, as the other tools have it."""
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
    """Service times of all requests, failed ones among them: what Locust and k6 show."""
    good: dict[Kind, Spread] = field(default_factory=dict)
    """Latencies of the successes, by kind: what this project's own figures are made of."""


@dataclass
class CaseTally:
    """A case over its valid runs."""

    case: Case
    runs: int = 0
    window_s: float = 0.0
    """All windows together."""
    all: Tally = field(default_factory=Tally)
    endpoints: dict[str, Tally] = field(default_factory=dict)
    """By endpoint; of a case with one endpoint, it is `all`."""


def tallies(summary: Summary, result: ResultFolder) -> Iterator[CaseTally]:
    """Each case with a valid run, in the suite's order. What can't be read is left out; the summary names it."""
    by_case: dict[str, list[Run]] = {}
    for run in summary.runs:
        if run.status == "ok" and run.window is not None:
            by_case.setdefault(run.case.case_id, []).append(run)
    for case in summary.experiment.suite.cases:
        found: CaseTally | None = None
        for run in by_case.get(case.case_id, []):
            try:
                found = _add(found, run, result)
            except ResultError:
                continue
        if found is not None:
            yield found


def _add(found: CaseTally | None, run: Run, result: ResultFolder) -> CaseTally:
    """Count one more run of the case."""
    table = result.samples(run, (*COLUMNS, "bytes"))
    rows = RunRows(table, run)
    sizes = np.asarray(table.column("bytes").to_numpy(), dtype=np.int64)
    found = found or CaseTally(run.case)
    found.runs += 1
    found.window_s += rows.window.duration_s
    _count(found.all, rows, rows.of(TOTAL) & rows.due, sizes)
    if len(run.case.endpoints) == 1 and run.case.scenario is None:
        found.endpoints = {rows.whole: found.all}
        return found
    for name in rows.endpoints:
        _count(found.endpoints.setdefault(name, Tally()), rows, rows.of(name) & rows.due, sizes)
    return found


def _count(tally: Tally, rows: RunRows, mine: MASK, sizes: INTS) -> None:
    good = mine & rows.is_ok
    tally.requests += int(mine.sum())
    tally.failures += int((mine & ~rows.is_ok).sum())
    tally.bytes += int(sizes[mine].sum())
    tally.all_service.add(rows.duration_ns("service", mine))
    for kind in rows.kinds:
        tally.good.setdefault(kind, Spread()).add(rows.duration_ns(kind, good))


def file_name(plain: str) -> str:
    """A part of a file's name that can't lead out of its folder, and that no other text gets."""
    safe = re.sub(r"[^A-Za-z0-9._=+-]+", "-", plain).strip("-.")
    if safe == plain and 0 < len(safe) <= MAX_NAME:
        return safe
    return f"{safe[: MAX_NAME - 9]}-{hashlib.sha256(plain.encode(errors='replace')).hexdigest()[:8]}"
