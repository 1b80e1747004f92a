"""What the requests of a case could wait for inside of the app, as rows of a table."""

from collections.abc import Sequence
from statistics import median_low
from typing import NamedTuple

from loopwise.model import Resource, Run
from loopwise.report import format as fmt

MOST = 10


class ResourceRow(NamedTuple):
    """A pool, lock, semaphore or executor, over the workers and runs of the case."""

    name: str
    made_at: str
    places: str
    busy: str
    full: str
    waiting: str
    longest: str
    """Wait of all."""


def resource_rows(runs: Sequence[Run]) -> list[ResourceRow]:
    """A row for each resource, those most waited for first."""
    found: dict[tuple[str, str], list[Resource]] = {}
    for run in runs:
        for each in run.resources:
            found.setdefault((each.name, each.made_at), []).append(each)
    most = sorted(found.items(), key=lambda item: -max(each.full_ratio * each.waiting for each in item[1]))
    return [_row(*key, alike) for key, alike in most[:MOST]]


def _row(name: str, made_at: str, alike: Sequence[Resource]) -> ResourceRow:
    return ResourceRow(
        name,
        made_at or fmt.NONE,
        str(max(each.places for each in alike)),
        fmt.plain(sum(each.busy for each in alike) / len(alike)),
        fmt.share(median_low(each.full_ratio for each in alike)),
        str(median_low(each.waiting for each in alike)),
        fmt.duration(max(each.wait_max_ms for each in alike)),
    )
