"""Requests as bytes: percent-encoding, headers, framing."""

import pytest
from geventhttpclient.url import URL
from hypothesis import given
from hypothesis import strategies as st

from loopwise.model import Endpoint
from loopwise.servers.wire import RequestError, encode, endpoint_bytes, target_of

PATHS = {
    "/items/1?q=a&tag[]=b": "/items/1?q=a&tag[]=b",
    "/items?q=two words": "/items?q=two%20words",
    "/käse?q=日本": "/k%C3%A4se?q=%E6%97%A5%E6%9C%AC",
    "/a%20b/%C3%A4": "/a%20b/%C3%A4",
    '/q?json={"a":1}': "/q?json=%7B%22a%22:1%7D",
    "/x<>^`|\\": "/x%3C%3E%5E%60%7C%5C",
    "/a;v=1/b;c": "/a;v=1/b;c",
    "/a/../b/./c": "/a/../b/./c",
    "/page?x=1#part": "/page?x=1",
    "/line\r\nX: injected": "/line%0D%0AX:%20injected",
    "/100%?q=5%x": "/100%25?q=5%25x",
    "": "/",
    "?page=2": "/?page=2",
    "items": "/items",
}


@pytest.mark.parametrize("path", PATHS)
def test_a_path_is_escaped_where_http_needs_it(path: str) -> None:
    assert target_of(path) == PATHS[path]
    assert encode("GET", path, {"Host": "h"}) == b"GET %s HTTP/1.1\r\nHost: h\r\n\r\n" % PATHS[path].encode()


@given(st.text(st.characters(exclude_characters="%#?;\\/\t\r\n", exclude_categories=["Cs"]), min_size=1))
def test_paths_are_escaped_as_fasthttpuser_does(text: str) -> None:
    assert target_of(f"/{text}?q={text}") == URL(f"http://host/{text}?q={text}").quoted_uri


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_escaping_twice_changes_nothing(text: str) -> None:
    once = target_of("/" + text)
    assert target_of(once) == once
    assert once.isascii()


def test_a_header_value_is_sent_as_latin_1() -> None:
    assert b"\r\nX-Name: Zo\xeb\r\n" in encode("GET", "/", {"X-Name": "Zoë"})


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({"X-A": "1\r\nX-B: 2"}, "has '\\\\r', which is a control character"),
        ({"X-A": "1\n"}, "control character"),
        ({"X-A": "\x00"}, "control character"),
        ({"X-A": "東"}, "'東', which is not in latin-1"),
        ({"X A": "1"}, "'X A' is no name of a header"),
        ({"X-A:": "1"}, "is no name"),
        ({"": "1"}, "is no name"),
        ({"Zoë": "1"}, "is no name"),
        ({"Content-Length": "3"}, "contradicts the body of 2 bytes"),
        ({"transfer-encoding": "chunked"}, "Transfer-Encoding can't be set"),
    ],
)
def test_a_header_that_http_cannot_carry_is_refused(headers: dict[str, str], reason: str) -> None:
    with pytest.raises(RequestError, match=reason):
        encode("POST", "/", headers, body=b"ab")


def test_the_last_of_headers_with_one_name_is_sent() -> None:
    data = encode("GET", "/", {"Host": "a", "X-B": "1"}, {"host": "b"})
    assert data == b"GET / HTTP/1.1\r\nhost: b\r\nX-B: 1\r\n\r\n"


def test_an_endpoint_is_sent_with_its_body_and_length() -> None:
    endpoint = Endpoint(method="POST", path="/ö", headers={"X-A": "ü"}, json_body={"a": ["ß"]})
    head, _, body = endpoint_bytes(endpoint, "host:1").partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    assert first == b"POST /%C3%B6 HTTP/1.1"
    assert set(lines) == {
        b"Host: host:1",
        b"User-Agent: loopwise",
        b"Accept: */*",
        b"Content-Type: application/json",
        b"X-A: \xfc",
        b"Content-Length: %d" % len(body),
    }
    assert body == b'{"a":["\\u00df"]}'
