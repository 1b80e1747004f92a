"""Ask an app, in its own interpreter, what it offers: its operations with requests to send, and what is left out."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from loopwise.errors import ServerError, UsageError
from loopwise.model import App, Server
from loopwise.paths import target_app_dir
from loopwise.servers import processes
from loopwise.servers.environment import app_variables, base_environment, with_variables
from loopwise.servers.fresh import Copies
from loopwise.servers.installed import installed_version
from loopwise.servers.specs import PACKAGES
from loopwise.suite import locations
from loopwise.suite.file import Source
from loopwise.suite.openapi import Listing, base_path, hidden, operations
from loopwise.visible import encodable

IMPORT_TIMEOUT_S = 180.0
"""Models may be loaded at import."""
PROBE_ERROR = "AppError: "


def named_app(command: str, target: str, app_dir: Path, python: Path | None, cwd: Path | None = None) -> App:
    """The app that a command line names, its paths relative to the working directory.

    Raises:
        SuiteError: it has not the form of an app, or a folder or the interpreter doesn't exist.
    """
    source = Source(label=command, folder=Path.cwd())
    cwd = locations.started_in(app_dir, cwd)
    return App(
        target=locations.app_target(target, ("--app",), source),
        app_dir=locations.folder(str(app_dir), ("--app-dir",), source),
        python=locations.interpreter(str(python), ("--python",), source) if python else sys.executable,
        cwd=locations.folder(str(cwd), ("--cwd",), source) if cwd else None,
    )


def named_env_file(command: str, path: Path | None) -> str | None:
    """The absolute path of the file of variables that a command line names.

    Raises:
        SuiteError: it can't be read.
    """
    if path is None:
        return None
    return locations.env_file(str(path), ("--env-file",), Source(label=command, folder=Path.cwd()))


def listing(app: App, env_file: str | None = None) -> Listing:
    """List what an app offers, by its OpenAPI documents and its routes. The app is imported, not started.

    Args:
        app: of its `fresh` there are no copies.
        env_file: absolute path of a file with variables.

    Raises:
        UsageError: the app can't be imported there.
    """
    with tempfile.TemporaryDirectory(prefix="loopwise-") as name:
        scratch = Path(name)
        for module in ("probe", "routes"):
            shutil.copy(target_app_dir() / "target_app" / f"{module}.py", scratch / f"loopwise_{module}.py")
        found = _ask(app, env_file, scratch)
    listed = []
    for each in found["documents"]:
        prefix = each["prefix"] + (base_path(each["document"]) if each["is_served"] else "")
        listed += operations(each["document"], prefix)
    listed += [hidden(**each) for each in found["hidden"]]
    return Listing(listed, found["left_out"], found["interface"], frozenset(found["distributions"]))


def _ask(app: App, env_file: str | None, scratch: Path) -> dict[str, Any]:
    variables = {**app_variables(app, Copies()), "LOOPWISE_INTERFACE": "any"}
    env = with_variables(base_environment(Server(env_file=env_file), Copies()), variables)
    env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(scratch), env.get("PYTHONPATH")]))
    try:
        installed_version(app.python, PACKAGES[0], env)
    except ServerError as error:
        raise UsageError(f"{app.target}: {error}") from None
    answer = scratch / "routes.json"
    try:
        asked = processes.ask(
            [app.python, str(scratch / "loopwise_routes.py"), str(answer)],
            env=env,
            cwd=app.folder,
            timeout_s=IMPORT_TIMEOUT_S,
        )
    except subprocess.TimeoutExpired:
        raise UsageError(
            f"{app.target}: importing it took over {IMPORT_TIMEOUT_S:g} s; move its work out of import"
        ) from None
    except OSError as error:
        raise UsageError(f"{app.target}: {app.python} can't be started: {error.strerror}; check --python") from None
    try:
        found: dict[str, Any] = encodable(json.loads(answer.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        silent = f"it ended with status {asked.returncode} and printed nothing"
        last = (asked.stderr.strip().splitlines() or [silent])[-1]
        raise UsageError(f"{app.target}: {last.partition(PROBE_ERROR)[2] or last}") from None
    return found
