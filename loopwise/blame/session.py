"""Serves an app behind the blame probe, asks its endpoints a bounded number of times, and collects what was seen."""

import importlib.metadata
import importlib.util
import json
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from loopwise.errors import ServerError
from loopwise.model import App, Case, Endpoint, Server, ServerFacts
from loopwise.paths import target_app_dir
from loopwise.servers import lifecycle as servers

AT_ONCE = 4
"""Requests in flight in the second half: enough that callbacks of several requests meet."""
HEADER = "x-loopwise-endpoint"
FOUND_PATH = "/.loopwise/blame"


@dataclass(frozen=True)
class Settings:
    """How a pass is made."""

    loop: str = "auto"
    requests: int = 20
    threshold_ms: float = 5.0


def observe(
    case: Case, settings: Settings, calibration: Mapping[str, float], services: Mapping[str, str]
) -> dict[str, Any]:
    """What the blame probe found: `endpoints` and `files`.

    And what the harness adds: `answers`: endpoint -> status -> requests; `loop`, asyncio or uvloop, and `note`, a
    sentence where it is not the loop that the server would rather have had.

    Raises:
        ServerError: the app can't be served behind the probe.
    """
    assert case.server is not None
    with tempfile.TemporaryDirectory(prefix="loopwise-") as name:
        scratch = Path(name)
        same = case.server.model_dump(include={"threads", "pool_processes", "startup_timeout_s"})
        # The timed runs' probe stays off: it would be one more thread that wants the GIL.
        server = Server.model_validate({**same, "loop": settings.loop, "probe": False})
        plain = case.model_copy(update={"server": server})
        app_dir = _put_probe(scratch, plain, settings, calibration)
        app = App(
            target="loopwise_blame.probe:app",
            app_dir=app_dir,
            python=case.app.python if case.app else sys.executable,
        )
        behind = plain.model_copy(update={"app": app, "endpoints": ()})
        try:
            with servers.serve(
                behind,
                scratch=scratch,
                log=scratch / "server.log",
                calibration=calibration,
                services=services,
            ) as running:
                found = _ask(running.url, case.endpoints, settings.requests, case.load.timeout_s)
                return found | _loop(running.facts, settings.loop, app.python)
        except ServerError as error:
            raise ServerError(str(error).rpartition("AppError: ")[2]) from None


def _loop(facts: ServerFacts, wanted: str, python: str) -> dict[str, str | None]:
    """Which loop was looked at; uvicorn takes uvloop by itself where that is installed."""
    loop = (facts.loop or "").partition(".")[0]
    note = None
    if wanted == "auto" and loop == "asyncio" and "uvloop" not in facts.versions:
        note = (
            f"looked at on asyncio's loop: {python} has no uvloop, which is no fault; "
            "lines that block one loop block the other"
        )
    return {"loop": loop, "note": note}


def _put_probe(scratch: Path, case: Case, settings: Settings, calibration: Mapping[str, float]) -> str:
    """Put probe, aiocop and configuration where the app's interpreter finds them; returns the app's folder."""
    env = servers.environment(case, scratch, calibration)
    without_cache = shutil.ignore_patterns("__pycache__")
    probe = scratch / "loopwise_blame"
    shutil.copytree(target_app_dir() / "target_app" / "blame", probe, ignore=without_cache)
    spec = importlib.util.find_spec("aiocop")
    if spec is None or spec.origin is None:
        raise ServerError("blame needs the package aiocop beside Loopwise; install Loopwise again")
    package = Path(spec.origin).parent
    shutil.copytree(package, scratch / "aiocop", ignore=without_cache)
    metadata = scratch / f"aiocop-{importlib.metadata.version('aiocop')}.dist-info"
    metadata.mkdir()  # aiocop reads its own version as it is imported
    text = importlib.metadata.distribution("aiocop").read_text("METADATA") or ""
    (metadata / "METADATA").write_text(text, encoding="utf-8")
    config = {
        "target": env["LOOPWISE_APP"],
        "app_dir": env["LOOPWISE_APP_DIR"],
        "environ": {name: value for name, value in env.items() if name.startswith("LOOPWISE_")},
        "threshold_ms": settings.threshold_ms,
    }
    (probe / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return env["LOOPWISE_APP_DIR"]


def _ask(url: str, endpoints: Sequence[Endpoint], requests: int, timeout_s: float) -> dict[str, Any]:
    answers: dict[str, dict[str, int]] = {}
    with (
        httpx.Client(base_url=url, timeout=timeout_s, trust_env=False, verify=False) as client,
        ThreadPoolExecutor(AT_ONCE) as pool,
    ):
        for number, endpoint in enumerate(endpoints):
            _request(client, endpoint, None)  # the first pays for imports and connections of the app's own
            alone = requests - requests // 2
            got = [_request(client, endpoint, number) for _ in range(alone)]
            got += pool.map(lambda _, e=endpoint, n=number: _request(client, e, n), range(requests // 2))
            answers[endpoint.name] = {status: got.count(status) for status in sorted(set(got))}
        found: dict[str, Any] = client.get(FOUND_PATH).json()
    return found | {"answers": answers}


def _request(client: httpx.Client, endpoint: Endpoint, number: int | None) -> str:
    """The status, or the name of what went wrong."""
    headers = dict(endpoint.headers) | ({} if number is None else {HEADER: str(number)})
    body: dict[str, Any] = {} if endpoint.json_body is None else {"json": endpoint.json_body}
    try:
        return str(client.request(endpoint.method, endpoint.path, headers=headers, **body).status_code)
    except httpx.HTTPError as error:
        return type(error).__name__
