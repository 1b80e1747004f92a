"""One run on a server that is up: the load goes on, and what comes of it is kept."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from loopwise.analysis.assess import assess
from loopwise.analysis.workers import window_figures, worker_figures
from loopwise.errors import RunError
from loopwise.generator.client import Generator
from loopwise.generator.protocol import Event, Order
from loopwise.machine import Condition, changes, condition
from loopwise.model import Case, Experiment, GeneratorFigures, HostFigures, PlannedRun, Run, Window, Worker
from loopwise.results.folder import STREAM, STREAMS, ResultFolder, seal_samples
from loopwise.servers.lifecycle import RunningServer
from loopwise.servers.pinning import Placement
from loopwise.servers.telemetry import Telemetry

Hear = Callable[[Event], None]


def begin(case: Case, planned: PlannedRun, position: int) -> Run:
    """A run of which nothing is known yet, begun now. It has failed until it is measured."""
    return Run(
        case=case,
        replicate=planned.replicate,
        attempt=planned.attempt,
        order=position,
        status="failed",
        started_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
    )


def fail(run: Run, error: RunError, result: ResultFolder) -> Run:
    """The run as it failed; the rows that were written by then are kept."""
    folder = result.run_folder(run.case.case_id, run.replicate)
    if any(folder.glob(STREAMS)):
        seal_samples(folder)
    return run.model_copy(update={"error": str(error)})


def measure(
    run: Run,
    server: RunningServer,
    placement: Placement,
    *,
    experiment: Experiment,
    result: ResultFolder,
    generator: Generator,
    hear: Hear,
    holds: bool = False,
) -> tuple[Run, float | None]:
    """Put the load on a server that is up, and complete the run that `begin` gave.

    With `holds` the window opens only when the generator is told to go, after its event `warm`.

    Returns:
        The run with all that was measured, and its throughput in requests a second.

    Raises:
        RunError: the generator died, fell silent or opened no window. What was recorded by then is in the run's folder.
    """
    folder = result.run_folder(run.case.case_id, run.replicate)
    recording = Recording(server, Telemetry(server.pid, server.probes))
    order = _order(run, server, placement, experiment, folder, holds=holds)
    try:
        recording.follow(generator, order, hear)
    finally:  # whatever became of the load, what was seen of the server meanwhile is kept
        telemetry = result.write_telemetry(folder, recording.telemetry.samples)
    rows = seal_samples(folder)
    run = run.model_copy(
        update={
            "window": recording.window(),
            "server": server.known(),
            "generator": recording.done.figures.record() if recording.done.figures else GeneratorFigures(),
            "counts": {"rows": rows},
            "host": recording.host(),
            "workers": recording.workers(),
        }
    )
    return assess(run, result.samples(run), telemetry)


def _order(
    run: Run,
    server: RunningServer,
    placement: Placement,
    experiment: Experiment,
    folder: Path,
    *,
    holds: bool,
) -> Order:
    """What the generator is asked for. A repetition gets the requests of the run that it repeats."""
    case, processes = run.case, experiment.suite.generator.processes
    return Order(
        url=server.url,
        endpoints=case.endpoints,
        scenario=case.scenario,
        load=case.load,
        seed=random.Random(f"{experiment.seed}/{case.case_id}/{run.replicate}").getrandbits(32),
        samples=str(folder / STREAM),
        holds=holds,
        processes=processes,
        cores=placement.generator,
    )


@dataclass
class Recording:
    """What is collected while a run goes on."""

    server: RunningServer
    telemetry: Telemetry
    done: Event = field(default_factory=lambda: Event(event="done"))
    _ends: dict[str, tuple[Event, int, Condition]] = field(default_factory=dict)
    """The window's two events, each with the time of the telemetry sample taken for it, and the machine's condition."""

    def follow(self, generator: Generator, order: Order, hear: Hear) -> None:
        """Let the generator carry out the order, and look at the server meanwhile.

        Raises:
            RunError: the generator died or fell silent. What was seen by then is in `telemetry`.
        """

        def hear_both(event: Event) -> None:
            self.hear(event)
            hear(event)

        self.telemetry.start()
        try:
            self.done = generator.run(order, hear_both)
        finally:
            self.telemetry.stop()

    def hear(self, event: Event) -> None:
        """Keep the window's ends; sample there, so that the machine's figures begin and end with it."""
        if event.event in {"window_opened", "window_closed"}:
            self._ends[event.event] = event, self.telemetry.sample(is_thorough=True), condition()

    def window(self) -> Window:
        """The measured part of the run."""
        if len(self._ends) < 2:
            raise RunError("the generator ended without a window; see generator.log")
        opened, closed = self._ends["window_opened"][0], self._ends["window_closed"][0]
        return Window(start_ns=opened.time_ns, end_ns=closed.time_ns, warm=opened.warm)

    def host(self) -> HostFigures:
        """Figures of the server's processes and of the machine over the window."""
        _, opened_ns, before = self._ends["window_opened"]
        _, closed_ns, after = self._ends["window_closed"]
        over_window = window_figures(self.telemetry.samples, opened_ns, closed_ns)
        return HostFigures(**over_window, **changes(before, after))

    def workers(self) -> tuple[Worker, ...]:
        """What each worker of the server did in the window."""
        return worker_figures(
            self.telemetry.samples,
            self._ends["window_opened"][1],
            self._ends["window_closed"][1],
            self.server.facts.pids,
        )
