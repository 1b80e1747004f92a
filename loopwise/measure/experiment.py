"""Sequences an experiment: plan -> runs -> disk. The only module that does; resumable at any point."""

import shutil
import tempfile
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from loopwise import machine
from loopwise.errors import EndpointError, RunError
from loopwise.generator.client import Generator
from loopwise.generator.protocol import Event
from loopwise.measure.duration import Standing, standing
from loopwise.measure.pairs import Rounds
from loopwise.measure.plan import known, next_block, plan, repeats
from loopwise.measure.prestart import Ahead, Start
from loopwise.measure.run import begin, fail, measure
from loopwise.measure.slices import Escalation, undecided
from loopwise.model import Case, Experiment, PlannedRun, Round, Run, RunState, Suite
from loopwise.results.folder import ResultFolder
from loopwise.servers import lifecycle as servers
from loopwise.servers import target
from loopwise.servers.lifecycle import RunningServer
from loopwise.servers.pinning import Placement, place
from loopwise.servers.services import Services
from loopwise.servers.specs import PACKAGES

MAX_FAILURES = 2
"""A case whose runs failed so often in a row is not tried again: each try may cost the whole start-up timeout."""


class Watcher(Protocol):
    """Who is told how an experiment goes on."""

    def run_began(self, planned: PlannedRun, case: Case, position: int, total: int) -> None:
        """A run begins."""

    def run_goes_on(self, event: Event) -> None:
        """The generator told something."""

    def run_ended(self, run: Run, throughput_rps: float | None, standing: Standing) -> None:
        """A run is on disk, and the experiment stands so."""

    def round_ended(self, found: Round) -> None:
        """A round of slices is on disk."""


Serve = Callable[..., AbstractContextManager[RunningServer]]


