"""What holds an endpoint back, from its run as written: which changes are worth a measurement follows from it."""

from collections.abc import Iterable
from dataclasses import dataclass

from loopwise.analysis.checks import void_reason
from loopwise.model import Cause, Run

MIN_SHARE = 0.1
"""A loop that is held for less of the window is held by garbage collection and the like."""
CURABLE = ("loop_blocked", "thread_pool_full")
"""Causes that a mode, an edit or a setting of ours may lift, by their weight."""
OUTSIDE = (
    "pool_deadlock",
    "dependency_pool_full",
    "lock_contended",
    "dependency_bound",
    "executor_full",
    "process_pool_full",
)
"""Causes in what the app waits for: its own pools and locks, and others' services."""
COMPUTES = 0.4
"""A worker that uses so much of a core while its loop is held computes there, and waits for nobody."""


@dataclass(frozen=True)
class Diagnosis:
    """One endpoint as written."""

    cause: Cause | None
    """What a change may lift; None: nothing of that kind."""
    throughput_rps: float = 0.0
    computes: bool = False
    """Whether the worker computes while it holds its loop."""
    fault: str = ""
    """Why the endpoint can't be compared; empty: it can."""
    note: str = ""
    """What else holds it back, in words, with the remedy."""

    @property
    def weight(self) -> float:
        """How bad it is: the share of the time that the cause takes."""
        return self.cause.share if self.cause else 0.0


def diagnose(run: Run, throughput_rps: float | None) -> Diagnosis:
    """Read a run of an endpoint as written.

    Args:
        run: measured, with its causes.
        throughput_rps: of the run; None: it failed.
    """
    if run.status == "failed" or not throughput_rps:
        return Diagnosis(None, fault=run.error or void_reason(run.checks) or "it gave no answer in the window")
    if run.status == "invalid" and not run.causes:
        return Diagnosis(None, fault=void_reason(run.checks) or "its run is invalid")
    cause = _first(run.causes, CURABLE)
    other = _first(run.causes, OUTSIDE)
    if cause is not None and cause.cause == "loop_blocked" and cause.share < MIN_SHARE:
        cause = None
    if cause is not None and cause.cause != "loop_blocked" and other is not None:
        cause = None  # its threads wait for what has fewer places than they are
    note = "" if other is None else ": ".join(filter(None, (other.evidence, other.remedy)))
    duration_s = run.window.duration_s if run.window else 0.0
    used_s = max((worker.cpu_s for worker in run.workers), default=0.0)
    computes = duration_s > 0 and used_s / duration_s >= COMPUTES
    return Diagnosis(cause, throughput_rps, computes, note=note if cause is None else "")


def _first(causes: Iterable[Cause], names: Iterable[str]) -> Cause | None:
    by_name = {each.cause: each for each in causes}
    return next((by_name[name] for name in names if name in by_name), None)
