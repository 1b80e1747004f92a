"""Sequences an experiment: plan -> runs -> disk. The only module that does; resumable at any point."""

import random
import shutil
import tempfile
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from loopwise import machine, servers, target
from loopwise.assess import assess
from loopwise.driver import Generator
from loopwise.errors import EndpointError, RunError
from loopwise.generator.order import Event, Order
from loopwise.model import Case, Experiment, PlannedRun, Run, Suite, Window, Worker
from loopwise.placement import place
from loopwise.plan import next_block, plan
from loopwise.servers import RunningServer
from loopwise.store import STREAM, STREAMS, ResultFolder, seal_samples
from loopwise.telemetry import Telemetry, window_figures
from loopwise.workers import worker_figures

MAX_FAILURES = 2
"""A case whose runs failed so often in a row is not tried again: each try may cost the whole start-up timeout."""


class Watcher(Protocol):
    """Who is told how an experiment goes on."""

    def run_began(self, planned: PlannedRun, case: Case, position: int, total: int) -> None:
        """A run begins."""

    def run_goes_on(self, event: Event) -> None:
        """The generator told something."""

    def run_ended(self, run: Run, throughput_rps: float | None) -> None:
        """A run is on disk."""


Serve = Callable[..., AbstractContextManager[RunningServer]]


