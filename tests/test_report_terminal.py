"""The answer in a terminal of any width, with and without colour, and in a log."""

import io
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console
from support.page import page_summary
from support.report import HOSTILE, REASON, fixture_summary, own_app_summary, running_server_summary

from loopwise.analysis.summary import Summary
from loopwise.model import Cause, Check, Run
from loopwise.report import format as fmt
from loopwise.report.cells import Cells
from loopwise.report.terminal.answer import Answer, bar, print_tidily
from loopwise.report.words import short_causes

ESCAPE = re.compile(r"\x1b\[[0-9;]*m")


def printed(summary: Summary, width: int = 80, *, is_detailed: bool | None = None, **options: Any) -> str:
    fields: dict[str, Any] = {"force_terminal": False, "color_system": None, "_environ": {}}
    console = Console(file=io.StringIO(), width=width, **(fields | options))
    print_tidily(console, Answer(summary, is_detailed))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def heads(text: str) -> list[str]:
    """The head of every table."""
    lines = text.splitlines()
    return [lines[index - 1] for index, line in enumerate(lines) if line.startswith("───")]


def with_causes(summary: Summary) -> Summary:
    """The same, where each usable run of a `sync` case has a cause."""

    def caused(run: Run) -> Run:
        if run.case.mode != "sync":
            return run
        cause = Cause(cause="thread_pool_full", share=1.0, evidence="thread pool full 100 % of the window")
        return run.model_copy(update={"causes": (cause,)})

    return replace(summary, runs=tuple(caused(run) for run in summary.runs))


SHAPES: list[Callable[[], Summary]] = [
    *(lambda cases=cases: fixture_summary(cases, invalid="some") for cases in (1, 7, 40, 100)),
    lambda: fixture_summary(7, names="long", invalid="some"),
    lambda: fixture_summary(7, names="hostile", invalid="all"),
    lambda: fixture_summary(7, replicates=1),
    lambda: own_app_summary(names="long"),
    lambda: own_app_summary(40, (1,), names="long"),
    running_server_summary,
]


QUICK_LINES = 50
"""Of a terminal that is not small, the line that names report.html included."""


def test_the_answer_and_the_tables_of_quick_fit_a_screen() -> None:
    summary = with_causes(page_summary(20))
    sentence = (
        "async with 1 worker serves 979 [964, 994] requests/s (and so does async with 2 workers, within ±5 %), 1.23"
        " times [1.19, 1.28] those of sync, because sync waits for its 40 threads. No clear difference from sync with 2"
        " workers, all comparisons taken together. The canary /health took 3.9 [1.75, 8.73] ms at p99, 0.633 times"
        " [0.184, 2.18] that of the idle app: undecided at 5 %."
    )
    busy = Check(name="other_cpu", value=1, limit=0.2, effect="flag", ok=False)
    runs = tuple(run.model_copy(update={"checks": (busy,)}) for run in summary.runs)
    summary = replace(summary, runs=runs, answers=tuple(f"{card.subject}: {sentence}" for card in summary.cards))
    text = printed(summary)
    assert len(text.splitlines()) + 1 <= QUICK_LINES
    assert "60 of 60 runs were disturbed" in text.splitlines()[0]
    assert "thread pool full" not in text
    assert "--details" in text
    assert text.count("await it") == 2
    detailed = printed(summary, is_detailed=True)
    assert "thread pool full 100 % of the window" in detailed
    assert "marked by a check: other CPU" in detailed
    assert "--details" not in detailed


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("width", [80, 100, 140])
def test_lines_fit_the_terminal_and_no_figure_is_cut(shape: Callable[[], Summary], width: int) -> None:
    summary = shape()
    text = printed(summary, width)
    assert all(cell_len(line) <= width for line in text.splitlines())
    cells = Cells(summary)
    for cell in cells.row(cells.cases, "throughput_rps"):
        if cell.usable:
            assert fmt.estimate(cell.value, cell.low, cell.high) in text
            assert fmt.duration(cells.cell(cell.case, "service_time_p99_ms").value) in text
    assert "…" not in text


@pytest.mark.parametrize(
    ("width", "head"),
    [
        (130, "case requests/s ÷bound p50 p99 canary p99 CPU/req memory vs baseline cause"),
        (80, "case requests/s ÷bound p50 p99 canary p99 vs baseline"),
        (70, "case requests/s ÷bound p50 p99 vs baseline"),
        (60, "case requests/s p50 p99 vs baseline"),
        (40, "case requests/s p99"),
    ],
)
def test_narrow_terminals_drop_columns_by_importance(width: int, head: str) -> None:
    first = heads(printed(with_causes(fixture_summary(7, invalid="some")), width))[0]
    assert " ".join(first.split()) == head


@pytest.mark.parametrize(("width", "longest"), [(80, 5), (140, 16)])
def test_bars_are_in_proportion_and_grow_with_the_room(width: int, longest: int) -> None:
    text = printed(fixture_summary(7), width)
    assert "█" * longest in text
    assert "█" * (longest + 1) not in text


@pytest.mark.parametrize(
    ("ratio", "width", "shown"),
    [(0, 5, ""), (1, 5, "█████"), (0.5, 5, "██▌"), (0.1, 5, "▌"), (1 / 40, 5, "▏"), (0.62, 5, "███▏")],
)
def test_a_bar_is_drawn_in_eighths(ratio: float, width: int, shown: str) -> None:
    assert bar(ratio, width) == shown


def test_an_interval_stands_beside_a_ratio_where_there_is_room() -> None:
    summary = fixture_summary(7)
    (first, *_) = (verdict for verdict in summary.verdicts if verdict.verdict == "better")
    whole = fmt.ratio(first.ratio, first.ci_low, first.ci_high)
    assert f"{whole} better" in printed(summary, 140)
    assert f"{fmt.ratio(first.ratio)} better" in printed(summary, 80)


