"""The means to measure with: start servers, put a load on them, record it. Runs and rounds of pairs share them."""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any, NamedTuple

from loopwise import machine
from loopwise.analysis.window import window_figures, worker_figures
from loopwise.errors import RunError
from loopwise.generator.client import Generator
from loopwise.generator.protocol import Event, Order
from loopwise.measure.written import WrittenAnswers
from loopwise.model import Case, Experiment, Resource, WaitPlace, Window, Worker
from loopwise.model.factors import is_variant
from loopwise.model.modes import OWN
from loopwise.results.columns import Sample
from loopwise.results.folder import STREAMS, ResultFolder, seal_samples
from loopwise.servers import lifecycle, probe_logs, processes
from loopwise.servers.lifecycle import RunningServer
from loopwise.servers.pinning import Pinning
from loopwise.servers.services import Services
from loopwise.servers.standing import waits_at
from loopwise.servers.telemetry import Telemetry

Serve = Callable[..., AbstractContextManager[RunningServer]]
"""As loopwise.servers.lifecycle.serve."""
OnEvent = Callable[[Event], None]


@dataclass
class Testbed:
    """Result folder, generator, services and cores of an experiment."""

    __test__ = False  # not a test class of pytest's

    result: ResultFolder
    experiment: Experiment
    """Its seed and calibration are used; the state of its plan is not."""
    generator: Generator
    services: Services
    serve: Serve = field(default_factory=lambda: lifecycle.serve)
    cores: Sequence[int] = field(default_factory=machine.core_numbers)
    on_event: OnEvent = lambda _: None
    """Receives every event of the generator."""

    @cached_property
    def written(self) -> WrittenAnswers:
        """What endpoints answer as they are written, for cases of variants."""
        return WrittenAnswers(self._start_written)

    @contextmanager
    def _start_written(self, case: Case, log: Path) -> Iterator[RunningServer]:
        with ExitStack() as stack:
            yield self.start(stack, case, Pinning(), log=log, services_seed=OWN.name)

    def start(
        self,
        stack: ExitStack,
        case: Case,
        pinning: Pinning,
        *,
        log: Path,
        services_seed: str,
        **options: Any,
    ) -> RunningServer:
        """Start a case's server; closing the stack ends it and removes what it wrote.

        Args:
            stack: ends the server when it is closed.
            case: what to serve.
            pinning: cores of server and generator.
            log: the server's output.
            services_seed: prepares the services that the case needs.
            options: more arguments of `serve`.

        Raises:
            RunError: the server or a service did not start.
        """
        if is_variant(case):
            options["on_answer"] = partial(self.written.refuse_other, case)
        # Folders of equal length for all servers: a path's length moves a process's memory.
        scratch = stack.enter_context(processes.temporary_folder())
        services = stack.enter_context(self.services.during(case.needs, f"{self.experiment.seed}/{services_seed}"))
        return stack.enter_context(
            self.serve(
                case,
                scratch=scratch,
                log=log,
                calibration=self.experiment.calibration,
                cores=pinning.server,
                services=services,
                **options,
            )
        )

    def load_seed(self, *names: object) -> int:
        """Draw the seed of a load, so that a repetition sends the same requests."""
        return random.Random("/".join(map(str, [self.experiment.seed, *names]))).getrandbits(32)

    def load(self, recording: "Recording", order: Order) -> None:
        """Let the generator carry out an order while the servers are recorded.

        Raises:
            RunError: the generator died or fell silent; `recording` keeps what it has.
        """

        def on_event(event: Event) -> None:
            recording.note(event)
            self.on_event(event)

        recording.start()
        try:
            recording.done = self.generator.run(order, on_event)
        finally:
            recording.stop()
        for each in recording.servers.values():
            each.refuse_void()


class _End(NamedTuple):
    """One end of the window."""

    event: Event
    sampled_ns: Mapping[str, int]
    """Time of the telemetry sample taken there, by server."""
    condition: machine.Condition


class Recording:
    """Events of a load, and telemetry of the servers under it.

    Args:
        servers: by name; several are measured at once, or by turns.
    """

    def __init__(self, servers: Mapping[str, RunningServer]) -> None:
        self.servers = servers
        self.done = Event(event="done")
        self._telemetry = {name: Telemetry(each.pid, each.probes) for name, each in servers.items()}
        self._ends: list[_End] = []

    def start(self) -> None:
        """Begin to sample."""
        for each in self._telemetry.values():
            each.start()

    def stop(self) -> None:
        """End the sampling."""
        for each in self._telemetry.values():
            each.stop()

    def note(self, event: Event) -> None:
        """Keep the window's ends, with a sample there, so that the machine's figures begin and end with it."""
        if event.event in {"window_opened", "window_closed"}:
            # Looking for new processes takes milliseconds, by which a second server would be sampled later.
            is_thorough = len(self.servers) == 1
            sampled = {name: each.sample(is_thorough=is_thorough) for name, each in self._telemetry.items()}
            self._ends.append(_End(event, sampled, machine.condition()))

    def window(self) -> Window:
        """The measured part.

        Raises:
            RunError: the generator ended before the window closed.
        """
        if len(self._ends) < 2:
            raise RunError("the generator ended without a window; see generator.log")
        opened, closed = (end.event for end in self._ends)
        return Window(start_ns=opened.time_ns, end_ns=closed.time_ns, warm=opened.warm)

    def samples(self, name: str) -> list[Sample]:
        """Telemetry of a server and of the machine."""
        return self._telemetry[name].samples

    def figures(self, name: str) -> dict[str, float]:
        """Figures of a server's processes and of the machine over the window."""
        opened, closed = (end.sampled_ns[name] for end in self._ends)
        figures = window_figures(self.samples(name), opened, closed)
        late_ns = max(end.sampled_ns[name] - end.event.time_ns for end in self._ends)
        return figures | {"harness_pause_s": max(late_ns / 1e9, figures.get("harness_pause_s", 0.0))}

    def changes(self) -> dict[str, float]:
        """Changes of the machine's condition from the window's start to its end."""
        opened, closed = (end.condition for end in self._ends)
        return machine.changes(opened, closed)

    def waits_at(self, name: str, case: Case) -> tuple[WaitPlace, ...]:
        """Lines of a case's own app at which threads and tasks stood in the window; empty for target_app."""
        if case.app is None:
            return ()
        window = self.window()
        edited = self.servers[name].edited_texts
        return waits_at(self._telemetry[name].logs, window.start_ns, window.end_ns, case.app.app_dir, edited)

    def workers(self, name: str) -> tuple[Worker, ...]:
        """Figures of each worker process of a server over the window."""
        opened, closed = (end.sampled_ns[name] for end in self._ends)
        return worker_figures(self.samples(name), opened, closed, self.servers[name].facts.pids)

    def resources(self, name: str) -> tuple[Resource, ...]:
        """What requests could wait for in the workers of a server over the window."""
        opened, closed = (end.sampled_ns[name] for end in self._ends)
        return probe_logs.resources(self._telemetry[name].logs, opened, closed)


def keep_partial_rows(folder: Path) -> None:
    """Seal the rows that a generator had written when it failed, if there are any."""
    if any(folder.glob(STREAMS)):
        seal_samples(folder)
