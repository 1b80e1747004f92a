"""A blame pass: serve each app behind the probe, send a bounded number of requests, collect the findings."""

import importlib.metadata
import importlib.util
import json
import re
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from loopwise.blame.findings import Findings, ProbeReport, blamed_lines, short_calls
from loopwise.errors import ServerError, UsageError
from loopwise.model import App, Case, Endpoint, Server, ServerFacts
from loopwise.paths import target_app_dir
from loopwise.servers import lifecycle
from loopwise.servers.environment import environment
from loopwise.servers.exchange import Answer, NoAnswerError, ask
from loopwise.servers.expectations import Expectation
from loopwise.servers.feeds import first_row
from loopwise.servers.origin import Origin, resolve
from loopwise.servers.preparation import prepare
from loopwise.servers.services import Services, refuse_missing
from loopwise.servers.target import calibration
from loopwise.servers.templates import Template, Values
from loopwise.servers.wire import endpoint_bytes
from loopwise.suite import load_suite, make_suite
from loopwise.suite.locations import APP_TARGET
from loopwise.suite.own_app import listing, named_app
from loopwise.suite.scaffold import trial_document

CONCURRENCY = 4
"""Requests in flight in the second half: enough that callbacks of several requests meet."""
ENDPOINT_HEADER = "x-loopwise-endpoint"
FACTORY_ARGS = "LOOPWISE_FACTORY_ARGS"
"""Comes with the server's environment, where the paths of copies are known."""
REPORT_PATH = "/.loopwise/blame"


@dataclass(frozen=True)
class Settings:
    """Options of a pass."""

    loop: str = "auto"
    requests: int = 20
    threshold_ms: float = 5.0


class Observation(NamedTuple):
    """The outcome of serving one app."""

    report: ProbeReport
    answers: dict[str, dict[str, int]]
    loop: str
    note: str
    """A sentence where it is not the loop that the server would rather have had; or empty."""


