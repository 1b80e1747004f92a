"""Multipart forms: what a server's parser reads is what was given."""

from email import message_from_bytes
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from loopwise.servers.multipart import multipart_body

Part = tuple[str | None, str | None, str | None, bytes]
"""Name, filename, content type if it was declared, content."""


def parts_of(body: bytes, headers: dict[str, str]) -> list[Part]:
    message = message_from_bytes(f"Content-Type: {headers['Content-Type']}\r\n\r\n".encode() + body)
    assert message.is_multipart()
    parts: list[Part] = []
    for part in message.get_payload():
        assert not isinstance(part, str)
        content = part.get_payload(decode=True)
        assert isinstance(content, bytes)
        name = part.get_param("name", header="content-disposition")
        parts.append((str(name), part.get_filename(), part["Content-Type"], content))
    return parts


@pytest.mark.parametrize(
    ("files", "data", "expected"),
    [
        ({"file": ("a.txt", b"abc")}, None, [("file", "a.txt", None, b"abc")]),
        ({"file": b"abc"}, None, [("file", "file", None, b"abc")]),
        ({"file": BytesIO(b"\x00\xff")}, None, [("file", "file", None, b"\x00\xff")]),
        ({"file": ("ä.txt", "Käse")}, None, [("file", "ä.txt", None, "Käse".encode())]),
        ({"file": ("a.csv", b"1,2", "text/csv")}, None, [("file", "a.csv", "text/csv", b"1,2")]),
        (
            [("file", ("1", b"x")), ("file", ("2", b"y"))],
            {"note": "n", "tags": [1, 2], "none": None},
            [
                ("note", None, None, b"n"),
                ("tags", None, None, b"1"),
                ("tags", None, None, b"2"),
                ("file", "1", None, b"x"),
                ("file", "2", None, b"y"),
            ],
        ),
    ],
)
def test_a_parser_reads_the_fields_and_files_back(files: Any, data: Any, expected: list[Part]) -> None:
    body, headers = multipart_body(files, data)
    read = parts_of(body, headers)
    assert [(name, kind, content) for name, _, kind, content in read] == [
        (name, kind, content) for name, _, kind, content in expected
    ]
    for _, filename, _, _ in expected:
        assert filename is None or f'filename="{filename}"'.encode() in body


def test_an_open_file_gives_its_name(tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(b"png")
    with path.open("rb") as file:
        assert parts_of(*multipart_body({"image": file})) == [("image", "photo.png", None, b"png")]


def test_own_headers_of_a_file_are_sent() -> None:
    body, _ = multipart_body({"file": ("a.xls", b"x", "application/vnd.ms-excel", {"Expires": "0"})})
    assert b"\r\nExpires: 0\r\n" in body


@pytest.mark.parametrize(
    ("files", "data"), [({"file": b"x"}, "text"), ({"file": 7}, None), ({"file": ("a", None)}, None)]
)
def test_what_has_no_content_or_fields_is_refused(files: Any, data: Any) -> None:
    with pytest.raises(TypeError, match=r"must be"):
        multipart_body(files, data)


def test_the_boundary_is_drawn_unless_it_is_given() -> None:
    bodies = {multipart_body({"file": b"x"})[1]["Content-Type"] for _ in range(20)}
    assert len(bodies) == 20
    assert multipart_body({"file": b"x"}, boundary="b")[1] == {"Content-Type": "multipart/form-data; boundary=b"}
