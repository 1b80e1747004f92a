"""Measures a claim: its suite, then what the search asks for, then the rule. Bounded in time."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from loopwise.claims.archive import ClaimFolder, folders_in
from loopwise.claims.claim import Finding, Text
from loopwise.claims.refine import suite_of
from loopwise.claims.rules import RULES, sweep_of
from loopwise.claims.texts import TEXTS
from loopwise.errors import Interrupted, LoopwiseError
from loopwise.generator.client import Generator
from loopwise.machine import cores, describe, machine_words
from loopwise.measure.experiment import Execution, Watcher, design
from loopwise.measure.plan import duration
from loopwise.measure.testbed import Serve
from loopwise.model import Suite
from loopwise.paths import scenarios_dir
from loopwise.results.folder import ResultFolder
from loopwise.servers import lifecycle as servers
from loopwise.servers.services import refuse_missing
from loopwise.servers.specs import PACKAGES
from loopwise.servers.target import describe as ask_target
from loopwise.suite import load_suite
from loopwise.suite.expand import Describe

STEPS = 4
"""Values that a search tries at most: each halves the bracket."""
SEARCH_UNTIL_S = 95.0
"""After so many seconds of a claim no step of its search begins: twenty claims fit into half an hour."""


def suite_path(claim_id: str) -> Path:
    """The suite that puts the claim to the test."""
    return scenarios_dir() / "claims" / f"{claim_id.lower()}.toml"


Watching = Callable[[], AbstractContextManager[Watcher]]
"""Opens what is told how an experiment goes on."""


@dataclass
class Examiner:
    """Puts claims to the test, one after the other, with one generator."""

    folder: Path
    """Of the occasion."""
    generator: Generator
    watching: Watching
    command: str | None = None
    tell: Callable[[str], None] = lambda _: None
    """Told in words what the search does."""
    serve: Serve = servers.serve
    describe: Describe = ask_target
    clock: Callable[[], float] = time.monotonic

    def examine(self, text: Text) -> Finding:
        """Measure a claim and judge it; the finding is on disk when this returns.

        A claim that can't be measured here is a finding, too, and the others go on.

        Raises:
            Interrupted: the user asked to stop; what was measured is kept.
        """
        place = ClaimFolder(self.folder, text.claim_id)
        missing = needs_more(text, cores())
        finding = missing or self._measured(text, place)
        place.write(finding)
        return finding

    def _measured(self, text: Text, place: ClaimFolder) -> Finding:
        began_s = self.clock()
        try:
            suite = load_suite(str(suite_path(text.claim_id)), describe=self.describe)
            refuse_missing({need for case in suite.cases for need in case.needs})
            self._measure(suite, place.result)
            for _ in range(STEPS):
                if not self._step(text.claim_id, suite, place, began_s):
                    break
            return judged(text, place)
        except Interrupted:
            raise
        except LoopwiseError as error:
            return Finding(
                claim_id=text.claim_id,
                verdict="invalid",
                sentence=str(error),
                machine=machine_words(describe(PACKAGES)),
            )

    def _step(self, claim_id: str, suite: Suite, place: ClaimFolder, began_s: float) -> bool:
        """Measure the next value of the claim's search; False when there is none, or no time for it."""
        sweep = sweep_of(claim_id, place.summary())
        value = None if sweep is None else sweep.next_value
        if sweep is None or value is None:
            return False
        name = f"{sweep.axis.name}-{value:g}"
        step = suite_of(sweep.cases_at(value), suite, f"{suite.name}-{name}", describe=self.describe)
        least_s = duration(step, cores()).least
        if self.clock() - began_s + least_s > SEARCH_UNTIL_S:
            return False
        self.tell(f"{claim_id}: where does it begin? trying {value:g} {sweep.axis.words}")
        self._measure(step, place.searched(name))
        return True

    def _measure(self, suite: Suite, result: ResultFolder) -> None:
        """An ordinary experiment into a folder of its own."""
        experiment = design(suite, seed=None, label=None, name=result.path.name, command=self.command)
        result.write_experiment(experiment)
        with self.watching() as watcher:
            Execution(result, experiment, self.generator, watcher, serve=self.serve).run()


def needs_more(text: Text, have: int) -> Finding | None:
    """The finding of a claim that this machine has too few cores for; None where it has enough."""
    if have >= text.needs_cores:
        return None
    return Finding(
        claim_id=text.claim_id,
        verdict="undecided",
        sentence=f"needs {text.needs_cores} cores, this machine has {have}; run it on a larger one",
        needs_cores=text.needs_cores,
        machine=machine_words(describe(PACKAGES)),
    )


def judged(text: Text, place: ClaimFolder) -> Finding:
    """The finding of what is on disk; nothing is measured.

    Raises:
        ResultError: there is no result.
    """
    return RULES[text.claim_id](place.summary())


def judge_again(folder: Path) -> list[Finding]:
    """Judge what an occasion has on disk once more, and rewrite its findings; nothing is measured.

    Raises:
        ResultError: it has nothing of any claim.
    """
    findings = []
    for place in folders_in(folder, TEXTS):
        if place.is_measured:
            place.write(judged(TEXTS[place.claim_id], place))
        finding = place.finding()
        assert finding is not None
        findings.append(finding)
    return findings
