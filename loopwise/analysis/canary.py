"""Latency of the canary, the cheap route beside the load, compared with the idle app's and put into words."""

from loopwise.analysis.figures import CaseFigures
from loopwise.analysis.wording import duration, percent, times
from loopwise.model import Estimate, Noun


class Canary(Noun):
    """What became of a case's canary; part of a card in summary.json."""

    path: str
    silence: str = ""
    """`no answer in the window`; empty where it had some."""
    p99: Estimate | None = None
    """Milliseconds; None where it was silent."""
    slowdown: Estimate | None = None
    """p99 ÷ that of the idle app; None where that is unknown."""
    verdict: str = ""
    """On slowdown: `worse`, `same` or `undecided`."""


def against_idle(ratio: Estimate, margin: float) -> str:
    """The verdict on the canary's p99 under load ÷ that of the idle app: `worse`, `same` or `undecided`."""
    if ratio.low is None or ratio.high is None:
        return "undecided"
    if ratio.low > 1 + margin:
        return "worse"
    return "same" if ratio.high < 1 + margin else "undecided"


def canary_of(figures: CaseFigures, *, margin: float, confidence: float) -> Canary | None:
    """What became of a case's canary; None without one, or without a valid run."""
    path = figures.case.load.victim
    if path is None or not figures.runs:
        return None
    if silent := [run for run in figures.runs.values() if run.counts.get("victim_rows") == 0]:
        runs = "" if len(silent) == len(figures.runs) else f" of {len(silent)} of {len(figures.runs)} runs"
        return Canary(path=path, silence=f"no answer in the window{runs}")
    p99 = figures.estimate("victim_p99_ms", confidence)
    if p99 is None:
        return Canary(path=path, silence="no good answer in the window")
    slowdown = figures.estimate("victim_slowdown", confidence)
    return Canary(path=path, p99=p99, slowdown=slowdown, verdict=against_idle(slowdown, margin) if slowdown else "")


def canary_sentence(figures: CaseFigures, *, margin: float, confidence: float) -> str:
    """What became of a case's canary, with intervals; empty without one, or without a valid run."""
    found = canary_of(figures, margin=margin, confidence=confidence)
    return canary_words(found, margin) if found else ""


def canary_words(found: Canary, margin: float) -> str:
    """What became of a canary, with intervals."""
    if found.p99 is None:
        return f"the canary {found.path} had {found.silence}"
    text = f"the canary {found.path} took {duration(found.p99)} at p99"
    if found.slowdown is None:
        return text
    ends = {
        "worse": "worse",
        "same": f"no worse by more than {percent(margin)}",
        "undecided": f"undecided at {percent(margin)}",
    }
    return f"{text}, {times(found.slowdown)} that of the idle app: {ends[found.verdict]}"
