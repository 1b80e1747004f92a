"""Measures two cases against each other: a round is a fresh pair of servers, asked both at once or by turns.

The rounds of a pair go on until the ratio is known well enough, or there are enough of them; each is on disk as soon
as it ended. The only module beside experiment.py that sequences.
"""

import random
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from loopwise import machine
from loopwise.analysis.checks import check_round, verdict
from loopwise.analysis.rounds import side_of
from loopwise.analysis.workers import window_figures
from loopwise.errors import RunError
from loopwise.generator.client import Generator
from loopwise.generator.protocol import Event, Order, Rival, Slice
from loopwise.model import SIDES, Case, GeneratorFigures, HostFigures, Pairing, Round, Side, SideName
from loopwise.results.folder import STREAM, STREAMS, ResultFolder, seal_samples
from loopwise.servers import lifecycle as servers
from loopwise.servers.lifecycle import RunningServer
from loopwise.servers.pinning import Placement, place
from loopwise.servers.services import Services
from loopwise.servers.telemetry import Telemetry

Serve = Callable[..., AbstractContextManager[RunningServer]]


@dataclass(frozen=True)
class Pair:
    """Two cases that are asked the same load."""

    baseline: Case
    candidate: Case
    pairing: Pairing
    slice_s: float | None = None
    """Length of a slice; None in a duel."""
    slices: int = 0
    """Per round, of both sides together."""

    @property
    def cases(self) -> dict[SideName, Case]:
        """The case of each side."""
        return {"baseline": self.baseline, "candidate": self.candidate}


@dataclass
class Rounds:
    """Measures rounds of pairs into a result folder."""

    result: ResultFolder
    generator: Generator
    seed: int
    calibration: Mapping[str, float]
    services: Services
    serve: Serve = servers.serve
    cores: Sequence[int] = field(default_factory=machine.core_numbers)
    hear: Callable[[Event], None] = lambda _: None

    def measure(self, pair: Pair, number: int) -> Round:
        """Measure one round, write it and return it; a side that can't be measured makes it a failed one."""
        folder = self.result.new_round_folder(pair.baseline.case_id, pair.candidate.case_id, number)
        started_at = datetime.now(UTC).isoformat(timespec="milliseconds")
        first = SIDES[(number + 1) % 2]
        found = Round(
            pairing="duel" if pair.slice_s is None else "slices",
            number=number,
            baseline_case=pair.baseline.case_id,
            candidate_case=pair.candidate.case_id,
            status="failed",
            started_at=started_at,
            slice_s=pair.slice_s,
            first=first,
        )
        try:
            found = self._measure(pair, found, folder)
        except RunError as error:
            found = found.model_copy(update={"error": str(error)})
            if any(folder.glob(STREAMS)):
                seal_samples(folder)
        self.result.write_round(found)
        return found

    def _measure(self, pair: Pair, found: Round, folder: Path) -> Round:
        scratch = Path(tempfile.mkdtemp(prefix="loopwise-"))
        places = placements(pair, self.cores)
        try:
            with ExitStack() as stack:
                order = SIDES if found.first == "baseline" else SIDES[::-1]
                running = {
                    name: self._serve_side(
                        stack, pair.cases[name], name, scratch=scratch, folder=folder, placement=places[name]
                    )
                    for name in order
                }
                measured = self._load(pair, found, folder, running, places["baseline"].generator)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        return self._evaluate(found, folder, measured)

    def _serve_side(
        self,
        stack: ExitStack,
        case: Case,
        name: SideName,
        *,
        scratch: Path,
        folder: Path,
        placement: Placement,
    ) -> RunningServer:
        # Names of equal length: a path's length moves a process's memory.
        own = scratch / {"baseline": "a", "candidate": "b"}[name]
        own.mkdir()
        services = stack.enter_context(self.services.during(case.needs, f"{self.seed}/{folder.name}"))
        return stack.enter_context(
            self.serve(
                case,
                scratch=own,
                log=folder / f"{name}.log",
                calibration=self.calibration,
                cores=placement.server,
                services=services,
            )
        )

    def _load(
        self,
        pair: Pair,
        found: Round,
        folder: Path,
        running: Mapping[SideName, RunningServer],
        cores: tuple[int, ...],
    ) -> "Measured":
        measured = Measured({name: running[name] for name in SIDES})
        order = Order(
            url=running["baseline"].url,
            endpoints=pair.baseline.endpoints,
            load=pair.baseline.load,
            rival=Rival(
                url=running["candidate"].url,
                endpoints=pair.candidate.endpoints,
                slice_s=pair.slice_s,
                slices=pair.slices,
                first=found.first,
            ),
            seed=random.Random(
                f"{self.seed}/{found.baseline_case}/{found.candidate_case}/{found.number}"
            ).getrandbits(32),
            samples=str(folder / STREAM),
            cores=cores,
        )

        def hear(event: Event) -> None:
            measured.hear(event)
            self.hear(event)

        measured.start()
        try:
            measured.done = self.generator.run(order, hear)
        finally:
            measured.stop()
        return measured

    def _evaluate(self, found: Round, folder: Path, measured: "Measured") -> Round:
        seal_samples(folder)
        table = self.result.round_samples(found)
        stretches, span = measured.stretches(), measured.span()
        figures = {name: measured.figures(name) for name in SIDES}
        cpu_s = {name: figures[name].get("server_cpu_s") for name in SIDES}
        total_s = sum(filter(None, cpu_s.values()))
        sides: dict[str, Side] = {}
        for name in SIDES:
            side = side_of(table, name, stretches, cpu_s[name], span)
            spent_s = cpu_s[name]
            share = None if spent_s is None or not total_s else spent_s / total_s
            sides[name] = side.model_copy(update={"server": measured.servers[name].facts, "cpu_share": share})
        host = {key: value for key, value in figures["baseline"].items() if not key.startswith("server_")}
        found = found.model_copy(
            update={
                **sides,
                "status": "ok",
                "duration_s": sum(
                    each.end_ns - each.start_ns for each in stretches if each.side == "baseline"
                )
                / 1e9,
                "generator": measured.done.figures.record() if measured.done.figures else GeneratorFigures(),
                "host": HostFigures(**host),
            }
        )
        checks = check_round(found)
        reason = verdict(checks)
        return found.model_copy(
            update={"checks": checks, "status": "ok" if reason is None else "invalid", "error": reason}
        )


