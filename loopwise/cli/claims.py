"""The `claims` commands: parse, call, print. What they do is in commands_claims.py."""

from pathlib import Path
from typing import Annotated

import typer

from loopwise.cli.options import Json, console

app = typer.Typer(
    name="claims",
    help="What is taught about sync and async, put to the test on this machine.",
    rich_markup_mode=None,
)


@app.callback(invoke_without_command=True)
def claims(context: typer.Context) -> int | None:
    """What is taught about sync and async, put to the test on this machine; alone it lists the claims."""
    return list_() if context.invoked_subcommand is None else None


@app.command(name="list")
def list_(as_json: Json = False) -> int:
    """List the claims, with the last verdict on this machine."""
    from loopwise.cli import commands_claims

    return commands_claims.list_claims(console(), as_json=as_json)


@app.command()
def show(
    claim_id: Annotated[str, typer.Argument(metavar="ID", help="The claim: C01 to C20.")],
    as_json: Json = False,
) -> int:
    """Explain a claim: who believes it, how it is tested, what was found here, what to do."""
    from loopwise.cli import commands_claims

    return commands_claims.show(console(), claim_id, as_json=as_json)


@app.command()
def run(
    claim_ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]...", help="The claims: C01 to C20.")
    ] = None,
    is_all: Annotated[bool, typer.Option("--all", help="All of them; about half an hour.")] = False,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder of the results; default: below results/claims/."),
    ] = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", help="Print no progress, only where the page is.")
    ] = False,
) -> int:
    """Measure claims and judge them."""
    from loopwise.cli import commands_claims

    return commands_claims.run(console(), claim_ids or (), is_all=is_all, out=out, quiet=quiet)


@app.command()
def report(
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="[DIR]", help="Folder that `claims run` made; default: the newest."),
    ] = None,
    markdown: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the findings as a Markdown document.")
    ] = None,
    as_json: Json = False,
) -> int:
    """(Re)build the findings and claims.html; nothing is measured again."""
    from loopwise.cli import commands_claims

    return commands_claims.report(console(), folder, markdown=markdown, as_json=as_json)


@app.command()
def compare(
    base: Annotated[Path, typer.Argument(help="Folder that `claims run` made.")],
    other: Annotated[Path, typer.Argument(help="Another one.")],
    as_json: Json = False,
) -> int:
    """Tell whether two runs of the claims say the same; exit status 1 where a verdict flipped."""
    from loopwise.cli import commands_claims

    return commands_claims.compare(console(), base, other, as_json=as_json)
