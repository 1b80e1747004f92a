"""An app's endpoint in another mode than it is written in: what its server is given."""

import json
import shutil
from pathlib import Path

from loopwise.model import App, Case, Endpoint
from loopwise.model.factors import is_moded
from loopwise.paths import target_app_dir
from loopwise.servers.feeds import first_row
from loopwise.servers.templates import Template

PACKAGE = "loopwise_modes"
"""Name of target_app/own_modes in the folder that its server imports it from."""
TARGET = f"{PACKAGE}.probe:app"
"""The wrapper, as the probe loads it instead of the app."""
REFUSED = f"{PACKAGE}: "
"""Begins the line of the server's log that says why a mode is not possible (target_app/own_modes/moded.py)."""
POOL = "loopwise_process_pool.py"


def install(case: Case, scratch: Path) -> None:
    """Put what another mode needs where the app's interpreter finds it."""
    if is_moded(case):
        source = target_app_dir() / "target_app"
        shutil.copytree(
            source / "own_modes", scratch / PACKAGE, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True
        )
        shutil.copy(source / "process_pool.py", scratch / POOL)


def variables(case: Case, app: App) -> dict[str, object]:
    """The variables that put the wrapper before the app; none where it is served as written."""
    if not is_moded(case):
        return {"LOOPWISE_OWN_MODE": None}
    wanted = {
        "target": app.target,
        "mode": case.mode,
        "dependencies": case.dependencies,
        "endpoints": [_asked(each) for each in case.endpoints],
    }
    return {"LOOPWISE_APP": TARGET, "LOOPWISE_OWN_MODE": json.dumps(wanted)}


def _asked(endpoint: Endpoint) -> tuple[str, str]:
    """Method and path of the request that is made before a run."""
    row = first_row(endpoint.feed) if endpoint.feed else {}
    method, path, _ = Template(endpoint, "localhost").fill(row).split(b" ", 2)
    return method.decode(), path.decode()
