"""Each case in the report: its line in the table, its section, its time line."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from support.page import POOL, a_digest, dressed, page_summary
from support.report import REASON, fixture_summary, own_app_summary, running_server_summary

from loopwise.analysis.summary import Summary
from loopwise.model import HostFigures, Run, ServerFacts, Worker
from loopwise.report import format as fmt
from loopwise.report.html import cases as page_cases
from loopwise.report.html.cases import CaseSection, case_sections
from loopwise.report.html.resources import resource_rows
from loopwise.report.html.timeline import POINTS, path, thinned, timeline

NAN = math.nan


def sections_of(summary: Summary) -> dict[str, CaseSection]:
    rows = [row for group in page_cases.case_groups(summary) for row in group.rows]
    return {each.row.case.case_id: each for each in case_sections(summary, rows)}


def figure(summary: Summary, case_id: str, metric: str) -> Any:
    table = summary.table
    (row,) = table[(table.case_id == case_id) & (table.metric == metric)].to_dict("records")
    return row


def test_lines_sort_by_the_summarys_figures_unless_invalid() -> None:
    summary = page_summary(7, invalid="some")
    columns = {
        "throughput": "throughput_rps",
        "p50": "service_time_p50_ms",
        "p99": "service_time_p99_ms",
        "errors": "error_ratio",
        "cpu": "cpu_ms_per_request",
    }
    rows = [row for group in page_cases.case_groups(summary) for row in group.rows]
    assert [row.case.case_id for row in rows if row.invalid] == ["sleep-blocking-w1"]
    for row in rows:
        for column, metric in columns.items():
            value = None if row.invalid else figure(summary, row.case.case_id, metric)["value"]
            assert row.figures[column].value == value
        assert row.traits["validity"] == ("invalid" if row.invalid else "valid")


def test_filters_are_offered_for_differing_traits_in_order() -> None:
    groups = page_cases.case_groups(page_summary(100))
    offered = {key: values for key, _, values in page_cases.filters(groups)}
    assert offered["workers"] == ["1", "2", "4", "8"]
    assert set(offered) == {"mode", "workers", "verdict"}
    assert page_cases.filters(page_cases.case_groups(page_summary(1))) == []


def test_anchors_are_unique_whatever_the_cases_are_called() -> None:
    summary = fixture_summary(7)
    names = ["a b", "a/b", "", "é", "..", "x" * 300, "x" * 300]
    cases = tuple(
        case.model_copy(update={"case_id": name + ("" if name != names[-1] else str(index))})
        for index, (case, name) in enumerate(zip(summary.experiment.suite.cases, names, strict=True))
    )
    suite = summary.experiment.suite.model_copy(update={"cases": cases})
    experiment = summary.experiment.model_copy(update={"suite": suite})
    found = list(page_cases.anchors(replace(summary, experiment=experiment)).values())
    assert len(set(found)) == 7
    assert all(each.isascii() and " " not in each and "/" not in each and len(each) < 100 for each in found)


def test_a_section_has_figures_runs_and_a_repeat_command() -> None:
    summary = page_summary(7)
    section = sections_of(summary)["sleep-sync-w1"]
    estimate, *runs = section.latencies
    p99 = figure(summary, "sleep-sync-w1", "service_time_p99_ms")
    assert estimate.figures[2] == fmt.duration(p99["value"], p99["ci_low"], p99["ci_high"])
    assert [row.name for row in runs] == [f"replicate {number}, service time" for number in (1, 2, 3)]
    digest = summary.digests["sleep-sync-w1"][0]
    assert runs[0].figures[-1] == fmt.duration(float(digest.service[digest.endpoint].quantiles_ms[-1]))
    assert runs[0].figures[4] == fmt.NONE  # too few rows for p99.99
    assert [(cause.name, cause.runs) for cause in section.causes] == [("thread pool full", "3 of 3 runs")]
    assert [(line.place, line.call, line.who, line.number) for line in section.stood] == [
        ("shop/repo.py:31", "db.execute", "threads", "36.0"),
        ("shop/repo.py:33", "", "threads", "2.00"),
        ("shop/main.py:9", "time.sleep", "event loop", "50.0 %"),
    ]
    assert ("server CPU", "3.50 s", "2.50 s", "4.50 s") in section.telemetry
    assert [check.name for check in section.checks] == ["generator CPU ratio", "steal ratio"]
    assert "--set" in section.command
    assert section.files[0].links[0] == ("run", "runs/sleep-sync-w1/1/run.json")


def test_verdicts_stand_with_the_case_that_they_judge() -> None:
    summary = page_summary(7)
    sections = sections_of(summary)
    judged = [(each.candidate_case, each.verdict, each.reason) for each in summary.verdicts]
    told = [(id_, row.verdict, row.sentence) for id_, each in sections.items() for row in each.verdicts]
    assert sorted(told) == sorted(judged)
    assert sections["sleep-sync-w1"].verdicts == []


def test_an_invalid_case_has_a_reason_and_runs_but_no_estimate() -> None:
    section = sections_of(page_summary(7, invalid="some"))["sleep-blocking-w1"]
    assert section.row.invalid == REASON
    assert [row.status for row in section.latencies] == ["invalid"] * 3
    assert not any(row.is_estimate for row in section.latencies)
    assert section.failures == [f"Replicates 1, 2, 3: {REASON}"]
    assert [row.status for row in section.files] == ["invalid"] * 3


@pytest.mark.parametrize("summary", [own_app_summary(), running_server_summary(), fixture_summary(1, replicates=1)])
def test_a_case_without_digests_or_telemetry_has_a_section(summary: Summary) -> None:
    for section in sections_of(summary).values():
        assert section.timeline is None
        assert not section.workers
        assert not section.telemetry
        assert section.command


def a_run(**looks: Any) -> Run:
    return page_summary(1, replicates=1).runs[0].model_copy(update=looks)


def test_shares_per_worker_are_told_where_there_are_several() -> None:
    workers = (
        Worker(pid=1, requests=30, share=0.3, cpu_s=0.5),
        Worker(pid=2, requests=70, share=0.7, cpu_s=1.25, fate="ended"),
    )
    (row,) = page_cases.worker_rows([a_run(workers=workers), a_run(workers=workers[:1])])
    assert (row.shares, row.text, row.cpu) == ((70.0, 30.0), "70.0 %, 30.0 %", "0.500 + 1.25 s")
    assert row.fates == "1 ended"


def test_what_requests_wait_for_is_a_row_for_each_line_over_all_runs() -> None:
    lock = POOL.model_copy(update={"name": "asyncio.Lock", "made_at": "", "places": 1, "waiting": 40, "busy": 1.0})
    idle = POOL.model_copy(update={"full_ratio": 0.0, "waiting": 0, "wait_max_ms": 2.0})
    first, second = resource_rows([a_run(resources=(idle, lock)), a_run(resources=(POOL,))])
    assert first == ("asyncio.Lock", "–", "1", "1", "90.0 %", "40", "163 ms")
    assert second == ("SQLAlchemy's QueuePool", "shop/db.py:11", "15", "14.2", "0 %", "0", "163 ms")


def test_telemetry_leaves_out_what_is_no_number() -> None:
    runs = [
        a_run(host=HostFigures(steal_ratio=0.1, server_rss_mb=math.inf)),
        a_run(host=HostFigures(steal_ratio=NAN)),
    ]
    assert page_cases.telemetry_rows(runs) == [("steal", "10.0 %", "10.0 %", "10.0 %")]


@pytest.mark.parametrize(
    ("looks", "links"),
    [
        ({"status": "ok"}, 4),
        ({"status": "failed", "server": ServerFacts()}, 1),
        ({"server": ServerFacts()}, 3),
    ],
)
def test_files_are_linked_as_far_as_a_run_left_them(looks: dict[str, Any], links: int) -> None:
    (row,) = page_cases.file_rows([a_run(**looks)])
    assert len(row.links) == links


@pytest.mark.parametrize("case_id", ["..", "../../etc", "a/b", ""])
def test_a_case_id_is_never_taken_for_a_path(case_id: str) -> None:
    run = a_run()
    hostile = run.model_copy(update={"case": run.case.model_copy(update={"case_id": case_id})})
    assert page_cases.file_rows([hostile]) == []


def test_what_a_link_can_not_hold_is_escaped() -> None:
    run = a_run()
    named = run.model_copy(update={"case": run.case.model_copy(update={"case_id": 'a #?%é"'})})
    (row,) = page_cases.file_rows([named])
    assert row.links[0][1] == "runs/a%20%23%3F%25%C3%A9%22/1/run.json"


def test_the_time_line_shows_the_median_valid_run() -> None:
    runs = page_summary(1).runs
    shown = timeline([a_digest(run) for run in runs])
    assert shown is not None
    assert (shown.replicate, shown.status, shown.duration) == (2, "ok", "2.60 s")
    spoilt = timeline([replace(a_digest(run), status="invalid") for run in runs])
    assert spoilt is not None
    assert (spoilt.replicate, spoilt.status) == (1, "invalid")
    assert timeline([]) is None


def test_lanes_without_values_are_left_out_but_the_rate() -> None:
    digest = a_digest(page_summary(1).runs[0])
    zero = replace(digest, timeline=digest.timeline.assign(rate_rps=0.0, pool_busy=NAN, pool_waiting=0.0))
    shown, whole = timeline([zero]), timeline([digest])
    assert shown is not None
    assert whole is not None
    labels = [lane.label for lane in whole.lanes]
    assert "Errors a second" not in labels
    assert "Executor" not in labels
    assert [lane.label for lane in shown.lanes] == [label for label in labels if label != "Thread pool"]


def test_a_lane_says_its_figures_in_words() -> None:
    shown = timeline([a_digest(page_summary(1).runs[0])])
    assert shown is not None
    (memory,) = [lane for lane in shown.lanes if lane.label == "Memory"]
    assert (memory.alt, memory.top) == ("Memory: 53.2 to 53.2 MB, median 53.2 MB", "53.2 MB")


@pytest.mark.parametrize(
    ("values", "drawn"),
    [
        ([0, 5, 10], "M0 100 1 50 2 0h0"),
        ([NAN, 10, NAN, 10, 10], "M1 0 M3 0 4 0h0"),
        ([NAN, math.inf], ""),
        ([], ""),
    ],
)
def test_a_line_breaks_where_a_value_is_not_known(values: list[float], drawn: str) -> None:
    assert path(np.array(values, dtype=float), 10) == drawn


@pytest.mark.parametrize("steps", [1, POINTS, POINTS + 1, 120, 1_000])
def test_a_long_line_is_thinned_to_means_and_loses_no_level(steps: int) -> None:
    values = np.linspace(0, 10, steps)
    values[steps // 2] = NAN
    few = thinned(values)
    assert few.size <= POINTS
    known = few[~np.isnan(few)]
    if steps > 1:
        assert abs(float(np.mean(known)) - 5) < 0.2


def test_a_digest_of_one_step_is_a_time_line_too() -> None:
    summary = dressed(fixture_summary(1), steps=1)
    (section,) = sections_of(summary).values()
    assert section.timeline is not None
    assert all(lane.steps == 1 for lane in section.timeline.lanes)
