"""Latency of the canary, the cheap route beside the load, compared with the idle app's and put into words."""

from loopwise.analysis.figures import CaseFigures
from loopwise.analysis.wording import percent, times
from loopwise.model import Estimate


def against_idle(ratio: Estimate, margin: float) -> str:
    """The verdict on the canary's p99 under load ÷ that of the idle app: `worse`, `same` or `undecided`."""
    if ratio.low is None or ratio.high is None:
        return "undecided"
    if ratio.low > 1 + margin:
        return "worse"
    return "same" if ratio.high < 1 + margin else "undecided"


def canary_sentence(figures: CaseFigures, *, margin: float, confidence: float) -> str:
    """A clause on a case's canary; empty without one, or without a valid run."""
    path = figures.case.load.victim
    if path is None or not figures.runs:
        return ""
    if silent := [run for run in figures.runs.values() if run.counts.get("victim_rows") == 0]:
        runs = "" if len(silent) == len(figures.runs) else f" of {len(silent)} of {len(figures.runs)} runs"
        return f"the canary {path} had no answer in the window{runs}"
    p99 = figures.estimate("victim_p99_ms", confidence)
    if p99 is None:
        return f"the canary {path} had no good answer in the window"
    text = f"the canary {path} took {_ms(p99)} at p99"
    ratio = figures.estimate("victim_slowdown", confidence)
    if ratio is None:
        return text
    word = against_idle(ratio, margin)
    end = {
        "worse": "worse",
        "same": f"no worse by more than {percent(margin)}",
        "undecided": f"undecided at {percent(margin)}",
    }[word]
    return f"{text}, {times(ratio)} that of the idle app: {end}"


def _ms(known: Estimate) -> str:
    interval = "" if known.low is None or known.high is None else f" [{known.low:.3g}, {known.high:.3g}]"
    return f"{known.value:.3g}{interval} ms"
