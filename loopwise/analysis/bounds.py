"""The throughput that a case can reach at most, from arithmetic alone.

A measurement that equals its bound has measured that bound; one far below it is held back by something else. What
each mode serves at a time is in loopwise.model.modes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from loopwise.model import Case, Cost, Part, Server
from loopwise.model.modes import MODES, Mode, mode_named


@dataclass(frozen=True)
class Bound:
    """One limit of a case's throughput."""

    kind: Literal["arrivals", "users", "slots", "cpu"]
    throughput_rps: float
    count: float
    """Of what limits: requests a second that arrive, users, requests at a time, cores."""
    mode: str = ""
    """Of `slots`: the mode that serves only so many requests at a time."""
    workers: int = 1

    @property
    def name(self) -> str:
        """`arrival rate`, `100 users`, `sync: 40 at a time`, `CPU of 2 cores`."""
        if self.kind == "arrivals":
            return "arrival rate"
        if self.kind == "users":
            return f"{int(self.count)} users"
        return f"{self.mode}: {int(self.count)} at a time" if self.kind == "slots" else f"CPU of {self._cores}"

    @property
    def because(self) -> str:
        """Completes "X is slower because it …"."""
        if self.kind == "arrivals":
            return f"is asked {self.count:g} times a second only"
        if self.kind == "users":
            return f"has {int(self.count)} users only"
        if self.kind == "slots":
            return MODES[self.mode].limit(int(self.count), self.workers)
        return f"computes on {self._cores}"

    @property
    def _cores(self) -> str:
        return f"{int(self.count)} core{'s' if self.count > 1 else ''}"


def bounds(case: Case, cores: int) -> list[Bound]:
    """All bounds that apply to a case, the smallest first; empty when its cost is not known.

    Args:
        case: with the cost of its workload.
        cores: cores that the server can use.
    """
    server = case.server
    parts = case.parts or (Part(workload=case.workload, mode=case.mode, cost=case.cost),)
    if server is None or any(part.cost is None for part in parts):
        return []
    weights = sum(part.weight for part in parts)
    shares = [
        _Share(mode_named(part.mode), part.weight / weights, part.cost) for part in parts if part.cost is not None
    ]
    total_s = sum(share.total_s for share in shares)
    if total_s <= 0:
        return []
    limits = [*_load(case, total_s), *_slots(shares, server, cores), *_cpu(shares, server, cores)]
    return sorted(limits, key=lambda bound: bound.throughput_rps)


class _Share(NamedTuple):
    """Part of an average request of a case that is spent in one of its modes."""

    mode: Mode
    ratio: float
    cost: Cost

    @property
    def total_s(self) -> float:
        return self.ratio * (self.cost.wait_ms + self.cost.cpu_ms) / 1e3

    @property
    def cpu_s(self) -> float:
        return self.ratio * self.cost.cpu_ms / 1e3


def _slots(shares: Sequence[_Share], server: Server, cores: int) -> Iterator[Bound]:
    """A bound for each mode that serves only so many requests at a time: their slots over what a request needs."""
    for mode in MODES.values():
        busy_s = sum(share.total_s for share in shares if share.mode is mode)
        if mode.slots is None or not busy_s:
            continue
        if mode.on_loop:
            # In a mix, what other routes compute on the loop holds it as well.
            busy_s += sum(share.cpu_s for share in shares if share.mode.on_loop and share.mode is not mode)
        count = server.workers * mode.slots(server, cores)
        yield Bound("slots", count / busy_s, count, mode.name, server.workers)


def _cpu(shares: Sequence[_Share], server: Server, cores: int) -> Iterator[Bound]:
    """A worker computes on one core at most, as each process of a pool does; the machine has only so many."""
    in_workers_s = sum(share.cpu_s for share in shares if not share.mode.uses_pool)
    in_pools_s = sum(share.cpu_s for share in shares if share.mode.uses_pool)
    pool = server.workers * (server.pool_processes or cores) if in_pools_s else 0
    processes = pool + (server.workers if in_workers_s else 0)
    usable = {min(cores, processes): in_workers_s + in_pools_s}
    if in_workers_s and in_pools_s and server.workers < cores:
        usable[server.workers] = in_workers_s
    for count, cpu_s in usable.items():
        if cpu_s:
            yield Bound("cpu", count / cpu_s, count)


def _load(case: Case, total_s: float) -> Iterator[Bound]:
    """A rate, or users that wait; none where a shape decides how many these are."""
    load = case.load
    if load.model == "open":
        yield Bound("arrivals", load.mean_rps, load.mean_rps)
    if load.fixed_users is not None:
        yield Bound("users", load.users / (total_s + load.think_s), load.users)
