"""Runs of a real generator process."""

import textwrap
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq

from loopwise.generator.client import Generator
from loopwise.generator.protocol import Event, Order
from loopwise.model import VICTIM, Endpoint, Load
from loopwise.results.folder import seal_samples
from support.fault_server import FaultServer

SCRIPT_HEAD = "from locust import *\nfrom locust import FastHttpUser, HttpUser, User, events\n"
"""Begins Locust files that tests write."""


class Generated(NamedTuple):
    """Rows and events of one run."""

    rows: list[dict[str, Any]]
    """As in samples.parquet, in the order in which they were recorded."""
    events: list[Event]

    @property
    def load(self) -> list[dict[str, Any]]:
        """Rows without the canary's."""
        return [row for row in self.rows if not row["endpoint"].startswith(VICTIM)]

    @property
    def finished(self) -> list[dict[str, Any]]:
        """Rows of the load without unfinished ones."""
        return [row for row in self.load if row["error"] != "unfinished"]

    def window(self) -> tuple[int, int]:
        """Start and end of the window, nanoseconds since the epoch."""
        times = {event.event: event.time_ns for event in self.events}
        return times["window_opened"], times["window_closed"]


def generate(
    generator: Generator,
    folder: Path,
    url: str,
    endpoints: Iterable[Endpoint] = (),
    *,
    scenario: Path | None = None,
    options: Mapping[str, Any] | None = None,
    processes: int = 1,
    seed: int = 1,
    on_event: Callable[[Event], object] | None = None,
    load: Mapping[str, Any] | None = None,
    **more: Any,
) -> Generated:
    """Generate one short run without warm-up; `load` and further arguments are keys of [load]."""
    events: list[Event] = []

    def listen(event: Event) -> None:
        events.append(event)
        if on_event is not None:
            on_event(event)

    order = Order(
        url=url,
        endpoints=tuple(endpoints),
        scenario=None if scenario is None else str(scenario),
        options=dict(options or {}),
        load=Load(
            **{"warmup_s": 0.0, "warmup_max_s": 0.0, "measure_s": 0.2, "timeout_s": 5.0} | dict(load or {}) | more
        ),
        seed=seed,
        samples=str(folder / "samples.arrow"),
        processes=processes,
    )
    generator.run(order, listen)
    if processes > 1:
        seal_samples(folder)
        return Generated(pq.read_table(folder / "samples.parquet").to_pylist(), events)
    with pa.OSFile(order.samples) as source:
        rows = pyarrow.ipc.open_stream(source).read_all().to_pylist()
    return Generated(rows, events)


def scripted(generator: Generator, folder: Path, server: FaultServer, text: str, **more: Any) -> Generated:
    """Generate one short run of two users of a Locust file, script.py: SCRIPT_HEAD and this text."""
    path = folder / "script.py"
    path.write_text(SCRIPT_HEAD + textwrap.dedent(text), encoding="utf-8")
    usual = {"users": 2, "measure_s": 0.3, "timeout_s": 2.0}
    return generate(generator, folder, server.url, scenario=path, **usual | more)


def get(*paths: str) -> list[Endpoint]:
    """GET of each path."""
    return [Endpoint(path=path) for path in paths]
