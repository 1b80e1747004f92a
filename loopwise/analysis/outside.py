"""Requests that wait in a server for one of its threads, counted from outside.

Nobody inside of a WSGI app sees them: the server has not called it yet. But every request has the time at which it was
sent and the time at which it was answered, so those under way are known, and those in the app are counted by the probe.
"""

import numpy as np
import pandas as pd

from loopwise.analysis.rows import RunRows


def with_waiting(samples: pd.DataFrame, rows: RunRows) -> pd.DataFrame:
    """Telemetry whose `limiter_queued` is filled in where a worker has threads but can't see who waits for one.

    All that is under way and that no thread works on waits; each worker is given an equal part.
    """
    blind = samples["limiter_max"].notna() & samples["limiter_queued"].isna()
    if not blind.any():
        return samples
    mine = samples[blind]
    workers = mine.groupby("time_ns")["in_flight"].agg(["sum", "size"])
    at_ns = workers.index.to_numpy()
    under_way = _count(rows, "sent_ns", at_ns) - _count(rows, "received_ns", at_ns)
    waiting = np.maximum(under_way - workers["sum"].to_numpy(), 0) / workers["size"].to_numpy()
    each = pd.Series(waiting, index=workers.index)
    filled = samples.copy()
    filled.loc[blind, "limiter_queued"] = mine["time_ns"].map(each).to_numpy()
    return filled


def _count(rows: RunRows, column: str, at_ns: np.ndarray) -> np.ndarray:
    """How many rows had that time until then."""
    return np.searchsorted(np.sort(rows.column[column]), at_ns, side="right")
