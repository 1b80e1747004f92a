"""Division of the time for which callbacks held the loop among lines. Standard library only, Python 3.10 or newer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from .places import Places, Spot, Stack


class Sample(NamedTuple):
    """A sample of the loop's thread: its stack, and the time that it stands for."""

    since_ns: int
    at_ns: int
    stack: Stack


def shares(places: Places, samples: Sequence[Sample], start_ns: int, end_ns: int) -> dict[Spot, float]:
    """Divide the time between start and end among the spots; each sample stands for the time before it.

    Samples that fell on no line of interest do not count: the shares add up to 1, or there are none.
    """
    weights: dict[Spot, int] = {}
    last: Spot | None = None
    for sample in samples:
        weight = min(sample.at_ns, end_ns) - max(sample.since_ns, start_ns)
        spot = places.spot(sample.stack) if weight > 0 else None
        if spot is not None and last is not None and places.kind(spot.path) == "dispatcher":
            spot = last  # what a route made is freed as it returns
        if spot is not None:
            weights[spot] = weights.get(spot, 0) + weight
            last = spot if spot.is_app else last
    total = sum(weights.values())
    return {spot: weight / total for spot, weight in weights.items()}


class Tally:
    """Findings of one endpoint."""

    def __init__(self) -> None:
        self.callbacks = 0
        self.held = 0
        self.held_ns = 0
        self.unseen_ns = 0
        self.spots: dict[tuple[str, int, bool], dict[str, Any]] = {}
        self.calls: dict[tuple[str, str], int] = {}

    def blame(self, held_ns: int, shares: dict[Spot, float]) -> None:
        """Record a callback that held the loop; `shares` is each spot's part of it."""
        self.held += 1
        self.held_ns += held_ns
        if not shares:
            self.unseen_ns += held_ns
        lines: dict[tuple[str, int, bool], int] = {}
        for spot, share in shares.items():
            key = spot[:3]
            ns = round(held_ns * share)
            lines[key] = lines.get(key, 0) + ns
            entry = self.spots.setdefault(key, {"total_ns": 0, "longest_ns": 0, "times": 0, "details": {}})
            detail = json.dumps([spot.columns, spot.callee])
            entry["details"][detail] = entry["details"].get(detail, 0) + ns
        for key, ns in lines.items():
            entry = self.spots[key]
            entry["total_ns"] += ns
            entry["longest_ns"] = max(entry["longest_ns"], ns)
            entry["times"] += 1

    def as_json(self) -> dict[str, Any]:
        """Return the findings as plain data for JSON."""
        spots = [
            {
                **{name: entry[name] for name in ("total_ns", "longest_ns", "times")},
                **dict(zip(("path", "line", "is_app"), key, strict=True)),
                "columns": json.loads(max(entry["details"], key=entry["details"].get))[0],
                "callee": json.loads(max(entry["details"], key=entry["details"].get))[1],
            }
            for key, entry in self.spots.items()
        ]
        calls = [{"call": call, "frame": frame, "times": times} for (call, frame), times in self.calls.items()]
        return {
            "callbacks": self.callbacks,
            "held": self.held,
            "held_ns": self.held_ns,
            "unseen_ns": self.unseen_ns,
            "spots": spots,
            "calls": calls,
        }
