"""Complete a measured run: its counts, checks, causes and status."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from loopwise.analysis import causes
from loopwise.analysis.checks import check, void_reason
from loopwise.analysis.checks.answers import REDIRECTS
from loopwise.analysis.checks.facts import Facts
from loopwise.analysis.drift import Drift, drift
from loopwise.analysis.endings import ending
from loopwise.analysis.errors import errors_of_run
from loopwise.analysis.figures import figures_of
from loopwise.analysis.production import kills
from loopwise.analysis.rows import RunRows, retried
from loopwise.analysis.stats import nearest_rank
from loopwise.model import Run


def assess(run: Run, table: pa.Table, telemetry: pa.Table | None = None) -> tuple[Run, float | None]:
    """Complete a run that was measured.

    Args:
        run: with case, window, generator and host.
        table: all its rows, as in samples.parquet.
        telemetry: its telemetry.parquet; None: causes are not looked for.

    Returns:
        The run with counts, checks, causes and status; and its throughput in requests a second.
    """
    rows = RunRows(table, run)
    figures = figures_of(rows)
    unfinished = ~rows.is_ok & ~rows.is_failed
    redirects = _redirects(rows, table)
    stamps = set(pc.cast(table.column("stamp"), pa.string()).to_pylist())
    run = run.model_copy(
        update={
            "counts": {
                **figures.counts,
                "unfinished": int(unfinished.sum()),
                "retried": retried(table),
                "redirects": sum(redirects.values()),
            },
            "errors": errors_of_run(rows, table),
            "generator": run.generator.model_copy(update={"stamp": "+".join(sorted(stamps))}),
        }
    )
    whole = {metric: value for (name, metric), value in figures.metrics.items() if name == figures.endpoint}
    throughput_rps = whole.get("throughput_rps", 0.0)
    facts = Facts(
        run,
        throughput_rps=throughput_rps,
        service_time_mean_ms=whole.get("service_time_mean_ms"),
        generator_lag_mean_ms=whole.get("generator_lag_mean_ms"),
        send_delay_p99_ms=_send_delay_p99_ms(rows),
        connections=_connections(rows, table),
        drift=_drift(rows),
        ending=ending(rows, unfinished),
        redirects=redirects,
    )
    checks = check(facts)
    served = rows.served_at_once
    update = {
        "served_at_once": None if served is None else round(served, 2),
        "checks": checks,
        "status": "ok" if void_reason(checks) is None else "invalid",
        "causes": () if telemetry is None else causes.find(rows, telemetry),
        "kills": () if telemetry is None else kills(rows, telemetry),
    }
    return run.model_copy(update=update), throughput_rps


def _send_delay_p99_ms(rows: RunRows) -> float | None:
    """Open load: how late requests left that were due in the window."""
    if not rows.is_open or rows.run.window is None:
        return None
    due = rows.due & ~rows.is_victim
    delay_ns = np.sort(rows.column["sent_ns"][due] - rows.column["scheduled_ns"][due])
    return nearest_rank(delay_ns, 0.99) / 1e6 if delay_ns.size else None


def _connections(rows: RunRows, table: pa.Table) -> int:
    """Distinct connections of the load: over all rows, for a slow answer may come when the window is over."""
    used = table.column("connection").filter(pa.array(~rows.is_victim))
    return int(pc.count_distinct(used, mode="only_valid").as_py())


def _redirects(rows: RunRows, table: pa.Table) -> dict[tuple[str, int], int]:
    """Successes that count and are a redirect which nobody asked for, by endpoint and status."""
    if rows.run.window is None:
        return {}
    status = np.asarray(table.column("status").to_numpy(), dtype=np.int64)
    is_redirect = rows.counted & rows.is_ok & np.isin(status, REDIRECTS)
    if not is_redirect.any():
        return {}
    expected = {(each.name, each.expect_status) for each in rows.run.case.endpoints}
    numbers: dict[tuple[str, int], int] = {}
    for name in rows.endpoints:
        codes, counts = np.unique(status[is_redirect & rows.of(name)], return_counts=True)
        numbers |= {(name, code): number for code, number in zip(codes.tolist(), counts.tolist(), strict=True)}
    return {key: number for key, number in numbers.items() if key not in expected}


def _drift(rows: RunRows) -> Drift | None:
    """Whether the load's good answers still changed in the window. A ramp or a shape is meant to."""
    window, load = rows.run.window, rows.run.case.load
    if window is None or load.ramp_to_rps is not None or load.shape is not None:
        return None
    good = ~rows.is_victim & rows.due & rows.is_ok
    clock_ns = rows.column["scheduled_ns" if rows.is_open else "received_ns"][good]
    service_ms = rows.duration_ns("service", good) / 1e6
    return drift(clock_ns, service_ms, window.start_ns, window.end_ns, has_own_rate=not rows.is_open)
