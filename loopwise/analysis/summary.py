"""The summary of a result: figures of each case, verdicts, answers, predictions, and what charts are drawn from."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import pandas as pd
import pyarrow as pa

from loopwise.analysis import digest as digests
from loopwise.analysis.bounds import bounds
from loopwise.analysis.cards import Card, cards
from loopwise.analysis.causes import deadlock_of, first_causes
from loopwise.analysis.checks import void_reason
from loopwise.analysis.conclusions import answer_all, duel_answers
from loopwise.analysis.digest import Digest, digest
from loopwise.analysis.errors import CaseError, errors_of_run, listed, over_runs
from loopwise.analysis.figures import CaseFigures, RunFigures, figures_of
from loopwise.analysis.metrics import CANARY, COMPARED, METRICS
from loopwise.analysis.paired import explain, settled_by_slices, within_blocks
from loopwise.analysis.predictions import Prediction, predict
from loopwise.analysis.rounds import duel_rounds, errors_in_rounds, figures_in_rounds
from loopwise.analysis.rows import COLUMNS as ROW_COLUMNS
from loopwise.analysis.rows import RunRows
from loopwise.analysis.scaling import Scaling, scale_all
from loopwise.analysis.verdicts import judge_family, judge_rounds
from loopwise.errors import ResultError
from loopwise.model import TOTAL, Case, ErrorCount, Estimate, Experiment, Round, Run, Verdict
from loopwise.model.factors import baseline_pairs

COLUMNS = [
    *("case_id", "workload", "params", "mode", "server", "workers", "load", "endpoint"),
    *("metric", "unit", "value", "ci_low", "ci_high", "confidence", "replicates"),
    *("predicted", "valid", "reason", "errors"),
]
QUANTILE_COLUMNS = ["case_id", "endpoint", "quantile", "service_time_ms", "replicate"]


class Source(Protocol):
    """A result to summarise; loopwise.results.folder.ResultFolder is one."""

    def experiment(self) -> Experiment:
        """The experiment."""

    def runs(self) -> tuple[list[Run], list[str]]:
        """Its runs in the order of execution, and a sentence for each that can't be read."""

    def rounds(self) -> tuple[list[Round], list[str]]:
        """Its rounds of pairs, likewise."""

    def samples(self, run: Run, columns: Sequence[str] | None = None) -> pa.Table:
        """Those columns of a run's rows. Raises ResultError."""

    def telemetry(self, run: Run, columns: Sequence[str]) -> pa.Table | None:
        """Those columns of a run's telemetry that it has; None without any. Raises ResultError."""


@dataclass(frozen=True)
class Summary:
    """Everything a report shows, computed once."""

    experiment: Experiment
    runs: tuple[Run, ...]
    table: pd.DataFrame
    """summary.csv: one row per case × endpoint × metric; COLUMNS."""
    quantiles: pd.DataFrame
    """QUANTILE_COLUMNS, of valid runs; quantiles from 0 to 1."""
    verdicts: tuple[Verdict, ...]
    answers: tuple[str, ...]
    damaged: tuple[str, ...]
    """A sentence for each run that can't be read."""
    cases: dict[str, CaseFigures] = field(default_factory=dict)
    """By case_id, in the suite's order: the figures of each run."""
    predictions: tuple[Prediction, ...] = ()
    """Each case whose cost is known beside its smallest bound."""
    scaling: tuple[Scaling, ...] = ()
    """How throughput grows with workers, where cases on three or more worker counts are equal otherwise."""
    digests: dict[str, tuple[Digest, ...]] = field(default_factory=dict)
    """By case_id: of each run that has a window, including invalid and disturbed ones."""
    duel: tuple[Round, ...] = ()
    """The rounds of a result that is a duel; they replace runs."""
    cards: tuple[Card, ...] = ()
    """The answer on each workload or endpoint as data; none for a duel."""
    errors: dict[str, tuple[CaseError, ...]] = field(default_factory=dict)
    """By case_id, of cases with errors: how many requests failed in which way, in valid and in invalid runs."""
    slices: tuple[Round, ...] = ()
    """The rounds in which comparisons that blocks left undecided were measured again."""


@dataclass
class ReducedRuns:
    """The runs of a result once their rows are let go."""

    figures: dict[str, list[tuple[Run, RunFigures]]] = field(default_factory=dict)
    """By case_id: runs that count, and invalid ones."""
    digests: dict[str, tuple[Digest, ...]] = field(default_factory=dict)
    """By case_id: of every run that has a window, including invalid and disturbed ones."""
    errors: dict[str, dict[int, Sequence[ErrorCount]]] = field(default_factory=dict)
    """By case_id and replicate: of runs that count, and of invalid ones."""
    reasons: dict[str, str] = field(default_factory=dict)
    """By case_id: why the first of its runs that can't be used can't."""
    damaged: list[str] = field(default_factory=list)
    """A sentence for each file that can't be read."""

    def case_figures(self, case: Case) -> CaseFigures:
        """The figures of a case over its runs."""
        runs = self.figures.get(case.case_id, ())
        valid = {run.replicate: each for run, each in runs if run.status == "ok"}
        return CaseFigures(
            case=case,
            runs=valid,
            spoilt={run.replicate: each for run, each in runs if run.status == "invalid"},
            reason="" if valid else self.reasons.get(case.case_id, "not measured yet"),
        )


