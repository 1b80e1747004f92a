r"""Texts of others made harmless: whatever does not show itself is written as an escape, `\x1b` or `\u202e`.

A terminal obeys control characters, a bidirectional override turns the reading order around, XML knows neither, and a
lone surrogate can't be encoded. No such character is dropped, since nobody would see that it was there.

Services that run CI obey lines of a log: what makes a command of one is broken by an escape as well (`inert`).
"""

import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

INDENT = "    "
"""Before each further line of a message, so that no text of others begins a line of its own."""

CI_COMMAND = re.compile(r"^[^\S\n]*::|##(?:vso|teamcity)?\[", re.MULTILINE)
"""Begin of a command in a log of GitHub Actions (`::error::`, `##[error]`), Azure Pipelines or TeamCity."""
LONGEST_BEGIN = 16
"""Characters, at least of any such begin."""


def visible(text: str) -> str:
    r"""The text with escapes for what does not show itself; line ends and tabs stay."""
    if text.isprintable():
        return text
    return "".join(char if char in "\n\t" else _shown(char) for char in text)


@lru_cache(maxsize=4096)
def clean(text: str) -> str:
    """The text on one line, for a name in a sentence, a table or a file of XML."""
    return visible(" ".join(str(text).split()))


def message(text: str) -> str:
    """A message of one line, or of several where it quotes a log: only the first begins at the margin."""
    first, *others = visible(text).split("\n")
    return "\n".join([first, *(line if line.startswith(INDENT) else f"{INDENT}{line}" for line in others)])


def inert(text: str, line: str = "", escape: str = r"\x{:02x}") -> str:
    """The text with an escape for the last character of whatever would begin a command to a CI service.

    Args:
        text: what is to be printed.
        line: what was printed on the same line before.
        escape: form of an escape.
    """
    whole = CI_COMMAND.sub(lambda begin: begin[0][:-1] + escape.format(ord(begin[0][-1])), line + text)
    return whole[len(line) :]


def encodable(value: Any) -> Any:
    r"""A document with `\ud800` in place of lone surrogates, which no file can hold; keys included."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode(errors="backslashreplace").decode()
    if isinstance(value, Mapping):
        return {encodable(key): encodable(inner) for key, inner in value.items()}
    return type(value)(map(encodable, value)) if type(value) in (list, tuple) else value


def is_encodable(text: str) -> bool:
    """Whether it has no lone surrogate."""
    return bool(encodable(text) == text)


def _shown(char: str) -> str:
    # Cc control, Cf direction overrides and the like, Cs lone surrogates, Cn and Co nothing a font can draw,
    # Zl and Zp line ends of Unicode's.
    category = unicodedata.category(char)
    if not category.startswith("C") and category not in {"Zl", "Zp"}:
        return char
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
