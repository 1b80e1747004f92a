"""Checks that decide whether a run's numbers can be used. Pure functions.

To add a check: one function that takes the facts and returns a Check (or None where it does not apply), and one line
in CHECKS.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from loopwise.analysis import validity_workers
from loopwise.analysis.drift import Drift
from loopwise.analysis.surroundings import core_count, frequency, other_cpu, swap
from loopwise.model import Check, Run

MAX_ERROR_RATIO = 0.01
"""Errors are answered at another cost than successes: above this share the run measures something else."""
MAX_GENERATOR_CPU_RATIO = 0.9
"""A generator nearer to a full core is late to send, whatever its stamps say (METHOD §2)."""
MAX_CLOCK_STEP_MS = 1.0
MAX_STEAL_RATIO = 0.1
"""Above this share of stolen CPU, throughput on this machine varies more than the default margin."""
MAX_LITTLE_DEVIATION = 0.05
MIN_ROWS = 20
"""Fewer answers than this in a window make a throughput that one answer more or less moves by 5 %."""
MAX_LATE_MS = 5.0
MAX_RECONNECTED_RATIO = 1.1
"""Connections per user. A few are opened anew after an error; more, and the price of connecting is in the numbers."""
DISTURBANCES = frozenset({"steal", "other_cpu"})
"""Checks whose failure is the machine's passing trouble and not the case's: such a run is worth measuring again."""


@dataclass(frozen=True)
class Facts:
    """What the checks look at: the run so far, and its figures."""

    run: Run
    throughput_rps: float
    service_time_mean_ms: float | None
    generator_lag_mean_ms: float | None
    send_delay_p99_ms: float | None
    """Open load: sent − scheduled."""
    connections: int | None = None
    """Distinct connections in the load's rows, warm-up and drain included."""
    drift: Drift | None = None


def errors(facts: Facts) -> Check:
    """Answers with another status than expected, timeouts, broken connections."""
    counts = facts.run.counts
    ratio = counts.get("errors", 0) / max(counts.get("window_rows", 0), 1)
    return Check(
        name="errors",
        value=ratio,
        limit=MAX_ERROR_RATIO,
        effect="void",
        ok=ratio <= MAX_ERROR_RATIO,
        detail=f"{100 * ratio:.1f} % of the requests failed; see the error column of its samples and server.log",
    )


def rows(facts: Facts) -> Check:
    """Enough answers to speak of."""
    count = facts.run.counts.get("window_rows", 0)
    return Check(
        name="rows",
        value=count,
        limit=MIN_ROWS,
        effect="void" if count == 0 else "flag",
        ok=count >= MIN_ROWS,
        detail=f"only {count} answers came in the window; lengthen measure_s",
    )


def generator_cpu(facts: Facts) -> Check | None:
    """The generator itself must not be what is measured."""
    generator = facts.run.generator
    if not generator.get("wall_s"):
        return None
    ratio = generator["busiest_cpu_s"] / generator["wall_s"]
    return Check(
        name="generator_cpu",
        value=ratio,
        limit=MAX_GENERATOR_CPU_RATIO,
        effect="void",
        ok=ratio <= MAX_GENERATOR_CPU_RATIO,
        detail=f"the generator used {100 * ratio:.0f} % of a core and may be the bottleneck; lower users or rate_rps",
    )


def users(facts: Facts) -> Check | None:
    """Every user that was asked for was there."""
    generator = facts.run.generator
    if "users_wanted" not in generator:
        return None
    wanted, had = generator["users_wanted"], generator["users"]
    return Check(
        name="users",
        value=had,
        limit=wanted,
        effect="void",
        ok=had == wanted,
        detail=f"{had} of {wanted} users ran at the end of the window; see generator.log",
    )


def connections(facts: Facts) -> Check | None:
    """Closed load: every user had a connection of its own, and kept it.

    Fewer void: less was asked of the server than the case says. More is what some servers do (they close connections
    that wait), and only flags.
    """
    load, used = facts.run.case.load, facts.connections
    if load.model != "closed" or load.new_connection_per_request or facts.run.case.scenario is not None:
        return None
    if used is None:
        return None
    is_short = used < load.users
    return Check(
        name="connections",
        value=used,
        limit=load.users,
        effect="void" if is_short else "flag",
        ok=not is_short and used <= MAX_RECONNECTED_RATIO * load.users,
        detail=(
            f"only {used} of {load.users} users ever had a connection; see server.log and its limit of connections"
            if is_short
            else f"{load.users} users needed {used} connections: the server closed some; raise its keep-alive time"
        ),
    )


def warm(facts: Facts) -> Check | None:
    """In closed load, all users had been answered before the window began."""
    window, load = facts.run.window, facts.run.case.load
    if window is None or load.model != "closed":
        return None
    return Check(
        name="warm",
        value=float(window.warm),
        limit=1.0,
        effect="flag",
        ok=window.warm,
        detail=f"some users had no answer after {load.warmup_max_s:g} s of warm-up; raise warmup_max_s or lower users",
    )


