"""Carries out an experiment: runs of the plan, further blocks and repetitions, then slices. Resumable at any point."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import Protocol

from loopwise import machine
from loopwise.errors import EndpointError, RunError
from loopwise.generator.client import Generator
from loopwise.generator.protocol import Event
from loopwise.measure.pairs import measure_round
from loopwise.measure.plan import Key, Standing, key_of, known, next_block, plan, repeats, standing
from loopwise.measure.prestart import Prestart, Start
from loopwise.measure.run import begin, fail, measure
from loopwise.measure.slices import Escalation, undecided
from loopwise.measure.testbed import Serve, Testbed
from loopwise.model import Case, Experiment, PlannedRun, Round, Run, RunState, Suite
from loopwise.results.folder import ResultFolder
from loopwise.results.room import check_room
from loopwise.results.trust import sealed
from loopwise.servers import lifecycle, target
from loopwise.servers.lifecycle import RunningServer
from loopwise.servers.pinning import Pinning, pin
from loopwise.servers.preparation import prepare
from loopwise.servers.services import Services
from loopwise.servers.specs import PACKAGES

MAX_FAILURES = 2
"""A case whose runs failed so often in a row is not tried again: each try may cost the whole start-up timeout."""


class Watcher(Protocol):
    """Receives progress callbacks."""

    def run_began(self, planned: PlannedRun, case: Case, position: int, total: int) -> None:
        """A run begins."""

    def run_progressed(self, event: Event) -> None:
        """The generator sent an event."""

    def run_ended(self, run: Run, throughput_rps: float | None, standing: Standing) -> None:
        """A run is on disk; `standing` is the progress of the whole experiment."""

    def round_ended(self, record: Round) -> None:
        """A round of slices is on disk."""


def design(suite: Suite, *, seed: int | None, label: str | None, name: str, command: str | None = None) -> Experiment:
    """Decide everything that is decided before the first request."""
    seed = suite.seed if seed is None else seed
    return sealed(described(suite, seed=seed, label=label, name=name, command=command, plan=plan(suite, seed)))


def described(
    suite: Suite,
    *,
    seed: int,
    name: str,
    label: str | None = None,
    command: str | None = None,
    plan: tuple[PlannedRun, ...] = (),
) -> Experiment:
    """Describe an experiment that begins now on this machine, with the calibration that its cases need."""
    return Experiment(
        name=name,
        label=label,
        created_at=now(),
        suite=suite,
        seed=seed,
        environment=machine.describe(PACKAGES),
        calibration=target.calibration(suite.cases),
        plan=plan,
        command=command,
    )


def now() -> str:
    """Return the time as results write it: `2026-11-26T15:30:00.123+00:00`."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


