"""The rounds of an advice: first rounds of every candidate, then those in which the winners are confirmed together."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from loopwise.advise.candidates import Candidate, grouped
from loopwise.advise.decide import Judged, gain, is_contested, is_precise, judged, screened, winner
from loopwise.advise.edits import go_together, patched
from loopwise.advise.lineup import START_S, Contest, Lineup, Server, as_written, contest_s, slice_s
from loopwise.advise.planning import CONFIRM_ROUNDS, Share, affordable
from loopwise.advise.subject import Subject
from loopwise.analysis.wording import count
from loopwise.generator.client import Generator
from loopwise.measure.experiment import described, now
from loopwise.measure.testbed import Testbed
from loopwise.measure.written import WrittenAnswers
from loopwise.model import Case, Comparison, Replicates, Round, Suite
from loopwise.model.factors import is_moded
from loopwise.results.folder import ResultFolder
from loopwise.results.trust import sealed
from loopwise.servers.services import Services

TRIALS, CONFIRMED = "trials", "confirmed"
"""Folders in the result: the first rounds of every candidate, and those of the winners together."""
PRECISE = 0.1
"""Half-width of a ratio, relative to it, at which no more rounds are measured."""
MAX_ROUNDS = 6
LONGER = 2.0
"""A slice that held too few answers is so many times as long in the next round."""

Tell = Callable[[str], None]
Rounds = dict[tuple[str, str], list[Round]]


@dataclass
class Clock:
    """The time that is left."""

    end_s: float
    now_s: Callable[[], float] = time.monotonic
    estimated_s: float = 1.0
    took_s: float = 1.0

    @property
    def left_s(self) -> float:
        """Until the budget is used up."""
        return self.end_s - self.now_s()

    @property
    def pace(self) -> float:
        """How much longer comparisons take than estimated."""
        return max(1.0, self.took_s / self.estimated_s)

    def note(self, estimated_s: float, took_s: float) -> None:
        """A comparison has ended."""
        self.estimated_s += estimated_s
        self.took_s += took_s


@dataclass
class Trials:
    """Measures rounds below a result's folder."""

    result: ResultFolder
    generator: Generator
    services: Services
    clock: Clock
    tell: Tell
    too_late: str
    """Why something was not tried: the budget is used up."""
    seed: int = 1
    command: str | None = None
    costs_s: dict[str, float] = field(default_factory=dict)
    """By endpoint: what its last comparison took."""
    written: WrittenAnswers | None = None
    """What endpoints answer as written, once that was asked."""

    def screen(self, subjects: Sequence[Subject]) -> None:
        """Measure every candidate that there is time for once, and those that are close to each other once more.

        Args:
            subjects: the worst first; what was found is noted in them.
        """
        wanted = [each for each in subjects if each.candidates]
        shares = [_share(each) for each in wanted]
        for each, number in zip(wanted, affordable(shares, self.clock.left_s), strict=True):
            each.candidates = each.candidates[:number]
            if not number:
                each.out_of_time = self.too_late
        tried = [candidate for each in wanted for candidate in each.candidates]
        if not tried:
            return
        by_name = {each.endpoint: each for each in subjects}
        servers = self._servers(tried, by_name)
        rounds: Rounds = {}
        self.tell(f"trying {count(len(tried), 'change')}, each in one round")
        with self._testbed(TRIALS, servers) as testbed:
            lineup = Lineup(testbed, as_written(subjects[0].case))
            lineup.learn(servers)

            def has_time(contest: Contest) -> bool:
                return self.clock.left_s > self._reserved_s(by_name) + 4 * self._cost_s(by_name[contest.endpoint.name])

            lineup.round(servers, 1, self._noting(rounds, by_name), has_time)
            _sum_up(servers, by_name, rounds, self.too_late)
            again = {each.endpoint for each in subjects if is_contested(each.screened) or _is_unknown(each)}
            more = [
                Server(each.name, each.case, kept, each.refused)
                for each in servers
                if (kept := [one for one in each.contests if one.endpoint.name in again])
            ]
            if more:
                lineup.round(more, 2, self._noting(rounds, by_name), has_time)
                _sum_up(servers, by_name, rounds, self.too_late)

    def confirm(self, subjects: Sequence[Subject]) -> None:
        """Measure the winners together against the app as written, and beside them the endpoints that stay as they are.

        Args:
            subjects: after `screen`; what is decided is noted in them.
        """
        by_name = {each.endpoint: each for each in subjects}
        winners = self._affordable_winners([each for each in subjects if each.best is not None])
        bests = [each.best.candidate for each in winners if each.best is not None]
        servers = self._servers(bests, by_name)
        if not servers:
            return
        for number, server in enumerate(servers, start=1):
            self._add_bystanders(server, subjects, number, self.clock.left_s / len(servers))
        rounds: Rounds = {}
        self.tell(f"confirming {count(len(winners), 'change')} in at least {CONFIRM_ROUNDS} rounds")
        with self._testbed(CONFIRMED, servers) as testbed:
            lineup = Lineup(testbed, as_written(subjects[0].case))
            lineup.learn(servers)
            left, number, longest_s = list(servers), 0, 0.0
            while left and number < MAX_ROUNDS and (number < CONFIRM_ROUNDS or self.clock.left_s > longest_s):
                number += 1
                began_s = self.clock.now_s()
                lineup.round(left, number, self._noting(rounds, by_name), lambda _: self.clock.left_s > 0)
                longest_s = max(longest_s, self.clock.now_s() - began_s)
                if number >= CONFIRM_ROUNDS:
                    known = judged(_all(rounds))
                    left = [each for each in left if not _is_known(each, known)]
                if self.clock.left_s <= 0:
                    break
        verdicts = judged(_all(rounds))
        for server in servers:
            self._conclude(server, by_name, verdicts, rounds)

    def _conclude(
        self,
        server: Server,
        by_name: Mapping[str, Subject],
        verdicts: Mapping[tuple[str, str], Judged],
        rounds: Mapping[tuple[str, str], Sequence[Round]],
    ) -> None:
        harmed = {
            contest.endpoint.name: one.throughput
            for contest in server.contests
            if contest.candidate is None
            and (one := verdicts.get(contest.pair.names)) is not None
            and one.throughput.verdict == "worse"
        }
        for contest in server.contests:
            subject, names = by_name[contest.endpoint.name], contest.pair.names
            if contest.candidate is None:
                continue
            valid = sum(each.status == "ok" for each in rounds.get(names, ()))
            if valid < CONFIRM_ROUNDS and self.clock.left_s <= 0:
                subject.out_of_time = self.too_late
            subject.judge(verdicts.get(names), harmed, server.refused.get(contest.endpoint.name, ""), valid)

    # What is measured

    def _servers(self, candidates: Sequence[Candidate], by_name: Mapping[str, Subject]) -> list[Server]:
        """The servers of candidates; those that go together share one."""
        groups = grouped(candidates, go_together)
        return [self._server(group, by_name, f"changed-{number}") for number, group in enumerate(groups, start=1)]

    def _server(self, group: Sequence[Candidate], by_name: Mapping[str, Subject], name: str) -> Server:
        mine = [by_name[each.endpoint.name] for each in group]
        case = patched(group[0].applied(mine[0].case), group)
        endpoints = tuple(each.endpoint for each in group)
        return Server(
            name,
            case.model_copy(update={"endpoints": endpoints, "case_id": name}),
            [self._contest(one, case, each, name) for one, each in zip(mine, group, strict=True)],
        )

    def _contest(self, subject: Subject, changed: Case, candidate: Candidate | None, tag: str) -> Contest:
        """An endpoint as written against the same one, served as `changed` is."""
        written = subject.case
        served = {"mode": changed.mode, "patch": changed.patch, "server": changed.server}
        mine = written.model_copy(update={**served, "case_id": f"{written.case_id[:80]}-{tag}"})
        return Contest(written, mine, candidate, slice_s(written.load.users, subject.throughput_rps))

    def _add_bystanders(self, server: Server, subjects: Sequence[Subject], number: int, left_s: float) -> None:
        """Compare the endpoints that a server does not change, too, as far as there is time: the quickest first.

        A mode changes its own endpoints alone: the others are served as written there.
        """
        if is_moded(server.case):
            return
        changed = {contest.endpoint.name for contest in server.contests}
        others = [each for each in subjects if each.endpoint not in changed and each.throughput_rps]
        for each in sorted(others, key=self._cost_s):
            planned_s = sum(self._cost_s(one) for one in subjects if one.endpoint in changed) + 2 * START_S
            if CONFIRM_ROUNDS * (planned_s + self._cost_s(each)) > left_s:
                break
            changed.add(each.endpoint)
            server.contests.append(self._contest(each, server.case, None, f"beside-{number}"))

    def _affordable_winners(self, winners: Sequence[Subject]) -> list[Subject]:
        """The winners that can be confirmed in the time that is left; the others are noted as too late."""
        kept: list[Subject] = []
        for each in winners:
            rounds_s = sum(map(self._cost_s, [*kept, each])) + 2 * START_S
            if kept and CONFIRM_ROUNDS * rounds_s > self.clock.left_s:
                each.out_of_time, each.best = self.too_late, None
            else:
                kept.append(each)
        return kept

    # Time

    def _cost_s(self, subject: Subject) -> float:
        """What the next comparison of an endpoint takes, about."""
        estimated_s = contest_s(subject.case.load.users, subject.throughput_rps) * self.clock.pace
        return self.costs_s.get(subject.endpoint, estimated_s)

    def _reserved_s(self, by_name: Mapping[str, Subject]) -> float:
        """What it takes to confirm what was measured so far."""
        measured = [by_name[name] for name in self.costs_s]
        return CONFIRM_ROUNDS * (sum(map(self._cost_s, measured)) + 2 * START_S) if measured else 0.0

    def _noting(self, rounds: Rounds, by_name: Mapping[str, Subject]) -> Callable[[Contest, Round], None]:
        """Receives each comparison that was measured."""

        def note(contest: Contest, done: Round) -> None:
            subject = by_name[contest.endpoint.name]
            rounds.setdefault(contest.pair.names, []).append(done)
            written_s = datetime.fromisoformat(done.started_at)
            took_s = (datetime.now(UTC) - written_s).total_seconds()
            self.clock.note(contest_s(subject.case.load.users, subject.throughput_rps), took_s)
            self.costs_s[subject.endpoint] = took_s
            if done.status != "ok":
                contest.slice_s *= LONGER
            what = contest.candidate.change if contest.candidate else "beside the changes"
            self.tell(f"  {contest.endpoint.name}, {what}: {round_words(done)}")

        return note

    # Results

    @contextmanager
    def _testbed(self, name: str, servers: Sequence[Server]) -> Iterator[Testbed]:
        """A result of its own for rounds; it is finished when the block ends."""
        contests = [contest for each in servers for contest in each.contests]
        cases = {case.case_id: case for contest in contests for case in (contest.written, contest.changed)}
        suite = Suite(
            name=name,
            description="changes of endpoints against the app as written, in slices",
            seed=self.seed,
            replicates=Replicates(min=1, max=1),
            compare=Comparison(slices_max=0),
            cases=tuple(cases.values()),
        )
        experiment = sealed(described(suite, seed=self.seed, name=name, command=self.command))
        result = ResultFolder(self.result.path / name)
        result.begin(experiment)
        with result.locked():
            testbed = Testbed(result, experiment, self.generator, self.services)
            if self.written is not None:
                testbed.written = self.written
            self.written = testbed.written
            yield testbed
            result.write_experiment(experiment.model_copy(update={"finished_at": now()}))


