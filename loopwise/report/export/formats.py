"""The formats of other tools that a result can be exported to: `bench.py report RESULT --export FORMAT[,FORMAT…]`."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from loopwise.analysis.summary import Summary
from loopwise.errors import UsageError
from loopwise.report.export import hgrm, k6, locust, markdown, tidy
from loopwise.report.export.tallies import CaseTally, tallies
from loopwise.results.folder import ResultFolder


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
    Export("locust", "CASE_stats.csv", "tools made for locust --csv", of_case=locust.files),
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


def export(summary: Summary, result: ResultFolder, formats: Sequence[str]) -> dict[str, list[Path]]:
    """Write formats to RESULT/exports/FORMAT/, in place of earlier files there; rows are read once for all formats.

    Returns:
        The files by format.

    Raises:
        UsageError: the result is a duel, which has no runs whose rows could be exported.
    """
    refused = [name for name in formats if summary.duel and name in OF_ROWS]
    if refused:
        raise UsageError(
            f"--export {','.join(refused)}: {result.path} is a duel, whose rows are those of two servers at once; "
            f"allowed are {', '.join(name for name in EXPORTS if name not in OF_ROWS)}; choose among them"
        )
    written: dict[str, list[Path]] = {name: [] for name in formats}

    def write(export_name: str, file_name: str, content: str | bytes) -> None:
        path = result.path / "exports" / export_name / file_name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        written[export_name].append(path)

    for name in formats:
        folder = result.path / "exports" / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        spec = EXPORTS[name]
        if spec.of_summary:
            write(name, spec.files, spec.of_summary(summary))
    of_case = {name: render for name in formats if (render := EXPORTS[name].of_case)}
    for tally in tallies(summary, result) if of_case else ():
        for name, render in of_case.items():
            for file_name, text in render(tally).items():
                write(name, file_name, text)
    return written
