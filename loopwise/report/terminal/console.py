"""Printing of plain lines, and of JSON for programs."""

import io
import json
import os
import sys
from typing import TYPE_CHECKING, NoReturn, TextIO

from loopwise.errors import Unread
from loopwise.visible import message, visible

if TYPE_CHECKING:
    from rich.console import Console


def say(console: "Console", text: str, style: str = "") -> None:
    """Print a message as it is: no markup (`[red]` in a path is text), no highlighting, no wrapping."""
    console.print(message(text), markup=False, highlight=False, soft_wrap=True, style=style or None)


def print_json(document: object) -> None:
    """Print a document for programs: no colours, no wrapping."""
    print_text(json.dumps(document, indent=2))


def print_text(text: str) -> None:
    """Print the text of a file, for programs.

    Raises:
        Unread: nobody reads it.
    """
    try:
        sys.stdout.write(visible(text.rstrip("\n")) + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        refuse_to_go_on()


def refuse_to_go_on() -> NoReturn:
    """End the command, because nobody reads what it prints.

    Raises:
        Unread: always.
    """
    # What is still buffered must not fail once more when Python ends.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    raise Unread from None


class ErrorStream(io.TextIOBase):
    """Stands for stderr: what the option parser, warnings and tracebacks quote can't command the terminal either."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write the text with escapes for what does not show itself."""
        self._stream.write(visible(text))
        return len(text)

    def flush(self) -> None:
        """Pass everything on."""
        self._stream.flush()

    def fileno(self) -> int:
        """The descriptor, for processes that inherit it."""
        return self._stream.fileno()

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return self._stream.isatty()
