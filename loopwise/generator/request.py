"""Requests as bytes: encoded, prepared from declared endpoints, and dealt in proportion to their weights."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

import numpy as np

from loopwise.model import Endpoint

DEFAULT_HEADERS = {"User-Agent": "loopwise", "Accept": "*/*"}
DECK = 65_536
"""Endpoints of a mix are dealt from a prepared deck of about this size, so that no request costs a draw."""
_compact_json = json.JSONEncoder(separators=(",", ":")).encode

_is_encoded = re.compile(r"[\w\-.~!$&'()*+,;=:@/?]*", re.ASCII).fullmatch
_stray_percent = re.compile(r"%(?![0-9A-Fa-f]{2})")


class Request(NamedTuple):
    """A request as it goes over the wire."""

    data: bytes
    endpoint: int
    """Number of the endpoint's name in the recorder."""
    head: bool
    """Its method is HEAD: the answer has no body, whatever its headers announce."""
    expect_status: int | None


def target_of(path: str) -> str:
    """A path with its query as a request line has them: what a URL can't hold is percent-encoded, as UTF-8.

    Escapes stay as they are; a fragment is left out, since it is the client's own.
    """
    if _is_encoded(path):
        return path if path.startswith("/") else f"/{path}"
    encoded = _stray_percent.sub("%25", quote(path.partition("#")[0], safe="!$%&'()*+,/:;=?@[]~"))
    return encoded if encoded.startswith("/") else f"/{encoded}"


def encode(method: str, path: str, *headers: Mapping[str, str], body: bytes = b"") -> bytes:
    """The bytes of a request (HTTP/1.1, kept alive).

    Args:
        method: GET, POST, …
        path: with its query; encoded by target_of.
        headers: of headers with the same name, in whatever case, the last one is sent.
        body: its Content-Length is added, unless the headers have one.
    """
    lines = {}
    for layer in headers:
        for name in layer:
            lines[name.lower()] = f"{name}: {layer[name]}"
    if body or method in {"POST", "PUT", "PATCH"}:
        lines.setdefault("content-length", f"Content-Length: {len(body)}")
    return "\r\n".join([f"{method} {target_of(path)} HTTP/1.1", *lines.values(), "", ""]).encode("latin-1") + body


def json_body(value: Any) -> tuple[bytes, dict[str, str]]:
    """A value as a JSON body, and the header that says so."""
    return _compact_json(value).encode(), {"Content-Type": "application/json"}


def form_body(data: bytes | str | Mapping[str, Any] | None) -> tuple[bytes, dict[str, str]]:
    """A mapping as the body of a form, and the header that says so; bytes and text as they are."""
    if isinstance(data, Mapping):
        described = {"Content-Type": "application/x-www-form-urlencoded"}
        return urlencode(data, doseq=True).encode(), described
    return (data.encode() if isinstance(data, str) else data or b""), {}


def prepare(endpoint: Endpoint, host: str, number: int) -> Request:
    """The request of a declared endpoint.

    Args:
        endpoint: as in the suite.
        host: of the Host header.
        number: of the endpoint's name in the recorder.
    """
    body, described = (b"", {}) if endpoint.json_body is None else json_body(endpoint.json_body)
    headers = ({"Host": host}, DEFAULT_HEADERS, described, endpoint.headers)
    data = encode(endpoint.method, endpoint.path, *headers, body=body)
    return Request(data, number, endpoint.method == "HEAD", endpoint.expect_status)


def deal(requests: Sequence[Request], weights: Sequence[int], seed: int) -> Iterator[Request]:
    """Yield the endless sequence of requests of a mix, each in exact proportion to its weight.

    Weights 3 and 1 give one of the second in each four from the first on, so the shares of a short run are exact, too.
    The same seed gives the same sequence.
    """
    if len(requests) == 1:
        while True:
            yield requests[0]
    hand = np.repeat(np.arange(len(weights)), np.array(weights) // np.gcd.reduce(weights))
    hands = np.tile(hand, (max(1, DECK // hand.size), 1))
    order = np.random.default_rng(seed).permuted(hands, axis=1).ravel().tolist()
    while True:
        for index in order:
            yield requests[index]
