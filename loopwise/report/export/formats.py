"""A result in the formats of other tools: `bench.py report RESULT --export FORMAT[,FORMAT…]`.

To add one: a function that takes a Summary, its result and a folder, writes files there and returns their paths; and
a line in EXPORTS.

    tidy.py       the rows of summary.csv as CSV, JSON and Parquet
    markdown.py   tables for a pull request or a wiki
    tallies.py    what is counted of a case's rows over its valid runs, for the formats below
    hgrm.py       HdrHistogram's percentile distribution
    locust.py     Locust's stats as CSV
    k6.py         k6's end-of-test summary as JSON
"""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from loopwise.analysis.summary import Summary
from loopwise.errors import UsageError
from loopwise.report.export import hgrm, k6, locust, markdown, tidy
from loopwise.results.folder import ResultFolder

Export = Callable[[Summary, ResultFolder, Path], list[Path]]
EXPORTS: dict[str, Export] = {
    "csv": tidy.write_csv,
    "json": tidy.write_json,
    "parquet": tidy.write_parquet,
    "markdown": markdown.write,
    "hgrm": hgrm.write,
    "locust": locust.write,
    "k6": k6.write,
}
"""Format -> what writes it."""
OF_ROWS = frozenset({"hgrm", "locust", "k6"})
"""Formats that are made of the rows of runs."""


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
    """Write formats to RESULT/exports/FORMAT/; what stood there from before is replaced.

    Returns:
        The files by format.

    Raises:
        UsageError: the result is a duel, which has no runs to make one of OF_ROWS from.
    """
    refused = [name for name in formats if summary.duel and name in OF_ROWS]
    if refused:
        raise UsageError(
            f"--export {','.join(refused)}: {result.path} is a duel, whose rows are those of two servers at once; "
            f"allowed are {', '.join(name for name in EXPORTS if name not in OF_ROWS)}; choose among them"
        )
    written = {}
    for name in formats:
        folder = result.path / "exports" / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        written[name] = EXPORTS[name](summary, result, folder)
    return written
