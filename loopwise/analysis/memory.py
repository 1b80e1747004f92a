"""Growth of a server's memory: the limit above which it is remarkable, and growth per request within one long run."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from loopwise.analysis.rows import RunRows
from loopwise.analysis.stats import t_half_width

MIN_S = 30.0
"""A shorter window holds what caches and the allocator take at first."""
PARTS = 10
"""Growth within each tenth of the window is one observation: memory at one sample depends on that before it."""
CONFIDENCE = 0.95
MAX_GROWTH_MB, MAX_GROWTH_RATIO = 8.0, 0.05
"""Less is what caches and the allocator take in the first seconds under load."""


def growth_limit_mb(rss_mb: float) -> float:
    """Growth within the window up to which memory of that size is steady."""
    return max(MAX_GROWTH_MB, MAX_GROWTH_RATIO * rss_mb)


class Growth(NamedTuple):
    """Megabytes per 1,000 requests, with the ends of their interval (95 %)."""

    mb: float
    low_mb: float
    high_mb: float


def memory_growth(rows: RunRows, samples: pd.DataFrame) -> Growth | None:
    """Growth of the server's memory per 1,000 requests; None in short windows, or without memory or requests.

    Args:
        rows: of the run.
        samples: its telemetry in the window.
    """
    window = rows.run.window
    if window is None or window.duration_s < MIN_S or not rows.served:
        return None
    rss_mb = samples[samples["role"] == "server"].groupby("time_ns")["rss_mb"].sum()
    if len(rss_mb) < 2 * PARTS:
        return None
    edges_ns = np.linspace(window.start_ns, window.end_ns, PARTS + 1)
    at_edges = np.interp(edges_ns, rss_mb.index.to_numpy(dtype=float), rss_mb.to_numpy(dtype=float))
    # The same time has each part, and close to the same requests.
    per_part = rows.served / PARTS / 1e3
    grown = (np.diff(at_edges) / per_part).tolist()
    mean, half = float(np.mean(grown)), t_half_width(grown, CONFIDENCE)
    return Growth(mean, mean - half, mean + half)
