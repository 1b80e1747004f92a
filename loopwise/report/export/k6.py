"""k6's end-of-test summary as `k6 run --summary-export` writes it.

The names are k6's, and so is what they count: `http_req_duration` is the service time of all requests, including failed
ones; `{expected_response:true}` are the successes. In `http_req_failed` a pass is a failed request. Percentiles are
nearest ranks, where k6 interpolates.
"""

import json
from typing import Any

from loopwise.report.export.tallies import CaseTally, Spread, file_name

ROOT_GROUP = {"name": "", "path": "", "id": "d41d8cd98f00b204e9800998ecf8427e", "groups": {}, "checks": {}}
"""A script without groups; the id is the MD5 of nothing, as in k6."""
TREND = {
    **{"min": 0.0, "med": 0.5, "max": 1.0},
    **{"p(90)": 0.9, "p(95)": 0.95, "p(99)": 0.99, "p(99.9)": 0.999},
}


def files(tally: CaseTally) -> dict[str, str]:
    """CASE.json: all valid runs of the case taken together."""
    document = {"root_group": ROOT_GROUP, "metrics": _metrics(tally)}
    return {f"{file_name(tally.case.case_id)}.json": json.dumps(document, indent=4, allow_nan=False) + "\n"}


def _metrics(tally: CaseTally) -> dict[str, Any]:
    whole, window_s, load = tally.all, tally.window_s, tally.case.load
    ratio = whole.failures / whole.requests if whole.requests else 0.0
    metrics = {
        "http_reqs": _counter(whole.requests, window_s),
        "http_req_duration": _trend(whole.all_service),
        "http_req_duration{expected_response:true}": _trend(whole.good["service"]),
        "http_req_failed": {
            "passes": whole.failures,
            "fails": whole.requests - whole.failures,
            "value": ratio,
        },
        "data_received": _counter(whole.bytes, window_s),
    }
    if load.fixed_users is not None:
        for name in ("vus", "vus_max"):
            metrics[name] = dict.fromkeys(("value", "min", "max"), load.users)
    if tally.case.scenario is None:  # a user's turn is one request
        metrics["iterations"] = _counter(whole.requests, window_s)
    for endpoint, part in tally.endpoints.items():
        if part is not whole:
            metrics[f"http_reqs{{name:{endpoint}}}"] = _counter(part.requests, window_s)
            metrics[f"http_req_duration{{name:{endpoint}}}"] = _trend(part.all_service)
    kinds: dict[str, int] = {}
    for _, kind, failure in tally.failures:
        kinds[kind] = kinds.get(kind, 0) + failure.count
    metrics |= {f"http_reqs{{error:{kind}}}": _counter(number, window_s) for kind, number in kinds.items()}
    return metrics


def _counter(count: int, window_s: float) -> dict[str, float]:
    return {"count": count, "rate": count / window_s}


def _trend(spread: Spread) -> dict[str, float]:
    quantiles = {name: spread.quantile_ms(quantile) for name, quantile in TREND.items()}
    return {"avg": spread.mean_ms, **quantiles}
