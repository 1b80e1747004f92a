"""The selftest's tables: in the terminal, as Markdown, as JSON."""

import json
from collections.abc import Sequence
from pathlib import Path

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from loopwise.results.folder import write_atomically
from loopwise.selftest.tally import Outcome, Rate

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


def tables(rates: Sequence[Rate]) -> RenderableType:
    """A row per kind of pair; false alarms where nothing was injected, power where something was."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for column in COLUMNS:
        table.add_column(column, overflow="fold")
    for rate in rates:
        table.add_row(*map(Text, _cells(rate)))
    note = Text(
        "Pairs with nothing injected are equal: what they raise is false. 95 % intervals by Clopper and Pearson.",
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
    """The same as a Markdown table."""
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
