"""Measure a claim: its suite, then the values that the search asks for, then its rule. Bounded in time."""

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from loopwise.claims.archive import ClaimFolder, folders_in
from loopwise.claims.claim import Claim
from loopwise.claims.finding import Finding
from loopwise.claims.table import CLAIMS
from loopwise.errors import LoopwiseError, UsageError
from loopwise.generator.client import Generator
from loopwise.machine import cores, describe, machine_words
from loopwise.measure.experiment import Execution, Watcher, design
from loopwise.measure.plan import duration, plan
from loopwise.measure.testbed import Serve
from loopwise.model import Case, Comparison, Suite
from loopwise.results.folder import ResultFolder
from loopwise.servers import lifecycle as servers
from loopwise.servers.services import refuse_missing
from loopwise.servers.specs import PACKAGES
from loopwise.servers.target import describe as ask_target
from loopwise.suite import load_suite, make_suite
from loopwise.suite.expand import Describe
from loopwise.suite.to_toml import entry

STEPS = 4
"""Values that a search tries at most: each halves the bracket."""
SEARCH_UNTIL_S = 95.0
"""After so many seconds of a claim no step of its search begins: twenty claims fit into half an hour."""

Watching = Callable[[], AbstractContextManager[Watcher]]
"""Opens a receiver of an experiment's progress."""


class Planned(NamedTuple):
    """What running one claim will measure."""

    claim_id: str
    cases: int
    runs: int
    least_s: float
    most_s: float
    """With all repetitions, slices and the search."""
    note: str


def planned(claims: Iterable[Claim]) -> list[Planned]:
    """The plan of each claim.

    Raises:
        SuiteError: a suite is wrong.
    """
    return [_planned(claim) for claim in claims]


def _planned(claim: Claim) -> Planned:
    missing = needs_more(claim, cores())
    if missing is not None:
        return Planned(claim.claim_id, 0, 0, 0.0, 0.0, missing.sentence)
    suite = load_suite(claim.suite)
    least_s, most_s = duration(suite, cores())
    note = ""
    if claim.crossover is not None:
        note, most_s = "a search for where it begins", max(most_s, SEARCH_UNTIL_S)
    return Planned(claim.claim_id, len(suite.cases), len(plan(suite, suite.seed)), least_s, most_s, note)


@dataclass
class Examiner:
    """Puts claims to the test, one after the other, with one generator."""

    folder: Path
    """Of the run of the claims."""
    generator: Generator
    watching: Watching
    command: str | None = None
    tell: Callable[[str], None] = lambda _: None
    """Receives a sentence about each step of the search."""
    serve: Serve = servers.serve
    describe: Describe = ask_target
    clock: Callable[[], float] = time.monotonic

    def examine(self, claim: Claim) -> Finding:
        """Measure a claim and judge it; the finding is on disk when this returns.

        A claim that can't be measured here has a finding, too, and the others go on.

        Raises:
            Interrupted: the user asked to stop; what was measured is kept.
        """
        place = ClaimFolder(self.folder, claim.claim_id)
        finding = needs_more(claim, cores()) or self._measured(claim, place)
        place.write(finding)
        return finding

    def _measured(self, claim: Claim, place: ClaimFolder) -> Finding:
        began_s = self.clock()
        try:
            suite = load_suite(claim.suite, describe=self.describe)
            refuse_missing({need for case in suite.cases for need in case.needs})
            self._measure(suite, place.result)
            for _ in range(STEPS):
                if not self._step(claim, suite, place, began_s):
                    break
            return claim.judge(place.summary())
        except LoopwiseError as error:
            return Finding(
                claim_id=claim.claim_id,
                verdict="invalid",
                sentence=str(error),
                machine=machine_words(describe(PACKAGES)),
            )

    def _step(self, claim: Claim, suite: Suite, place: ClaimFolder, began_s: float) -> bool:
        """Measure the next value of the claim's search; False when there is none, or no time for it."""
        sweep = claim.sweep(place.summary())
        value = None if sweep is None else sweep.next_value
        if sweep is None or value is None:
            return False
        name = f"{sweep.axis.name}-{value:g}"
        step = suite_of(sweep.cases_at(value), suite, f"{suite.name}-{name}", describe=self.describe)
        least_s = duration(step, cores()).least
        if self.clock() - began_s + least_s > SEARCH_UNTIL_S:
            return False
        self.tell(f"{claim.claim_id}: where does it begin? trying {value:g} {sweep.axis.words}")
        self._measure(step, place.searched(name))
        return True

    def _measure(self, suite: Suite, result: ResultFolder) -> None:
        """Run an ordinary experiment in a folder of its own."""
        experiment = design(suite, seed=None, label=None, name=result.path.name, command=self.command)
        result.begin(experiment)
        with self.watching() as watcher:
            Execution(result, experiment, self.generator, watcher, serve=self.serve).run()


def needs_more(claim: Claim, have: int) -> Finding | None:
    """The finding of a claim that this machine has too few cores for; None where it has enough."""
    if have >= claim.needs_cores:
        return None
    return Finding(
        claim_id=claim.claim_id,
        verdict="undecided",
        sentence=f"needs {claim.needs_cores} cores, this machine has {have}; run it on a larger one",
        needs_cores=claim.needs_cores,
        machine=machine_words(describe(PACKAGES)),
    )


def judge_again(folder: Path) -> list[Finding]:
    """Judge the results of a run of the claims anew and rewrite their findings; nothing is measured.

    Raises:
        ResultError: it has nothing of any claim.
    """
    findings = []
    for place in folders_in(folder, CLAIMS):
        if place.is_measured:
            place.write(CLAIMS[place.claim_id].judge(place.summary()))
        finding = place.finding()
        assert finding is not None
        findings.append(finding)
    return findings


def suite_of(cases: Sequence[Case], like: Suite, name: str, *, describe: Describe = ask_target) -> Suite:
    """The cases, some of whose values were changed, as a suite with the replicates of another.

    Raises:
        SuiteError: target_app refuses a value.
        UsageError: a case is no workload of target_app.
    """
    for case in cases:
        if case.app is not None or case.url is not None or case.scenario is not None or case.server is None:
            raise UsageError(f"{case.case_id}: is no workload of target_app, and a search varies nothing else")
    document = {
        "name": name,
        "description": f"between the values of {like.name}",
        "seed": like.seed,
        "generator": like.generator.model_dump(),
        "replicates": like.replicates.model_dump(),
        # Its points are compared by the claim's rule, and slices would cost more time than points.
        "compare": Comparison(slices_max=0).model_dump(),
        "matrix": [entry(case) for case in cases],
    }
    return make_suite(document, label=name, folder=Path.cwd(), describe=describe)
