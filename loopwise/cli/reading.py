"""Commands that read results, and what there is to choose from."""

from pathlib import Path
from typing import Annotated

import typer

from loopwise.cli.options import FailOn, Json, JunitFile, MarkdownFile, console
from loopwise.errors import UsageError
from loopwise.report.terminal.console import print_json


def report(
    result: Annotated[Path, typer.Argument(help="Folder that `run` made.")],
    export: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FORMAT[,FORMAT…]",
            help="Write RESULT/exports/ as well: csv, json, parquet, markdown, hgrm, locust, k6; may be repeated.",
        ),
    ] = None,
    as_json: Json = False,
) -> int:
    """(Re)build charts, tables and report.html of a result; nothing is measured again."""
    from loopwise.cli import commands

    return commands.report(console(), result, as_json=as_json, formats=export or ())


def compare(
    base: Annotated[Path, typer.Argument(help="Result to compare with.")],
    other: Annotated[list[Path], typer.Argument(help="Results to compare.")],
    fail_on: FailOn = None,
    allow_different: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY", help="Compare although this differs: cores, versions.uvicorn, …; may be repeated."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder for compare.html and its charts.")
    ] = None,
    junit: JunitFile = None,
    markdown: MarkdownFile = None,
    as_json: Json = False,
) -> int:
    """Overlay results: a verdict for every case they share."""
    from loopwise.cli import commands_compare

    return commands_compare.compare(
        console(),
        base,
        other,
        fail_on=fail_on or (),
        allow_different=allow_different or (),
        out=out,
        junit_file=junit,
        markdown_file=markdown,
        as_json=as_json,
    )


def list_(
    what: Annotated[
        str,
        typer.Argument(
            metavar="[suites|workloads|modes|features|servers|combinations|refusals|results]",
            help="What to list.",
        ),
    ] = "suites",
    html: Annotated[bool, typer.Option("--html", help="Write the results as a page to choose from.")] = False,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The page; default: results/index.html.")
    ] = None,
    as_json: Json = False,
) -> int:
    """List what there is to choose from."""
    from loopwise.cli.listing import LISTINGS, listing_table

    if what not in LISTINGS:
        raise UsageError(f"list: got {what!r}, allowed are {', '.join(LISTINGS)}; choose one of them")
    if (html and what != "results") or (out is not None and not html):
        raise UsageError("list: --html is for results, and --out for --html; write `list results --html`")
    rows = LISTINGS[what]()
    if html:
        from loopwise.cli.commands_compare import index

        return index(console(), rows, out, as_json=as_json)
    if as_json:
        print_json(rows)
    else:
        console().print(listing_table(what, rows))
    return 0
