"""The rows of one run as arrays, and which of them count.

All that is computed from rows starts here, so that a report reads, marks and sorts them once per run.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from loopwise.model import TOTAL, VICTIM, Run, Window
from loopwise.results.columns import UNFINISHED

FLOATS = NDArray[np.float64]
INTS = NDArray[np.int64]
MASK = NDArray[np.bool_]
Kind = Literal["service", "response"]

TIMES = ("scheduled_ns", "sent_ns", "received_ns", "read_ns")
COLUMNS = (*TIMES, "endpoint", "error")
"""The columns of samples.parquet that figures need; the others need not be read for them."""
_BEGINS: dict[Kind, str] = {"service": "sent_ns", "response": "scheduled_ns"}


@dataclass(frozen=True)
class Requests:
    """The requests of one endpoint that count, in a run or on one side of a pair's round."""

    served: int
    """Successes whose answer arrived in the time measured."""
    duration_s: float
    """The time measured."""
    latencies_ms: Mapping[Kind, FLOATS]
    """Of the successes that count, ascending."""
    due: int = 0
    """Requests that count towards errors; 0 where errors are counted elsewhere."""
    failed: int = 0


class RunRows:
    """A run's rows.

    In closed load the rows that count are those whose answer arrived in the window. In open load latencies are those
    of the requests that were due in it, however late their answer: leaving late ones out is what coordinated omission
    is.

    Args:
        table: COLUMNS of all rows of the run, in any order.
        run: measured; without a window only what all its rows have in common is known.
    """

    def __init__(self, table: pa.Table, run: Run) -> None:
        self.run = run
        self.count = table.num_rows
        self.column: dict[str, INTS] = {name: _times(table, name) for name in TIMES}
        self.is_ok, self.is_failed = outcomes(table)
        self._code, self._names = _texts(table.column("endpoint"))
        self._latencies_ms: dict[tuple[str, Kind], FLOATS] = {}

    @property
    def window(self) -> Window:
        """The measured part of the run."""
        assert self.run.window is not None
        return self.run.window

    @property
    def is_open(self) -> bool:
        """Whether requests had a schedule to keep."""
        return self.run.case.load.model == "open"

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The kinds of latency that its requests have."""
        return ("service", "response") if self.is_open else ("service",)

    @cached_property
    def arrived(self) -> MASK:
        """Rows whose answer arrived in the window."""
        return self.inside("received_ns")

    @cached_property
    def due(self) -> MASK:
        """Rows whose latency counts, including the canary's."""
        return self.inside("scheduled_ns") if self.is_open else self.arrived

    @cached_property
    def counted(self) -> MASK:
        """Rows of the load that count, as successes or as failures: those that are due and have an outcome."""
        return self.due & ~self.is_victim & (self.is_ok | self.is_failed)

    @cached_property
    def is_victim(self) -> MASK:
        """Rows of the canary, which are no load."""
        flags = np.array([name.startswith(VICTIM) for name in self._names], dtype=bool)
        return flags[self._code] if flags.size else np.zeros(self.count, dtype=bool)

    @cached_property
    def endpoints(self) -> tuple[str, ...]:
        """Endpoints of the load, sorted. Declared ones count even without rows: replicates must agree on the names."""
        declared = set() if self.run.case.scenario else {each.name for each in self.run.case.endpoints}
        counts = np.bincount(self._code, minlength=len(self._names))
        used = {name for name, count in zip(self._names, counts, strict=True) if count}
        return tuple(sorted(declared | {name for name in used if not name.startswith(VICTIM)}))

    @property
    def whole(self) -> str:
        """Name of the whole load: its only endpoint, or TOTAL for a mix."""
        return self.endpoints[0] if len(self.endpoints) == 1 else TOTAL

    @property
    def groups(self) -> tuple[str, ...]:
        """Names that have figures of their own: the endpoints, and TOTAL beside several."""
        return self.endpoints if len(self.endpoints) == 1 else (*self.endpoints, TOTAL)

    def of(self, name: str) -> MASK:
        """The rows of an endpoint, or of the whole load."""
        if name == TOTAL:
            return ~self.is_victim
        if name not in self._names:
            return np.zeros(self.count, dtype=bool)
        return np.equal(self._code, self._names.index(name))

    def endpoint(self, row: int) -> str:
        """The endpoint of a row."""
        return str(self._names[self._code[row]])

    def duration_ns(self, kind: Kind, rows: MASK) -> INTS:
        """Latencies of these rows, in their order."""
        return self.column["received_ns"][rows] - self.column[_BEGINS[kind]][rows]

    def latencies_ms(self, name: str, kind: Kind) -> FLOATS:
        """Latencies of the successes of an endpoint that count, ascending."""
        key = (name, kind)
        if key not in self._latencies_ms:
            durations_ns = self.duration_ns(kind, self.of(name) & self.due & self.is_ok)
            durations_ns.sort()
            self._latencies_ms[key] = durations_ns / 1e6
        return self._latencies_ms[key]

    def requests(self, name: str) -> Requests:
        """The requests of an endpoint, or of the whole load, that count."""
        mine = self.of(name)
        counted = self.counted & mine
        return Requests(
            served=int((self.arrived & mine & self.is_ok).sum()),
            duration_s=self.window.duration_s,
            latencies_ms={kind: self.latencies_ms(name, kind) for kind in self.kinds},
            due=int(counted.sum()),
            failed=int((counted & self.is_failed).sum()),
        )

    @cached_property
    def served(self) -> int:
        """Successes of the load whose answer arrived in the window."""
        return int((self.arrived & ~self.is_victim & self.is_ok).sum())

    @cached_property
    def served_at_once(self) -> float | None:
        """Throughput × time alone (Little's law), summed over the endpoints; None where a time alone is missing."""
        alone_ms = self.run.alone_ms
        if self.run.window is None or not alone_ms or set(alone_ms) != set(self.endpoints):
            return None
        served = {name: int((self.of(name) & self.is_ok & self.arrived).sum()) for name in alone_ms}
        return sum(served[name] * alone_ms[name] / 1e3 for name in alone_ms) / self.window.duration_s

    @cached_property
    def lag_ns(self) -> INTS:
        """The generator's delay in reading those answers."""
        counted = self.arrived & ~self.is_victim & self.is_ok
        return self.column["read_ns"][counted] - self.column["received_ns"][counted]

    @cached_property
    def victim_ns(self) -> INTS:
        """Response times of the canary in the window."""
        return self.duration_ns("response", self.arrived & self.is_victim & self.is_ok)

    def inside(self, name: str) -> MASK:
        """Rows of which this time lies in the window."""
        times_ns = self.column[name]
        return (times_ns >= self.window.start_ns) & (times_ns < self.window.end_ns)


