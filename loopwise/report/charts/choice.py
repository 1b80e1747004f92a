"""The charts that matter for a result, chosen by what its cases differ in."""

from collections.abc import Callable, Collection
from typing import NamedTuple

from loopwise.analysis.summary import Summary
from loopwise.model import Case

MOST = 4
"""A reader looks at so many before deciding; the rest is there for those who doubt."""


class Traits(NamedTuple):
    """What varies among the cases of a result."""

    cases: int
    workers: int
    loads: int
    servers: int


class Rule(NamedTuple):
    """A chart that matters where its condition holds, and where it has something to show."""

    chart: str
    matters: Callable[[Traits], bool] = lambda _: True


RULES = (
    Rule("forest"),  # of a duel alone
    Rule("rate"),  # only where open load has several rates
    Rule("throughput", lambda varies: varies.cases > 1),
    Rule("heatmap", lambda varies: max(varies.loads, varies.servers) > 1),
    Rule("workers", lambda varies: varies.workers > 1),
    Rule("percentiles", lambda varies: varies.cases > 1),
    Rule("victim"),
    Rule("plane", lambda varies: varies.cases > 1),
    Rule("histogram"),
    Rule("timeline"),
    Rule("distribution"),
    Rule("resources"),
)
"""The first ones that matter are shown, in this order."""


def traits(cases: Collection[Case]) -> Traits:
    """How many different values the cases have of each."""
    return Traits(
        cases=len(cases),
        workers=len({case.workers for case in cases}),
        loads=len({case.load.label for case in cases}),
        servers=len({case.server.name if case.server else "" for case in cases}),
    )


def choose(summary: Summary, available: Collection[str]) -> list[str]:
    """Names of the charts to show first, at most MOST.

    Args:
        summary: of the result.
        available: names of the charts that it has.
    """
    varies = traits(summary.experiment.suite.cases)
    return [rule.chart for rule in RULES if rule.chart in available and rule.matters(varies)][:MOST]
