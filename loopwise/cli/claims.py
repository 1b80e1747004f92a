"""`claims`: what is taught about sync and async, put to the test on this machine."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from loopwise.cli.crash import crashes_logged
from loopwise.cli.interrupts import interruptible
from loopwise.cli.options import Json, command_line, console, unused
from loopwise.errors import FAILED_RUNS, GATE_FAILED, Interrupted, UsageError, writing
from loopwise.report.terminal.console import print_json, say

if TYPE_CHECKING:
    from loopwise.claims.claim import Finding

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
    from loopwise.claims.archive import last_findings, occasions
    from loopwise.claims.tables import list_table
    from loopwise.claims.texts import TEXTS

    last = last_findings(occasions(), list(TEXTS))
    if not as_json:
        console().print(list_table(list(TEXTS.values()), last))
        return 0
    rows = []
    for claim_id, text in TEXTS.items():
        finding, folder = last.get(claim_id, (None, None))
        rows.append(
            {
                "claim_id": claim_id,
                "statement": text.statement,
                "verdict": finding and finding.said,
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
    """Explain a claim: who believes it, how it is tested, what was found here, what to do."""
    from loopwise.claims.archive import last_findings, occasions
    from loopwise.claims.tables import explanation
    from loopwise.claims.texts import chosen

    (text,) = chosen([claim_id])
    finding, folder = last_findings(occasions(), [text.claim_id]).get(text.claim_id, (None, None))
    if as_json:
        known = {"finding": finding and finding.model_dump(), "folder": folder and str(folder)}
        print_json({**text.model_dump(), **known})
    else:
        console().print(explanation(text, finding, folder and folder / text.claim_id))
    return 0


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
    from datetime import UTC, datetime

    from loopwise.claims import examine
    from loopwise.claims.archive import occasion
    from loopwise.claims.page import write_page
    from loopwise.claims.planned import planned
    from loopwise.claims.tables import finding_line, plan_table
    from loopwise.claims.texts import TEXTS, chosen
    from loopwise.generator.client import generators
    from loopwise.machine import raise_open_files_limit
    from loopwise.report.terminal.progress import watching

    if bool(claim_ids) == is_all:
        raise UsageError("claims run: name claims such as C01 C05, or give --all; see them with: claims list")
    texts = chosen(claim_ids or TEXTS)
    folder = unused(out or occasion(datetime.now(UTC)))
    plan, screen = planned(texts), console()
    if not quiet:
        screen.print(plan_table(plan))
    with writing("--out", folder):
        folder.mkdir(parents=True, exist_ok=True)
    raise_open_files_limit()
    found: list[Finding] = []

    def tell(line: str, style: str = "") -> None:
        if not quiet:
            say(screen, line, style)

    try:
        with crashes_logged(folder), interruptible(), generators(folder / "generator.log") as pool:
            pool.warm_up()
            examiner = examine.Examiner(
                folder, pool, lambda: watching(screen, quiet=quiet), command_line(), tell=tell
            )
            for number, text in enumerate(texts, start=1):
                tell(f"{text.claim_id} ({number} of {len(texts)}): {text.statement}", "bold")
                found.append(examiner.examine(text))
                tell(finding_line(found[-1]), "bold")
    except Interrupted as error:
        raise Interrupted(
            f"{error}: {len(found)} of {len(texts)} claims are judged, and what was measured is kept; "
            f"see it with: bench.py claims report {folder}"
        ) from None
    _print(write_page(folder, TEXTS), found, quiet=quiet)
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
    from loopwise.claims.archive import occasions
    from loopwise.claims.examine import judge_again
    from loopwise.claims.markdown import markdown as markdown_of
    from loopwise.claims.page import write_page
    from loopwise.claims.texts import TEXTS

    if folder is None:
        folder = next(iter(occasions()), None)
    if folder is None:
        raise UsageError("claims report: no claim was run here; measure some with: bench.py claims run --all")
    found = judge_again(folder)
    page = write_page(folder, TEXTS)
    if markdown is not None:
        with writing("--markdown", markdown, is_file=True):
            markdown.write_text(markdown_of(folder, TEXTS), encoding="utf-8")
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
    from loopwise.claims.compare import changes
    from loopwise.claims.tables import changes_table
    from loopwise.claims.texts import TEXTS

    found = changes(list(TEXTS), *(findings_in(folder, TEXTS) for folder in (base, other)))
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
    from loopwise.claims.claim import DECIDED
    from loopwise.claims.tables import findings_table
    from loopwise.claims.texts import TEXTS

    screen = console()
    if not quiet:
        screen.print(findings_table(TEXTS, found))
        decided = sum(each.verdict in DECIDED for each in found)
        say(screen, f"{decided} of {len(found)} claims decided")
    say(screen, f"claims: {page}")
