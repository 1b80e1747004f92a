"""Body, credentials and headers of a script's request."""

import json as json_module
from base64 import b64encode
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from loopwise.servers.multipart import Pairs, multipart_body
from loopwise.servers.wire import form_body

Params = Mapping[str, Any] | Iterable[tuple[str, Any]] | str
Credentials = tuple[str | bytes, str | bytes]


class Content(NamedTuple):
    """Body of a request."""

    body: bytes
    payload: str | bytes | None
    """The body as FastHttpUser's requests show it."""
    headers: Mapping[str, str]
    """Describe the body, unless the script has others of the same name."""


def content_of(data: Any, json: Any, files: Pairs | None) -> Content:
    """The body of a request, as FastHttpUser makes it: of the files, else of the data, else of the JSON value.

    Raises:
        TypeError: the data can't be sent.
    """
    if files:
        body, headers = multipart_body(files, data)
        return Content(body, body, headers)
    if not data and json is not None:
        text = json_module.dumps(json)
        return Content(text.encode(), text, {"Content-Type": "application/json", "Accept": "application/json"})
    if isinstance(data, Mapping):
        body, headers = form_body(data)
        return Content(body, body, headers)
    data = data.read() if hasattr(data, "read") else data or b""
    if isinstance(data, str):
        return Content(data.encode(), data, {"Content-Type": "text/plain; charset=utf-8"})
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise TypeError(f"data is a {type(data).__name__}; a body is bytes, text, a mapping (a form) or an open file")
    body = bytes(data)
    return Content(body, body or None, {"Content-Type": "application/octet-stream"} if body else {})


def basic(user: str | bytes, password: str | bytes) -> str:
    """Value of the Authorization header for a user and a password (RFC 7617)."""
    parts = [part.encode("latin-1") if isinstance(part, str) else part for part in (user, password)]
    return "Basic " + b64encode(b":".join(parts)).decode()


def merged(*layers: Mapping[str, Any]) -> dict[str, str]:
    """Headers of all layers: of one name, in any case, the last; None removes it."""
    lines: dict[str, tuple[str, str]] = {}
    for layer in layers:
        for name, value in layer.items():
            if value is None:
                lines.pop(name.lower(), None)
            else:
                lines[name.lower()] = (name, value if isinstance(value, str) else _text(value))
    return dict(lines.values())


def _text(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_text, value))
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)
