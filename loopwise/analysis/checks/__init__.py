"""Checks that decide whether the numbers of a run, or of a pair's round, can be used.

To add a check: one function in the module of its subject that takes the facts and returns a Reading (or None where the
check does not apply), and one CheckSpec in the table here.
"""

from collections.abc import Iterable

from loopwise.analysis.checks import answers, load, machine, server
from loopwise.analysis.checks.facts import CheckSpec, Facts, Reading
from loopwise.model import SIDES, Check, Round

_SPECS = (
    CheckSpec("errors", "void", answers.errors_of_run),
    CheckSpec("unanswered", "void", answers.unanswered),
    CheckSpec("script_errors", "void", load.script_errors),
    CheckSpec("users", "void", load.users),
    CheckSpec("hung", "void", answers.hung),
    CheckSpec("stopped", "void", answers.stopped),
    CheckSpec("redirects", "flag", answers.redirects),
    CheckSpec("rows", "flag", answers.rows),
    CheckSpec("retried", "flag", lambda facts: answers.retried(facts.run.counts)),
    CheckSpec("generator_cpu", "void", lambda facts: load.generator_cpu(facts.run.generator)),
    CheckSpec("connections", "void", load.connections),
    CheckSpec("warm", "flag", load.warm),
    CheckSpec("drift", "flag", load.drift),
    CheckSpec("littles_law", "flag", load.littles_law),
    CheckSpec("schedule", "flag", load.schedule),
    CheckSpec("clock_step", "void", lambda facts: load.clock_step(facts.run.generator)),
    CheckSpec("paused", "void", lambda facts: load.paused(facts.run.generator)),
    CheckSpec("harness_paused", "void", lambda facts: machine.harness_paused(facts.run.host)),
    CheckSpec("steal", "flag", lambda facts: machine.steal(facts.run.host), lambda ratio, _cores: ratio),
    CheckSpec("other_cpu", "flag", machine.other_cpu, lambda used, cores: used / max(cores, 1)),
    CheckSpec("core_count", "void", machine.core_count),
    CheckSpec("frequency", "flag", machine.frequency),
    CheckSpec("swap", "flag", machine.swap),
    CheckSpec("worker_idle", "flag", server.worker_idle),
    CheckSpec("worker_share", "flag", server.worker_share),
    CheckSpec("restarted", "void", server.restarted),
    CheckSpec("pool_deaths", "void", server.pool_deaths),
    CheckSpec("memory", "flag", server.memory),
    CheckSpec("debug_mode", "flag", server.debug_mode),
)
CHECKS = {spec.name: spec for spec in _SPECS}
"""By name, in the order of run.json."""
DISTURBANCES = frozenset(spec.name for spec in _SPECS if spec.lost_cpu)


def check(facts: Facts) -> tuple[Check, ...]:
    """Apply every check that applies."""
    return tuple(one for spec in CHECKS.values() if (one := spec.check(facts)) is not None)


def check_round(measured: Round) -> tuple[Check, ...]:
    """The checks of a run that apply to a round of a pair; errors and rows are those of each side."""
    readings: list[tuple[str, Reading | None]] = []
    for side in SIDES:
        counts = getattr(measured, side).counts
        count = counts.get("window_rows", 0)
        few = f"only {count} answers of the {side} came; lengthen the round"
        readings += [
            ("errors", answers.errors(counts, getattr(measured, side).errors, f"{side}.log", f"{side}'s ")),
            ("rows", Reading(count, answers.MIN_ROWS, few, count >= answers.MIN_ROWS, "void")),
            ("retried", answers.retried(counts, f"{side}'s ")),
        ]
    readings += [
        ("generator_cpu", load.generator_cpu(measured.generator)),
        ("clock_step", load.clock_step(measured.generator)),
        ("paused", load.paused(measured.generator)),
        ("harness_paused", machine.harness_paused(measured.host)),
        ("steal", machine.steal(measured.host)),
    ]
    return tuple(CHECKS[name].record(reading) for name, reading in readings if reading is not None)


def void_reason(checks: Iterable[Check]) -> str | None:
    """Why the run is invalid, in one sentence; None when it is valid."""
    return next((f"{one.name}: {one.detail}" for one in checks if one.effect == "void" and not one.ok), None)


def disturbance(checks: Iterable[Check]) -> float:
    """Severity of the machine's disturbance: the greatest value ÷ limit of DISTURBANCES; 0 when all passed."""
    failed = [one.value / one.limit for one in checks if one.name in DISTURBANCES and not one.ok]
    return max(failed, default=0.0)
