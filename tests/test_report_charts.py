"""Charts: their data against the table, and drawings in which nothing overlaps or is cut off."""

import math
import re
from dataclasses import replace
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from support.chart import SHAPES
from support.chart_room import (
    assert_every_plot_shows_something,
    assert_texts_have_room,
    drawn_texts,
    panel_figure,
)
from support.compare import duel_summary
from support.report import (
    HOSTILE,
    REASON,
    fixture_summary,
    own_app_summary,
    running_server_summary,
    summary_of,
)

from loopwise.analysis.scaling import Scaling
from loopwise.analysis.summary import Summary
from loopwise.model import TOTAL, Server
from loopwise.model.factors import identity
from loopwise.report.cells import ROWS_PER_FACET, Cells, facets
from loopwise.report.charts.bars import throughput_panels
from loopwise.report.charts.distribution import distribution_panels
from loopwise.report.charts.kit import style
from loopwise.report.charts.kit.axes import linear_ticks, log_limits, log_ticks, quantile_position
from loopwise.report.charts.kit.lines import spread
from loopwise.report.charts.kit.svg import inline, svg_of
from loopwise.report.charts.points import PERCENTILES_SHOWN, percentile_panels
from loopwise.report.charts.specs import CHARTS, save
from loopwise.report.charts.workers import scaling, workers_panels

WITHOUT_ROWS = ["throughput", "percentiles", "distribution", "victim", "resources"]
"""Charts of one case, where nothing but the table is there."""


def with_laws(summary: Summary) -> Summary:
    """The summary with a law for each set of cases that differ in workers alone."""
    groups: dict[object, list[str]] = {}
    for case in summary.experiment.suite.cases:
        groups.setdefault(identity(case, {"workers": None}), []).append(case.case_id)
    laws = tuple(
        Scaling(
            **{
                "case_ids": tuple(ids),
                "workers": (1, 2, 4, 8),
                "law": "usl",
                "one_worker_rps": 500.0 + index,
            },
            **{"contention": 0.1, "contention_low": 0.05, "contention_high": 0.15, "confidence": 0.95},
            **{"coherency": 0.0, "coherency_low": 0.0, "coherency_high": 0.01, "misfit_ratio": 0.02},
            **{"best_workers": 8, "recommended_workers": 8, "sentence": "it scales."},
        )
        for index, ids in enumerate(groups.values())
    )
    return replace(summary, scaling=laws)


def table_value(summary: Summary, case_id: str, metric: str, column: str = "value") -> float:
    table = summary.table
    return float(table[(table["case_id"] == case_id) & (table["metric"] == metric)][column].iloc[0])


def test_bars_have_the_tables_values_intervals_and_bounds() -> None:
    summary = fixture_summary(40)
    cells = [cell for panel in throughput_panels(summary) for cell in panel.cells]
    assert len(cells) == 40
    for cell in cells:
        case_id = cell.case.case_id
        assert cell.value == table_value(summary, case_id, "throughput_rps")
        assert cell.low == table_value(summary, case_id, "throughput_rps", "ci_low")
        assert cell.high == table_value(summary, case_id, "throughput_rps", "ci_high")
        assert cell.predicted == table_value(summary, case_id, "throughput_rps", "predicted")


def test_percentile_points_are_the_tables_values() -> None:
    summary = fixture_summary(7)
    rows = [row for panel in percentile_panels(summary) for row in panel.latencies]
    for row in rows:
        for percentile, cell in zip(PERCENTILES_SHOWN, row, strict=True):
            assert cell.value == table_value(summary, cell.case.case_id, f"service_time_{percentile}_ms")


def test_a_distribution_is_the_median_and_range_of_replicates() -> None:
    summary = fixture_summary(1, replicates=3)
    ((case, curve),) = distribution_panels(summary)[0].lines
    rows = summary.quantiles[summary.quantiles["case_id"] == case.case_id]
    at = curve.quantiles.index(0.5)
    values = sorted(rows[rows["quantile"] == 0.5]["service_time_ms"])
    assert (curve.lowest_ms[at], curve.median_ms[at], curve.highest_ms[at]) == tuple(values)
    assert max(curve.quantiles) < 1


def test_a_quantile_that_one_replicate_lacks_is_left_out() -> None:
    summary = fixture_summary(1, replicates=3)
    table = summary.quantiles
    thinned = replace(summary, quantiles=table[~((table["quantile"] == 0.999) & (table["replicate"] == 2))])
    assert distribution_panels(summary)[0].lines[0][1].quantiles[-1] == 0.999
    assert distribution_panels(thinned)[0].lines[0][1].quantiles[-1] == 0.99


def test_workers_lines_have_a_point_per_count_in_rising_order() -> None:
    panels = workers_panels(fixture_summary(100))
    assert len(panels) == 5
    for panel in panels:
        assert len(panel.lines) == 5
        assert all([cell.case.workers for cell in line] == [1, 2, 4, 8] for line in panel.lines)


