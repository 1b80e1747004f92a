"""Feeds: files whose rows fill the requests of declared endpoints."""

import csv
import io
import json
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from loopwise.errors import DataError
from loopwise.model import Feed
from loopwise.servers.files import read_bytes
from loopwise.visible import encodable

Row = dict[str, Any]
"""A row by column: strings of a CSV file, JSON values of JSON lines."""
FORMATS = (".csv", ".jsonl")


class Rows(NamedTuple):
    """A feed as it was read."""

    columns: tuple[str, ...]
    """Those that every row has."""
    values: list[Row]
    lines: list[int]
    """Line of the file on which each row begins or, in a CSV file, ends."""


def dealt(feed: Feed) -> list[Row]:
    """The rows that a load may send: of a unique feed, all but the last.

    Raises:
        DataError: as in `read_feed`.
    """
    rows = rows_of(feed).values
    return rows[:-1] if feed.unique else rows


def first_row(feed: Feed) -> Row:
    """The row of the request before a run; of a unique feed the last, which the load leaves out.

    Raises:
        DataError: as in `read_feed`.
    """
    return rows_of(feed).values[-1 if feed.unique else 0]


@lru_cache(maxsize=8)
def rows_of(feed: Feed) -> Rows:
    """The rows of a feed. A file is read once for all the runs that use it.

    Raises:
        DataError: it can't be read, is broken, or has changed since the suite was read.
    """
    path = Path(feed.file)
    return read_feed(path, read_bytes(path, feed.sha256))


def read_feed(path: Path, data: bytes) -> Rows:
    """Read a feed: CSV with a header line, or a JSON object on each line. Empty lines are skipped.

    Raises:
        DataError: it has no rows, or a line is broken; the sentence names file and line.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(f"{path.name}, line {line}: byte {error.start} is no UTF-8; save the file as UTF-8") from None
    rows = _csv(path.name, text) if path.suffix == ".csv" else _json_lines(path.name, text)
    if not rows.values:
        raise DataError(f"{path.name} has no rows; add one for each request that is to differ")
    return rows


def _csv(name: str, text: str) -> Rows:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    lines = _lines(name, reader)
    _, columns = next(lines, (1, []))
    twice = next((column for column in columns if columns.count(column) > 1), None)
    if twice is not None or not all(columns):
        what = f"names {twice!r} twice" if twice is not None else "names no columns, or one of them is empty"
        raise DataError(f"{name}, line 1: the header {what}; name each column once")
    rows = Rows(tuple(columns), [], [])
    for number, fields in lines:
        if len(fields) != len(columns):
            raise DataError(
                f"{name}, line {number}: has {len(fields)} fields, the header names {len(columns)} "
                f"({', '.join(columns)}); correct the line"
            )
        rows.values.append(dict(zip(columns, fields, strict=True)))
        rows.lines.append(number)
    return rows


def _lines(name: str, reader: Any) -> Iterator[tuple[int, list[str]]]:
    """Lines that are not empty, each with its number."""
    while True:
        try:
            fields = next(reader, None)
        except csv.Error as error:
            raise DataError(f"{name}, line {reader.line_num}: is no CSV ({error}); correct the line") from None
        if fields is None:
            return
        if fields:
            yield reader.line_num, fields


def _json_lines(name: str, text: str) -> Rows:
    values, lines = [], []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except ValueError as error:
            raise DataError(f"{name}, line {number}: is no JSON ({error}); correct the line") from None
        if not isinstance(value, dict):
            raise DataError(f'{name}, line {number}: is no object such as {{"id": 1}}; correct the line')
        if encodable(value) != value:
            raise DataError(f"{name}, line {number}: has a lone surrogate, half of a character; correct it")
        values.append(value)
        lines.append(number)
    columns = tuple(values[0]) if values else ()
    for value, number in zip(values, lines, strict=True):
        missing = [column for column in columns if column not in value]
        if missing:
            raise DataError(
                f"{name}, line {number}: has no {missing[0]!r}, which the first row has; add it, or remove the row"
            )
    return Rows(columns, values, lines)