def design(
    suite: Suite, *, seed: int | None, label: str | None, name: str, command: str | None = None
) -> Experiment:
    """Decide everything that is decided before the first request."""
    seed = suite.seed if seed is None else seed
    needs_calibration = any(
        case.workload == "cpu" and case.app is None and case.url is None for case in suite.cases
    )
    return Experiment(
        name=name,
        label=label,
        created_at=_now(),
        suite=suite,
        seed=seed,
        environment=machine.describe(),
        calibration=target.calibrate() if needs_calibration else {},
        plan=plan(suite, seed),
        command=command,
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


@dataclass
class Execution:
    """Carries out what is still planned of an experiment, writing each run as soon as it ends."""

    result: ResultFolder
    experiment: Experiment
    generator: Generator
    watcher: Watcher
    serve: Serve = servers.serve
    cores: Sequence[int] = field(default_factory=machine.core_numbers)
    failures: dict[str, int] = field(default_factory=dict)

    def run(self) -> Experiment:
        """Measure every planned run, then further blocks while they are wanted; returns the finished experiment."""
        self._settle()
        while True:
            for position, planned in enumerate(self.experiment.plan, start=1):
                if planned.state == "planned":
                    self._run_one(position, planned)
            further = next_block(self.experiment, self.result.runs()[0])
            if not further:
                break
            self.experiment = self.experiment.model_copy(update={"plan": self.experiment.plan + further})
        finished_at = self.experiment.finished_at or _now()
        self.experiment = self.experiment.model_copy(update={"finished_at": finished_at})
        self.result.write_experiment(self.experiment)
        return self.experiment

    def _settle(self) -> None:
        """Make the plan say what the disk says.

        A run that ended just before a kill is not measured twice; one whose folder was deleted is measured again.
        One that is there but can't be read keeps its state: nothing is deleted unasked.
        """
        status = {(run.case.case_id, run.replicate): run.status for run in self.result.runs()[0]}
        for position, planned in enumerate(self.experiment.plan, start=1):
            key = (planned.case_id, planned.replicate)
            there = planned.state if self.result.has_run(*key) else "planned"
            if (state := status.get(key, there)) != planned.state:
                self._mark(position, state)

    def _run_one(self, position: int, planned: PlannedRun) -> None:
        case = next(c for c in self.experiment.suite.cases if c.case_id == planned.case_id)
        self.watcher.run_began(planned, case, position, len(self.experiment.plan))
        folder = self.result.new_run_folder(case.case_id, planned.replicate)
        started_at = _now()
        try:
            self._refuse_hopeless(case)
            run, throughput_rps = self._measure(case, planned.replicate, position, folder, started_at)
            self.failures[case.case_id] = 0
        except RunError as error:
            self.failures[case.case_id] = self.failures.get(case.case_id, 0) + (
                MAX_FAILURES if isinstance(error, EndpointError) else 1
            )
            run, throughput_rps = _failed(case, planned.replicate, position, started_at, error), None
            if any(folder.glob(STREAMS)):
                seal_samples(folder)
        self.result.write_run(run)
        self._mark(position, run.status)
        self.watcher.run_ended(run, throughput_rps)

    def _refuse_hopeless(self, case: Case) -> None:
        if self.failures.get(case.case_id, 0) >= MAX_FAILURES:
            raise RunError("not tried again, because earlier runs of this case failed; see their errors")

    def _mark(self, position: int, state: str) -> None:
        runs = list(self.experiment.plan)
        runs[position - 1] = runs[position - 1].model_copy(update={"state": state})
        self.experiment = self.experiment.model_copy(update={"plan": tuple(runs), "finished_at": None})
        self.result.write_experiment(self.experiment)

    def _measure(
        self, case: Case, replicate: int, position: int, folder: Path, started_at: str
    ) -> tuple[Run, float | None]:
        scratch = Path(tempfile.mkdtemp(prefix="loopwise-"))
        try:
            placement = place(case, self.cores, self.experiment.suite.generator.processes)
            with self.serve(
                case,
                scratch=scratch,
                log=folder / "server.log",
                calibration=self.experiment.calibration,
                cores=placement.server,
            ) as server:
                recording = self._record(case, replicate, folder, server, placement.generator)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        rows = seal_samples(folder)
        telemetry = self.result.write_telemetry(folder, recording.telemetry.samples)
        window = recording.window()
        run = Run(
            case=case,
            replicate=replicate,
            order=position,
            status="ok",
            started_at=started_at,
            window=window,
            server=recording.server.facts,
            generator=recording.done.figures.record() if recording.done.figures else {},
            counts={"rows": rows},
            host=recording.host(),
            workers=recording.workers(),
        )
        return assess(run, self.result.samples(run), telemetry)

    def _record(
        self, case: Case, replicate: int, folder: Path, server: RunningServer, cores: tuple[int, ...]
    ) -> "Recording":
        """Put the load on a server and keep what comes of it."""
        recording = Recording(server, Telemetry(server.pid, server.probes))
        order = Order(
            url=server.url,
            endpoints=case.endpoints,
            scenario=case.scenario,
            load=case.load,
            seed=random.Random(f"{self.experiment.seed}/{case.case_id}/{replicate}").getrandbits(32),
            samples=str(folder / STREAM),
            processes=self.experiment.suite.generator.processes,
            cores=cores,
        )

        def hear(event: Event) -> None:
            recording.hear(event)
            self.watcher.run_goes_on(event)

        recording.telemetry.start()
        try:
            recording.done = self.generator.run(order, hear)
        finally:
            recording.telemetry.stop()
        return recording


@dataclass
class Recording:
    """What is collected while a run goes on."""

    server: RunningServer
    telemetry: Telemetry
    done: Event = field(default_factory=lambda: Event(event="done"))
    _ends: dict[str, tuple[Event, int]] = field(default_factory=dict)
    """The window's two events, each with the time of the telemetry sample taken for it."""

    def hear(self, event: Event) -> None:
        """Keep the window's ends; sample there, so that the machine's figures begin and end with it."""
        if event.event in {"window_opened", "window_closed"}:
            self._ends[event.event] = event, self.telemetry.sample()

    def window(self) -> Window:
        """The measured part of the run."""
        if len(self._ends) < 2:
            raise RunError("the generator ended without a window; see generator.log")
        opened, closed = self._ends["window_opened"][0], self._ends["window_closed"][0]
        return Window(start_ns=opened.time_ns, end_ns=closed.time_ns, warm=opened.warm)

    def host(self) -> dict[str, float]:
        """Figures of the server's processes and of the machine over the window."""
        return window_figures(
            self.telemetry.samples, self._ends["window_opened"][1], self._ends["window_closed"][1]
        )

    def workers(self) -> tuple[Worker, ...]:
        """What each worker of the server did in the window."""
        return worker_figures(
            self.telemetry.samples,
            self._ends["window_opened"][1],
            self._ends["window_closed"][1],
            self.server.facts.get("pids", ()),
        )


def _failed(case: Case, replicate: int, position: int, started_at: str, error: RunError) -> Run:
    return Run(
        case=case,
        replicate=replicate,
        order=position,
        status="failed",
        error=str(error),
        started_at=started_at,
    )
