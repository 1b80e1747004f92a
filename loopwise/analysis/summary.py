"""From a result on disk to what every view shows: summary, quantiles, verdicts, answers."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import pandas as pd

from loopwise.analysis.bounds import bounds
from loopwise.analysis.causes import first_causes
from loopwise.analysis.conclusions import answer_all
from loopwise.analysis.contest import COMPARED, explain, settled_by_slices, within_blocks
from loopwise.analysis.deviation import Prediction, predict
from loopwise.analysis.digest import Digest
from loopwise.analysis.head_to_head import duel_rounds, figures_of, sentences
from loopwise.analysis.measured import CaseFigures
from loopwise.analysis.metrics import METRICS
from loopwise.analysis.reading import Reading, read_runs
from loopwise.analysis.scaling import Scaling, scale_all
from loopwise.analysis.verdicts import judge_family, judge_rounds
from loopwise.model import TOTAL, Case, Estimate, Experiment, Round, Run, Verdict
from loopwise.model.factors import baseline_pairs
from loopwise.results.folder import ResultFolder

COLUMNS = [
    *("case_id", "workload", "params", "mode", "server", "workers", "load", "endpoint"),
    *(
        "metric",
        "unit",
        "value",
        "ci_low",
        "ci_high",
        "confidence",
        "replicates",
        "predicted",
        "valid",
        "reason",
    ),
]


@dataclass(frozen=True)
class Summary:
    """Everything a report shows, computed once."""

    experiment: Experiment
    runs: tuple[Run, ...]
    table: pd.DataFrame
    """summary.csv: one row per case × endpoint × metric; COLUMNS."""
    quantiles: pd.DataFrame
    """case_id, endpoint, quantile (0–1), service_time_ms, replicate."""
    verdicts: tuple[Verdict, ...]
    answers: tuple[str, ...]
    damaged: tuple[str, ...]
    """A sentence for each run that can't be read."""
    cases: dict[str, CaseFigures] = field(default_factory=dict)
    """By case_id, in the suite's order: the figures of each run, for those who compute further."""
    predictions: tuple[Prediction, ...] = ()
    """How each case whose cost is known stands to its smallest bound."""
    scaling: tuple[Scaling, ...] = ()
    """What more workers bring, where cases on three or more worker counts are equal otherwise."""
    digests: dict[str, tuple[Digest, ...]] = field(default_factory=dict)
    """By case_id: what is kept of the rows of each run that has a window, invalid and disturbed ones among them."""
    duel: tuple[Round, ...] = ()
    """The rounds of a result that is a duel; they stand in place of runs."""
    slices: tuple[Round, ...] = ()
    """The rounds in which what blocks left undecided was measured again."""


def summarise(result: ResultFolder) -> Summary:
    """Read a result and compute all that is shown of it.

    Raises:
        ResultError: the folder is no result, or of a newer version. A damaged run among good ones is only named.
    """
    experiment = result.experiment()
    runs, damaged = result.runs()
    read = read_runs(result, runs)
    damaged += read.damaged
    cases = {case.case_id: _case_figures(case, read) for case in experiment.suite.cases}
    rounds, unreadable = result.rounds()
    damaged += unreadable
    duel = duel_rounds(experiment, rounds)
    if duel:
        return _of_duel(experiment, duel, damaged)
    verdicts = _verdicts(experiment, cases, rounds)
    scaling = tuple(scale_all(experiment, cases))
    return Summary(
        experiment=experiment,
        runs=tuple(runs),
        table=_table(experiment, cases),
        quantiles=_quantiles(cases.values()),
        verdicts=verdicts,
        answers=(
            *answer_all(experiment, cases, verdicts, first_causes(runs)),
            *(each.sentence for each in scaling),
        ),
        damaged=tuple(damaged),
        cases=cases,
        predictions=_predictions(experiment, cases, runs),
        scaling=scaling,
        slices=tuple(rounds),
        digests=read.digests,
    )