def summarise(source: Source) -> Summary:
    """Read a result and compute everything that is shown of it.

    Raises:
        ResultError: it is no result, or of a newer version. A damaged run among good ones is only named.
    """
    experiment = source.experiment()
    runs, damaged = source.runs()
    reduced = reduce_runs(source, runs)
    rounds, unreadable = source.rounds()
    damaged = [*damaged, *reduced.damaged, *unreadable]
    duel = duel_rounds(experiment, rounds)
    if duel:
        return _of_duel(experiment, duel, damaged)
    cases = {case.case_id: reduced.case_figures(case) for case in experiment.suite.cases}
    verdicts = _verdicts(experiment, cases, rounds)
    scaling = tuple(scale_all(experiment, cases))
    errors = _errors(experiment, reduced.errors)
    causes = first_causes(runs)
    return Summary(
        experiment=experiment,
        runs=tuple(runs),
        table=_table(experiment, cases, errors),
        quantiles=_quantiles(experiment, reduced),
        verdicts=verdicts,
        answers=(
            *answer_all(experiment, cases, verdicts, {key: each.evidence for key, each in causes.items()}),
            *(each.sentence for each in scaling),
        ),
        damaged=tuple(damaged),
        cases=cases,
        cards=tuple(cards(experiment, cases, verdicts, causes)),
        predictions=_predictions(experiment, cases, runs),
        scaling=scaling,
        slices=tuple(rounds),
        digests=reduced.digests,
        errors=errors,
    )


def reduce_runs(source: Source, runs: Sequence[Run]) -> ReducedRuns:
    """Read the rows of each run and reduce them; never more than one run's are in memory."""
    reduced = ReducedRuns()
    for run in runs:
        if run.status in {"failed", "invalid"}:
            reduced.reasons.setdefault(run.case.case_id, _reason(run))
    for run in runs:
        if run.status == "failed":
            continue
        case_id, is_counted = run.case.case_id, run.status != "disturbed"
        try:
            figures, kept, errors = _reduce(source, run, reduced.damaged)
        except ResultError as error:
            reduced.damaged.append(str(error))
            if is_counted:
                reduced.reasons.setdefault(case_id, str(error))
            continue
        if is_counted:
            reduced.figures.setdefault(case_id, []).append((run, figures))
            reduced.errors.setdefault(case_id, {})[run.replicate] = errors
        if kept is not None:
            reduced.digests[case_id] = (*reduced.digests.get(case_id, ()), kept)
    return reduced


def _reduce(source: Source, run: Run, damaged: list[str]) -> tuple[RunFigures, Digest | None, Sequence[ErrorCount]]:
    table = source.samples(run, ROW_COLUMNS)
    rows = RunRows(table, run)
    # Results from before run.json recorded errors have them in their rows alone.
    errors = run.errors or errors_of_run(rows, table)
    if run.window is None:
        return figures_of(rows), None, errors
    telemetry = None
    try:
        telemetry = source.telemetry(run, digests.TELEMETRY)
    except ResultError as error:
        damaged.append(str(error))
    return figures_of(rows), digest(rows, telemetry), errors


def _reason(run: Run) -> str:
    if run.status == "failed":
        return run.error or "the run failed"
    # That requests hang or fail is what a deadlock looks like from outside.
    deadlock = deadlock_of(run)
    return deadlock.evidence if deadlock else void_reason(run.checks) or "invalid"


def _of_duel(experiment: Experiment, duel: tuple[Round, ...], damaged: Sequence[str]) -> Summary:
    """The summary of a result whose replicates are rounds."""
    settings = experiment.suite.compare
    cases = {case.case_id: figures_in_rounds(case, duel) for case in experiment.suite.cases}
    sides = {case.case_id: errors_in_rounds(case, duel) for case in experiment.suite.cases}
    errors = _errors(experiment, sides)
    verdicts = tuple(judge_rounds(duel, margin=settings.margin, confidence=settings.confidence))
    return Summary(
        experiment=experiment,
        runs=(),
        table=_table(experiment, cases, errors).assign(predicted=math.nan),
        quantiles=_quantiles(experiment, ReducedRuns()),
        verdicts=verdicts,
        answers=tuple(duel_answers(verdicts)),
        damaged=tuple(damaged),
        cases=cases,
        duel=duel,
        errors=errors,
    )


