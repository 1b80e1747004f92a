"""Environment variables of a server: those of its case, and what the probe and target_app read."""

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path

from loopwise.errors import ServerError
from loopwise.model import App, Case, Server
from loopwise.model.modes import OWN
from loopwise.paths import target_app_dir
from loopwise.results.files import read_regular
from loopwise.servers import variants
from loopwise.servers.fresh import Copies
from loopwise.servers.spec import refused_variable
from loopwise.servers.specs import PACKAGES, spec_of
from loopwise.servers.startup import longest_s
from loopwise.servers.target import served_workloads
from loopwise.servers.variables import without

LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)")
QUOTED = re.compile(r"""'([^']*)'\s*(?:#.*)?|"((?:[^"\\]|\\.)*)"\s*(?:#.*)?""")
ESCAPES = {"\\n": "\n", "\\t": "\t", '\\"': '"', "\\\\": "\\"}


def environment(
    case: Case, scratch: Path, calibration: Mapping[str, float], copies: Copies | None = None
) -> dict[str, str]:
    """All variables of a case's server: inherited ones, those of `env_file` and `env`, and our own.

    Raises:
        ServerError: `env_file` can't be read.
    """
    server, own, copies = case.server or Server(), case.app, copies or Copies()
    variables: dict[str, object] = {
        **app_variables(own, copies),
        **variants.variables(case, own, scratch),
        "LOOPWISE_SCRATCH": scratch,
        "LOOPWISE_TELEMETRY": telemetry_folder(scratch),
        "LOOPWISE_PACKAGES": ",".join(PACKAGES),
        "LOOPWISE_PROBE": "on" if server.probe else "off",
        "LOOPWISE_LOOP": server.loop,
        "LOOPWISE_HTTP": server.http,
        "LOOPWISE_INTERFACE": server.interface,
        "LOOPWISE_THREADS": threads(server),
        "LOOPWISE_LIMIT_CONCURRENCY": server.limit_concurrency,
        "LOOPWISE_STARTUP_TIMEOUT_S": longest_s(server),
        "LOOPWISE_POOL_PROCESSES": server.pool_processes,
        "LOOPWISE_ACCESS_LOG": "on" if server.access_log else None,
        "LOOPWISE_FEATURES": case.features or None,
        "LOOPWISE_WORKLOADS": None,
        "LOOPWISE_MODES": None,
        "LOOPWISE_CPU_ITERATIONS_PER_MS": calibration.get("cpu_iterations_per_ms"),
    }
    if own is None and case.mode != OWN.name:
        variables["LOOPWISE_WORKLOADS"] = ",".join(served_workloads(case))
        variables["LOOPWISE_MODES"] = ",".join(case.modes)
    env = with_variables(base_environment(server, copies), variables)
    env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(scratch), env.get("PYTHONPATH")]))
    env["PYTHONUNBUFFERED"] = "1"
    return env


def threads(server: Server) -> int | None:
    """Threads for requests of each worker, as far as the case or its server says."""
    return spec_of(server).threads if server.threads is None else server.threads


def base_environment(server: Server, copies: Copies) -> dict[str, str]:
    """The inherited variables, but for those that would overrule the suite, and the case's own over them.

    A file that the app is deployed with may say how many workers it has there; here the suite says it.

    Raises:
        ServerError: `env_file` can't be read.
    """
    env = inherited()
    if "PYTHONPATH" in env:  # relative to the folder that we were started in, not to the server's
        env["PYTHONPATH"] = os.pathsep.join(
            str(Path.cwd() / each) for each in env["PYTHONPATH"].split(os.pathsep) if each
        )
    if server.env_file is not None:
        own = read_env_file(Path(server.env_file))
        env |= {name: value for name, value in own.items() if refused_variable(name, value) is None}
    return {**env, **copies.fill(server.env)}


def inherited() -> dict[str, str]:
    """Our own variables, without those that would overrule a suite."""
    return without(os.environ, "removed")


def app_variables(app: App | None, copies: Copies) -> dict[str, object]:
    """The variables that name the app to the probe; None: target_app."""
    if app is None:
        target, folder, arguments = "target_app.app:create_app()", str(target_app_dir()), None
    else:
        target, folder = app.target, app.app_dir
        arguments = json.dumps(copies.fill(app.factory_args)) if app.factory_args else None
    return {"LOOPWISE_APP": target, "LOOPWISE_APP_DIR": folder, "LOOPWISE_FACTORY_ARGS": arguments}


def with_variables(env: dict[str, str], variables: Mapping[str, object]) -> dict[str, str]:
    """The environment with these variables; None: without, even if it is inherited."""
    kept = {name: value for name, value in env.items() if name not in variables}
    return kept | {name: str(value) for name, value in variables.items() if value is not None}


def telemetry_folder(scratch: Path) -> Path:
    """Folder that the probes in a server's workers write to."""
    return scratch / "telemetry"


def read_env_file(path: Path) -> dict[str, str]:
    """Read lines `NAME=VALUE`, as python-dotenv writes them: comments, `export`, single and double quotes.

    Raises:
        ServerError: it can't be read, or a line is something else; the message names the line.
    """
    try:
        lines = read_regular(path).decode().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8"
        raise ServerError(f"env_file: {path} can't be read ({reason}); correct the path, or the file") from None
    found = {}
    for number, text in enumerate(lines, start=1):
        line = text.strip()
        if not line or line.startswith("#"):
            continue
        parts = LINE.fullmatch(line)
        value = None if parts is None else _unquoted(parts[2])
        if parts is None or value is None:
            raise ServerError(f"env_file: {path}, line {number}: it is not NAME=VALUE in one line; correct it")
        found[parts[1]] = value
    return found


def _unquoted(text: str) -> str | None:
    """A value without quotes and comment; None where a quote is not closed."""
    if text[:1] in {"'", '"'}:
        quoted = QUOTED.fullmatch(text)
        if quoted is None:
            return None
        plain = quoted[1]
        return plain if plain is not None else re.sub(r"\\.", lambda each: ESCAPES.get(each[0], each[0]), quoted[2])
    return re.sub(r"(^|\s+)#.*", "", text).strip()
