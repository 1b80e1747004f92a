"""Rules by which a supervisor or load balancer in production would have ended a server or its requests.

To add a rule: one function that takes the run's rows and telemetry and returns its evidence (or None where it would not
have fired), and one entry in RULES.
"""

from collections.abc import Callable, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from loopwise.analysis.rows import RunRows
from loopwise.model import Kill

NS = 1_000_000_000
LIVENESS_PERIOD_S, LIVENESS_TIMEOUT_S, LIVENESS_MISSES = 10, 1, 3
"""Kubernetes' defaults of periodSeconds, timeoutSeconds and failureThreshold."""
LEAST_PROBES = 10
"""Canaries by which a short window stands for what comes after it: half a second of them."""
GUNICORN_TIMEOUT_S = 30
"""gunicorn's --timeout: its asynchronous workers send their heartbeat from the event loop."""
UVICORN_HEALTH_S = 5
"""uvicorn's supervisor asks a thread of each worker, which answers unless the interpreter is held."""
BALANCER_TIMEOUT_S = 60
"""Idle timeout of AWS's load balancers and proxy_read_timeout of nginx: the client gets a 504."""


def liveness(rows: RunRows, _telemetry: pa.Table) -> str | None:
    """Three probes in a row, ten seconds apart, would have had no answer within a second."""
    due_ns, missed = _canaries(rows)
    rule = f"a liveness probe (every {LIVENESS_PERIOD_S} s, {LIVENESS_TIMEOUT_S} s, {LIVENESS_MISSES} misses)"
    later = [np.searchsorted(due_ns, due_ns + step * LIVENESS_PERIOD_S * NS) for step in range(LIVENESS_MISSES)]
    is_inside = later[-1] < due_ns.size
    in_a_row = np.all([missed[np.minimum(each, due_ns.size - 1)] for each in later], axis=0) if due_ns.size else missed
    if (is_inside & in_a_row).any():
        return f"{rule} would have restarted the server: {100 * missed.mean():.0f} % of the canaries missed"
    lasting_s = LIVENESS_PERIOD_S * (LIVENESS_MISSES - 1)
    if rows.window.duration_s < lasting_s + LIVENESS_TIMEOUT_S and due_ns.size >= LEAST_PROBES and missed.all():
        return f"{rule} would restart the server if this lasted for {lasting_s} s: all {due_ns.size} canaries missed"
    return None


def _canaries(rows: RunRows) -> tuple[np.ndarray, np.ndarray]:
    """When the window's canaries were due, ascending, and which got no good answer within the liveness timeout.

    One that the end of the run cut off before that is left out: it may have been in time.
    """
    due_ns = rows.column["scheduled_ns"]
    is_late = rows.column["received_ns"] - due_ns > LIVENESS_TIMEOUT_S * NS
    known = rows.is_victim & rows.inside("scheduled_ns") & (is_late | rows.is_ok | rows.is_failed)
    order = np.argsort(due_ns[known])
    return due_ns[known][order], (is_late | rows.is_failed)[known][order]


def gunicorn_timeout(rows: RunRows, telemetry: pa.Table) -> str | None:
    """The event loop of a worker was held for longer than gunicorn waits for its heartbeat."""
    stall_s = _greatest_ms(rows, telemetry, "loop_stall_max_ms") / 1e3
    server = rows.run.case.server
    if server is None or not server.name.startswith("gunicorn") or stall_s < GUNICORN_TIMEOUT_S:
        return None
    return f"gunicorn's --timeout {GUNICORN_TIMEOUT_S} would have killed a worker: its loop stood {stall_s:.0f} s"


def uvicorn_health(rows: RunRows, telemetry: pa.Table) -> str | None:
    """No thread of a worker could run for longer than uvicorn's supervisor waits."""
    late_s = _greatest_ms(rows, telemetry, "probe_late_ms") / 1e3
    server = rows.run.case.server
    if server is None or server.name != "uvicorn" or server.workers < 2 or late_s < UVICORN_HEALTH_S:
        return None
    return (
        f"uvicorn's health check of workers ({UVICORN_HEALTH_S} s) would have killed one: its threads stood still for "
        f"{late_s:.0f} s"
    )


def balancer_timeout(rows: RunRows, _telemetry: pa.Table) -> str | None:
    """Requests took longer than a load balancer waits."""
    took_ns = rows.duration_ns("service", rows.arrived & ~rows.is_victim)
    late = int((took_ns >= BALANCER_TIMEOUT_S * NS).sum())
    if not late:
        return None
    return f"a load balancer ({BALANCER_TIMEOUT_S} s) would have answered {late:,} of {took_ns.size:,} with 504"


def _greatest_ms(rows: RunRows, telemetry: pa.Table, column: str) -> float:
    """Its greatest value over the window's samples; 0 without any."""
    time_ns = telemetry.column("time_ns")
    inside = pc.and_(pc.greater(time_ns, rows.window.start_ns), pc.less_equal(time_ns, rows.window.end_ns))
    return float(pc.max(telemetry.filter(inside).column(column)).as_py() or 0.0)


RULES: Mapping[str, Callable[[RunRows, pa.Table], str | None]] = {
    "liveness": liveness,
    "gunicorn_timeout": gunicorn_timeout,
    "uvicorn_health": uvicorn_health,
    "balancer_timeout": balancer_timeout,
}
"""By name, in the order of docs/schema.md."""


def kills(rows: RunRows, telemetry: pa.Table) -> tuple[Kill, ...]:
    """Apply every rule to a run; empty without a window."""
    if rows.run.window is None:
        return ()
    found = {rule: find(rows, telemetry) for rule, find in RULES.items()}
    return tuple(Kill(rule=rule, evidence=evidence) for rule, evidence in found.items() if evidence)
