"""What throughput a case can reach at most, from arithmetic alone. Pure functions.

A measurement that equals its bound has found the bound; one far below it has found something else. Sources of the
constants: AnyIO's default limiter has 40 tokens per event loop; asyncio's default executor min(32, cores + 4)
threads (Python's documentation of ThreadPoolExecutor).
"""

from typing import NamedTuple

from loopwise.model import Case

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
    cost, server = case.cost, case.server
    if cost is None or server is None or cost.wait_ms + cost.cpu_ms <= 0:
        return []
    total_s, cpu_s = (cost.wait_ms + cost.cpu_ms) / 1e3, cost.cpu_ms / 1e3
    workers = server.workers
    found = [_arrivals(case, total_s)]
    parallel = {
        "blocking": (workers, f"serves one request at a time on {_loops(workers)}"),
        "sync": (
            workers * (server.threads or ANYIO_TOKENS),
            f"waits for its {workers * (server.threads or ANYIO_TOKENS)} threads",
        ),
        "to_thread": (
            workers * min(32, cores + 4),
            f"waits for the {workers * min(32, cores + 4)} threads of asyncio's default executor",
        ),
        "process": (workers * cores, f"waits for its {workers * cores} pool processes"),
    }
    if case.mode in parallel:
        slots, because = parallel[case.mode]
        found.append(Bound(f"{case.mode}: {slots} at a time", slots / total_s, because))
    if cpu_s:
        processes = workers * cores if case.mode == "process" else workers
        usable = min(cores, processes)
        because = f"computes on {usable} core{'s' if usable > 1 else ''}"
        found.append(Bound(f"CPU of {usable} core{'s' if usable > 1 else ''}", usable / cpu_s, because))
    return sorted(found, key=lambda bound: bound.throughput_rps)


def _loops(workers: int) -> str:
    return "its event loop" if workers == 1 else f"each of its {workers} event loops"


def _arrivals(case: Case, total_s: float) -> Bound:
    load = case.load
    if load.model == "open":
        rate_rps = (load.rate_rps + (load.ramp_to_rps or load.rate_rps)) / 2
        return Bound("arrival rate", rate_rps, f"is asked {rate_rps:g} times a second only")
    return Bound(f"{load.users} users", load.users / (total_s + load.think_s), f"has {load.users} users only")
