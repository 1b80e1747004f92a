"""A duel's rounds as the figures of its two cases. Pure.

Both servers ran at once on the same cores, so the absolute figures are those of a shared machine: no bound applies to
them, and what counts is the ratio.
"""

from collections.abc import Iterator, Sequence

from loopwise.analysis.measured import CaseFigures
from loopwise.analysis.metrics import METRICS, RunFigures
from loopwise.model import TOTAL, Case, Experiment, Round, Side, Verdict

SAID = ("throughput_rps", "cpu_ms_per_request")
"""Metrics whose verdicts are the answer."""


def duel_rounds(experiment: Experiment, rounds: Sequence[Round]) -> tuple[Round, ...]:
    """The rounds of a result that is a duel: nothing was planned but its pairs. Empty for any other."""
    if experiment.plan:
        return ()
    return tuple(each for each in rounds if each.pairing == "duel")


def figures_of(case: Case, rounds: Sequence[Round]) -> CaseFigures:
    """What a case gave: a valid round is a replicate."""
    valid: dict[int, RunFigures] = {}
    spoilt: dict[int, RunFigures] = {}
    reason = ""
    for each in rounds:
        side = _side(case, each)
        if side is None:
            continue
        if each.status == "ok":
            valid[each.number] = _run_figures(case, side)
            continue
        reason = reason or why(each)
        if each.status == "invalid":
            spoilt[each.number] = _run_figures(case, side)
    return CaseFigures(case=case, runs=valid, spoilt=spoilt, reason="" if valid else reason or "no round yet")


def why(each: Round) -> str:
    """Why a round can't be used, or what marks it."""
    broken = [check for check in each.checks if not check.ok]
    broken.sort(key=lambda check: check.effect != "void")
    return each.error or (broken[0].detail or broken[0].name if broken else f"the round is {each.status}")


def sentences(verdicts: Sequence[Verdict]) -> Iterator[str]:
    """The answer: what the duel says of the whole, throughput first."""
    for metric in SAID:
        for verdict in verdicts:
            if verdict.metric == metric and verdict.endpoint in {"", TOTAL}:
                yield f"{verdict.reason}."


def _side(case: Case, each: Round) -> Side | None:
    sides = {each.candidate_case: each.candidate, each.baseline_case: each.baseline}
    return sides.get(case.case_id)


def _run_figures(case: Case, side: Side) -> RunFigures:
    # The only endpoint of a case bears its name in summaries, and TOTAL in rounds.
    whole = case.endpoints[0].name if len(case.endpoints) == 1 else TOTAL
    found = {
        (whole if endpoint == TOTAL else endpoint, metric): value
        for endpoint, metrics in side.metrics.items()
        for metric, value in metrics.items()
        if metric in METRICS
    }
    rows, errors = side.counts.get("window_rows", 0), side.counts.get("errors", 0)
    if rows:
        found[whole, "error_ratio"] = errors / rows
    return RunFigures(endpoint=whole, metrics=found, counts=dict(side.counts))
