"""The rounds of an advice on fakes: what is tried in which time, what is confirmed, and who is compared beside it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.advise import HELD, case

from loopwise.advise import trials
from loopwise.advise.candidates import Candidate
from loopwise.advise.diagnosis import Diagnosis
from loopwise.advise.lineup import Contest, Server
from loopwise.advise.subject import Subject, concluded
from loopwise.advise.trials import Clock, Trials
from loopwise.measure.testbed import Testbed
from loopwise.model import Round, Side
from loopwise.results.folder import ResultFolder

LATE = "the budget is used up"


@dataclass
class World:
    """How changes behave, and a clock that comparisons move on."""

    gains: Mapping[str, float]
    """By the change's words, or by the endpoint of a bystander."""
    refusals: Mapping[str, str] = field(default_factory=dict)
    cost_s: float = 2.0
    now_s: float = 0.0
    measured: list[tuple[str, str, int]] = field(default_factory=list)
    """Endpoint, change and number of the round of each comparison."""

    def lineup(self, testbed: Testbed, written: Any) -> "World":
        """Stand for the class Lineup."""
        del testbed, written
        return self

    def learn(self, servers: Any) -> None:
        """Ask nothing."""

    def round(
        self,
        servers: Sequence[Server],
        number: int,
        on_round: Callable[[Contest, Round], object],
        has_time: Callable[[Contest], bool],
    ) -> None:
        """Measure by arithmetic."""
        for server in servers:
            for contest in server.contests:
                change = contest.candidate.change if contest.candidate else ""
                if change in self.refusals:
                    server.refused[contest.endpoint.name] = self.refusals[change]
                elif has_time(contest):
                    self.now_s += self.cost_s
                    self.measured.append((contest.endpoint.name, change, number))
                    on_round(contest, self._round(contest, number, self.gains[change or contest.endpoint.name]))

    def _round(self, contest: Contest, number: int, ratio: float) -> Round:
        began = datetime.now(UTC) - timedelta(seconds=self.cost_s)
        sides = [
            Side(metrics={"all": {"throughput_rps": rps}}, counts={"window_rows": 50})
            for rps in (50.0, 50.0 * ratio * (1 + number / 500))
        ]
        return Round(
            pairing="slices",
            number=number,
            baseline_case=contest.pair.names[0],
            candidate_case=contest.pair.names[1],
            status="ok",
            started_at=began.isoformat(),
            baseline=sides[0],
            candidate=sides[1],
        )


def subject(path: str, *changes: str, kind: Any = "setting") -> Subject:
    made = Subject(case(path), Diagnosis(HELD if changes else None, 50.0), 50.0)
    endpoint = made.case.endpoints[0]
    made.candidates = [Candidate(endpoint, kind, each, settings={"threads": 50 + len(each)}) for each in changes]
    return made


def advise(
    monkeypatch: pytest.MonkeyPatch, folder: Path, world: World, subjects: list[Subject], budget_s: float
) -> Any:
    monkeypatch.setattr(trials, "Lineup", world.lineup)
    nothing: Any = None
    clock = Clock(budget_s, lambda: world.now_s)
    run = Trials(ResultFolder(folder), nothing, nothing, clock, lambda _: None, LATE)
    run.screen(subjects)
    run.confirm(subjects)
    return {row.endpoint: row for row in reversed(concluded(subjects))}


def test_the_best_change_is_confirmed_in_rounds_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    world = World({"more": 2.0, "much": 6.0, "GET /y": 1.0})
    rows = advise(monkeypatch, tmp_path, world, [subject("/x", "more", "much"), subject("/y")], 500)
    assert (rows["GET /x"].change, rows["GET /x"].outcome, rows["GET /x"].rounds) == ("much", "advised", 3)
    assert rows["GET /y"].outcome == "left"
    assert world.measured[:2] == [("GET /x", "more", 1), ("GET /x", "much", 1)]
    assert world.measured[2:] == [
        each for number in (1, 2, 3) for each in (("GET /x", "much", number), ("GET /y", "", number))
    ]
    assert {each.parent.name for each in tmp_path.glob("*/experiment.json")} == {"trials", "confirmed"}


def test_a_gain_that_costs_another_endpoint_is_said_and_not_advised(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    world = World({"much": 6.0, "GET /y": 0.5})
    rows = advise(monkeypatch, tmp_path, world, [subject("/x", "much"), subject("/y")], 500)
    assert rows["GET /x"].outcome == "tried"
    assert rows["GET /x"].reason.startswith("its gain costs others: GET /y (0.50 times")


def test_a_refused_change_has_failed_and_another_one_wins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    world = World({"more": 2.0}, refusals={"much": "GET /x can't be served so"})
    subjects = [subject("/x", "much", "more")]
    rows = advise(monkeypatch, tmp_path, world, subjects, 500)
    assert (rows["GET /x"].change, rows["GET /x"].outcome) == ("more", "advised")
    failed = [row for row in concluded(subjects) if row.outcome == "failed"]
    assert [row.tried_and_failed for row in failed] == ["GET /x can't be served so"]


def test_what_there_is_no_time_for_is_named_and_what_was_begun_is_confirmed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    world = World({"much": 6.0, "GET /y": 1.0, "GET /z": 1.0}, cost_s=9.0)
    subjects = [subject("/x", "much"), subject("/y", "much"), subject("/z", "much")]
    rows = advise(monkeypatch, tmp_path, world, subjects, 70)
    assert rows["GET /x"].outcome == "advised"
    assert (rows["GET /z"].outcome, rows["GET /z"].reason) == ("untried", LATE)


def test_nothing_is_confirmed_where_nothing_gains(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    world = World({"much": 1.01})
    rows = advise(monkeypatch, tmp_path, world, [subject("/x", "much")], 500)
    assert rows["GET /x"].outcome == "tried"
    assert not (tmp_path / "confirmed").exists()
