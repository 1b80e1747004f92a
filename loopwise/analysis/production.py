"""Rules by which a supervisor or load balancer in production would have ended a server or its requests.

To add a rule: one function that takes the run's rows and telemetry and returns its evidence (or None where it would not
have fired), and one entry in RULES.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from loopwise.analysis.rows import RunRows
from loopwise.model import Kill, Server

NS = 1_000_000_000
LIVENESS_PERIOD_S, LIVENESS_TIMEOUT_S, LIVENESS_MISSES = 10, 1, 3
"""Kubernetes' defaults of periodSeconds, timeoutSeconds and failureThreshold."""
LEAST_PROBES = 10
"""Canaries by which a short window stands for what comes after it: half a second of them."""
GUNICORN_TIMEOUT_S = 30
"""gunicorn's --timeout: its asynchronous workers send their heartbeat from the event loop."""
UVICORN_WORKER_BEAT_S = 15
"""uvicorn-worker sends it every half of the timeout: a stall may begin when the last one is that old. gunicorn's own
ASGI worker sends one every second."""
UVICORN_HEALTH_S, UVICORN_HEALTH_OPTION = 5.0, "--timeout-worker-healthcheck"
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
    """A worker sent no heartbeat for as long as gunicorn waits: its event loop was held, or it served one request."""
    server = rows.run.case.server
    if server is None or not server.name.startswith("gunicorn"):
        return None
    if server.interface == "wsgi":
        return _sync_worker(rows, server)
    beat_s = UVICORN_WORKER_BEAT_S if server.name == "gunicorn" else 0
    stall = _longest(rows, telemetry, "loop_stall_max_ms")
    if stall.lasted_s < GUNICORN_TIMEOUT_S - beat_s:
        return None
    held = f"its loop was held for {stall.lasted_s:.0f} s"
    if stall.is_end and server.timeouts == "production":
        return f"gunicorn's --timeout {GUNICORN_TIMEOUT_S} has killed a worker: {held}"
    if stall.lasted_s < GUNICORN_TIMEOUT_S:
        held += f", and uvicorn-worker's heartbeat, which comes every {beat_s} s, may have been due soon"
        return f"gunicorn's --timeout {GUNICORN_TIMEOUT_S} may kill a worker: {held}"
    return f"gunicorn's --timeout {GUNICORN_TIMEOUT_S} would have killed a worker: {held}"


def _sync_worker(rows: RunRows, server: Server) -> str | None:
    """The worker for WSGI apps with one thread; the one with several sends its heartbeat beside their requests."""
    name, alone_ms = max(rows.run.alone_ms.items(), key=lambda each: each[1], default=("", 0.0))
    if server.keeps_connections or alone_ms < GUNICORN_TIMEOUT_S * 1e3:
        return None
    took = f"{name} takes {alone_ms / 1e3:.0f} s, in which its worker `sync` sends no heartbeat"
    return f"gunicorn's --timeout {GUNICORN_TIMEOUT_S} would have killed a worker: {took}"


def uvicorn_health(rows: RunRows, telemetry: pa.Table) -> str | None:
    """No thread of a worker could run for longer than uvicorn's supervisor waits."""
    server = rows.run.case.server
    if server is None or server.name != "uvicorn" or server.workers < 2:
        return None
    limit_s = _uvicorn_health_s(server)
    pause = _longest(rows, telemetry, "probe_late_ms")
    if pause.lasted_s < limit_s:
        return None
    killed = "has killed one" if pause.is_end else "would have killed one"
    return (
        f"uvicorn's health check of workers ({limit_s:g} s) {killed}: none of its threads could run for "
        f"{pause.lasted_s:.3g} s (code that holds the GIL)"
    )


def _uvicorn_health_s(server: Server) -> float:
    """Seconds that its supervisor waits, as the suite starts it."""
    for option, value in pairwise([*server.server_args, ""]):
        name, _, own = option.partition("=")
        if name == UVICORN_HEALTH_OPTION:
            with suppress(ValueError):
                return float(own or value)
    return UVICORN_HEALTH_S


def balancer_timeout(rows: RunRows, _telemetry: pa.Table) -> str | None:
    """Requests took longer than a load balancer waits."""
    took_ns = rows.duration_ns("service", rows.arrived & ~rows.is_victim)
    late = int((took_ns >= BALANCER_TIMEOUT_S * NS).sum())
    if not late:
        return None
    return f"a load balancer ({BALANCER_TIMEOUT_S} s) would have answered {late:,} of {took_ns.size:,} with 504"


class _Pause(NamedTuple):
    """The longest time in which a worker, or its loop, stood still."""

    lasted_s: float
    is_end: bool
    """Whether the worker ended in it."""


def _longest(rows: RunRows, telemetry: pa.Table, column: str) -> _Pause:
    """The window's longest pause by a column of milliseconds.

    The probe of a worker that is killed writes no more: from its last line to the worker's end it stood still as well.
    """
    window = rows.window
    samples = telemetry.select(["time_ns", "pid", "role", column]).to_pandas()
    samples = samples[samples["time_ns"].between(window.start_ns, window.end_ns) & (samples["role"] == "server")]
    ended = {worker.pid for worker in rows.run.workers if worker.fate == "ended"}
    longest = _Pause(0.0, is_end=False)
    for pid, mine in samples.groupby("pid"):
        reported = mine[mine[column].notna()]
        if reported.empty:
            continue
        pauses = [_Pause(float(reported[column].max()) / 1e3, is_end=False)]
        if pid in ended:
            silent_s = float(mine["time_ns"].iloc[-1] - reported["time_ns"].iloc[-1]) / NS
            pauses.append(_Pause(silent_s + float(reported[column].iloc[-1]) / 1e3, is_end=True))
        longest = max(longest, *pauses)
    return longest


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