def test_scaling_is_the_most_workers_over_the_fewest() -> None:
    line = workers_panels(fixture_summary(40))[0].lines[0]
    assert scaling(line) == f"×{2**0.9:.2f}"
    assert scaling(line[:1]) == ""


def test_in_a_mix_the_row_of_all_endpoints_speaks_for_the_case() -> None:
    summary = fixture_summary(1)
    total = summary.table.assign(endpoint=TOTAL, value=summary.table["value"] * 10)
    for order in ([summary.table, total], [total, summary.table]):
        mixed = Cells(replace(summary, table=pd.concat(order)))
        value = mixed.cell(mixed.cases[0], "throughput_rps").value
        assert value == pytest.approx(10 * table_value(summary, mixed.cases[0].case_id, "throughput_rps"))


@pytest.mark.parametrize("kind", ["number kept", "number missing"])
def test_an_invalid_case_never_shows_a_number(kind: str) -> None:
    summary = fixture_summary(7, invalid="all")
    if kind == "number kept":
        summary = replace(summary, table=summary.table.assign(value=123_456.0))
    for name in ("throughput", "percentiles"):
        chart = CHARTS[name]
        texts = [text.get_text() for panel in chart.panels(summary) for text in drawn_texts(panel_figure(panel))]
        assert sum(text.startswith("invalid: ") for text in texts) == 7
        assert not any("123" in text for text in texts)
        assert all(REASON in panel.describe() for panel in chart.panels(summary))


def test_with_nothing_valid_there_are_no_lines_to_draw() -> None:
    summary = fixture_summary(40, invalid="all")
    assert CHARTS["distribution"].figure(summary) is None
    assert CHARTS["workers"].figure(summary) is None


def test_with_one_worker_count_there_is_no_chart_against_workers() -> None:
    assert CHARTS["workers"].figure(fixture_summary(7)) is None
    assert CHARTS["workers"].figure(running_server_summary()) is None


def test_a_case_that_was_not_measured_keeps_its_place() -> None:
    summary = fixture_summary(7)
    gone = summary.experiment.suite.cases[0].case_id
    kept = summary.table[summary.table["case_id"] != gone]
    cell = throughput_panels(replace(summary, table=kept))[0].cells[0]
    assert (cell.case.case_id, cell.invalid) == (gone, "not measured")


def test_invalid_cases_are_named_where_their_line_is_missing() -> None:
    panels = distribution_panels(fixture_summary(40, invalid="some"))
    assert panels[0].left_out == ("sync",)
    assert "Left out as invalid: sync." in panels[0].describe()


def test_one_replicate_has_no_interval_and_the_caption_says_so() -> None:
    summary = fixture_summary(7, replicates=1)
    assert all(cell.low is None for panel in throughput_panels(summary) for cell in panel.cells)
    assert "One replicate each: no interval" in CHARTS["throughput"].note(summary)


def test_facets_of_one_subject_share_their_axis() -> None:
    cases = fixture_summary(7).experiment.suite.cases[:4]
    several = tuple(
        case.model_copy(update={"case_id": f"{case.case_id}-{name}", "server": Server(name=name)})
        for name in ("uvicorn", "gunicorn")
        for case in cases
    )
    panels = throughput_panels(summary_of(several))
    assert [panel.facet.context for panel in panels] == ["uvicorn · 100 users", "gunicorn · 100 users"]
    assert panels[0].highest_rps == panels[1].highest_rps


def test_cases_that_differ_in_a_server_option_share_no_facet() -> None:
    case = fixture_summary(1).experiment.suite.cases[0]
    other = case.model_copy(update={"case_id": "other", "server": Server(threads=100)})
    assert [facet.context for facet in facets([case, other])] == [
        "uvicorn · 100 users",
        "uvicorn, 100 threads · 100 users",
    ]


def test_many_endpoints_of_one_case_become_rows_not_charts() -> None:
    panels = throughput_panels(own_app_summary(50, (2,)))
    assert [len(panel.cells) for panel in panels] == [ROWS_PER_FACET, 10]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", CHARTS)
def test_no_text_overlaps_or_is_cut_and_no_plot_is_empty(name: str, shape: str) -> None:
    figure = CHARTS[name].figure(summary_shaped(shape))
    if figure is not None:
        assert_texts_have_room(figure)
        assert_every_plot_shows_something(figure)


@pytest.mark.parametrize("name", CHARTS)
def test_every_chart_is_drawn_and_its_panels_fit_alone(name: str) -> None:
    chart = CHARTS[name]
    panels = [
        panel for shape in ("long names", "open load", "7 cases") for panel in chart.panels(summary_shaped(shape))
    ]
    panels = panels or list(chart.panels(duel_summary()))
    assert panels
    for panel in panels[:2]:
        assert_texts_have_room(panel_figure(panel))
        assert len(panel.describe()) > 40


@lru_cache(maxsize=len(SHAPES))
def summary_shaped(shape: str) -> Summary:
    return SHAPES[shape]()


