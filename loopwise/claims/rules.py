"""What decides each claim: a pure function of a summary, and where it depends, what a search may add to it.

RULES is the table that everything else calls. A rule sees valid runs only; one that lacks a case, or finds it without
a valid run, says `invalid` and why: nothing is confirmed or refuted by what was not measured.
"""

from collections.abc import Callable
from functools import partial

from loopwise.analysis.summary import Summary
from loopwise.claims import rules_apps, rules_computing, rules_waiting
from loopwise.claims.claim import Finding
from loopwise.claims.lessons import lesson
from loopwise.claims.look import Look
from loopwise.claims.opinion import Opinion
from loopwise.claims.questions import Unmeasured
from loopwise.claims.sweeps import Sweep
from loopwise.machine import machine_words

UNDECIDED = ", which the measurement is too noisy or too short to decide"

_OPINIONS: dict[str, Callable[[Look], Opinion]] = {
    "C01": rules_waiting.c01,
    "C02": rules_waiting.c02,
    "C03": rules_waiting.c03,
    "C04": rules_computing.c04,
    "C05": rules_waiting.c05,
    "C06": rules_waiting.c06,
    "C07": rules_waiting.c07,
    "C08": rules_waiting.c08,
    "C09": rules_computing.c09,
    "C10": rules_computing.c10,
    "C11": rules_apps.c11,
    "C12": rules_computing.c12,
    "C13": rules_computing.c13,
    "C14": rules_waiting.c14,
    "C15": rules_apps.c15,
    "C16": rules_apps.c16,
    "C17": rules_apps.c17,
    "C18": rules_computing.c18,
    "C19": rules_apps.c19,
    "C20": rules_apps.c20,
}


def _ruled(claim_id: str, rule: Callable[[Look], Opinion], summary: Summary) -> Finding:
    """The finding that a rule comes to."""
    look = Look(summary)
    known = {
        "claim_id": claim_id,
        "lesson": lesson(look, claim_id),
        "measured_at": summary.experiment.created_at,
        "machine": machine_words(summary.experiment.environment),
    }
    try:
        opinion = rule(look)
    except Unmeasured as missing:
        return Finding(verdict="invalid", sentence=str(missing), **known)
    return Finding(
        verdict=opinion.word,
        sentence=opinion.sentence + (UNDECIDED if opinion.word == "undecided" else ""),
        ratio=opinion.decisive.estimate,
        cause=look.cause(opinion.slower),
        crossover=opinion.crossover,
        **known,
    )


RULES: dict[str, Callable[[Summary], Finding]] = {
    claim_id: partial(_ruled, claim_id, rule) for claim_id, rule in _OPINIONS.items()
}
"""Claim -> the finding that a summary of its suite gives."""

SWEEPS: dict[str, Callable[[Look], Sweep]] = {
    "C01": rules_waiting.knee_of_sync,
    "C02": rules_waiting.knee_of_async,
    "C03": rules_waiting.gain_of_async,
    "C07": rules_waiting.cap_of_to_thread,
    "C11": rules_apps.harm_of_blocking,
    "C13": rules_computing.gain_of_pool,
    "C14": rules_waiting.knee_of_rate,
    "C19": rules_apps.end_of_driver,
}
"""Claim -> the factor whose crossover a search looks for."""


def sweep_of(claim_id: str, summary: Summary) -> Sweep | None:
    """The claim's sweep as far as the summary has it; None where it has none, or lacks what it is compared with."""
    if claim_id not in SWEEPS:
        return None
    try:
        return SWEEPS[claim_id](Look(summary))
    except Unmeasured:
        return None
