"""Start an app under a server, wait until every worker answers, and stop it without a trace.

SERVERS in specs.py says how each server is started and stopped.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from loopwise.errors import EndpointError, ServerError
from loopwise.model import Case, Endpoint, Server, ServerFacts
from loopwise.model.factors import is_variant
from loopwise.model.modes import uses_pool
from loopwise.paths import target_app_dir
from loopwise.results.columns import ProbeLine
from loopwise.servers import patches, probe_logs, processes, variants
from loopwise.servers.environment import environment, telemetry_folder
from loopwise.servers.exchange import Answer, NoAnswerError, ask
from loopwise.servers.expectations import Expectation
from loopwise.servers.feeds import first_row
from loopwise.servers.fresh import Copies, copied
from loopwise.servers.installed import installed_version
from loopwise.servers.origin import resolve
from loopwise.servers.spec import HOST
from loopwise.servers.specs import spec_of
from loopwise.servers.startup import wait_ready
from loopwise.servers.templates import Template
from loopwise.servers.variables import recorded
from loopwise.servers.watchdog import OWN_APP_GRACE_S
from loopwise.servers.wire import RequestError

POOL_LOST = "loopwise_pool: "
"""Begins the line that target_app prints when its process pool lost a process (target_app/process_pool.py)."""
LOG_DELAY_S = 0.1
"""What a server writes about a request may reach its log a moment after the answer."""
LOG_LINES = 8
"""As many say what an exception was and where."""
MIN_HELD_S = 1.0
"""For a shorter time a busy machine does it."""


@dataclass(frozen=True)
class RunningServer:
    """A server that answers requests."""

    url: str
    process: subprocess.Popen[str] | None = None
    """None: it ran before us and keeps running."""
    facts: ServerFacts = field(default_factory=ServerFacts)
    """`server` in run.json."""
    probes: Path | None = None
    """Folder that the probes in its workers write to; None: they are off."""
    pool_log: Path | None = None
    """Log in which lost processes of pools of ours are reported; None: it has no pool."""
    variant_log: Path | None = None
    """Log in which a mode or a patch is refused that the app can't be served in; None: it is served as written."""
    refuse_unused: Callable[[], None] = lambda: None
    """Refuses a patch of which a part has not been run."""
    edited_texts: Mapping[str, str] = field(default_factory=dict)
    """Real path of each file of its app that a patch edits -> path of the edited text."""
    copies: Copies = field(default_factory=Copies)
    """Copies that were made for its app alone."""
    opens_ahead: bool = True
    """Whether connections may be opened before their first request."""

    @property
    def pid(self) -> int | None:
        """Root of the server's process tree."""
        return self.process.pid if self.process else None

    def known(self) -> ServerFacts:
        """The facts, with the number of processes that the server's pools have lost so far."""
        if self.pool_log is None:
            return self.facts
        log = self.pool_log.read_text(encoding="utf-8", errors="replace")
        return self.facts.model_copy(update={"pool_deaths": log.count(POOL_LOST)})

    def refuse_void(self) -> None:
        """Refuse a load that was not what it was meant to be.

        Raises:
            RunError: an original of its copies has changed meanwhile, calls were not made in the case's mode, or a part
                of its patch was not run.
        """
        self.copies.refuse_touched()
        if self.variant_log is not None:
            variants.refuse_unkept(self.variant_log)
        self.refuse_unused()


