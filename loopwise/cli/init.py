"""`init`: write a commented suite."""

from pathlib import Path
from typing import Annotated

import typer

from loopwise.cli.options import AppDir, Python, console
from loopwise.report.terminal.console import say


def init(
    folder: Annotated[Path, typer.Argument(metavar="[DIR]", help="Folder for suite.toml.")] = Path(),
    target: Annotated[
        str | None, typer.Option("--app", metavar="module:app", help="List this app's own endpoints.")
    ] = None,
    app_dir: AppDir = Path(),
    python: Python = None,
) -> int:
    """Write a commented suite to begin with."""
    from loopwise.suite.scaffold import write_suite

    path = write_suite(folder, target, app_dir=app_dir, python=python)
    say(console(), f"wrote {path}; measure it with: bench.py run {path}")
    return 0
