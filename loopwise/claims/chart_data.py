"""What the chart of each claim shows: one picture that makes it obvious, as data. Pure."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from loopwise.analysis.figures import CaseFigures
from loopwise.analysis.stats import estimate
from loopwise.analysis.summary import Summary
from loopwise.claims.axes import RATE, USERS, Axis, hit_ratio, param, part_param
from loopwise.claims.claim import Bracket, Finding
from loopwise.claims.look import Look
from loopwise.claims.questions import CONFIDENCE
from loopwise.claims.rules_apps import blocked_share, endpoint_of
from loopwise.model import Estimate

SAYS = {
    "throughput_rps": "requests a second",
    "victim_p99_ms": "p99 of /health",
    "response_time_p99_ms": "p99, from when it was due",
    "threads": "threads of the process",
    "context_switches_per_request": "context switches per request",
}
"""Metric -> the words beside its axis."""


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


@dataclass(frozen=True)
class _Rows:
    """Bars to be: name and factors of each."""

    metric: str
    rows: tuple[tuple[str, dict[str, Any]], ...]

    def panel(self, look: Look, finding: Finding) -> Panel | None:
        del finding
        found = [
            (name, case) for name, wanted in self.rows for case in look.all(wanted) if not case.case.parts
        ]
        bars = [
            Bar(_numbered(name, case), case.case.mode, known)
            for name, case in found
            if (known := known_of(look, case, self.metric)) is not None
        ]
        return Bars(self.metric, tuple(bars)) if bars else None


def _numbered(name: str, case: CaseFigures) -> str:
    """The name with what its braces ask for: `{workers}`, `{server}`, `{rows}`."""
    server = case.case.server
    return name.format(workers=case.case.workers, server=server.name if server else "", **case.case.params)


@dataclass(frozen=True)
class _Curves:
    """Lines to be: name, factors and endpoint of each."""

    metric: str
    axis: Axis
    rows: tuple[tuple[str, dict[str, Any]], ...] = ()
    lines: Callable[[Look], Iterable[tuple[str, str, list[CaseFigures], str | None]]] | None = field(
        default=None
    )
    """Name, mode, cases and endpoint of each line, where factors don't tell them."""

    def panel(self, look: Look, finding: Finding) -> Panel | None:
        given = (
            [(name, str(wanted["mode"]), look.all(wanted), None) for name, wanted in self.rows]
            if self.lines is None
            else self.lines(look)
        )
        lines = [Line(name, mode, self._points(look, cases, at)) for name, mode, cases, at in given]
        lines = [line for line in lines if line.points]
        return Lines(self.metric, self.axis.words, tuple(lines), finding.crossover) if lines else None

    def _points(
        self, look: Look, cases: list[CaseFigures], endpoint: str | None
    ) -> tuple[tuple[float, Estimate], ...]:
        points = [
            (value, known)
            for case in cases
            if (value := self.axis.get(case.case)) is not None
            and (known := known_of(look, case, self.metric, endpoint)) is not None
        ]
        return tuple(sorted(points, key=lambda point: point[0]))


def known_of(look: Look, case: CaseFigures, metric: str, endpoint: str | None = None) -> Estimate | None:
    """A metric of METRICS or OF_RUNS with its interval; None without a valid run."""
    values = list(look.values(case, metric, endpoint).values())
    return estimate(values, confidence=CONFIDENCE) if values else None


def _mixes(look: Look) -> Iterable[tuple[str, str, list[CaseFigures], str | None]]:
    """C11's lines: the awaiting route beside each share of blocking ones."""
    mixes = [each for each in look.mixes() if blocked_share(each) > 0]
    for share, mode in zip(
        sorted({blocked_share(each) for each in mixes}), ("async", "blocking"), strict=False
    ):
        mine = [each for each in mixes if blocked_share(each) == share]
        yield f"{share * 100:.0f} % block", mode, mine, endpoint_of(mine[0], "async")


