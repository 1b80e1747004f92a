"""HdrHistogram's percentile distribution (.hgrm), which its plotter and many scripts read.

The levels are those of HdrHistogram's PercentileIterator: five per half of the distance that is left to 100 %. The
values are exact to the microsecond instead of rounded to buckets, so there is no line about buckets at the end. Source:
outputPercentileDistribution of AbstractHistogram in HdrHistogram for Java.
"""

import math
from collections.abc import Iterator

import numpy as np

from loopwise.model import TOTAL
from loopwise.report.export.tallies import CaseTally, Spread, file_name

TICKS_PER_HALF_DISTANCE = 5


def files(tally: CaseTally) -> dict[str, str]:
    """CASE.service.hgrm, in open load also CASE.response.hgrm, of the successes of all valid runs.

    A case of several endpoints has CASE.all.service.hgrm and CASE.ENDPOINT.service.hgrm.
    """
    case_name = file_name(tally.case.case_id)
    groups = {case_name: tally.all}
    if len(tally.endpoints) > 1:
        groups = {f"{case_name}.{TOTAL}": tally.all}
        groups |= {f"{case_name}.{file_name(name)}": each for name, each in tally.endpoints.items()}
    return {
        f"{name}.{kind}.hgrm": distribution(spread)
        for name, group in groups.items()
        for kind, spread in group.good.items()
        if spread.total
    }


def distribution(spread: Spread) -> str:
    """The text of a file; values in ms."""
    lines = [f"{'Value':>12} {'Percentile':>14} {'TotalCount':>10} {'1/(1-Percentile)':>14}", ""]
    for value_ms, level, count in _steps(spread):
        line = f"{value_ms:12.3f} {level:2.12f} {count:10d}"
        lines.append(line if level == 1.0 else f"{line} {1 / (1 - level):14.2f}")
    lines.append(f"#[Mean    = {spread.mean_ms:12.3f}, StdDeviation   = {spread.deviation_ms:12.3f}]")
    lines.append(f"#[Max     = {spread.values_ms[-1]:12.3f}, Total count    = {spread.total:12d}]")
    return "\n".join(lines) + "\n"


def _steps(spread: Spread) -> Iterator[tuple[float, float, int]]:
    """Value, level (0–1) and number of values at or below it; the last one is the maximum at 1."""
    totals = np.cumsum(spread.counts)
    last, percent, index = totals.size - 1, 0.0, -1
    while index < last:
        index = int(np.searchsorted(100 * totals / totals[-1], percent))
        yield float(spread.values_ms[index]), percent / 100, int(totals[index])
        halvings = math.floor(math.log2(100 / (100 - percent))) + 1
        percent += 100 / (TICKS_PER_HALF_DISTANCE * 2**halvings)
    yield float(spread.values_ms[last]), 1.0, int(totals[last])
