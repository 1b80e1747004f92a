"""Failed requests in the terminal, the page, summary.json and the exports."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from rich.cells import cell_len
from support.fakes import EPOCH_NS, FakeRow, case_of, new_result, run_of, suite_with, table_of
from support.html import parse
from support.page import page_summary
from support.printed import printed
from support.report import HOSTILE, fixture_summary

from loopwise.analysis.errors import over_runs
from loopwise.analysis.summary import Summary
from loopwise.model import Endpoint, ErrorCount
from loopwise.report.build import build
from loopwise.report.errors import error_lines, retries
from loopwise.report.export.formats import export
from loopwise.report.export.markdown import summary_markdown
from loopwise.report.export.tallies import CountingFolder
from loopwise.report.html.report import render_report
from loopwise.report.terminal.answer import Answer
from loopwise.results.folder import ResultFolder

MS = 1_000_000
MIX = case_of("c", endpoints=(Endpoint(path="/a"), Endpoint(method="POST", path="/b")), server=None)


def failing(summary: Summary, *counts: ErrorCount, runs: int = 3) -> Summary:
    """The summary with these errors in the first run of its first case."""
    case = summary.experiment.suite.cases[0]
    by_run = {number: list(counts) if number == 1 else [] for number in range(1, runs + 1)}
    return replace(summary, errors={case.case_id: over_runs(by_run)})


def count_of(kind: str, count: int, endpoint: str = "GET /a", **fields: object) -> ErrorCount:
    return ErrorCount.model_validate(
        {"endpoint": endpoint, "kind": kind, "count": count, "requests": 10_000, "first_s": 0.02, "connection": 7}
        | fields
    )


MANY = [count_of(f"kind {number} {HOSTILE}", 100 - number, f"GET /{HOSTILE}") for number in range(9)]


def test_the_terminal_lists_failed_requests_below_the_table() -> None:
    summary = failing(fixture_summary(7), count_of("status_401", 9120), count_of("no total", 3, status=200))
    lines = [" ".join(line.split()) for line in printed(Answer(summary), 100).splitlines()]
    head = lines.index("errors of error requests share first after")
    assert lines[head + 2 : head + 4] == [
        "async status_401 9,120 91.2 % 20.0 ms, #1",
        "no total 3 0.0300 % 20.0 ms, #1",
    ]
    assert "errors of" not in printed(Answer(fixture_summary(7)))


@pytest.mark.parametrize("width", [80, 100, 140])
def test_failed_requests_fit_the_terminal_whatever_their_text(width: int) -> None:
    text = printed(Answer(failing(fixture_summary(7, names="hostile"), *MANY)), width)
    assert all(cell_len(line) <= width for line in text.splitlines())
    assert "5 more, see report.html" in " ".join(text.split())
    assert "\x1b" not in text


def test_the_page_has_failed_requests_of_all_cases_and_of_each() -> None:
    html = render_report(failing(page_summary(7), count_of("status_401", 9120), *MANY), [])
    page = parse(html)
    assert "errors" in [each.get("id") for each in page.named("section")]
    tables = [each for each in page if each.tag == "table" and "status_401" in each.text]
    assert len(tables) == 2
    assert "Share is that of" in tables[1].text
    for table in tables:
        cells = [cell.text for cell in table if cell.tag == "td"]
        at = cells.index("status_401")
        shown = "9,120", "91.2 %", "1 of 3", "after 20.0 ms of replicate 1, connection 7"
        assert tuple(cells[at + 1 : at + 5]) == shown
    assert "<script>alert" not in html
    plain = parse(render_report(page_summary(7), []))
    assert "errors" not in [each.get("id") for each in plain.named("section")]


def test_rare_kinds_are_summed_where_rows_are_limited() -> None:
    summary = failing(fixture_summary(7), *(count_of(f"kind {number}", 100 - number) for number in range(9)))
    case = summary.experiment.suite.cases[0]
    assert len(error_lines(summary, case)) == 9
    limited = error_lines(summary, case, 5)
    assert (len(limited), limited[-1].requests) == (5, str(sum(100 - number for number in range(4, 9))))


def test_requests_that_were_sent_again_are_told_by_case() -> None:
    summary = fixture_summary(7)
    runs = [run.model_copy(update={"counts": {"retried": 2}}) for run in summary.runs[:2]]
    summary = replace(summary, runs=(*runs, *summary.runs[2:]))
    sentence = "2 requests met a closing connection and went out again over a new one"
    assert retries(summary) == dict.fromkeys([run.case.case_id for run in runs], sentence)
    assert sentence in " ".join(printed(Answer(summary)).split())


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> ResultFolder:
    """Two runs with 100 answers each; the second has failures, too, and requests that the end cut off."""
    result, _ = new_result(tmp_path_factory.mktemp("errors") / "r", suite_with(MIX, replicates=(2, 2)))
    for number in (1, 2):
        rows = [FakeRow(at * MS, endpoint="GET /a") for at in range(100)]
        if number == 2:
            rows += [FakeRow(at * MS, 2 * MS, "POST /b", status=401, error="status_401") for at in (200, 2 * 150)]
            rows += [FakeRow(500 * MS, 2 * MS, "GET /a", error="reset", status=0, connection=None)]
            rows += [FakeRow(990 * MS, 2 * MS, "GET /a", error="unfinished", status=0)] * 50
        place = result.new_run_folder("c", number)
        pq.write_table(table_of(rows, place), place / "samples.parquet")
        result.write_run(run_of(MIX, replicate=number, order=number))
    return result


def exported(result: ResultFolder, name: str) -> list[Path]:
    counting = CountingFolder(result.path)
    return export(build(counting), result.path, [name], counting.tallies)[name]


def test_summary_json_has_the_failed_requests_of_each_case(result: ResultFolder) -> None:
    build(result)
    errors = json.loads((result.path / "summary.json").read_text())["errors"]
    assert [(each["case_id"], each["endpoint"], each["kind"], each["count"], each["requests"]) for each in errors] == [
        ("c", "POST /b", "status_401", 2, 2),
        ("c", "GET /a", "reset", 1, 101),
    ]
    assert [(each["first_s"], each["replicates"], each["runs"]) for each in errors] == [(0.2, [2], 2), (0.5, [2], 2)]


def test_a_locust_file_of_failures_has_locusts_columns(result: ResultFolder) -> None:
    stats, failures = exported(result, "locust")
    assert failures.name == "c_failures.csv"
    rows = list(csv.DictReader(failures.read_text().splitlines()))
    assert [list(row.values())[:4] for row in rows] == [["GET", "/a", "reset", "1"], ["POST", "/b", "status_401", "2"]]
    assert list(rows[0]) == ["Method", "Name", "Error", "Occurrences", "First Seen", "Last Seen"]
    assert EPOCH_NS == 1_700_000_000_000_000_000
    assert (rows[1]["First Seen"], rows[1]["Last Seen"]) == ("2023-11-14T22:13:20Z", "2023-11-14T22:13:20Z")
    total = list(csv.DictReader(stats.read_text().splitlines()))[-1]
    assert (total["Request Count"], total["Failure Count"]) == ("203", "3")


def test_a_k6_file_counts_requests_by_their_error(result: ResultFolder) -> None:
    (path,) = exported(result, "k6")
    metrics = json.loads(path.read_text())["metrics"]
    assert metrics["http_reqs{error:status_401}"] == {"count": 2, "rate": 1.0}
    assert metrics["http_reqs{error:reset}"]["count"] == 1
    assert metrics["http_req_failed"]["passes"] == 3


def test_markdown_has_a_table_of_failed_requests(result: ResultFolder) -> None:
    text = summary_markdown(build(result))
    assert "### Failed requests" in text
    (row,) = (line for line in text.splitlines() if "status" in line)
    assert row.endswith("| POST /b | status\\_401 | 2 | 100 % | 1 of 2 | after 200 ms of replicate 2 |")
    assert "Failed requests" not in summary_markdown(fixture_summary(7))
