"""Figures of each side of a pair's round, and a duel's rounds as the figures of its two cases.

In a duel both servers run at once on the same cores, so the absolute figures are those of a shared machine: no bound
applies to them, and what counts is the ratio.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from loopwise.analysis.errors import count_errors
from loopwise.analysis.figures import CaseFigures, RunFigures, request_metrics, whole_of
from loopwise.analysis.metrics import CANARY, METRICS
from loopwise.analysis.rows import INTS, MASK, Requests, outcomes, retried
from loopwise.analysis.stats import nearest_rank
from loopwise.generator.protocol import Slice
from loopwise.model import TOTAL, VICTIM, Case, ErrorCount, Experiment, Round, Side


def side_of(table: pa.Table, name: str, stretches: Sequence[Slice], cpu_s: float | None, span: Slice) -> Side:
    """Compute the figures of one side.

    Args:
        table: all rows of the round; endpoints begin with the side's name.
        name: of the side.
        stretches: the times that count; those of the other side are left out.
        cpu_s: CPU time of the side's processes over `span`.
        span: from the first to the last moment of the measurement, in which the CPU time was spent: in slices it is
            longer than what counts, so the requests are counted over it, too.
    """
    endpoints = np.asarray(pc.cast(table.column("endpoint"), pa.string()).to_pylist(), dtype=object)
    canary = np.array([text.startswith(f"{name} {VICTIM}") for text in endpoints], dtype=bool)
    mine = np.array([text.startswith(f"{name} ") for text in endpoints], dtype=bool) & ~canary
    is_ok, is_failed = outcomes(table)
    received_ns = np.asarray(table.column("received_ns"), dtype=np.int64)
    service_ms = (received_ns - np.asarray(table.column("sent_ns"), dtype=np.int64)) / 1e6
    counted, failed, duration_s = np.zeros(len(endpoints), dtype=bool), np.zeros(len(endpoints), dtype=bool), 0.0
    for each in stretches:
        if each.side == name:
            answers, length_ns = _from_answer_to_answer(received_ns, mine & is_ok, each)
            counted |= answers
            failed |= mine & is_failed & _within(received_ns, each)
            duration_s += length_ns / 1e9
    served = int((mine & is_ok & _within(received_ns, span)).sum())
    names = sorted({text.removeprefix(f"{name} ") for text in endpoints[mine]})
    # The whole has one name on both sides: two modes of a workload have paths of their own.
    groups = {TOTAL: counted}
    if len(names) > 1:
        groups |= {each: counted & (endpoints == f"{name} {each}") for each in names}
    metrics = {
        each: request_metrics(Requests(int(answers.sum()), duration_s, {"service": np.sort(service_ms[answers])}))
        for each, answers in groups.items()
    }
    if cpu_s is not None and served:
        metrics[TOTAL]["cpu_ms_per_request"] = cpu_s * 1e3 / served
    own = [each for each in stretches if each.side == name]
    canary_ms = _canary_p99_ms(table, received_ns, canary & is_ok, own)
    if canary_ms is not None:
        metrics[TOTAL][CANARY] = canary_ms
    counts = {
        "rows": int(mine.sum()),
        "window_rows": int((counted | failed).sum()),
        "errors": int(failed.sum()),
        "served": served,
        "retried": retried(table.filter(pa.array(mine))),
    }
    return Side(metrics=metrics, counts=counts, errors=_errors(table, name, counted, failed, span.start_ns))


def _canary_p99_ms(table: pa.Table, received_ns: INTS, answers: MASK, stretches: Sequence[Slice]) -> float | None:
    """The canary's 99th percentile from when it was due, of what was due in the stretches; None without any."""
    if not answers.any():
        return None
    due_ns = np.asarray(pc.fill_null(table.column("scheduled_ns"), 0), dtype=np.int64)
    counted = answers & np.logical_or.reduce([_within(due_ns, each) for each in stretches])
    return nearest_rank(np.sort(received_ns[counted] - due_ns[counted]), 0.99) / 1e6 if counted.any() else None


