"""Measures what the generator costs: CPU per request beside other tools, and memory per virtual user."""

import random
import resource
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import psutil

from loopwise.calibrate.bench import CONNECTIONS, Bench
from loopwise.calibrate.peers import CostRound, run_peer
from loopwise.calibrate.records import (
    DECLARED,
    FAST,
    HTTP,
    STAMPED,
    CostRatio,
    RowSize,
    Spread,
    ToolCost,
    UserMemory,
)
from loopwise.errors import RunError
from loopwise.generator.client import GeneratorProcess, OnEvent
from loopwise.generator.protocol import Event, Order
from loopwise.model import Load

SCENARIOS: dict[str, str | None] = {
    DECLARED: None,
    STAMPED: "stamped_user",
    FAST: "fast_http_user",
    HTTP: "http_user",
}
"""Locust files in scenarios/calibrate; None: the declared endpoint."""
RATIOS = (
    (DECLARED, "wrk"),
    (DECLARED, "hey"),
    (FAST, DECLARED),
    (FAST, STAMPED),
    (HTTP, FAST),
)
"""Numerator and denominator."""
FULL = 0.9
"""Share of a core from which it counts as full."""


Rounds = dict[str, dict[int, CostRound]]
"""By tool and number of the round."""


class Costs(NamedTuple):
    """Results of all rounds."""

    tools: tuple[ToolCost, ...]
    ratios: tuple[CostRatio, ...]
    row_size: RowSize | None
    problems: tuple[str, ...]


def measure_cost(bench: Bench, peers: Mapping[str, str], rounds: int) -> Costs:
    """Measure each tool once per round, in an order shuffled by the seed so that drift of the machine hits all alike.

    Args:
        bench: server, generators, seed.
        peers: path of the program by name.
        rounds: how many.
    """
    by_tool: Rounds = {}
    sizes: list[RowSize] = []
    problems: dict[str, str] = {}
    steps = {tool: _ours(bench, tool, sizes) for tool in SCENARIOS}
    steps |= {name: _peer(bench, name, program) for name, program in peers.items()}
    shuffler = random.Random(bench.seed)
    for number in range(1, rounds + 1):
        for tool in shuffler.sample(list(steps), len(steps)):
            bench.tell(f"CPU per request, round {number} of {rounds}: {tool}")
            try:
                by_tool.setdefault(tool, {})[number] = steps[tool]()
            except RunError as error:
                problems[tool] = f"CPU per request of {tool}: {error}"
    largest = max(sizes, key=lambda size: size.rows, default=None)
    return Costs(summarise(steps, by_tool), ratios_of(by_tool), largest, tuple(problems.values()))


def _ours(bench: Bench, tool: str, sizes: list[RowSize]) -> Callable[[], CostRound]:
    """Step that runs our generator, with the declared endpoint or a Locust file."""
    load = Load(users=CONNECTIONS, warmup_s=bench.warmup_s, warmup_max_s=5.0, measure_s=bench.window_s, timeout_s=5.0)

    def step() -> CostRound:
        run = bench.generate(load, scenario=SCENARIOS[tool])
        count = run.rows.is_ok.size
        if not run.figures.requests:
            raise RunError("no request was answered in the window; is the machine overloaded?")
        if tool == DECLARED:
            name = f"closed, {CONNECTIONS} connections, saturated"
            sizes.append(RowSize(load=name, rows=count, bytes_per_row=run.rows.file_bytes / count))
        figures = run.figures
        return CostRound(figures.requests, run.errors, figures.cpu_s, figures.wall_s, run.server_cpu_s)

    return step


def _peer(bench: Bench, name: str, program: str) -> Callable[[], CostRound]:
    def step() -> CostRound:
        return run_peer(name, program, bench.server, bench.window_s, core=bench.core)

    return step


def summarise(tools: Iterable[str], rounds: Rounds) -> tuple[ToolCost, ...]:
    """Costs of the tools that were measured at all, in the given order."""
    return tuple(_tool_cost(tool, list(rounds[tool].values())) for tool in tools if rounds.get(tool))