def subjects(
    target: str, endpoints: Sequence[str], app_dir: Path, python: Path | None, *, include_unsafe: bool = False
) -> list[Case]:
    """A case for every server that has to be started: of an app, or of a suite, each app once.

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
    wanted: list[str | dict[str, Any]] = list(endpoints)
    if not wanted:
        offered = listing(named_app("blame", target, app_dir, python))
        wanted = [each.endpoint for each in offered.active(include_unsafe=include_unsafe)]
    if not wanted:
        raise UsageError(
            f"blame: {target} names no route that can be asked unasked (GET or HEAD, without parameters and login); "
            "give --endpoint 'GET /x' yourself"
        )
    document = trial_document(target, wanted, workers="1", users=1, app_dir=app_dir, python=python)
    return distinct(make_suite(document, label="blame", folder=Path.cwd()).cases)


def distinct(cases: Sequence[Case]) -> list[Case]:
    """One case for each app, or workload and mode, with the endpoints of all its cases.

    Raises:
        UsageError: no case has a server that we start.
    """
    merged: dict[tuple[str, ...], Case] = {}
    for case in cases:
        if case.server is None or case.scenario is not None:
            continue
        app = case.app
        key = (
            (app.model_dump_json(), case.server.model_dump_json(include={"env", "env_file"}))
            if app
            else (case.workload, *case.modes, repr(case.features), repr(case.parts))
        )
        known = merged.setdefault(key, case)
        names = {each.name for each in known.endpoints}
        new = tuple(each for each in case.endpoints if each.name not in names)
        merged[key] = known.model_copy(update={"endpoints": known.endpoints + new})
    if not merged:
        raise UsageError(
            "blame: no case starts a server and names its endpoints; a running server (url) or a Locust "
            "file (scenario) can't be observed from inside, so name the app itself"
        )
    return list(merged.values())


def blame(cases: Sequence[Case], settings: Settings) -> Findings:
    """Observe every case, one after the other.

    Raises:
        ServerError: an app can't be served behind the probe.
    """
    calibrated = calibration(cases)
    refuse_missing({need for case in cases for need in case.needs})
    merged = Findings()
    with (
        tempfile.TemporaryDirectory(prefix="loopwise-") as folder,
        Services(Path(folder)) as services,
    ):
        for case in cases:
            with services.during(case.needs, "blame") as variables:
                seen = observe(case, settings, calibrated, variables)
            names = {str(number): each.name for number, each in enumerate(case.endpoints)}
            lines = [*merged.lines, *blamed_lines(seen.report, names)]
            merged = Findings(
                lines=sorted(lines, key=lambda each: -each.total_ms),
                short_calls=[*merged.short_calls, *short_calls(seen.report, names)],
                answers=merged.answers | seen.answers,
                loops=sorted({*merged.loops, seen.loop}),
                notes=list(dict.fromkeys([*merged.notes, seen.note] if seen.note else merged.notes)),
            )
    return merged


def observe(
    case: Case, settings: Settings, calibration: Mapping[str, float], services: Mapping[str, str]
) -> Observation:
    """Serve one case's app behind the probe and request its endpoints.

    Raises:
        ServerError: the app can't be served behind the probe.
    """
    assert case.server is not None
    with tempfile.TemporaryDirectory(prefix="loopwise-") as name:
        scratch = Path(name)
        same = case.server.model_dump(include={"threads", "pool_processes", "startup_timeout_s", "env", "env_file"})
        # The timed runs' probe stays off: it would be one more thread that wants the GIL.
        server = Server.model_validate({**same, "loop": settings.loop, "probe": False})
        plain = case.model_copy(update={"server": server})
        app_dir = _install_probe(scratch, plain, settings, calibration)
        own = dict(case.app) if case.app else {"python": sys.executable}
        app = App.model_validate({**own, "target": "loopwise_blame.probe:app", "app_dir": app_dir})
        probed = plain.model_copy(update={"app": app, "endpoints": ()})
        log = scratch / "server.log"
        prepare([case], 1, log)
        with lifecycle.serve(probed, scratch=scratch, log=log, calibration=calibration, services=services) as running:
            report, answers = _request_all(running.url, case.endpoints, settings.requests, case.load.timeout_s)
            return Observation(report, answers, *_loop(running.facts, settings.loop, app.python))


def _loop(facts: ServerFacts, wanted: str, python: str) -> tuple[str, str]:
    """The loop that was observed, and a note; uvicorn takes uvloop by itself where that is installed."""
    loop = (facts.loop or "").partition(".")[0]
    if wanted != "auto" or loop != "asyncio" or "uvloop" in facts.versions:
        return loop, ""
    return loop, (
        f"observed on asyncio's loop, since {python} has no uvloop; that is no fault: "
        "lines that block one loop block the other"
    )


def _install_probe(scratch: Path, case: Case, settings: Settings, calibration: Mapping[str, float]) -> str:
    """Put probe, aiocop and configuration where the app's interpreter finds them; returns the app's folder."""
    env = environment(case, scratch, calibration)
    without_cache = shutil.ignore_patterns("__pycache__")
    probe = scratch / "loopwise_blame"
    shutil.copytree(target_app_dir() / "target_app" / "blame", probe, ignore=without_cache)
    spec = importlib.util.find_spec("aiocop")
    if spec is None or spec.origin is None:
        raise ServerError("blame needs the package aiocop beside Loopwise; install Loopwise again")
    shutil.copytree(Path(spec.origin).parent, scratch / "aiocop", ignore=without_cache)
    metadata = scratch / f"aiocop-{importlib.metadata.version('aiocop')}.dist-info"
    metadata.mkdir()  # aiocop reads its own version as it is imported
    text = importlib.metadata.distribution("aiocop").read_text("METADATA") or ""
    (metadata / "METADATA").write_text(text, encoding="utf-8")
    config = {
        "target": env["LOOPWISE_APP"],
        "app_dir": env["LOOPWISE_APP_DIR"],
        "environ": {
            name: value for name, value in env.items() if name.startswith("LOOPWISE_") and name != FACTORY_ARGS
        },
        "threshold_ms": settings.threshold_ms,
    }
    (probe / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return env["LOOPWISE_APP_DIR"]


def _request_all(
    url: str, endpoints: Sequence[Endpoint], requests: int, timeout_s: float
) -> tuple[ProbeReport, dict[str, dict[str, int]]]:
    """Request each endpoint, half one by one and half concurrently; returns the probe's report and the answers."""
    answers: dict[str, dict[str, int]] = {}
    origin = resolve(url)
    with ThreadPoolExecutor(CONCURRENCY) as pool:
        values: dict[str, Any] = {}
        for number, endpoint in enumerate(endpoints):
            values |= first_row(endpoint.feed) if endpoint.feed else {}
            # The first pays for imports and connections of the app's own; later steps of a journey need what it gave.
            first = _exchange(origin, endpoint, values, timeout_s)
            values |= Expectation(endpoint).capture(first.body)[0] if isinstance(first, Answer) else {}
            alone = requests - requests // 2
            asked = (origin, endpoint, values, timeout_s, number)
            got = [_request(*asked) for _ in range(alone)]
            together = [pool.submit(_request, *asked) for _ in range(requests // 2)]
            got += [each.result() for each in together]
            answers[endpoint.name] = {outcome: got.count(outcome) for outcome in sorted(set(got))}
    try:
        report = ask(origin, endpoint_bytes(Endpoint(path=REPORT_PATH), origin.host_header), timeout_s=timeout_s)
    except NoAnswerError as error:
        raise ServerError(f"the app was requested, but {REPORT_PATH} gave {error}") from None
    return ProbeReport.model_validate_json(report.body), answers


def _request(origin: Origin, endpoint: Endpoint, values: Values, timeout_s: float, number: int) -> str:
    """The status of a request that is counted for the endpoint of this number, or why there is none."""
    headers = {**endpoint.headers, ENDPOINT_HEADER: str(number)}
    answer = _exchange(origin, endpoint.model_copy(update={"headers": headers}), values, timeout_s)
    return str(answer.status) if isinstance(answer, Answer) else answer


def _exchange(origin: Origin, endpoint: Endpoint, values: Values, timeout_s: float) -> Answer | str:
    """The answer to one request, or why there is none."""
    try:
        return ask(origin, Template(endpoint, origin.host_header).fill(values), timeout_s=timeout_s)
    except NoAnswerError as error:
        return error.what
    except KeyError as error:
        return f"no value for {{{error.args[0]}}}, which an earlier step did not give"
