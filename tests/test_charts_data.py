"""What charts show against the summary they are made of, and that they show nothing where there is nothing."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from chart_fixtures import ROWS, SHAPES, complete, digest_of, duel_summary, open_summary
from chart_room import assert_texts_have_room
from matplotlib.colors import to_rgb
from report_fixtures import (
    REASON,
    fixture_summary,
    own_app_summary,
    running_server_summary,
    summary_of,
)

from loopwise.model import Case, Load
from loopwise.report import charts_heatmap
from loopwise.report.charts import CHARTS, save
from loopwise.report.charts_checks import checks_panels
from loopwise.report.charts_costs import resources_panels, victim_panels
from loopwise.report.charts_heatmap import heatmap_panels, luminance
from loopwise.report.charts_histogram import histogram_panels
from loopwise.report.charts_lines import MANY_PANELS, distribution_panels
from loopwise.report.charts_plane import plane_panels, predicted_panels
from loopwise.report.charts_rate import rate_panels
from loopwise.report.charts_shares import shares_panels
from loopwise.report.charts_time import RUNS_SHOWN, chosen, panel_of, timeline_panels
from loopwise.report.charts_workers import spaced, workers_panels
from loopwise.summary import Summary

SCHEMA_PAGE = Path(__file__).resolve().parents[1] / "docs" / "schema.md"


def table_value(summary: Summary, case_id: str, metric: str, column: str = "value") -> float:
    table = summary.table
    return float(table[(table["case_id"] == case_id) & (table["metric"] == metric)][column].iloc[0])


def with_cases(summary: Summary, change: Callable[[Case], Case]) -> Summary:
    suite = summary.experiment.suite
    changed = suite.model_copy(update={"cases": tuple(change(case) for case in suite.cases)})
    return replace(summary, experiment=summary.experiment.model_copy(update={"suite": changed}))


def with_load(summary: Summary, **options: Any) -> Summary:
    return with_cases(
        summary, lambda case: case.model_copy(update={"load": case.load.model_copy(update=options)})
    )


def test_every_chart_is_in_the_documentation() -> None:
    section = SCHEMA_PAGE.read_text(encoding="utf-8").partition("## charts/")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == list(CHARTS)


@pytest.mark.parametrize(
    ("panels", "metric"),
    [
        (lambda summary: [panel.cells for panel in victim_panels(summary)], "victim_p99_ms"),
        (lambda summary: [panel.cpu for panel in resources_panels(summary)], "cpu_ms_per_request"),
        (lambda summary: [panel.memory for panel in resources_panels(summary)], "rss_mb"),
    ],
)
def test_victim_and_resources_are_the_tables_values(panels: Callable[[Summary], Any], metric: str) -> None:
    summary = fixture_summary(40)
    cells = [cell for row in panels(summary) for cell in row]
    assert len(cells) == 40
    for cell in cells:
        assert (cell.value, cell.low, cell.high) == tuple(
            table_value(summary, cell.case.case_id, metric, column)
            for column in ("value", "ci_low", "ci_high")
        )


def test_without_a_victim_and_without_a_server_of_ours_there_is_nothing_to_show_of_them() -> None:
    assert victim_panels(with_load(fixture_summary(7), victim=None)) == []
    summary = running_server_summary()
    kept = summary.table[~summary.table["metric"].isin(["cpu_ms_per_request", "rss_mb"])]
    assert resources_panels(replace(summary, table=kept)) == []


def test_a_ridge_holds_all_valid_rows_of_a_case_and_no_others() -> None:
    summary = complete(fixture_summary(1))
    (ridge,) = histogram_panels(summary)[0].ridges
    assert ridge is not None
    assert sum(ridge.service) == pytest.approx(1)
    assert ridge.response is None
    (digests,) = summary.digests.values()
    counts = np.sum([each.service[each.endpoint].counts for each in digests], axis=0)
    assert counts.sum() == 3 * ROWS
    assert max(ridge.service) == pytest.approx(counts.max() / (3 * ROWS))
    invalid = replace(digests[0], status="invalid")
    fewer = replace(summary, digests={digests[0].case_id: (invalid, *digests[1:])})
    kept = np.sum([each.service[each.endpoint].counts for each in digests[1:]], axis=0)
    (other,) = histogram_panels(fewer)[0].ridges
    assert other is not None
    assert max(other.service) == pytest.approx(kept.max() / (2 * ROWS))


def test_in_open_load_a_ridge_has_both_latencies_and_its_figures_are_the_response_times() -> None:
    summary = open_summary()
    panel = histogram_panels(summary)[0]
    assert all(ridge is not None and ridge.response is not None for ridge in panel.ridges)
    for cell in panel.tails:
        assert cell.value == table_value(summary, cell.case.case_id, "response_time_p99_ms")


def test_without_rows_there_is_no_histogram_and_no_time_line() -> None:
    assert histogram_panels(fixture_summary(7)) == []
    assert timeline_panels(fixture_summary(7)) == []


def test_beside_throughput_stands_the_p99_of_the_same_cases() -> None:
    summary = fixture_summary(40)
    for panel in workers_panels(summary):
        for line, tail in zip(panel.lines, panel.tails, strict=True):
            assert [cell.case for cell in tail] == [cell.case for cell in line]
            for cell in tail:
                assert cell.value == table_value(summary, cell.case.case_id, "service_time_p99_ms")


@pytest.mark.parametrize(
    ("counts", "shown"), [([1, 2, 4, 8], [1, 2, 4, 8]), ([1, 2], [1, 2]), ([1, 2, 30, 31, 32], [1, 2, 32])]
)
def test_worker_counts_too_near_to_be_labelled_have_no_label(counts: list[int], shown: list[int]) -> None:
    assert spaced(counts) == shown


def test_rate_lines_rise_in_rate_and_hold_both_latencies_of_the_table() -> None:
    summary = open_summary()
    (panel,) = rate_panels(summary)
    assert [panel.facet.series(pair[0][0].case) for pair in panel.lines] == ["async", "sync"]
    for response, service in panel.lines:
        assert [cell.case.load.rate_rps for cell in response] == [100, 200, 400, 800]
        for kind, line in (("response", response), ("service", service)):
            for cell in line:
                assert cell.value == table_value(summary, cell.case.case_id, f"{kind}_time_p99_ms")


def test_closed_load_one_rate_and_a_rising_rate_make_no_chart_against_rate() -> None:
    assert rate_panels(fixture_summary(40)) == []
    assert rate_panels(running_server_summary()) == []
    assert rate_panels(with_load(open_summary(), ramp_to_rps=1000.0)) == []


def test_an_invalid_rate_is_left_out_and_named() -> None:
    summary = open_summary()
    table = summary.table
    void = table["case_id"] == "sleep-sync-r800"
    marked = table.assign(valid=~void, reason=np.where(void, "it broke", ""))
    (panel,) = rate_panels(replace(summary, table=marked))
    assert panel.left_out == ("sync at 800/s",)
    assert [cell.case.load.rate_rps for cell in panel.lines[1][0]] == [100, 200, 400]


def test_points_of_the_plane_are_the_tables_and_a_line_is_one_mode_by_workers() -> None:
    summary = fixture_summary(100)
    for panel in plane_panels(summary):
        assert len(panel.lines) == 5
        for line in panel.lines:
            assert [point.throughput.case.workers for point in line] == [1, 2, 4, 8]
            assert len({point.throughput.case.mode for point in line}) == 1
            for point in line:
                case_id = point.throughput.case.case_id
                assert point.throughput.value == table_value(summary, case_id, "throughput_rps")
                assert point.latency.value == table_value(summary, case_id, "service_time_p99_ms")
    assert plane_panels(fixture_summary(1)) == []


def test_predicted_points_are_the_predictions_of_valid_cases() -> None:
    summary = complete(fixture_summary(40, invalid="some"))
    known = {each.case_id: each for each in summary.predictions}
    points = [point for panel in predicted_panels(summary) for point in panel.points]
    assert len(points) == 32
    for cell, found in points:
        assert found is known[cell.case.case_id]
        assert cell.value == table_value(summary, cell.case.case_id, "throughput_rps")
    assert sum(len(panel.left_out) for panel in predicted_panels(summary)) == 8
    assert predicted_panels(fixture_summary(7)) == []


def test_shares_are_means_by_rank_of_the_valid_runs() -> None:
    summary = complete(fixture_summary(40))
    panel = shares_panels(summary)[0]
    assert {case.workers for case in panel.facet.cases} == {2}
    assert panel.shares[0] == pytest.approx((2 / 3, 1 / 3))
    case_id = panel.facet.cases[0].case_id
    even = tuple(
        run.model_copy(
            update={"workers": tuple(each.model_copy(update={"share": 0.5}) for each in run.workers)}
        )
        if run.case.case_id == case_id and run.replicate == 1
        else run
        for run in summary.runs
    )
    mean = (2 * (2 / 3) + 0.5) / 3
    assert shares_panels(replace(summary, runs=even))[0].shares[0] == pytest.approx((mean, 1 - mean))
    void = tuple(
        run.model_copy(update={"status": "invalid"})
        if run.case.case_id == case_id and run.replicate == 1
        else run
        for run in even
    )
    assert shares_panels(replace(summary, runs=void))[0].shares[0] == pytest.approx((2 / 3, 1 / 3))


def test_one_worker_or_no_probe_has_no_shares() -> None:
    assert shares_panels(complete(fixture_summary(7))) == []
    assert shares_panels(fixture_summary(40)) == []


def test_a_heat_map_has_a_row_per_mode_a_column_per_worker_count_and_the_tables_values() -> None:
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


def test_a_heat_map_takes_other_factors_where_workers_do_not_vary() -> None:
    (by_load,) = heatmap_panels(open_summary())
    assert by_load.columns == tuple(f"{rate}/s poisson" for rate in (100, 200, 400, 800))
    (by_subject,) = heatmap_panels(fixture_summary(7))
    assert by_subject.columns == ("sleep(ms=50)", "cpu(ms=5)")
    assert by_subject.throughput[2][1] is None
    assert heatmap_panels(fixture_summary(1)) == []
    assert heatmap_panels(own_app_summary(3, (2,))) == []


def test_letters_in_a_heat_map_can_be_read_on_every_colour() -> None:
    for place in np.linspace(0, 1, 101):
        fill = luminance(to_rgb(charts_heatmap._COLOURS(float(place))))
        ink = "_LIGHT_INK" if fill < charts_heatmap._LIGHT_BELOW else "_DARK_INK"
        ends = sorted((fill, luminance(to_rgb(getattr(charts_heatmap, ink)))))
        assert (ends[1] + 0.05) / (ends[0] + 0.05) >= 4.5


def test_time_lines_are_of_the_fastest_the_best_explained_and_a_void_run() -> None:
    summary = complete(fixture_summary(40, invalid="some"))
    found = chosen(summary)
    assert len(found) == RUNS_SHOWN
    assert [(digest.case_id, why) for digest, why in found[:2]] == [
        ("sleep-async-w2", "the fastest here"),
        ("sleep-sync-w2", "thread pool full"),
    ]
    assert found[-1][0].status == "invalid"
    assert all(digest.status == "ok" for digest, _ in found[:-1])


def test_a_time_line_holds_the_digests_columns_and_leaves_out_what_never_happened() -> None:
    summary = complete(fixture_summary(40))
    case = next(each for each in summary.experiment.suite.cases if each.mode == "sync")
    digest = summary.digests[case.case_id][0]
    panel = panel_of(digest, case, summary.experiment.suite.cases)
    assert panel is not None
    lines = {line.column: line.values for track in panel.tracks for line in track.lines}
    assert set(lines) == {
        *("rate_rps", "errors_rps", "p50_ms", "p99_ms", "loop_lag_ms", "pool_busy", "pool_waiting"),
        *("cpu_ratio", "steal_ratio"),
    }
    for column, values in lines.items():
        assert list(values) == digest.timeline[column].tolist()


def test_a_time_line_without_anything_known_is_none() -> None:
    summary = complete(fixture_summary(1))
    (case,) = summary.experiment.suite.cases
    digest = digest_of(summary.runs[0], 10.0, 100.0)
    columns = [name for name in digest.timeline.columns if name != "second"]
    empty = replace(digest, timeline=digest.timeline.assign(**dict.fromkeys(columns, float("nan"))))
    assert panel_of(empty, case, [case]) is None
    assert timeline_panels(replace(summary, digests={case.case_id: (empty,)})) == []


def test_checks_say_which_case_is_void_or_flagged_in_how_many_runs_and_why() -> None:
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


def test_a_failed_and_a_repeated_run_are_marks_and_a_duels_rounds_mark_both_sides() -> None:
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


def test_of_too_many_distributions_the_fewest_and_the_most_workers_are_shown() -> None:
    panels = distribution_panels(fixture_summary(100))
    assert len(panels) == 10 <= MANY_PANELS
    assert [panel.facet.cases[0].workers for panel in panels] == [1, 8] * 5
    assert len(distribution_panels(fixture_summary(40))) == 8


def test_a_distribution_reaches_p99_99_where_enough_rows_do_and_its_line_passes_through_the_ticks() -> None:
    panel = next(
        panel for panel in distribution_panels(fixture_summary(40)) if panel.facet.heading == "json(kb=16)"
    )
    _, curve = panel.lines[0]
    assert curve.quantiles[-1] == 0.9999
    axes = CHARTS["distribution"].panel_figure(panel).axes[0]
    x, y = (np.round(np.asarray(points, dtype=float), 6).tolist() for points in axes.lines[0].get_data())
    drawn = set(zip(x, y, strict=True))
    for quantile in (0.0, 0.5, 0.9, 0.99, 0.999, 0.9999):
        at = curve.quantiles.index(quantile)
        assert (round(1 / (1 - quantile), 6), round(curve.median_ms[at], 6)) in drawn
    assert len(drawn) < len(curve.quantiles)


@pytest.mark.parametrize("shape", ["7 cases", "hostile names", "open load", "duel"])
def test_a_panel_cut_from_its_sheet_is_whole(shape: str, tmp_path: Path) -> None:
    summary = SHAPES[shape]()
    for chart in save(summary, tmp_path):
        panels = CHARTS[chart.name].panels(summary)
        assert len(chart.panels) == len(panels)
        for alone, panel in zip(chart.panels, panels, strict=True):
            root = ElementTree.fromstring(alone.svg)
            ids = {node.get("id") for node in root.iter()}
            assert set(re.findall(r"(?:url\(#|href=\"#)([^)\"]+)", alone.svg)) <= ids
            told = [node.text for node in root.iter("{http://www.w3.org/2000/svg}text")]
            figure = CHARTS[chart.name].panel_figure(panel)
            words = [text.get_text() for text in (*figure.texts, *(t for a in figure.axes for t in a.texts))]
            assert [word for word in words if word and word not in told] == []
            _, _, width, height = (float(part) for part in str(root.get("viewBox")).split())
            assert (width, height) == pytest.approx(
                tuple(72 * size for size in figure.get_size_inches()), abs=0.02
            )


def test_the_load_of_a_heat_map_may_be_closed() -> None:
    summary = fixture_summary(7)
    (panel,) = heatmap_panels(
        with_cases(summary, lambda case: case.model_copy(update={"load": Load(users=7)}))
    )
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
    figure = CHARTS["heatmap"].panel_figure(panel)
    assert_texts_have_room(figure)
    texts = [text.get_text() for text in figure.texts]
    assert texts.count("poisson") == 16
    assert {f"{rate:g}/s" for rate in rates} <= set(texts)
