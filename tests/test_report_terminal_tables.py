"""Tables in a narrow terminal: with real data of every command, no word is broken at 80 columns."""

from collections.abc import Callable
from functools import partial

import pytest
from rich.cells import cell_len
from rich.console import RenderableType
from support.printed import broken_words, printed

from loopwise.blame.findings import BlamedLine, blame_table
from loopwise.calibrate.doctor import CHECKUPS, Symptom, diagnosis_table
from loopwise.claims.tables import list_table
from loopwise.cli.list_ import LISTINGS, listing_table
from loopwise.measure.asking import Reply
from loopwise.measure.plan import outline
from loopwise.report.terminal.asked import asked_table
from loopwise.report.terminal.outline import outline_table
from loopwise.report.terminal.tables import WordTable, column_widths
from loopwise.suite import load_suite

ROW = ("Loopwise, declared users", "saturated at 1,000/s", "12.3 [11.0, 13.0]", "path/of/a_file/that/goes/on.py:12")
HEADINGS = ("generator", "load", "difference", "where")


@pytest.mark.parametrize("width", [80, 60, 44])
def test_every_word_stands_whole_on_a_line(width: int) -> None:
    table = WordTable(HEADINGS, [ROW] * 2, ("difference",), "Figures")
    text = printed(table, width)
    assert all(cell_len(line) <= width for line in text.splitlines())
    assert broken_words(table, width) == []
    assert "[11.0, 13.0]" in text
    assert "a_file/" in text


def test_a_narrow_terminal_has_a_block_for_each_row() -> None:
    wide, narrow = (printed(WordTable(HEADINGS, [ROW]), width) for width in (100, 30))
    assert "─" in wide
    assert "─" not in narrow
    assert "load: saturated at 1,000/s" in narrow


@pytest.mark.parametrize(
    ("needs", "room", "widths"),
    [
        ([(3, 5), (4, 9)], 20, [5, 9]),
        ([(3, 5), (4, 9)], 10, [4, 6]),
        ([(3, 5), (4, 9)], 7, [3, 4]),
        ([(3, 5), (4, 9)], 6, []),
        ([(1, 1)], 0, []),
    ],
)
def test_columns_share_the_room_that_words_leave(needs: list[tuple[int, int]], room: int, widths: list[int]) -> None:
    assert column_widths(needs, room) == widths


def a_plan() -> RenderableType:
    suite = load_suite("quick")
    return outline_table(suite, outline(suite, 1))


def blamed_lines() -> RenderableType:
    line = BlamedLine(
        endpoint="GET /orders/{order_id}/invoice", path="shop/billing/documents.py", line=120, is_app=True,
        function="requests.get", source="", total_ms=1234.5, longest_ms=250.5, times=20, share=0.93,
    )  # fmt: skip
    return blame_table([line] * 2)


def replies() -> RenderableType:
    known = {"status": 200, "size_bytes": 1_234_567, "time_ms": 123, "answered_by": "uvicorn"}
    return asked_table([Reply(place="shop.main:create_app()", endpoint="GET /orders/{order_id}/invoice", **known)] * 2)


def symptoms() -> RenderableType:
    return diagnosis_table(
        [Symptom(each.name, "warn", "CPU 93 % busy before we begin", each.remedy) for each in CHECKUPS]
    )


def listed(what: str) -> RenderableType:
    return listing_table(what, LISTINGS[what]())


TABLES: dict[str, Callable[[], RenderableType]] = {
    "check": a_plan,
    "check --ask": replies,
    "blame": blamed_lines,
    "doctor": symptoms,
    "claims list": lambda: list_table({}),
    **{
        f"list {what}": partial(listed, what)
        for what in ("suites", "workloads", "modes", "features", "servers", "refusals")
    },
}


@pytest.mark.parametrize("command", TABLES)
def test_no_table_of_a_command_breaks_a_word(command: str) -> None:
    assert broken_words(TABLES[command]()) == []
