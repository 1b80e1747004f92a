"""A case and what its runs gave."""

from dataclasses import dataclass

from loopwise.analysis.metrics import METRICS, RunFigures
from loopwise.analysis.stats import estimate
from loopwise.model import TOTAL, Case, Estimate


@dataclass(frozen=True)
class CaseFigures:
    """A case and the figures of its runs."""

    case: Case
    runs: dict[int, RunFigures]
    """Valid runs by replicate."""
    spoilt: dict[int, RunFigures]
    """Invalid runs by replicate: shown as such, in no estimate."""
    reason: str
    """Why there is no valid run; empty when there is one."""

    @property
    def endpoint(self) -> str:
        """Where the figures of the whole case stand."""
        measured = [*self.runs.values(), *self.spoilt.values()]
        if measured:
            return measured[0].endpoint
        names = [endpoint.name for endpoint in self.case.endpoints]
        return names[0] if len(names) == 1 else TOTAL

    def values(self, metric: str, endpoint: str | None = None) -> dict[int, float]:
        """A metric's value by replicate, over the valid runs that have it."""
        key = (endpoint or self.endpoint, metric)
        return {replicate: run.metrics[key] for replicate, run in self.runs.items() if key in run.metrics}

    def estimate(self, metric: str, confidence: float, endpoint: str | None = None) -> Estimate | None:
        """The metric over the replicates; None where no valid run has it."""
        values = list(self.values(metric, endpoint).values())
        if not values:
            return None
        kind = METRICS[metric]
        return estimate(values, unit=kind.unit, confidence=confidence, is_log=kind.is_log)
