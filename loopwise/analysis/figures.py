"""The figures of a run, and of a case over its runs."""

from dataclasses import dataclass, field

from loopwise.analysis.metrics import CANARY, METRICS
from loopwise.analysis.rows import Requests, RunRows
from loopwise.analysis.stats import estimate
from loopwise.model import TOTAL, Case, Estimate


@dataclass
class RunFigures:
    """All figures of one run."""

    endpoint: str = TOTAL
    """Name of the whole case: its only endpoint, or TOTAL for a mix."""
    metrics: dict[tuple[str, str], float] = field(default_factory=dict)
    """By endpoint and metric."""
    counts: dict[str, int] = field(default_factory=dict)


def figures_of(rows: RunRows) -> RunFigures:
    """Compute the figures of a run's rows; without a window only their number is known."""
    counts = {"rows": rows.count}
    if rows.run.window is None:
        return RunFigures(counts=counts)
    figures = RunFigures(endpoint=rows.whole, counts=counts)
    for name in rows.groups:
        figures.metrics |= {(name, metric): value for metric, value in request_metrics(rows.requests(name)).items()}
    for spec in METRICS.values():
        if spec.of_run and (value := spec.of_run(rows)) is not None:
            figures.metrics[rows.whole, spec.name] = value
    counts |= {
        "window_rows": int(rows.counted.sum()),
        "window_unfinished": int((rows.due & ~rows.is_victim & ~rows.counted).sum()),
        "ok": rows.served,
        "errors": int((rows.counted & rows.is_failed).sum()),
        "victim_rows": int((rows.arrived & rows.is_victim).sum()),
    }
    return figures


def request_metrics(requests: Requests) -> dict[str, float]:
    """The metrics that requests of one endpoint have, by name."""
    computed = {spec.name: spec.of_requests(requests) for spec in METRICS.values() if spec.of_requests}
    return {name: value for name, value in computed.items() if value is not None}


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
        """Name of the whole case among its endpoints."""
        measured = [*self.runs.values(), *self.spoilt.values()]
        return measured[0].endpoint if measured else whole_of(self.case)

    @property
    def has_canary(self) -> bool:
        """Whether a valid run timed it."""
        return bool(self.values(CANARY))

    def values(self, metric: str, endpoint: str | None = None) -> dict[int, float]:
        """A metric's value by replicate, over the valid runs that have it."""
        key = (endpoint or self.endpoint, metric)
        return {replicate: run.metrics[key] for replicate, run in self.runs.items() if key in run.metrics}

    def estimate(self, metric: str, confidence: float, endpoint: str | None = None) -> Estimate | None:
        """The metric over the replicates; None where no valid run has it."""
        values = list(self.values(metric, endpoint).values())
        if not values:
            return None
        spec = METRICS[metric]
        return estimate(values, unit=spec.unit, confidence=confidence, is_log=spec.is_log)


def whole_of(case: Case) -> str:
    """Name of the whole case by what it declares: its only endpoint, or TOTAL."""
    return case.endpoints[0].name if len(case.endpoints) == 1 else TOTAL
