"""report.html: its sections, its content for every shape of result, and the scripts and requests it allows."""

import os
import re
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from support.html import outline, parse
from support.page import page_summary
from support.printed import printed
from support.report import REASON, Names, fixture_summary, own_app_summary, with_causes

from loopwise.analysis.cards import Card, Held
from loopwise.analysis.predictions import Prediction
from loopwise.model import Check
from loopwise.report.charts.kit.chart import ChartFile, InlinePanel
from loopwise.report.charts.specs import save
from loopwise.report.html import page as base
from loopwise.report.html.cases import CaseRow, case_groups
from loopwise.report.html.facts import check_rows
from loopwise.report.html.report import SCRIPTS, render_report, write_report
from loopwise.report.terminal.answer import Answer

GOLDEN = Path(__file__).parent / "golden" / "report_outline.txt"


def stub_charts(names: Sequence[str] = ("throughput", "percentiles")) -> list[ChartFile]:
    svg = '<svg viewBox="0 0 1 1" width="1pt" height="1pt"><g id="figure_1"/></svg>'
    return [
        ChartFile(
            name,
            f"Title of {name}",
            f"Caption of {name}",
            (Path(f"{name}.svg"), Path(f"{name}.png")),
            (InlinePanel(svg, f"Words for {name}"),),
        )
        for name in names
    ]


def sections_of(html: str) -> list[str]:
    return [str(each["id"]) for each in parse(html).named("section") if "id" in each]


def without_scripts(html: str) -> str:
    return re.sub(r"<script.*?</script>", "", html, flags=re.DOTALL)


def test_the_structure_of_a_page_is_the_golden_one() -> None:
    """Run with UPDATE_GOLDEN=1 to accept a change."""
    structure = "\n".join(outline(parse(render_report(page_summary(1), stub_charts())))) + "\n"
    if os.environ.get("UPDATE_GOLDEN") == "1":
        GOLDEN.write_text(structure, encoding="utf-8")
    assert structure == GOLDEN.read_text(encoding="utf-8")


def test_style_sheets_and_scripts_are_in_the_page_once() -> None:
    page = render_report(page_summary(7), stub_charts())
    for name in ("base.css", "report.css", "sift.css", *SCRIPTS, "theme.js"):
        assert page.count(base.source(name).strip()) == 1, name


def test_the_answers_come_first_and_all_sections_in_order() -> None:
    summary = fixture_summary(7, invalid="some")
    html = render_report(summary, stub_charts())
    assert sections_of(html) == ["answers", "charts", "explore", "verdicts", "cases", "trouble", "method"]
    text = parse(html).text
    places = [text.index(part) for part in (*summary.answers, "Caption of throughput", *summary.damaged)]
    assert places == sorted(places)


def test_a_card_says_whom_a_remedy_is_for_with_code_as_code() -> None:
    summary = fixture_summary(7)
    card = Card(subject="GET /x", cases=2, invalid=0, case_id="async", name="async")
    texts = []
    for case_id in ("async", "sync"):
        held = Held(case_id=case_id, name="sync", cause="thread_pool_full", evidence="full", remedy="raise `a<b`")
        texts.append(render_report(replace(summary, cards=(card.model_copy(update={"held": held}),)), ()))
    for text, name in zip(texts, ("What to do", "If it stays sync"), strict=True):
        assert f"<dt>{name}</dt><dd>raise <code>a&lt;b</code></dd>" in text


def test_the_navigation_leads_to_every_section() -> None:
    page = parse(render_report(fixture_summary(7, invalid="some"), stub_charts()))
    (navigation,) = (each for each in page if each.tag == "nav")
    targets = [str(link["href"]).removeprefix("#") for link in navigation.named("a")]
    assert targets == [str(each["id"]) for each in page.named("section") if "id" in each]


@pytest.mark.parametrize("names", ["plain", "long", "hostile"])
def test_a_page_makes_no_request_and_runs_only_its_own_scripts(names: Names, tmp_path: Path) -> None:
    summary = fixture_summary(7, names=names, invalid="some")
    html = render_report(summary, save(summary, tmp_path))
    page = parse(html)
    tags = {each.tag for each in page}
    assert tags.isdisjoint({"link", "iframe", "object", "embed", "img", "base", "form", "foreignobject"})
    for each in page:
        assert not any(name.startswith("on") for name in each.attributes)
        assert all(
            str(each.attributes.get(name, "#")).startswith(("#", "runs/", "charts/"))
            for name in ("href", "src", "xlink:href")
        )
    (policy,) = [meta for meta in page.named("meta") if meta.get("http-equiv") == "Content-Security-Policy"]
    allowed = dict(part.split(" ", 1) for part in str(policy["content"]).split("; "))
    assert allowed["default-src"] == allowed["base-uri"] == allowed["form-action"] == "'none'"
    scripts = re.findall(r"<script>(.*?)</script>", html, flags=re.DOTALL)
    hashes = [b64encode(sha256(script.encode()).digest()).decode() for script in scripts]
    assert {f"'sha256-{each}'" for each in hashes} <= set(allowed["script-src"].split())
    assert "unsafe" not in allowed["script-src"]
    assert "@import" not in html
    assert re.findall(r"url\((?!#)", html) == []


def test_hostile_names_are_shown_as_the_text_they_are(tmp_path: Path) -> None:
    summary = fixture_summary(7, names="hostile")
    html = render_report(summary, save(summary, tmp_path))
    assert "<script>alert('x')</script>\"'&{{ 7*7 }}" in parse(html).text
    assert "\x1b" not in html
    assert "\u202e" not in html


