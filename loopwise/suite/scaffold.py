"""Suites that Loopwise writes: a commented one to start from (`init`), and the one behind `try`."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from loopwise.errors import UsageError
from loopwise.model import App, modes
from loopwise.results.files import write_atomically
from loopwise.servers.origin import UNIX
from loopwise.servers.specs import WSGI_SERVERS
from loopwise.suite.locations import meant_url, started_in
from loopwise.suite.openapi import Listing
from loopwise.suite.own_app import listing
from loopwise.suite.schema import method_and_path
from loopwise.suite.to_toml import toml

OWN_MODE = modes.OWN.name
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
{more}workers = [1, 2]
# mode = ["own", "sync", "async"]   # also as def and as async def, without an edit; own: as they are written
endpoint = [
{endpoints}
]

[compare]
baseline = {{ workers = 1 }}     # verdicts: every case against the one that differs only in this
margin = 0.05                  # differences within ±5 % do not matter
"""


WSGI = """\
interface = {interface}
server = {server}
# threads = [1, 8]   # per worker{missing}
"""


class Scaffold(NamedTuple):
    """A suite that was written."""

    path: Path
    active: int = 0
    """Endpoints of the app that it measures."""
    commented: int = 0
    """Endpoints that it only names, each with the reason."""
    is_guess: bool = False
    """The app says nothing of its endpoints: the active one is a guess."""


