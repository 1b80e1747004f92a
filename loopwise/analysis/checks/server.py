"""Checks of the server: its workers, pools and memory."""

from loopwise.analysis.checks.facts import Facts, Reading
from loopwise.analysis.memory import growth_limit_mb
from loopwise.model import Run
from loopwise.servers.variables import named

MAX_UNEVEN = 1.5
"""The busiest worker's share ÷ a fair one: with two workers 75 % of the requests."""
MIN_REQUESTS = 20
"""Requests per worker below which shares are chance."""


def worker_idle(facts: Facts) -> Reading | None:
    """Every worker served something.

    A flag, not void: with connections that stay open it is what this server does with this load, a repetition does the
    same, and whoever deploys it gets the same. But the numbers are those of fewer workers than the case is named by.
    """
    served = _requests_of_workers(facts.run)
    if len(served) < 2 or not sum(served):
        return None
    idle = served.count(0)
    sentence = (
        f"{idle} of {len(served)} workers got no request, so the numbers are those of {len(served) - idle}; "
        "raise users, or set new_connection_per_request: workers share connections, not requests"
    )
    return Reading(idle, 0, sentence)


def worker_share(facts: Facts) -> Reading | None:
    """The workers served about as much each."""
    served = _requests_of_workers(facts.run)
    if len(served) < 2 or sum(served) < MIN_REQUESTS * len(served):
        return None
    sentence = (
        f"one of {len(served)} workers served {100 * max(served) / sum(served):.0f} % of the requests; "
        "workers share one queue of connections: raise users, set new_connection_per_request, or take a server "
        "that balances"
    )
    return Reading(max(served) * len(served) / sum(served), MAX_UNEVEN, sentence)


def _requests_of_workers(run: Run) -> list[int]:
    return [worker.requests for worker in run.workers if worker.requests is not None]


def restarted(facts: Facts) -> Reading | None:
    """The worker processes that were ready are those that served to the end."""
    if not facts.run.workers:
        return None
    changed = [worker for worker in facts.run.workers if worker.fate]
    fates = " and ".join(f"{worker.pid} {worker.fate}" for worker in changed[:3])
    return Reading(len(changed), 0, f"worker processes changed during the run ({fates}); see server.log for why")


def pool_deaths(facts: Facts) -> Reading | None:
    """No process of a process pool was lost: the pool is replaced, but what it was doing then failed."""
    lost = facts.run.server.pool_deaths
    if lost is None:
        return None
    sentence = (
        f"a process pool lost a process {lost} times and was replaced; see server.log, "
        "and look for the kernel's out-of-memory killer"
    )
    return Reading(lost, 0, sentence)


def memory(facts: Facts) -> Reading | None:
    """The server's memory did not rise all through the window."""
    growth_mb = facts.run.host.server_rss_growth_mb
    if growth_mb is None:
        return None
    limit_mb = growth_limit_mb(facts.run.host.server_rss_mb or 0.0)
    sentence = (
        f"the server's memory grew steadily by {growth_mb:.0f} MB within the window; "
        "lengthen measure_s to see whether it ends, and look for what the app keeps"
    )
    return Reading(growth_mb, limit_mb, sentence)


def debug_mode(facts: Facts) -> Reading | None:
    """No variable that happened to be set made the interpreter slower."""
    variables = facts.run.server.variables
    if variables is None:
        return None
    slow = [f"{name}={variables[name]}" for name in named(variables, "told")]
    sentence = (
        f"the server ran with {', '.join(slow)}, which may make it slower than where it is deployed; "
        "unset it, or set it in env if that is what you measure"
    )
    return Reading(len(slow), 0, sentence)