def test_hostile_names_are_plain_text_in_the_svg() -> None:
    chart = CHARTS["throughput"]
    summary = fixture_summary(7, names="hostile", invalid="some")
    figure = chart.figure(summary)
    assert figure is not None
    svg = svg_of(figure, HOSTILE)
    texts = [element.text or "" for element in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]
    assert any("<script>alert('x')</script>" in text for text in texts)
    assert "<script" not in svg
    assert "\x1b" not in svg
    assert "\u202e" not in svg


def test_an_inline_panel_has_own_ids_page_colours_and_a_name() -> None:
    chart = CHARTS["throughput"]
    (panel,) = chart.panels(fixture_summary(1))
    element = inline(svg_of(panel_figure(panel), chart.title), "one-", 'an "alt" <text>')
    root = ElementTree.fromstring(element)
    ids = {node.get("id") for node in root.iter()} - {None}
    assert ids
    assert all(str(identifier).startswith("one-") for identifier in ids)
    assert set(re.findall(r"(?:url\(#|href=\"#)([^)\"]+)", element)) <= ids
    assert (root.get("role"), root.get("aria-label")) == ("img", 'an "alt" <text>')
    assert "var(--ink)" in element
    assert style.INK not in element
    assert root.find("style") is None


def test_saving_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    summary = fixture_summary(1)
    first, second = save(summary, tmp_path / "a"), save(summary, tmp_path / "b")
    assert [chart.name for chart in first] == WITHOUT_ROWS
    for one, other in zip(first, second, strict=True):
        for file, same in zip(one.files, other.files, strict=True):
            assert file.read_bytes() == same.read_bytes()
        assert one.panels == other.panels


def test_saving_removes_files_of_charts_with_nothing_to_show(tmp_path: Path) -> None:
    for suffix in ("svg", "png"):
        (tmp_path / f"workers.{suffix}").write_text("older", encoding="utf-8")
    save(fixture_summary(1), tmp_path)
    assert {path.stem for path in tmp_path.iterdir()} == set(WITHOUT_ROWS)


def test_drawing_leaves_matplotlibs_settings_alone() -> None:
    before = dict(mpl.rcParams)
    CHARTS["throughput"].figure(fixture_summary(1))
    assert dict(mpl.rcParams) == before


def test_every_mode_has_looks_of_its_own() -> None:
    looks = list(style.MODES.values())
    for field in ("colour", "marker", "line"):
        assert len({str(getattr(look, field)) for look in looks}) == len(looks)


@pytest.mark.parametrize(("low", "high"), [(0.8, 1.2), (40, 900), (0.01, 100_000), (7, 7.1), (1, 10)])
def test_log_ticks_lie_inside_and_have_room(low: float, high: float) -> None:
    low, high = log_limits([low, high])
    ticks = log_ticks(low, high, room=4)
    assert ticks
    assert all(low <= tick <= high for tick in ticks)
    gaps = [math.log(after / before) for before, after in pairwise(ticks)]
    assert all(gap >= math.log(high / low) / 4 - 1e-9 for gap in gaps)


def test_linear_ticks_start_at_zero_and_stay_below_the_limit() -> None:
    assert linear_ticks(1040) == [0, 300, 600, 900]


def test_each_further_nine_of_a_quantile_takes_the_same_room() -> None:
    positions = [math.log10(quantile_position(quantile)) for quantile in (0.0, 0.9, 0.99, 0.999)]
    assert positions == pytest.approx([0, 1, 2, 3])


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [([], []), ([0.5], [0.5]), ([0.5, 0.5], [0.3, 0.5]), ([2.0, 1.95], [2.0, 1.8]), ([0.0, 0.1], [0.0, 0.2])],
)
def test_labels_are_spread_in_their_order(wanted: list[float], expected: list[float]) -> None:
    assert spread(wanted, pitch=0.2, end=2.0) == pytest.approx(expected)


def test_a_fitted_law_is_a_curve_beside_the_line_of_its_cases() -> None:
    summary = with_laws(fixture_summary(100))
    panel = workers_panels(summary)[0]
    assert [law.one_worker_rps for law in panel.laws if law] == [500.0, 501.0, 502.0, 503.0, 504.0]
    for line, law in zip(panel.lines, panel.laws, strict=True):
        assert law is not None
        assert law.case_ids == tuple(cell.case.case_id for cell in line)
    found = curves(panel_figure(panel))
    assert len(found) == 5
    assert found[0][0] == pytest.approx((1, 500))
    assert found[0][-1] == pytest.approx((8, 8 * 500 / 1.7))
    assert curves(panel_figure(workers_panels(fixture_summary(100))[0])) == []


def curves(figure: Figure) -> list[list[tuple[float, float]]]:
    """Points of the fitted curves: lines have a point per worker count, leaders of labels have two."""
    drawn = [line for axes in figure.axes for line in axes.lines if np.size(line.get_xdata()) > 4]
    return [
        list(zip(np.asarray(line.get_xdata()).tolist(), np.asarray(line.get_ydata()).tolist(), strict=True))
        for line in drawn
    ]
