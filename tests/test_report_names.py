"""Names of cases of somebody's own app: never the word `own`, and which server was measured."""

import re
from pathlib import Path
from typing import Any

import pytest
from support.fakes import case_of, run_of, suite_with
from support.page import page_summary
from support.printed import broken_words, printed
from support.report import fixture_summary, own_app_summary, running_server_summary

from loopwise.analysis.gates import Outcome, parse_gate
from loopwise.errors import SuiteError, UsageError
from loopwise.measure.plan import outline
from loopwise.measure.sides import Version
from loopwise.model import App, Case, Endpoint, Verdict
from loopwise.model.naming import assign_ids, mode_label, short_name, shown_names, tell_apart
from loopwise.report.cells import Cells
from loopwise.report.export.markdown import pull_request_comment, summary_markdown
from loopwise.report.html.report import render_report
from loopwise.report.terminal.answer import Answer
from loopwise.report.terminal.compare import compare_table
from loopwise.report.terminal.outline import outline_table
from loopwise.report.terminal.progress import outcome
from loopwise.suite import make_suite
from loopwise.suite.locations import meant_url
from loopwise.suite.scaffold import trial_document


def own_cases() -> tuple[Case, ...]:
    app = App(target="shop:app", app_dir="/srv", python="/srv/python")
    options: dict[str, Any] = {"params": {}, "app": app, "cost": None}
    named = [Endpoint(path="/a"), Endpoint(path="/b")]
    return assign_ids(
        [case_of("", "own", workload=each.name, endpoints=(each,), **options) for each in named] + [case_of("")]
    )


def verdict_of(case: Case, endpoint: str = "", metric: str = "throughput_rps") -> Verdict:
    numbers: dict[str, Any] = {"ratio": 0.5, "ci_low": 0.4, "ci_high": 0.6, "verdict": "worse", "reason": "slower"}
    return Verdict(baseline_case=case.case_id, candidate_case=case.case_id, endpoint=endpoint, metric=metric, **numbers)


def test_cases_of_an_app_are_called_by_their_endpoint() -> None:
    cases = own_cases()
    names = shown_names(cases)
    assert list(names.values()) == ["GET /a, 1 worker", "GET /b, 1 worker", cases[2].case_id]
    assert "-own-" in cases[0].case_id
    assert outcome(run_of(cases[0]), 12.0, names) == "GET /a, 1 worker #1: 12 requests/s"
    assert len(set(shown_names([cases[0], cases[0].model_copy(update={"case_id": "twin"})]).values())) == 2


def test_the_plan_shows_no_word_own() -> None:
    suite = suite_with(*own_cases())
    text = printed(outline_table(suite, outline(suite, 1)), 120)
    assert "GET /a, 1 worker" in text
    assert not re.search(r"\bown\b", text)


@pytest.mark.parametrize("summary", [own_app_summary(), running_server_summary()], ids=["app", "url"])
def test_no_report_shows_the_word_own(summary: Any) -> None:
    assert not re.search(r"\bown\b", printed(Answer(summary)))
    assert not re.search(r"\bown\b", summary_markdown(summary))


def test_an_app_in_several_modes_is_named_by_them_and_as_written() -> None:
    app = App(target="shop:app", app_dir="/srv", python="/srv/python")
    options: dict[str, Any] = {"params": {}, "app": app, "cost": None, "workload": "GET /a"}
    written, moded = assign_ids(
        [case_of("", mode, endpoints=(Endpoint(path="/a"),), **options) for mode in ("own", "sync")]
    )
    both = (written, moded)
    assert [short_name(each, both) for each in both] == ["the app as written", "sync"]
    assert tell_apart(written, moded) == ("the app as written", "sync")
    assert [mode_label(each, both) for each in both] == ["as written", "sync"]
    other = written.model_copy(update={"workload": "GET /b", "endpoints": (Endpoint(path="/b"),)})
    assert mode_label(other, (*both, other)) == "your app"
    assert tell_apart(written, other) == ("GET /a", "GET /b")


def test_compare_tables_name_the_endpoint() -> None:
    case = own_cases()[0]
    verdicts = (verdict_of(case), verdict_of(case, "GET /x"), verdict_of(case, metric="service_time_p50_ms"))
    gates = (parse_gate("service_time_p99_ms:+5%"),)
    known = Outcome("before", "after", verdicts, 0.05, 0.95, gates, names=shown_names(own_cases()))
    assert broken_words(compare_table(known)) == []
    text = " ".join(printed(compare_table(known)).split())
    assert "GET /a, 1 worker requests a second ×0.500 [0.400, 0.600] worse requests a second, GET /x" in text
    assert "-own-" not in text
    assert known.complaints[0].startswith("gate service_time_p99_ms:+5% can't be judged: GET /a, 1 worker ")
    assert "-own-" not in pull_request_comment([known])


def test_only_servers_that_we_started_are_called_freshly_started() -> None:
    running = Cells(running_server_summary()).interval_note
    assert "each a run against the server that was running" in running
    assert "freshly" not in running
    assert "each a freshly started server." in Cells(fixture_summary(7)).interval_note
    page = render_report(running_server_summary(), [])
    assert "starts a fresh server" not in page
    assert "loads the server that was already running" in page
    assert "starts a fresh server" in render_report(page_summary(1), [])


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("127.0.0.1:9000", "http://127.0.0.1:9000"),
        ("localhost:8000/docs", "http://localhost:8000/docs"),
        ("[::1]:80", "http://[::1]:80"),
        ("https://a.example", "https://a.example"),
        ("main:app", None),
        ("shop.main:make()", None),
        ("main:8app", None),
    ],
)
def test_an_address_without_a_scheme_is_a_url_that_was_meant(text: str, url: str | None) -> None:
    assert meant_url(text) == url


def test_a_forgotten_scheme_is_answered_with_the_url() -> None:
    options: dict[str, Any] = {"workers": "1", "users": 1, "app_dir": ".", "python": None}
    with pytest.raises(UsageError, match=r"try: got 127\.0\.0\.1:9000, .*; write http://127\.0\.0\.1:9000"):
        trial_document("127.0.0.1:9000", ["GET /"], **options)
    for entry in ({"url": "127.0.0.1:9000"}, {"url": "localhost:9000"}, {"app": "127.0.0.1:9000"}):
        (address,) = entry.values()
        with pytest.raises(SuiteError, match=rf'"http://{re.escape(address)}"'):
            make_suite({"name": "s", "matrix": [entry | {"endpoint": "GET /"}]}, label="s", folder=Path())
    with pytest.raises(
        UsageError, match=r"duel: 127\.0\.0\.1:9000 is a server .*bench.py try http://127\.0\.0\.1:9000"
    ):
        _ = Version("127.0.0.1:9000", None, Path(), None).target
