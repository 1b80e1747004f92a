"""Templates: requests of declared endpoints with places for values, written `{name}`.

A template is compiled once, by the encoder that sends any request: marks stand where values go, and the bytes between
them are kept. So filling one costs a microsecond, and what is sent differs from an ordinary request in nothing.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from typing import Any
from urllib.parse import quote, quote_plus

from loopwise.model import Endpoint
from loopwise.servers.wire import RequestError, endpoint_bytes, value_fault

_PLACE = re.compile(r"\{(\{[A-Za-z_][A-Za-z0-9_-]*\})\}|\{([A-Za-z_][A-Za-z0-9_-]*)\}")
"""`{{name}}`, a literal, or `{name}`; other braces are what they are."""
_LENGTH = b"Content-Length: "
_as_json = json.JSONEncoder(separators=(",", ":")).encode

Encoder = Callable[[Any], bytes]
Place = tuple[str, Encoder]
"""The name of a value, and how it is sent."""
Values = Mapping[str, Any]


def names_in(text: str) -> list[str]:
    """The names of the places in a text, in its order."""
    return [match[2] for match in _PLACE.finditer(text) if match[2]]


def has_places(text: str) -> bool:
    """Whether filling changes the text: it has a place, or the literal of one."""
    return _PLACE.search(text) is not None


def as_text(value: Any) -> str:
    """A value as it stands in a text: strings as they are, others as JSON."""
    return value if isinstance(value, str) else _as_json(value)


def filled(text: str, values: Values) -> str:
    """The text with its places filled."""
    return _PLACE.sub(lambda match: match[1] or as_text(values[match[2]]), text)


def _header(value: Any) -> bytes:
    text = as_text(value)
    if fault := value_fault(text):
        raise RequestError(f"a header can't have the value {text[:60]!r}: it {fault}")
    return text.encode("latin-1")


ENCODERS: dict[str, Encoder] = {
    "path": lambda value: quote(as_text(value), safe="").encode(),
    "headers": _header,
    "text": lambda value: as_text(value).encode(),
    "form": lambda value: quote_plus(as_text(value)).encode(),
    "json": lambda value: _as_json(as_text(value))[1:-1].encode(),
    "whole": lambda value: _as_json(value).encode(),
    "length": lambda value: b"%d" % value,
}
"""Kind of place -> how its value is sent there. `whole`: a whole string of JSON, so the value keeps its type; `text`:
bodies and fields beside files; `length`: that of the body."""


def texts_of(endpoint: Endpoint) -> Iterator[tuple[tuple[str, ...], str]]:
    """The texts of an endpoint that may have places, each with its key: `("headers", "X-A")`."""
    yield ("path",), endpoint.path
    for name, value in endpoint.headers.items():
        yield ("headers", name), value
    if endpoint.body is not None and endpoint.body.text is not None:
        yield ("body",), endpoint.body.text
    for name, field in (endpoint.form or {}).items():
        for text in field if isinstance(field, list) else [field]:
            yield ("form", name), text
    for text in strings_in(endpoint.json_body):
        yield ("json",), text
    if endpoint.expect_body is not None:
        for text in strings_in([endpoint.expect_body.contains, endpoint.expect_body.equals]):
            yield ("expect_body",), text


def strings_in(value: Any) -> Iterator[str]:
    """All strings of a JSON value, keys included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield from (key, *strings_in(each))
    elif isinstance(value, list):
        for each in value:
            yield from strings_in(each)


class Template:
    """A request with places for values.

    Args:
        endpoint: as in the suite.
        host: of the Host header.

    Raises:
        RequestError: HTTP can't carry it.
        DataError: a file that it sends is missing, or another than when the suite was read.
    """

    def __init__(self, endpoint: Endpoint, host: str) -> None:
        marks = _Marks(endpoint)
        head, _, body = endpoint_bytes(marks.marked(endpoint), host).partition(b"\r\n\r\n")
        self._body, self._body_places = marks.split(body)
        if self._body_places:  # the length follows from the values
            before, _, after = head.partition(_LENGTH)
            head = before + _LENGTH + marks.new("length") + after.lstrip(b"0123456789")
        self._head, self._head_places = marks.split(head + b"\r\n\r\n")

    @property
    def is_constant(self) -> bool:
        """It has no places, so that all its requests are equal."""
        return not (self._head_places or self._body_places)

    def fill(self, values: Values) -> bytes:
        """The bytes of a request with these values.

        Raises:
            RequestError: a header can't have such a value.
        """
        body = self._body % tuple([encode(values[name]) for name, encode in self._body_places])
        if self._body_places:
            values = {**values, "": len(body)}
        return self._head % tuple([encode(values[name]) for name, encode in self._head_places]) + body


class _Marks:
    """Marks that stand in an endpoint's texts where values go: letters and digits, which no encoding changes."""

    def __init__(self, endpoint: Endpoint) -> None:
        known = endpoint.model_dump_json()
        self._places: list[Place] = []
        self._prefix = next(mark for mark in map("zQ{:x}m".format, count(0xA11CE)) if mark not in known)
        mark = self._prefix.encode()
        self._find = re.compile(b'"' + mark + rb'(\d+)w"|' + mark + rb"(\d+)x").split

    def new(self, kind: str, name: str = "") -> bytes:
        """A mark for a place of this kind."""
        self._places.append((name, ENCODERS[kind]))
        return f"{self._prefix}{len(self._places) - 1}{'w' if kind == 'whole' else 'x'}".encode()

    def split(self, data: bytes) -> tuple[bytes, tuple[Place, ...]]:
        """The bytes as a format of the operator %, and its places in order."""
        first, *rest = self._find(data)
        numbers = [int(whole or part) for whole, part in zip(rest[::3], rest[1::3], strict=True)]
        pieces = [first, *rest[2::3]]
        return b"%b".join(piece.replace(b"%", b"%%") for piece in pieces), tuple(self._places[n] for n in numbers)

    def marked(self, endpoint: Endpoint) -> Endpoint:
        """The endpoint with marks in place of names."""
        if not endpoint.is_filled:
            return endpoint
        fields: dict[str, Any] = {
            "path": self._text(endpoint.path, "path"),
            "headers": {name: self._text(value, "headers") for name, value in endpoint.headers.items()},
            "json_body": self._json(endpoint.json_body),
        }
        if endpoint.body is not None and endpoint.body.text is not None:
            fields["body"] = endpoint.body.model_copy(update={"text": self._text(endpoint.body.text, "text")})
        if endpoint.form is not None:
            kind = "form" if endpoint.files is None else "text"
            fields["form"] = {name: self._field(value, kind) for name, value in endpoint.form.items()}
        return endpoint.model_copy(update=fields)

    def _text(self, text: str, kind: str) -> str:
        return _PLACE.sub(lambda match: match[1] or self.new(kind, match[2]).decode(), text)

    def _field(self, value: str | list[str], kind: str) -> str | list[str]:
        return [self._text(each, kind) for each in value] if isinstance(value, list) else self._text(value, kind)

    def _json(self, value: Any) -> Any:
        if isinstance(value, str):
            whole = _PLACE.fullmatch(value)
            return self.new("whole", whole[2]).decode() if whole and whole[2] else self._text(value, "json")
        if isinstance(value, list):
            return [self._json(each) for each in value]
        if isinstance(value, Mapping):
            return {self._text(key, "json"): self._json(each) for key, each in value.items()}
        return value
