"""Measure an endpoint on a really started server: one bounded run, as a suite has many, without a report."""

import importlib.util
import sys
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from loopwise import machine
from loopwise.analysis.checks import void_reason
from loopwise.analysis.figures import figures_of
from loopwise.analysis.rows import RunRows
from loopwise.errors import RunError, UsageError
from loopwise.measure.experiment import design
from loopwise.measure.run import begin, measure
from loopwise.measure.testbed import Testbed
from loopwise.model import Cause, Check, Run, Suite
from loopwise.pytest_plugin.asking import Request, is_client
from loopwise.pytest_plugin.generating import SessionGenerator
from loopwise.results.folder import ResultFolder
from loopwise.servers.pinning import pin
from loopwise.servers.processes import quoted, temporary_folder
from loopwise.servers.services import Services
from loopwise.suite import make_suite
from loopwise.suite.scaffold import trial_document

MAX_S, WARMUP_S, WARMUP_MAX_S = 10.0, 0.2, 3.0
"""A window in a test is no longer; the server warms up for so long before it."""


class VoidError(RunError):
    """A check voided the run: what it measured is not what was to be measured."""

    def __init__(self, text: str, checks: tuple[Check, ...]) -> None:
        super().__init__(text)
        self.checks = checks


@dataclass(frozen=True)
class Served:
    """What one run measured. It has no interval: that takes several servers, as a suite starts them."""

    endpoint: str
    users: int
    duration_s: float
    """Length of the window."""
    requests: int
    """Answered as expected within the window."""
    errors: int
    """Requests of the window that failed."""
    throughput_rps: float
    """Requests answered as expected, per second."""
    service_time_mean_ms: float
    """From sending to the last byte's arrival."""
    service_time_p50_ms: float
    service_time_p90_ms: float
    service_time_p99_ms: float | None
    """None: too few answers came to tell."""
    stamp: str
    """Clock of these times: `kernel`, or `user` where the system stamps no arrivals."""
    checks: tuple[Check, ...] = field(repr=False)
    """All of the run; none has voided it."""
    causes: tuple[Cause, ...] = field(repr=False)
    """What it waited for, most likely first."""

    @property
    def flags(self) -> tuple[str, ...]:
        """A sentence for each check that doubts the figures: a busy machine, few answers, and so on."""
        return tuple(f"{check.name}: {check.detail}" for check in self.checks if not check.ok)


class Target(NamedTuple):
    """An app as a server imports it."""

    name: str
    """`shop.main:app`"""
    app_dir: Path


def served(
    generator: SessionGenerator,
    app: Any,
    request: Request,
    *,
    users: int,
    seconds: float,
    workers: int,
    app_dir: Path | None,
    root: Path,
) -> Served:
    """Start a server with the app, load one endpoint, and end the server.

    Args:
        generator: of the session.
        app: `module:app`, or an app that is one of a module's names.
        request: what to ask.
        users: virtual users, each with one request in flight.
        seconds: length of the window.
        workers: processes of the server.
        app_dir: folder that the app is imported from; None: where its module lies.
        root: folder that it is sought in besides.

    Raises:
        UsageError: the arguments are wrong, or no server can import the app.
        VoidError: a check voided the run.
        RunError: server or generator failed, or the endpoint answers something else.
    """
    if not 0 < seconds <= MAX_S:
        raise UsageError(f"loopwise: seconds: got {seconds!r}, allowed is a number above 0, up to {MAX_S:g}")
    target = target_of(app, app_dir, root)
    document = trial_document(
        target.name,
        [request.name],
        workers=str(workers),
        users=users,
        app_dir=target.app_dir,
        python=None,
        cwd=Path.cwd(),
        request=request.table(),
    )
    times_s = {"warmup_s": WARMUP_S, "warmup_max_s": WARMUP_MAX_S, "measure_s": seconds, "timeout_s": request.timeout_s}
    document["load"] |= times_s
    document["replicates"] = {"min": 1, "max": 1}
    document.pop("compare", None)
    return _measured(generator, make_suite(document, label="loopwise.served", folder=Path.cwd()))


def _measured(generator: SessionGenerator, suite: Suite) -> Served:
    """Carry out the only run of a suite."""
    experiment = design(suite, seed=None, label=None, name="served")
    (case,), (planned,) = suite.cases, experiment.plan
    with temporary_folder() as folder, Services(folder) as services, ExitStack() as stack:
        result = ResultFolder(folder / "result")
        result.path.mkdir()
        result.write_experiment(experiment)
        log = result.new_run_folder(case.case_id, planned.replicate) / "server.log"
        pinning = pin(case, machine.core_numbers(), suite.generator.processes)
        testbed = Testbed(result, experiment, generator, services)
        server = testbed.start(stack, case, pinning, log=log, services_seed="1")
        run, _ = measure(testbed, begin(case, planned, 1), server, pinning)
        if reason := void_reason(run.checks):
            name = case.endpoints[0].name
            raise VoidError(f"{name}: void, so there are no figures: {reason}. {quoted(log)}", run.checks)
        return _figures(run, RunRows(result.samples(run), run))


def _figures(run: Run, rows: RunRows) -> Served:
    """The figures of a run that is valid."""
    name = run.case.endpoints[0].name
    figures = figures_of(rows)
    values = {metric: value for (endpoint, metric), value in figures.metrics.items() if endpoint == figures.endpoint}
    times_ms = {key: values.get(key) for key in ("service_time_mean_ms", "service_time_p50_ms", "service_time_p90_ms")}
    if run.window is None or None in times_ms.values() or "throughput_rps" not in values:
        raise VoidError(f"{name}: no answer came within the window; give more seconds", run.checks)
    return Served(
        endpoint=name,
        users=run.case.load.users,
        duration_s=run.window.duration_s,
        requests=figures.counts["ok"],
        errors=figures.counts["errors"],
        throughput_rps=values["throughput_rps"],
        **{key: value for key, value in times_ms.items() if value is not None},
        service_time_p99_ms=values.get("service_time_p99_ms"),
        stamp=run.generator.stamp,
        checks=run.checks,
        causes=run.causes,
    )


def target_of(app: Any, app_dir: Path | None, root: Path) -> Target:
    """Say how a server imports an app.

    Raises:
        UsageError: it can't, or it would find another app than the test has.
    """
    if isinstance(app, str):
        return Target(app, app_dir or _folder_of(app.partition(":")[0]) or root)
    if is_client(app) or not callable(app):
        raise UsageError(
            f'loopwise: got {app!r}, of type {type(app).__name__}; give an app, or its name such as "shop.main:app"'
        )
    if getattr(app, "dependency_overrides", None):
        raise UsageError(
            "loopwise: the app has dependency_overrides, which a server that imports it does not; clear them, or name "
            'a module that sets them: "tests.overridden:app"'
        )
    for module in list(sys.modules.values()):
        names = (
            [name for name, value in list(vars(module).items()) if value is app] if hasattr(module, "__dict__") else []
        )
        folder = _folder_of(module.__name__) if names and module.__name__ != "__main__" else None
        if folder is not None:
            return Target(f"{module.__name__}:{names[0]}", app_dir or folder)
    raise UsageError(
        "loopwise: no module that can be imported has this app under a name, so no server can load it; give "
        '"module:app", or "module:make_app()" where a function makes it'
    )


def _folder_of(module: str) -> Path | None:
    """The folder that a module is imported from; None: it can't be found."""
    top = module.partition(".")[0]
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    folders = list(spec.submodule_search_locations or ())
    if folders:
        return Path(folders[0]).parent
    return Path(spec.origin).parent if spec.has_location and spec.origin else None
