"""Gates as `compare` and `duel` share them: their options, reports for CI, and exit status."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from loopwise.errors import FAILED_RUNS, GATE_FAILED, writing

if TYPE_CHECKING:
    from loopwise.analysis.gates import Outcome

FailOn = Annotated[
    list[str] | None,
    typer.Option(metavar="METRIC:+N%", help="Exit with 1 where a metric surely changed by more; may be repeated."),
]
JunitFile = Annotated[Path | None, typer.Option(metavar="FILE", help="Write verdicts and gates as JUnit XML.")]
MarkdownFile = Annotated[Path | None, typer.Option(metavar="FILE", help="Write a comment for a pull request.")]


def refuse_unwritable_reports(*, junit: Path | None, markdown: Path | None) -> None:
    """Refuse files of `--junit` and `--markdown` that could not be written, before anything is measured or read.

    Raises:
        UsageError: there is one.
    """
    from loopwise.results.files import refuse_unwritable

    for option, path in (("--junit", junit), ("--markdown", markdown)):
        if path is not None:
            refuse_unwritable(option, path, is_file=True)


def gate_status(outcomes: "Sequence[Outcome]") -> int:
    """The exit status that gates ask for: a failed one first, then one that can't be judged."""
    if any(outcome.failed for outcome in outcomes):
        return GATE_FAILED
    return FAILED_RUNS if any(outcome.unjudged for outcome in outcomes) else 0


def write_ci_reports(outcomes: "Sequence[Outcome]", *, junit: Path | None, markdown: Path | None) -> None:
    """Write the files that `--junit` and `--markdown` name.

    Raises:
        UsageError: a file can't be written.
    """
    from loopwise.report.export.junit import junit as junit_of
    from loopwise.report.export.markdown import pull_request_comment

    for option, path, render in (
        ("--junit", junit, junit_of),
        ("--markdown", markdown, pull_request_comment),
    ):
        if path is not None:
            with writing(option, path, is_file=True):
                path.write_text(render(outcomes), encoding="utf-8")
