"""Suites that Loopwise writes: a commented one to start from (`init`), and the one behind `try`."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from loopwise.errors import UsageError
from loopwise.paths import target_app_dir
from loopwise.results.folder import write_atomically
from loopwise.suite.to_toml import toml

IMPORT_TIMEOUT_S = 60.0
ASK = """
import json, sys
import loopwise_probe
operations = []
openapi = getattr(loopwise_probe.app.app, "openapi", None)
paths = openapi()["paths"] if callable(openapi) else {}
for path, methods in paths.items():
    for method, operation in methods.items():
        operations.append({"method": method.upper(), "path": path, "body": "requestBody" in operation})
sys.stderr.flush()
print("\\n" + json.dumps(operations))
"""
"""Program for the app's own interpreter; the probe imports the app as a server would."""

HEAD = """\
# A Loopwise suite. Check it:   bench.py check {file}
#                  Measure it:  bench.py run {file}
name = "{name}"
description = "{description}"
seed = 1

[load]
model = "closed"      # users who each wait for an answer before they ask again
users = 50            # a list measures each: users = [1, 10, 50]
warmup_s = 1.0
measure_s = 3.0
# victim = "/health"  # a cheap route that is probed beside the load: does it suffer?

[replicates]
min = 3               # each on a freshly started server; intervals come from them
max = 6               # more are run until every interval is narrow enough
target_half_width = 0.05
"""
BUILT_IN = """
# What is measured: the product of the lists. `bench.py list workloads` shows the workloads.
[[matrix]]
workload = "sleep"
params = {{ ms = 20 }}
mode = ["async", "sync", "blocking"]
workers = [1]

[compare]
baseline = {{ mode = "sync" }}   # verdicts: every case against the one that differs only in this
margin = 0.05                  # differences within ±5 % do not matter
"""
OWN = """
[[matrix]]
app = {app}
app_dir = {app_dir}
python = {python}
workers = [1, 2]
endpoint = [
{endpoints}
]

[compare]
baseline = {{ workers = 1 }}     # verdicts: every case against the one that differs only in this
margin = 0.05                  # differences within ±5 % do not matter
"""


def write_suite(folder: Path, app: str | None, *, app_dir: Path, python: Path | None) -> Path:
    """Write suite.toml; returns its path.

    Raises:
        UsageError: there is a suite already, or the app can't be imported.
    """
    path = folder / "suite.toml"
    if path.exists():
        raise UsageError(f"init: {path} exists already; name another folder, or remove it")
    if app is None:
        text = HEAD.format(file=path, name="mine", description="sleep in three modes") + BUILT_IN.format()
    else:
        interpreter = str(python) if python else sys.executable
        endpoints = own_endpoints(app, app_dir, interpreter)
        head = HEAD.format(file=path, name=app.partition(":")[0].partition(".")[0], description=f"endpoints of {app}")
        text = head + OWN.format(
            app=toml(app),
            app_dir=toml(os.path.relpath(app_dir, folder)),
            python=toml(os.path.abspath(interpreter)),  # noqa: PTH100 - resolving would leave the venv
            endpoints="\n".join(_endpoint_line(each) for each in endpoints) or '  "GET /",',
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(path, text)
    except OSError as error:
        raise UsageError(
            f"init: {error.filename}: {error.strerror}, so no suite can be written there; name another folder"
        ) from None
    return path


def own_endpoints(app: str, app_dir: Path, python: str) -> list[dict[str, Any]]:
    """List the operations of an app's OpenAPI document: method, path, whether it takes a body; [] without a document.

    Raises:
        UsageError: the app can't be imported there.
    """
    with tempfile.TemporaryDirectory(prefix="loopwise-") as scratch:
        shutil.copy(target_app_dir() / "target_app" / "probe.py", Path(scratch) / "loopwise_probe.py")
        folder = str(app_dir.resolve())
        env = {**os.environ, "PYTHONPATH": scratch, "LOOPWISE_APP": app, "LOOPWISE_APP_DIR": folder}
        try:
            asked = subprocess.run(
                [python, "-c", ASK],
                capture_output=True,
                text=True,
                env=env,
                cwd=folder,
                timeout=IMPORT_TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise UsageError(
                f"init: importing {app} took over {IMPORT_TIMEOUT_S:g} s; move its work out of import"
            ) from None
        except OSError as error:
            raise UsageError(f"init: {python} or {folder}: {error.strerror}; check --python and --app-dir") from None
    lines = asked.stdout.strip().splitlines()
    if asked.returncode or not lines:
        last = (asked.stderr.strip().splitlines() or ["it printed nothing"])[-1]
        raise UsageError(f"init: {last.partition('AppError: ')[2] or last}")
    operations: list[dict[str, Any]] = json.loads(lines[-1])
    return operations


def _endpoint_line(endpoint: dict[str, Any]) -> str:
    """Make a line of the list; an endpoint that needs a value stays a comment to fill in."""
    name = toml(f"{endpoint['method']} {endpoint['path']}")
    if endpoint["body"]:
        method, path = toml(endpoint["method"]), toml(endpoint["path"])
        return f"  # {{ method = {method}, path = {path}, json = {{}} }},  # fill in the body"
    if "{" in endpoint["path"]:
        return f"  # {name},  # fill in the parameter"
    return f"  {name},"


def trial_document(
    target: str, endpoints: Sequence[str], *, workers: str, users: int, app_dir: Path, python: Path | None
) -> dict[str, Any]:
    """Make the document of a suite that measures endpoints of an app, or of a server that already runs.

    Args:
        target: `module:app`, or a URL.
        endpoints: `GET /items/1`.
        workers: `1,2`.
        users: of closed load.
        app_dir: folder the app is imported from, relative to the working directory.
        python: interpreter of the app; None: ours.

    Raises:
        UsageError: `workers` is not a list of numbers.
    """
    entry: dict[str, Any] = {"endpoint": list(endpoints)}
    document: dict[str, Any] = {
        "name": "try",
        "load": {"users": users, "warmup_s": 1.0, "measure_s": 3.0},
        "replicates": {"min": 3, "max": 6},
        "matrix": [entry],
    }
    if "://" in target:
        entry["url"] = target
        return document
    entry |= {"app": target, "app_dir": str(app_dir), "workers": _numbers(workers)}
    if python is not None:
        entry["python"] = str(python)
    if len(entry["workers"]) > 1:
        document["compare"] = {"baseline": {"workers": entry["workers"][0]}}
    return document


def _numbers(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise UsageError(f"--workers: got {text!r}, allowed are numbers and commas; write 1,2,4") from None
