"""`claims`: what is taught about sync and async, put to the test on this machine."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from loopwise.cli.crash import crashes_logged
from loopwise.cli.options import (
    Json,
    begin_again,
    claimed,
    command_line,
    console,
    ready_to_measure,
    repeatable,
    teller,
    typed,
    unused,
)
from loopwise.errors import FAILED_RUNS, GATE_FAILED, Interrupted, UsageError, writing
from loopwise.report.terminal.console import print_json, say

if TYPE_CHECKING:
    from loopwise.claims.finding import Finding

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
    from loopwise.claims.archive import last_findings, runs
    from loopwise.claims.table import CLAIMS
    from loopwise.claims.tables import list_table

    last = last_findings(runs(), CLAIMS)
    if not as_json:
        console().print(list_table(last))
        return 0
    rows = []
    for claim_id, claim in CLAIMS.items():
        finding, folder = last.get(claim_id, (None, None))
        rows.append(
            {
                "claim_id": claim_id,
                "statement": claim.statement,
                "verdict": finding and finding.label,
                "measured_at": finding and finding.measured_at,
                "folder": folder and str(folder),
            }
        )
    print_json(rows)
    return 0


@app.command()
def show(
    claim_id: Annotated[str, typer.Argument(metavar="ID", help="The claim: C01 to C20.")],
    as_json: Json = False,
) -> int:
    """Explain a claim: who believes it, how it is tested, what was measured here, what to do."""
    from loopwise.claims.archive import last_findings, runs
    from loopwise.claims.table import chosen
    from loopwise.claims.tables import explanation

    (claim,) = chosen([claim_id])
    finding, folder = last_findings(runs(), [claim.claim_id]).get(claim.claim_id, (None, None))
    if as_json:
        known = {"finding": finding and finding.model_dump(), "folder": folder and str(folder)}
        print_json({**claim.document(), **known})
    else:
        console().print(explanation(claim, finding, folder and folder / claim.claim_id))
    return 0


@app.command()
def run(
    claim_ids: Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="The claims: C01 to C20.")] = None,
    is_all: Annotated[bool, typer.Option("--all", help="All of them; about half an hour.")] = False,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder of the results; default: below results/claims/."),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print no progress, only where the page is.")] = False,
) -> int:
    """Measure claims and judge them."""
    from datetime import UTC, datetime

    from loopwise.claims import examine
    from loopwise.claims.archive import new_run
    from loopwise.claims.page import write_page
    from loopwise.claims.table import CLAIMS, chosen
    from loopwise.claims.tables import finding_line, plan_table
    from loopwise.generator.client import generators
    from loopwise.report.terminal.progress import watching
    from loopwise.results.files import refuse_unwritable

    if bool(claim_ids) == is_all:
        raise UsageError("claims run: name claims such as C01 C05, or give --all; see them with: claims list")
    chosen_claims = chosen(claim_ids or CLAIMS)
    folder = unused(out or new_run(datetime.now(UTC)))
    refuse_unwritable("--out", folder)
    plan, screen = examine.planned(chosen_claims), console()
    if not quiet:
        screen.print(plan_table(plan))
    ready_to_measure(says_busy=not quiet)
    found: list[Finding] = []
    tell, tell_bold = (teller(screen, style, silent=quiet) for style in ("", "bold"))
    try:
        with claimed(folder), crashes_logged(folder), generators(folder / "generator.log") as pool:
            pool.warm_up()
            examiner = examine.Examiner(folder, pool, lambda: watching(screen, quiet=quiet), command_line(), tell=tell)
            for number, claim in enumerate(chosen_claims, start=1):
                tell_bold(f"{claim.claim_id} ({number} of {len(chosen_claims)}): {claim.statement}")
                found.append(examiner.examine(claim))
                tell_bold(finding_line(found[-1]))
    except Interrupted as error:
        if not found:
            raise Interrupted(f"{error}: no claim is judged; {begin_again(out)}") from None
        rest = [claim.claim_id for claim in chosen_claims[len(found) :]]
        raise Interrupted(
            f"{error}: {len(found)} of {len(chosen_claims)} claims are judged; see them with: "
            f"{typed('claims', 'report', folder)}, or measure the others with: {typed('claims', 'run', *rest)}"
        ) from None
    _print(write_page(folder), found, quiet=quiet)
    return FAILED_RUNS if any(each.verdict == "invalid" for each in found) else 0


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
    from loopwise.claims.archive import runs
    from loopwise.claims.examine import judge_again
    from loopwise.claims.page import markdown as markdown_of
    from loopwise.claims.page import write_page
    from loopwise.results.files import refuse_unwritable

    if folder is None:
        folder = next(iter(runs()), None)
    if markdown is not None:
        refuse_unwritable("--markdown", markdown, is_file=True)
    if folder is None:
        raise UsageError("claims report: no claim was run here; measure some with: bench.py claims run --all")
    with repeatable("what was measured is kept"):
        found = judge_again(folder)
        page = write_page(folder)
        if markdown is not None:
            with writing("--markdown", markdown, is_file=True):
                markdown.write_text(markdown_of(folder), encoding="utf-8")
    if as_json:
        print_json([each.model_dump() for each in found])
    else:
        _print(page, found)
    return 0


@app.command()
def compare(
    base: Annotated[Path, typer.Argument(help="Folder that `claims run` made.")],
    other: Annotated[Path, typer.Argument(help="Another one.")],
    as_json: Json = False,
) -> int:
    """Tell whether two runs of the claims say the same; exit status 1 where a verdict flipped."""
    from loopwise.claims.archive import findings_in
    from loopwise.claims.finding import changes
    from loopwise.claims.table import CLAIMS
    from loopwise.claims.tables import changes_table

    found = changes(CLAIMS, *(findings_in(folder, CLAIMS) for folder in (base, other)))
    flipped = sum(each.is_flipped for each in found)
    if as_json:
        print_json([{**each._asdict(), "change": each.word} for each in found])
    else:
        screen = console()
        screen.print(changes_table(base, other, found))
        say(screen, f"{sum(each.is_same for each in found)} of {len(found)} the same, {flipped} flipped")
    return GATE_FAILED if flipped else 0


def _print(page: Path, found: "Sequence[Finding]", *, quiet: bool = False) -> None:
    """Print the findings, how many claims were decided, and where the page is."""
    from loopwise.claims.finding import DECIDED
    from loopwise.claims.tables import findings_table

    screen = console()
    if not quiet:
        screen.print(findings_table(found))
        decided = sum(each.verdict in DECIDED for each in found)
        say(screen, f"{decided} of {len(found)} claims decided")
    say(screen, f"claims: {page}")