def _share(subject: Subject) -> Share:
    return Share(subject.case.load.users, subject.throughput_rps, len(subject.candidates))


def _all(rounds: Mapping[tuple[str, str], Sequence[Round]]) -> list[Round]:
    return [each for mine in rounds.values() for each in mine]


def _sum_up(
    servers: Sequence[Server],
    by_name: Mapping[str, Subject],
    rounds: Mapping[tuple[str, str], Sequence[Round]],
    too_late: str,
) -> None:
    """Note in the subjects what became of their candidates."""
    for each in by_name.values():
        each.screened, each.failed = [], []
    for server in servers:
        for contest in server.contests:
            assert contest.candidate is not None
            subject, mine = by_name[contest.endpoint.name], rounds.get(contest.pair.names, ())
            refused = server.refused.get(contest.endpoint.name)
            if refused is not None:
                subject.failed.append((contest.candidate, refused))
            elif mine:
                subject.screened.append(screened(contest.candidate, mine))
                subject.measured(mine)
            else:
                subject.out_of_time = too_late
    for each in by_name.values():
        each.best = winner(each.screened)


def _is_unknown(subject: Subject) -> bool:
    """Whether no round of a change could be used so far."""
    return any(each.gain is None for each in subject.screened)


def _is_known(server: Server, known: Mapping[tuple[str, str], Judged]) -> bool:
    return all(
        contest.endpoint.name in server.refused
        or ((one := known.get(contest.pair.names)) is not None and is_precise(one, PRECISE))
        for contest in server.contests
    )


def round_words(done: Round) -> str:
    """`6.02 times the requests`, or why there is no such number."""
    ratio = gain([done])
    return (done.error or "no answers") if ratio is None else f"{ratio:.2f} times the requests"
