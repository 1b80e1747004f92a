"""Ask an app, in its own interpreter, what it offers: its operations with requests to send, and what is left out."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from loopwise.errors import UsageError
from loopwise.model import App
from loopwise.paths import target_app_dir
from loopwise.suite import locations
from loopwise.suite.file import Source
from loopwise.suite.openapi import Listing, base_path, hidden, operations

IMPORT_TIMEOUT_S = 60.0
PROBE_ERROR = "AppError: "


def named_app(command: str, target: str, app_dir: Path, python: Path | None) -> App:
    """The app that a command line names, its paths relative to the working directory.

    Raises:
        SuiteError: it has not the form of an app, or folder or interpreter don't exist.
    """
    source = Source(label=command, folder=Path.cwd())
    return App(
        target=locations.app_target(target, ("--app",), source),
        app_dir=locations.folder(str(app_dir), ("--app-dir",), source),
        python=locations.interpreter(str(python), ("--python",), source) if python else sys.executable,
    )


def listing(app: App) -> Listing:
    """List what an app offers, by its OpenAPI documents and its routes. The app is imported, not started.

    Raises:
        UsageError: the app can't be imported there.
    """
    with tempfile.TemporaryDirectory(prefix="loopwise-") as name:
        scratch = Path(name)
        for module in ("probe", "routes"):
            shutil.copy(target_app_dir() / "target_app" / f"{module}.py", scratch / f"loopwise_{module}.py")
        found = _ask(app, scratch)
    listed = []
    for each in found["documents"]:
        prefix = each["prefix"] + (base_path(each["document"]) if each["is_served"] else "")
        listed += operations(each["document"], prefix)
    listed += [hidden(**each) for each in found["hidden"]]
    return Listing(listed, found["left_out"])


def _ask(app: App, scratch: Path) -> dict[str, Any]:
    search_path = os.pathsep.join(filter(None, [str(scratch), os.environ.get("PYTHONPATH")]))
    env = {**os.environ, "PYTHONPATH": search_path, "LOOPWISE_APP": app.target, "LOOPWISE_APP_DIR": app.app_dir}
    answer = scratch / "routes.json"
    try:
        asked = subprocess.run(
            [app.python, str(scratch / "loopwise_routes.py"), str(answer)],
            capture_output=True,
            text=True,
            errors="replace",
            env=env,
            cwd=app.app_dir,
            timeout=IMPORT_TIMEOUT_S,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        raise UsageError(
            f"{app.target}: importing it took over {IMPORT_TIMEOUT_S:g} s; move its work out of import"
        ) from None
    except OSError as error:
        raise UsageError(f"{app.target}: {app.python} can't be started: {error.strerror}; check --python") from None
    try:
        found: dict[str, Any] = json.loads(answer.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        last = (asked.stderr.strip().splitlines() or [f"it ended with status {asked.returncode} and printed nothing"])[
            -1
        ]
        raise UsageError(f"{app.target}: {last.partition(PROBE_ERROR)[2] or last}") from None
    return found
