"""Time lines of runs as data: the lines of a digest that have something to show, and the run that speaks for a case."""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from loopwise.analysis.digest import Digest
from loopwise.analysis.rows import FLOATS


class Line(NamedTuple):
    """One column of a time line under its name."""

    name: str
    column: str
    values: FLOATS
    """NaN where it is not known."""

    @property
    def known(self) -> FLOATS:
        """The values that are known."""
        known: FLOATS = self.values[np.isfinite(self.values)]
        return known


def lines_of(
    digest: Digest, columns: Mapping[str, str], *, is_log: bool = False, always: Collection[str] = ()
) -> list[Line]:
    """The lines of a run that have something to show.

    Args:
        digest: of the run.
        columns: name of each line -> its column in the time line.
        is_log: their axis is logarithmic, so only positive values count.
        always: columns that are shown even if they are zero throughout.
    """
    lines = []
    for name, column in columns.items():
        values = digest.timeline[column].to_numpy(dtype=float)
        line = Line(name, column, np.where(np.isfinite(values) & ((values > 0) | (not is_log)), values, np.nan))
        if line.known.any() or (line.known.size and column in always):
            lines.append(line)
    return lines


def median_run(digests: Sequence[Digest]) -> Digest | None:
    """The valid run whose throughput is the median; without a valid one the first run; None without any."""
    valid = [digest for digest in digests if digest.status == "ok"]
    ranked = sorted(valid, key=lambda digest: float(np.nansum(digest.timeline["rate_rps"].to_numpy(dtype=float))))
    return ranked[(len(ranked) - 1) // 2] if ranked else next(iter(digests), None)


def window_s(digest: Digest) -> float:
    """Length of the window: it ends half a step behind the middle of the last step."""
    seconds = digest.timeline["second"].to_numpy(dtype=float)
    return float(seconds[-1] + seconds[0])
