"""How numbers read, what the page says, and the tables of the terminal."""

import os
import re
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path

import pytest
from support.page import page_summary
from support.printed import printed
from support.report import REASON, fixture_summary, own_app_summary

from loopwise.analysis.causes import first_causes
from loopwise.analysis.deviation import Prediction
from loopwise.analysis.summary import Summary
from loopwise.model import Cause, Check, Run
from loopwise.report import words as page_data
from loopwise.report.charts.kit.chart import ChartFile, InlinePanel
from loopwise.report.charts.specs import save
from loopwise.report.html import facts as page_facts
from loopwise.report.html import skeleton
from loopwise.report.html import table as page_table
from loopwise.report.html.page import SCRIPTS, render_page, write_page
from loopwise.report.terminal.answer import answer_table
from loopwise.suite.to_toml import repeat_command

GOLDEN = Path(__file__).parent / "golden" / "report.html"


class Outline(HTMLParser):
    """What a browser would make of the page: elements with their attributes, and the text."""

    VOID = frozenset({"meta", "br", "link", "img", "input"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


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


def without_assets(page: str) -> str:
    """The page without style sheets, scripts, their hashes and the packed library, which have files of their own."""
    page = re.sub(r"(?<=<style>).*?(?=</style>)|(?<=<script>).*?(?=</script>)", "…", page, flags=re.DOTALL)
    page = re.sub(r"(?<='sha256-)[^']+", "…", page)
    begin, found, rest = page.partition('id="explorer-library">')
    return f"{begin}{found}…{rest[rest.index('</script>') :]}"


def test_style_sheets_and_scripts_stand_in_the_page_once_and_whole() -> None:
    page = render_page(page_summary(7), stub_charts())
    for name in ("base.css", "report.css", "sift.css", *SCRIPTS, "theme.js"):
        assert page.count(skeleton.source(name).strip()) == 1, name


def test_the_page_is_the_golden_one() -> None:
    """Run with UPDATE_GOLDEN=1 to accept a change."""
    page = without_assets(render_page(page_summary(7, invalid="some"), stub_charts()))
    if os.environ.get("UPDATE_GOLDEN") == "1":
        GOLDEN.parent.mkdir(exist_ok=True)
        GOLDEN.write_text(page, encoding="utf-8")
    assert page == GOLDEN.read_text(encoding="utf-8")


def test_the_page_says_the_answers_first_and_everything_in_order() -> None:
    summary = fixture_summary(7, invalid="some")
    outline = Outline(render_page(summary, stub_charts()))
    sections = [str(attributes["id"]) for attributes in outline.named("section") if "id" in attributes]
    assert sections == ["answers", "charts", "explore", "verdicts", "cases", "trouble", "method"]
    places = [
        outline.text.index(text) for text in (*summary.answers, "Caption of throughput", *summary.damaged)
    ]
    assert places == sorted(places)


@pytest.mark.parametrize("names", ["plain", "long", "hostile"])
def test_the_page_asks_nothing_of_the_network_and_runs_only_its_own_scripts(
    names: str, tmp_path: Path
) -> None:
    summary = fixture_summary(7, names=names, invalid="some")  # type: ignore[arg-type]
    page = render_page(summary, save(summary, tmp_path))
    outline = Outline(page)
    assert not outline.open
    tags = {tag for tag, _ in outline.elements}
    assert tags.isdisjoint({"link", "iframe", "object", "embed", "img", "base", "form", "foreignobject"})
    for _, attributes in outline.elements:
        assert not any(name.startswith("on") for name in attributes)
        assert all(
            str(attributes.get(name, "#")).startswith(("#", "runs/", "charts/"))
            for name in ("href", "src", "xlink:href")
        )
    (policy,) = [
        meta for meta in outline.named("meta") if meta.get("http-equiv") == "Content-Security-Policy"
    ]
    allowed = dict(part.split(" ", 1) for part in str(policy["content"]).split("; "))
    assert allowed["default-src"] == allowed["base-uri"] == allowed["form-action"] == "'none'"
    scripts = re.findall(r"<script>(.*?)</script>", page, flags=re.DOTALL)
    hashes = [b64encode(sha256(script.encode()).digest()).decode() for script in scripts]
    assert {f"'sha256-{each}'" for each in hashes} <= set(allowed["script-src"].split())
    assert "unsafe" not in allowed["script-src"]
    assert "@import" not in page
    assert re.findall(r"url\((?!#)", page) == []


def test_hostile_names_are_shown_as_the_text_they_are(tmp_path: Path) -> None:
    summary = fixture_summary(7, names="hostile")
    page = render_page(summary, save(summary, tmp_path))
    assert "<script>alert('x')</script>\"'&{{ 7*7 }}" in Outline(page).text
    assert "\x1b" not in page
    assert "\u202e" not in page


def test_ids_are_unique_and_every_link_leads_somewhere(tmp_path: Path) -> None:
    summary = own_app_summary()
    outline = Outline(render_page(summary, save(summary, tmp_path)))
    ids = [attributes["id"] for _, attributes in outline.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in outline.elements:
        for name in ("href", "aria-labelledby"):
            if name in attributes:
                target = str(attributes[name])
                assert target.startswith("runs/") or target.removeprefix("#") in ids


def test_every_chart_has_words_and_every_table_a_caption_and_scopes(tmp_path: Path) -> None:
    summary = fixture_summary(7)
    outline = Outline(render_page(summary, save(summary, tmp_path)))
    charts = [svg for svg in outline.named("svg") if "aria-hidden" not in svg]
    assert len(charts) > 5
    assert all(chart["role"] == "img" and len(str(chart["aria-label"])) > 40 for chart in charts)
    assert len(outline.named("table")) == len(outline.named("caption")) > 3
    assert all("scope" in header for header in outline.named("th"))


def test_a_hundred_cases_make_a_page_below_three_megabytes(tmp_path: Path) -> None:
    summary = page_summary(100, names="plain", invalid="some")
    page = render_page(summary, save(summary, tmp_path))
    assert len(page.encode()) < 3_000_000


def test_a_page_of_invalid_cases_shows_reasons_and_no_numbers() -> None:
    summary = fixture_summary(7, invalid="all")
    groups = page_table.case_groups(replace(summary, table=summary.table.assign(value=123_456.0)))
    rows = [row for group in groups for row in group.rows]
    assert all(row.invalid == REASON for row in rows)
    assert {row.throughput for row in rows} == {row.p99 for row in rows} == {"–"}
    page = render_page(summary, [])
    assert "123" not in re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
    assert page.count(f"{REASON}</td>") == len(rows)
    assert 'id="charts"' not in page
    assert "No valid replicate, so no interval." in page


def test_a_page_without_answers_verdicts_or_trouble_leaves_their_sections_out() -> None:
    outline = Outline(render_page(replace(fixture_summary(1), answers=(), verdicts=()), []))
    sections = [attributes["id"] for attributes in outline.named("section") if "id" in attributes]
    assert sections == ["answers", "explore", "cases", "method"]
    assert "Nothing that was measured gives an answer yet." in outline.text


def test_writing_a_page_replaces_the_old_one_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("old", encoding="utf-8")
    assert write_page(fixture_summary(1), stub_charts(), path) == path
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert list(tmp_path.iterdir()) == [path]


def test_failed_and_invalid_runs_are_named_with_their_reasons() -> None:
    summary = fixture_summary(7, invalid="some", replicates=1)
    failed = Run(
        case=summary.experiment.suite.cases[0],
        replicate=1,
        order=1,
        status="failed",
        error="the server died: ModuleNotFoundError: shop",
        started_at="2026-01-02T03:04:05Z",
    )
    sentences = page_data.trouble(replace(summary, runs=(failed, *summary.runs[1:])))
    assert sentences[0].endswith("1 worker, replicate 1, failed: the server died: ModuleNotFoundError: shop")
    assert sentences[1].endswith(f"invalid: {REASON}")
    assert sentences[2:] == list(summary.damaged)


def test_a_run_that_a_check_marked_keeps_its_numbers_and_shows_the_mark() -> None:
    summary = fixture_summary(1, replicates=1)
    (run,) = summary.runs
    late = run.checks[1].model_copy(
        update={"ok": False, "value": 0.2, "detail": "the host took 20 % of the CPU"}
    )
    marked = replace(summary, runs=(run.model_copy(update={"checks": (run.checks[0], late)}),))
    (row,) = page_table.case_groups(marked)[0].rows
    assert (row.flagged, row.throughput) == (True, "667")
    assert page_data.trouble(marked)[0].endswith("replicate 1, marked: the host took 20 % of the CPU")
    assert "⚑" in render_page(marked, [])
    assert "⚑" not in render_page(summary, [])
    assert "async × 1 is marked by a check: steal ratio" in printed(answer_table(marked))


def test_checks_count_what_passed_and_show_the_worst() -> None:
    (cpu, steal) = page_facts.check_rows(fixture_summary(7, invalid="some").runs)
    assert (cpu.name, cpu.passed, cpu.total, cpu.worst) == ("generator CPU ratio", 18, 21, "0.970")
    assert (steal.passed, steal.effect) == (21, "marks a run")


@pytest.mark.parametrize(
    ("recorded", "command"),
    [
        (None, "python bench.py run quick --seed 1"),
        ("loopwise run mine.toml", "loopwise run mine.toml"),
    ],
)
def test_the_command_to_repeat_is_the_recorded_one_or_made_from_the_suite(
    recorded: str | None, command: str
) -> None:
    experiment = fixture_summary(1).experiment
    assert repeat_command(experiment.model_copy(update={"command": recorded})) == command


@pytest.mark.parametrize(
    ("metric", "name"),
    [
        ("throughput_rps", "requests a second"),
        ("service_time_p99_ms", "p99 service time"),
        ("response_time_p50_ms", "p50 response time"),
        ("victim_p99_ms", "victim p99 ms"),
    ],
)
def test_metrics_have_names_in_words(metric: str, name: str) -> None:
    assert page_data.metric_name(metric) == name


@pytest.mark.parametrize(
    ("limit", "values", "worst"),
    [
        (10, [(2, True), (9, True)], "9"),
        (10, [(400, True), (12, True)], "12"),
        (10, [(9, False), (3, False)], "3"),
    ],
)
def test_the_worst_value_is_found_for_upper_and_lower_limits(
    limit: float, values: list[tuple[float, bool]], worst: str
) -> None:
    (run,) = fixture_summary(1, replicates=1).runs
    checks = tuple(Check(name="x", value=value, limit=limit, effect="void", ok=ok) for value, ok in values)
    (row,) = page_facts.check_rows([run.model_copy(update={"checks": checks})])
    assert row.worst == worst


def test_replicates_that_fail_for_one_reason_share_a_sentence() -> None:
    sentences = page_data.trouble(fixture_summary(7, invalid="some"))
    assert sentences[0] == f"sleep(ms=50) blocking, 1 worker, replicates 1, 2, 3, invalid: {REASON}"
    assert len(sentences) == 2


def with_causes(summary: Summary, *named: Sequence[Cause]) -> Summary:
    """The summary with causes given to its first case's runs, in order."""
    case_id = summary.runs[0].case.case_id
    left = list(named)
    runs = [
        run.model_copy(update={"causes": tuple(left.pop(0))}) if run.case.case_id == case_id and left else run
        for run in summary.runs
    ]
    return replace(summary, runs=tuple(runs))


def cause(name: str, evidence: str) -> Cause:
    return Cause(cause=name, share=0.9, evidence=evidence)


def test_the_cause_that_most_runs_named_first_stands_below_the_numbers_of_its_case() -> None:
    blocked = cause("loop_blocked", "event loop blocked 99 % of the window, longest stall 55 ms")
    leak = cause("memory_growth", "memory grew")
    summary = with_causes(fixture_summary(7), [leak], [blocked, leak], [blocked])
    assert list(first_causes(summary.runs).values()) == [blocked.evidence]
    assert "event loop blocked 99 % of the window" in printed(answer_table(summary))
    assert blocked.evidence in render_page(summary, stub_charts())
    assert "memory grew" in render_page(
        summary, stub_charts()
    )  # in the case's section, with the run that said it


def test_a_case_of_which_most_runs_found_nothing_has_no_cause() -> None:
    summary = with_causes(fixture_summary(7), [cause("memory_growth", "memory grew")])
    assert first_causes(summary.runs) == {}


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


def test_a_case_far_from_its_prediction_is_told_below_its_numbers_and_others_are_not() -> None:
    near = OFF.model_copy(update={"case_id": "sleep-async-w1", "verdict": "near", "reason": ""})
    summary = replace(fixture_summary(7), predictions=(near, OFF))
    said = (
        "sync reaches 0.52 [0.50, 0.54] of the 800 requests/s that arithmetic gives it (sync: 40 at a time): "
        "CPU saturated: 1 worker computed 97 %"
    )
    rows = {row.name: row for row in page_table.case_groups(summary)[0].rows}
    assert (rows["sync"].off, rows["async"].off) == (said, "")
    assert rows["sync"].predicted_ratio == "0.926"
    assert said in Outline(render_page(summary, [])).text
    assert said in " ".join(printed(answer_table(summary)).split())