@contextmanager
def serve(
    case: Case,
    *,
    scratch: Path,
    log: Path,
    calibration: Mapping[str, float],
    cores: Sequence[int] = (),
    services: Mapping[str, str] | None = None,
    on_start: Callable[[subprocess.Popen[str]], object] = lambda _: None,
    hold: Callable[[], float] = lambda: 0.0,
    on_answer: Callable[[Endpoint, Answer], object] = lambda _endpoint, _answer: None,
    asks: bool = True,
) -> Iterator[RunningServer]:
    """Serve a case's app for the duration of a `with` block.

    Args:
        case: what to serve; of a case with `url` only the endpoints are checked.
        scratch: empty folder for the probe and the app's files; the caller removes it.
        log: file for the server's output.
        calibration: Experiment.calibration.
        cores: the server is pinned to these; empty: to none.
        services: environment variables with the addresses of the target app's services.
        on_start: called with the process before it is ready, so that another thread can suspend or stop it.
        hold: called repeatedly until the server is ready; blocks while the server is suspended and returns the seconds.
        on_answer: receives the answer of each endpoint of the case; may raise EndpointError.
        asks: whether the endpoints are asked at all.

    Raises:
        ServerError: it died, did not answer in time, or the app can't be imported.
        EndpointError: an endpoint of the case does not answer as expected.
    """
    if case.server is None:
        assert case.url is not None
        answers: list[Answer] = []
        if asks:
            check_endpoints(case, case.url, lambda _, answer: answers.append(answer))
        yield RunningServer(case.url, opens_ahead=not any(map(_reads_in_threads, answers)))
        return
    port = case.server.port or free_port()
    _refuse_taken_port(port)
    python = case.app.python if case.app else sys.executable
    spec = spec_of(case.server)
    _copy_probe(scratch, spec.configuration)
    variants.install(case, scratch)
    variant_log = log if is_variant(case) else None
    refuse_unused = partial(patches.refuse_unused, case, scratch)
    started_s = time.monotonic()
    argv = spec.argv(case.server, python, port, scratch)
    with copied(case.app.fresh if case.app else {}, scratch) as copies:
        env = {**environment(case, scratch, calibration, copies), **(services or {})}
        argv = [*spec.argv_for(argv, installed_version(python, spec.packages[0], env)), *case.server.server_args]
        process = _start(argv, log, env, case.app.folder if case.app else target_app_dir(), cores)
        grace_s = 0.0  # target_app, and a server that never came up, have nothing to save
        on_start(process)
        try:
            with telling_refusal(variant_log):
                workers = wait_ready(process, case.server, port, log, python, hold=hold)
            grace_s = OWN_APP_GRACE_S if case.app else 0.0
            facts = ServerFacts(
                argv=(shown_path(argv[0]), *argv[1:]),
                port=port,
                pinned_to=tuple(cores),
                pids=tuple(sorted(worker["pid"] for worker in workers)),
                start_s=round(time.monotonic() - started_s, 3),
                nodelay=_has_nodelay(workers),
                variables=recorded(env, case.server.env),
                **{key: workers[0][key] for key in ("python", "loop", "threads", "versions", "distributions")},
            )
            _refuse_other_loop(case.server, facts.loop or "", python)
            url = f"http://{HOST}:{port}"
            probes = telemetry_folder(scratch) if case.server.probe else None
            if asks:
                with quoting(log, variant_log), naming_held(facts.pids, probes):
                    check_endpoints(case, url, on_answer)
                refuse_unused()
            pool_log = log if uses_pool(case) else None
            opens_ahead = not spec.reads_in_threads
            yield RunningServer(
                url,
                process,
                facts,
                probes,
                pool_log=pool_log,
                variant_log=variant_log,
                refuse_unused=refuse_unused,
                edited_texts=patches.edited_texts(case, scratch),
                copies=copies,
                opens_ahead=opens_ahead,
            )
        finally:
            processes.end(process, grace_s=grace_s, root_alone=spec.stop_root_alone)


def _copy_probe(scratch: Path, configuration: str | None) -> None:
    """Put the probe and the server's configuration file where the app's interpreter finds them."""
    source = target_app_dir() / "target_app"
    for path in ("probe.py", "instruments.py", "stacks.py", "blame/places.py"):
        shutil.copy(source / path, scratch / f"loopwise_{Path(path).name}")
    shutil.copy(source / "wsgi_probe.py", scratch / "loopwise_wsgi.py")
    shutil.copytree(source / "waits", scratch / "loopwise_waits", ignore=shutil.ignore_patterns("__pycache__"))
    if configuration is not None:
        shutil.copy(source / configuration, scratch)


def _has_nodelay(workers: Sequence[Mapping[str, Any]]) -> bool | None:
    """Whether no worker delays small writes (TCP_NODELAY); None: none of them reports it."""
    reported = {worker["nodelay"] for worker in workers}
    return None if reported == {None} else False not in reported


def _start(
    argv: Sequence[str], log: Path, env: Mapping[str, str], cwd: str | Path, cores: Sequence[int]
) -> "subprocess.Popen[str]":
    try:
        return processes.start(argv, log=log, env=env, cwd=cwd, cores=cores)
    except OSError as error:
        raise ServerError(f"{cwd}: the app cannot be started there: {error.strerror}; restore it") from None


def _refuse_other_loop(server: Server, loop: str, python: str) -> None:
    """Some servers fall back to asyncio's loop, with no more than a warning, if uvloop is not installed."""
    if server.loop != "auto" and not loop.startswith(server.loop):
        raise ServerError(
            f"{server.name} runs {loop}, but the suite says loop = {server.loop!r}; "
            f"run: {python} -m pip install {server.loop}, or leave `loop` out of the suite"
        )


def shown_path(path: str) -> str:
    """A path relative to the working directory, if it lies below: results are read on other machines, too."""
    return os.path.relpath(path) if Path(path).is_relative_to(Path.cwd()) else path


