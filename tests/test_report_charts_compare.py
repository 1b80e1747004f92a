"""Forest plots and overlays: data against verdicts and tables, and drawings in which nothing overlaps."""

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from support.chart_room import assert_texts_have_room, drawn_texts, panel_figure
from support.compare import SHAPES, duel_summary, sides, summary_with_cases, verdicts_on
from support.report import HOSTILE

from loopwise.analysis.metrics import COMPARED
from loopwise.analysis.verdicts import RULES
from loopwise.model import Verdict
from loopwise.report.cells import ROWS_PER_FACET, Cells
from loopwise.report.charts.forest import (
    VERDICT_STYLES,
    ForestPanel,
    duel_panels,
    forest_panels,
    ratio_ticks,
)
from loopwise.report.charts.kit import style
from loopwise.report.charts.kit.chart import save_sheets
from loopwise.report.charts.overlay import LATENCY, THROUGHPUT, overlay_panels
from loopwise.report.comparison import Side, shared_facets, sides_of
from loopwise.report.words import ratio_text, why_invalid

COMPARISONS: dict[str, Callable[[], tuple[Side, ...]]] = {
    "1 case": lambda: sides(1),
    "7 cases": lambda: sides(7),
    "40 cases, some invalid": lambda: sides(40, invalid="some"),
    "100 cases": lambda: sides(100),
    "all invalid": lambda: sides(7, invalid="all"),
    "long names": lambda: sides(7, "long", "some", called=("before" * 30, "after and more " * 20)),
    "hostile names": lambda: sides(7, "hostile", "some", called=(HOSTILE, f"/etc/{HOSTILE}")),
    "three results": lambda: sides(7, called=("one", "two", "three")),
    "eight results": lambda: sides(7, called=tuple(f"result {number}" for number in range(8))),
}


def panels_of(compared: tuple[Side, ...]) -> list[ForestPanel]:
    base, other = compared[:2]
    assert other.outcome is not None
    return forest_panels(shared_facets(base.summary, other.summary), other.outcome.verdicts, 0.05)


def verdict(ratio: float | None = 1.2, low: float | None = 1.1, high: float | None = 1.3) -> Verdict:
    return Verdict(
        baseline_case="c", candidate_case="c", metric="throughput_rps", ratio=ratio, ci_low=low, ci_high=high,
        verdict="better" if ratio else "invalid", reason="a and b can't be compared on GET /x: it: is so",
        because="it: is so",
    )  # fmt: skip


@pytest.mark.parametrize("shape", COMPARISONS)
def test_every_verdict_has_its_row_in_exactly_one_panel(shape: str) -> None:
    compared = COMPARISONS[shape]()
    outcome = compared[1].outcome
    assert outcome is not None
    rows = [row.verdict for panel in panels_of(compared) for row in panel.rows]
    assert sorted(map(str, rows)) == sorted(map(str, outcome.verdicts))


@pytest.mark.parametrize(
    ("cases", "panels", "groups", "label"),
    [
        (1, 1, [""], "requests a second (more is better)"),
        (7, 5, ["requests a second (more is better)"], "async"),
        (100, 20, ["requests a second (more is better)"], "async · 1 worker"),
    ],
)
def test_metrics_stand_together_while_they_are_few(cases: int, panels: int, groups: list[str], label: str) -> None:
    found = panels_of(sides(cases))
    assert len(found) == (2 if cases == 7 else panels)
    assert [group.title for group in found[0].groups][:1] == groups
    assert found[0].rows[0].label == label
    assert all(len(panel.rows) <= ROWS_PER_FACET for panel in found)


def test_the_axis_holds_all_ratios_and_cuts_only_long_intervals() -> None:
    for panel in panels_of(sides(100)):
        low, high = panel.ratio_limits()
        assert low < 1 / 1.05 < 1.05 < high
        assert all(low < row.verdict.ratio < high for row in panel.rows if row.verdict.ratio)
        assert high < 10
    alone = verdict(1.01, 0.001, 1000.0)
    panel = replace(panel, groups=(replace(panel.groups[0], rows=(replace(panel.rows[0], verdict=alone),)),))
    low, high = panel.ratio_limits()
    assert 0.7 < low < high < 1.5


@pytest.mark.parametrize(
    ("low", "high"),
    [(0.98, 1.02), (0.93, 1.07), (0.9, 1.4), (0.5, 2.0), (0.2, 5.0), (0.001, 1.1), (0.9, 5e5), (1e-9, 1e9)],
)
def test_ratio_ticks_have_room_and_1_is_among_them(low: float, high: float) -> None:
    ticks = ratio_ticks(low, high, room=4)
    assert 1.0 in ticks
    assert all(low <= tick <= high for tick in ticks)
    assert all(math.log(b / a) >= math.log(high / low) / 4 - 1e-9 for a, b in pairwise(ticks))


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ((1.4149, 1.30, 1.52), "×1.41 [1.30, 1.52]"),
        ((1.0032, 0.9981, 1.0083), "×1.003 [0.998, 1.008]"),
        ((1.003, 0.5, 2.0), "×1.00 [0.50, 2.00]"),
        ((1.003, None, None), "×1.00"),
        ((None, None, None), "–"),
    ],
)
def test_a_ratio_near_1_has_a_digit_more(values: tuple[float | None, ...], text: str) -> None:
    assert ratio_text(verdict(*values)) == text


