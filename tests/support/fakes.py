"""A bench without servers, generators or a clock: rows come from arithmetic and a seed."""

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import repeat
from pathlib import Path
from typing import Any
from unittest import mock

import pandas as pd
import pyarrow as pa

from loopwise.errors import GeneratorError
from loopwise.generator.protocol import Event, Order
from loopwise.generator.recorder import RETRIED, Recorder
from loopwise.measure.experiment import Execution, Watcher
from loopwise.measure.plan import plan
from loopwise.measure.testbed import Recording
from loopwise.model import (
    VICTIM,
    Case,
    Comparison,
    Cost,
    Endpoint,
    Experiment,
    GeneratorFigures,
    Load,
    Replicates,
    Run,
    Server,
    ServerFacts,
    Suite,
    Window,
)
from loopwise.report.terminal.progress import Quiet
from loopwise.results.columns import KERNEL
from loopwise.results.columns import SAMPLES as SCHEMA
from loopwise.results.folder import ResultFolder
from loopwise.results.trust import sealed
from loopwise.servers.lifecycle import RunningServer

EPOCH_NS = 1_700_000_000_000_000_000
WARMUP_NS = 200_000_000
LAG_NS = 20_000
HOST = {"steal_ratio": 0.004, "cpu_ratio": 0.6, "server_cpu_s": 0.15, "server_rss_mb": 64.0}
"""The machine's figures in every run on fakes."""


@dataclass(frozen=True)
class Conduct:
    """How a case behaves on the fake bench."""

    throughput_rps: float = 400.0
    noise_ratio: float = 0.02
    """Standard deviation of a run's log throughput."""
    error_ratio: float = 0.0
    generator_cpu_ratio: float = 0.3
    is_windowless: bool = False
    faults: Mapping[int, BaseException] = field(default_factory=dict)
    """Replicate -> raised instead of a server that answers."""
    deaths: frozenset[int] = frozenset()
    """Replicates in which the generator dies in the middle of the window."""
    steal: Mapping[int, Sequence[float]] = field(default_factory=dict)
    """Replicate -> share of the CPU that its first attempt loses, its second, …; what is lost is not served."""
    cpu_ms: float = 1.0
    """CPU per request, in rounds of pairs."""
    in_pairs: "Conduct | None" = None
    """How it behaves in rounds of pairs, where `faults` and `deaths` count rounds; None: as in runs, without these."""

    @property
    def paired(self) -> "Conduct":
        """Its conduct in a round of a pair."""
        return self.in_pairs or replace(self, faults={}, deaths=frozenset(), steal={})


