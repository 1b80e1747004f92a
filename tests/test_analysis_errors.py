"""Counts of failed requests by endpoint and kind, and what is counted as no failure."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.fakes import EPOCH_NS, FakeRow, case_of, new_result, run_of, suite_with, table_of

from loopwise.analysis.assess import assess
from loopwise.analysis.errors import MAX_CHARACTERS, MAX_ENDPOINTS, MAX_KINDS, listed, over_runs
from loopwise.analysis.rounds import side_of
from loopwise.analysis.summary import summarise
from loopwise.generator.protocol import Slice
from loopwise.model import OTHER, TOTAL, Case, Check, Endpoint, ErrorCount, Load, Run

MS = 1_000_000
A, B = Endpoint(path="/a"), Endpoint(path="/b")
MIX = case_of("c", endpoints=(A, B), server=None)
OPEN = case_of("c", endpoints=(A,), load=Load(model="open", rate_rps=100))


def good(count: int, endpoint: str = "GET /a", *, status: int = 200) -> list[FakeRow]:
    return [FakeRow(at * MS, endpoint=endpoint, status=status) for at in range(count)]


def bad(at_ms: int, error: str, endpoint: str = "GET /a", *, status: int = 0, connection: int | None = 1) -> FakeRow:
    return FakeRow(at_ms * MS, endpoint=endpoint, status=status, error=error, connection=connection)


def assessed(rows: list[FakeRow], folder: Path, run: Run | None = None) -> Run:
    return assess(run or run_of(MIX), table_of(rows, folder))[0]


def test_errors_are_counted_by_endpoint_and_kind_with_the_first_as_example(tmp_path: Path) -> None:
    rows = good(90, "GET /b")
    rows += [bad(at, "status_401", status=401, connection=at) for at in (300, 200, 250)]
    rows += [bad(400, "refused", connection=None), bad(10, "timeout", "GET /b"), bad(-5, "reset"), bad(1000, "reset")]
    run = assessed(rows, tmp_path)
    assert run.errors == (
        ErrorCount(endpoint="GET /a", kind="status_401", count=3, requests=4, first_s=0.2, connection=200, status=401),
        ErrorCount(endpoint="GET /a", kind="refused", count=1, requests=4, first_s=0.4, status=0),
        ErrorCount(endpoint="GET /b", kind="timeout", count=1, requests=91, first_s=0.01, connection=1, status=0),
    )
    assert run.counts["errors"] == sum(each.count for each in run.errors) == 5
    (check,) = (each for each in run.checks if each.name == "errors")
    assert check.detail.startswith("5.3 % of the requests failed: status_401 (3), refused (1), timeout (1); ")


@pytest.mark.parametrize("case", [MIX, OPEN], ids=["closed", "open"])
def test_a_request_that_the_end_cut_off_is_no_failure(case: Case, tmp_path: Path) -> None:
    run = run_of(case)
    rows = [FakeRow(at * MS, endpoint="GET /a", scheduled_ns=(at - 5) * MS) for at in range(5, 105)]
    rows += [FakeRow(900 * MS, 100 * MS, "GET /a", 800 * MS, 0, "unfinished") for _ in range(100)]
    assessed_run = assessed(rows, tmp_path, run)
    assert assessed_run.errors == ()
    assert [assessed_run.counts[key] for key in ("window_rows", "errors", "unfinished")] == [100, 0, 100]
    failed = {check.name for check in assessed_run.checks if not check.ok and check.effect == "void"}
    assert failed & {"errors", "unanswered"} == ({"unanswered"} if case is OPEN else set())


def test_texts_of_a_script_are_bounded_in_number_and_length(tmp_path: Path) -> None:
    rows = [bad(at, f"order {at} is lost\x1b[31m\n{'x' * 500}") for at in range(100)] + [bad(5, "often")] * 3
    errors = assessed(rows, tmp_path).errors
    assert len(errors) == MAX_KINDS + 1
    assert (errors[0].kind, errors[0].count) == ("often", 3)
    assert all(len(each.kind) <= MAX_CHARACTERS and each.kind.isprintable() for each in errors)
    assert (errors[-1].kind, errors[-1].count, errors[-1].kinds) == (OTHER, 81, 81)
    assert sum(each.count for each in errors) == 103


def test_endpoints_beyond_the_limit_are_summed(tmp_path: Path) -> None:
    rows = [bad(at, "timeout", f"GET /{at}") for at in range(50)]
    run = run_of(case_of("c", endpoints=(A,), scenario="/srv/journey.py"))
    errors = assessed(rows, tmp_path, run).errors
    assert len(errors) == MAX_ENDPOINTS + 1
    last = errors[-1]
    assert (last.endpoint, last.kind, last.count, last.requests) == (TOTAL, OTHER, 50 - MAX_ENDPOINTS, 50)


def test_redirects_void_a_run_that_answered_nothing_else(tmp_path: Path) -> None:
    def check_of(rows: list[FakeRow]) -> Check:
        run = assessed(rows, tmp_path)
        assert run.counts["redirects"] == 50
        (check,) = (each for each in run.checks if each.name == "redirects")
        return check

    everything, half = check_of(good(50, status=307)), check_of(good(50, status=307) + good(50, "GET /b"))
    assert everything.detail.startswith("100.0 % of the answers are redirects, most of them 307 of GET /a; ")
    assert (everything.ok, everything.effect) == (False, "void")
    assert (half.ok, half.effect, half.value) == (False, "flag", 0.5)


def test_a_redirect_that_was_asked_for_and_304_are_answers(tmp_path: Path) -> None:
    wanted = case_of("c", endpoints=(Endpoint(path="/a", expect_status=307),))
    assert assessed(good(50, status=307), tmp_path, run_of(wanted)).counts["redirects"] == 0
    assert assessed(good(50, status=304), tmp_path).counts["redirects"] == 0


def test_a_side_of_a_round_has_its_errors_under_plain_names(tmp_path: Path) -> None:
    rows = [FakeRow(at * MS, endpoint="candidate GET /a") for at in range(9)]
    rows += [bad(50, "status_500", "candidate GET /a", status=500), bad(51, "unfinished", "candidate GET /a")]
    rows += [bad(60, "reset", "baseline GET /a")]
    span = Slice("candidate", EPOCH_NS, EPOCH_NS + 1000 * MS)
    side = side_of(table_of(rows, tmp_path), "candidate", [span], None, span)
    assert [(each.endpoint, each.kind, each.count, each.status) for each in side.errors] == [
        ("GET /a", "status_500", 1, 500)
    ]
    assert side.counts["errors"] == 1


def count_of(kind: str, count: int, endpoint: str = "GET /a", first_s: float = 0.5) -> ErrorCount:
    return ErrorCount(endpoint=endpoint, kind=kind, count=count, requests=100, first_s=first_s)


def test_errors_of_a_case_are_sums_over_the_runs_that_had_them() -> None:
    first, second = over_runs(
        {2: [count_of("reset", 5, first_s=0.1)], 1: [count_of("reset", 10)], 3: [count_of("tls", 1)]}
    )
    assert (first.counted.kind, first.counted.count, first.counted.requests) == ("reset", 15, 200)
    assert (first.replicates, first.runs, first.ratio) == ((1, 2), 3, 0.075)
    assert first.counted.first_s == 0.5
    assert (second.counted.kind, second.replicates) == ("tls", (3,))
    assert over_runs({1: [], 2: []}) == ()


def test_kinds_are_listed_whatever_their_endpoint() -> None:
    counts = [count_of("reset", 5), count_of("reset", 1, "GET /b"), *(count_of(kind, 2) for kind in "abc")]
    assert listed(counts) == "reset (6), a (2), b (2), others (2)"
    assert listed([]) == ""


def test_a_result_without_errors_in_run_json_gets_them_from_its_rows(tmp_path: Path) -> None:
    result, _ = new_result(tmp_path / "r", suite_with(MIX, replicates=(1, 1)))
    place = result.new_run_folder("c", 1)
    table: pa.Table = table_of([*good(90), bad(5, "reset", "GET /b")], place)
    pq.write_table(table, place / "samples.parquet")
    result.write_run(run_of(MIX))
    summary = summarise(result)
    (error,) = summary.errors["c"]
    assert (error.counted.endpoint, error.counted.kind, error.counted.count) == ("GET /b", "reset", 1)
    told = summary.table.query("metric == 'error_ratio'").set_index("endpoint")["errors"].to_dict()
    assert told == {"GET /a": "", "GET /b": "reset (1)", TOTAL: "reset (1)"}
