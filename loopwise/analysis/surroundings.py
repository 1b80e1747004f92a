"""Checks of the machine around a run: did it stay the same, and was it left alone? Part of CHECKS in validity.py."""

from typing import TYPE_CHECKING

from loopwise.model import Check

if TYPE_CHECKING:
    from loopwise.analysis.checks import Facts

MAX_FREQUENCY_CHANGE = 0.1
"""A clock moves by steps of 100 MHz (3 to 5 %) all the time; by twice the default margin, and the window's ends were
measured on two machines."""
MAX_SWAPPED_MB = 1.0
"""A few pages of an idle process come back at any time; a server that lacks memory moves many times this a second."""
MAX_OTHER_CPU_CORES = 0.2
"""A tenth of a machine with two cores, as validity.MAX_STEAL_RATIO. The kernel counts in ticks, so that a quiet machine
shows up to 0.1."""


def other_cpu(facts: "Facts") -> Check | None:
    """Nobody else used the CPU: all processes, less the server's, the generator's and our own.

    A flag like steal, and like a run under steal it is measured again.
    """
    host, window = facts.run.host, facts.run.window
    # Without figures of the server its own CPU would pass for somebody else's.
    if window is None or not {"processes_cpu_s", "harness_cpu_s", "server_cpu_s"} <= set(host):
        return None
    known_s = host["server_cpu_s"] + host["harness_cpu_s"] + facts.run.generator.get("cpu_s", 0.0)
    cores = max(host["processes_cpu_s"] - known_s, 0.0) / window.duration_s
    return Check(
        name="other_cpu",
        value=cores,
        limit=MAX_OTHER_CPU_CORES,
        effect="flag",
        ok=cores <= MAX_OTHER_CPU_CORES,
        detail=f"other processes used {cores:.2f} of a core during the window; end what else runs (see `top`)",
    )


def core_count(facts: "Facts") -> Check | None:
    """As many cores at the window's end as at its start. Void: no one machine gave these numbers."""
    host = facts.run.host
    if not {"cores_before", "cores_after"} <= set(host):
        return None
    before, after = int(host["cores_before"]), int(host["cores_after"])
    return Check(
        name="core_count",
        value=after,
        limit=before,
        effect="void",
        ok=after == before,
        detail=f"{before} cores at the window's start, {after} at its end; leave them alone and measure again",
    )


def frequency(facts: "Facts") -> Check | None:
    """The clock of the fastest core, at the window's end as at its start.

    A flag: most of the window may be of one clock.
    """
    ratio = facts.run.host.get("frequency_ratio")
    if ratio is None:
        return None
    change = abs(ratio - 1)
    return Check(
        name="frequency",
        value=change,
        limit=MAX_FREQUENCY_CHANGE,
        effect="flag",
        ok=change <= MAX_FREQUENCY_CHANGE,
        detail=(
            f"the CPU's clock went to {100 * ratio:.0f} % of what it was at the window's start; "
            "set the governor to performance, or let the machine cool"
        ),
    )


def swap(facts: "Facts") -> Check | None:
    """No memory went to swap or came from there. Swap that is in use but lies still costs nothing.

    A flag: it may have been somebody else's memory.
    """
    moved_mb = facts.run.host.get("swapped_mb")
    if moved_mb is None:
        return None
    return Check(
        name="swap",
        value=moved_mb,
        limit=MAX_SWAPPED_MB,
        effect="flag",
        ok=moved_mb <= MAX_SWAPPED_MB,
        detail=f"{moved_mb:.1f} MB went to or came from swap during the window; free memory, or turn swap off",
    )
