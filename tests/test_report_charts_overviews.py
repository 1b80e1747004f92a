"""Heat maps, time lines and the overview of checks against the summary they are made of."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from matplotlib.colors import to_rgb
from support.chart import complete, digest_of, duel_summary, open_summary
from support.chart_room import assert_texts_have_room, panel_figure
from support.report import (
    REASON,
    fixture_summary,
    own_app_summary,
    summary_of,
)

from loopwise.analysis.summary import Summary
from loopwise.model import Case, Load
from loopwise.report.charts.checks import checks_panels
from loopwise.report.charts.heatmap import colours, heatmap_panels, luminance
from loopwise.report.charts.timelines import RUNS_SHOWN, chosen, panel_of, timeline_panels


def table_value(summary: Summary, case_id: str, metric: str, column: str = "value") -> float:
    table = summary.table
    return float(table[(table["case_id"] == case_id) & (table["metric"] == metric)][column].iloc[0])


def with_cases(summary: Summary, change: Callable[[Case], Case]) -> Summary:
    suite = summary.experiment.suite
    changed = suite.model_copy(update={"cases": tuple(change(case) for case in suite.cases)})
    return replace(summary, experiment=summary.experiment.model_copy(update={"suite": changed}))


def test_a_heat_map_has_the_tables_values_by_mode_and_workers() -> None:
    summary = fixture_summary(100)
    panels = heatmap_panels(summary)
    assert [panel.heading for panel in panels] == [
        "sleep(ms=50)",
        "cpu(ms=5)",
        *[p.heading for p in panels[2:]],
    ]
    for panel in panels:
        assert panel.rows == ("async", "sync", "blocking", "to_thread", "process")
        assert panel.columns == ("1 worker", "2 workers", "4 workers", "8 workers")
        for name, row, latencies in zip(panel.rows, panel.throughput, panel.latency, strict=True):
            for column, cell, latency in zip(panel.columns, row, latencies, strict=True):
                assert cell is not None
                assert latency is not None
                assert (cell.case.mode, f"{cell.case.workers} ") == (name, column[:2])
                assert cell.value == table_value(summary, cell.case.case_id, "throughput_rps")
                assert latency.value == table_value(summary, cell.case.case_id, "service_time_p99_ms")


def test_a_heat_map_takes_other_factors_if_workers_are_fixed() -> None:
    (by_load,) = heatmap_panels(open_summary())
    assert by_load.columns == tuple(f"{rate}/s poisson" for rate in (100, 200, 400, 800))
    (by_subject,) = heatmap_panels(fixture_summary(7))
    assert by_subject.columns == ("sleep(ms=50)", "cpu(ms=5)")
    assert by_subject.throughput[2][1] is None
    assert heatmap_panels(fixture_summary(1)) == []
    assert heatmap_panels(own_app_summary(3, (2,))) == []


def test_letters_in_a_heat_map_can_be_read_on_every_colour() -> None:
    for place in np.linspace(0, 1, 101):
        ends = sorted(luminance(to_rgb(colour)) for colour in colours(float(place)))
        assert (ends[1] + 0.05) / (ends[0] + 0.05) >= 4.5


def test_time_lines_show_the_fastest_the_explained_a_void_run() -> None:
    summary = complete(fixture_summary(40, invalid="some"))
    found = chosen(summary)
    assert len(found) == RUNS_SHOWN
    assert [(digest.case_id, why) for digest, why in found[:2]] == [
        ("sleep-async-w2", "the fastest here"),
        ("sleep-sync-w2", "thread pool full"),
    ]
    assert found[-1][0].status == "invalid"
    assert all(digest.status == "ok" for digest, _ in found[:-1])


def test_a_time_line_leaves_out_columns_that_stay_zero() -> None:
    summary = complete(fixture_summary(40))
    case = next(each for each in summary.experiment.suite.cases if each.mode == "sync")
    digest = summary.digests[case.case_id][0]
    panel = panel_of(digest, case, summary.experiment.suite.cases)
    assert panel is not None
    shown = {line.column: line.values for _, lines in panel.tracks for line in lines}
    assert set(shown) == {
        *("rate_rps", "errors_rps", "p50_ms", "p99_ms", "loop_lag_ms", "pool_busy", "pool_waiting"),
        *("cpu_ratio", "steal_ratio"),
    }
    for column, values in shown.items():
        assert list(values) == digest.timeline[column].tolist()


def test_a_time_line_without_anything_known_is_none() -> None:
    summary = complete(fixture_summary(1))
    (case,) = summary.experiment.suite.cases
    digest = digest_of(summary.runs[0], 10.0, 100.0)
    columns = [name for name in digest.timeline.columns if name != "second"]
    empty = replace(digest, timeline=digest.timeline.assign(**dict.fromkeys(columns, float("nan"))))
    assert panel_of(empty, case, [case]) is None
    assert timeline_panels(replace(summary, digests={case.case_id: (empty,)})) == []


def test_checks_show_void_and_flagged_cases_runs_and_reason() -> None:
    summary = complete(fixture_summary(7, invalid="some"))
    panels = checks_panels(summary)
    marks = {
        (case.case_id, name): mark
        for panel in panels
        for case, row in zip(panel.facet.cases, panel.marks, strict=True)
        for name, mark in zip(panel.columns, row, strict=True)
        if mark is not None
    }
    failed = {(run.case.case_id, check.name) for run in summary.runs for check in run.checks if not check.ok}
    assert set(marks) == failed
    void = marks["sleep-blocking-w1", "generator_cpu_ratio"]
    assert (void.is_void, void.failed, void.runs, void.detail) == (True, 3, 3, REASON)
    assert not any(mark.is_void for (_, name), mark in marks.items() if name == "drift")
    assert sum(len(panel.facet.cases) + panel.clean for panel in panels) == 7


def test_failed_and_repeated_runs_and_rounds_of_duels_are_marks() -> None:
    summary = fixture_summary(1)
    first, second, third = summary.runs
    runs = (
        first.model_copy(update={"status": "failed", "error": "the server ended"}),
        second.model_copy(update={"status": "disturbed"}),
        third,
    )
    (panel,) = checks_panels(replace(summary, runs=runs))
    assert panel.columns == ("failed", "disturbed")
    (row,) = panel.marks
    assert [(mark.is_void, mark.failed, mark.runs) for mark in row if mark] == [(True, 1, 3), (False, 1, 3)]
    assert row[0] is not None
    assert row[0].detail == "the server ended"
    (duel,) = checks_panels(duel_summary())
    assert [[mark.failed if mark else None for mark in row] for row in duel.marks] == [[2, 1], [2, 1]]


def test_without_a_failed_check_there_is_no_overview_of_them() -> None:
    assert checks_panels(fixture_summary(40)) == []


def test_the_load_of_a_heat_map_may_be_closed() -> None:
    summary = fixture_summary(7)
    (panel,) = heatmap_panels(with_cases(summary, lambda case: case.model_copy(update={"load": Load(users=7)})))
    assert panel.context.endswith("7 users · 1 worker")


def test_a_column_name_wider_than_its_column_goes_on_below() -> None:
    summary = open_summary(modes=("async", "sync"))
    rates = [100.0 * 2**step for step in range(8)]
    by_rate = [
        case.model_copy(
            update={
                "case_id": f"{case.case_id}-{rate:g}",
                "load": case.load.model_copy(update={"rate_rps": rate}),
            }
        )
        for case in summary.experiment.suite.cases
        if case.load.rate_rps == 100.0
        for rate in rates
    ]
    (panel,) = heatmap_panels(summary_of(tuple(by_rate)))
    assert len(panel.columns) == 8
    figure = panel_figure(panel)
    assert_texts_have_room(figure)
    texts = [text.get_text() for text in figure.texts]
    assert texts.count("poisson") == 16
    assert {f"{rate:g}/s" for rate in rates} <= set(texts)


def test_in_open_load_the_time_line_is_of_the_lowest_p99() -> None:
    found = [(digest.case_id, why) for digest, why in chosen(open_summary())]
    assert ("sleep-async-r100", "the lowest p99 here") in found
    assert not any(why == "the fastest here" for _, why in found)
