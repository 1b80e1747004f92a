"""`blame`: name the lines that block the event loop."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from loopwise.cli.options import (
    AppDir,
    Body,
    Cwd,
    EnvFile,
    ExpectStatus,
    Headers,
    IncludeUnsafe,
    Json,
    Python,
    Sets,
    StartupTimeout,
    console,
    overrides_of,
    ready_to_measure,
    request_of,
)
from loopwise.errors import FAILED_RUNS, GATE_FAILED, UsageError, writing
from loopwise.report.terminal.console import print_json, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from loopwise.blame.edits.edit import Offer
    from loopwise.blame.edits.fixes import Fixes
    from loopwise.blame.findings import BlamedLine, Findings, ManyShort

LOOPS = ("auto", "asyncio", "uvloop")


def blame(
    target: Annotated[
        str,
        typer.Argument(metavar="APP|SUITE", help="module:app; or a suite's name in scenarios/, or its path."),
    ],
    endpoint: Annotated[
        list[str] | None,
        typer.Option(
            metavar="'GET /x'",
            help="What to ask, a WebSocket as 'WS /x'; default: the app's GET routes that need nothing.",
        ),
    ] = None,
    app_dir: AppDir = Path(),
    python: Python = None,
    cwd: Cwd = None,
    env_file: EnvFile = None,
    loop: Annotated[
        str | None, typer.Option(metavar=f"[{'|'.join(LOOPS)}]", help="The server's event loop; default: the suite's.")
    ] = None,
    requests: Annotated[int, typer.Option(min=1, max=1000, help="Requests per endpoint.")] = 20,
    threshold_ms: Annotated[
        float, typer.Option(min=1, max=10_000, help="Shorter callbacks are ignored, unless many add up.")
    ] = 5.0,
    timeout_s: Annotated[
        float, typer.Option(min=0.1, max=600, help="Give an endpoint up whose answer takes longer.")
    ] = 10.0,
    idle_s: Annotated[
        float, typer.Option(min=0, max=600, help="Go on watching for so long without requests, for background tasks.")
    ] = 0.0,
    header: Headers = None,
    body: Body = None,
    expect_status: ExpectStatus = None,
    startup_timeout_s: StartupTimeout = None,
    set_: Sets = None,
    fail_on: Annotated[
        str | None, typer.Option(metavar="20ms", help="Exit with 1 where a line holds the loop for longer.")
    ] = None,
    sarif: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write findings as SARIF, for annotations of code scanning.")
    ] = None,
    fix: Annotated[
        bool, typer.Option("--fix", help="Show below each line what its code may become; the app stays as it is.")
    ] = False,
    include_unsafe: IncludeUnsafe = False,
    as_json: Json = False,
) -> int:
    """Name the lines that hold the event loop, most time first; an untimed pass of its own."""
    from loopwise.blame import sarif as sarif_log
    from loopwise.blame import session
    from loopwise.blame.subjects import subjects
    from loopwise.results.files import refuse_unwritable

    if loop is not None and loop not in LOOPS:
        raise UsageError(f"--loop: got {loop!r}, allowed are {', '.join(LOOPS)}; choose one of them")
    if sarif is not None:
        refuse_unwritable("--sarif", sarif, is_file=True)
    limit_ms = None if fail_on is None else parse_limit_ms(fail_on)
    chosen = subjects(
        target,
        endpoint or (),
        app_dir,
        python,
        cwd=cwd,
        env_file=env_file,
        request=request_of(header, body, expect_status),
        overrides=overrides_of(set_, startup_timeout_s),
        include_unsafe=include_unsafe,
    )
    ready_to_measure(says_busy=False)
    settings = session.Settings(loop, requests, threshold_ms, timeout_s, idle_s)
    found = session.blame(chosen.cases, settings).model_copy(update={"left_out": chosen.left_out})
    fixes = None
    if fix:
        from loopwise.blame.edits.fixes import fixes as fixes_of

        fixes = fixes_of(found, chosen.cases)
    if sarif is not None:
        with writing("--sarif", sarif, is_file=True):
            sarif.write_text(sarif_log.sarif(found, Path.cwd(), limit_ms, fixes), encoding="utf-8")
    if as_json:
        print_json(found.model_dump() if fixes is None else fixes.as_json(found))
    else:
        _print(found, threshold_ms, fixes)
    if any(line.is_over(limit_ms) for line in found.lines):
        return GATE_FAILED
    return FAILED_RUNS if any(each.outcome != "no_end" for each in found.unanswered) else 0


def parse_limit_ms(text: str) -> float:
    """Read `20ms` or `0.5s` as milliseconds.

    Raises:
        UsageError: it is not a time with its unit.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(ms|s)", text.strip())
    if match is None:
        raise UsageError(f"--fail-on: got {text!r}, allowed is a time such as 20ms or 0.5s; correct it")
    return float(match[1]) * (1000 if match[2] == "s" else 1)


def _print(found: "Findings", threshold_ms: float, fixes: "Fixes | None") -> None:
    from loopwise.blame.findings import blame_table

    screen = console()
    if not found.lines:
        screen.print(f"nothing held the event loop for {threshold_ms:g} ms or longer")
    elif fixes is not None:
        _print_fixes(screen, found.lines, fixes.lines)
    elif screen.is_terminal:
        screen.print(blame_table(found.lines))
    else:
        for line in found.lines:
            say(screen, str(line))
    if fixes is not None:
        _print_fixes(screen, found.many_short, fixes.many_short)
    many_short = () if fixes is not None else map(str, found.many_short)
    sentences = (*many_short, *map(str, found.short_calls), *map(str, found.unanswered))
    for sentence in (*sentences, *found.notes, *found.complaints, *found.scope):
        say(screen, sentence)


def _print_fixes(screen: "Console", lines: "Sequence[BlamedLine | ManyShort]", offers: "Sequence[Offer]") -> None:
    from loopwise.blame.edits.fixes import shown

    for line, offer in zip(lines, offers, strict=True):
        say(screen, str(line))
        if line.site is not None:
            for text in shown(offer):
                say(screen, text)
