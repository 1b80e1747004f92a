"""From a run's rows to its counts, checks and status. Pure: what is on disk is not looked at here."""

from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from loopwise.analysis import causes, metrics
from loopwise.analysis.checks import Facts, check, verdict
from loopwise.analysis.drift import Drift, drift
from loopwise.analysis.stats import nearest_rank
from loopwise.model import VICTIM, Run


def assess(run: Run, table: pa.Table, telemetry: pa.Table | None = None) -> tuple[Run, float | None]:
    """Complete a run that was measured.

    Args:
        run: with case, window, generator and host.
        table: all its rows, as in samples.parquet.
        telemetry: its telemetry.parquet; None: causes are not looked for.

    Returns:
        The run with counts, checks, causes and status; and its throughput in requests a second.
    """
    found = metrics.figures(table, run)
    errors = Counter(pc.cast(table.column("error"), pa.string()).to_pylist())
    stamps = set(pc.cast(table.column("stamp"), pa.string()).to_pylist())
    run = run.model_copy(
        update={
            "counts": {**found.counts, "unfinished": errors["unfinished"]},
            "generator": run.generator.model_copy(update={"stamp": "+".join(sorted(stamps))}),
        }
    )
    throughput_rps = found.metrics.get((found.endpoint, "throughput_rps"), 0.0)
    facts = Facts(
        run,
        throughput_rps=throughput_rps,
        service_time_mean_ms=found.metrics.get((found.endpoint, "service_time_mean_ms")),
        generator_lag_mean_ms=found.metrics.get((found.endpoint, "generator_lag_mean_ms")),
        send_delay_p99_ms=_send_delay_p99_ms(table, run),
        connections=_connections(table),
        drift=_drift(table, run),
    )
    checks = check(facts)
    status = "ok" if verdict(checks) is None else "invalid"
    found_causes = () if telemetry is None else causes.find(run, telemetry, table)
    update = {
        "checks": checks,
        "status": status,
        "causes": found_causes,
    }
    return run.model_copy(update=update), throughput_rps


def _send_delay_p99_ms(table: pa.Table, run: Run) -> float | None:
    """Open load: how late requests left that were due in the window."""
    if run.case.load.model != "open" or run.window is None:
        return None
    due = pc.and_(
        pc.greater_equal(table.column("scheduled_ns"), run.window.start_ns),
        pc.less(table.column("scheduled_ns"), run.window.end_ns),
    )
    kept = table.filter(pc.and_(_is_load(table), due))
    delay_ns = pc.subtract(kept.column("sent_ns"), kept.column("scheduled_ns")).to_numpy()
    return nearest_rank(np.sort(delay_ns), 0.99) / 1e6 if delay_ns.size else None


def _is_load(table: pa.Table) -> Any:
    """Rows that are not the victim's."""
    return pc.invert(pc.starts_with(pc.cast(table.column("endpoint"), pa.string()), VICTIM))


def _connections(table: pa.Table) -> int:
    """Distinct connections of the load: over all rows, for a slow answer may come when the window is over."""
    return int(
        pc.count_distinct(table.filter(_is_load(table)).column("connection"), mode="only_valid").as_py()
    )


def _drift(table: pa.Table, run: Run) -> Drift | None:
    """Whether the load's good answers still changed in the window. A ramp is meant to."""
    load, window = run.case.load, run.window
    if window is None or load.ramp_to_rps is not None:
        return None
    clock = table.column("scheduled_ns" if load.model == "open" else "received_ns")
    inside = pc.and_(pc.greater_equal(clock, window.start_ns), pc.less(clock, window.end_ns))
    good = pc.and_(pc.and_(_is_load(table), inside), pc.is_null(table.column("error")))
    kept = table.filter(good)
    service_ns = pc.subtract(kept.column("received_ns"), kept.column("sent_ns")).to_numpy()
    return drift(
        clock.filter(good).to_numpy(),
        service_ns / 1e6,
        window.start_ns,
        window.end_ns,
        has_own_rate=load.model == "closed",
    )
