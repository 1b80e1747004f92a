"""Locust's stats as it writes them with --csv (PREFIX_stats.csv), for those who have tools for them.

The columns are Locust's, and so is what they count: failed requests have response times, too, and a response time is
what this project calls service time. Its percentiles are exact here, and have fractions of a millisecond.
"""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from loopwise.analysis.summary import Summary
from loopwise.report.export.tallies import CaseTally, Tally, file_name, tallies
from loopwise.results.folder import ResultFolder, write_atomically

PERCENTILES = {
    **{"50%": 0.5, "66%": 0.66, "75%": 0.75, "80%": 0.8, "90%": 0.9, "95%": 0.95, "98%": 0.98},
    **{"99%": 0.99, "99.9%": 0.999, "99.99%": 0.9999, "100%": 1.0},
}
COLUMNS = (
    *("Type", "Name", "Request Count", "Failure Count", "Median Response Time", "Average Response Time"),
    *("Min Response Time", "Max Response Time", "Average Content Size", "Requests/s", "Failures/s"),
    *PERCENTILES,
)
TOTAL_NAME = "Aggregated"


def write(summary: Summary, result: ResultFolder, folder: Path) -> list[Path]:
    """CASE_stats.csv: the valid runs of a case taken together."""
    written = []
    for found in tallies(summary, result):
        text = io.StringIO()
        sheet = csv.writer(text, lineterminator="\n")
        sheet.writerow(COLUMNS)
        sheet.writerows(_rows(found))
        path = folder / f"{file_name(found.case.case_id)}_stats.csv"
        write_atomically(path, text.getvalue())
        written.append(path)
    return written


def _rows(found: CaseTally) -> Iterator[list[object]]:
    for endpoint, tally in found.endpoints.items():
        method, _, name = endpoint.partition(" ")
        yield [method, name, *_figures(tally, found.window_s)]
    yield ["", TOTAL_NAME, *_figures(found.all, found.window_s)]


def _figures(tally: Tally, window_s: float) -> list[object]:
    times = tally.all_service
    quantiles = [round(times.quantile_ms(quantile), 3) for quantile in PERCENTILES.values()]
    size = tally.bytes / tally.requests if tally.requests else 0.0
    return [
        *(tally.requests, tally.failures, quantiles[0], times.mean_ms),
        *(times.quantile_ms(0.0), times.quantile_ms(1.0), size),
        *(tally.requests / window_s, tally.failures / window_s),
        *(quantiles if tally.requests else ["N/A"] * len(quantiles)),
    ]