@dataclass(frozen=True)
class _Beside:
    """C17's bars: the awaiting route alone and in every mix."""

    metric: str

    def panel(self, look: Look, finding: Finding) -> Panel | None:
        del finding
        alone = [("async def alone", case, None) for case in look.all(workload="sleep", mode="async")]
        mixed = [
            (f"beside {_NAMES.get(part.mode, part.mode)} ({part.workload})", case, endpoint_of(case, "async"))
            for case in look.mixes()
            for part in case.case.parts[-1:]
        ]
        bars = [
            Bar(name, case.case.parts[-1].mode if case.case.parts else "async", known)
            for name, case, endpoint in [*alone, *mixed]
            if (known := known_of(look, case, self.metric, endpoint)) is not None
        ]
        return Bars(self.metric, tuple(bars)) if bars else None


_NAMES = {
    "async": "async def",
    "sync": "def",
    "blocking": "blocking in async def",
    "to_thread": "asyncio.to_thread",
    "process": "process pool",
}
RPS, VICTIM, RESPONSE = "throughput_rps", "victim_p99_ms", "response_time_p99_ms"


def _modes(
    workload: str, *modes: str, name: str = "{}", **more: Any
) -> tuple[tuple[str, dict[str, Any]], ...]:
    return tuple(
        (name.replace("{}", _NAMES[mode]), {"workload": workload, "mode": mode, **more}) for mode in modes
    )


ON_WORKERS = "{}, {workers} w."
CHARTS: dict[str, _Rows | _Curves | _Beside] = {
    "C01": _Curves(RPS, USERS, _modes("sleep", "sync", "blocking")),
    "C02": _Curves(RPS, USERS, _modes("sleep", "async")),
    "C03": _Curves(RPS, USERS, _modes("upstream", "async", "sync")),
    "C04": _Rows(RPS, _modes("cpu", "async", "sync")),
    "C05": _Rows(VICTIM, _modes("sleep", "blocking", "sync", "async", name=ON_WORKERS)),
    "C06": _Rows("threads", _modes("sleep", "async", "sync", threads=None)),
    "C07": _Curves(RPS, USERS, _modes("sleep", "sync", "to_thread", "blocking")),
    "C08": _Rows("context_switches_per_request", _modes("sleep", "async", "sync")),
    "C09": _Rows(
        VICTIM,
        (
            *_modes("sleep", "async", name="beside waiting"),
            *_modes("cpu", "async", name="computing on the loop"),
            *_modes("cpu", "sync", name="computing in threads"),
            *_modes("cpu", "process", name="in a process pool"),
        ),
    ),
    "C10": _Rows(
        RPS,
        (
            *_modes("noop", "async", "sync", name="{}, nothing"),
            *_modes("cpu", "async", "sync", name="{}, computing"),
        ),
    ),
    "C11": _Curves(RESPONSE, part_param("blocking", "ms", "ms of blocking"), lines=_mixes),
    "C12": _Rows(RPS, _modes("cpu", "async", name=ON_WORKERS)),
    "C13": _Curves(RPS, param("ms", "ms of computing"), _modes("cpu", "async", "process")),
    "C14": _Curves(RESPONSE, RATE, _modes("sleep", "async", "sync")),
    "C15": _Rows(RPS, _modes("sqlite", "async", "sync", "blocking", name="{}, {rows} rows")),
    "C16": _Rows(RPS, _modes("upstream", "async", "sync", name="{}, client: {client}")),
    "C17": _Beside(RESPONSE),
    "C18": _Rows(RPS, _modes("cpu", "async", "sync", name=ON_WORKERS)),
    "C19": _Curves(RPS, hit_ratio(), _modes("cache", "async", "sync")),
    "C20": _Rows(RPS, _modes("sleep", "async", "sync", name="{}, {server}")),
}
"""Claim -> its chart."""


def panel_of(summary: Summary, finding: Finding) -> Panel | None:
    """What the claim's chart shows; None where nothing of it was measured."""
    return CHARTS[finding.claim_id].panel(Look(summary), finding)
