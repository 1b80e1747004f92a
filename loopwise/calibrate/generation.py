"""Run the generator against the static server, and read its rows."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from loopwise.analysis.stats import nearest_rank
from loopwise.calibrate.static_server import StaticServer
from loopwise.generator.client import Generator
from loopwise.generator.protocol import Event, Figures, Order
from loopwise.model import Endpoint, Load
from loopwise.paths import scenarios_dir
from loopwise.results.columns import KERNEL, UNFINISHED
from loopwise.results.folder import seal_samples

INTS = NDArray[np.int64]
MASK = NDArray[np.bool_]
CONNECTIONS = 32
"""Connections of the saturated loads, for every tool."""
PERCENTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p999": 0.999}
ROWS_ABOVE = 10
"""A percentile above p99 is shown with at least so many rows above it; fewer are single events."""
TIMES = ("scheduled_ns", "sent_ns", "received_ns", "read_ns")

Tell = Callable[[str], None]


class Rows(NamedTuple):
    """The rows of one run as columns."""

    times: dict[str, INTS]
    """scheduled_ns (0 in closed load), sent_ns, received_ns, read_ns."""
    is_ok: MASK
    is_unfinished: MASK
    """Cut off by the end of the run."""
    is_kernel: MASK
    """The arrival time is the kernel's."""
    file_bytes: int


class Generated(NamedTuple):
    """One run: its rows and the generator's own figures."""

    rows: Rows
    figures: Figures
    start_ns: int
    end_ns: int
    server_cpu_s: float
    """CPU that the static server used in the window."""

    @property
    def in_window(self) -> MASK:
        """Rows answered in the window."""
        received_ns = self.rows.times["received_ns"]
        return self.rows.is_ok & (received_ns >= self.start_ns) & (received_ns < self.end_ns)

    @property
    def errors(self) -> int:
        """Rows that failed."""
        return int((~self.rows.is_ok & ~self.rows.is_unfinished).sum())


@dataclass(frozen=True)
class Bench:
    """What all steps of a calibration share."""

    generator: Generator
    server: StaticServer
    folder: Path
    """For rows and logs; removed afterwards by who made it."""
    core: int | None
    """The generators are pinned there; None: wherever the kernel likes."""
    seed: int
    window_s: float
    warmup_s: float
    tell: Tell

    def generate(
        self, load: Load, *, scenario: str | None = None, generator: Generator | None = None
    ) -> Generated:
        """One run of a load on the static server.

        Args:
            load: what to send.
            scenario: name of a Locust file in scenarios/calibrate; None: the declared endpoint.
            generator: another than the shared one.

        Raises:
            GeneratorError: the generator died, fell silent, or can't use the scenario.
        """
        folder = self.folder / "run"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        path = None if scenario is None else str(scenarios_dir() / "calibrate" / f"{scenario}.py")
        order = Order(
            url=self.server.url,
            endpoints=() if scenario else (Endpoint(path="/"),),
            scenario=path,
            load=load,
            seed=self.seed,
            samples=str(folder / "samples.arrow"),
            cores=() if self.core is None else (self.core,),
        )
        moments: dict[str, tuple[int, float]] = {}

        def hear(event: Event) -> None:
            if event.event in {"window_opened", "window_closed"}:
                moments[event.event] = event.time_ns, self.server.cpu_s()

        done = (generator or self.generator).run(order, hear)
        assert done.figures is not None
        (start_ns, before_s), (end_ns, after_s) = moments["window_opened"], moments["window_closed"]
        seal_samples(folder)
        return Generated(
            read_rows(folder / "samples.parquet"), done.figures, start_ns, end_ns, after_s - before_s
        )


def read_rows(path: Path) -> Rows:
    """Read samples.parquet."""
    table = pq.read_table(path)
    times = {
        name: np.asarray(pc.fill_null(table.column(name), 0).to_numpy(zero_copy_only=False), dtype=np.int64)
        for name in TIMES
    }

    def equals(name: str, value: str) -> MASK:
        column = pc.equal(table.column(name).cast("string"), value)
        return np.asarray(pc.fill_null(column, False).to_numpy(zero_copy_only=False), dtype=bool)

    is_ok = np.asarray(pc.is_null(table.column("error")).to_numpy(zero_copy_only=False), dtype=bool)
    return Rows(times, is_ok, equals("error", UNFINISHED), equals("stamp", KERNEL), path.stat().st_size)


def percentiles_us(durations_ns: INTS) -> dict[str, float]:
    """Exact percentiles in µs, those with enough rows above them; empty without rows."""
    ascending = np.sort(durations_ns) / 1e3
    return {
        name: nearest_rank(ascending, quantile)
        for name, quantile in PERCENTILES.items()
        if ascending.size and (quantile <= 0.99 or ascending.size * (1 - quantile) >= ROWS_ABOVE)
    }
