"""Checks on the server's worker processes: who served, who stayed, who grew. Pure; lines in validity.CHECKS."""

from loopwise.model import Check, Run

MAX_UNEVEN = 1.5
"""The busiest worker's share ÷ a fair one: with two workers 75 % of the requests."""
MIN_REQUESTS = 20
"""Requests per worker below which shares are chance."""
MAX_GROWTH_MB, MAX_GROWTH_RATIO = 8.0, 0.05
"""Less is what caches and the allocator take in the first seconds under load."""


def worker_idle(run: Run) -> Check | None:
    """Every worker served something.

    A flag, not void: with connections that stay open it is what this server does with this load, a repetition does the
    same, and whoever deploys it gets the same. But the numbers are those of fewer workers than the case is named by.
    """
    known = [worker.requests for worker in run.workers if worker.requests is not None]
    if len(known) < 2 or not sum(known):
        return None
    idle = known.count(0)
    return Check(
        name="worker_idle",
        value=idle,
        limit=0,
        effect="flag",
        ok=idle == 0,
        detail=(
            f"{idle} of {len(known)} workers got no request, so the numbers are those of {len(known) - idle}; "
            "raise users, or set new_connection_per_request: workers share connections, not requests"
        ),
    )


def worker_share(run: Run) -> Check | None:
    """The workers served about as much each."""
    known = [worker.requests for worker in run.workers if worker.requests is not None]
    if len(known) < 2 or sum(known) < MIN_REQUESTS * len(known):
        return None
    uneven = max(known) * len(known) / sum(known)
    return Check(
        name="worker_share",
        value=uneven,
        limit=MAX_UNEVEN,
        effect="flag",
        ok=uneven <= MAX_UNEVEN,
        detail=(
            f"one of {len(known)} workers served {100 * max(known) / sum(known):.0f} % of the requests; "
            "workers share one queue of connections: raise users, set new_connection_per_request, or take a server "
            "that balances"
        ),
    )


def restarted(run: Run) -> Check | None:
    """The worker processes that were ready are those that served to the end."""
    if not run.workers:
        return None
    changed = [worker for worker in run.workers if worker.fate]
    told = " and ".join(f"{worker.pid} {worker.fate}" for worker in changed[:3])
    return Check(
        name="restarted",
        value=len(changed),
        limit=0,
        effect="void",
        ok=not changed,
        detail=f"worker processes changed during the run ({told}); see server.log for why",
    )


def pool_deaths(run: Run) -> Check | None:
    """No process of a process pool was lost: the pool is replaced, but what it was doing then failed."""
    lost = run.server.get("pool_deaths")
    if lost is None:
        return None
    return Check(
        name="pool_deaths",
        value=lost,
        limit=0,
        effect="void",
        ok=lost == 0,
        detail=(
            f"a process pool lost a process {lost} times and was replaced; see server.log, "
            "and look for the kernel's out-of-memory killer"
        ),
    )


def memory(run: Run) -> Check | None:
    """The server's memory did not rise all through the window."""
    growth_mb = run.host.get("server_rss_growth_mb")
    if growth_mb is None:
        return None
    limit_mb = max(MAX_GROWTH_MB, MAX_GROWTH_RATIO * run.host.get("server_rss_mb", 0.0))
    return Check(
        name="memory",
        value=growth_mb,
        limit=limit_mb,
        effect="flag",
        ok=growth_mb <= limit_mb,
        detail=(
            f"the server's memory grew steadily by {growth_mb:.0f} MB within the window; "
            "lengthen measure_s to see whether it ends, and look for what the app keeps"
        ),
    )
