"""Rates of false alarms and of detected differences, with intervals; as tables, Markdown and JSON."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from rich.console import Group, RenderableType
from rich.text import Text
from scipy.stats import binomtest

from loopwise.model import Estimate, Verdict
from loopwise.report.terminal.tables import WordTable
from loopwise.results.files import write_atomically

ALARMS = frozenset({"better", "worse"})
MARKDOWN, JSON = "selftest.md", "selftest.json"
COLUMNS = (
    "method",
    "workload",
    "injected",
    "pairs",
    "verdicts",
    "better or worse",
    "half-width",
    "time each",
)


class Outcome(NamedTuple):
    """Result of one trial."""

    method: str
    """`blocks, then slices`, or `duel`."""
    workload: str
    difference: float
    """Injected; 0: the sides are equal."""
    verdict: Verdict | None
    """On throughput, which decides the trial; None: it could not be measured."""
    cpu: Verdict | None = None
    """On CPU per request, if measured."""
    rounds: int = 0
    """Replicates and rounds measured."""
    duration_s: float = 0.0


class Rate(NamedTuple):
    """How often trials of one kind gave better or worse, rightly or falsely."""

    method: str
    workload: str
    difference: float
    trials: int
    words: dict[str, int]
    """Verdict -> how often."""
    alarms: Estimate
    """Share of trials with better or worse: false alarms where nothing was injected, else power."""
    wrong_way: int
    """Alarms in the wrong direction."""
    half_width: float | None
    """Median half-width of the ratio's interval, relative."""
    duration_s: float
    """Median time a trial took."""


def rate_of(outcomes: Sequence[Outcome]) -> Rate:
    """Compute the rate of alarms among trials of one kind.

    The interval is that of Clopper and Pearson (Biometrika 26, 1934), whose coverage is never below its level,
    however few the trials.

    Raises:
        ValueError: there are no outcomes.
    """
    if not outcomes:
        raise ValueError("a rate needs at least one trial")
    first = outcomes[0]
    words: Counter[str] = Counter(each.verdict.verdict if each.verdict else "invalid" for each in outcomes)
    alarms = sum(words[word] for word in ALARMS)
    interval = binomtest(alarms, len(outcomes)).proportion_ci(confidence_level=0.95, method="exact")
    widths = sorted(
        each.verdict.half_width for each in outcomes if each.verdict and each.verdict.half_width is not None
    )
    durations = sorted(each.duration_s for each in outcomes)
    return Rate(
        method=first.method,
        workload=first.workload,
        difference=first.difference,
        trials=len(outcomes),
        words=dict(words),
        alarms=Estimate(
            value=alarms / len(outcomes),
            low=float(interval.low),
            high=float(interval.high),
            replicates=len(outcomes),
        ),
        wrong_way=words["better"] if first.difference > 0 else 0,
        half_width=widths[len(widths) // 2] if widths else None,
        duration_s=durations[len(durations) // 2],
    )


def rates_of(outcomes: Iterable[Outcome]) -> list[Rate]:
    """Compute a rate per method, workload and difference, and one over all equal pairs of a method."""
    groups: dict[tuple[str, float, str], list[Outcome]] = {}
    for each in outcomes:
        groups.setdefault((each.method, each.difference, each.workload), []).append(each)
    rates = [rate_of(groups[key]) for key in sorted(groups)]
    for method in dict.fromkeys(key[0] for key in sorted(groups)):
        equal = [each for key, group in groups.items() if key[:2] == (method, 0.0) for each in group]
        if len({each.workload for each in equal}) > 1:
            rates.append(rate_of([each._replace(workload="all") for each in equal]))
    return sorted(rates, key=lambda rate: (rate.method, rate.difference, rate.workload))


def tables(rates: Sequence[Rate]) -> RenderableType:
    """Make a table with a row per kind of pair: false alarms where nothing was injected, else power."""
    table = WordTable(COLUMNS, [_cells(rate) for rate in rates])
    note = Text(
        "Pairs with nothing injected are equal: better or worse is a false alarm. "
        "95 % intervals by Clopper and Pearson.",
        style="dim",
    )
    return Group(table, note)


def _cells(rate: Rate) -> tuple[str, ...]:
    words = ", ".join(f"{count} {word}" for word, count in sorted(rate.words.items()))
    low, high = rate.alarms.low or 0.0, rate.alarms.high or 0.0
    wrong = f", {rate.wrong_way} the wrong way" if rate.wrong_way else ""
    return (
        rate.method,
        rate.workload,
        f"{100 * rate.difference:.0f} %" if rate.difference else "nothing",
        str(rate.trials),
        words,
        f"{100 * rate.alarms.value:.0f} % [{100 * low:.0f} %, {100 * high:.0f} %]{wrong}",
        "" if rate.half_width is None else f"±{100 * rate.half_width:.2f} %",
        f"{rate.duration_s:.0f} s",
    )


def markdown(rates: Sequence[Rate]) -> str:
    """Render the same as a Markdown table."""
    rows = [COLUMNS, tuple("---" for _ in COLUMNS), *(_cells(rate) for rate in rates)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def write(folder: Path, rates: Sequence[Rate], outcomes: Sequence[Outcome]) -> None:
    """Write selftest.md and selftest.json."""
    document = {
        "rates": [{**rate._asdict(), "alarms": rate.alarms.model_dump()} for rate in rates],
        "trials": [
            {
                **outcome._asdict(),
                "verdict": outcome.verdict.model_dump() if outcome.verdict else None,
                "cpu": outcome.cpu.model_dump() if outcome.cpu else None,
            }
            for outcome in outcomes
        ],
    }
    write_atomically(folder / JSON, json.dumps(document, indent=2) + "\n")
    write_atomically(folder / MARKDOWN, markdown(rates))