def _errors(
    experiment: Experiment, by_case: Mapping[str, Mapping[int, Sequence[ErrorCount]]]
) -> dict[str, tuple[CaseError, ...]]:
    """The errors of each case that has any, over its runs; cases in the suite's order."""
    errors = {case.case_id: over_runs(by_case.get(case.case_id, {})) for case in experiment.suite.cases}
    return {case_id: each for case_id, each in errors.items() if each}


def _table(
    experiment: Experiment, cases: dict[str, CaseFigures], errors: Mapping[str, Sequence[CaseError]]
) -> pd.DataFrame:
    """The rows of summary.csv."""
    order = {name: place for place, name in enumerate(METRICS)}
    rows = []
    for figures in cases.values():
        keys = dict.fromkeys(key for run in figures.runs.values() for key in run.metrics)
        if not keys:
            keys = {(figures.endpoint, "throughput_rps"): None}
        for endpoint, metric in sorted(keys, key=lambda key: (key[0], order[key[1]])):
            known = figures.estimate(metric, experiment.suite.compare.confidence, endpoint)
            row = _row(experiment, figures, endpoint, metric, known)
            rows.append(row | {"errors": _errors_of(row, figures, errors.get(figures.case.case_id, ()))})
    return pd.DataFrame(rows, columns=COLUMNS).astype({"workers": "Int64"})


def _row(
    experiment: Experiment, figures: CaseFigures, endpoint: str, metric: str, known: Estimate | None
) -> dict[str, object]:
    case = figures.case
    limits = bounds(case, experiment.environment["cores"])
    is_whole = metric == "throughput_rps" and endpoint == figures.endpoint
    return {
        "case_id": case.case_id,
        "workload": case.workload,
        "params": case.params_label,
        "mode": case.mode,
        "server": case.server.name if case.server else "",
        "workers": case.workers,
        "load": case.load.label,
        "endpoint": endpoint,
        "metric": metric,
        "unit": METRICS[metric].unit,
        "value": known.value if known else math.nan,
        "ci_low": math.nan if known is None or known.low is None else known.low,
        "ci_high": math.nan if known is None or known.high is None else known.high,
        "confidence": experiment.suite.compare.confidence,
        "replicates": known.replicates if known else 0,
        "predicted": limits[0].throughput_rps if limits and is_whole else math.nan,
        "valid": bool(figures.runs),
        "reason": figures.reason,
    }


def _errors_of(row: Mapping[str, object], figures: CaseFigures, errors: Sequence[CaseError]) -> str:
    """The column `errors`: beside error_ratio, and in the only row of a case without a valid run."""
    if figures.runs and row["metric"] != "error_ratio":
        return ""
    return listed([each.counted for each in errors if row["endpoint"] in {each.counted.endpoint, figures.endpoint}])


def _predictions(experiment: Experiment, cases: dict[str, CaseFigures], runs: Sequence[Run]) -> tuple[Prediction, ...]:
    cores, confidence = experiment.environment["cores"], experiment.suite.compare.confidence
    predictions = (predict(each, runs, cores, confidence) for each in cases.values())
    return tuple(each for each in predictions if each is not None)


def _quantiles(experiment: Experiment, reduced: ReducedRuns) -> pd.DataFrame:
    rows: list[tuple[str, str, float, float, int]] = [
        (kept.case_id, endpoint, quantile, value_ms, kept.replicate)
        for case in experiment.suite.cases
        for kept in reduced.digests.get(case.case_id, ())
        if kept.status == "ok"
        for endpoint, latencies in kept.service.items()
        for quantile, value_ms in zip(*(each.tolist() for each in latencies.curve()), strict=True)
        if quantile in digests.DRAWN
    ]
    return pd.DataFrame(rows, columns=QUANTILE_COLUMNS)


def _verdicts(experiment: Experiment, cases: dict[str, CaseFigures], rounds: Sequence[Round]) -> tuple[Verdict, ...]:
    """Every case against its baseline: by slices where there are enough, else within blocks; a family per metric."""
    settings, cores = experiment.suite.compare, experiment.environment["cores"]
    known = {case_id: each.estimate("throughput_rps", settings.confidence) for case_id, each in cases.items()}
    measured_rps = {case_id: throughput.value for case_id, throughput in known.items() if throughput}
    comparisons = []
    for baseline_id, candidate_id in baseline_pairs(experiment.suite):
        baseline, candidate = cases[baseline_id], cases[candidate_id]
        why = explain(baseline.case, candidate.case, measured_rps, cores)
        for metric in (*COMPARED, CANARY) if baseline.has_canary and candidate.has_canary else COMPARED:
            one = within_blocks(baseline, candidate, metric, why if metric == "throughput_rps" else None)
            if one is not None:
                comparisons.append(settled_by_slices(one, rounds, TOTAL))
    return tuple(judge_family(comparisons, margin=settings.margin, confidence=settings.confidence))