def _tool_cost(tool: str, rounds: list[CostRound]) -> ToolCost:
    generator = Spread.of([each.cpu_s / each.wall_s for each in rounds])
    server = Spread.of([each.server_cpu_s / each.wall_s for each in rounds])
    return ToolCost(
        tool=tool,
        cpu_us_per_request=Spread.of([each.cpu_us_per_request for each in rounds]),
        throughput_rps=Spread.of([each.requests / each.wall_s for each in rounds]),
        generator_cpu_ratio=generator,
        server_cpu_ratio=server,
        requests=sum(each.requests for each in rounds),
        errors=sum(each.errors for each in rounds),
        bottleneck=bottleneck(generator.median, server.median),
    )


def bottleneck(generator_cpu_ratio: float, server_cpu_ratio: float) -> str:
    """Name the side whose core is full: `generator`, `server`, `both` or `neither`."""
    is_full = {"generator": generator_cpu_ratio >= FULL, "server": server_cpu_ratio >= FULL}
    if all(is_full.values()):
        return "both"
    return next((name for name, full in is_full.items() if full), "neither")


def ratios_of(rounds: Rounds) -> tuple[CostRatio, ...]:
    """Compute ratios within each round that has both tools, and their median over the rounds."""
    ratios = []
    for numerator, denominator in RATIOS:
        above, below = rounds.get(numerator, {}), rounds.get(denominator, {})
        values = [
            above[number].cpu_us_per_request / below[number].cpu_us_per_request
            for number in sorted(above.keys() & below.keys())
        ]
        if values:
            ratios.append(CostRatio(numerator=numerator, denominator=denominator, ratio=Spread.of(values)))
    return tuple(ratios)


FEW_USERS = 100
"""Users of the first run, which pays for everything that is loaded once."""
SPARE_FILES = 500
"""Open files that are not users' sockets."""
THINK_S = 30.0
SPAWN_RATE = 5000.0
"""Users a second; a server's queue for new connections holds 4096 by default (net.core.somaxconn)."""


class WatchedGenerator(GeneratorProcess):
    """Generator process whose memory is read while it runs."""

    peak_rss_bytes = 0
    """Greatest resident memory at the ends of the last run's window."""

    def run(self, order: Order, on_event: OnEvent) -> Event:
        """Generate one run; see GeneratorProcess.run."""
        self.peak_rss_bytes = 0

        def sample(event: Event) -> None:
            if event.event in {"window_opened", "window_closed"}:
                rss_bytes = int(psutil.Process(self._process.pid).memory_info().rss)
                self.peak_rss_bytes = max(self.peak_rss_bytes, rss_bytes)
            on_event(event)

        return super().run(order, sample)


def measure_memory(bench: Bench, users: int, log: Path) -> UserMemory:
    """Measure how a fresh generator's memory grows from a few users to many.

    Args:
        bench: server and folder.
        users: how many; fewer where the limit on open files asks for it.
        log: of the generator.

    Raises:
        RunError: the generator failed, or the limit on open files leaves no room.
    """
    bench.tell(f"memory of {users:,} mostly idle users")
    room = resource.getrlimit(resource.RLIMIT_NOFILE)[0] - SPARE_FILES
    users = min(users, room)
    if users < 2 * FEW_USERS:
        raise RunError(f"there is room for {room} connections only; raise the limit on open files: `ulimit -n 65536`")
    generator = WatchedGenerator(log)
    try:
        few_bytes = _rss_bytes(bench, generator, FEW_USERS)
        many_bytes = _rss_bytes(bench, generator, users)
    finally:
        generator.close()
    growth_bytes = many_bytes - few_bytes
    return UserMemory(users=users, growth_bytes=growth_bytes, bytes_per_user=growth_bytes / (users - FEW_USERS))


def _rss_bytes(bench: Bench, generator: WatchedGenerator, users: int) -> int:
    """Resident memory in a window in which every user has had an answer and pauses."""
    load = Load(
        users=users,
        think_s=THINK_S,
        spawn_rate=SPAWN_RATE,
        warmup_s=users / SPAWN_RATE,
        warmup_max_s=20.0,
        measure_s=0.3,
        timeout_s=10.0,
    )
    bench.generate(load, generator=generator)
    return generator.peak_rss_bytes
