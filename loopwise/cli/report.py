"""`report`: (re)build the report of a result."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from loopwise.cli.crash import crashes_logged
from loopwise.cli.options import Json, console, typed
from loopwise.errors import Interrupted, RefusedError
from loopwise.report.terminal.console import print_json, say


def report(
    result: Annotated[Path, typer.Argument(help="Folder that `run` made.")],
    export: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FORMAT[,FORMAT…]",
            help="Write RESULT/exports/ as well: csv, json, parquet, markdown, hgrm, locust, k6; may be repeated.",
        ),
    ] = None,
    details: Annotated[
        bool, typer.Option("--details", help="Print the causes, remedies, canaries and marks of each case as well.")
    ] = False,
    as_json: Json = False,
) -> int:
    """(Re)build charts, tables and report.html of a result; nothing is measured again."""
    make_report(result, as_json=as_json, formats=export or (), details=details or None)
    return 0


def make_report(
    path: Path,
    *,
    as_json: bool = False,
    quiet: bool = False,
    formats: Sequence[str] = (),
    details: bool | None = None,
) -> None:
    """(Re)build charts, tables, page and exports from what is on disk, and print the answer.

    Args:
        path: of the result.
        as_json: print summary.json instead.
        quiet: print only where the files are.
        formats: to export.
        details: whether each case's causes and marks are printed; None: if there are few cases.

    Raises:
        Interrupted: the user asked to stop; names the command that goes on.
        RefusedError: as well; the system refuses what a report needs.
    """
    try:
        with crashes_logged(path):
            _make(path, as_json=as_json, quiet=quiet, formats=formats, details=details)
    except (Interrupted, RefusedError) as error:
        wanted = [f"--export={text}" for text in formats]
        raise type(error)(f"{error}: every run is kept; then: {typed('report', path, *wanted)}") from None


def _make(path: Path, *, as_json: bool, quiet: bool, formats: Sequence[str], details: bool | None) -> None:
    from loopwise.report.build import build
    from loopwise.report.export.formats import OF_ROWS, export, parse_formats
    from loopwise.report.export.tallies import CountingFolder
    from loopwise.report.terminal.answer import Answer, print_tidily
    from loopwise.results.folder import ResultFolder

    formats, counting = parse_formats(formats), CountingFolder(path)
    result = counting if OF_ROWS.intersection(formats) else ResultFolder(path)
    summary = build(result)
    exported = export(summary, path, formats, counting.tallies)
    if as_json:
        print_json(json.loads((path / "summary.json").read_text(encoding="utf-8")))
        return
    screen = console()
    if not quiet:
        print_tidily(screen, Answer(summary, details))
        for sentence in summary.damaged:
            say(screen, f"damaged: {sentence}")
    for name, files in exported.items():
        where = files[0] if len(files) == 1 else f"{len(files)} files in {path / 'exports' / name}"
        say(screen, f"{name}: {where if files else 'nothing to write, no case has a valid run'}")
    say(screen, f"report: {path / 'report.html'}")
