"""Carries out a calibration step by step. Steps that fail or lack a tool are named, and the others still run."""

import tempfile
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from loopwise import machine
from loopwise.calibrate.accuracy import measure_latency, measure_schedule
from loopwise.calibrate.bench import Bench, StaticServer, Tell, find_program, serve_static
from loopwise.calibrate.cost import measure_cost, measure_memory
from loopwise.calibrate.packets import obstacle
from loopwise.calibrate.peers import installed
from loopwise.calibrate.records import Calibration, Missing
from loopwise.calibrate.targets import judge
from loopwise.errors import RunError
from loopwise.generator.client import generators
from loopwise.servers.specs import PACKAGES

WITHOUT_NGINX = Missing(
    tool="nginx",
    effect="a built-in server in Python answers, and becomes the bottleneck earlier",
    remedy="install it: `sudo apt install nginx-light` (it is started as a plain process, never as a service)",
)


class Effort(NamedTuple):
    """Length of a calibration; window_s scales most of it."""

    window_s: float
    warmup_s: float
    rounds: int
    users: int
    """Virtual users of the memory step."""


FULL = Effort(window_s=1.5, warmup_s=0.5, rounds=4, users=10_000)
"""About two minutes."""
QUICK = Effort(window_s=0.3, warmup_s=0.2, rounds=2, users=1_000)
"""About 35 seconds, most of it the start of processes."""


def calibrate(effort: Effort, *, seed: int, tell: Tell) -> Calibration:
    """Measure everything on this machine.

    Args:
        effort: FULL, QUICK, or another.
        seed: of the order of tools in the rounds, and of arrivals.
        tell: receives a line per step, as it begins.

    Raises:
        RunError: the static server or the generator can't be started at all.
    """
    machine.raise_open_files_limit()
    begun_s, clock, cores = time.monotonic(), machine.cpu_clock(), machine.core_numbers()
    # The first and the last core for themselves; with one core they share it.
    server_core, generator_core = (cores[0], cores[-1]) if len(cores) > 1 else (None, None)
    created_at = datetime.now(UTC).isoformat(timespec="seconds")
    with tempfile.TemporaryDirectory(prefix="loopwise-calibrate-") as name:
        folder = Path(name)
        log = folder / "generator.log"
        (folder / "server").mkdir()
        with serve_static(folder / "server", server_core) as server, generators(log) as pool:
            bench = Bench(pool, server, folder, generator_core, seed, effort.window_s, effort.warmup_s, tell)
            measured = _measure(bench, server, effort, log)
    after = machine.cpu_clock()
    calibration = Calibration(
        created_at=created_at,
        duration_s=round(time.monotonic() - begun_s, 1),
        seed=seed,
        window_s=effort.window_s,
        environment=machine.describe(PACKAGES),
        server_core=server_core,
        generator_core=generator_core,
        steal_ratio=(after.steal_s - clock.steal_s) / max(after.total_s - clock.total_s, 1e-9),
        **measured,
    )
    return calibration.model_copy(update={"targets": judge(calibration)})


def _measure(bench: Bench, server: StaticServer, effort: Effort, log: Path) -> Mapping[str, Any]:
    """Carry out all steps; return fields of Calibration."""
    programs, missing = installed()
    no_capture = obstacle(bench.folder)
    if find_program("nginx") is None:
        missing.append(WITHOUT_NGINX)
    if no_capture is not None:
        missing.append(no_capture)
    costs = measure_cost(bench, programs, effort.rounds)
    latency, latency_problems = measure_latency(bench, is_captured=no_capture is None)
    schedule, open_size, schedule_problems = measure_schedule(bench)
    problems = [*costs.problems, *latency_problems, *schedule_problems]
    memory = None
    try:
        memory = measure_memory(bench, effort.users, log)
    except RunError as error:
        problems.append(f"memory per user: {error}")
    return {
        "server": server.name,
        "missing": tuple(missing),
        "problems": tuple(problems),
        "cost": costs.tools,
        "ratios": costs.ratios,
        "latency": latency,
        "schedule": schedule,
        "memory": memory,
        "row_sizes": tuple(size for size in (costs.row_size, open_size) if size is not None),
    }
