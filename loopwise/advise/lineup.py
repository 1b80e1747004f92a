"""A line-up: the app as written and changed, each on a server, loaded by turns, endpoint after endpoint.

All servers of a line-up are started freshly for each of its rounds. So a round costs one start for each change of the
server, however many endpoints it is about, and the two sides of each comparison follow one another within seconds.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from loopwise.advise.candidates import Candidate
from loopwise.errors import EndpointError, RunError
from loopwise.measure.pairs import Pair, measure_round_on
from loopwise.measure.testbed import Testbed
from loopwise.model import Case, Endpoint, Round
from loopwise.model.factors import is_variant
from loopwise.model.modes import OWN
from loopwise.servers.lifecycle import RunningServer, check_endpoint, quoting
from loopwise.servers.pinning import Pinning, pin

SERVERS = "servers"
"""Folder of a result for the logs of line-ups."""
START_S = 1.5
"""What starting and ending a server takes, about."""
SLICE_MIN_S, SLICE_MAX_S = 0.4, 8.0
ROWS = 26
"""Answers that a slice should hold as written; fewer than 20 void a round."""
CYCLES = 1.5
"""A slice lasts so many service times of all users."""
OVERHEAD_S = 0.5
"""Of a comparison in a round: connections, and what is written afterwards."""


@dataclass
class Contest:
    """A change of an endpoint against the endpoint as written; or a bystander: an endpoint beside others' changes."""

    written: Case
    changed: Case
    candidate: Candidate | None
    """None: a bystander."""
    slice_s: float

    @property
    def pair(self) -> Pair:
        """Its two cases, in two slices a round, whose order swaps from round to round."""
        return Pair(self.written, self.changed, pairing="slices", slice_s=self.slice_s, slices=2)

    @property
    def endpoint(self) -> Endpoint:
        """The only one."""
        return self.written.endpoints[0]


def slice_s(users: int, throughput_rps: float) -> float:
    """How long a slice should be for an endpoint of that throughput as written."""
    return min(max(SLICE_MIN_S, CYCLES * users / throughput_rps, ROWS / throughput_rps), SLICE_MAX_S)


def contest_s(users: int, throughput_rps: float) -> float:
    """Estimate the time of one comparison in a round, if the change gains nothing."""
    cycle_s = users / throughput_rps
    return OVERHEAD_S + 2 * cycle_s + 2 * (slice_s(users, throughput_rps) + 2 * cycle_s)


@dataclass
class Server:
    """One server of a line-up besides the app as written, and what is compared on it."""

    name: str
    case: Case
    """With all endpoints that are compared on it."""
    contests: list[Contest]
    refused: dict[str, str] = field(default_factory=dict)
    """Endpoint -> why the change of it is not possible."""


OnRound = Callable[[Contest, Round], object]
HasTime = Callable[[Contest], bool]


@dataclass
class Lineup:
    """Measures rounds of many comparisons; servers that need the same cores are loaded by turns."""

    testbed: Testbed
    written: Case
    """The app as written, without endpoints."""

    def learn(self, servers: Iterable[Server]) -> None:
        """Ask what the endpoints answer as written, once for all changes."""
        self.testbed.written.learn(each.case for each in servers)

    def round(
        self, servers: Sequence[Server], number: int, on_round: OnRound, has_time: HasTime = lambda _: True
    ) -> None:
        """Measure every comparison once, on fresh servers; changes that are not possible are noted and left out.

        Args:
            servers: the changed ones.
            number: of the round.
            on_round: receives each comparison that was measured.
            has_time: asked before each; what there is no time for is left out.

        Raises:
            ServerError: the app as written can't be served.
        """
        places: dict[Pinning, list[Server]] = {}
        for each in servers:
            places.setdefault(self._pinning(each.case), []).append(each)
        for pinning, beside in places.items():
            if any(has_time(contest) for each in beside for contest in each.contests):
                self._round(beside, pinning, number, on_round, has_time)

    def _pinning(self, case: Case) -> Pinning:
        pinning = pin(case, self.testbed.cores, 1)
        return pinning if pinning.is_apart else Pinning()

    def _round(
        self, servers: Sequence[Server], pinning: Pinning, number: int, on_round: OnRound, has_time: HasTime
    ) -> None:
        with ExitStack() as stack:
            written = self._start(stack, self.written, pinning, f"{number}-written")
            for each in servers[:: 1 if number % 2 else -1]:
                if not any(map(has_time, each.contests)):
                    continue
                with ExitStack() as own:
                    running = self._proven(own, each, pinning, number)
                    if running is None:
                        continue
                    for contest in each.contests:
                        if contest.endpoint.name not in each.refused and has_time(contest):
                            sides: Any = {"baseline": written, "candidate": running}
                            on_round(contest, measure_round_on(self.testbed, contest.pair, number, sides, pinning))

    def _proven(self, stack: ExitStack, server: Server, pinning: Pinning, number: int) -> RunningServer | None:
        """Start a changed server on which every endpoint that was not refused answers as written; None: there is none.

        What is refused leaves the server, which is then started anew without it.
        """
        name = f"{number}-{server.name}"
        while True:
            case = _without(server.case, server.refused)
            if not case.endpoints:
                return None
            try:
                with ExitStack() as attempt:
                    running = self._start(attempt, case, pinning, name)
                    refused = self._refusals(case, running, self._log(name))
                    if not refused:
                        stack.push(attempt.pop_all())
                        return running
            except RunError as error:
                refused = self._alone(case, pinning, name, error)
            server.refused |= refused

    def _alone(self, case: Case, pinning: Pinning, name: str, error: RunError) -> dict[str, str]:
        """Which endpoints keep a changed server from starting; all of them where each alone does not."""
        if len(case.endpoints) < 2:
            return {each.name: str(error) for each in case.endpoints}
        found: dict[str, str] = {}
        for each in case.endpoints:
            with ExitStack() as stack:
                try:
                    one = case.model_copy(update={"endpoints": (each,)})
                    found |= self._refusals(one, self._start(stack, one, pinning, name), self._log(name))
                except RunError as reason:
                    found[each.name] = str(reason)
        return found or {each.name: str(error) for each in case.endpoints}

    def _refusals(self, case: Case, running: RunningServer, log: Path) -> dict[str, str]:
        """Which endpoints answer otherwise than as written.

        Raises:
            EndpointError: a part of the change was not run by any of them.
        """
        found: dict[str, str] = {}
        if not is_variant(case):
            return found
        for each in case.endpoints:
            try:
                with quoting(log, running.variant_log):
                    check_endpoint(
                        each,
                        {},
                        url=running.url,
                        timeout_s=case.load.timeout_s,
                        on_answer=partial(self.testbed.written.refuse_other, case, each),
                    )
            except EndpointError as error:
                found[each.name] = str(error)
        if not found:
            running.refuse_void()
        return found

    def _log(self, name: str) -> Path:
        return self.testbed.result.path / SERVERS / f"{name}.log"

    def _start(self, stack: ExitStack, case: Case, pinning: Pinning, name: str) -> RunningServer:
        log = self._log(name)
        log.parent.mkdir(parents=True, exist_ok=True)
        return self.testbed.start(stack, case, pinning, log=log, services_seed=name, asks=False)


def _without(case: Case, refused: Mapping[str, str]) -> Case:
    return case.model_copy(update={"endpoints": tuple(each for each in case.endpoints if each.name not in refused)})


def as_written(case: Case) -> Case:
    """The app of a case as written, without endpoints: they are asked one by one."""
    return case.model_copy(update={"mode": OWN.name, "patch": None, "endpoints": ()})