@dataclass
class Execution:
    """Carries out what is still planned of an experiment, and writes each run as soon as it ends."""

    result: ResultFolder
    experiment: Experiment
    generator: Generator
    watcher: Watcher
    serve: Serve = field(default_factory=lambda: lifecycle.serve)
    cores: Sequence[int] = field(default_factory=machine.core_numbers)
    ahead: int = 0
    """How many servers may be started before their turn."""

    def run(self) -> Experiment:
        """Measure every planned run, then further blocks while they are wanted; return the finished experiment."""
        self._cases = {case.case_id: case for case in self.experiment.suite.cases}
        self._failures: dict[str, int] = {}
        with self.result.locked(), Services(self.result.path) as services:
            self._testbed = Testbed(
                self.result,
                self.experiment,
                self.generator,
                services,
                serve=self.serve,
                cores=self.cores,
                on_event=self._on_event,
            )
            with Prestart(self._start, self.ahead) as self._prestart:
                self._settle()
                self._testbed.written.learn(self._cases[each.case_id] for each in self._planned())
                while (position := self._next()) is not None:
                    self._run_one(position, self.experiment.plan[position - 1])
            self._escalate()
        finished_at = self.experiment.finished_at or now()
        self._write(finished_at=finished_at)
        return self.experiment

    def _write(self, **changes: object) -> None:
        self.result.refuse_missing()
        self.experiment = self.experiment.model_copy(update=changes)
        self.result.write_experiment(self.experiment)

    def _settle(self) -> None:
        """Read the runs on disk, and make the plan agree with them.

        A run that ended just before a kill is not measured twice; one whose folder was deleted is measured again,
        unless another attempt took its place. One that is there but can't be read keeps its state: nothing is deleted
        unasked.
        """
        self._runs: dict[Key, Run] = {key_of(run): run for run in self.result.runs()[0]}
        planned_keys = {key_of(each) for each in self.experiment.plan}
        for position, planned in enumerate(self.experiment.plan, start=1):
            key = key_of(planned)
            state: RunState = "planned"
            if key in self._runs:
                state = self._runs[key].status
            elif self.result.has_run(*key):
                state = planned.state
            elif key._replace(attempt=key.attempt + 1) in planned_keys:
                state = "disturbed"
            if state != planned.state:
                self._mark(position, state)

    def _next(self) -> int | None:
        """Choose the position of the run to measure now; the plan may grow at the end of a block. None: all is done."""
        before, position = self._last_ended(), self._first_planned()
        replicates = [each.replicate for each in self.experiment.plan]
        is_within = position is not None and before and replicates[position - 1] == replicates[before - 1]
        if self.experiment.finished_at is not None or is_within:
            return position
        runs = self._runs_in_order()
        further = repeats(self.experiment, runs)
        if not further and position is None:
            further = next_block(self.experiment, runs)
        if further:
            # After the last run that ended: at the end of its block, and before what was planned to follow.
            plan = self.experiment.plan
            self._write(plan=(*plan[:before], *further, *plan[before:]), finished_at=None)
        return self._first_planned()

    def _runs_in_order(self) -> list[Run]:
        return sorted(self._runs.values(), key=lambda run: run.order)

    def _planned(self) -> list[PlannedRun]:
        return [each for each in self.experiment.plan if each.state == "planned"]

    def _first_planned(self) -> int | None:
        plan = enumerate(self.experiment.plan, start=1)
        return next((position for position, each in plan if each.state == "planned"), None)

    def _last_ended(self) -> int:
        """Position of the last run that ended; 0: none has."""
        plan = enumerate(self.experiment.plan, start=1)
        return max((position for position, each in plan if each.state != "planned"), default=0)

    def _run_one(self, position: int, planned: PlannedRun) -> None:
        case = self._cases[planned.case_id]
        check_room(self.result.path)
        self.watcher.run_began(planned, case, position, len(self.experiment.plan))
        self._set_aside_repeated(planned)
        run, throughput_rps = begin(case, planned, position), None
        self._prestart.expect(self._coming())
        try:
            self._refuse_hopeless(planned)
            run, throughput_rps = self._measure(planned, run)
            self._failures[case.case_id] = 0
        except RunError as error:
            check_room(self.result.path)  # a run that failed for want of room stays planned
            self._failures[case.case_id] = self._failures.get(case.case_id, 0) + (
                MAX_FAILURES if isinstance(error, EndpointError) else 1
            )
            run = fail(run, error, self.result)
        self.result.write_run(run)
        self._runs[key_of(run)] = run
        self._mark(position, run.status)
        throughputs = known(self.experiment.suite, self._runs_in_order())
        self.watcher.run_ended(run, throughput_rps, standing(self.experiment, throughputs))

    def _set_aside_repeated(self, planned: PlannedRun) -> None:
        """Rename the folder of the disturbed run that this one repeats, and mark it: it counts no more."""
        if planned.attempt == 1:
            return
        key = key_of(planned)._replace(attempt=planned.attempt - 1)
        self.result.set_aside(*key)
        if key in self._runs:
            self._runs[key] = self._runs[key].model_copy(update={"status": "disturbed"})
        for position, each in enumerate(self.experiment.plan, start=1):
            if key_of(each) == key:
                self._mark(position, "disturbed")

    def _refuse_hopeless(self, planned: PlannedRun) -> None:
        if self._failures.get(planned.case_id, 0) >= MAX_FAILURES:
            self.result.new_run_folder(planned.case_id, planned.replicate)
            raise RunError("not tried again, because earlier runs of this case failed; see their errors")

    def _mark(self, position: int, state: RunState) -> None:
        runs = list(self.experiment.plan)
        runs[position - 1] = runs[position - 1].model_copy(update={"state": state})
        self._write(plan=tuple(runs), finished_at=None)

    def _start(self, planned: PlannedRun, start: Start) -> RunningServer:
        """Start a run's server in a new folder."""
        case = self._cases[planned.case_id]
        folder = self.result.new_run_folder(case.case_id, planned.replicate)
        prepare([case], planned.replicate, folder / "server.log")
        return self._testbed.start(
            start.stack,
            case,
            self._pinning(case),
            log=folder / "server.log",
            services_seed=str(planned.replicate),
            on_start=start.note,
            hold=start.hold,
        )

    def _pinning(self, case: Case) -> Pinning:
        return pin(case, self.cores, self.experiment.suite.generator.processes)

    def _coming(self) -> list[PlannedRun]:
        """Runs whose servers may be started before their turn: they need no port or service that another holds."""
        return [
            each
            for each in self._planned()
            if each.attempt == 1
            and self._failures.get(each.case_id, 0) < MAX_FAILURES
            and (case := self._cases[each.case_id]).server is not None
            and case.server.port is None
            and not case.needs
            # A command would change the data of the run that is measured meanwhile, and copying disturb it.
            and case.before_replicate is None
            and not (case.app and case.app.fresh)
        ]

    def _on_event(self, event: Event) -> None:
        """Suspend prestarted servers while the window is open."""
        if event.event == "warm":
            self._prestart.suspend()
            self.generator.go()
        elif event.event == "window_closed":
            self._prestart.resume()
        self.watcher.run_progressed(event)

    def _measure(self, planned: PlannedRun, run: Run) -> tuple[Run, float | None]:
        """Measure the run on its server; those of coming runs start outside of its window."""
        start = self._prestart.take(planned)
        try:
            assert start.server is not None
            self._prestart.resume()
            pinning = self._pinning(run.case)
            return measure(self._testbed, run, start.server, pinning, holds=self.ahead > 0)
        finally:
            start.end()

    def _escalate(self) -> None:
        """Measure comparisons in slices that blocks left undecided."""
        compare = self.experiment.suite.compare
        if self.experiment.finished_at is not None or not compare.slices_max:
            return
        testbed = replace(self._testbed, on_event=self.watcher.run_progressed)
        escalation = Escalation(partial(measure_round, testbed), compare, self.watcher.round_ended)
        escalation.run(undecided(self.result), self.result.rounds()[0])
