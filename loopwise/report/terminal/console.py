"""How commands print: lines that stay as they are, and JSON for programs."""

import json
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


def say(console: "Console", text: str, style: str = "") -> None:
    """A line as it is: `[red]` in somebody's path is no markup, a number has no colour, and nothing breaks it."""
    console.print(text, markup=False, highlight=False, soft_wrap=True, style=style or None)


def print_json(document: object) -> None:
    """A document for programs: no colours, no wrapping."""
    print_text(json.dumps(document, indent=2))


def print_text(text: str) -> None:
    """The text of a file, for programs."""
    sys.stdout.write(text.rstrip("\n") + "\n")
