"""Requests as bytes: paths as URLs have them."""

import pytest
from geventhttpclient.url import URL

from loopwise.generator.request import encode, target_of

PATHS = {
    "/items/1?q=a&tag[]=b": "/items/1?q=a&tag[]=b",
    "/items?q=two words": "/items?q=two%20words",
    "/käse?q=日本": "/k%C3%A4se?q=%E6%97%A5%E6%9C%AC",
    "/a%20b/%C3%A4": "/a%20b/%C3%A4",
    '/q?json={"a":1}': "/q?json=%7B%22a%22:1%7D",
    "/x<>^`|\\": "/x%3C%3E%5E%60%7C%5C",
    "/a;v=1/b;c": "/a;v=1/b;c",
    "/page?x=1#part": "/page?x=1",
    "/line\r\nX: injected": "/line%0D%0AX:%20injected",
    "": "/",
    "?page=2": "/?page=2",
    "items": "/items",
}


@pytest.mark.parametrize("path", PATHS)
def test_a_path_is_encoded_as_locusts_client_encodes_it(path: str) -> None:
    assert target_of(path) == PATHS[path]
    assert target_of(target_of(path)) == PATHS[path]
    if path.startswith("/"):
        assert URL(f"http://host{path}").quoted_uri in {PATHS[path], PATHS[path].replace("%0D%0A", "")}


@pytest.mark.parametrize(("path", "expected"), [("/100%", "/100%25"), ("/100%?q=5%x", "/100%25?q=5%25x")])
def test_a_stray_percent_sign_is_encoded(path: str, expected: str) -> None:
    assert target_of(path) == expected


def test_a_request_line_has_the_encoded_path() -> None:
    assert encode("GET", "/käse", {"Host": "h"}) == b"GET /k%C3%A4se HTTP/1.1\r\nHost: h\r\n\r\n"
