"""k6's end-of-test summary as `k6 run --summary-export` writes it, for those who have tools for it.

The names are k6's, and so is what they count: `http_req_duration` is what this project calls service time, over all
requests, failed ones among them; `{expected_response:true}` are the successes. In `http_req_failed` a pass is a failed
request. Its percentiles are nearest ranks here, where k6 interpolates.
"""

import json
from pathlib import Path
from typing import Any

from loopwise.analysis.summary import Summary
from loopwise.report.export.tallies import CaseTally, Spread, Tally, file_name, tallies
from loopwise.results.folder import ResultFolder, write_atomically

ROOT_GROUP = {"name": "", "path": "", "id": "d41d8cd98f00b204e9800998ecf8427e", "groups": {}, "checks": {}}
"""A script without groups; the id is the MD5 of nothing, as in k6."""
TREND = {"p(90)": 0.9, "p(95)": 0.95, "p(99)": 0.99, "p(99.9)": 0.999}


def write(summary: Summary, result: ResultFolder, folder: Path) -> list[Path]:
    """CASE.json: the valid runs of a case taken together."""
    written = []
    for found in tallies(summary, result):
        path = folder / f"{file_name(found.case.case_id)}.json"
        document = {"root_group": ROOT_GROUP, "metrics": _metrics(found)}
        write_atomically(path, json.dumps(document, indent=4, allow_nan=False) + "\n")
        written.append(path)
    return written


def _metrics(found: CaseTally) -> dict[str, Any]:
    whole, window_s = found.all, found.window_s
    metrics = {
        "http_reqs": _counter(whole.requests, window_s),
        "http_req_duration": _trend(whole.all_service),
        "http_req_duration{expected_response:true}": _trend(whole.good["service"]),
        "http_req_failed": _rate(whole),
        "data_received": _counter(whole.bytes, window_s),
    }
    load = found.case.load
    if load.model == "closed":
        metrics["vus"] = {"value": load.users, "min": load.users, "max": load.users}
        metrics["vus_max"] = dict(metrics["vus"])
    if found.case.scenario is None:  # a user's turn is one request
        metrics["iterations"] = _counter(whole.requests, window_s)
    for endpoint, tally in found.endpoints.items():
        if tally is not whole:
            metrics[f"http_reqs{{name:{endpoint}}}"] = _counter(tally.requests, window_s)
            metrics[f"http_req_duration{{name:{endpoint}}}"] = _trend(tally.all_service)
    return metrics


def _counter(count: int, window_s: float) -> dict[str, float]:
    return {"count": count, "rate": count / window_s}


def _rate(tally: Tally) -> dict[str, float]:
    ratio = tally.failures / tally.requests if tally.requests else 0.0
    return {"passes": tally.failures, "fails": tally.requests - tally.failures, "value": ratio}


def _trend(spread: Spread) -> dict[str, float]:
    known = {name: spread.quantile_ms(quantile) for name, quantile in TREND.items()}
    return {
        "avg": spread.mean_ms,
        "min": spread.quantile_ms(0.0),
        "med": spread.quantile_ms(0.5),
        "max": spread.quantile_ms(1.0),
        **known,
    }
