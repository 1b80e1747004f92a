"""Words that all views share: problems of runs, causes, names of metrics."""

from dataclasses import replace

import pytest
from support.printed import printed
from support.report import REASON, fixture_summary, with_causes

from loopwise.analysis.causes import first_causes
from loopwise.model import Check, Run
from loopwise.report.export.markdown import summary_markdown
from loopwise.report.terminal.answer import Answer
from loopwise.report.words import busy_words, deadlocked, metric_name, trouble


def test_failed_and_invalid_runs_are_named_with_their_reasons() -> None:
    summary = fixture_summary(7, invalid="some", replicates=1)
    failed = Run(
        case=summary.experiment.suite.cases[0],
        replicate=1,
        order=1,
        status="failed",
        error="the server died: ModuleNotFoundError: shop",
        started_at="2026-01-02T03:04:05Z",
    )
    sentences = trouble(replace(summary, runs=(failed, *summary.runs[1:])))
    assert sentences[0].endswith("1 worker, replicate 1, failed: the server died: ModuleNotFoundError: shop")
    assert sentences[1].endswith(f"invalid: {REASON}")
    assert sentences[2:] == list(summary.damaged)


def test_a_marked_run_is_named_with_the_check_that_marked_it() -> None:
    summary = fixture_summary(1, replicates=1)
    (run,) = summary.runs
    late = run.checks[1].model_copy(update={"ok": False, "detail": "20 % was stolen"})
    marked = replace(summary, runs=(run.model_copy(update={"checks": (run.checks[0], late)}),))
    assert trouble(marked)[0].endswith("replicate 1, marked: 20 % was stolen")


def test_replicates_that_fail_for_one_reason_share_a_sentence() -> None:
    sentences = trouble(fixture_summary(7, invalid="some"))
    assert sentences[0] == f"sleep(ms=50) blocking, 1 worker, replicates 1, 2, 3, invalid: {REASON}"
    assert len(sentences) == 2


@pytest.mark.parametrize(
    ("metric", "name"),
    [
        ("throughput_rps", "requests a second"),
        ("service_time_p99_ms", "p99 service time"),
        ("response_time_p50_ms", "p50 response time"),
    ],
)
def test_metrics_have_names_in_words(metric: str, name: str) -> None:
    assert metric_name(metric) == name


def test_the_first_cause_of_most_runs_is_that_of_the_case() -> None:
    grown = {"memory_growth": "memory grew"}
    blocked = {"loop_blocked": "event loop blocked 99 %"}
    summary = with_causes(fixture_summary(7), grown, blocked | grown, blocked)
    assert [each.evidence for each in first_causes(summary.runs).values()] == ["event loop blocked 99 %"]


def test_a_cause_that_few_runs_named_is_not_the_cases() -> None:
    summary = with_causes(fixture_summary(7), {"memory_growth": "memory grew"})
    assert first_causes(summary.runs) == {}


def test_a_deadlocked_run_is_named_with_the_deadlock() -> None:
    dead = with_causes(fixture_summary(7), *[{"pool_deadlock": "deadlock: no request was answered"}] * 3)
    first = dead.runs[0].case.case_id
    runs = [r.model_copy(update={"status": "invalid"}) if r.case.case_id == first else r for r in dead.runs]
    summary = replace(dead, runs=tuple(runs))
    assert trouble(summary)[0].endswith("replicates 1, 2, 3, invalid: deadlock: no request was answered")
    assert deadlocked(summary.runs) == {first}


@pytest.mark.parametrize(
    ("names", "disturbed", "words"),
    [
        (("other_cpu",), 0, ""),
        (("other_cpu",), 2, ""),
        (("other_cpu",), 3, "3 of 21 runs were disturbed by other processes: decide again on a quiet machine"),
        (("steal",), 21, "21 of 21 runs were disturbed by other guests of the host: decide again on a quiet machine"),
        (
            ("steal", "other_cpu"),
            21,
            "21 of 21 runs were disturbed by other processes: decide again on a quiet machine",
        ),
        (("drift",), 21, ""),
    ],
)
def test_many_disturbed_runs_are_said_above_the_answer(names: tuple[str, ...], disturbed: int, words: str) -> None:
    summary = fixture_summary(7)
    failed = tuple(Check(name=name, value=1, limit=0.1, effect="flag", ok=False) for name in names)
    runs = tuple(
        run.model_copy(update={"checks": failed if index < disturbed else ()}) for index, run in enumerate(summary.runs)
    )
    summary = replace(summary, runs=runs)
    assert busy_words(summary) == words
    assert " ".join(printed(Answer(summary)).split()).startswith(words)
    assert (f"**{words}**" in summary_markdown(summary)) == bool(words)
