"""What `compare` and `list results --html` do. Each returns its exit status."""

import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from loopwise.analysis import gates as comparison
from loopwise.analysis.difference import differences, refuse_different
from loopwise.analysis.summary import Summary, summarise
from loopwise.cli.commands import gate_status, program, write_ci_reports
from loopwise.errors import UsageError
from loopwise.paths import results_dir
from loopwise.report.comparison import sides_of
from loopwise.report.terminal.compare import compare_table
from loopwise.report.terminal.console import print_json, say
from loopwise.results.folder import ResultFolder


def compare(
    console: Console,
    base: Path,
    others: Sequence[Path],
    *,
    fail_on: Sequence[str],
    allow_different: Sequence[str],
    out: Path | None,
    junit_file: Path | None,
    markdown_file: Path | None,
    as_json: bool,
) -> int:
    """Overlay results; a verdict per shared case; a gate fails on a verdict only."""
    gates = tuple(comparison.parse_gate(text) for text in fail_on)
    before = summarise(ResultFolder(base))
    found: list[tuple[Summary, comparison.Outcome]] = []
    for path in others:
        after = summarise(ResultFolder(path))
        found.append((after, _outcome(before, after, (base, path), gates, allow_different)))
    outcomes = [outcome for _, outcome in found]
    written = []
    if out is not None:
        from loopwise.report.html.compare import write_comparison

        sides = sides_of(before, ResultFolder(base).name, found)
        written = write_comparison(sides, [base, *others], out)
    write_ci_reports(outcomes, junit_file=junit_file, markdown_file=markdown_file)
    if as_json:
        rows = [
            {"base": str(base), "other": str(path), **verdict.model_dump()}
            for path, outcome in zip(others, outcomes, strict=True)
            for verdict in outcome.verdicts
        ]
        print_json(rows)
        return gate_status(outcomes)
    for outcome in outcomes:
        console.print(compare_table(outcome.base, outcome.other, outcome.verdicts, outcome.different))
        for sentence in outcome.complaints:
            console.print(sentence, style="bold red", markup=False)
    for path in written:
        kind = {".html": "page", ".json": "verdicts"}.get(path.suffix, "chart")
        say(console, f"{kind}: {path}")
    return gate_status(outcomes)


def _outcome(
    before: Summary,
    after: Summary,
    paths: tuple[Path, Path],
    gates: tuple[comparison.Gate, ...],
    allowed: Sequence[str],
) -> comparison.Outcome:
    """Verdicts on what both have.

    Raises:
        UsageError: they share no case, or their surroundings differ in what nobody allowed.
    """
    base, other = paths
    settings = before.experiment.suite.compare
    verdicts = comparison.compare(
        before, after, margin=settings.margin, confidence=settings.confidence, allowed=allowed
    )
    if not verdicts:
        raise UsageError(
            f"{base} and {other} have no case in common; compare results of the same suite "
            f"(their cases: {_some(before.cases)} and {_some(after.cases)})"
        )
    different = differences(before, after)
    refuse_different(different, allowed, (str(base), str(other)))
    return comparison.Outcome(
        ResultFolder(base).name,
        ResultFolder(other).name,
        tuple(verdicts),
        settings.margin,
        settings.confidence,
        gates,
        tuple((each.key, each.before, each.after) for each in different),
        _lone(before, after),
    )


def _lone(before: Summary, after: Summary) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """case_ids that the base has alone, and that the other has alone."""
    return (
        tuple(case_id for case_id in before.cases if case_id not in after.cases),
        tuple(case_id for case_id in after.cases if case_id not in before.cases),
    )


def _some(names: Collection[str]) -> str:
    shown = list(names)[:2]
    return ", ".join(shown) + (", …" if len(names) > len(shown) else "")


def index(console: Console, rows: Sequence[Mapping[str, Any]], out: Path | None, *, as_json: bool) -> int:
    """Write the page of all results."""
    from loopwise.report.html.index import INDEX, write_index

    results = results_dir()
    path = write_index(rows, results, out or results / INDEX, program=program(sys.argv))
    if as_json:
        print_json(rows)
    else:
        say(console, f"index: {path}")
    return 0
