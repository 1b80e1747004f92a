"""A reader's actions in a real browser: sort, filter, follow links, switch colours, print."""

import itertools
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect
from support.browser import MARKS, Visit, browser, visit
from support.page import page_summary

from loopwise.analysis.summary import Summary
from loopwise.report.charts.specs import save
from loopwise.report.html.report import write_report

__all__ = ["browser"]
pytestmark = MARKS


def awkward() -> dict[str, Summary]:
    """Results that leave a page little to show."""
    plain = page_summary(7)
    return {
        "all invalid": page_summary(7, invalid="all"),
        "one run": page_summary(1, replicates=1),
        "nothing finite": replace(plain, table=plain.table.assign(value=float("nan"), ci_low=float("inf"))),
        "long names": page_summary(7, names="long"),
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("actions")


@pytest.fixture(scope="module")
def charted(folder: Path) -> Path:
    """The page with its charts, as a reader gets it; hostile names, some cases invalid."""
    summary = page_summary(7, names="hostile", invalid="some")
    return write_report(summary, save(summary, folder / "charts"), folder / "charted.html")


@pytest.fixture(scope="module")
def wide(folder: Path) -> Path:
    """Forty cases on one and two workers, without charts."""
    return write_report(page_summary(40, invalid="some"), [], folder / "wide.html")


@pytest.fixture
def opened(browser: Browser, wide: Path) -> Iterator[Visit]:
    seen = visit(browser, wide)
    unfold_cases(seen.page)
    yield seen
    assert seen.messages == []
    assert seen.requests[:1] == [wide.as_uri()]
    assert all(each.startswith("blob:") for each in seen.requests[1:])
    seen.page.close()


def unfold_cases(page: Page) -> None:
    page.locator("#cases > details > summary").click()


def names(page: Page) -> list[str]:
    return [text.strip() for text in page.locator("table.cases tbody th a[href^='#case-']:visible").all_inner_texts()]


def column(page: Page, number: int) -> list[float]:
    cells = page.locator(f"table.cases tbody tr:not(.group):not(.void):visible > :nth-child({number})")
    return [float(cell) for cell in cells.evaluate_all("cells => cells.map(cell => cell.dataset.value)")]


def test_clicks_on_a_column_sort_reverse_and_restore(opened: Visit) -> None:
    page = opened.page
    before = names(page)
    header = page.get_by_role("columnheader", name="Requests/s")
    header.get_by_role("button").click()
    assert column(page, 3) == sorted(column(page, 3), reverse=True)
    assert header.get_attribute("aria-sort") == "descending"
    assert page.locator("table.cases tr.void:visible").count() == 8
    last = page.locator("table.cases tbody tr:visible").last
    assert "invalid" in last.inner_text()  # what has no number goes last
    header.get_by_role("button").click()
    assert column(page, 3) == sorted(column(page, 3))
    expect(page.locator("[data-shown]")).to_have_text("40 of 40 cases, sorted by Requests/s, ascending.")
    header.get_by_role("button").click()
    assert header.get_attribute("aria-sort") == "none"
    assert names(page) == before
    expect(page.locator("[data-shown]")).to_have_text("40 of 40 cases, in the order of the suite.")


def test_a_column_sorts_by_keyboard(opened: Visit) -> None:
    page = opened.page
    header = page.locator("table.cases").get_by_role("columnheader", name="p99")
    header.get_by_role("button").focus()
    page.keyboard.press("Enter")
    assert header.get_attribute("aria-sort") == "ascending"
    assert column(page, 6) == sorted(column(page, 6))
    page.locator("table.cases thead button").first.focus()
    page.keyboard.press("Space")
    found = names(page)
    assert len(found) == 40
    assert [name.split("(")[0] for name in found] == sorted(name.split("(")[0] for name in found)


def test_filters_leave_what_fits_and_say_how_many(opened: Visit) -> None:
    page = opened.page
    page.locator("select[data-keep=mode]").select_option("sync")
    expect(page.locator("[data-shown]")).to_contain_text("8 of 40 cases")
    page.locator("select[data-keep=workers]").select_option("2")
    expect(page.locator("[data-shown]")).to_contain_text("4 of 40 cases")
    assert all(name.startswith("sync") for name in names(page))
    page.get_by_role("searchbox").fill("nothing has this name")
    expect(page.locator("[data-shown]")).to_contain_text("0 of 40 cases")
    assert page.locator("tr.group:visible").count() == 0
    page.get_by_role("button", name="Show all").click()
    assert len(names(page)) == 40
    page.get_by_role("searchbox").fill("BLOCKING cpu")
    assert names(page) == ["blocking · 1 worker", "blocking · 2 workers"]
    page.locator("select[data-keep=validity]").select_option("invalid")
    assert len(names(page)) == page.locator("tr.void:visible").count()


def test_a_name_leads_to_the_cases_own_section(opened: Visit) -> None:
    page = opened.page
    link = page.locator("table.cases tbody th a").nth(3)
    target = str(link.get_attribute("href"))
    section = page.locator("details.case").nth(3)
    assert section.get_attribute("open") is None
    link.click()
    expect(section.get_by_role("heading", name="Percentiles")).to_be_in_viewport()
    expect(section.locator("summary")).to_be_focused()
    assert page.url.endswith(target)
    assert section.locator("svg[role=img]").count() >= 5
    section.locator("summary").click()
    link.click()  # the same link again
    expect(section.get_by_role("heading", name="Percentiles")).to_be_visible()


def test_an_address_with_a_case_opens_at_it(browser: Browser, wide: Path) -> None:
    page = browser.new_page()
    page.goto(f"{wide.as_uri()}#case-cpu-sync-w2")
    expect(page.locator("#case-cpu-sync-w2")).to_be_in_viewport()
    page.goto(f"{wide.as_uri()}#answers")
    method = page.get_by_role("heading", name="Repeat the measurement")
    expect(method).not_to_be_visible()
    page.get_by_role("link", name="Method").click()  # in the navigation
    expect(method).to_be_visible()
    page.close()


def test_a_switch_chooses_colours_and_keeps_the_choice(browser: Browser, wide: Path) -> None:
    context = browser.new_context(color_scheme="light")
    page = context.new_page()
    page.goto(wide.as_uri())
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    page.get_by_role("button", name="Dark").click()
    dark = page.evaluate(ground)
    assert dark != light
    assert page.get_by_role("button", name="Dark").get_attribute("aria-pressed") == "true"
    page.reload()
    assert page.evaluate(ground) == dark
    page.get_by_role("button", name="As the system").click()
    assert page.evaluate(ground) == light
    page.emulate_media(color_scheme="dark")
    assert page.evaluate(ground) == dark
    context.close()


def test_on_paper_every_section_is_open_and_no_control_is_left(opened: Visit) -> None:
    page = opened.page
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 794, "height": 1123})  # A4
    assert page.evaluate("document.documentElement.scrollWidth") <= 794
    for selector in ("header.top", ".sifters", "#open-all", "#explore", ".theme"):
        assert not page.locator(selector).first.is_visible()
    bodies = page.locator(".case-body")
    assert bodies.count() == 40
    heights = bodies.evaluate_all("all => all.map(one => one.getBoundingClientRect().height)")
    assert min(heights) > 200


