"""Which pairs the selftest measures: the same case under two names, and cases that differ by a known amount. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loopwise.model import Case
from loopwise.suite import make_suite

DIFFERENCES = (0.03, 0.05, 0.10, 0.20)
"""Injected: the candidate waits or computes this much longer."""


@dataclass(frozen=True)
class Subject:
    """What is measured in a pair."""

    workload: str
    mode: str
    ms: float | None
    """The parameter that a difference is injected into; None: there is none."""
    users: int

    def params(self, difference: float) -> Mapping[str, Any]:
        """Parameters of the side that is slower by the difference."""
        return {} if self.ms is None else {"ms": round(self.ms * (1 + difference), 6)}


NOOP = Subject("noop", "async", None, 16)
SLEEP = Subject("sleep", "async", 20.0, 16)
CPU = Subject("cpu", "async", 5.0, 8)
EQUAL = (NOOP, SLEEP, CPU)
UNEQUAL = (SLEEP, CPU)


@dataclass(frozen=True)
class Trial:
    """One pair, and the difference that it has."""

    subject: Subject
    difference: float
    number: int

    @property
    def name(self) -> str:
        """`cpu-10-3`: workload, injected percent, number."""
        return f"{self.subject.workload}-{self.difference * 100:g}-{self.number}"


def cases_of(trial: Trial, measure_s: float, warmup_s: float) -> tuple[Case, Case]:
    """The two sides of a trial, `NAME-a` and `NAME-b`."""
    subject = trial.subject
    sides = [subject.params(0.0), subject.params(trial.difference)]
    found = []
    for letter, params in zip("ab", sides, strict=True):
        document = {
            "name": "selftest",
            "load": {"users": subject.users, "measure_s": measure_s, "warmup_s": warmup_s},
            "matrix": [{"workload": subject.workload, "mode": subject.mode, "params": params}],
        }
        (case,) = make_suite(document, label="selftest", folder=Path.cwd()).cases
        found.append(case.model_copy(update={"case_id": f"{trial.name}-{letter}"}))
    return found[0], found[1]


def trials(pairs: int, repeats: int, differences: tuple[float, ...] = DIFFERENCES) -> list[Trial]:
    """Equal pairs of each subject, then `repeats` pairs of each difference that is injected."""
    equal = [Trial(subject, 0.0, number) for number in range(1, pairs + 1) for subject in EQUAL]
    unequal = [
        Trial(subject, difference, number)
        for number in range(1, repeats + 1)
        for difference in differences
        for subject in UNEQUAL
    ]
    return equal + unequal
