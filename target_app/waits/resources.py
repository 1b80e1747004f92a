"""Resources that requests wait for, with their figures."""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable, Iterable
from time import monotonic
from typing import Any, NamedTuple

from .foreign import Foreign
from .places import Lines

SPOT_EVERY_S = 0.005
"""A look for the line that waits costs microseconds, and the lines of a moment are alike."""
MAX_SPOTS = 20
MAX_PLACES = 1_000_000
"""A pool of more has no limit: libraries write it as the greatest integer."""


Measure = Callable[[Any], "tuple[int, ...]"]
"""Places of an owner, and those in use; with those who wait, where it knows them itself."""


class Figures(NamedTuple):
    """A sample of a resource, or of all alike that were made at one line, as the probe writes it."""

    kind: str
    name: str
    made_at: str
    """Line of the app that made it; empty: not known."""
    waited_at: str
    """Line of the app that most of its callers waited at; empty: not known."""
    made: int
    """How many were made at that line; of pools, those that are still there."""
    places: int
    busy: int
    waiting: int
    wait_max_ms: float
    """Longest wait since the last sample, one that goes on included."""


class _Sample(NamedTuple):
    places: int
    busy: int
    waiting: int
    longest_s: float


class Resource:
    """A pool, a lock, or what else has a number of places.

    Args:
        kind: `pool`, `lock`, `semaphore`, `condition` or `executor`.
        name: as people know it.
        made_at: line of the app.
        measure: called with its owner, from a thread of the probe.
        is_exact: only callers that wait are told by `begin`. Else all are that want a place, and those inside wait
            while none is free.
    """

    __slots__ = (
        *("_due_s", "count", "held", "is_exact", "kind", "longest_s", "made_at", "measure", "name", "owner", "size"),
        *("spots", "waits"),
    )

    def __init__(self, kind: str, name: str, made_at: str, measure: Measure, *, is_exact: bool = False) -> None:
        self.kind, self.name, self.made_at, self.measure, self.is_exact = kind, name, made_at, measure, is_exact
        self.owner: Callable[[], Any] = lambda: None
        self.size = 0
        """Places at the last sample."""
        self.count = 0
        self.waits: dict[object, float] = {}
        """By caller inside: when it came. Setting and deleting are atomic, sums are not."""
        self.held: list[None] = []
        """An entry for each place that is known to be in use, where the owner doesn't tell."""
        self.longest_s = 0.0
        self.spots: dict[str, int] = {}
        self._due_s = 0.0

    def begin(self, depth: int = 2) -> object:
        """A caller begins to wait; returns its token.

        Args:
            depth: frames from here to the caller of what was wrapped.
        """
        now_s = monotonic()
        if now_s >= self._due_s and (self.is_exact or self.waits):
            self._due_s = now_s + SPOT_EVERY_S
            spot = RESOURCES.lines.nearest(sys._getframe(depth))
            if spot and (spot in self.spots or len(self.spots) < MAX_SPOTS):
                self.spots[spot] = self.spots.get(spot, 0) + 1
        token = object()
        self.waits[token] = now_s
        return token

    def end(self, token: object) -> None:
        """It waits no more; harmless if it is called again."""
        began_s = self.waits.pop(token, None)
        if began_s is not None and monotonic() - began_s > self.longest_s:
            self.longest_s = monotonic() - began_s

    def sample(self) -> _Sample | None:
        """Take a sample; None: it is gone, has no limit, or isn't what is known of it."""
        owner, began_s = self.owner(), list(self.waits.values())
        busy, told = 0, list[int]()
        if owner is not None:
            self.size = 0  # unless it is known
            with Foreign(self.name):
                self.size, busy, *told = self.measure(owner)
        if not 0 < self.size <= MAX_PLACES:
            return None
        longest_s, self.longest_s = self.longest_s, 0.0
        if began_s:
            longest_s = max(longest_s, monotonic() - min(began_s))
        busy = self.size if self.is_exact and began_s else max(busy, min(len(self.held), self.size))
        waiting = told[0] if told else len(began_s)
        return _Sample(self.size, busy, waiting if busy >= self.size else 0, longest_s)


class Resources:
    """All resources of this process."""

    def __init__(self) -> None:
        self.lines = Lines(None)
        self._of_owners: dict[int, Resource] = {}
        """By id of the owner, as long as it lives."""
        self._of_lines: dict[tuple[str, str], Resource] = {}
        """Those that are kept per line, by name and line: an app may make a lock for each request."""

    def of(self, owner: Any) -> Resource | None:
        """The resource that an object is known as."""
        return self._of_owners.get(id(owner))

    def named(self, name: str) -> list[Resource]:
        """Those of a kind of pools."""
        return [each for each in self._of_owners.copy().values() if each.name == name]

    def add(self, owner: Any, resource: Resource) -> Resource:
        """Take an object as a resource of its own, until it is gone."""
        key, known = id(owner), self._of_owners

        def forget(gone: object) -> None:
            if known.get(key) is resource and resource.owner is gone:
                del known[key]

        try:
            resource.owner = weakref.ref(owner, forget)
        except TypeError:
            return resource  # It can't be referred to: its calls work, and nobody hears of it.
        resource.count = 1
        known[key] = resource
        return resource

    def at_line(self, owner: Any, kind: str, name: str, made_at: str, measure: Measure) -> Resource:
        """The resource of all that are made at a line; the newest of them stands for their places."""
        resource = self._of_lines.get((name, made_at))
        if resource is None:
            made = Resource(kind, name, made_at, measure, is_exact=True)
            resource = self._of_lines.setdefault((name, made_at), made)
        resource.owner = weakref.ref(owner)
        resource.count += 1
        return resource

    def sample(self, leave_out: Iterable[Any] = ()) -> list[Figures]:
        """Figures of pools, and of what else is in use or waited for, those that most wait for first.

        Args:
            leave_out: objects that are reported in another way.
        """
        left_out = {id(each) for each in leave_out}
        groups: dict[tuple[str, str, str], list[tuple[Resource, _Sample]]] = {}
        for resource in [*self._of_owners.copy().values(), *self._of_lines.copy().values()]:
            found = resource.sample()
            if found is None or id(resource.owner()) in left_out:
                continue
            if resource.kind == "pool" or any(found[1:]):
                groups.setdefault((resource.kind, resource.name, resource.made_at), []).append((resource, found))
        figures = [_merged(*key, group) for key, group in groups.items()]
        return sorted(figures, key=lambda each: (-each.waiting, -each.busy / each.places))


def _merged(kind: str, name: str, made_at: str, group: list[tuple[Resource, _Sample]]) -> Figures:
    spots: dict[str, int] = {}
    for resource, _ in group:
        for spot, times in list(resource.spots.items()):
            spots[spot] = spots.get(spot, 0) + times
    samples = [sample for _, sample in group]
    return Figures(
        kind,
        name,
        made_at,
        max(spots, key=lambda spot: spots[spot], default=""),
        sum(resource.count for resource, _ in group),
        sum(each.places for each in samples),
        sum(each.busy for each in samples),
        sum(each.waiting for each in samples),
        round(max(each.longest_s for each in samples) * 1e3, 3),
    )


RESOURCES = Resources()
"""Those of this process: what is wrapped belongs to the whole interpreter."""