def test_without_scripts_the_page_has_everything_but_its_controls(browser: Browser, wide: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(wide.as_uri())
    unfold_cases(page)
    assert page.locator("table.cases tbody th a:visible").count() == 40
    assert not page.locator(".sifters").is_visible()
    assert page.get_by_text("It needs JavaScript").is_visible()
    page.locator("details.case summary").first.click()
    assert page.get_by_role("heading", name="Percentiles").first.is_visible()
    context.close()


@pytest.mark.parametrize(("width_px", "dark"), list(itertools.product([1280, 400], [False, True])))
def test_axe_finds_no_violation(browser: Browser, charted: Path, width_px: int, dark: bool) -> None:
    seen = visit(browser, charted, width_px, dark=dark)
    page = seen.page
    page.locator("#explore").scroll_into_view_if_needed()
    page.wait_for_selector(".drawing[data-drawn]")
    page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true; })")
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth") <= width_px
    assert seen.messages == []
    page.close()


@pytest.mark.parametrize("kind", list(awkward()))
def test_a_page_of_an_awkward_result_works_all_the_same(browser: Browser, folder: Path, kind: str) -> None:
    path = write_report(awkward()[kind], [], folder / f"{kind}.html")
    seen = visit(browser, path, 400)
    page = seen.page
    page.locator("#explore").scroll_into_view_if_needed()
    page.wait_for_selector(".drawing[data-drawn] svg")
    page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    assert seen.messages == []
    text = page.locator("main").inner_text()
    assert not re.search(r"\b(NaN|nan|Infinity|inf|undefined)\b", text)
    page.close()