class FakeBench:
    """A server and a generator: `bench.serve` and `bench` are the seams of Execution. Pairs: fake_pairs.py.

    Args:
        conducts: by case_id.
        bursts: share of the CPU that the machine loses in run after run, beside what conducts say.
    """

    def __init__(self, conducts: Mapping[str, Conduct] | None = None, bursts: Iterator[float] | None = None) -> None:
        self.conducts = dict(conducts or {})
        self.bursts = bursts or repeat(0.0)
        self.served: list[tuple[str, int]] = []
        """Every server start: case_id, and replicate or number of the round."""
        self.orders: list[Order] = []
        self.host = HOST
        """The machine's figures in the run that ended last."""

    def warm_up(self) -> None:
        """As loopwise.generator.client.Generators."""

    def go(self) -> None:
        """As loopwise.generator.client.Generators."""

    def figures(self, name: str) -> Mapping[str, float]:
        """Figures of the server of that name, and of the machine, in the load that ended last."""
        del name
        return self.host

    def conduct(self, case_id: str) -> Conduct:
        return self.conducts.get(case_id, Conduct())

    @contextmanager
    def serve(
        self,
        case: Case,
        *,
        scratch: Path,
        log: Path,
        calibration: Mapping[str, float],
        cores: Sequence[int],
        services: Mapping[str, str],
        on_start: object = None,
        hold: object = None,
    ) -> Iterator[RunningServer]:
        assert scratch.is_dir()
        del calibration, cores, services, on_start, hold
        replicate = int(log.parent.name)
        self.served.append((case.case_id, replicate))
        conduct = self.conduct(case.case_id)
        fault = (conduct if log.name == "server.log" else conduct.paired).faults.get(replicate)
        if fault is not None:
            raise fault
        log.write_text("the server's own words\n", encoding="utf-8")
        yield RunningServer("http://127.0.0.1:9", None, ServerFacts(argv=("fake",), pids=(1,), start_s=0.1))

    def run(self, order: Order, hear: Any) -> Event:
        self.orders.append(order)
        samples = Path(order.samples)
        case_id, replicate = samples.parent.parent.name, int(samples.parent.name)
        conduct = self.conduct(case_id)
        attempts = [run.stem for run in samples.parent.parent.glob(f"{replicate}-disturbed-*")]
        steal = max((*conduct.steal.get(replicate, ()), *[0.0] * 9)[len(attempts)], next(self.bursts))
        self.host = HOST | ({"steal_ratio": steal} if steal else {})
        conduct = replace(conduct, throughput_rps=conduct.throughput_rps * (1 - steal))
        window_ns = int(order.load.measure_s * 1e9)
        opened_ns = EPOCH_NS + WARMUP_NS
        rows = closed_rows(order, conduct)
        sink = samples.open("wb")
        recorder = Recorder(sink)
        if replicate in conduct.deaths:
            record(recorder, rows[: len(rows) // 2])
            recorder.flush()
            record(recorder, rows[len(rows) // 2 :])  # never flushed: lost with the process
            sink.close()  # as the kernel does, without the stream's end
            raise GeneratorError("the generator ended with status -9. Its last lines:\n    Killed")
        record(recorder, rows)
        recorder.close()
        hear(Event(event="progress", phase="window", rows=len(rows), errors=recorder.failures))
        if not conduct.is_windowless:
            hear(Event(event="window_opened", time_ns=opened_ns, warm=True))
            hear(Event(event="window_closed", time_ns=opened_ns + window_ns))
        return Event(event="done", rows=len(rows), figures=figures_of(order, conduct.generator_cpu_ratio, len(rows)))


def figures_of(order: Order, cpu_ratio: float, requests: int) -> GeneratorFigures:
    """The generator's own figures, on a core of which it used that share."""
    cpu_s, load = cpu_ratio * order.load.measure_s, order.load
    return GeneratorFigures(
        cpu_s=cpu_s,
        busiest_cpu_s=cpu_s,
        wall_s=load.measure_s,
        requests=requests,
        cores=2,
        users=load.users,
        users_wanted=load.users,
        clock_step_ms=0.0,
        longest_pause_s=0.0,
    )


@dataclass(frozen=True)
class FakeRow:
    """One request, times in ns after EPOCH_NS."""

    received_ns: int
    service_ns: int = 5_000_000
    endpoint: str = "GET /"
    scheduled_ns: int | None = None
    status: int = 200
    error: str | None = None
    bytes: int = 137
    connection: int | None = 1
    lag_ns: int = LAG_NS
    retried: bool = False


def closed_rows(order: Order, conduct: Conduct) -> list[FakeRow]:
    """Warm-up, window and drain of users who wait for their answers, in keeping with Little's law."""
    dice = random.Random(order.seed)
    throughput_rps = conduct.throughput_rps * dice.lognormvariate(0.0, conduct.noise_ratio)
    gap_ns = 1e9 / throughput_rps
    names = [each.name for each in order.endpoints for _ in range(each.weight)] or ["GET /"]
    rows = []
    for index in range(int((2 * WARMUP_NS + order.load.measure_s * 1e9) / gap_ns)):
        service_ns = int(order.load.users * gap_ns * dice.uniform(0.9, 1.1))
        is_error = dice.random() < conduct.error_ratio
        rows.append(
            FakeRow(
                int(index * gap_ns),
                service_ns,
                names[index % len(names)],
                status=500 if is_error else 200,
                error="status 500" if is_error else None,
                connection=index % order.load.users,
            )
        )
        if order.load.victim and index % 20 == 0:
            due_ns = int(index * gap_ns)
            rows.append(FakeRow(due_ns + 1_500_000, 1_000_000, f"{VICTIM}{order.load.victim}", due_ns, connection=-1))
    return rows


def record(recorder: Recorder, rows: Sequence[FakeRow]) -> None:
    for row in rows:
        received_ns = EPOCH_NS + row.received_ns
        recorder.append(
            (
                None if row.scheduled_ns is None else EPOCH_NS + row.scheduled_ns,
                received_ns - row.service_ns,
                received_ns,
                received_ns + row.lag_ns,
                recorder.endpoints.number(row.endpoint),
                row.status,
                None if row.error is None else recorder.errors.number(row.error),
                row.bytes,
                row.connection,
                recorder.stamps.number(KERNEL) | (RETRIED if row.retried else 0),
            )
        )


def table_of(rows: Sequence[FakeRow], folder: Path) -> pa.Table:
    """The rows as the harness would read them."""
    path = folder / "rows.arrow"
    recorder = Recorder(path.open("wb"))
    record(recorder, rows)
    recorder.close()
    with pa.OSFile(str(path), "rb") as source:
        batches = list(pa.ipc.open_stream(source))
    return pa.Table.from_batches(batches, schema=SCHEMA)


def case_of(case_id: str, mode: str = "sync", **options: Any) -> Case:
    """A case of `sleep(ms=50)`; options replace fields."""
    fields: dict[str, Any] = {
        "workload": "sleep",
        "params": {"ms": 50},
        "server": Server(),
        "endpoints": (Endpoint(path=f"/sleep/{mode}?ms=50"),),
        "load": Load(users=10, measure_s=0.5),
        "cost": Cost(wait_ms=50.0),
    }
    return Case(case_id=case_id, mode=mode, **(fields | options))


def suite_with(*cases: Case, replicates: tuple[int, int] = (3, 3), **options: Any) -> Suite:
    fields: dict[str, Any] = {
        "name": "fake",
        "compare": Comparison(baseline={"mode": "sync"}, slices_max=0),
        "replicates": Replicates(min=replicates[0], max=replicates[1]),
    }
    return Suite(cases=cases, **(fields | options))


def three_modes(**options: Any) -> Suite:
    """Two modes that differ by far, and one that is as good as its baseline."""
    return suite_with(*(case_of(mode, mode) for mode in ("sync", "async", "to_thread")), **options)


THREE_CONDUCTS = {
    "sync": Conduct(400.0),
    "async": Conduct(900.0),
    "to_thread": Conduct(402.0, noise_ratio=0.002),
}


def experiment_of(suite: Suite, name: str = "fake-1", **options: Any) -> Experiment:
    fields: dict[str, Any] = {
        "created_at": "2026-01-02T03:04:05.000+00:00",
        "seed": suite.seed,
        "environment": {"cores": 2, "cpu_model": "Example CPU", "versions": {"uvicorn": "0.40.0"}},
        "plan": plan(suite, suite.seed),
    }
    return Experiment(name=name, suite=suite, **(fields | options))


def new_result(folder: Path, suite: Suite, **options: Any) -> tuple[ResultFolder, Experiment]:
    """A result of which nothing is measured yet."""
    result = ResultFolder(folder)
    experiment = sealed(experiment_of(suite, folder.name, **options))
    result.begin(experiment)
    return result, experiment


@contextmanager
def machine_of(bench: FakeBench) -> Iterator[None]:
    """Within a `with` block the machine's figures are the bench's."""
    with (
        mock.patch.object(Recording, "figures", lambda _, name: dict(bench.figures(name))),
        mock.patch.object(Recording, "changes", return_value={}),
    ):
        yield


def carry_out(
    result: ResultFolder, experiment: Experiment, bench: FakeBench, watcher: Watcher | None = None
) -> Experiment:
    """Execute on the fake bench, on a machine whose figures are HOST but for the steal that its conduct says."""
    with machine_of(bench):
        return Execution(result, experiment, bench, watcher or Quiet(), serve=bench.serve).run()


def measured(
    folder: Path, suite: Suite | None = None, conducts: Mapping[str, Conduct] | None = None, **options: Any
) -> ResultFolder:
    """A finished result on fakes."""
    known = THREE_CONDUCTS if conducts is None else conducts
    result, experiment = new_result(folder, suite or three_modes(), **options)
    carry_out(result, experiment, FakeBench(known))
    return result


def run_of(case: Case, **options: Any) -> Run:
    """A run with a window of one second from EPOCH_NS on."""
    fields: dict[str, Any] = {
        "replicate": 1,
        "order": 1,
        "status": "ok",
        "started_at": "2026-01-02T03:04:05.000+00:00",
        "window": Window(start_ns=EPOCH_NS, end_ns=EPOCH_NS + 1_000_000_000),
    }
    return Run(case=case, **(fields | options))


def rows_by(table: pd.DataFrame, *keys: str) -> dict[tuple[str, ...], dict[str, Any]]:
    """The rows of a table by some of its columns."""
    records: list[Any] = table.to_dict("records")
    return {tuple(record[key] for key in keys): record for record in records}