def test_the_reason_of_an_invalid_row_is_its_because() -> None:
    assert why_invalid(verdict()) == "it: is so"


def test_every_verdict_has_a_mark_and_a_colour_of_its_own() -> None:
    assert set(VERDICT_STYLES) >= {*RULES, "undecided", "invalid"}
    for field in ("colour", "marker"):
        assert len({getattr(looks, field) for looks in VERDICT_STYLES.values()}) == len(VERDICT_STYLES)
    palette = {looks.colour for looks in style.MODES.values()} | {style.MUTED, style.VOID}
    assert {looks.colour for looks in VERDICT_STYLES.values()} <= palette


def test_each_verdict_is_written_and_an_invalid_row_says_why() -> None:
    (panel, *_) = panels_of(sides(7, invalid="some"))
    texts = [text.get_text() for text in drawn_texts(panel_figure(panel))]
    for word in {row.verdict.verdict for row in panel.rows} - {"invalid"}:
        assert texts.count(word) == sum(row.verdict.verdict == word for row in panel.rows)
    void = [row for row in panel.rows if row.verdict.ratio is None]
    assert void
    assert sum(text.startswith("invalid: the generator used") for text in texts) == len(void)
    said = panel.describe()
    assert "invalid, the generator used 97 %" in said
    assert "worse, ×0.710 [0.640, 0.790]" in said


def test_overlay_lines_are_the_tables_values_of_each_result() -> None:
    compared = sides(7, called=("one", "two", "three"))
    halved = replace(
        compared[2].summary,
        table=compared[2].summary.table.assign(value=compared[2].summary.table["value"] / 2),
    )
    compared = (*compared[:2], replace(compared[2], summary=halved))
    for metrics in (THROUGHPUT, LATENCY):
        for panel in overlay_panels(compared, metrics):
            assert [letter for letter, _ in panel.sides] == ["A", "B", "C"]
            for line in panel.lines:
                cells = Cells(compared[line.side].summary)
                assert line.cells == tuple(
                    cells.cell(cell.case, metric) for cell, metric in zip(line.cells, metrics, strict=True)
                )
            first = panel.rows[0][1]
            assert first[2].cells[0].value == pytest.approx((first[0].cells[0].value or 0) / 2)


def test_a_case_has_a_line_only_in_results_that_have_it() -> None:
    base = summary_with_cases(7)
    kept = dict(list(base.cases.items())[:2])
    one = replace(base, cases=kept)
    outcome = sides()[1].outcome
    assert outcome is not None
    panels = overlay_panels(sides_of(base, "a", [(one, outcome), (base, outcome)]), THROUGHPUT)
    assert [len(lines) for panel in panels for _, lines in panel.rows] == [3, 3, 2, 2, 2, 2, 2]
    panels = overlay_panels(sides_of(base, "a", [(one, outcome)]), THROUGHPUT)
    assert [len(lines) for panel in panels for _, lines in panel.rows] == [2, 2]


def test_an_invalid_case_shows_no_figure_in_an_overlay() -> None:
    panels = overlay_panels(sides(7, invalid="all"), THROUGHPUT)
    (panel, *_) = panels
    said = panel.describe()
    assert said.count("invalid: the generator used 97 %") == len(panel.rows)


@pytest.mark.parametrize("shape", COMPARISONS)
def test_no_text_overlaps_another_or_leaves_the_figure(shape: str) -> None:
    compared = COMPARISONS[shape]()
    for panel in panels_of(compared)[:3]:
        assert_texts_have_room(panel_figure(panel))
    for metrics in (THROUGHPUT, LATENCY):
        for each in overlay_panels(compared, metrics)[:2]:
            assert_texts_have_room(panel_figure(each))


def test_a_duel_has_rows_for_the_whole_and_each_endpoint() -> None:
    (panel,) = duel_panels(duel_summary())
    assert [row.label for row in panel.rows] == ["all requests", "GET /x"] * len(COMPARED)
    assert [group.title.partition(" (")[0] for group in panel.groups][:2] == [
        "requests a second",
        "CPU per request",
    ]
    assert duel_panels(summary_with_cases(7)) == []


def test_many_panels_take_several_sheets_and_old_ones_go(tmp_path: Path) -> None:
    compared = sides(100)
    (tmp_path / "forest-9.svg").write_text("older", encoding="utf-8")
    (tmp_path / "forest-report.svg").write_text("other", encoding="utf-8")
    saved = save_sheets(tmp_path / "forest", panels_of(compared), title="t", caption="c")
    assert [path.name for path in saved.files] == [
        f"forest{number}.{suffix}" for number in ("", "-2", "-3") for suffix in ("svg", "png")
    ]
    assert len(saved.panels) == 20
    assert {path.name for path in tmp_path.iterdir()} == {
        "forest-report.svg",
        *(path.name for path in saved.files),
    }


def test_the_fixture_has_every_verdict_on_every_metric() -> None:
    words = {verdict.verdict for verdict in verdicts_on(summary_with_cases(7), "some")}
    assert words == {*(word for word, *_ in SHAPES), "invalid"}
    assert {verdict.metric for verdict in verdicts_on(summary_with_cases(7))} == set(COMPARED)
