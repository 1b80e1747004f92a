"""Which workload runs in which mode on which server: asked of real servers, one after the other."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from loopwise import target
from loopwise.command_lines import REFUSALS, SERVERS
from loopwise.errors import RunError
from loopwise.model import Case, Load, Server
from loopwise.servers import RunningServer, serve

RUNS = "✓"
ANSWER_TIMEOUT_S = 10.0
CPU_ITERATIONS_PER_MS = 1000.0
"""Nothing is timed here, so any constant does; without one each worker would measure it first."""


def combinations() -> list[dict[str, Any]]:
    """A row per workload and mode with a column per server: a tick, or the sentence that says why not.

    One server after the other runs with every workload and mode, on one worker, and each route is asked once.
    """
    found = target.catalogue()
    routes = [(workload, mode) for workload in found["workloads"] for mode in found["modes"]]
    asked = [{"workload": workload, "params": {}, "mode": mode, "features": ""} for workload, mode in routes]
    told = dict(zip(routes, target.describe(asked), strict=True))
    paths = {route: answer.path for route, answer in told.items() if answer.ok}
    columns = {name: _answers(name, paths) for name in SERVERS}
    return [
        {"workload": workload, "mode": mode}
        | {
            name: answers.get((workload, mode), told[workload, mode].error)
            for name, answers in columns.items()
        }
        for workload, mode in routes
    ]


def refused_keys() -> list[dict[str, str]]:
    """What servers can't do: a row per server and suite key."""
    return [
        {"server": name, "key": key, "allowed": refused.allowed, "because": refused.because}
        for name, keys in REFUSALS.items()
        for key, refused in keys.items()
    ]


def _answers(name: str, paths: dict[tuple[str, str], str]) -> dict[tuple[str, str], str]:
    try:
        with (
            _server(name) as server,
            httpx.Client(base_url=server.url, timeout=ANSWER_TIMEOUT_S, trust_env=False) as client,
        ):
            return {route: _answer(client, path) for route, path in paths.items()}
    except RunError as error:
        return dict.fromkeys(paths, str(error).partition("\n")[0])


def _answer(client: httpx.Client, path: str) -> str:
    try:
        answer = client.get(path)
    except httpx.HTTPError as error:
        return f"no answer ({type(error).__name__})"
    if answer.status_code == httpx.codes.OK:
        return RUNS
    return f"answered {answer.status_code}: {' '.join(answer.text.split())[:200]}"


@contextmanager
def _server(name: str) -> Iterator[RunningServer]:
    """The target app with all that it has: mode `own` is not restricted to one workload."""
    server = Server.model_validate({"name": name, "pool_processes": 1})
    case = Case(case_id="all", workload="all", mode="own", server=server, endpoints=(), load=Load())
    scratch = Path(tempfile.mkdtemp(prefix="loopwise-"))
    calibration = {"cpu_iterations_per_ms": CPU_ITERATIONS_PER_MS}
    try:
        with serve(case, scratch=scratch, log=scratch / "server.log", calibration=calibration) as running:
            yield running
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
