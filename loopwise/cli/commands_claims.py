"""What the `claims` commands do, once their arguments are read. Each returns its exit status."""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from loopwise.claims.archive import (
    PAGE,
    ClaimFolder,
    folders_in,
    last_findings,
    occasion,
    occasions,
)
from loopwise.claims.claim import DECIDED, Finding, Text
from loopwise.claims.texts import TEXTS
from loopwise.cli.commands import FAILED_RUNS, GATE_FAILED, command_line, new_folder
from loopwise.cli.interrupts import interruptible
from loopwise.errors import Interrupted, UsageError, writing
from loopwise.generator.client import generators
from loopwise.machine import raise_open_files_limit
from loopwise.report.terminal.console import print_json, say
from loopwise.report.terminal.progress import watching


def chosen(claim_ids: Sequence[str]) -> list[Text]:
    """The claims of these names, each once, in the order of the table.

    Raises:
        UsageError: there is no such claim.
    """
    wanted = {claim_id.upper() for claim_id in claim_ids}
    for claim_id in wanted - set(TEXTS):
        raise UsageError(
            f"claims: got {claim_id}, allowed are {min(TEXTS)} to {max(TEXTS)}; see them with: bench.py claims list"
        )
    return [text for claim_id, text in TEXTS.items() if claim_id in wanted]


def list_claims(console: Console, *, as_json: bool) -> int:
    """Every claim, with the last verdict on this machine."""
    last = last_findings(occasions(), list(TEXTS))
    if as_json:
        rows = [
            {
                "claim_id": text.claim_id,
                "statement": text.statement,
                "verdict": last[text.claim_id][0].said if text.claim_id in last else None,
                "measured_at": last[text.claim_id][0].measured_at if text.claim_id in last else None,
                "folder": str(last[text.claim_id][1]) if text.claim_id in last else None,
            }
            for text in TEXTS.values()
        ]
        print_json(rows)
        return 0
    from loopwise.claims.tables import list_table

    console.print(list_table(list(TEXTS.values()), last))
    return 0


def show(console: Console, claim_id: str, *, as_json: bool) -> int:
    """A claim in full, with the last finding on this machine."""
    (text,) = chosen([claim_id])
    finding, folder = last_findings(occasions(), [text.claim_id]).get(text.claim_id, (None, None))
    if as_json:
        document = {
            **text.model_dump(),
            "finding": finding.model_dump() if finding else None,
            "folder": str(folder) if folder else None,
        }
        print_json(document)
        return 0
    from loopwise.claims.tables import explanation

    console.print(explanation(text, finding, folder and folder / text.claim_id))
    return 0


def run(console: Console, claim_ids: Sequence[str], *, is_all: bool, out: Path | None, quiet: bool) -> int:
    """Put claims to the test, and write the page of what was found."""
    from loopwise.claims.examine import Examiner
    from loopwise.claims.page import write_page
    from loopwise.claims.planned import planned
    from loopwise.claims.tables import finding_line, plan_table

    if bool(claim_ids) == is_all:
        raise UsageError("claims run: name claims such as C01 C05, or give --all; see them with: claims list")
    texts = list(TEXTS.values()) if is_all else chosen(claim_ids)
    folder = new_folder(out or occasion(datetime.now(UTC)))
    plan = planned(texts)
    if not quiet:
        console.print(plan_table(plan))
    with writing("--out", folder):
        folder.mkdir(parents=True, exist_ok=True)
    raise_open_files_limit()
    found: list[Finding] = []

    def tell(line: str, style: str = "") -> None:
        if not quiet:
            say(console, line, style)

    try:
        with interruptible(), generators(folder / "generator.log") as pool:
            pool.warm_up()
            examiner = Examiner(
                folder, pool, lambda: watching(console, quiet=quiet), command_line(sys.argv), tell=tell
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
    write_page(folder, TEXTS)
    say_where(console, folder, found, quiet=quiet)
    return FAILED_RUNS if any(each.verdict == "invalid" for each in found) else 0


def say_where(console: Console, folder: Path, found: Sequence[Finding], *, quiet: bool) -> None:
    """How many were decided, and where the page is."""
    from loopwise.claims.tables import findings_table

    if not quiet:
        console.print(findings_table(TEXTS, found))
        decided = sum(each.verdict in DECIDED for each in found)
        say(console, f"{decided} of {len(found)} claims decided")
    say(console, f"claims: {folder / PAGE}")


def report(console: Console, folder: Path | None, *, markdown: Path | None, as_json: bool) -> int:
    """(Re)build the findings and the page of an occasion; nothing is measured again."""
    from loopwise.claims.examine import judged
    from loopwise.claims.page import write_page

    folder = _newest() if folder is None else folder
    found = []
    for place in folders_in(folder, TEXTS):
        if place.is_measured:
            place.write(judged(TEXTS[place.claim_id], place))
        finding = place.finding()
        assert finding is not None
        found.append(finding)
    write_page(folder, TEXTS)
    if markdown is not None:
        _write_markdown(folder, markdown)
    if as_json:
        print_json([each.model_dump() for each in found])
    else:
        say_where(console, folder, found, quiet=False)
    return 0


def _newest() -> Path:
    found = occasions()
    if not found:
        raise UsageError("claims report: no claim was run here; measure some with: bench.py claims run --all")
    return found[0]


def _write_markdown(folder: Path, path: Path) -> None:
    from loopwise.claims.markdown import markdown

    with writing("--markdown", path, is_file=True):
        path.write_text(markdown(folder, TEXTS), encoding="utf-8")


def compare(console: Console, base: Path, other: Path, *, as_json: bool) -> int:
    """The verdicts of two occasions: a claim that was decided both ways fails."""
    from loopwise.claims.compare import changes
    from loopwise.claims.tables import changes_table

    sides = [_findings(folder) for folder in (base, other)]
    found = changes(list(TEXTS), *sides)
    if as_json:
        rows = [{**each._asdict(), "change": each.word} for each in found]
        print_json(rows)
    else:
        console.print(changes_table(base, other, found))
        same = sum(each.is_same for each in found)
        flipped = sum(each.is_flipped for each in found)
        say(console, f"{same} of {len(found)} the same, {flipped} flipped")
    return GATE_FAILED if any(each.is_flipped for each in found) else 0


def _findings(folder: Path) -> dict[str, Finding]:
    places: list[ClaimFolder] = folders_in(folder, TEXTS)
    return {place.claim_id: finding for place in places if (finding := place.finding()) is not None}
