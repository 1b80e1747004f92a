"""The page in a real browser: it opens from disk, fits, follows dark mode, and makes no request."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser
from support.browser import MARKS, browser, visit
from support.page import page_summary

from loopwise.report.charts.specs import save
from loopwise.report.html.report import write_report

__all__ = ["browser"]
pytestmark = MARKS


@pytest.fixture(scope="module", params=["plain", "hostile"])
def report(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    plain = request.param == "plain"
    summary = page_summary(20 if plain else 7, names=request.param, invalid="some")
    return write_report(summary, save(summary, folder), folder / "report.html")


def test_the_page_opens_from_disk_and_requests_nothing(browser: Browser, report: Path) -> None:
    seen = visit(browser, report)
    assert seen.messages == []
    assert seen.requests == [report.as_uri()]
    assert seen.page.get_by_role("heading", level=1).is_visible()
    seen.page.close()


@pytest.mark.parametrize("width_px", [390, 1280])
def test_nothing_makes_the_page_scroll_sideways(browser: Browser, report: Path, width_px: int) -> None:
    page = visit(browser, report, width_px).page
    assert page.evaluate("document.documentElement.scrollWidth") <= width_px
    chart = page.locator("figure svg").first.bounding_box()
    assert chart is not None
    assert chart["x"] >= 0
    assert chart["x"] + chart["width"] <= width_px
    assert chart["width"] > 250
    page.close()


MOST_PX = 6_000
"""Before anything is unfolded, on a page of suite quick's twenty cases."""


@pytest.mark.parametrize("report", ["plain"], indirect=True)
def test_the_page_decides_before_anything_is_unfolded(browser: Browser, report: Path) -> None:
    page = visit(browser, report, 1400).page
    assert page.evaluate("document.documentElement.scrollHeight") <= MOST_PX
    assert page.locator("figure:visible").count() == 4
    assert page.locator(".pick:visible").count() == 2
    lines = page.locator("figcaption:visible").evaluate_all(
        "all => all.map(each => each.getBoundingClientRect().height / parseFloat(getComputedStyle(each).lineHeight))"
    )
    assert max(lines) < 1.5, lines
    page.close()


@pytest.mark.parametrize("width_px", [390, 1280])
def test_no_text_of_a_chart_is_cut_in_the_browsers_own_font(browser: Browser, report: Path, width_px: int) -> None:
    page = visit(browser, report, width_px).page
    overhang_px = page.evaluate(
        """() => Math.max(...[...document.querySelectorAll('figure svg text')].map(text =>
             text.getBoundingClientRect().right - text.closest('.card').getBoundingClientRect().right))"""
    )
    assert overhang_px <= 0
    page.close()


@pytest.mark.parametrize("dark", [False, True])
def test_text_on_the_page_and_in_charts_has_aa_contrast(browser: Browser, report: Path, dark: bool) -> None:
    page = visit(browser, report, dark=dark).page
    colours = page.evaluate(
        """() => {
             const of = (selector, name) => getComputedStyle(document.querySelector(selector))[name];
             const card = of('.card', 'backgroundColor');
             // Texts of a heat map stand on its cells: tests/test_charts*.py know their contrast.
             const texts = document.querySelectorAll('figure:not(#chart-heatmap) svg text');
             return [[of('body', 'color'), of('body', 'backgroundColor')],
                     [of('.note', 'color'), of('body', 'backgroundColor')],
                     [of('figcaption', 'color'), card],
                     [of('.verdict.invalid', 'color'), card],
                     [of('.verdict.better', 'color'), card],
                     ...[...texts].map(
                       text => [getComputedStyle(text).fill, card])];
           }"""
    )
    assert len(colours) > 20
    for text, ground in colours:
        assert contrast(text, ground) >= 4.5, (text, ground)
    ground = luminance(colours[0][1])
    assert ground < 0.05 if dark else ground > 0.8
    page.close()


def test_wide_tables_scroll_in_their_card_by_keyboard(browser: Browser, report: Path) -> None:
    page = visit(browser, report, 390).page
    page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true; })")
    region = page.locator("#cases .scroll").first
    assert region.evaluate("element => element.scrollWidth > element.clientWidth && element.tabIndex === 0")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.close()


def contrast(one: str, other: str) -> float:
    """WCAG 2.1 contrast ratio of two CSS `rgb()` colours."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    red, green, blue = (int(part) / 255 for part in colour.strip("rgba()").split(",")[:3])
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in (red, green, blue)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
