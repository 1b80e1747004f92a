"""advice.html: diffs as two sides, whatever the app's texts hold, in a real browser."""

from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser
from support.advise import HELD, case, judged_rounds, shop
from support.browser import MARKS, browser, visit

from loopwise.advise.candidates import Candidate
from loopwise.advise.decide import Screened
from loopwise.advise.diagnosis import Diagnosis
from loopwise.advise.page import render, write_page
from loopwise.advise.rows import AdviceRow
from loopwise.advise.sides import Line, beside
from loopwise.advise.subject import Subject, concluded
from loopwise.model import Endpoint

__all__ = ["browser"]
EVIL = "<script>alert(1)</script>"
DIFF = """--- a/shop.py
+++ b/shop.py
@@ -1,3 +1,4 @@
+import asyncio
 import time
-a
-b
+c
@@ -10 +11 @@
-last
\\ No newline at end of file
+end
\\ No newline at end of file
"""


def test_lines_of_both_sides_stand_beside_each_other() -> None:
    assert beside(DIFF) == [
        Line("file", new="shop.py"),
        Line("added", new="import asyncio", new_number=1),
        Line("same", "import time", "import time", 1, 2),
        Line("changed", "a", "c", 2, 3),
        Line("removed", old="b", old_number=3),
        Line("gap"),
        Line("removed", old="last", old_number=10),
        Line("added", new="end", new_number=11),
    ]
    assert beside("") == []


def rows(folder: Path) -> list[AdviceRow]:
    subject = Subject(case(), Diagnosis(HELD), 50.0)
    subject.screened = [Screened(each, 6.0 - number) for number, each in enumerate(shop(folder)["/x"])]
    subject.best = subject.screened[0]
    subject.failed = [(Candidate(Endpoint(path="/x"), "mode", "process pool"), f"its answer {EVIL} can't be pickled")]
    subject.judge(judged_rounds(6.0, 6.1, 5.9, calm=250.0), {}, "", 3)
    vain = Subject(case(f"/{EVIL}"), Diagnosis(HELD), 50.0)
    vain.screened = [Screened(Candidate(Endpoint(), "edit", EVIL), 1.01)]
    good = Subject(case("/good"), Diagnosis(None, 900.0), 900.0)
    return [*concluded([vain, subject, good]), AdviceRow(endpoint="POST /y", outcome="untried", reason="changes data")]


def test_a_page_without_advice_says_so() -> None:
    page = render([AdviceRow(endpoint="GET /", outcome="left")], app="shop:app", canary=None, command="advise")
    assert "Nothing to gain" in page
    assert "<svg" not in page.partition("<main")[2]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("advice")
    return write_page(folder, rows(folder), app="shop:app", canary="/health", command="python bench.py advise shop:app")


class TestInABrowser:
    pytestmark = MARKS

    def test_it_opens_in_silence_and_shows_changes_as_text(self, browser: Browser, page: Path) -> None:
        seen = visit(browser, page)
        assert seen.messages == []
        assert seen.requests == [page.as_uri()]
        assert seen.page.locator("#advice article").count() == 1
        assert seen.page.locator(".diff .changed .new code").inner_text() == "    await asyncio.sleep(0.02)"
        assert seen.page.locator(".diff .changed .old code").inner_text() == "    time.sleep(0.02)"
        assert EVIL in seen.page.locator("#advice").inner_text()
        assert EVIL in seen.page.locator("#vain h3").first.inner_text()
        assert seen.page.locator("#advice svg").count() == 1
        seen.page.close()

    @pytest.mark.parametrize(("width_px", "dark"), [(320, False), (768, True), (1280, False)])
    def test_it_fits_and_axe_has_no_complaint(self, browser: Browser, page: Path, width_px: int, dark: bool) -> None:
        seen = visit(browser, page, width_px, dark=dark)
        assert seen.page.evaluate("document.documentElement.scrollWidth") <= width_px
        found = Axe().run(seen.page)
        assert found.violations_count == 0, found.generate_report()
        seen.page.close()
