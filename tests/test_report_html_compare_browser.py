"""compare.html and index.html in a real browser: accessible, no messages, no wider than the screen; picking results."""

from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser
from support.browser import MARKS, browser, visit
from support.compare import result_in, sides
from support.report import HOSTILE

from loopwise.analysis.gates import parse_gate
from loopwise.report.html.compare import write_comparison
from loopwise.report.html.index import write_index
from loopwise.report.listing import result_rows

__all__ = ["browser"]
pytestmark = MARKS

GATES = (parse_gate("throughput_rps:-5%"), parse_gate("throughput_rps:-90%"))
DIFFERENT = (("memory_gb", None, 8), ("versions.uvicorn", "0.40", "0.41"))


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("pages")
    folder = root / "results"
    first = result_in(folder, "old", label="l", created_at="2026-01-01T00:00:00Z", answers=("old: use def.",))
    result_in(folder, "new", created_at="2026-03-01T00:00:00Z", answers=("new: use async def.",))
    result_in(folder, "newest", label=HOSTILE, created_at="2026-04-01T00:00:00Z", answers=(HOSTILE,))
    (folder / "bad").mkdir()
    (folder / "bad" / "experiment.json").write_text("{", encoding="utf-8")
    made = write_comparison(
        sides(7, "plain", "some", called=("old", "new"), gates=GATES, different=DIFFERENT),
        [first.path, first.path],
        folder / "compare-old-new",
    )
    hostile = write_comparison(
        sides(7, "hostile", "some", called=(HOSTILE, HOSTILE), different=(("k", HOSTILE, 1),)),
        [first.path, first.path],
        root / "hostile",
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        index = write_index(result_rows(folder), folder, folder / "index.html", program=["python", "bench.py"])
    return {"compare": made[0], "hostile": hostile[0], "index": index}


@pytest.mark.parametrize("name", ["compare", "hostile", "index"])
def test_a_page_is_accessible_silent_and_never_scrolls_sideways(
    browser: Browser, pages: dict[str, Path], name: str
) -> None:
    for width_px, dark in ((1280, False), (400, True)):
        seen = visit(browser, pages[name], width_px, dark=dark)
        found = Axe().run(seen.page)
        assert found.violations_count == 0, found.generate_report()
        assert seen.page.evaluate("document.documentElement.scrollWidth") <= width_px
        assert seen.messages == []
        assert seen.requests == [pages[name].as_uri()]
        seen.page.close()


def test_picks_show_the_command_and_an_existing_comparison(browser: Browser, pages: dict[str, Path]) -> None:
    seen = visit(browser, pages["index"])
    page = seen.page
    assert page.locator("#picked-command").is_hidden()
    for name in ("new", "old"):
        page.get_by_label(f"Compare {name}", exact=True).check()
    command = page.locator("#command")
    assert command.text_content() == (
        "python bench.py compare results/old results/new --out results/compare-old-with-new"
    )
    made = page.locator("#made")
    assert made.is_visible()
    page.get_by_label("Base").select_option("new")
    assert (command.text_content() or "").startswith("python bench.py compare results/new results/old --out ")
    assert made.is_hidden()
    page.get_by_label("Base").select_option("old")
    page.get_by_label("Compare newest", exact=True).check()
    assert "compare results/old results/newest results/new --out " in (command.text_content() or "")
    page.get_by_label("Compare newest", exact=True).uncheck()
    made.click()
    page.wait_for_url("**/compare.html")
    assert page.get_by_role("heading", level=1).text_content() == "Before and after"
    assert seen.messages == []
    page.close()


def test_the_index_is_sorted_and_sifted(browser: Browser, pages: dict[str, Path]) -> None:
    page = visit(browser, pages["index"]).page
    names = page.locator("tbody th")
    assert names.first.get_attribute("data-value") == "newest"
    shown = page.locator("[data-shown]")
    page.get_by_role("button", name="Result").click()
    assert [name.get_attribute("data-value") for name in names.all()] == ["bad", "new", "newest", "old"]
    page.get_by_label("Find").fill("async def")
    assert [name.get_attribute("data-value") for name in names.all() if name.is_visible()] == ["new"]
    assert shown.text_content() == "1 of 4 results, sorted by Result, ascending."
    page.get_by_role("button", name="Show all").click()
    assert [name.get_attribute("data-value") for name in names.all()] == ["newest", "new", "old", "bad"]
    assert shown.text_content() == "4 of 4 results, newest first."
    page.close()


def test_verdicts_are_filtered_by_word_and_sorted_by_ratio(browser: Browser, pages: dict[str, Path]) -> None:
    page = visit(browser, pages["compare"]).page
    page.locator("#verdicts select").select_option("worse")
    shown = [row for row in page.locator("#verdicts tbody tr").all() if row.is_visible()]
    assert shown
    assert {row.get_attribute("data-verdict") for row in shown} == {"worse"}
    page.locator("#verdicts select").select_option("")
    heading = page.get_by_role("button", name="B ÷ A")
    heading.click()
    heading.click()
    order = page.locator("#verdicts tbody tr").evaluate_all("rows => rows.map(row => row.dataset.verdict)")
    assert order[0] == "better"
    assert order[-1] == "invalid"  # it has no ratio, whichever way they are sorted
    heading.click()
    assert page.locator("#verdicts [data-shown]").text_content() == (
        f"{len(order)} of {len(order)} comparisons, in the order of the cases."
    )
    page.close()


def test_the_index_reads_without_scripts(browser: Browser, pages: dict[str, Path]) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(pages["index"].as_uri())
    assert page.get_by_text("python bench.py compare BASE OTHER").is_visible()
    assert page.get_by_role("link", name="newest").is_visible()
    assert page.locator("#picked").is_hidden()
    context.close()