def _errors(table: pa.Table, name: str, counted: MASK, failed: MASK, start_ns: int) -> tuple[ErrorCount, ...]:
    """The errors of a side, under the names that its endpoints have in a run."""
    if not failed.any():
        return ()
    plain = pc.utf8_replace_slice(pc.cast(table.column("endpoint"), pa.string()), 0, len(name) + 1, "")
    table = table.set_column(table.schema.get_field_index("endpoint"), "endpoint", plain)
    asked = Counter(plain.filter(pa.array(counted | failed)).to_pylist())
    return count_errors(table.filter(pa.array(failed)), asked | Counter({TOTAL: asked.total()}), start_ns)


def _within(times_ns: INTS, stretch: Slice) -> MASK:
    return (times_ns >= stretch.start_ns) & (times_ns < stretch.end_ns)


def _from_answer_to_answer(received_ns: INTS, is_answer: MASK, stretch: Slice) -> tuple[MASK, int]:
    """The answers of a stretch that begins behind one answer and ends with another, and its length in nanoseconds.

    Servers answer in bursts (40 threads that share the GIL end together), and a slice begins when a burst ends. A
    stretch of fixed length would hold two bursts or three by chance, and always begin with a pause.
    """
    before = is_answer & (received_ns < stretch.start_ns)
    inside = is_answer & _within(received_ns, stretch)
    start_ns = int(received_ns[before].max()) if before.any() else stretch.start_ns
    end_ns = int(received_ns[inside].max()) if inside.any() else stretch.end_ns
    return is_answer & (received_ns > start_ns) & (received_ns <= end_ns), end_ns - start_ns


def duel_rounds(experiment: Experiment, rounds: Sequence[Round]) -> tuple[Round, ...]:
    """The rounds of a result that is a duel: nothing was planned but its pairs. Empty for any other."""
    if experiment.plan:
        return ()
    return tuple(each for each in rounds if each.pairing == "duel")


def figures_in_rounds(case: Case, rounds: Sequence[Round]) -> CaseFigures:
    """The figures of a case in a duel; a valid round is a replicate."""
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
        reason = reason or trouble_of(each)
        if each.status == "invalid":
            spoilt[each.number] = _run_figures(case, side)
    return CaseFigures(case=case, runs=valid, spoilt=spoilt, reason="" if valid else reason or "no round yet")


def errors_in_rounds(case: Case, rounds: Sequence[Round]) -> dict[int, tuple[ErrorCount, ...]]:
    """The errors of a case in each round that was measured, by its number."""
    measured = {each.number: _side(case, each) for each in rounds if each.status != "failed"}
    return {number: side.errors for number, side in measured.items() if side is not None}


def _side(case: Case, measured: Round) -> Side | None:
    return {measured.candidate_case: measured.candidate, measured.baseline_case: measured.baseline}.get(case.case_id)


def trouble_of(each: Round) -> str:
    """Why a round can't be used, or what marks it."""
    broken = sorted((check for check in each.checks if not check.ok), key=lambda check: check.effect != "void")
    return each.error or (broken[0].detail or broken[0].name if broken else f"the round is {each.status}")


def _run_figures(case: Case, side: Side) -> RunFigures:
    # The only endpoint of a case has its own name in summaries, and TOTAL in rounds.
    whole = whole_of(case)
    metrics = {
        (whole if endpoint == TOTAL else endpoint, metric): value
        for endpoint, values in side.metrics.items()
        for metric, value in values.items()
        if metric in METRICS
    }
    rows, errors = side.counts.get("window_rows", 0), side.counts.get("errors", 0)
    if rows:
        metrics[whole, "error_ratio"] = errors / rows
    return RunFigures(endpoint=whole, metrics=metrics, counts=dict(side.counts))
