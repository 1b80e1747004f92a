"""Options that several commands have, and the terminal they print to."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from loopwise.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

Sets = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Change a key of the suite: load.users=20; may be repeated."
    ),
]
Remotes = Annotated[
    list[str] | None,
    typer.Option(metavar="HOST", help="Allow a url on this host besides loopback; may be repeated."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Out = Annotated[
    Path | None, typer.Option(metavar="RESULT", help="Folder of the result; default: below results/.")
]
Label = Annotated[str | None, typer.Option(metavar="TEXT", help="Ends the name of the result's folder.")]
Seed = Annotated[
    int | None, typer.Option(metavar="N", help="Seed of all orders and schedules; default: the suite's.")
]
FailOn = Annotated[
    list[str] | None,
    typer.Option(
        metavar="METRIC:+N%", help="Exit with 1 where a metric surely changed by more; may be repeated."
    ),
]
JunitFile = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Write verdicts and gates as JUnit XML.")
]
MarkdownFile = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Write a comment for a pull request.")
]
Quietly = Annotated[bool, typer.Option("--quiet", help="Print no progress, only where the report is.")]
AppDir = Annotated[Path, typer.Option(metavar="D", help="Folder that the app is imported from.")]
Python = Annotated[
    Path | None, typer.Option(metavar="P", help="Interpreter that has the app's dependencies; default: ours.")
]


def checked_label(label: str | None) -> str | None:
    """The label, which becomes part of a folder's name.

    Raises:
        UsageError: it can't be.
    """
    if label is not None and not re.fullmatch(r"[\w.-]{1,64}", label):
        raise UsageError(
            f"--label: got {label!r}, allowed are up to 64 letters, digits, dots, dashes and underscores; shorten it"
        )
    return label


def console() -> "Console":
    """The terminal; imported when something is printed, since `--help` needs it not."""
    from rich.console import Console

    return Console()