def design(
    suite: Suite, *, seed: int | None, label: str | None, name: str, command: str | None = None
) -> Experiment:
    """Decide everything that is decided before the first request."""
    seed = suite.seed if seed is None else seed
    return Experiment(
        name=name,
        label=label,
        created_at=_now(),
        suite=suite,
        seed=seed,
        environment=machine.describe(PACKAGES),
        calibration=target.calibration(suite.cases),
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
    ahead: int = 0
    """How many servers may be started before their turn."""
    failures: dict[str, int] = field(default_factory=dict)

    def run(self) -> Experiment:
        """Measure every planned run, then further blocks while they are wanted; returns the finished experiment."""
        with Services(self.result.path) as self._services:
            with Ahead(self._begin, self.ahead) as self._ahead:
                self._settle()
                while (position := self._next()) is not None:
                    self._run_one(position, self.experiment.plan[position - 1])
            self._escalate()
        finished_at = self.experiment.finished_at or _now()
        self.experiment = self.experiment.model_copy(update={"finished_at": finished_at})
        self.result.write_experiment(self.experiment)
        return self.experiment

    def _next(self) -> int | None:
        """Position of the run to measure now; at the end of a block the plan may grow. None when all is done."""
        before, position = self._last(), self._first_planned()
        replicates = [each.replicate for each in self.experiment.plan]
        is_within = position is not None and before and replicates[position - 1] == replicates[before - 1]
        if self.experiment.finished_at is not None or is_within:
            return position
        runs = self.result.runs()[0]
        further = repeats(self.experiment, runs)
        if not further and position is None:
            further = next_block(self.experiment, runs)
        if further:
            # After the last run that ended: at the end of its block, and before what was planned to follow.
            plan = self.experiment.plan
            self.experiment = self.experiment.model_copy(
                update={"plan": (*plan[:before], *further, *plan[before:]), "finished_at": None}
            )
            self.result.write_experiment(self.experiment)
        return self._first_planned()

    def _first_planned(self) -> int | None:
        plan = enumerate(self.experiment.plan, start=1)
        return next((position for position, each in plan if each.state == "planned"), None)

    def _last(self) -> int:
        """Position of the last run that ended; 0: none has."""
        plan = enumerate(self.experiment.plan, start=1)
        return max((position for position, each in plan if each.state != "planned"), default=0)

    def _settle(self) -> None:
        """Make the plan say what the disk says.

        A run that ended just before a kill is not measured twice; one whose folder was deleted is measured again,
        unless another attempt took its place. One that is there but can't be read keeps its state: nothing is deleted
        unasked.
        """
        status = {(run.case.case_id, run.replicate, run.attempt): run.status for run in self.result.runs()[0]}
        planned_keys = {(each.case_id, each.replicate, each.attempt) for each in self.experiment.plan}
        for position, planned in enumerate(self.experiment.plan, start=1):
            key = (planned.case_id, planned.replicate, planned.attempt)
            there: RunState = "planned"
            if self.result.has_run(*key):
                there = planned.state
            elif (planned.case_id, planned.replicate, planned.attempt + 1) in planned_keys:
                there = "disturbed"
            if (state := status.get(key, there)) != planned.state:
                self._mark(position, state)

    def _run_one(self, position: int, planned: PlannedRun) -> None:
        case = self._case(planned)
        self.watcher.run_began(planned, case, position, len(self.experiment.plan))
        self._set_aside_what_it_repeats(planned)
        run, throughput_rps = begin(case, planned, position), None
        self._ahead.expect(self._coming())
        try:
            self._refuse_hopeless(planned)
            run, throughput_rps = self._measure(planned, run)
            self.failures[case.case_id] = 0
        except RunError as error:
            self.failures[case.case_id] = self.failures.get(case.case_id, 0) + (
                MAX_FAILURES if isinstance(error, EndpointError) else 1
            )
            run = fail(run, error, self.result)
        self.result.write_run(run)
        self._mark(position, run.status)
        throughputs = known(self.experiment.suite, self.result.runs()[0])
        self.watcher.run_ended(run, throughput_rps, standing(self.experiment, throughputs))

    def _set_aside_what_it_repeats(self, planned: PlannedRun) -> None:
        """Before a repetition: the disturbed run leaves its folder, and counts no more."""
        if planned.attempt == 1:
            return
        key = (planned.case_id, planned.replicate, planned.attempt - 1)
        self.result.set_aside(*key)
        for position, each in enumerate(self.experiment.plan, start=1):
            if (each.case_id, each.replicate, each.attempt) == key:
                self._mark(position, "disturbed")

    def _refuse_hopeless(self, planned: PlannedRun) -> None:
        if self.failures.get(planned.case_id, 0) >= MAX_FAILURES:
            self.result.new_run_folder(planned.case_id, planned.replicate)
            raise RunError("not tried again, because earlier runs of this case failed; see their errors")

    def _mark(self, position: int, state: RunState) -> None:
        runs = list(self.experiment.plan)
        runs[position - 1] = runs[position - 1].model_copy(update={"state": state})
        self.experiment = self.experiment.model_copy(update={"plan": tuple(runs), "finished_at": None})
        self.result.write_experiment(self.experiment)

    def _begin(self, planned: PlannedRun, start: Start) -> RunningServer:
        """Start a run's server in a new folder; closing the start's stack ends it and removes what it wrote."""
        case = self._case(planned)
        folder = self.result.new_run_folder(case.case_id, planned.replicate)
        scratch = Path(tempfile.mkdtemp(prefix="loopwise-"))
        start.stack.callback(shutil.rmtree, scratch, ignore_errors=True)
        seed = f"{self.experiment.seed}/{planned.replicate}"
        return start.stack.enter_context(
            self.serve(
                case,
                scratch=scratch,
                log=folder / "server.log",
                calibration=self.experiment.calibration,
                cores=self._placement(case).server,
                services=start.stack.enter_context(self._services.during(case.needs, seed)),
                on_start=start.note,
                hold=start.hold,
            )
        )

    def _placement(self, case: Case) -> Placement:
        return place(case, self.cores, self.experiment.suite.generator.processes)

    def _case(self, planned: PlannedRun) -> Case:
        return next(case for case in self.experiment.suite.cases if case.case_id == planned.case_id)

    def _coming(self) -> list[PlannedRun]:
        """Runs whose servers may be started before their turn: those that stand on nothing but themselves."""
        return [
            each
            for each in self.experiment.plan
            if each.state == "planned"
            and each.attempt == 1
            and self.failures.get(each.case_id, 0) < MAX_FAILURES
            and (case := self._case(each)).server is not None
            and case.server.port is None
            and not case.needs
        ]

    def _measure(self, planned: PlannedRun, run: Run) -> tuple[Run, float | None]:
        """Measure the run on its server, while those of the coming runs start, and wait."""

        def hear(event: Event) -> None:
            if event.event == "warm":
                self._ahead.pause()
                self.generator.go()
            elif event.event == "window_closed":
                self._ahead.go_on()
            self.watcher.run_goes_on(event)

        start = self._ahead.take(planned)
        try:
            assert start.server is not None
            self._ahead.go_on()
            return measure(
                run,
                start.server,
                self._placement(run.case),
                experiment=self.experiment,
                result=self.result,
                generator=self.generator,
                hear=hear,
                holds=self.ahead > 0,
            )
        finally:
            start.end()

    def _escalate(self) -> None:
        """Measure in slices what blocks left undecided."""
        compare = self.experiment.suite.compare
        if self.experiment.finished_at is not None or not compare.slices_max:
            return
        rounds = Rounds(
            self.result,
            self.generator,
            self.experiment.seed,
            self.experiment.calibration,
            self._services,
            serve=self.serve,
            cores=self.cores,
            hear=self.watcher.run_goes_on,
        )
        Escalation(rounds, compare, self.watcher.round_ended).run(
            undecided(self.result), self.result.rounds()[0]
        )
