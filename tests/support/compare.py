"""Comparisons of every shape that their pages must bear, made by arithmetic."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Literal

from loopwise.analysis.figures import CaseFigures
from loopwise.analysis.gates import Gate, Outcome
from loopwise.analysis.metrics import COMPARED
from loopwise.analysis.summary import Summary
from loopwise.model import Round, Verdict
from loopwise.report.comparison import Side, sides_of
from loopwise.results.folder import ResultFolder
from support.fakes import case_of, experiment_of, suite_with
from support.report import REASON, Invalid, Names, fixture_summary

Word = Literal["better", "worse", "same", "undecided", "invalid"]
SHAPES: tuple[tuple[Word, float, float, float], ...] = (
    ("same", 1.004, 0.98, 1.03),
    ("worse", 0.71, 0.64, 0.79),
    ("better", 1.62, 1.41, 1.86),
    ("undecided", 1.08, 0.3, 3.9),
)
"""Verdict on throughput, ratio and its interval."""


def summary_with_cases(
    cases: int = 7, names: Names = "plain", invalid: Invalid = "none", name: str = "quick-1"
) -> Summary:
    summary = fixture_summary(cases, names=names, invalid=invalid)
    return replace(
        summary,
        experiment=summary.experiment.model_copy(update={"name": name}),
        cases={
            case.case_id: CaseFigures(case=case, runs={}, spoilt={}, reason="")
            for case in summary.experiment.suite.cases
        },
    )


def verdicts_on(
    summary: Summary, invalid: Invalid = "none", metrics: tuple[str, ...] = COMPARED
) -> tuple[Verdict, ...]:
    """A verdict per case and metric, of every kind in turn."""
    found = []
    for index, case_id in enumerate(summary.cases):
        is_void = invalid == "all" or (invalid == "some" and index % 5 == 2)
        for metric in metrics[:1] if is_void else metrics:
            word, *numbers = SHAPES[index % len(SHAPES)]
            ratio, low, high = (None, None, None) if is_void else numbers
            reason = f"{case_id} now and before can't be compared: {REASON}" if is_void else "so it is"
            found.append(
                Verdict(
                    baseline_case=case_id,
                    candidate_case=case_id,
                    metric=metric,
                    pairing="none",
                    ratio=ratio,
                    ci_low=low,
                    ci_high=high,
                    verdict="invalid" if is_void else word,
                    reason=reason,
                    because=REASON if is_void else "",
                )
            )
    return tuple(found)


def sides(
    cases: int = 7,
    names: Names = "plain",
    invalid: Invalid = "none",
    *,
    called: tuple[str, ...] = ("before", "after"),
    gates: tuple[Gate, ...] = (),
    different: tuple[tuple[str, object, object], ...] = (),
) -> tuple[Side, ...]:
    """A base and others, all of the same cases."""
    base = summary_with_cases(cases, names, name=called[0])
    others = []
    for name in called[1:]:
        other = summary_with_cases(cases, names, invalid, name)
        verdicts = verdicts_on(other, invalid)
        others.append((other, Outcome(called[0], name, verdicts, 0.05, 0.95, gates, different)))
    return sides_of(base, called[0], others)


def duel_summary() -> Summary:
    """Two cases head to head, with verdicts on the whole and on an endpoint."""
    summary = summary_with_cases(7)
    one, two = summary.experiment.suite.cases[:2]
    rounds = Round(
        pairing="duel",
        number=1,
        baseline_case=one.case_id,
        candidate_case=two.case_id,
        status="ok",
        started_at="2026-01-02T03:04:05Z",
    )
    whole = [verdict for verdict in verdicts_on(summary) if verdict.candidate_case == two.case_id]
    parts = [verdict.model_copy(update={"endpoint": "GET /x"}) for verdict in whole]
    return replace(summary, duel=(rounds,), verdicts=(*whole, *parts))


def result_in(
    results: Path, name: str, *, label: str | None = None, created_at: str, answers: tuple[str, ...] = ()
) -> ResultFolder:
    """A result's folder as far as an index looks into it."""
    result = ResultFolder(results / name)
    suite = suite_with(case_of("sync"))
    result.begin(experiment_of(suite, name, label=label, created_at=created_at))
    document = {"answers": list(answers), "damaged": []}
    (result.path / "summary.json").write_text(json.dumps(document), encoding="utf-8")
    (result.path / "runs" / "sync" / "1").mkdir(parents=True)
    (result.path / "report.html").write_text("<!doctype html><title>r</title>", encoding="utf-8")
    return result