def drift(facts: Facts) -> Check | None:
    """Throughput and service time were as high at the window's end as at its start (loopwise.analysis.drift).

    A flag: what was measured is true of these seconds, but may not be true of the next.
    """
    found = facts.drift
    if found is None:
        return None
    direction = "rose" if found.size > 0 else "fell"
    return Check(
        name="drift",
        value=abs(found.size),
        limit=found.limit,
        effect="flag",
        ok=not found.is_beyond,
        detail=(
            f"{found.what} {direction} over the window by {100 * abs(found.size):.0f} % of its median: "
            "the server was still warming up, or something grows; raise warmup_s"
        ),
    )


def littles_law(facts: Facts) -> Check | None:
    """Closed load: users = throughput × (service time + lag + think time), or something is not counted.

    A user whose answer has arrived and was not read yet is neither at the server nor thinking: lag counts, too.
    """
    load, mean_ms = facts.run.case.load, facts.service_time_mean_ms
    if load.model != "closed" or facts.run.case.scenario is not None or mean_ms is None:
        return None
    implied = facts.throughput_rps * ((mean_ms + (facts.generator_lag_mean_ms or 0.0)) / 1e3 + load.think_s)
    deviation = abs(implied / load.users - 1)
    # Answers come in whole numbers: a window that holds few of them per user is not that exact.
    slack = load.users / max(facts.run.counts.get("window_rows", 0), 1)
    limit = max(MAX_LITTLE_DEVIATION, slack)
    return Check(
        name="littles_law",
        value=deviation,
        limit=limit,
        effect="flag",
        ok=deviation <= limit,
        detail=(
            f"throughput × time in system gives {implied:.1f} users, {load.users} were there: "
            "the load was not steady in the window; lengthen warmup_s and measure_s"
        ),
    )


def schedule(facts: Facts) -> Check | None:
    """Open load: requests left when they were due."""
    late_ms = facts.send_delay_p99_ms
    if facts.run.case.load.model != "open" or late_ms is None:
        return None
    return Check(
        name="schedule",
        value=late_ms,
        limit=MAX_LATE_MS,
        effect="flag",
        ok=late_ms <= MAX_LATE_MS,
        detail=(
            f"1 % of the requests left over {late_ms:.1f} ms late; response times count that, service times do not; "
            "raise max_connections if the server is slow, lower rate_rps if the generator is"
        ),
    )


def clock_step(facts: Facts) -> Check | None:
    """The wall clock ran as steadily as the monotonic one."""
    step_ms = facts.run.generator.get("clock_step_ms")
    if step_ms is None:
        return None
    return Check(
        name="clock_step",
        value=abs(step_ms),
        limit=MAX_CLOCK_STEP_MS,
        effect="void",
        ok=abs(step_ms) <= MAX_CLOCK_STEP_MS,
        detail=f"the clock was set by {step_ms:.1f} ms during the run; measure again",
    )


def steal(facts: Facts) -> Check | None:
    """The hypervisor left the CPU to this machine."""
    ratio = facts.run.host.get("steal_ratio")
    if ratio is None:
        return None
    return Check(
        name="steal",
        value=ratio,
        limit=MAX_STEAL_RATIO,
        effect="flag",
        ok=ratio <= MAX_STEAL_RATIO,
        detail=(
            f"the hypervisor took {100 * ratio:.0f} % of the CPU during the window; "
            "measure when the host is quieter"
        ),
    )


CHECKS: dict[str, Callable[[Facts], Check | None]] = {
    "errors": errors,
    "rows": rows,
    "generator_cpu": generator_cpu,
    "users": users,
    "connections": connections,
    "warm": warm,
    "drift": drift,
    "littles_law": littles_law,
    "schedule": schedule,
    "clock_step": clock_step,
    "steal": steal,
    "other_cpu": other_cpu,
    "core_count": core_count,
    "frequency": frequency,
    "swap": swap,
    "worker_idle": lambda facts: validity_workers.worker_idle(facts.run),
    "worker_share": lambda facts: validity_workers.worker_share(facts.run),
    "restarted": lambda facts: validity_workers.restarted(facts.run),
    "pool_deaths": lambda facts: validity_workers.pool_deaths(facts.run),
    "memory": lambda facts: validity_workers.memory(facts.run),
}
"""Check by name. A failed `void` makes the run invalid, a failed `flag` puts a mark beside its numbers."""


def check(facts: Facts) -> tuple[Check, ...]:
    """Apply every check that applies."""
    found = (function(facts) for function in CHECKS.values())
    return tuple(one.model_copy(update={"detail": ""}) if one.ok else one for one in found if one is not None)


def verdict(checks: tuple[Check, ...]) -> str | None:
    """Why the run is invalid, in one sentence; None when it is valid."""
    broken = [one for one in checks if one.effect == "void" and not one.ok]
    return f"{broken[0].name}: {broken[0].detail}" if broken else None


def disturbance(checks: Iterable[Check]) -> float:
    """How far the machine was from leaving a run alone: the worst value ÷ limit of DISTURBANCES; 0 when all passed."""
    broken = [one.value / one.limit for one in checks if one.name in DISTURBANCES and not one.ok]
    return max(broken, default=0.0)
