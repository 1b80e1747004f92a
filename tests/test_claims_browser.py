"""claims.html in a real browser: it opens from disk, its links lead somewhere, it fits a phone, axe finds nothing."""

from pathlib import Path
from unittest import mock

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser
from support.browser import MARKS, browser, visit
from support.claim import CLAIM_IDS, suite_of_claim, summary_in, typical

from loopwise.analysis.summary import Summary
from loopwise.claims.archive import ClaimFolder
from loopwise.claims.page import write_page
from loopwise.claims.table import CLAIMS

__all__ = ["browser"]
pytestmark = MARKS


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of all claims in the typical world; one of them is invalid, one needs a larger machine."""
    folder = tmp_path_factory.mktemp("claims")
    summaries: dict[str, Summary] = {}
    for claim_id in CLAIM_IDS:
        suite = suite_of_claim(claim_id)
        gone = frozenset(case.case_id for case in suite.cases) if claim_id == "C10" else frozenset()
        summaries[claim_id] = summary_in(typical, suite, replicates=4, invalid=gone)
        finding = CLAIMS[claim_id].judge(summaries[claim_id])
        if claim_id == "C12":
            finding = finding.model_copy(update={"verdict": "undecided", "needs_cores": 4})
        ClaimFolder(folder, claim_id).write(finding)
    with (
        mock.patch.object(ClaimFolder, "is_measured", new=True),
        mock.patch.object(ClaimFolder, "summary", autospec=True, side_effect=lambda place: summaries[place.claim_id]),
    ):
        return write_page(folder)


def test_it_opens_from_disk_in_silence_and_asks_for_nothing_else(browser: Browser, page: Path) -> None:
    seen = visit(browser, page)
    assert seen.messages == []
    assert seen.requests == [page.as_uri()]
    assert seen.page.locator("article.claim").count() == 20
    assert seen.page.locator(".glance a").count() == 20
    assert seen.page.locator("#C12 .said").inner_text().strip().endswith("needs 4 cores")
    assert seen.page.locator("#C01 svg").count() == 1
    assert "\n    time.sleep(0.05)\n" in seen.page.locator("#C01 pre").first.inner_text()
    seen.page.close()


def test_every_link_leads_to_a_section_of_the_page(browser: Browser, page: Path) -> None:
    seen = visit(browser, page)
    targets = seen.page.eval_on_selector_all("a[href]", "links => links.map(each => each.getAttribute('href'))")
    assert {f"#{claim_id}" for claim_id in CLAIM_IDS} <= set(targets)
    for target in targets:
        assert seen.page.locator(target).count() == 1, target
    seen.page.close()


@pytest.mark.parametrize("width_px", [320, 768, 1280])
def test_nothing_reaches_beyond_the_window(browser: Browser, page: Path, width_px: int) -> None:
    seen = visit(browser, page, width_px)
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= width_px
    seen.page.close()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_has_no_complaint(browser: Browser, page: Path, dark: bool) -> None:
    seen = visit(browser, page, dark=dark)
    found = Axe().run(seen.page)
    assert found.violations_count == 0, found.generate_report()
    seen.page.close()