def test_a_cause_has_a_word_in_the_table_and_its_evidence_below_it() -> None:
    summary = with_causes(fixture_summary(7))
    assert short_causes(summary.runs) == {
        "sleep-sync-w1": "thread pool full",
        "cpu-sync-w1": "thread pool full",
    }
    wide, narrow = printed(summary, 140), printed(summary, 80)
    assert re.search(r"^sync .* thread pool full$", wide, re.MULTILINE)
    for text in (wide, narrow):
        assert "sync: thread pool full 100 % of the window" in text


def test_cases_invalid_for_one_reason_are_named_together() -> None:
    text = " ".join(printed(fixture_summary(7, invalid="all")).split())
    assert "async, sync, blocking and to_thread are invalid: the generator used 97 %" in text
    assert text.count("the generator used 97 %") == 2
    assert "vs baseline" not in text
    assert "No valid replicate, so no interval." in text


def test_a_cause_that_several_cases_share_is_told_once() -> None:
    summary = with_causes(fixture_summary(40))
    text = " ".join(printed(summary, is_detailed=True).split())
    assert text.count("thread pool full 100 % of the window") == len(Cells(summary).facets)
    assert "sync × 1 and sync × 2: thread pool full 100 % of the window" in text


def test_the_answers_come_first_and_what_intervals_stand_for_last() -> None:
    summary = fixture_summary(7)
    text = " ".join(printed(summary).split())
    assert text.startswith(" ".join(summary.answers))
    assert text.endswith(Cells(summary).interval_note)
    assert "One replicate each" in printed(fixture_summary(7, replicates=1))


def test_a_log_has_no_escape_codes_and_no_trailing_blanks() -> None:
    text = printed(fixture_summary(40, invalid="some"))
    assert "\x1b" not in text
    assert all(line == line.rstrip() for line in text.splitlines())


def test_a_terminal_has_colours_and_no_color_takes_them_all_away() -> None:
    summary = fixture_summary(7, invalid="some")
    options: dict[str, Any] = {"force_terminal": True, "color_system": "standard"}
    coloured = printed(summary, **options)
    bare = printed(summary, **options, no_color=None, _environ={"NO_COLOR": "1", "TERM": "xterm"})
    colour = re.compile(r"\x1b\[[0-9;]*\b(3[0-7]|9[0-7])m")
    assert colour.search(coloured)
    assert not colour.search(bare)
    assert ESCAPE.sub("", coloured) == ESCAPE.sub("", bare)


def test_without_colour_every_line_says_the_same() -> None:
    summary = with_causes(fixture_summary(7, invalid="some"))
    with_style = printed(summary, force_terminal=True, color_system="truecolor")
    plain = [line.rstrip() for line in ESCAPE.sub("", with_style).splitlines()]
    assert plain == printed(summary).splitlines()


def test_where_only_ascii_can_be_shown_bars_and_lines_are_ascii() -> None:
    raw = io.BytesIO()
    sink = io.TextIOWrapper(raw, encoding="ascii", errors="replace")
    console = Console(file=sink, width=80, force_terminal=True, color_system=None, _environ={})
    print_tidily(console, Answer(fixture_summary(7)))
    sink.flush()
    text = raw.getvalue().decode("ascii")
    assert "#####" in text
    assert "-----" in text
    assert "667 [647, 687]" in text


def test_the_reason_of_an_invalid_case_is_below_its_table() -> None:
    text = " ".join(printed(fixture_summary(7, invalid="some")).split())
    assert f"blocking is invalid: {REASON}" in text


def test_a_deadlock_is_a_finding_with_a_word_of_its_own_in_the_table() -> None:
    summary, evidence = fixture_summary(7, invalid="some"), "deadlock: no request was answered"
    cause = Cause(cause="pool_deadlock", share=1.0, evidence=evidence, remedy="raise the pool to 40")
    runs = [run.model_copy(update={"causes": (cause,)}) if run.status == "invalid" else run for run in summary.runs]
    text = printed(replace(summary, runs=tuple(runs)), 140)
    assert re.search("^blocking +deadlock", text, re.MULTILINE)
    assert f"blocking: {evidence}\nblocking: raise the pool to 40\n" in text
    assert "is invalid" not in text


def test_markup_in_names_stays_text() -> None:
    text = printed(fixture_summary(7, names="hostile", invalid="some"))
    assert "\x1b" not in text
    assert "[red]" in text
    assert HOSTILE[:20] in text


@pytest.mark.parametrize("make", [own_app_summary, running_server_summary])
def test_an_app_of_ones_own_has_no_column_for_a_baseline(make: Callable[[], Summary]) -> None:
    text = printed(make())
    assert "vs baseline" not in text
    assert "requests/s" in text


def test_an_access_log_that_is_off_against_the_servers_default_is_told() -> None:
    told = "access log that uvicorn writes by default is off"
    assert told in " ".join(printed(own_app_summary()).split())
    assert told not in " ".join(printed(fixture_summary(7)).split())


def test_verdicts_are_in_the_table_with_their_ratios() -> None:
    summary = fixture_summary(40, invalid="some")
    text = printed(summary)
    for verdict in summary.verdicts:
        if verdict.ratio is not None:
            assert f"{fmt.ratio(verdict.ratio)} {verdict.verdict}" in text


def test_the_share_of_the_bound_is_shown_where_a_bound_is_known() -> None:
    assert "÷bound" not in printed(own_app_summary())
    text = printed(fixture_summary(100))
    assert "÷bound" in text
    assert "0.926" in text