def retried(table: pa.Table) -> int:
    """Rows of requests that were sent twice; an earlier version's have no such column."""
    return int(pc.sum(table.column("retried")).as_py() or 0) if "retried" in table.column_names else 0


def outcomes(table: pa.Table) -> tuple[MASK, MASK]:
    """Which rows succeeded, and which failed; a row that the end of the run cut off did neither."""
    error = table.column("error")
    is_ok: MASK = np.asarray(pc.is_null(error), dtype=bool)
    if is_ok.all():
        return is_ok, ~is_ok
    is_unfinished = pc.fill_null(pc.equal(pc.cast(error, pa.string()), UNFINISHED), False)
    return is_ok, ~is_ok & ~np.asarray(is_unfinished, dtype=bool)


def _times(table: pa.Table, name: str) -> INTS:
    """A column of times as int64, null as 0: float64 can't hold nanoseconds since the epoch exactly."""
    column = table.column(name)
    if column.null_count:
        column = pc.fill_null(column, 0)
    return np.asarray(column.to_numpy(), dtype=np.int64)


def _texts(column: pa.ChunkedArray) -> tuple[INTS, list[str]]:
    """A column of texts as numbers, and the texts by number."""
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    whole = column.unify_dictionaries().combine_chunks()
    if isinstance(whole, pa.ChunkedArray):  # no row, no chunk
        return np.zeros(0, dtype=np.int64), []
    return np.asarray(whole.indices, dtype=np.int64), whole.dictionary.to_pylist()
