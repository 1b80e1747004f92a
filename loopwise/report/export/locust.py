"""Locust's statistics and failures as `locust --csv PREFIX` writes them (PREFIX_stats.csv, PREFIX_failures.csv).

The columns are Locust's, and so is what they count: failed requests have response times too, and a response time is
what Loopwise calls service time. Percentiles are exact, with fractions of a millisecond.
"""

import csv
import io
from datetime import UTC, datetime

from loopwise.report.export.spreadsheet import cell
from loopwise.report.export.tallies import CaseTally, Tally, file_name

PERCENTILES = {
    **{"50%": 0.5, "66%": 0.66, "75%": 0.75, "80%": 0.8, "90%": 0.9, "95%": 0.95, "98%": 0.98},
    **{"99%": 0.99, "99.9%": 0.999, "99.99%": 0.9999, "100%": 1.0},
}
COLUMNS = (
    *("Type", "Name", "Request Count", "Failure Count", "Median Response Time", "Average Response Time"),
    *("Min Response Time", "Max Response Time", "Average Content Size", "Requests/s", "Failures/s"),
    *PERCENTILES,
)
FAILURE_COLUMNS = ("Method", "Name", "Error", "Occurrences", "First Seen", "Last Seen")
TOTAL_NAME = "Aggregated"


def files(tally: CaseTally) -> dict[str, str]:
    """CASE_stats.csv and CASE_failures.csv: all valid runs of the case taken together."""
    text = io.StringIO()
    sheet = csv.writer(text, lineterminator="\n")
    sheet.writerow(COLUMNS)
    for endpoint, each in tally.endpoints.items():
        method, _, name = endpoint.partition(" ")
        sheet.writerow([cell(method), cell(name), *_figures(each, tally.window_s)])
    sheet.writerow(["", TOTAL_NAME, *_figures(tally.all, tally.window_s)])
    name = file_name(tally.case.case_id)
    return {f"{name}_stats.csv": text.getvalue(), f"{name}_failures.csv": _failures(tally)}


def _failures(tally: CaseTally) -> str:
    text = io.StringIO()
    sheet = csv.writer(text, lineterminator="\n")
    sheet.writerow(FAILURE_COLUMNS)
    for endpoint, kind, failure in tally.failures:
        method, _, name = endpoint.partition(" ")
        seen = (_moment(time_ns) for time_ns in (failure.first_ns, failure.last_ns))
        sheet.writerow([*map(cell, (method, name, kind)), failure.count, *seen])
    return text.getvalue()


def _moment(time_ns: int) -> str:
    """As Locust writes it: `2026-01-02T03:04:05Z`."""
    return datetime.fromtimestamp(time_ns // 1_000_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


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
