"""Which endpoints of an app are asked, which are left out and why, and which one is the canary."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from loopwise.advise.rows import AdviceRow, untried
from loopwise.errors import EndpointError, UsageError
from loopwise.model import App, Case, Endpoint
from loopwise.servers import lifecycle
from loopwise.servers.exchange import Answer
from loopwise.servers.lifecycle import check_endpoint, quoting
from loopwise.servers.processes import temporary_folder
from loopwise.suite.own_app import listing

LISTED = 8
PATIENCE_S = 10.0
"""An endpoint that takes longer when nobody else asks is not measured."""
HEALTH = re.compile(r"/(_*(health|ready|live)\w*|ping|status|up)(/(live|ready)\w*)?/?")
"""Paths that are cheap by convention."""

Wanted = str | dict[str, Any]


@dataclass(frozen=True)
class Chosen:
    """Endpoints to ask, as a suite writes them, and those left out."""

    wanted: list[Wanted]
    left_out: list[AdviceRow] = field(default_factory=list)
    distributions: frozenset[str] = frozenset()
    """Installed in the app's interpreter."""


def choose(
    app: App, env_file: str | None, named: Sequence[str], *, include_unsafe: bool, logs_in: bool = False
) -> Chosen:
    """Choose the endpoints: the named ones, or those of the OpenAPI documents that may be asked without being named.

    Args:
        app: whose.
        env_file: absolute path of a file with its variables.
        named: `GET /x`.
        include_unsafe: whether what may change data may be asked as well.
        logs_in: whether requests carry a header that may be a login.

    Raises:
        UsageError: the app can't be imported, is a WSGI app, or offers nothing that may be asked.
    """
    found = listing(app, env_file)
    if found.interface == "wsgi":
        raise UsageError(
            f"advise: {app.target} is a WSGI app, which has neither an event loop nor modes; measure it by run or try"
        )
    if named:
        described = {each.name: each.endpoint for each in found.operations}
        return Chosen([described.get(each, each) for each in named], distributions=found.distributions)
    reasons = [(each.name, each.inactive(include_unsafe=include_unsafe, logs_in=logs_in)) for each in found.operations]
    left_out = [untried(name, reason) for name, reason in reasons if reason]
    left_out += [untried(each, "can't be asked by a load of single requests") for each in found.left_out]
    wanted = [each.endpoint for each in found.active(include_unsafe=include_unsafe, logs_in=logs_in)]
    if not wanted:
        listed = "; ".join(f"{each.endpoint} ({each.reason})" for each in left_out[:LISTED]) or "it has no route"
        raise UsageError(
            f"advise: no endpoint of {app.target} can be chosen for you: {listed}; name one by --endpoint 'GET /x'"
            + ("" if include_unsafe or not left_out else ", or allow what may change data by --include-unsafe")
        )
    return Chosen(wanted, left_out, found.distributions)


@dataclass(frozen=True)
class FirstAnswers:
    """Answers to single requests, before any load."""

    alone_ms: Mapping[str, float]
    """By endpoint, of those that answer as they should."""
    faults: Mapping[str, str]
    """By endpoint: why it can't be measured."""
    canary: str | None
    """Path of the canary."""


def ask_first(case: Case, canary: str | None = None) -> FirstAnswers:
    """Ask each endpoint of a case twice, one after the other, on a server as written.

    Args:
        case: with all endpoints.
        canary: its path; None: one is chosen.

    Raises:
        ServerError: the app can't be served.
        UsageError: the canary that was named does not answer.
    """
    alone_ms: dict[str, float] = {}
    faults: dict[str, str] = {}
    with temporary_folder() as scratch:
        log = scratch / "server.log"
        with lifecycle.serve(case, scratch=scratch, log=log, calibration={}, asks=False) as running:
            for each in case.endpoints:
                try:
                    alone_ms[each.name] = _alone_ms(each, running.url, log)
                except EndpointError as error:
                    faults[each.name] = str(error)
            plain = [each.path for each in case.endpoints if each.method == "GET" and each.name in alone_ms]
            quick = sorted(plain, key=lambda path: (not HEALTH.fullmatch(path), alone_ms[f"GET {path}"]))
            paths = [canary] if canary is not None else quick[:3]
            for path in paths:
                try:
                    _alone_ms(Endpoint(path=path), running.url, log)
                except EndpointError as error:
                    if canary is not None:
                        raise UsageError(f"--canary: {error}") from None
                else:
                    return FirstAnswers(alone_ms, faults, path)
    return FirstAnswers(alone_ms, faults, None)


def _alone_ms(endpoint: Endpoint, url: str, log: Path) -> float:
    answers: list[Answer] = []
    with quoting(log):
        for _ in range(2):
            check_endpoint(endpoint, {}, url=url, timeout_s=PATIENCE_S, on_answer=answers.append)
    return answers[-1].duration_s * 1e3
