"""Requests as the bytes that are sent, whether to check an endpoint, to load it or from a script."""

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from loopwise.model import Content, Endpoint
from loopwise.servers.files import hash_of, read_bytes
from loopwise.servers.multipart import multipart_body

DEFAULT_HEADERS = {"User-Agent": "loopwise", "Accept": "*/*"}
FRAMING = frozenset({"content-length", "transfer-encoding"})
"""Headers that follow from the body; others would make the peer wait, or read the next request as a body."""
_compact_json = json.JSONEncoder(separators=(",", ":")).encode
_is_encoded = re.compile(r"[\w\-.~!$&'()*+,;=:@/?]*", re.ASCII).fullmatch
_stray_percent = re.compile(r"%(?![0-9A-Fa-f]{2})")
_is_token = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+").fullmatch
"""RFC 9110, section 5.6.2."""
_is_field_value = re.compile(r"[\t\x20-\x7e\x80-\xff]*").fullmatch


class RequestError(ValueError):
    """A request that HTTP can't carry."""


def encode(method: str, path: str, *headers: Mapping[str, str], body: bytes = b"") -> bytes:
    """The bytes of a request (HTTP/1.1, kept alive).

    Args:
        method: GET, POST, …
        path: with its query; encoded by target_of.
        headers: of headers with the same name, in whatever case, the last one is sent; values as latin-1.
        body: its Content-Length is added.

    Raises:
        RequestError: a header can't be sent, or contradicts the body.
    """
    lines = {}
    for layer in headers:
        for name in layer:
            lines[name.lower()] = _line(name, layer[name])
    if body or method in {"POST", "PUT", "PATCH"}:
        length = f"Content-Length: {len(body)}"
        if lines.setdefault("content-length", length).partition(":")[2].strip() != str(len(body)):
            raise RequestError(f"the header {lines['content-length']} contradicts the body of {len(body)} bytes")
    if "transfer-encoding" in lines:
        raise RequestError("the header Transfer-Encoding can't be set: bodies are sent with their Content-Length")
    return "\r\n".join([f"{method} {target_of(path)} HTTP/1.1", *lines.values(), "", ""]).encode("latin-1") + body


def target_of(path: str) -> str:
    """A path with its query as a request line has them: what a URL can't hold is percent-encoded, as UTF-8.

    Escapes and dot segments stay as they are; a fragment is left out, since it is the client's own.
    """
    if not _is_encoded(path):
        path = _stray_percent.sub("%25", quote(path.partition("#")[0], safe="!$%&'()*+,/:;=?@[]~"))
    return path if path.startswith("/") else f"/{path}"


def name_fault(name: str) -> str | None:
    """Why a header can't have this name; None: it can."""
    return None if _is_token(name) else "is no name of a header (letters, digits and - as in X-Request-Id)"


def value_fault(value: str) -> str | None:
    """Why a header can't have this value; None: it can."""
    if _is_field_value(value):
        return None
    wrong = next(each for each in value if not _is_field_value(each))
    kind = "a control character" if wrong < "\xa0" else "not in latin-1, the character set of headers"
    return f"has {wrong!r}, which is {kind}"


@lru_cache(4096)
def _line(name: str, value: str) -> str:
    fault = name_fault(name) or value_fault(value)
    if fault:
        raise RequestError(f"the header {name!r} {fault}")
    return f"{name}: {value}"


def json_body(value: Any) -> tuple[bytes, dict[str, str]]:
    """A value as a JSON body, and the header that says so."""
    return _compact_json(value).encode(), {"Content-Type": "application/json"}


def form_body(data: bytes | str | Mapping[str, Any] | None) -> tuple[bytes, dict[str, str]]:
    """A mapping as the body of a form, and the header that says so; bytes and text as they are."""
    if isinstance(data, Mapping):
        described = {"Content-Type": "application/x-www-form-urlencoded"}
        return urlencode(data, doseq=True).encode(), described
    return (data.encode() if isinstance(data, str) else data or b""), {}


def body_of(endpoint: Endpoint) -> tuple[bytes, dict[str, str]]:
    """The body of a declared endpoint, and the headers that describe it.

    Raises:
        DataError: a file that it sends is missing, or another than when the suite was read.
    """
    if endpoint.body is not None:
        return bytes_of(endpoint.body), {"Content-Type": endpoint.body.type} if endpoint.body.type else {}
    if endpoint.files is not None:
        files = [
            (field, (each.name or Path(each.file or field).name, bytes_of(each), each.type))
            for field, each in endpoint.files.items()
        ]
        # Not drawn at random: what is sent is the same in every run.
        boundary = hash_of(endpoint.model_dump_json().encode())[:32]
        return multipart_body(files, endpoint.form, boundary=boundary)
    if endpoint.form is not None:
        return form_body(endpoint.form)
    return (b"", {}) if endpoint.json_body is None else json_body(endpoint.json_body)


def bytes_of(content: Content) -> bytes:
    """The bytes that are sent for a text or a file."""
    if content.file is not None:
        return read_bytes(Path(content.file), content.sha256)
    return (content.text or "").encode()


def endpoint_bytes(endpoint: Endpoint, host: str) -> bytes:
    """The request of a declared endpoint, the same for the check before a run and for its load.

    Args:
        endpoint: as in the suite.
        host: of the Host header.
    """
    body, described = body_of(endpoint)
    headers = ({"Host": host}, DEFAULT_HEADERS, described, endpoint.headers)
    return encode(endpoint.method, endpoint.path, *headers, body=body)
