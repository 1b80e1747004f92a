"""What is varied to find from where on something holds: how it is read from a case, and put into one. Pure."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from loopwise.model import Case, Load, Part

DIGITS = 2
"""Significant digits of a value that a search tries: a third would be finer than any bracket it can reach."""


@dataclass(frozen=True)
class Axis:
    """A number that cases differ in."""

    words: str
    """Its unit in words: `users`, `ms of blocking`."""
    name: str
    """Short, for names of folders: `users`."""
    get: Callable[[Case], float | None]
    """None where the case has no such number."""
    put: Callable[[Case, float], Case]
    """The case with another number."""
    position: Callable[[float], float] = math.log
    """Where a value stands on the scale that is halved."""
    value: Callable[[float], float] = math.exp
    """The value at a position, as it may be tried."""
    precise: float = math.log(1.3)
    """A bracket that is no wider than this, in positions, is narrow enough."""

    def between(self, low: float, high: float) -> float | None:
        """The value half-way; None where there is none that differs from both."""
        middle = self.value((self.position(low) + self.position(high)) / 2)
        return middle if low < middle < high else None


def _significant(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def _users(case: Case) -> float | None:
    return float(case.load.users) if case.load.model == "closed" else None


def _rate(case: Case) -> float | None:
    return case.load.rate_rps if case.load.model == "open" else None


def _put_load(case: Case, **changes: Any) -> Case:
    return case.model_copy(update={"load": Load.model_validate({**case.load.model_dump(), **changes})})


USERS = Axis(
    words="users",
    name="users",
    get=_users,
    put=lambda case, value: _put_load(case, users=int(value)),
    value=lambda position: float(round(math.exp(position))),
    precise=math.log(1.2),
)
RATE = Axis(
    words="requests a second",
    name="rate",
    get=_rate,
    put=lambda case, value: _put_load(case, rate_rps=value),
    value=lambda position: _significant(math.exp(position)),
    precise=math.log(1.2),
)
WORKERS = Axis(
    words="workers",
    name="workers",
    get=lambda case: None if case.workers is None else float(case.workers),
    put=lambda case, value: case.model_copy(
        update={"server": case.server and case.server.model_copy(update={"workers": int(value)})}
    ),
    value=lambda position: float(round(math.exp(position))),
)


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value)


def param(name: str, words: str) -> Axis:
    """A parameter of the workload."""
    return Axis(
        words=words,
        name=name,
        get=lambda case: _number(case.params.get(name)),
        put=lambda case, value: case.model_copy(update={"params": {**case.params, name: value}}),
        value=lambda position: _significant(math.exp(position)),
    )


SMALLEST_MISS = 0.001
"""Hit ratios nearer to 1 are one: a window has not many more than a thousand requests."""


def hit_ratio() -> Axis:
    """The share of hits, halved by its misses: from 0.9 to 0.99 is as far as from 0.99 to 0.999."""
    plain = param("hit_ratio", "hit ratio")
    return Axis(
        words=plain.words,
        name=plain.name,
        get=plain.get,
        put=plain.put,
        position=lambda value: -math.log(max(1 - value, SMALLEST_MISS)),
        value=lambda position: round(1 - _significant(math.exp(-position)), 3),
        precise=math.log(1.6),
    )


def part_param(mode: str, name: str, words: str) -> Axis:
    """A parameter of the first part of a mix that has this mode."""

    def part(case: Case) -> Part | None:
        return next((each for each in case.parts if each.mode == mode), None)

    def get(case: Case) -> float | None:
        found = part(case)
        return None if found is None else _number(found.params.get(name))

    def put(case: Case, value: float) -> Case:
        found = part(case)
        parts = tuple(
            each.model_copy(update={"params": {**each.params, name: value}}) if each is found else each
            for each in case.parts
        )
        return case.model_copy(update={"parts": parts})

    return Axis(
        words=words,
        name=name,
        get=get,
        put=put,
        value=lambda position: _significant(math.exp(position)),
    )