def free_port() -> int:
    """A TCP port of the loopback interface that nothing listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _refuse_taken_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise ServerError(
                f"port {port} of {HOST} is taken ({error.strerror}): "
                "end what listens there, or leave `port` out of the suite to have a free one chosen"
            ) from None


@contextmanager
def quoting(log: Path, variant_log: Path | None = None) -> Iterator[None]:
    """Add to an EndpointError what the server wrote to its log meanwhile: the app's own words.

    A refused variant is told by its own sentence, whatever the answer was.
    """
    begin = log.stat().st_size if log.exists() else 0
    try:
        yield
        if variant_log is not None:
            variants.refuse_unkept(variant_log, begin)
    except EndpointError as error:
        time.sleep(LOG_DELAY_S)
        if variant_log is not None:
            variants.refuse_unkept(variant_log, begin)
        written = processes.lines_of(log, begin)
        if not written:
            raise
        lines = "".join(f"\n    {line}" for line in written[-LOG_LINES:])
        raise EndpointError(f"{error}. Its log says of it:{lines}") from None


@contextmanager
def telling_refusal(variant_log: Path | None) -> Iterator[None]:
    """Tell of a start that failed why the variant is not possible, if that is the reason."""
    try:
        yield
    except ServerError:
        if variant_log is not None:
            variants.refuse_unkept(variant_log)
        raise


@contextmanager
def naming_held(pids: Sequence[int], probes: Path | None) -> Iterator[None]:
    """Add to an EndpointError which workers ended meanwhile, and whose event loop is held.

    Args:
        pids: of the workers.
        probes: folder that the probes in them write to.
    """
    try:
        yield
    except EndpointError as error:
        time.sleep(LOG_DELAY_S)
        logs = probe_logs.read(probes) if probes is not None else {}
        words = [told for pid in pids if (told := _held(pid, logs.get(pid)))]
        if not words:
            raise
        raise EndpointError("; ".join([error.text, *words])) from None


def _held(pid: int, lines: Sequence[ProbeLine] | None) -> str:
    """What held a worker, by its probe, which writes ten lines a second; empty if nothing did."""
    last: ProbeLine = lines[-1] if lines else {"time_ns": time.time_ns()}
    silent_s, stall_s = time.time() - last["time_ns"] / 1e9, (last.get("stall_ms") or 0.0) / 1e3
    stood = f"none of its threads could run for {silent_s:.3g} s (code that holds the GIL)"
    is_silent = silent_s > MIN_HELD_S
    if not psutil.pid_exists(pid):
        killed = f" after {stood}: supervisors such as uvicorn's kill such a worker" if is_silent else ""
        return f"worker {pid} ended meanwhile{killed}"
    if is_silent:
        return stood
    if stall_s > MIN_HELD_S:
        return f"its event loop has been held for {stall_s:.3g} s, and `blame` names the line"
    return ""


def _reads_in_threads(answer: Answer) -> bool:
    """Whether a server that ran before us may be of that kind: gunicorn's workers for WSGI apps are."""
    return answer.server.lower().startswith("gunicorn")


def check_endpoints(
    case: Case, url: str, on_answer: Callable[[Endpoint, Answer], object] = lambda _endpoint, _answer: None
) -> None:
    """Request each endpoint once, as the load will: a load on a wrong answer would measure the wrong thing.

    Args:
        case: with the endpoints.
        url: of the server.
        on_answer: receives each endpoint with its answer.

    Raises:
        EndpointError: no complete answer within the load's `timeout_s`, or another status than expected.
    """
    values: dict[str, Any] = {}
    for endpoint in case.endpoints:
        values |= check_endpoint(
            endpoint, values, url=url, timeout_s=case.load.timeout_s, on_answer=partial(on_answer, endpoint)
        )


def check_endpoint(
    endpoint: Endpoint,
    earlier: Mapping[str, Any],
    *,
    url: str,
    timeout_s: float,
    on_answer: Callable[[Answer], object] = lambda _: None,
) -> dict[str, Any]:
    """Request an endpoint once.

    Args:
        endpoint: what to ask.
        earlier: values that fill its request, as this function returned them for the steps before it.
        url: of the server.
        timeout_s: limit for the complete answer.
        on_answer: receives a complete answer, also one that was not expected.

    Returns:
        Values of its feed's first row, and those that are captured from its answer.

    Raises:
        EndpointError: no complete answer in time, or another than expected.
    """
    try:
        origin = resolve(url)
    except OSError as error:
        raise EndpointError(f"{url}: the host is unknown ({error.strerror}); correct the url") from None
    row = first_row(endpoint.feed) if endpoint.feed else {}
    values = {**earlier, **row}
    try:
        request = Template(endpoint, origin.host_header).fill(values)
        answer = ask(origin, request, timeout_s=timeout_s)
    except RequestError as error:
        raise EndpointError(f"{endpoint.name}: {error}; correct the endpoint") from None
    except NoAnswerError as error:
        raise EndpointError(f"{endpoint.name}: {error.what} from {url}", error.advice) from None
    on_answer(answer)
    wanted = endpoint.expect_status
    said = f" (it said: {answer.text[:200]})" if answer.text else ""
    if not (200 <= answer.status < 300 if wanted is None else answer.status == wanted):
        allowed = "2xx" if wanted is None else str(wanted)
        raise EndpointError(
            f"{endpoint.name}: answered {answer.status} {answer.reason}, expected {allowed}{said}; "
            "correct the endpoint, or set its expect_status"
        )
    expectation = Expectation(endpoint)
    if fault := expectation.fault(answer.body, values):
        raise EndpointError(
            f"{endpoint.name}: the body of its answer is not as expected: {fault}{said}; correct expect_body"
        )
    captured, missing = expectation.capture(answer.body)
    if missing:
        raise EndpointError(f"{endpoint.name}: its answer has no value at {missing}{said}; correct capture")
    return {**row, **captured}
