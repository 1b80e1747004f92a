"""`compare`: overlay results, with a verdict for every case that they share."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from loopwise.cli.gates import FailOn, JunitFile, MarkdownFile, gate_status, refuse_unwritable_reports, write_ci_reports
from loopwise.cli.options import Json, console, repeatable
from loopwise.errors import UsageError
from loopwise.report.terminal.console import print_json, say

if TYPE_CHECKING:
    from loopwise.analysis.gates import Gate, Outcome
    from loopwise.analysis.summary import Summary

KINDS = {".html": "page", ".json": "verdicts"}
"""Suffix of a written file -> what the terminal calls it; any other is a chart."""


def compare(
    base: Annotated[Path, typer.Argument(help="Result to compare with.")],
    other: Annotated[list[Path], typer.Argument(help="Results to compare.")],
    fail_on: FailOn = None,
    allow_different: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY", help="Compare although this differs: cores, versions.uvicorn, …; may be repeated."),
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder for compare.html and its charts.")] = None,
    junit: JunitFile = None,
    markdown: MarkdownFile = None,
    as_json: Json = False,
) -> int:
    """Overlay results: a verdict for every case they share."""
    from loopwise.analysis.gates import parse_gate
    from loopwise.analysis.summary import summarise
    from loopwise.report.comparison import sides_of
    from loopwise.report.html.compare import write_comparison
    from loopwise.report.terminal.compare import compare_table
    from loopwise.results.files import refuse_unwritable
    from loopwise.results.folder import ResultFolder

    gates = tuple(parse_gate(text) for text in fail_on or ())
    refuse_unwritable_reports(junit=junit, markdown=markdown)
    if out is not None:
        refuse_unwritable("--out", out)
    with repeatable("the results are as they were"):
        before = summarise(ResultFolder(base))
        compared: list[tuple[Summary, Outcome]] = []
        for path in other:
            after = summarise(ResultFolder(path))
            compared.append((after, _outcome(before, after, (base, path), gates, allow_different or ())))
        outcomes = [outcome for _, outcome in compared]
        written = []
        if out is not None:
            written = write_comparison(sides_of(before, ResultFolder(base).name, compared), [base, *other], out)
        write_ci_reports(outcomes, junit=junit, markdown=markdown)
    if as_json:
        print_json(
            [
                {"base": str(base), "other": str(path), **verdict.model_dump()}
                for path, outcome in zip(other, outcomes, strict=True)
                for verdict in outcome.verdicts
            ]
        )
        return gate_status(outcomes)
    screen = console()
    for outcome in outcomes:
        screen.print(compare_table(outcome))
        for sentence in outcome.complaints:
            say(screen, sentence, "bold red")
    for path in written:
        say(screen, f"{KINDS.get(path.suffix, 'chart')}: {path}")
    return gate_status(outcomes)


def _outcome(
    before: "Summary",
    after: "Summary",
    paths: tuple[Path, Path],
    gates: "tuple[Gate, ...]",
    allowed: Sequence[str],
) -> "Outcome":
    """Verdicts on the cases that both have.

    Raises:
        UsageError: they share no case, or their surroundings differ in what nobody allowed.
    """
    from loopwise.analysis.comparison import compare_results, differences, refuse_different
    from loopwise.analysis.gates import Outcome
    from loopwise.model.naming import shown_names

    base, other = (path.resolve().name for path in paths)
    settings = before.experiment.suite.compare
    verdicts = compare_results(before, after, margin=settings.margin, confidence=settings.confidence, allowed=allowed)
    if not verdicts:
        raise UsageError(
            f"{paths[0]} and {paths[1]} have no case in common; compare results of the same suite "
            f"(their cases: {_first_two(before.cases)} and {_first_two(after.cases)})"
        )
    different = differences(before, after)
    refuse_different(different, allowed, (str(paths[0]), str(paths[1])))
    return Outcome(
        base,
        other,
        tuple(verdicts),
        settings.margin,
        settings.confidence,
        gates,
        tuple((each.key, each.before, each.after) for each in different),
        (
            tuple(case_id for case_id in before.cases if case_id not in after.cases),
            tuple(case_id for case_id in after.cases if case_id not in before.cases),
        ),
        shown_names(before.experiment.suite.cases),
    )


def _first_two(names: Collection[str]) -> str:
    shown = list(names)[:2]
    return ", ".join(shown) + (", …" if len(names) > len(shown) else "")
