"""Checks of the machine: as many cores, as fast, and nobody else on them."""

from loopwise.analysis.checks.facts import Facts, Reading
from loopwise.model import HostFigures

MAX_STEAL_RATIO = 0.1
"""Above this share of stolen CPU, throughput on this machine varies more than the default margin."""
MAX_FREQUENCY_CHANGE = 0.1
"""A clock moves by steps of 100 MHz (3 to 5 %) all the time; by twice the default margin, and the window's ends were
measured on two machines."""
MAX_SWAPPED_MB = 1.0
"""A few pages of an idle process come back at any time; a server that lacks memory moves many times this a second."""
MAX_OTHER_CPU_CORES = 0.2
"""A tenth of a machine with two cores, as MAX_STEAL_RATIO. The kernel counts in ticks, so that a quiet machine shows
up to 0.1."""

MAX_HARNESS_PAUSE_S = 1.0
"""On a machine whose cores the server has for itself, the harness waits for tenths of a second; more is a stopped
process, and figures of CPU and memory are of another time than the window."""


def harness_paused(host: HostFigures) -> Reading | None:
    """The harness sampled machine and server all through the window."""
    pause_s = host.harness_pause_s
    if pause_s is None:
        return None
    sentence = (
        f"Loopwise itself did not run for {pause_s:.1f} s of the window: it was stopped (Ctrl-Z), or the machine was; "
        "leave it alone and measure again"
    )
    return Reading(pause_s, MAX_HARNESS_PAUSE_S, sentence)


def steal(host: HostFigures) -> Reading | None:
    """The hypervisor left the CPU to this machine.

    No reason to void a round of a pair either: both sides were disturbed alike, which is what pairs are for.
    """
    ratio = host.steal_ratio
    if ratio is None:
        return None
    sentence = f"the hypervisor took {100 * ratio:.0f} % of the CPU during the window; measure when the host is quieter"
    return Reading(ratio, MAX_STEAL_RATIO, sentence)


def other_cpu(facts: Facts) -> Reading | None:
    """Nobody else used the CPU: all processes, less the server's, the generator's and our own."""
    host, window = facts.run.host, facts.run.window
    # Without figures of the server its own CPU would pass for somebody else's.
    spent_s = (host.processes_cpu_s, host.harness_cpu_s, host.server_cpu_s)
    if window is None or None in spent_s:
        return None
    all_s, harness_s, server_s = (each or 0.0 for each in spent_s)
    cores = max(all_s - server_s - harness_s - facts.run.generator.cpu_s, 0.0) / window.duration_s
    sentence = f"other processes used {cores:.2f} of a core during the window; end what else runs (see `top`)"
    return Reading(cores, MAX_OTHER_CPU_CORES, sentence)


def core_count(facts: Facts) -> Reading | None:
    """As many cores at the window's end as at its start. Void: no one machine gave these numbers."""
    host = facts.run.host
    if host.cores_before is None or host.cores_after is None:
        return None
    before, after = int(host.cores_before), int(host.cores_after)
    sentence = f"{before} cores at the window's start, {after} at its end; leave them alone and measure again"
    return Reading(after, before, sentence, after == before)


def frequency(facts: Facts) -> Reading | None:
    """The clock of the fastest core, at the window's end as at its start.

    A flag: most of the window may be of one clock.
    """
    ratio = facts.run.host.frequency_ratio
    if ratio is None:
        return None
    sentence = (
        f"the CPU's clock went to {100 * ratio:.0f} % of what it was at the window's start; "
        "set the governor to performance, or let the machine cool"
    )
    return Reading(abs(ratio - 1), MAX_FREQUENCY_CHANGE, sentence)


def swap(facts: Facts) -> Reading | None:
    """No memory went to swap or came from there. Swap that is in use but lies still costs nothing.

    A flag: it may have been somebody else's memory.
    """
    moved_mb = facts.run.host.swapped_mb
    if moved_mb is None:
        return None
    sentence = f"{moved_mb:.1f} MB went to or came from swap during the window; free memory, or turn swap off"
    return Reading(moved_mb, MAX_SWAPPED_MB, sentence)
