"""Progress of a running experiment: a line per finished run, a live line in a terminal, or nothing."""

import io
from typing import Any

import pytest
from rich.console import Console
from support.fakes import case_of, run_of

from loopwise.generator.protocol import Event
from loopwise.measure.plan import Span, Standing
from loopwise.model import Cause, Check, Estimate, PlannedRun, Run
from loopwise.report.terminal.progress import Live, Plain, Quiet, outcome, precision, time_left

CASE = case_of("sleep-async")


def check_of(name: str, effect: str, detail: str = "it was so") -> Check:
    fields: dict[str, Any] = {"value": 1.0, "limit": 0.0, "ok": False}
    return Check.model_validate({"name": name, "effect": effect, "detail": detail} | fields)


@pytest.mark.parametrize(
    ("run", "throughput_rps", "line"),
    [
        (run_of(CASE, replicate=2), 1931.4, "sleep-async #2: 1,931 requests/s"),
        (run_of(CASE), None, "sleep-async #1: 0 requests/s"),
        (
            run_of(CASE, checks=(check_of("steal", "flag"), check_of("warm", "flag"))),
            10.0,
            "sleep-async #1: 10 requests/s (flagged: steal, warm)",
        ),
        (
            run_of(CASE, status="invalid", checks=(check_of("steal", "flag"), check_of("users", "void"))),
            10.0,
            "sleep-async #1: invalid: it was so",
        ),
        (
            run_of(
                CASE,
                status="invalid",
                checks=(check_of("hung", "void"),),
                causes=(Cause(cause="pool_deadlock", share=1.0, evidence="deadlock: no request was answered"),),
            ),
            0.0,
            "sleep-async #1: deadlock: no request was answered",
        ),
        (
            run_of(CASE, status="failed", error="port 80 is taken"),
            None,
            "sleep-async #1: failed: port 80 is taken",
        ),
    ],
)
def test_a_run_that_ended_is_one_line(run: Run, throughput_rps: float | None, line: str) -> None:
    assert outcome(run, throughput_rps) == line


def standing_of(known: Estimate, precise: int) -> Standing:
    return Standing({CASE.case_id: known}, precise, 20, Span(60.0, 240.0), 3.0)


STANDINGS = [
    standing_of(Estimate(value=1931.4, replicates=1), 0),
    standing_of(Estimate(value=100.0, low=97.0, high=103.2, replicates=2), 12),
]


@pytest.mark.parametrize(
    ("span", "pace", "text"),
    [
        (Span(60.0, 240.0), 1.0, "1.0 to 4.0 min left, 12 of 20 cases precise enough"),
        (Span(60.0, 240.0), 1.5, "1.5 to 6.0 min left, 12 of 20 cases precise enough"),
        (Span(60.0, 60.0), 1.0, "1.0 min left, 12 of 20 cases precise enough"),
    ],
)
def test_the_time_left_counts_what_is_planned_and_what_may_follow(span: Span, pace: float, text: str) -> None:
    assert time_left(STANDINGS[1]._replace(left=span), pace) == text


def test_a_wide_interval_is_told_without_false_digits() -> None:
    assert precision(Estimate(value=100.0, low=50.0, high=150.0, replicates=3)) == "±50 % after 3 replicates"


def test_a_run_that_counts_for_nothing_says_nothing_of_the_interval() -> None:
    sink = io.StringIO()
    play(Plain(console_on(sink)), status="failed", error="port 80 is taken")
    assert "±" not in sink.getvalue()


def play(watcher: Quiet, **ending: Any) -> None:
    """Two of twelve runs."""
    for replicate in (1, 2):
        planned = PlannedRun(case_id=CASE.case_id, replicate=replicate)
        watcher.run_began(planned, CASE, replicate, 12)
        watcher.run_progressed(Event(event="window_opened"))
        watcher.run_progressed(Event(event="progress", phase="window", rows=1234, errors=5))
        watcher.run_ended(run_of(CASE, replicate=replicate, **ending), 1931.4, STANDINGS[replicate - 1])


def console_on(sink: io.StringIO, *, is_terminal: bool = False) -> Console:
    return Console(file=sink, width=200, force_terminal=is_terminal, color_system=None)


LINES = [
    "[ 1/12] sleep-async #1: 1,931 requests/s, no interval yet",
    "[ 2/12] sleep-async #2: 1,931 requests/s, ±3.1 % after 2 replicates",
]


def test_without_a_terminal_each_run_has_a_plain_line() -> None:
    sink = io.StringIO()
    play(Plain(console_on(sink)))
    assert sink.getvalue().splitlines() == LINES


def test_markup_in_an_error_is_text() -> None:
    sink = io.StringIO()
    play(Plain(console_on(sink)), status="failed", error="[red]broken[/red]")
    assert "failed: [red]broken[/red]" in sink.getvalue()


def test_a_terminal_shows_the_current_run_below_the_lines() -> None:
    sink = io.StringIO()
    with Live(console_on(sink, is_terminal=True)) as live:
        play(live)
    text = sink.getvalue()
    assert all(line in text for line in LINES)
    assert "1/12" in text
    assert "sleep-async #2: window, 1,234 requests, 5 errors" in text
    assert "min left, 12 of 20 cases precise enough" in text


def test_quiet_prints_nothing_at_all(capsys: pytest.CaptureFixture[str]) -> None:
    play(Quiet())
    assert capsys.readouterr() == ("", "")