def write_suite(
    folder: Path, app: App | None, *, env_file: str | None = None, include_unsafe: bool = False
) -> Scaffold:
    """Write suite.toml, with an app's own endpoints.

    Args:
        folder: where; it is made if need be.
        app: None: a suite of built-in workloads.
        env_file: absolute path of a file with its variables.
        include_unsafe: endpoints that may change data are measured, too, where the document has a request for them.

    Raises:
        UsageError: there is a suite already, or the app can't be imported.
    """
    path = folder / "suite.toml"
    if path.exists():
        raise UsageError(f"init: {path} exists already; name another folder, or remove it")
    if app is None:
        text, counts = (
            HEAD.format(file=path, name="mine", description="sleep in three modes") + BUILT_IN.format(),
            (0, 0, False),
        )
    else:
        offered = listing(app, env_file)
        more = {"cwd": app.cwd, "env_file": env_file}
        name = app.target.partition(":")[0].partition(".")[0]
        active = len(offered.active(include_unsafe=include_unsafe))
        counts = active, len(offered.operations) - active, not offered.operations
        text = HEAD.format(file=path, name=name, description=f"endpoints of {app.target}") + OWN.format(
            app=toml(app.target),
            app_dir=toml(os.path.relpath(app.app_dir, folder)),
            python=toml(app.python),
            more="".join(f"{key} = {toml(os.path.relpath(path, folder))}\n" for key, path in more.items() if path)
            + (_served_as_wsgi(offered) if offered.interface == "wsgi" else ""),
            endpoints="\n".join(_endpoint_lines(offered, include_unsafe=include_unsafe)),
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(path, text)
    except OSError as error:
        raise UsageError(
            f"init: {error.filename}: {error.strerror}, so no suite can be written there; name another folder"
        ) from None
    return Scaffold(path, *counts)


def _served_as_wsgi(offered: Listing) -> str:
    """The lines that say how a WSGI app is served: by what is installed beside it."""
    found = [name for name in WSGI_SERVERS if name in offered.distributions]
    if not found and {"a2wsgi", "uvicorn"} <= offered.distributions:
        return WSGI.format(interface=toml("a2wsgi"), server=toml("uvicorn"), missing="")
    name, *_ = found or WSGI_SERVERS
    others = "it, or granian, or a2wsgi and uvicorn"
    missing = "" if found else f"\n# {name} is not installed beside the app: install {others}"
    return WSGI.format(interface=toml("wsgi"), server=toml(name), missing=missing)


def _endpoint_lines(offered: Listing, *, include_unsafe: bool) -> list[str]:
    """Lines of the list of endpoints; what must not be asked unasked stays a comment with its reason."""
    lines = []
    for each in offered.operations:
        reason = each.inactive(include_unsafe=include_unsafe)
        lines.append(f"  {toml(each.endpoint)}," if not reason else _comment(f"{toml(each.endpoint)},  # {reason}"))
    if not offered.operations:
        lines.append('  "GET /",  # the app has no OpenAPI document; name what to ask')
    elif not offered.active(include_unsafe=include_unsafe):
        lines.append("  # none of these can be asked as it is; complete one and remove its #")
    lines += [_comment(f"left out: {each}") for each in offered.left_out]
    return lines


def _comment(text: str) -> str:
    """A comment of one line, whatever an app calls its things."""
    return f"  # {''.join(each if each.isprintable() else '?' for each in text)}"


def trial_document(
    target: str,
    endpoints: Sequence[str | dict[str, Any]],
    *,
    workers: str,
    mode: str = OWN_MODE,
    patches: Sequence[str] = (),
    users: int,
    app_dir: Path,
    python: Path | None,
    cwd: Path | None = None,
    env_file: Path | None = None,
    request: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Make the document of a suite that measures endpoints of an app, or of a server that already runs.

    Args:
        target: `module:app`, or a URL (`unix:/run/app.sock`, too).
        endpoints: `GET /items/1`, or tables.
        workers: `1,2`.
        mode: `own,sync`; the first one is the baseline of the others.
        patches: paths of diffs, each measured beside the app as written, which is their baseline.
        users: of closed load.
        app_dir: folder the app is imported from, relative to the working directory.
        python: interpreter of the app; None: ours.
        cwd: the server's working directory; None: as `started_in` finds it.
        env_file: file with variables of the app.
        request: `headers`, `json` and `expect_status` of every endpoint.

    Raises:
        UsageError: `workers` is not a list of numbers, or `target` is an address without a scheme.
    """
    entry: dict[str, Any] = {"endpoint": with_request(endpoints, request or {})}
    document: dict[str, Any] = {
        "name": "try",
        "load": {"users": users, "warmup_s": 1.0, "measure_s": 3.0},
        "replicates": {"min": 3, "max": 6},
        "matrix": [entry],
    }
    names = [each.strip() for each in mode.split(",")]
    if names != [OWN_MODE]:
        entry["mode"] = names
    if patches:
        entry["patch"] = ["", *patches]
    if "://" in target or target.startswith((f"{UNIX}/", f"{UNIX}.")):
        entry["url"] = target
        return document
    if url := meant_url(target):
        raise UsageError(f"try: got {target}, an address without its scheme; write {url}")
    entry |= {"app": target, "app_dir": str(app_dir), "workers": _numbers(workers)}
    cwd = started_in(app_dir, cwd)
    entry |= {
        key: str(path) for key, path in {"python": python, "cwd": cwd, "env_file": env_file}.items() if path is not None
    }
    baseline = {**({"mode": names[0]} if len(names) > 1 else {}), **({"patch": ""} if patches else {})}
    if baseline:
        document["compare"] = {"baseline": baseline}
    elif len(entry["workers"]) > 1:
        document["compare"] = {"baseline": {"workers": entry["workers"][0]}}
    return document


def with_request(endpoints: Sequence[str | dict[str, Any]], request: Mapping[str, Any]) -> list[str | dict[str, Any]]:
    """Endpoints as a suite writes them, with the same headers, body and expected status for each.

    A text that is no endpoint stays one that the suite refuses.
    """
    if not request:
        return list(endpoints)
    tables: list[str | dict[str, Any]] = []
    for each in endpoints:
        if isinstance(each, str):
            method, path = method_and_path(each)
            tables.append({"method": method, "path": path, **request})
        else:
            headers = {**each.get("headers", {}), **request.get("headers", {})}
            tables.append({**each, **request, **({"headers": headers} if headers else {})})
    return tables


def _numbers(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise UsageError(f"--workers: got {text!r}, allowed are numbers and commas; write 1,2,4") from None
