"""Charts of claims as data: bars of cases side by side, or a metric against the factor that is varied."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from loopwise.analysis.figures import CaseFigures
from loopwise.claims.crossover import Axis
from loopwise.claims.evidence import RESPONSE_P99, RPS, VICTIM, Evidence
from loopwise.claims.finding import Bracket
from loopwise.model import Estimate
from loopwise.model.modes import MODES

LABELS = {
    RPS: "requests a second",
    VICTIM: "p99 of /health",
    RESPONSE_P99: "p99, from when it was due",
    "threads": "threads of the process",
    "context_switches_per_request": "context switches per request",
}
"""Metric -> label of its axis."""
ON_WORKERS = "{}, {workers} w."


@dataclass(frozen=True)
class Bar:
    """One bar."""

    name: str
    mode: str
    known: Estimate


@dataclass(frozen=True)
class Bars:
    """Cases side by side by one metric."""

    metric: str
    bars: tuple[Bar, ...]


@dataclass(frozen=True)
class Line:
    """A metric against a factor."""

    name: str
    mode: str
    points: tuple[tuple[float, Estimate], ...]
    """Value of the factor and the metric there, ascending."""


@dataclass(frozen=True)
class Lines:
    """A metric against a factor, a line per mode, with the bracket in which something begins."""

    metric: str
    words: str
    """Of the factor."""
    lines: tuple[Line, ...]
    bracket: Bracket | None = None


Panel = Bars | Lines
Chart = Callable[[Evidence, Bracket | None], Panel | None]
"""Makes a claim's panel from its evidence and crossover; None where nothing of it was measured."""
Row = tuple[str, dict[str, Any]]
"""Name of a bar or line, and the factors of its cases."""


def modes(workload: str, *names: str, label: str = "{}", **factors: Any) -> list[Row]:
    """A row for each mode of a workload. `label`: `{}` is the mode, `{workers}` and the like are the case's."""
    return [(label.replace("{}", MODES[mode].words), {"workload": workload, "mode": mode, **factors}) for mode in names]


def bar_chart(metric: str, rows: Sequence[Row]) -> Chart:
    """A chart with a bar for each case of the rows."""

    def panel(evidence: Evidence, _: Bracket | None) -> Panel | None:
        return bars_of(
            evidence,
            metric,
            (
                (_filled(name, case), case.case.mode, case, None)
                for name, factors in rows
                for case in evidence.all(factors)
                if not case.case.parts
            ),
        )

    return panel


def line_chart(metric: str, axis: Axis, rows: Sequence[Row]) -> Chart:
    """A chart with a line over the axis for each row."""

    def panel(evidence: Evidence, crossover: Bracket | None) -> Panel | None:
        lines = ((name, factors["mode"], evidence.all(factors), None) for name, factors in rows)
        return lines_of(evidence, metric, axis, lines, crossover)

    return panel


def bars_of(evidence: Evidence, metric: str, rows: Iterable[tuple[str, str, CaseFigures, str | None]]) -> Bars | None:
    """Bars from rows of name, mode, case and endpoint; None where no case has the metric."""
    bars = tuple(
        Bar(name, mode, known)
        for name, mode, case, endpoint in rows
        if (known := evidence.estimate(case, metric, endpoint)) is not None
    )
    return Bars(metric, bars) if bars else None


def lines_of(
    evidence: Evidence,
    metric: str,
    axis: Axis,
    rows: Iterable[tuple[str, str, list[CaseFigures], str | None]],
    crossover: Bracket | None,
) -> Lines | None:
    """Lines from rows of name, mode, cases and endpoint; None where no case has the metric."""
    lines = []
    for name, mode, cases, endpoint in rows:
        points = [
            (value, known)
            for case in cases
            if (value := axis.get(case.case)) is not None
            and (known := evidence.estimate(case, metric, endpoint)) is not None
        ]
        if points:
            lines.append(Line(name, mode, tuple(sorted(points, key=lambda point: point[0]))))
    return Lines(metric, axis.words, tuple(lines), crossover) if lines else None


def _filled(name: str, case: CaseFigures) -> str:
    """The name with the values that its braces ask for: `{workers}`, `{server}`, `{rows}`."""
    server = case.case.server
    return name.format(workers=case.case.workers, server=server.name if server else "", **case.case.params)
