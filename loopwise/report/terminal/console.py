"""Printing of plain lines, and of JSON for programs; what stands for stdout and stderr meanwhile."""

import io
import json
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from typing import TYPE_CHECKING, TextIO

from loopwise.errors import Unread
from loopwise.visible import LONGEST_BEGIN, inert, message, visible

if TYPE_CHECKING:
    from rich.console import Console


def say(console: "Console", text: str, style: str = "") -> None:
    """Print a message as it is: no markup (`[red]` in a path is text), no highlighting, no wrapping."""
    console.print(message(text), markup=False, highlight=False, soft_wrap=True, style=style or None)


def print_json(document: object) -> None:
    """Print a document for programs: no colours, no wrapping."""
    print_text(inert(json.dumps(document, indent=2), escape=r"\u{:04x}"))


def print_text(text: str) -> None:
    """Print the text of a file, for programs."""
    sys.stdout.write(visible(text.rstrip("\n")) + "\n")
    sys.stdout.flush()


class Output(io.TextIOBase):
    """Stands for stdout or stderr: nothing in them is a command to a CI service, and who reads no more ends us.

    Args:
        stream: where everything goes.
    """

    encoding = ""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.encoding = stream.encoding or "utf-8"
        self._line = ""

    def write(self, text: str) -> int:
        """Write the text.

        Raises:
            Unread: nobody reads it.
        """
        shown = inert(text, self._line)
        self._line = (self._line + shown).rpartition("\n")[2][-LONGEST_BEGIN:]
        try:
            self._stream.write(shown)
        except BrokenPipeError:
            self._give_up()
        return len(text)

    def flush(self) -> None:
        """Pass everything on.

        Raises:
            Unread: nobody reads it.
        """
        try:
            self._stream.flush()
        except BrokenPipeError:
            self._give_up()

    def _give_up(self) -> None:
        # What is still buffered must not fail once more when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())
        raise Unread from None

    def fileno(self) -> int:
        """The descriptor, for processes that inherit it."""
        return self._stream.fileno()

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return self._stream.isatty()


class ErrorStream(Output):
    """Stands for stderr: what the option parser, warnings and tracebacks quote can't command the terminal either."""

    def write(self, text: str) -> int:
        """Write the text with escapes for what does not show itself.

        Raises:
            Unread: nobody reads it.
        """
        super().write(visible(text))
        return len(text)


@contextmanager
def guarded_output() -> Iterator[None]:
    """Print through Output and ErrorStream in a `with` block; a stream that is closed stays closed."""
    with ExitStack() as stack:
        if sys.stdout is not None:
            stack.enter_context(redirect_stdout(Output(sys.stdout)))
        if sys.stderr is not None:
            stack.enter_context(redirect_stderr(ErrorStream(sys.stderr)))
        yield
