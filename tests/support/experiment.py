"""Experiments carried out on the fake bench."""

import math

from loopwise.generator.protocol import Event
from loopwise.measure.plan import Standing
from loopwise.model import Case, Experiment, PlannedRun, Run
from loopwise.report.terminal.progress import Quiet
from loopwise.results.folder import ResultFolder


class Crash(BaseException):
    """What no code expects: the power goes."""


class Observer(Quiet):
    """Notes what is told, and what is on disk at that moment."""

    def __init__(self, result: ResultFolder, crash_after: float = math.inf) -> None:
        self.result = result
        self.crash_after = crash_after
        self.told: list[tuple[str, str, int]] = []
        self.on_disk: list[int] = []
        self.states: list[int] = []
        self.events: list[Event] = []
        self.throughputs: list[float | None] = []

    def run_began(self, planned: PlannedRun, case: Case, position: int, total: int) -> None:
        del planned, total
        self.told.append(("began", case.case_id, position))
        if position > self.crash_after:
            raise Crash

    def run_progressed(self, event: Event) -> None:
        self.events.append(event)

    def run_ended(self, run: Run, throughput_rps: float | None, standing: Standing) -> None:
        del standing
        self.told.append(("ended", run.case.case_id, run.order))
        self.throughputs.append(throughput_rps)
        self.on_disk.append(len(self.result.runs()[0]))
        done = [each for each in self.result.experiment().plan if each.state != "planned"]
        self.states.append(len(done))


def states(experiment: Experiment) -> dict[tuple[str, int], str]:
    return {(each.case_id, each.replicate): each.state for each in experiment.plan}


def figures_of(result: ResultFolder) -> list[tuple[str, int, int, dict[str, int]]]:
    return [(run.case.case_id, run.replicate, run.order, run.counts) for run in result.runs()[0]]
