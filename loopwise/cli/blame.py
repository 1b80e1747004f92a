"""`blame`: name the lines that block the event loop."""

from pathlib import Path
from typing import Annotated

import typer

from loopwise.cli.options import AppDir, IncludeUnsafe, Json, Python, console
from loopwise.errors import UsageError
from loopwise.report.terminal.console import print_json, say

LOOPS = ("auto", "asyncio", "uvloop")


def blame(
    target: Annotated[
        str,
        typer.Argument(metavar="APP|SUITE", help="module:app; or a suite's name in scenarios/, or its path."),
    ],
    endpoint: Annotated[
        list[str] | None,
        typer.Option(metavar="'GET /x'", help="What to ask; default: the app's GET routes that need nothing."),
    ] = None,
    app_dir: AppDir = Path(),
    python: Python = None,
    loop: Annotated[str, typer.Option(metavar=f"[{'|'.join(LOOPS)}]", help="The server's event loop.")] = "auto",
    requests: Annotated[int, typer.Option(min=1, max=1000, help="Requests per endpoint.")] = 20,
    threshold_ms: Annotated[
        float, typer.Option(min=1, max=10_000, help="A callback that is shorter is nobody's fault.")
    ] = 5.0,
    include_unsafe: IncludeUnsafe = False,
    as_json: Json = False,
) -> int:
    """Name the lines that hold the event loop, most time first; an untimed pass of its own."""
    from loopwise.blame import session
    from loopwise.blame.findings import blame_table

    if loop not in LOOPS:
        raise UsageError(f"--loop: got {loop!r}, allowed are {', '.join(LOOPS)}; choose one of them")
    cases = session.subjects(target, endpoint or (), app_dir, python, include_unsafe=include_unsafe)
    found = session.blame(cases, session.Settings(loop, requests, threshold_ms))
    if as_json:
        print_json(found.model_dump())
        return 0
    screen = console()
    if not found.lines:
        screen.print(f"nothing held the event loop for {threshold_ms:g} ms or longer")
    elif screen.is_terminal:
        screen.print(blame_table(found.lines))
    else:
        for line in found.lines:
            say(screen, str(line))
    for sentence in (*map(str, found.short_calls), *found.notes, *found.complaints):
        say(screen, sentence)
    return 0
