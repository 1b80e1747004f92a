"""Locust's request statistics as `locust --csv PREFIX` writes them (PREFIX_stats.csv).

The columns are Locust's, and so is what they count: failed requests have response times too, and a response time is
what Loopwise calls service time. Percentiles are exact, with fractions of a millisecond.
"""

import csv
import io

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
TOTAL_NAME = "Aggregated"


def files(tally: CaseTally) -> dict[str, str]:
    """CASE_stats.csv: all valid runs of the case taken together."""
    text = io.StringIO()
    sheet = csv.writer(text, lineterminator="\n")
    sheet.writerow(COLUMNS)
    for endpoint, each in tally.endpoints.items():
        method, _, name = endpoint.partition(" ")
        sheet.writerow([method, name, *_figures(each, tally.window_s)])
    sheet.writerow(["", TOTAL_NAME, *_figures(tally.all, tally.window_s)])
    return {f"{file_name(tally.case.case_id)}_stats.csv": text.getvalue()}


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
