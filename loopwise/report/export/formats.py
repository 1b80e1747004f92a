"""The formats of other tools that a result can be exported to: `bench.py report RESULT --export FORMAT[,FORMAT…]`."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from loopwise.analysis.summary import Summary
from loopwise.errors import UsageError
from loopwise.report.export import hgrm, k6, locust, markdown, tidy
from loopwise.report.export.tallies import CaseTally
from loopwise.results.files import write_atomically


@dataclass(frozen=True)
class Export:
    """A format, rendered either from the summary as a whole or from the counted rows of each case."""

    name: str
    files: str
    """Names of its files; CASE stands for a case_id."""
    purpose: str
    of_summary: Callable[[Summary], str | bytes] | None = None
    """Renders the content of the only file."""
    of_case: Callable[[CaseTally], Mapping[str, str]] | None = None
    """Renders the files of one case: file name -> text."""


_ALL = (
    Export("csv", "summary.csv", "spreadsheets", of_summary=tidy.csv),
    Export("json", "summary.json", "programs; a list of rows, gaps are null", of_summary=tidy.json_text),
    Export("parquet", "summary.parquet", "data frames, DuckDB; columns have types", of_summary=tidy.parquet),
    Export("markdown", "summary.md", "a pull request, a wiki", of_summary=markdown.summary_markdown),
    Export(
        "hgrm",
        "CASE.service.hgrm, in open load also CASE.response.hgrm",
        "HdrHistogram's plotter and other readers of its percentile distributions",
        of_case=hgrm.files,
    ),
    Export("locust", "CASE_stats.csv, CASE_failures.csv", "tools made for locust --csv", of_case=locust.files),
    Export("k6", "CASE.json", "tools made for k6 run --summary-export", of_case=k6.files),
)
EXPORTS = {each.name: each for each in _ALL}
"""By name. To add a format, add an Export."""
OF_ROWS = frozenset(each.name for each in _ALL if each.of_case)
"""Names of the formats that need the rows of runs."""


def parse_formats(texts: Sequence[str]) -> tuple[str, ...]:
    """The formats that `--export` asks for, each once: `["csv,hgrm", "k6"]` gives `("csv", "hgrm", "k6")`.

    Raises:
        UsageError: one is unknown.
    """
    names = [name.strip() for text in texts for name in text.split(",")]
    for name in names:
        if name not in EXPORTS:
            raise UsageError(f"--export: got {name!r}, allowed are {', '.join(EXPORTS)}; choose among them")
    return tuple(dict.fromkeys(names))


def export(
    summary: Summary, folder: Path, formats: Sequence[str], tallies: Mapping[str, CaseTally]
) -> dict[str, list[Path]]:
    """Write formats, in place of the files of an earlier export.

    Args:
        summary: of the result.
        folder: of the result; files are written to exports/FORMAT/ in it.
        formats: names from EXPORTS.
        tallies: by case_id; for formats in OF_ROWS.

    Returns:
        The files by format.

    Raises:
        UsageError: the result is a duel, which has no runs whose rows could be exported.
    """
    refused = [name for name in formats if summary.duel and name in OF_ROWS]
    if refused:
        raise UsageError(
            f"--export {','.join(refused)}: {folder} is a duel, whose rows are those of two servers at once; "
            f"allowed are {', '.join(name for name in EXPORTS if name not in OF_ROWS)}; choose among them"
        )
    return {name: _write(EXPORTS[name], summary, folder / "exports" / name, tallies) for name in formats}


def _write(spec: Export, summary: Summary, folder: Path, tallies: Mapping[str, CaseTally]) -> list[Path]:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    contents: dict[str, str | bytes] = {}
    if spec.of_summary:
        contents[spec.files] = spec.of_summary(summary)
    if spec.of_case:
        for case in summary.experiment.suite.cases:
            if case.case_id in tallies:
                contents |= spec.of_case(tallies[case.case_id])
    for name, content in contents.items():
        write_atomically(folder / name, content)
    return [folder / name for name in contents]
