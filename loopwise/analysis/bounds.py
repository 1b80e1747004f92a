"""What throughput a case can reach at most, from arithmetic alone. Pure functions.

A measurement that equals its bound has found the bound; one far below it has found something else. Sources of the
constants: AnyIO's default limiter has 40 tokens per event loop; asyncio's default executor min(32, cores + 4)
threads (Python's documentation of ThreadPoolExecutor).
"""

from collections.abc import Sequence
from typing import NamedTuple

from loopwise.model import Case, Cost, Part, Server

ANYIO_TOKENS = 40


class Bound(NamedTuple):
    """One limit of a case's throughput."""

    name: str
    throughput_rps: float
    because: str
    """Completes "X is slower because it …"."""


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
    shares = [_Share(part.mode, part.weight / weights, part.cost) for part in parts if part.cost is not None]
    total_s = sum(share.total_s for share in shares)
    if total_s <= 0:
        return []
    found = [_arrivals(case, total_s), *_slots(shares, server, cores), *_cpu(shares, server, cores)]
    return sorted(found, key=lambda bound: bound.throughput_rps)


class _Share(NamedTuple):
    """What an average request of a case spends in one of its modes."""

    mode: str
    ratio: float
    cost: Cost

    @property
    def total_s(self) -> float:
        return self.ratio * (self.cost.wait_ms + self.cost.cpu_ms) / 1e3

    @property
    def cpu_s(self) -> float:
        return self.ratio * self.cost.cpu_ms / 1e3


def _slots(shares: Sequence[_Share], server: Server, cores: int) -> list[Bound]:
    """A bound for each mode that serves only so many requests at a time: their slots over what a request needs."""
    workers = server.workers
    threads, executor = workers * (server.threads or ANYIO_TOKENS), workers * min(32, cores + 4)
    pool = workers * (server.pool_processes or cores)
    parallel = {
        "blocking": (workers, f"serves one request at a time on {_loops(workers)}"),
        "sync": (threads, f"waits for its {threads} threads"),
        "to_thread": (executor, f"waits for the {executor} threads of asyncio's default executor"),
        "process": (pool, f"waits for its {pool} pool processes"),
    }
    found = []
    for mode, (slots, because) in parallel.items():
        busy_s = sum(share.total_s for share in shares if share.mode == mode)
        if mode == "blocking" and busy_s:
            # In a mix, what async routes compute holds the same loop.
            busy_s += sum(share.cpu_s for share in shares if share.mode == "async")
        if busy_s:
            found.append(Bound(f"{mode}: {slots} at a time", slots / busy_s, because))
    return found


def _cpu(shares: Sequence[_Share], server: Server, cores: int) -> list[Bound]:
    """A worker computes on one core at most, as each process of a pool does; the machine has only so many."""
    in_workers_s = sum(share.cpu_s for share in shares if share.mode != "process")
    in_pools_s = sum(share.cpu_s for share in shares if share.mode == "process")
    pool = server.workers * (server.pool_processes or cores) if in_pools_s else 0
    processes = pool + (server.workers if in_workers_s else 0)
    usable = {min(cores, processes): in_workers_s + in_pools_s}
    if in_workers_s and in_pools_s and server.workers < cores:
        usable[server.workers] = in_workers_s
    found = []
    for count, cpu_s in usable.items():
        if cpu_s:
            name = f"{count} core{'s' if count > 1 else ''}"
            found.append(Bound(f"CPU of {name}", count / cpu_s, f"computes on {name}"))
    return found


def _loops(workers: int) -> str:
    return "its event loop" if workers == 1 else f"each of its {workers} event loops"


def _arrivals(case: Case, total_s: float) -> Bound:
    load = case.load
    if load.model == "open":
        rate_rps = (load.rate_rps + (load.ramp_to_rps or load.rate_rps)) / 2
        return Bound("arrival rate", rate_rps, f"is asked {rate_rps:g} times a second only")
    return Bound(f"{load.users} users", load.users / (total_s + load.think_s), f"has {load.users} users only")
