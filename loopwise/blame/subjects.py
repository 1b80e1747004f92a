"""The apps that a blame pass serves: one of somebody's own, or those of a suite, each once."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from loopwise.blame.findings import LISTED, LeftOut
from loopwise.blame.requests import WEBSOCKET
from loopwise.errors import UsageError
from loopwise.model import App, Case, Endpoint
from loopwise.model.modes import OWN
from loopwise.suite import load_suite, make_suite
from loopwise.suite.locations import APP_TARGET
from loopwise.suite.own_app import listing, named_app, named_env_file
from loopwise.suite.scaffold import trial_document


@dataclass(frozen=True)
class Subjects:
    """Cases to serve, and the endpoints that are not asked."""

    cases: list[Case]
    left_out: list[LeftOut] = field(default_factory=list)
    """Endpoints of the app that are not asked, with the reason; empty where they were named."""


def subjects(
    target: str,
    endpoints: Sequence[str],
    app_dir: Path,
    python: Path | None,
    *,
    cwd: Path | None = None,
    env_file: Path | None = None,
    request: Mapping[str, Any] | None = None,
    overrides: Sequence[str] = (),
    include_unsafe: bool = False,
) -> Subjects:
    """A case for every server that has to be started: of an app, or of a suite, each app once.

    Args:
        target: `module:app`, or a suite.
        endpoints: `GET /x`, or `WS /x` for a WebSocket.
        app_dir: folder that the app is imported from.
        python: its interpreter; None: ours.
        cwd: the server's working directory; None: as `started_in` finds it.
        env_file: file with variables of the app.
        request: `headers`, `json` and `expect_status` of every endpoint, as in a suite.
        overrides: `--set` strings.
        include_unsafe: without `endpoints`, what may change data is asked, too.

    Raises:
        UsageError: the arguments are wrong, or nothing is left that can be served.
    """
    if not re.fullmatch(APP_TARGET, target):
        if endpoints or app_dir != Path() or request or any(each is not None for each in (python, cwd, env_file)):
            raise UsageError(
                "blame: --endpoint, --app-dir, --python, --cwd, --env-file, --header, --body and --expect-status go "
                f"with an app (module:app), and {target!r} is read as a suite; leave them out"
            )
        return Subjects(distinct(load_suite(target, overrides).cases))
    sockets = [each.partition(" ")[2] for each in endpoints if each.startswith(f"{WEBSOCKET} ")]
    wanted: list[str | dict[str, Any]] = [each for each in endpoints if not each.startswith(f"{WEBSOCKET} ")]
    left_out: list[LeftOut] = []
    if not endpoints:
        app = named_app("blame", target, app_dir, python, cwd)
        wanted, left_out = offered(app, named_env_file("blame", env_file), include_unsafe=include_unsafe)
    document = trial_document(
        target,
        wanted or ["GET /"],
        workers="1",
        users=1,
        app_dir=app_dir,
        python=python,
        cwd=cwd,
        env_file=env_file,
        request=request,
    )
    cases = make_suite(document, label="blame", folder=Path.cwd(), overrides=overrides).cases
    if any(case.server is not None and case.server.interface != "asgi" for case in cases):
        raise UsageError(no_loop(target))
    added = tuple(Endpoint.model_validate({"method": WEBSOCKET, "path": path, **(request or {})}) for path in sockets)
    (case,) = distinct(cases)
    case = case.model_copy(update={"endpoints": (*(case.endpoints if wanted else ()), *added)})
    return Subjects([case], left_out)


def offered(
    app: App, env_file: str | None, *, include_unsafe: bool
) -> tuple[list[str | dict[str, Any]], list[LeftOut]]:
    """The endpoints of an app that may be asked without being named, and the others with a reason for each.

    Raises:
        UsageError: the app can't be imported, or nothing may be asked.
    """
    found = listing(app, env_file)
    if found.interface == "wsgi":
        raise UsageError(no_loop(app.target))
    wanted = [each.endpoint for each in found.active(include_unsafe=include_unsafe)]
    reasons = [(each.name, each.inactive(include_unsafe=include_unsafe)) for each in found.operations]
    left_out = [LeftOut(endpoint=name, reason=reason) for name, reason in reasons if reason]
    left_out += [LeftOut(endpoint=each) for each in found.left_out]
    if not wanted:
        listed = "; ".join(map(str, left_out[:LISTED])) or "it has no route"
        raise UsageError(
            f"blame: no route of {app.target} can be chosen for you: {listed}; name one by --endpoint 'GET /x'"
            + ("" if include_unsafe or not left_out else ", or allow what may change data by --include-unsafe")
        )
    return wanted, left_out


def no_loop(target: str) -> str:
    """The sentence for an app that runs in threads alone."""
    return (
        f"blame: {target} is a WSGI app, which has no event loop to hold; measure it by run or try, which tell where "
        "its threads stand"
    )


def distinct(cases: Sequence[Case]) -> list[Case]:
    """One case for each app, or workload and mode, with the endpoints of all its cases.

    Raises:
        UsageError: no case has a server that we start.
    """
    merged: dict[tuple[str, ...], Case] = {}
    for case in cases:
        if case.server is None or case.server.interface != "asgi":
            continue
        app = case.app
        subject = (
            (app.model_dump_json(), case.server.model_dump_json(include={"env", "env_file"}))
            if app
            else (case.workload, *case.modes, repr(case.features), repr(case.parts))
        )
        key = (*subject, case.scenario or "")
        # Lines are blamed of the app as it is written.
        known = merged.setdefault(key, case.model_copy(update={"mode": OWN.name, "patch": None}) if app else case)
        names = {each.name for each in known.endpoints}
        new = tuple(each for each in case.endpoints if each.name not in names)
        merged[key] = known.model_copy(update={"endpoints": known.endpoints + new})
    if not merged:
        raise UsageError(
            "blame: no case starts a server with an event loop; a running server (url) can't be observed from inside, "
            "so name the app itself, and a WSGI app has no event loop to hold"
        )
    return list(merged.values())
