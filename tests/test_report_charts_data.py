"""What charts show against the summary they are made of, and that they show nothing where there is nothing."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from support.chart import ROWS, SHAPES, complete, open_summary
from support.chart_room import panel_figure
from support.report import (
    REASON,
    fixture_summary,
    running_server_summary,
    summary_of,
)

from loopwise.analysis.summary import Summary
from loopwise.model import Case, Server, Verdict
from loopwise.report.charts.bars import resources_panels, shares_panels
from loopwise.report.charts.distribution import MANY_PANELS, distribution_panels, histogram_panels
from loopwise.report.charts.forest import ForestGroup, ForestPanel, ForestRow
from loopwise.report.charts.kit import style
from loopwise.report.charts.plane import plane_panels, predicted_panels
from loopwise.report.charts.points import victim_panels
from loopwise.report.charts.rate import rate_panels
from loopwise.report.charts.specs import CHARTS, save
from loopwise.report.charts.timelines import timeline_panels
from loopwise.report.charts.workers import spaced, workers_panels

SCHEMA_PAGE = Path(__file__).resolve().parents[1] / "docs" / "schema.md"


def table_value(summary: Summary, case_id: str, metric: str, column: str = "value") -> float:
    table = summary.table
    return float(table[(table["case_id"] == case_id) & (table["metric"] == metric)][column].iloc[0])


def with_cases(summary: Summary, change: Callable[[Case], Case]) -> Summary:
    suite = summary.experiment.suite
    changed = suite.model_copy(update={"cases": tuple(change(case) for case in suite.cases)})
    return replace(summary, experiment=summary.experiment.model_copy(update={"suite": changed}))


def with_load(summary: Summary, **options: Any) -> Summary:
    return with_cases(summary, lambda case: case.model_copy(update={"load": case.load.model_copy(update=options)}))


def test_every_chart_is_in_the_documentation() -> None:
    section = SCHEMA_PAGE.read_text(encoding="utf-8").partition("## charts/")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == list(CHARTS)


@pytest.mark.parametrize(
    ("panels", "metric"),
    [
        (
            lambda summary: [[cell for (cell,) in panel.latencies] for panel in victim_panels(summary)],
            "victim_p99_ms",
        ),
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
            table_value(summary, cell.case.case_id, metric, column) for column in ("value", "ci_low", "ci_high")
        )


def test_without_canary_or_own_server_their_charts_are_missing() -> None:
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


def test_in_open_load_a_ridge_has_both_latencies() -> None:
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


def test_rate_lines_rise_and_have_both_latencies_of_the_table() -> None:
    summary = open_summary()
    (panel,) = rate_panels(summary)
    assert [panel.facet.series(pair[0][0].case) for pair in panel.lines] == ["async", "sync"]
    for response, service in panel.lines:
        assert [cell.case.load.rate_rps for cell in response] == [100, 200, 400, 800]
        for kind, line in (("response", response), ("service", service)):
            for cell in line:
                assert cell.value == table_value(summary, cell.case.case_id, f"{kind}_time_p99_ms")


def test_without_several_steady_rates_there_is_no_rate_chart() -> None:
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


def test_a_line_of_the_plane_is_one_mode_by_workers() -> None:
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
        run.model_copy(update={"workers": tuple(each.model_copy(update={"share": 0.5}) for each in run.workers)})
        if run.case.case_id == case_id and run.replicate == 1
        else run
        for run in summary.runs
    )
    mean = (2 * (2 / 3) + 0.5) / 3
    assert shares_panels(replace(summary, runs=even))[0].shares[0] == pytest.approx((mean, 1 - mean))
    void = tuple(
        run.model_copy(update={"status": "invalid"}) if run.case.case_id == case_id and run.replicate == 1 else run
        for run in even
    )
    assert shares_panels(replace(summary, runs=void))[0].shares[0] == pytest.approx((2 / 3, 1 / 3))


def test_one_worker_or_no_probe_has_no_shares() -> None:
    assert shares_panels(complete(fixture_summary(7))) == []
    assert shares_panels(fixture_summary(40)) == []


def test_of_many_distributions_fewest_and_most_workers_are_shown() -> None:
    panels = distribution_panels(fixture_summary(100))
    assert len(panels) == 10 <= MANY_PANELS
    assert [panel.facet.cases[0].workers for panel in panels] == [1, 8] * 5
    assert len(distribution_panels(fixture_summary(40))) == 8


def test_a_distribution_reaches_p99_99_and_passes_its_ticks() -> None:
    panel = next(panel for panel in distribution_panels(fixture_summary(40)) if panel.facet.heading == "json(kb=16)")
    _, curve = panel.lines[0]
    assert curve.quantiles[-1] == 0.9999
    axes = panel_figure(panel).axes[0]
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
            figure = panel_figure(panel)
            words = [text.get_text() for text in (*figure.texts, *(t for a in figure.axes for t in a.texts))]
            assert [word for word in words if word and word not in told] == []
            _, _, width, height = (float(part) for part in str(root.get("viewBox")).split())
            assert (width, height) == pytest.approx(tuple(72 * size for size in figure.get_size_inches()), abs=0.02)


def test_in_open_load_a_line_of_the_plane_goes_from_rate_to_rate() -> None:
    summary = open_summary()
    (panel,) = plane_panels(summary)
    for line in panel.lines:
        assert [point.throughput.case.load.rate_rps for point in line] == [100, 200, 400, 800]
        for point in line:
            assert point.latency.value == table_value(summary, point.latency.case.case_id, "response_time_p99_ms")
    texts = [text.get_text() for text in panel_figure(panel).texts]
    assert {"async, 100–800/s", "sync, 100–800/s"} <= set(texts)


@pytest.mark.parametrize("counts", [(1, 2), (1, 2, 3, 4), (1, 10, 100)])
@pytest.mark.parametrize("modes", [("async", "sync"), ("async",), ("to_thread", "blocking")])
def test_a_row_that_got_its_room_from_its_own_name_is_not_cut(modes: tuple[str, ...], counts: tuple[int, ...]) -> None:
    like = fixture_summary(1).experiment.suite.cases[0]
    cases = tuple(
        like.model_copy(update={"case_id": f"{mode}-{count}", "mode": mode, "server": Server(workers=count)})
        for mode in modes
        for count in counts
    )
    summary = summary_of(cases)
    (panel,) = CHARTS["throughput"].panels(summary)
    texts = [text.get_text() for text in panel_figure(panel).texts]
    assert not any(text.endswith("…") for text in texts)


def test_the_reason_of_an_invalid_case_has_two_lines_before_it_is_cut() -> None:
    (panel, _) = CHARTS["throughput"].panels(fixture_summary(7, invalid="some"))
    texts = [text.get_text() for text in panel_figure(panel).texts]
    first = next(index for index, text in enumerate(texts) if text.startswith("invalid: the generator"))
    assert " ".join(texts[first : first + 2]) == f"invalid: {REASON}"


def test_a_long_label_of_a_duel_has_two_lines_before_it_is_cut() -> None:
    verdict = Verdict(
        baseline_case="main", candidate_case="mine", metric="cpu_ms_per_request", ratio=1.2, ci_low=1.1, ci_high=1.3,
        verdict="worse", reason="",
    )  # fmt: skip
    label = "GET /orders/{order_id}/invoice of a shop"
    panel = ForestPanel("a", "b", (ForestGroup("", (ForestRow(label, verdict),)),), 0.05)
    texts = [text.get_text() for text in panel_figure(panel).texts]
    assert label in " ".join(texts)


def test_text_is_cut_to_its_width_and_wrapped_at_spaces() -> None:
    assert style.fit("short", 5) == "short"
    cut = style.fit("x" * 300, 1.0)
    assert cut.endswith("…")
    assert style.text_width_in(cut) <= 1.0
    lines = style.wrap("a title that needs more room than there is, and more than two lines of it", 2.0, lines=2)
    assert len(lines) == 2
    assert lines[0].endswith(("room", "more", "needs", "that"))
    assert lines[1].endswith("…")
