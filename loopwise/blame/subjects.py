"""What a blame pass serves: the cases of a suite or of one app, each app once, with its distinct endpoints."""

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from loopwise.errors import UsageError
from loopwise.model import Case
from loopwise.suite import load_suite, make_suite
from loopwise.suite.locations import APP_TARGET
from loopwise.suite.scaffold import own_endpoints
from loopwise.suite.trial import trial_document


def subjects(target: str, endpoints: Sequence[str], app_dir: Path, python: Path | None) -> list[Case]:
    """A case for every server that has to be started.

    Raises:
        UsageError: the arguments are wrong, or nothing is left that can be served.
    """
    if not re.fullmatch(APP_TARGET, target):
        if endpoints or python is not None or app_dir != Path():
            raise UsageError(
                "blame: --endpoint, --app-dir and --python go with an app (module:app), and "
                f"{target!r} is read as a suite; leave them out"
            )
        return distinct(load_suite(target).cases)
    wanted = list(endpoints)
    if not wanted:
        interpreter = str(python) if python else sys.executable
        wanted = [
            f"GET {each['path']}"
            for each in own_endpoints(target, app_dir, interpreter)
            if each["method"] == "GET" and "{" not in each["path"]
        ]
    if not wanted:
        raise UsageError(
            f"blame: {target} names no GET route without parameters; give --endpoint 'GET /x' yourself"
        )
    document = trial_document(target, wanted, workers="1", users=1, app_dir=app_dir, python=python)
    return distinct(make_suite(document, label="blame", folder=Path.cwd()).cases)


def distinct(cases: Sequence[Case]) -> list[Case]:
    """One case for each app, or workload and mode, with all endpoints that its cases ask for.

    Raises:
        UsageError: no case has a server that we start.
    """
    merged: dict[tuple[str, ...], Case] = {}
    for case in cases:
        if case.server is None or case.scenario is not None:
            continue
        app = case.app
        key = (
            (app.target, app.app_dir, app.python)
            if app
            else (case.workload, *case.modes, repr(case.features), repr(case.parts))
        )
        before = merged.get(key)
        known = before.endpoints if before else ()
        new = tuple(each for each in case.endpoints if each.name not in {one.name for one in known})
        merged[key] = (before or case).model_copy(update={"endpoints": known + new})
    if not merged:
        raise UsageError(
            "blame: no case starts a server and names its endpoints; a running server (url) or a Locust "
            "file (scenario) can't be looked into, so name the app itself"
        )
    return list(merged.values())
