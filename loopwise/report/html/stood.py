"""Lines of the app at which threads, tasks and event loops stood, as rows of a case's section."""

from collections.abc import Sequence
from typing import NamedTuple

from loopwise.model import Run, StandKind
from loopwise.report import format as fmt

SHOWN = 5
"""Lines of each kind."""
NAMES: dict[StandKind, str] = {"thread": "threads", "task": "tasks", "loop": "event loop"}


class StoodRow(NamedTuple):
    """A line, and how many stood there."""

    place: str
    call: str
    """What it waits in."""
    function: str
    """The function that the line is in."""
    who: str
    number: str
    """How many at once, on average; of a loop, the share of the time."""


def stood_rows(runs: Sequence[Run]) -> list[StoodRow]:
    """The lines of a case by kind, the most frequent first; means over its runs."""
    rows = []
    for kind, name in NAMES.items():
        numbers: dict[tuple[str, str, str], float] = {}
        for each in (place for run in runs for place in run.waits_at if place.kind == kind):
            key = each.place, each.call, each.function
            numbers[key] = numbers.get(key, 0.0) + (each.share if kind == "loop" else each.count) / len(runs)
        most = sorted(numbers.items(), key=lambda each: -each[1])[:SHOWN]
        show = fmt.share if kind == "loop" else fmt.number
        rows += [StoodRow(*key, name, show(number)) for key, number in most]
    return rows
