"""Expected bodies of answers, and values that are captured from them."""

import json
import re
from collections.abc import Mapping
from typing import Any

from loopwise.model import Endpoint
from loopwise.servers.templates import Values, as_text, filled, has_places, strings_in
from loopwise.servers.wire import value_fault
from loopwise.visible import encodable

_STEP = re.compile(r"\.([A-Za-z_][A-Za-z0-9_-]*)|\[(-?\d+)\]|\[('[^']*'|\"[^\"]*\")\]")
MISSING = object()
"""Stands for a value that a document does not have."""

JsonPath = tuple[str | int, ...]
"""Keys of objects and indexes of lists."""


def json_path(text: str) -> JsonPath:
    """Parse a path such as `$.items[0].id`.

    A subset of JSONPath (RFC 9535) that names one value: `$`, then `.key`, `["any key"]` and `[index]`, from the end
    if it is negative.

    Raises:
        ValueError: the text is no such path.
    """
    steps: list[str | int] = []
    at = 1
    while text[:1] == "$" and at < len(text) and (match := _STEP.match(text, at)):
        key, index, quoted = match.groups()
        steps.append(int(index) if index else key or quoted[1:-1])
        at = match.end()
    if text[:1] != "$" or at != len(text):
        raise ValueError(f'{text!r} is no path to one value, such as $.token, $.items[0].id or $["a key"]')
    return tuple(steps)


def value_at(document: Any, path: JsonPath) -> Any:
    """The value there; MISSING if there is none."""
    for step in path:
        is_key = isinstance(document, dict) and isinstance(step, str)
        if not is_key and not (isinstance(document, list) and isinstance(step, int)):
            return MISSING
        try:
            document = document[step]
        except (KeyError, IndexError):
            return MISSING
    return document


class Expectation:
    """Checks the bodies of a declared endpoint's answers, and captures values from them.

    Args:
        endpoint: as in the suite.
        sent_in_headers: names of captures that later requests send in headers, which can't hold every value.
    """

    def __init__(self, endpoint: Endpoint, sent_in_headers: frozenset[str] = frozenset()) -> None:
        self.expected = endpoint.expect_body
        texts = strings_in([self.expected.contains, self.expected.equals]) if self.expected is not None else ()
        self.is_filled = endpoint.is_filled and any(map(has_places, texts))
        self._captures = {name: json_path(text) for name, text in endpoint.capture.items()}
        self._texts = endpoint.capture
        self._in_headers = sent_in_headers
        self._path = json_path(self.expected.path) if self.expected and self.expected.path else None

    @property
    def is_empty(self) -> bool:
        """Any body will do, and nothing is captured."""
        return self.expected is None and not self._captures

    def fault(self, body: bytes, values: Values) -> str | None:
        """Why a body is not as expected; None: it is.

        Args:
            body: without content encoding.
            values: of the request, which fill the expectation.
        """
        expected = self.expected
        if expected is None:
            return None
        if self._path is None:
            contained = expected.contains or ""
            contained = filled(contained, values) if self.is_filled else contained
            return None if contained.encode() in body else f"it does not contain {contained!r}"
        found = value_at(json_of(body), self._path)
        if found is MISSING:
            return f"it has no {expected.path}"
        wanted = expected.equals if not self.is_filled else _filled(expected.equals, values)
        if wanted is None or _is_equal(found, wanted):
            return None
        return f"{expected.path} is {as_text(found)[:60]!r}, not {as_text(wanted)!r}"

    def capture(self, body: bytes) -> tuple[dict[str, Any], str | None]:
        """The values that are captured from a body by name; and the path that found none, or None."""
        if not self._captures:
            return {}, None
        document = json_of(body)
        captured = {name: value_at(document, path) for name, path in self._captures.items()}
        for name, value in captured.items():
            is_useless = value is MISSING or value is None or encodable(value) != value
            if is_useless or (name in self._in_headers and value_fault(as_text(value))):
                return {}, self._texts[name]
        return captured, None


class _Filled(str):
    """A text whose places are filled. A CSV file has texts only, so it equals any value with this text."""


def _filled(value: Any, values: Values) -> Any:
    """A JSON value with the places of its texts and keys filled."""
    if isinstance(value, str):
        return _Filled(filled(value, values)) if has_places(value) else value
    if isinstance(value, list):
        return [_filled(each, values) for each in value]
    if isinstance(value, Mapping):
        return {filled(key, values): _filled(each, values) for key, each in value.items()}
    return value


def json_of(body: bytes) -> Any:
    """The body as JSON; MISSING if it is none."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return MISSING


def _is_equal(found: Any, wanted: Any) -> bool:
    """Whether two JSON values are the same: 1 and 1.0 are, true and 1 are not."""
    if isinstance(wanted, _Filled):
        return as_text(found) == wanted
    if isinstance(found, bool) or isinstance(wanted, bool):
        return found is wanted
    if isinstance(found, list) and isinstance(wanted, list):
        return len(found) == len(wanted) and all(map(_is_equal, found, wanted))
    if isinstance(found, Mapping) and isinstance(wanted, Mapping):
        return found.keys() == wanted.keys() and all(_is_equal(found[key], wanted[key]) for key in wanted)
    return bool(found == wanted)