def _of_duel(experiment: Experiment, duel: tuple[Round, ...], damaged: Sequence[str]) -> Summary:
    """The summary of a result whose replicates are rounds."""
    settings = experiment.suite.compare
    cases = {case.case_id: figures_of(case, duel) for case in experiment.suite.cases}
    verdicts = tuple(judge_rounds(duel, margin=settings.margin, confidence=settings.confidence))
    return Summary(
        experiment=experiment,
        runs=(),
        table=_table(experiment, cases).assign(predicted=math.nan),
        quantiles=_quantiles(cases.values()),
        verdicts=verdicts,
        answers=tuple(sentences(verdicts)),
        damaged=tuple(damaged),
        cases=cases,
        duel=duel,
    )


def _case_figures(case: Case, read: Reading) -> CaseFigures:
    runs = read.figures.get(case.case_id, ())
    valid = {run.replicate: found for run, found in runs if run.status == "ok"}
    return CaseFigures(
        case=case,
        runs=valid,
        spoilt={run.replicate: found for run, found in runs if run.status == "invalid"},
        reason="" if valid else read.reasons.get(case.case_id, "not measured yet"),
    )


def _table(experiment: Experiment, cases: dict[str, CaseFigures]) -> pd.DataFrame:
    """The rows of summary.csv."""
    rows = []
    for figures_ in cases.values():
        keys = dict.fromkeys(key for run in figures_.runs.values() for key in run.metrics)
        if not keys:
            keys = {(figures_.endpoint, "throughput_rps"): None}
        for endpoint, metric in sorted(keys, key=lambda key: (key[0], list(METRICS).index(key[1]))):
            known = figures_.estimate(metric, experiment.suite.compare.confidence, endpoint)
            rows.append(_row(experiment, figures_, endpoint, metric, known))
    table = pd.DataFrame(rows, columns=COLUMNS)
    return table.astype({"workers": "Int64"})


def _row(
    experiment: Experiment, figures_: CaseFigures, endpoint: str, metric: str, known: Estimate | None
) -> dict[str, object]:
    case = figures_.case
    limits = bounds(case, experiment.environment["cores"])
    is_whole = metric == "throughput_rps" and endpoint == figures_.endpoint
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
        "valid": bool(figures_.runs),
        "reason": figures_.reason,
    }


def _predictions(
    experiment: Experiment, cases: dict[str, CaseFigures], runs: Sequence[Run]
) -> tuple[Prediction, ...]:
    cores, confidence = experiment.environment["cores"], experiment.suite.compare.confidence
    found = (predict(each, runs, cores, confidence) for each in cases.values())
    return tuple(each for each in found if each is not None)


def _quantiles(cases: Iterable[CaseFigures]) -> pd.DataFrame:
    rows = [
        (each.case.case_id, endpoint, quantile, value_ms, replicate)
        for each in cases
        for replicate, run in each.runs.items()
        for endpoint, pairs in run.quantiles.items()
        for quantile, value_ms in pairs
    ]
    return pd.DataFrame(rows, columns=["case_id", "endpoint", "quantile", "service_time_ms", "replicate"])


def _verdicts(
    experiment: Experiment, cases: dict[str, CaseFigures], rounds: Sequence[Round]
) -> tuple[Verdict, ...]:
    """Every case against its baseline: by slices where there are enough, else within blocks; a family per metric."""
    settings, cores = experiment.suite.compare, experiment.environment["cores"]
    known = {case_id: each.estimate("throughput_rps", settings.confidence) for case_id, each in cases.items()}
    measured_rps = {case_id: throughput.value for case_id, throughput in known.items() if throughput}
    contests = []
    for baseline_id, candidate_id in baseline_pairs(experiment.suite):
        baseline, candidate = cases[baseline_id], cases[candidate_id]
        why = explain(baseline.case, candidate.case, measured_rps, cores)
        for metric in COMPARED:
            contest = within_blocks(baseline, candidate, metric, why if metric == "throughput_rps" else None)
            if contest is not None:
                contests.append(settled_by_slices(contest, rounds, TOTAL))
    return tuple(judge_family(contests, margin=settings.margin, confidence=settings.confidence))
