"""The fake bench for rounds of pairs: both sides at once, or by turns; and every command on it."""

import random
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

from loopwise.errors import GeneratorError
from loopwise.generator.protocol import ABBA, Event, Order, Slice
from loopwise.generator.recorder import Recorder
from loopwise.measure.experiment import Execution, Watcher
from loopwise.model import SIDES, Endpoint, Experiment, SideName
from loopwise.report.terminal.progress import Quiet
from loopwise.results.folder import ResultFolder
from support.fakes import (
    EPOCH_NS,
    HOST,
    WARMUP_NS,
    Conduct,
    FakeBench,
    FakeRow,
    figures_of,
    machine_of,
    record,
)

MOOD_RATIO = 0.05
"""Standard deviation of the log of what the machine gives to both sides of a round alike."""
CPU_NOISE_RATIO = 0.001


class PairBench(FakeBench):
    """A bench that carries out orders with a rival, too."""

    def __init__(self, conducts: Mapping[str, Conduct] | None = None, bursts: Iterator[float] | None = None) -> None:
        super().__init__(conducts, bursts)
        self.side_hosts: dict[SideName, dict[str, float]] = {}
        """What the telemetry of each side saw in the round that ended last."""

    @property
    def rounds(self) -> list[tuple[str, str, int]]:
        """Every round that was asked for: baseline, candidate, number."""
        return [pair_of(order) for order in self.orders if order.rival is not None]

    def figures(self, name: str) -> Mapping[str, float]:
        for side in SIDES:
            if name == side:
                return self.side_hosts[side]
        return super().figures(name)

    def run(self, order: Order, hear: Any) -> Event:
        if order.rival is None:
            return super().run(order, hear)
        self.orders.append(order)
        baseline, candidate, number = pair_of(order)
        conducts = {
            name: self.conduct(case_id).paired for name, case_id in zip(SIDES, (baseline, candidate), strict=True)
        }
        play = Play(order, conducts, self.bursts)
        play.perform()
        self._note_hosts(play)
        sink = Path(order.samples).open("wb")  # noqa: SIM115 - the recorder closes it
        recorder = Recorder(sink)
        if any(number in conduct.deaths for conduct in conducts.values()):
            record(recorder, play.rows[: len(play.rows) // 2])
            recorder.flush()
            sink.close()  # as the kernel does, without the stream's end
            raise GeneratorError("the generator ended with status -9. Its last lines:\n    Killed")
        record(recorder, play.rows)
        recorder.close()
        hear(Event(event="progress", phase="window", rows=len(play.rows), errors=recorder.failures))
        if not any(conduct.is_windowless for conduct in conducts.values()):
            hear(Event(event="window_opened", time_ns=EPOCH_NS + WARMUP_NS, warm=True))
            hear(Event(event="window_closed", time_ns=EPOCH_NS + play.closed_ns))
        busiest = max(conduct.generator_cpu_ratio for conduct in conducts.values())
        figures = figures_of(order, busiest, len(play.rows))
        return Event(event="done", rows=len(play.rows), figures=figures, slices=tuple(play.slices))

    def _note_hosts(self, play: "Play") -> None:
        for name in SIDES:
            cpu_s = play.served(name) * play.conducts[name].cpu_ms / 1e3
            noise = play.dice.lognormvariate(0.0, CPU_NOISE_RATIO)
            steal = sum(play.steals) / len(play.steals)
            self.side_hosts[name] = HOST | {"server_cpu_s": cpu_s * noise, "steal_ratio": steal}


def pair_of(order: Order) -> tuple[str, str, int]:
    """Baseline, candidate and number of the round, which its folder says."""
    baseline, candidate, number = Path(order.samples).parts[-4:-1]
    return baseline, candidate, int(number)


@dataclass
class Play:
    """One round: rows of two sides whose rates share the machine's mood and have a noise of their own."""

    order: Order
    conducts: Mapping[SideName, Conduct]
    bursts: Iterator[float]
    """Each slice, or the duel as a whole, loses one of them."""
    rows: list[FakeRow] = field(default_factory=list)
    slices: list[Slice] = field(default_factory=list)
    steals: list[float] = field(default_factory=list)
    closed_ns: int = 0

    def __post_init__(self) -> None:
        self.dice = random.Random(self.order.seed)
        mood = self.dice.lognormvariate(0.0, MOOD_RATIO)
        self._rates = {
            name: mood * each.throughput_rps * self.dice.lognormvariate(0.0, each.noise_ratio)
            for name, each in self.conducts.items()
        }

    def perform(self) -> None:
        """Both sides at once; or, where slices are asked for, by turns."""
        rival = self.order.rival
        assert rival is not None
        if rival.slice_s is not None:
            self._alternate(rival.slice_s, rival.slices, SIDES.index(rival.first))
            return
        self.closed_ns = WARMUP_NS + int(self.order.load.measure_s * 1e9)
        self.steals.append(next(self.bursts))
        for name in SIDES:
            self._answer(name, 0, self.closed_ns + WARMUP_NS, self._rates[name] * (1 - self.steals[0]))
        self.rows.sort(key=lambda row: row.received_ns)

    def served(self, name: SideName) -> int:
        """Requests that a side answered in the window."""
        return sum(
            row.endpoint.startswith(f"{name} ") and row.error is None and WARMUP_NS <= row.received_ns < self.closed_ns
            for row in self.rows
        )

    def _alternate(self, slice_s: float, slices: int, first: int) -> None:
        time_ns, users = WARMUP_NS, self.order.load.users
        for turn in range(slices):
            name = SIDES[(first + ABBA[turn % len(ABBA)]) % 2]
            self.steals.append(next(self.bursts))
            rate_rps = self._rates[name] * (1 - self.steals[-1])
            all_ns = int(users / rate_rps * 1e9)
            start_ns = time_ns + all_ns  # every user is answered once
            end_ns = start_ns + int(slice_s * 1e9)
            self._answer(name, time_ns, end_ns + all_ns, rate_rps)  # and what is in flight, afterwards
            self.slices.append(Slice(name, EPOCH_NS + start_ns, EPOCH_NS + end_ns))
            time_ns = end_ns + all_ns
        self.closed_ns = time_ns

    def _answer(self, name: SideName, begin_ns: int, end_ns: int, rate_rps: float) -> None:
        endpoints = self._endpoints(name)
        names = [f"{name} {each.name}" for each in endpoints for _ in range(each.weight)]
        gap_ns, users = 1e9 / rate_rps, self.order.load.users
        for index in range(int((end_ns - begin_ns) / gap_ns)):
            is_error = self.dice.random() < self.conducts[name].error_ratio
            self.rows.append(
                FakeRow(
                    begin_ns + int((index + 1) * gap_ns),
                    int(users * gap_ns * self.dice.uniform(0.9, 1.1)),
                    names[index % len(names)],
                    status=500 if is_error else 200,
                    error="status 500" if is_error else None,
                    connection=index % users,
                )
            )

    def _endpoints(self, name: SideName) -> tuple[Endpoint, ...]:
        assert self.order.rival is not None
        return self.order.endpoints if name == "baseline" else self.order.rival.endpoints


@contextmanager
def on_fakes(bench: PairBench) -> Iterator[PairBench]:
    """Whatever is measured within a `with` block is measured on the bench, the commands' work included."""
    places: dict[str, Any] = {
        "loopwise.servers.lifecycle.serve": bench.serve,
        "loopwise.servers.target.calibrate": lambda: {"cpu_iterations_per_ms": 9.0},
        "loopwise.generator.client.generators": lambda _: nullcontext(bench),
    }
    with ExitStack() as stack:
        for place, fake in places.items():
            stack.enter_context(mock.patch(place, fake))
        stack.enter_context(machine_of(bench))
        yield bench


def carry_out_all(
    result: ResultFolder, experiment: Experiment, bench: PairBench, watcher: Watcher | None = None
) -> Experiment:
    """Execute runs, and the slices after them, on the bench."""
    with on_fakes(bench):
        return Execution(result, experiment, bench, watcher or Quiet()).run()
