"""Types of checks: the facts that they read, a reading beside its limit, and the spec of a check."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from loopwise.analysis.drift import Drift
from loopwise.analysis.endings import Ending
from loopwise.model import Check, Run

Effect = Literal["void", "flag"]


@dataclass(frozen=True)
class Facts:
    """A run so far, and those of its figures that checks need."""

    run: Run
    throughput_rps: float
    service_time_mean_ms: float | None
    generator_lag_mean_ms: float | None
    send_delay_p99_ms: float | None
    """Open load: sent − scheduled."""
    connections: int | None = None
    """Distinct connections in the load's rows, warm-up and drain included."""
    drift: Drift | None = None
    ending: Ending | None = None
    redirects: Mapping[tuple[str, int], int] = field(default_factory=dict)
    """Successes that are a redirect which the suite doesn't expect, by endpoint and status."""

    @property
    def users(self) -> float:
        """Users of closed load: those asked for, or on average there where a file decides; 0 if that is unknown."""
        load, had = self.run.case.load, self.run.generator.users_mean
        return had or 0.0 if self.run.case.scenario is not None or load.shape is not None else load.users


@dataclass(frozen=True)
class Reading:
    """The value of a check beside its limit."""

    value: float
    limit: float
    sentence: str
    """Meaning of a failure, and advice; kept only if the check failed."""
    passes: bool | None = None
    """None: it passes while the value is at most the limit."""
    effect: Effect | None = None
    """None: as the check's spec says."""


@dataclass(frozen=True)
class CheckSpec:
    """A check, and what its failure does."""

    name: str
    effect: Effect
    """Of a failure: `void` makes the run invalid, `flag` puts a mark beside its numbers."""
    read: Callable[[Facts], Reading | None]
    """None where the check does not apply."""
    lost_cpu: Callable[[float, int], float] | None = None
    """Share of the CPU that is gone, from value and cores, if the check is about the machine's passing trouble and not
    about the case: a run that fails it is worth measuring again."""

    def check(self, facts: Facts) -> Check | None:
        """Apply the check to a run."""
        reading = self.read(facts)
        return None if reading is None else self.record(reading)

    def record(self, reading: Reading) -> Check:
        """The check as it is written to run.json; one that passed needs no sentence."""
        is_ok = reading.value <= reading.limit if reading.passes is None else reading.passes
        return Check(
            name=self.name,
            value=reading.value,
            limit=reading.limit,
            effect=reading.effect or self.effect,
            ok=is_ok,
            detail="" if is_ok else reading.sentence,
        )
