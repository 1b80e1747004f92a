"""Bodies of multipart forms (RFC 7578): files and fields, as a browser sends them."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from urllib3.fields import RequestField
from urllib3.filepost import encode_multipart_formdata

Pairs = Mapping[str, Any] | Iterable[tuple[str, Any]]
"""Names with values; a name may occur several times among pairs."""


def multipart_body(
    files: Pairs, data: Pairs | None = None, *, boundary: str | None = None
) -> tuple[bytes, dict[str, str]]:
    """The body of a form with files, and the header that describes it.

    Args:
        files: by field: the content (bytes, text or a file), or (filename, content[, type[, headers]]).
        data: the form's other fields, which come first; of a list each item is a field, None is left out.
        boundary: between the parts; default: drawn at random.

    Raises:
        TypeError: `data` is text or bytes, which have no fields, or a file has no content to be sent.
    """
    if isinstance(data, (str, bytes)):
        raise TypeError("data beside files must be a mapping or pairs: a form with files has fields, not one body")
    parts = [_field(name, item) for name, value in _pairs(data or {}) for item in _items(value) if item is not None]
    parts += [_file(name, value) for name, value in _pairs(files)]
    body, described = encode_multipart_formdata(parts, boundary)
    return body, {"Content-Type": described}


def _pairs(given: Pairs) -> Iterable[tuple[str, Any]]:
    return given.items() if isinstance(given, Mapping) else given


def _items(value: Any) -> Iterable[Any]:
    is_one = isinstance(value, (str, bytes, bytearray)) or not isinstance(value, Iterable)
    return (value,) if is_one else value


def _field(name: str, value: Any) -> RequestField:
    part = RequestField(name, value if isinstance(value, bytes) else str(value))
    part.make_multipart()
    return part


def _file(name: str, value: Any) -> RequestField:
    filename, content, *described = value if isinstance(value, (tuple, list)) else (_filename(value) or name, value)
    content_type, headers = (*described, None, None)[:2]
    content = content.read() if hasattr(content, "read") else content
    if not isinstance(content, (bytes, bytearray, str)):
        kind = type(content).__name__
        raise TypeError(f"file {name!r} of a form is a {kind}; it must be bytes, text or an open file")
    part = RequestField(name, bytes(content) if isinstance(content, bytearray) else content, filename, headers)
    part.make_multipart(content_type=content_type)
    return part


def _filename(file: Any) -> str | None:
    """Of an open file, the last part of its path; None for content, and for files without a path."""
    name = getattr(file, "name", None)
    return Path(name).name if isinstance(name, str) and not name.startswith("<") else None
