"""What a request costs each generator in CPU, in interleaved rounds against the same static server."""

import random
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from loopwise.calibrate.document import CostRatio, RowSize, Spread, ToolCost
from loopwise.calibrate.generation import CONNECTIONS, Bench
from loopwise.calibrate.peers import run_peer
from loopwise.errors import RunError
from loopwise.model import Load

DECLARED, STAMPED = "ours, declared", "ours, StampedUser"
FAST, HTTP = "FastHttpUser", "HttpUser"
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
"""Share of a core from which it counts as full (METHOD §2)."""


class Round(NamedTuple):
    """One tool in one round."""

    requests: int
    errors: int
    cpu_s: float
    wall_s: float
    server_cpu_s: float

    @property
    def cpu_us_per_request(self) -> float:
        """The price."""
        return self.cpu_s * 1e6 / self.requests


Rounds = dict[str, dict[int, Round]]
"""By tool and number of the round."""


class Costs(NamedTuple):
    """What the rounds gave."""

    tools: tuple[ToolCost, ...]
    ratios: tuple[CostRatio, ...]
    row_size: RowSize | None
    problems: tuple[str, ...]


def measure_cost(bench: Bench, peers: Mapping[str, str], rounds: int) -> Costs:
    """Each tool once per round, in an order shuffled by the seed, so that drift of the machine hits all alike.

    Args:
        bench: server, generators, seed.
        peers: path of the program by name.
        rounds: how often.
    """
    found: Rounds = {}
    sizes: list[RowSize] = []
    problems: dict[str, str] = {}
    steps = {tool: _ours(bench, tool, sizes) for tool in SCENARIOS}
    steps |= {name: _peer(bench, name, program) for name, program in peers.items()}
    shuffler = random.Random(bench.seed)
    for number in range(1, rounds + 1):
        for tool in shuffler.sample(list(steps), len(steps)):
            bench.tell(f"CPU per request, round {number} of {rounds}: {tool}")
            try:
                found.setdefault(tool, {})[number] = steps[tool]()
            except RunError as error:
                problems[tool] = f"CPU per request of {tool}: {error}"
    largest = max(sizes, key=lambda size: size.rows, default=None)
    return Costs(summarise(steps, found), ratios_of(found), largest, tuple(problems.values()))


def _ours(bench: Bench, tool: str, sizes: list[RowSize]) -> Callable[[], Round]:
    """A step that runs Locust: our declared load, or a Locust file."""
    load = Load(
        users=CONNECTIONS, warmup_s=bench.warmup_s, warmup_max_s=5.0, measure_s=bench.window_s, timeout_s=5.0
    )

    def step() -> Round:
        run = bench.generate(load, scenario=SCENARIOS[tool])
        count = run.rows.is_ok.size
        if not run.figures.requests:
            raise RunError("no request was answered in the window; is the machine overloaded?")
        if tool == DECLARED:
            name = f"closed, {CONNECTIONS} connections, saturated"
            sizes.append(RowSize(load=name, rows=count, bytes_per_row=run.rows.file_bytes / count))
        figures = run.figures
        return Round(figures.requests, run.errors, figures.cpu_s, figures.wall_s, run.server_cpu_s)

    return step


def _peer(bench: Bench, name: str, program: str) -> Callable[[], Round]:
    def step() -> Round:
        return Round(*run_peer(name, program, bench.server, bench.window_s, core=bench.core))

    return step


def summarise(tools: Mapping[str, object] | Sequence[str], found: Rounds) -> tuple[ToolCost, ...]:
    """A line per tool that was measured at all, in the given order."""
    return tuple(_tool_cost(tool, list(found[tool].values())) for tool in tools if found.get(tool))


def _tool_cost(tool: str, rounds: list[Round]) -> ToolCost:
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
    """Whose core is full."""
    is_full = {"generator": generator_cpu_ratio >= FULL, "server": server_cpu_ratio >= FULL}
    if all(is_full.values()):
        return "both"
    return next((name for name, full in is_full.items() if full), "neither")


def ratios_of(found: Rounds) -> tuple[CostRatio, ...]:
    """Ratios within each round that has both tools; then the median over the rounds."""
    ratios = []
    for numerator, denominator in RATIOS:
        above, below = found.get(numerator, {}), found.get(denominator, {})
        values = [
            above[number].cpu_us_per_request / below[number].cpu_us_per_request
            for number in sorted(above.keys() & below.keys())
        ]
        if values:
            ratio = CostRatio(numerator=numerator, denominator=denominator, ratio=Spread.of(values))
            ratios.append(ratio)
    return tuple(ratios)
