"""Try every workload and mode on every server, one server after the other (`list combinations`)."""

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

from loopwise.errors import RunError
from loopwise.model import Case, Endpoint, Load, Part, Server
from loopwise.servers import target
from loopwise.servers.exchange import NoAnswerError, ask
from loopwise.servers.lifecycle import RunningServer, serve
from loopwise.servers.origin import Origin, resolve
from loopwise.servers.services import SERVICES, Services
from loopwise.servers.specs import SERVERS
from loopwise.servers.wire import endpoint_bytes

RUNS = "✓"
ANSWER_TIMEOUT_S = 10.0
CPU_ITERATIONS_PER_MS = 1000.0
"""Nothing is timed here, so any constant will do; without one each worker would measure it first."""


def combinations() -> list[dict[str, Any]]:
    """A row per workload and mode, with a column per server: a tick, or a sentence with the reason.

    Each server runs with every workload and mode, on one worker, and each route is requested once.
    """
    offered = target.catalogue()
    routes = [(workload, mode) for workload in offered["workloads"] for mode in offered["modes"]]
    requests = [{"workload": workload, "params": {}, "mode": mode, "features": ""} for workload, mode in routes]
    described = dict(zip(routes, target.describe(requests), strict=True))
    reasons = {route: _why_not(description) for route, description in described.items()}
    paths = {route: description.path for route, description in described.items() if reasons[route] is None}
    needs = tuple(dict.fromkeys(need for route in paths for need in described[route].needs))
    folder = Path(tempfile.mkdtemp(prefix="loopwise-"))
    try:
        with Services(folder) as services:
            columns = {name: _answers(name, paths, services, needs) for name in SERVERS}
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return [
        {"workload": workload, "mode": mode}
        | {name: answers.get((workload, mode), reasons[workload, mode]) for name, answers in columns.items()}
        for workload, mode in routes
    ]


def _why_not(description: target.Description) -> str | None:
    """Why a route is not requested: it does not exist, or a service that it needs can't be started here."""
    missing = [
        f"service {name} can't be started: {why}" for name in description.needs if (why := SERVICES[name].missing())
    ]
    return description.error if not description.ok else missing[0] if missing else None


def _answers(
    name: str, paths: dict[tuple[str, str], str], services: Services, needs: tuple[str, ...]
) -> dict[tuple[str, str], str]:
    try:
        with (
            services.during(needs, name) as variables,
            _server(name, list(paths), variables) as server,
        ):
            origin = resolve(server.url)
            return {route: _answer(origin, path) for route, path in paths.items()}
    except RunError as error:
        return dict.fromkeys(paths, str(error).partition("\n")[0])


def _answer(origin: Origin, path: str) -> str:
    request = endpoint_bytes(Endpoint(path=path), origin.host_header)
    try:
        answer = ask(origin, request, timeout_s=ANSWER_TIMEOUT_S)
    except NoAnswerError as error:
        return error.what
    return RUNS if answer.status == HTTPStatus.OK else f"answered {answer.status}: {answer.text[:200]}"


@contextmanager
def _server(name: str, routes: Sequence[tuple[str, str]], variables: Mapping[str, str]) -> Iterator[RunningServer]:
    """The target app with all these routes."""
    parts = tuple(Part(workload=workload, mode=mode) for workload, mode in routes)
    server = Server.model_validate({"name": name, "pool_processes": 1})
    case = Case(case_id="all", workload="all", mode="mix", parts=parts, server=server, endpoints=(), load=Load())
    scratch = Path(tempfile.mkdtemp(prefix="loopwise-"))
    calibration = {"cpu_iterations_per_ms": CPU_ITERATIONS_PER_MS}
    try:
        with serve(
            case, scratch=scratch, log=scratch / "server.log", calibration=calibration, services=variables
        ) as running:
            yield running
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
