"""Division of the time for which callbacks held the loop among lines. Standard library only, Python 3.10 or newer."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from .places import Places, Spot

LEAST_SHORT_NS = 250_000
"""Callbacks that are shorter are a framework's own steps, and the sampling thread hardly ever sees them."""
LEAST_HITS = 5
"""Sampled callbacks of one length from which their lines stand for all callbacks of that length."""

Line = tuple[str, int, bool]
"""Path, line, whether it is the app's."""


class Sample(NamedTuple):
    """A sample of the loop's thread: the line to blame for what it did, and the time that it stands for."""

    since_ns: int
    at_ns: int
    spot: Spot | None


def shares(places: Places, samples: Sequence[Sample], start_ns: int, end_ns: int) -> dict[Spot, float]:
    """Divide the time between start and end among the spots; each sample stands for the time before it.

    Samples that fell on no line of interest do not count: the shares add up to 1, or there are none.
    """
    weights: dict[Spot, int] = {}
    last: Spot | None = None
    for sample in samples:
        weight = min(sample.at_ns, end_ns) - max(sample.since_ns, start_ns)
        spot = sample.spot if weight > 0 else None
        if spot is not None and last is not None and places.kind(spot.path) == "dispatcher":
            spot = last  # what a route made is freed as it returns
        if spot is not None:
            weights[spot] = weights.get(spot, 0) + weight
            last = spot if spot.is_app else last
    total = sum(weights.values())
    return {spot: weight / total for spot, weight in weights.items()}


class Lines:
    """Times of lines, with the expressions in which most of each line's time was spent."""

    def __init__(self) -> None:
        self.entries: dict[Line, dict[str, Any]] = {}

    def add(self, held_ns: float, shares: Mapping[Spot, float]) -> None:
        """Record a callback that took so long; `shares` is each spot's part of it."""
        lines: dict[Line, float] = {}
        for spot, share in shares.items():
            key = spot[:3]
            ns = held_ns * share
            lines[key] = lines.get(key, 0) + ns
            entry = self.entries.setdefault(key, {"total_ns": 0.0, "longest_ns": 0.0, "times": 0, "details": {}})
            detail = json.dumps([spot.columns, spot.callee, spot.site and spot.site._asdict()])
            entry["details"][detail] = entry["details"].get(detail, 0) + ns
        for key, ns in lines.items():
            entry = self.entries[key]
            entry["total_ns"] += ns
            entry["longest_ns"] = max(entry["longest_ns"], ns)
            entry["times"] += 1

    def as_json(self) -> list[dict[str, Any]]:
        """Return a row for each line as plain data for JSON."""
        rows = []
        for (path, line, is_app), entry in self.entries.items():
            columns, callee, site = json.loads(max(entry["details"], key=entry["details"].get))
            row: dict[str, Any] = {name: round(entry[name]) for name in ("total_ns", "longest_ns", "times")}
            row |= {"path": path, "line": line, "is_app": is_app, "columns": columns, "callee": callee, "site": site}
            rows.append(row)
        return rows


class Brief:
    """Callbacks below the threshold that took about equally long, within a factor of two.

    All are counted and timed; only some are sampled, and these stand for the rest. So a line's part does not depend on
    how often the sampling thread gets the GIL.
    """

    def __init__(self) -> None:
        self.callbacks = 0
        self.held_ns = 0
        self.hits = 0
        self.lines = Lines()

    def add(self, held_ns: int, shares: Mapping[Spot, float], *, sampled: bool) -> None:
        """Record a callback; `sampled`: a sample fell into it, perhaps on no line of interest."""
        self.callbacks += 1
        self.held_ns += held_ns
        self.hits += sampled
        self.lines.add(held_ns, shares)

    def as_json(self) -> list[dict[str, Any]]:
        """Return a row for each line, scaled from the sampled callbacks to all of them."""
        if self.hits < LEAST_HITS:
            return []
        scale = self.callbacks / self.hits
        scaled = ("total_ns", "times")
        return [row | {name: round(row[name] * scale) for name in scaled} for row in self.lines.as_json()]


class Tally:
    """Findings of one endpoint."""

    def __init__(self) -> None:
        self.callbacks = 0
        self.held = 0
        self.held_ns = 0
        self.unseen_ns = 0
        self.lines = Lines()
        self.brief: dict[int, Brief] = {}
        self.calls: dict[tuple[str, str, int], int] = {}

    def blame(self, held_ns: int, shares: Mapping[Spot, float]) -> None:
        """Record a callback that held the loop; `shares` is each spot's part of it."""
        self.held += 1
        self.held_ns += held_ns
        if not shares:
            self.unseen_ns += held_ns
        self.lines.add(held_ns, shares)

    def pass_over(self, held_ns: int, shares: Mapping[Spot, float], *, sampled: bool) -> None:
        """Record a callback below the threshold: many of them add up."""
        if held_ns >= LEAST_SHORT_NS:
            self.brief.setdefault(held_ns.bit_length(), Brief()).add(held_ns, shares, sampled=sampled)

    def as_json(self) -> dict[str, Any]:
        """Return the findings as plain data for JSON."""
        calls = [
            {"call": call, "path": path, "line": line, "times": times}
            for (call, path, line), times in self.calls.items()
        ]
        return {
            "callbacks": self.callbacks,
            "held": self.held,
            "held_ns": self.held_ns,
            "unseen_ns": self.unseen_ns,
            "spots": self.lines.as_json(),
            "brief": [row for length in self.brief.values() for row in length.as_json()],
            "calls": calls,
        }
