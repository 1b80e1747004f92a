"""Advice within a budget of time: endpoints as written, causes, candidates, first rounds, confirmation."""

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loopwise.advise.candidates import Candidate, mode_candidates, setting_candidates
from loopwise.advise.diagnosis import diagnose
from loopwise.advise.edits import edit_candidates, offer_words, winning_patch, without_modes_of
from loopwise.advise.endpoints import Chosen, FirstAnswers, ask_first
from loopwise.advise.rows import AdviceRow, untried
from loopwise.advise.subject import Subject, concluded
from loopwise.advise.trials import Clock, Tell, Trials
from loopwise.analysis.summary import Summary, summarise
from loopwise.analysis.wording import count
from loopwise.blame import session as blame
from loopwise.blame.edits import offer_for
from loopwise.generator.client import Generator
from loopwise.measure.experiment import Execution, Watcher, design
from loopwise.measure.prestart import DEPTH
from loopwise.model import Case, Comparison, Replicates, Suite
from loopwise.model.naming import assign_ids
from loopwise.results.folder import ResultFolder
from loopwise.servers.services import Services
from loopwise.suite import make_suite

SURVEY_S = 4.0
"""What a run of an endpoint as written takes, about."""
SURVEY_PART = 0.5
"""Of the budget, at most, goes into the endpoints as written."""
BLAMED_REQUESTS = 6


@dataclass(frozen=True)
class Options:
    """Options of an advice."""

    budget_s: float = 300.0
    workers: tuple[int, ...] = (1,)
    """The first is as written, the others are candidates."""
    canary: str | None = None
    seed: int = 1

    @property
    def too_late(self) -> str:
        """Why something was not tried."""
        return f"the budget of {self.budget_s:g} s is used up; raise --budget-s, or name it by --endpoint"


@dataclass
class Adviser:
    """Carries out one advice in a result's folder."""

    result: ResultFolder
    generator: Generator
    options: Options
    tell: Tell
    """Receives a sentence about each step."""
    watcher: Watcher
    command: str | None = None
    canary: str | None = None
    """Path of the canary, once it is chosen."""
    patch: str = ""
    """The edits that are advised, as one unified diff."""

    def advise(self, document: Mapping[str, Any], chosen: Chosen, overrides: Sequence[str] = ()) -> list[AdviceRow]:
        """Measure and decide; returns the rows of advice.json.

        Args:
            document: of a suite with the app and its endpoints.
            chosen: the endpoints, and those that are left out.
            overrides: `--set` strings.

        Raises:
            RunError: the app can't be served.
        """
        clock = Clock(time.monotonic() + self.options.budget_s)
        cases = make_suite(document, label="advise", folder=Path.cwd(), overrides=overrides).cases
        first = ask_first(_together(cases), self.options.canary)
        self.canary = first.canary
        faults = [untried(name, reason) for name, reason in first.faults.items()]
        asked, late = self._surveyable(cases, first)
        faults += [untried(case.endpoints[0].name, self.options.too_late) for case in late]
        subjects = self._survey(asked) if asked else []
        self._blame(subjects)
        for each in subjects:
            self._offer(each, chosen.distributions)
        if any(each.candidates for each in subjects):
            with Services(self.result.path) as services:
                trials = Trials(
                    self.result,
                    self.generator,
                    services,
                    clock,
                    self.tell,
                    self.options.too_late,
                    self.options.seed,
                    self.command,
                )
                trials.screen(subjects)
                trials.confirm(subjects)
        self.patch = winning_patch([best for each in subjects if (best := each.advised) is not None])
        return [*concluded(subjects), *faults, *chosen.left_out]

    def _surveyable(self, cases: Sequence[Case], first: FirstAnswers) -> tuple[list[Case], list[Case]]:
        """The cases that there is time for, the slowest first, and the others."""
        good = [case for case in cases if case.endpoints[0].name in first.alone_ms]
        good.sort(key=lambda case: -first.alone_ms[case.endpoints[0].name])
        room = max(1, int(SURVEY_PART * self.options.budget_s / SURVEY_S))
        return good[:room], good[room:]

    def _survey(self, cases: Sequence[Case]) -> list[Subject]:
        """Measure every endpoint as written, alone and under load, with the canary beside it; the worst comes first."""
        self.tell(f"measuring {count(len(cases), 'endpoint')} as written; canary: {self.canary or 'none'}")
        load = {"victim": self.canary}
        suite = Suite(
            name="advise",
            description="endpoints as written",
            seed=self.options.seed,
            replicates=Replicates(min=1, max=1, repeats=0),
            compare=Comparison(slices_max=0),
            cases=assign_ids([case.model_copy(update={"load": case.load.model_copy(update=load)}) for case in cases]),
        )
        name = self.result.path.resolve().name
        experiment = design(suite, seed=None, label=None, name=name, command=self.command)
        self.result.begin(experiment)
        Execution(self.result, experiment, self.generator, self.watcher, ahead=DEPTH).run()
        summary = summarise(self.result)
        subjects = [_subject(summary, case) for case in suite.cases]
        return sorted(subjects, key=lambda each: (-each.diagnosis.weight, each.throughput_rps))

    def _blame(self, subjects: Sequence[Subject]) -> None:
        """Name the lines that hold the loop, where it is held."""
        held = [each for each in subjects if (cause := each.diagnosis.cause) and cause.cause == "loop_blocked"]
        if not held:
            return
        self.tell(f"looking for the lines that hold the event loop of {', '.join(each.endpoint for each in held)}")
        settings = blame.Settings(requests=BLAMED_REQUESTS)
        lines = blame.blame([_together([each.case for each in held])], settings).lines
        for each in held:
            mine = [line for line in lines if line.endpoint == each.endpoint and (line.is_app or line.site)]
            each.line = max(mine, key=lambda line: line.total_ms, default=None)

    def _offer(self, subject: Subject, installed: Collection[str]) -> None:
        """Make the candidates of an endpoint: edits of the line that holds its loop, modes and settings."""
        endpoint, diagnosis, app = subject.case.endpoints[0], subject.diagnosis, subject.case.app
        edits: list[Candidate] = []
        if subject.line is not None and app is not None:
            offer = offer_for(subject.line, Path(app.app_dir), installed)
            edits = edit_candidates(endpoint, diagnosis, offer)
            subject.no_edit = offer_words(offer)
        others = [
            *mode_candidates(endpoint, diagnosis, subject.where),
            *setting_candidates(endpoint, diagnosis, subject.case, self.options.workers),
        ]
        subject.candidates = [*edits, *without_modes_of(others, edits)]


def _together(cases: Sequence[Case]) -> Case:
    """One case with the endpoints of all."""
    endpoints = tuple(endpoint for case in cases for endpoint in case.endpoints)
    return cases[0].model_copy(update={"case_id": "advise", "endpoints": endpoints})


def _subject(summary: Summary, case: Case) -> Subject:
    figures = summary.cases[case.case_id]
    run = next(each for each in summary.runs if each.case.case_id == case.case_id)
    key = (figures.endpoint, "throughput_rps")
    measured = [*figures.runs.values(), *figures.spoilt.values()]
    throughput_rps = next((each.metrics[key] for each in measured if key in each.metrics), None)
    return Subject(case, diagnose(run, throughput_rps), throughput_rps or 0.0)