def placements(pair: Pair, cores: Sequence[int]) -> dict[SideName, Placement]:
    """Cores of each side and of the generator: each side as in a run of its own, so in a duel both share them.

    Where one side can't be placed apart from the generator, none is: their cores would not be equal.
    """
    found = {name: place(case, cores, 1) for name, case in pair.cases.items()}
    if not all(each.is_apart for each in found.values()):
        return dict.fromkeys(SIDES, Placement())
    return found


@dataclass
class Measured:
    """What is collected while a round goes on."""

    servers: dict[SideName, RunningServer]
    done: Event = field(default_factory=lambda: Event(event="done"))
    _ends: list[Event] = field(default_factory=list)
    _times: list[dict[SideName, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._telemetry = {
            name: Telemetry(server.pid, server.probes) for name, server in self.servers.items()
        }

    def start(self) -> None:
        """Begin to sample."""
        for each in self._telemetry.values():
            each.start()

    def stop(self) -> None:
        """End the sampling."""
        for each in self._telemetry.values():
            each.stop()

    def hear(self, event: Event) -> None:
        """Keep the ends of the measurement, and sample there."""
        if event.event in {"window_opened", "window_closed"}:
            self._ends.append(event)
            self._times.append({name: each.sample() for name, each in self._telemetry.items()})

    def span(self) -> Slice:
        """From the first to the last moment of the measurement."""
        if len(self._ends) < 2:
            raise RunError("the generator ended without a window; see generator.log")
        return Slice("baseline", self._ends[0].time_ns, self._ends[1].time_ns)

    def stretches(self) -> tuple[Slice, ...]:
        """The times that count: the slices, or in a duel the whole span for both."""
        span = self.span()
        return self.done.slices or tuple(span._replace(side=name) for name in SIDES)

    def figures(self, name: SideName) -> dict[str, float]:
        """Figures of one side's processes and of the machine over the span."""
        first, last = self._times[0][name], self._times[1][name]
        return window_figures(self._telemetry[name].samples, first, last)
