"""Templates: what is filled arrives as it was, wherever it stands, and the rest is as without a feed."""

import json
from typing import Any
from urllib.parse import parse_qs, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopwise.model import Content, Endpoint, Feed
from loopwise.servers.templates import Template, names_in
from loopwise.servers.wire import RequestError, endpoint_bytes

FEED = Feed(file="/feed.csv", sha256="")
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)


def sent(values: dict[str, Any], **fields: Any) -> tuple[str, dict[str, str], bytes]:
    """Path, headers by lower-case name and body of the filled request; its length must be the body's."""
    data = Template(Endpoint(method="POST", feed=FEED, **fields), "host:1").fill(values)
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    assert int(headers["content-length"]) == len(body)
    return first.split(" ")[1], headers, body


@given(TEXTS, TEXTS)
def test_values_in_path_and_query_are_those_that_a_server_decodes(first: str, second: str) -> None:
    path, _, _ = sent({"a": first, "b": second}, path="/x/{a}/50%25?q={b}&{b}=1%d")
    before, _, query = path.partition("?")
    assert before.startswith("/x/")
    assert before.endswith("/50%25")
    assert unquote(before[3:-6], errors="strict") == first
    assert "/" not in before[3:-6]
    name = query.partition("=1%25d")[0].rpartition("&")[2]
    assert (unquote(query.partition("&")[0][2:]), unquote(name)) == (second, second)


@given(JSON, TEXTS)
def test_a_json_value_keeps_its_type_and_text_around_it_makes_text(value: Any, text: str) -> None:
    body = {"whole": "{a}", "in": ["<{b}>", {"{b}": 1}], "literal": "{{a}} { a } {}"}
    _, headers, data = sent({"a": value, "b": text}, json_body=body)
    expected = {"whole": value, "in": [f"<{text}>", {text: 1}], "literal": "{a} { a } {}"}
    assert json.loads(data) == expected
    assert headers["content-type"] == "application/json"


@given(TEXTS, TEXTS)
def test_fields_of_a_form_arrive_as_they_were(first: str, second: str) -> None:
    _, _, data = sent({"a": first, "b": second}, form={"x": "{a}", "y": ["1", "{b}%20{b}"]})
    arrived = parse_qs(data.decode(), keep_blank_values=True, strict_parsing=True)
    assert arrived == {"x": [first], "y": ["1", f"{second}%20{second}"]}


def test_a_text_body_and_headers_take_values_as_they_are() -> None:
    values = {"a": 'é"\n', "n": 5, "t": True}
    _, headers, data = sent(
        values, headers={"X-A": "100% {n} {t}"}, body=Content(text='{"q":"{a}"} {{a}} 5%d', type="text/x")
    )
    assert headers["x-a"] == "100% 5 true"
    assert headers["content-type"] == "text/x"
    assert data == '{"q":"é"\n"} {a} 5%d'.encode()


def test_fields_beside_files_are_filled_and_files_are_not() -> None:
    _, headers, data = sent({"a": "1&2"}, form={"x": "<{a}>"}, files={"f": Content(text="{a}", name="a.txt")})
    boundary = headers["content-type"].partition("boundary=")[2].encode()
    parts = [part.strip().split(b"\r\n\r\n") for part in data.split(b"--" + boundary)[1:-1]]
    assert [content for _, content in parts] == [b"<1&2>", b"{a}"]


@pytest.mark.parametrize("value", ["a\r\nX: y", "a\x00", "東"])
def test_a_value_that_would_break_a_header_is_refused(value: str) -> None:
    template = Template(Endpoint(feed=FEED, headers={"X-A": "{a}"}), "host")
    with pytest.raises(RequestError, match="a header can't have the value"):
        template.fill({"a": value})


@pytest.mark.parametrize(
    "endpoint",
    [
        Endpoint(path="/{a}?x=%d", headers={"X": "{a}%"}, json_body={"q": "{items{id}}"}),
        Endpoint(method="PUT", body=Content(text="{a}")),
    ],
)
def test_without_a_feed_braces_are_sent_as_they_are(endpoint: Endpoint) -> None:
    template = Template(endpoint, "host")
    assert template.fill({}) == endpoint_bytes(endpoint, "host")
    assert template.is_constant


def test_marks_are_never_taken_for_what_a_user_wrote() -> None:
    mark = "zQa11cem0x"
    _, _, data = sent({"a": 1}, json_body=[mark, "{a}", f"{mark}w"])
    assert json.loads(data) == [mark, 1, f"{mark}w"]


def test_names_are_identifiers_in_braces_and_doubled_braces_are_text() -> None:
    assert names_in("{a}{b-c} {{d}} { e } {1} {{{f}}} {items{id}} {g") == ["a", "b-c", "id"]
