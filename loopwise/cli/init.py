"""`init`: write a commented suite."""

from pathlib import Path
from typing import Annotated

import typer

from loopwise.cli.options import AppDir, Cwd, EnvFile, IncludeUnsafe, Python, console
from loopwise.report.terminal.console import say


def init(
    folder: Annotated[Path, typer.Argument(metavar="[DIR]", help="Folder for suite.toml.")] = Path(),
    target: Annotated[
        str | None, typer.Option("--app", metavar="module:app", help="List this app's own endpoints.")
    ] = None,
    app_dir: AppDir = Path(),
    python: Python = None,
    cwd: Cwd = None,
    env_file: EnvFile = None,
    include_unsafe: IncludeUnsafe = False,
) -> int:
    """Write a commented suite to begin with."""
    from loopwise.suite.own_app import named_app, named_env_file
    from loopwise.suite.scaffold import write_suite

    app = named_app("init", target, app_dir, python, cwd) if target is not None else None
    wrote = write_suite(folder, app, env_file=named_env_file("init", env_file), include_unsafe=include_unsafe)
    screen = console()
    if wrote.commented:
        say(
            screen,
            f"endpoints of {target}: {wrote.active} active; {wrote.commented} commented out, each with the reason",
        )
    if wrote.is_guess:
        say(
            screen,
            f"{target} has no OpenAPI document and no list of its routes, so that GET / stands there alone: name its "
            "endpoints in the suite, and see by `check --ask` what they answer",
        )
    if wrote.commented and not wrote.active:
        say(screen, f"wrote {wrote.path}; complete one of its endpoints and remove its #")
    else:
        say(screen, f"wrote {wrote.path}; measure it with: bench.py run {wrote.path}")
    return 0
