"""The explorer in a real browser: choices are drawn, kept in the address, and can be downloaded."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect
from support.browser import MARKS, Visit, browser, visit
from support.page import page_summary
from support.report import REASON

from loopwise.report.charts.kit.style import MODES
from loopwise.report.html.report import write_report

__all__ = ["browser"]
pytestmark = MARKS
SUMMARY = page_summary(40, invalid="some")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(SUMMARY, [], tmp_path_factory.mktemp("explorer") / "report.html")


@pytest.fixture
def opened(browser: Browser, report: Path) -> Iterator[Visit]:
    seen = visit(browser, report)
    reach(seen.page)
    yield seen
    assert seen.messages == []
    assert all(each == report.as_uri() or each.startswith("blob:") for each in seen.requests)
    seen.page.close()


def reach(page: Page) -> None:
    page.locator("#explore").scroll_into_view_if_needed()
    page.wait_for_selector(".drawing[data-drawn] svg")


def choose(page: Page, **choices: str) -> None:
    for name, value in choices.items():
        before = page.locator(".drawing").get_attribute("data-drawn")
        page.locator(f"[data-choice={name}]").select_option(value)
        page.wait_for_function("before => document.querySelector('.drawing').dataset.drawn !== before", arg=before)


def told(page: Page) -> dict[str, list[str]]:
    return parse_qs(urlsplit(page.url).fragment.removeprefix("explore?"))


def texts(page: Page) -> set[str]:
    return set(page.locator(".drawing svg text").all_text_contents())


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_a_screenshot_of_the_whole_page_has_the_chart(browser: Browser, report: Path) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 100})
    page.goto(report.as_uri())
    page.wait_for_selector(".drawing[data-drawn] svg", state="attached")
    assert page.evaluate("scrollY") == 0
    page.close()


def test_metric_axis_colour_and_panels_are_drawn_as_chosen(opened: Visit) -> None:
    page = opened.page
    choose(page, metric="service_time_p99_ms", x="mode", colour="workers", panels="none")
    shown = texts(page)
    assert {"p99 service time, ms", "Mode", "Workers", "async", "to_thread", "1", "2"} <= shown
    assert "sleep(ms=50)" not in shown
    choose(page, panels="workload")
    assert {"sleep(ms=50)", "cpu(ms=5)"} <= texts(page)
    assert page.locator("[data-part=figures] tr").count() == 40


def test_modes_have_the_colours_of_every_other_chart(opened: Visit) -> None:
    colours = opened.page.locator(".drawing svg path[fill]").evaluate_all(
        "all => all.map(one => one.getAttribute('fill').toLowerCase())"
    )
    assert {looks.colour for mode, looks in MODES.items() if mode != "own"} <= set(colours)


def test_an_invalid_case_is_a_cross_without_a_number_and_says_why(opened: Visit) -> None:
    page = opened.page
    crosses = page.locator(".drawing svg text").filter(has_text="✕")
    assert crosses.count() == 8
    expect(page.locator("[data-part=status]")).to_contain_text("8 invalid cases are marked ✕")
    crosses.first.hover()
    expect(page.locator(".tip")).to_contain_text(REASON)
    row = page.locator("[data-part=figures] tr").filter(has_text="✕").first
    assert row.locator("td").all_text_contents() == ["✕ invalid", "", ""]


def test_a_point_tells_its_case_and_interval_and_leads_to_the_case(opened: Visit) -> None:
    page = opened.page
    point = page.locator(".drawing svg .mark-symbol.role-mark path").first
    point.hover()
    tip = page.locator(".tip")
    expect(tip).to_contain_text("requests a second")
    expect(tip).to_contain_text("[")
    name = tip.locator("b").inner_text()
    point.click()
    section = page.locator("details.case[open]")
    expect(section.locator(".case-name")).to_have_text(name)


def test_a_filter_leaves_out_and_is_told(opened: Visit) -> None:
    page = opened.page
    page.get_by_text("Filter", exact=False).first.click()
    page.get_by_role("checkbox", name="blocking").uncheck()
    expect(page.locator("[data-part=chosen]")).to_have_text("32 of 40 cases")
    assert told(page)["mode"] == ["async", "sync", "to_thread", "process"]


def test_the_link_keeps_the_choice_for_whoever_opens_it(browser: Browser, opened: Visit) -> None:
    page = opened.page
    choose(page, metric="service_time_p99_ms", x="mode", colour="workers", panels="none")
    page.get_by_label("Logarithmic").check()
    page.get_by_text("Filter", exact=False).first.click()
    page.get_by_role("checkbox", name="cpu(ms=5)").uncheck()
    page.get_by_role("button", name="Copy link").click()
    other = browser.new_page()
    other.goto(page.url)
    other.wait_for_selector(".drawing[data-drawn] svg")
    for name, value in {
        "metric": "service_time_p99_ms",
        "x": "mode",
        "colour": "workers",
        "panels": "none",
    }.items():
        assert other.locator(f"[data-choice={name}]").input_value() == value
    assert other.get_by_label("Logarithmic").is_checked()
    assert not other.locator("input[value='cpu(ms=5)']").is_checked()
    assert other.locator("[data-part=figures] tr").count() == 30
    other.close()


@pytest.mark.parametrize(
    "hash_",
    ["explore?metric=nonsense&x=__proto__&mode=none", "explore?", "explore?%zz=&colour=%00", "%E0%A4%A"],
)
def test_a_broken_link_gives_the_usual_chart(browser: Browser, report: Path, hash_: str) -> None:
    page = browser.new_page()
    messages: list[str] = []
    page.on("pageerror", lambda error: messages.append(str(error)))
    page.goto(f"{report.as_uri()}#{hash_}")
    reach(page)
    assert page.locator("[data-choice=metric]").input_value() == "throughput_rps"
    assert page.locator("[data-part=figures] tr").count() == 40
    assert messages == []
    page.close()


def test_svg_png_and_csv_are_downloaded_with_what_is_shown(opened: Visit, tmp_path: Path) -> None:
    page = opened.page
    choose(page, metric="service_time_p99_ms")
    taken = {}
    for ending in ("svg", "png", "csv"):
        with page.expect_download() as coming:
            page.get_by_role("button", name=ending.upper(), exact=True).click()
        path = tmp_path / f"chart.{ending}"
        coming.value.save_as(path)
        assert coming.value.suggested_filename.endswith(f"service_time_p99_ms.{ending}")
        taken[ending] = path.read_bytes()
    assert taken["png"].startswith(b"\x89PNG")
    assert b"<svg" in taken["svg"][:200]
    assert b"p99 service time" in taken["svg"]
    rows = table(taken["csv"].decode())
    assert len(rows) == 40
    wanted = SUMMARY.table[SUMMARY.table.metric == "service_time_p99_ms"].set_index("case_id")
    for row in rows:
        if row["valid"] == "true":
            assert float(row["value"]) == pytest.approx(wanted.value[row["case_id"]], rel=1e-5)
            assert float(row["ci_high"]) == pytest.approx(wanted.ci_high[row["case_id"]], rel=1e-5)
        else:
            assert (row["value"], row["reason"]) == ("", REASON)


def test_no_cell_of_the_csv_is_a_formula_and_numbers_stay_numbers(opened: Visit) -> None:
    case = {"id": "c", "workload": "=1+1", "mode": "@x", "server": "-x", "workers": 2, "load": "\t1"}
    row = {"case": case, "value": -1.5, "low": -2, "high": -1, "replicates": 3, "invalid": "+x"}
    data = {"metrics": [{"id": "m", "unit": ""}], "confidence": 0.95}
    text = opened.page.evaluate("([data, row]) => LoopwiseChart.csv(data, {metric: 'm'}, [row])", [data, row])
    (read,) = table(text)
    assert [read[key] for key in ("workload", "mode", "server", "load", "reason")] == [
        "'=1+1",
        "'@x",
        "'-x",
        "'\t1",
        "'+x",
    ]
    assert [read[key] for key in ("value", "ci_low", "ci_high")] == ["-1.5", "-2", "-1"]


def test_the_chart_follows_the_colours_of_the_page(opened: Visit) -> None:
    page = opened.page
    label = page.locator(".drawing svg .role-axis-label text").first
    before = label.get_attribute("fill")
    drawn = page.locator(".drawing").get_attribute("data-drawn")
    page.get_by_role("button", name="Dark").click()
    page.wait_for_function("before => document.querySelector('.drawing').dataset.drawn !== before", arg=drawn)
    assert label.get_attribute("fill") != before
