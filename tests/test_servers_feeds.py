"""Feeds as they are read: rows with their columns, and a sentence with file and line for what is broken."""

from pathlib import Path

import pytest

from loopwise.errors import DataError
from loopwise.model import Feed
from loopwise.servers.feeds import dealt, first_row, read_feed, rows_of
from loopwise.servers.files import hash_of


def test_rows_of_csv_are_texts_with_the_lines_they_stand_on() -> None:
    rows = read_feed(Path("a.csv"), '\ufeffid,name\r\n1,"x, ""y"""\r\n\r\n2,"two\r\nlines"\r\n'.encode())
    assert rows.columns == ("id", "name")
    assert rows.values == [{"id": "1", "name": 'x, "y"'}, {"id": "2", "name": "two\r\nlines"}]
    assert rows.lines == [2, 5]


def test_rows_of_json_lines_keep_their_types_and_share_their_columns() -> None:
    rows = read_feed(Path("a.jsonl"), b'{"id": 1, "t": [true]}\n\n{"t": null, "id": 2.5, "more": "\\u2028"}\n')
    assert rows.columns == ("id", "t")
    assert rows.values == [{"id": 1, "t": [True]}, {"t": None, "id": 2.5, "more": "\u2028"}]
    assert rows.lines == [1, 3]


BROKEN = [
    ("a.csv", b"", "a.csv has no rows"),
    ("a.csv", b"id,\n1,2", "a.csv, line 1: the header names no columns, or one of them is empty"),
    ("a.csv", b"id,id\n1,2", "a.csv, line 1: the header names 'id' twice"),
    ("a.csv", b"id\n", "a.csv has no rows"),
    ("a.csv", b"id,n\n1,2\n3\n", "a.csv, line 3: has 1 fields, the header names 2 (id, n)"),
    ("a.csv", b"id,n\n1,2,3\n", "a.csv, line 2: has 3 fields"),
    ("a.csv", b'id\n"1\n2\n', "a.csv, line 3: is no CSV (unexpected end of data)"),
    ("a.csv", b"id\n1\n\xff\n", "a.csv, line 3: byte 5 is no UTF-8"),
    ("a.jsonl", b"\n\n", "a.jsonl has no rows"),
    ("a.jsonl", b'{"a": 1}\n{"a": }', "a.jsonl, line 2: is no JSON (Expecting value"),
    ("a.jsonl", b'{"a": ["\\ud800"]}', "a.jsonl, line 1: has a lone surrogate, half of a character; correct it"),
    ("a.jsonl", b"[1]", 'a.jsonl, line 1: is no object such as {"id": 1}'),
    ("a.jsonl", b'{"a": 1, "b": 2}\n\n{"b": 1}', "a.jsonl, line 3: has no 'a', which the first row has"),
]


@pytest.mark.parametrize(("name", "data", "expected"), BROKEN)
def test_a_broken_feed_is_named_with_its_line(name: str, data: bytes, expected: str) -> None:
    with pytest.raises(DataError) as raised:
        read_feed(Path(name), data)
    assert str(raised.value).startswith(expected)
    assert "; " in str(raised.value)


def test_a_unique_feed_keeps_its_last_row_for_the_request_before_the_run(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"id\n1\n2\n3\n")
    plain = Feed(file=str(path), sha256=hash_of(path.read_bytes()))
    unique = plain.model_copy(update={"unique": True})
    assert [row["id"] for row in dealt(plain)] == ["1", "2", "3"]
    assert (first_row(plain), first_row(unique)) == ({"id": "1"}, {"id": "3"})
    assert [row["id"] for row in dealt(unique)] == ["1", "2"]


def test_a_feed_that_changed_or_went_since_the_suite_was_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"id\n1\n")
    with pytest.raises(DataError, match=r"a\.csv has changed since the suite was read"):
        rows_of(Feed(file=str(path), sha256="other"))
    with pytest.raises(DataError, match=r"gone\.csv can't be read \(No such file or directory\)"):
        rows_of(Feed(file=str(tmp_path / "gone.csv"), sha256=""))
