"""Refuse what no key of a suite may hold: numbers that JSON can't say, values too deep, text that no system takes."""

import math
from collections.abc import Iterator
from typing import Any

from loopwise.suite.file import Key, Source
from loopwise.visible import is_encodable

MAX_LEVELS = 100
"""Of tables and lists within each other: what reads and writes them recurses."""
INTEGER_BITS = 63
"""Of TOML's integers, the sign aside."""
TEXT_BYTES = 128 * 1024 - 1
"""Longest argument or variable of a process on Linux (MAX_ARG_STRLEN, with the null byte that ends it)."""
PATH_CHARACTERS = 64 * 1024
"""Longest path of a request; servers take 64 KiB or less."""
SHOWN_KEYS = 6
"""Parts of a key too deep to be shown whole."""


def refuse_unusable(document: Any, source: Source) -> None:
    """Refuse a value that could be neither sent nor recorded.

    Raises:
        SuiteError: the first one.
    """
    for key, value in _values(document):
        if len(key) > MAX_LEVELS:
            raise source.error(
                key[:SHOWN_KEYS], f"is nested in more than {MAX_LEVELS} levels of tables and lists; flatten it"
            )
        if not all(is_encodable(each) for each in (value, *key) if isinstance(each, str)):
            raise source.error(key, "has a lone surrogate, half of a character, which no file can record; correct it")
        if isinstance(value, float) and not math.isfinite(value):
            text = "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
            raise source.error(key, f"got {text}, allowed is a finite number; correct the value")
        if isinstance(value, int) and not -(2**INTEGER_BITS) <= value < 2**INTEGER_BITS:
            raise source.error(
                key,
                f"got a whole number of {value.bit_length()} bits, the sign aside, allowed are {INTEGER_BITS}; "
                "correct the value",
            )


def _values(document: Any) -> Iterator[tuple[Key, Any]]:
    """The document and everything in it, each with its key, in the order of the file. It may be too deep to recurse."""
    waiting: list[tuple[Key, Any]] = [((), document)]
    while waiting:
        key, value = waiting.pop()
        yield key, value
        if isinstance(value, dict | list):
            items = value.items() if isinstance(value, dict) else enumerate(value)
            waiting += reversed([((*key, name), each) for name, each in items])


def text_fault(text: str) -> str | None:
    """Why a text can be no path, variable or argument of a process; None: it can."""
    if "\0" in text:
        return "has a null byte, which no path, variable or command can have"
    size = len(text.encode(errors="surrogatepass"))
    return f"has {size:,} bytes, allowed are {TEXT_BYTES:,}" if size > TEXT_BYTES else None
