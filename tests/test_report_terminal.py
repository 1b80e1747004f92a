"""The answers on a terminal: what is shown first, what is cut, what stands below the numbers."""

from collections.abc import Callable

import pytest
from support.printed import printed
from support.report import HOSTILE, REASON, fixture_summary, own_app_summary, running_server_summary

from loopwise.analysis.summary import Summary
from loopwise.model import Verdict
from loopwise.report import format as fmt
from loopwise.report.html import table as page_table
from loopwise.report.terminal.answer import answer_table, verdict_table


@pytest.mark.parametrize("cases", [1, 7, 40, 100])
def test_at_80_columns_no_figure_is_cut(cases: int) -> None:
    summary = fixture_summary(cases, invalid="some")
    text = printed(answer_table(summary))
    assert "…" not in text
    assert all(len(line) <= 80 for line in text.splitlines())
    for group in page_table.case_groups(summary):
        for row in group.rows:
            if row.invalid is None:
                assert row.throughput in text
    for verdict in summary.verdicts:
        if verdict.ratio is not None:
            assert f"{fmt.ratio(verdict.ratio)} {verdict.verdict}" in text


def test_the_terminal_gives_the_answers_first_and_reasons_for_what_is_invalid() -> None:
    summary = fixture_summary(7, invalid="some")
    text = " ".join(printed(answer_table(summary)).split())
    assert text.startswith(" ".join(summary.answers))
    assert f"blocking is invalid: {REASON}" in text


def test_without_a_terminal_there_are_no_escape_codes_and_markup_stays_text() -> None:
    summary = fixture_summary(7, names="hostile", invalid="some")
    text = printed(answer_table(summary)) + printed(verdict_table(summary.verdicts))
    assert "\x1b" not in text
    assert "[red]" in text
    assert HOSTILE[:20] in text


@pytest.mark.parametrize("make", [own_app_summary, running_server_summary])
def test_an_app_of_ones_own_has_no_column_for_a_baseline(make: Callable[[], Summary]) -> None:
    text = printed(answer_table(make()))
    assert "vs baseline" not in text
    assert "requests/s" in text


def test_the_verdict_table_shows_word_ratio_and_sentence() -> None:
    verdict = Verdict(
        baseline_case="a",
        candidate_case="b",
        metric="service_time_p99_ms",
        ratio=2.41,
        ci_low=2.2,
        ci_high=2.6,
        verdict="worse",
        reason="to_thread is slower than async",
    )
    text = " ".join(printed(verdict_table([verdict])).split())
    assert "▼ worse ×2.41 [2.20, 2.60] p99 service time to_thread is slower than async" in text
    assert "Nothing to compare" in printed(verdict_table([]))


def test_the_terminal_shows_what_was_reached_of_the_bound_and_the_cpu_where_there_is_room() -> None:
    text = printed(answer_table(own_app_summary()))
    assert "CPU/req" in text
    assert "÷bound" not in text
    text = printed(answer_table(fixture_summary(100)))
    assert "÷bound" in text
    assert "0.926" in text