def test_ids_are_unique_and_every_link_leads_somewhere(tmp_path: Path) -> None:
    summary = own_app_summary()
    page = parse(render_report(summary, save(summary, tmp_path)))
    ids = [each.attributes["id"] for each in page if "id" in each.attributes]
    assert len(ids) == len(set(ids))
    for each in page:
        for name in ("href", "aria-labelledby"):
            if name in each.attributes:
                target = str(each.attributes[name])
                assert target.startswith("runs/") or target.removeprefix("#") in ids


def test_every_chart_has_words_and_every_table_a_caption(tmp_path: Path) -> None:
    summary = fixture_summary(7)
    page = parse(render_report(summary, save(summary, tmp_path)))
    charts = [svg for svg in page.named("svg") if "aria-hidden" not in svg]
    assert len(charts) > 5
    assert all(chart["role"] == "img" and len(str(chart["aria-label"])) > 40 for chart in charts)
    assert len(page.named("table")) == len(page.named("caption")) > 3
    assert all("scope" in header for header in page.named("th"))


def test_a_page_of_a_hundred_cases_is_below_three_megabytes(tmp_path: Path) -> None:
    summary = page_summary(100, names="plain", invalid="some")
    page = render_report(summary, save(summary, tmp_path))
    assert len(page.encode()) < 3_000_000


def test_a_page_of_invalid_cases_shows_reasons_and_no_numbers() -> None:
    summary = fixture_summary(7, invalid="all")
    groups = case_groups(replace(summary, table=summary.table.assign(value=123_456.0)))
    rows = [row for group in groups for row in group.rows]
    assert all(row.invalid == REASON for row in rows)
    assert {cell.text for row in rows for cell in row.figures.values()} == {"–"}
    html = render_report(summary, [])
    assert "123" not in without_scripts(html)
    assert html.count(f"{REASON}</td>") == len(rows)
    assert 'id="charts"' not in html
    assert "No valid replicate, so no interval." in html


def test_sections_without_content_are_left_out() -> None:
    html = render_report(replace(fixture_summary(1), answers=(), verdicts=()), [])
    assert sections_of(html) == ["answers", "explore", "cases", "method"]
    assert "The measurements give no answer yet." in html


def test_writing_a_page_replaces_the_old_one_only(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("old", encoding="utf-8")
    assert write_report(fixture_summary(1), stub_charts(), path) == path
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert list(tmp_path.iterdir()) == [path]


def test_a_marked_run_keeps_its_numbers_and_shows_its_mark() -> None:
    summary = fixture_summary(1, replicates=1)
    (run,) = summary.runs
    late = run.checks[1].model_copy(update={"ok": False, "value": 0.2, "detail": "20 % was stolen"})
    marked = replace(summary, runs=(run.model_copy(update={"checks": (run.checks[0], late)}),))
    (row,) = case_groups(marked)[0].rows
    assert (row.is_flagged, row.figures["throughput"].text) == (True, "667")
    assert "⚑" in render_report(marked, [])
    assert "⚑" not in render_report(summary, [])
    assert "async × 1 is marked by a check: steal ratio" in printed(Answer(marked))


def test_a_check_shows_how_many_runs_passed_and_the_worst() -> None:
    (cpu, steal) = check_rows(fixture_summary(7, invalid="some").runs)
    assert (cpu.name, cpu.passed, cpu.total, cpu.worst) == ("generator CPU ratio", 18, 21, "0.970")
    assert (steal.passed, steal.effect) == (21, "marks a run")


@pytest.mark.parametrize(
    ("limit", "values", "worst"),
    [
        (10, [(2, True), (9, True)], "9"),
        (10, [(400, True), (12, True)], "12"),
        (10, [(9, False), (3, False)], "3"),
    ],
)
def test_the_worst_value_suits_upper_and_lower_limits(
    limit: float, values: list[tuple[float, bool]], worst: str
) -> None:
    (run,) = fixture_summary(1, replicates=1).runs
    checks = tuple(Check(name="x", value=value, limit=limit, effect="void", ok=ok) for value, ok in values)
    (row,) = check_rows([run.model_copy(update={"checks": checks})])
    assert row.worst == worst


def test_causes_are_shown_in_their_case_and_the_terminal() -> None:
    summary = with_causes(
        fixture_summary(7),
        {"memory_growth": "memory grew"},
        {"loop_blocked": "event loop blocked 99 % of the window", "memory_growth": "memory grew"},
        {"loop_blocked": "event loop blocked 99 % of the window"},
    )
    assert "event loop blocked 99 % of the window" in printed(Answer(summary))
    html = render_report(summary, stub_charts())
    assert "event loop blocked 99 % of the window" in html
    assert "memory grew" in html


OFF = Prediction(
    case_id="sleep-sync-w1",
    bound="sync: 40 at a time",
    predicted_rps=800.0,
    ratio=0.52,
    ci_low=0.50,
    ci_high=0.54,
    verdict="below",
    reason="CPU saturated: 1 worker computed 97 %",
)


def test_a_case_far_from_its_prediction_has_a_sentence() -> None:
    near = OFF.model_copy(update={"case_id": "sleep-async-w1", "verdict": "near", "reason": ""})
    summary = replace(fixture_summary(7), predictions=(near, OFF))
    rows: dict[str, CaseRow] = {row.name: row for row in case_groups(summary)[0].rows}
    sentence = rows["sync"].off
    assert re.match(r"sync reaches 0\.52 \[0\.50, 0\.54\] of the 800 requests/s", sentence)
    assert rows["async"].off == ""
    assert rows["sync"].figures["reached"].text == "0.926"
    assert sentence in parse(render_report(summary, [])).text
    assert sentence in " ".join(printed(Answer(summary)).split())
