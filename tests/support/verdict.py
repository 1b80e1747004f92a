"""Contests with a known ratio."""

import math
from typing import Any

from hypothesis import HealthCheck, settings
from scipy.special import stdtrit

from loopwise.analysis.paired import PairedComparison
from loopwise.analysis.stats import LogRatio

NAN, INF = math.nan, math.inf
MARGIN = 0.05
HIGHER, LOWER = "throughput_rps", "service_time_p99_ms"


steady = settings(deadline=None, derandomize=True, max_examples=60, suppress_health_check=[HealthCheck.too_slow])


def known(value: float, low: float | None, high: float | None = None, replicates: int = 5) -> LogRatio:
    """A log ratio whose 95 % interval begins at `low`; the other end follows from the symmetry of logs."""
    del high
    if low is None:
        return LogRatio(math.log(value), NAN, 0, 1)
    half = math.log(value) - math.log(low)
    return LogRatio(math.log(value), half / float(stdtrit(replicates - 1, 0.975)), replicates - 1, replicates)


def contest(ratio: LogRatio | None, metric: str = HIGHER, **options: Any) -> PairedComparison:
    fields: dict[str, Any] = {"baseline_case": "s", "candidate_case": "a", "names": ("async", "sync")}
    return PairedComparison(metric=metric, ratio=ratio, **(fields | options))
