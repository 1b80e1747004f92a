"""Measures the cost of the probe: `python -m loopwise.calibrate.probe_cost`, throughput with ÷ without it on `noop`.

A round is a fresh pair of servers on the same cores, one with the probe and one without. The load goes to one of them
at a time, in short slices whose order is reversed each time; the interval is over rounds.
"""

import argparse
import math
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from loopwise import machine
from loopwise.analysis.stats import paired_ratio
from loopwise.errors import LoopwiseError
from loopwise.generator.client import Generators, generators
from loopwise.generator.protocol import Order
from loopwise.model import Case, Endpoint, Load, Server
from loopwise.servers.lifecycle import serve
from loopwise.servers.pinning import Pinning, pin

WITH, WITHOUT = "with", "without"
TARGET = 0.98
LOAD = Load(users=16, warmup_s=0.1, warmup_max_s=2.0, measure_s=0.4, timeout_s=5.0)


def case_of(*, probe: bool, mode: str) -> Case:
    """Make a case of the cheapest route, where a microsecond more shows most."""
    return Case(
        case_id=f"noop-{mode}",
        workload="noop",
        mode=mode,
        server=Server(probe=probe),
        endpoints=(Endpoint(path=f"/noop/{mode}"),),
        load=LOAD,
    )


def measure_round(
    pool: Generators, cases: dict[str, Case], slices: int, pinning: Pinning
) -> dict[str, float]:
    """Measure throughput of both sides: the geometric mean over their slices."""
    logs: dict[str, list[float]] = {name: [] for name in cases}
    with tempfile.TemporaryDirectory(prefix="loopwise-") as temporary, ExitStack() as stack:
        folder = Path(temporary)
        urls = {}
        for name, case in cases.items():
            scratch = folder / name
            scratch.mkdir()
            log = folder / f"{name}.log"
            server = serve(case, scratch=scratch, log=log, calibration={}, cores=pinning.server)
            urls[name] = stack.enter_context(server).url
        for number in range(slices):
            for name in list(cases)[:: 1 if number % 2 == 0 else -1]:
                order = Order(
                    url=urls[name],
                    endpoints=cases[name].endpoints,
                    load=LOAD,
                    samples=str(folder / "samples.arrow"),
                    cores=pinning.generator,
                )
                figures = pool.run(order, lambda _event: None).figures
                logs[name].append(math.log(figures.requests / figures.wall_s))
    return {name: math.exp(sum(values) / len(values)) for name, values in logs.items()}


def main(arguments: list[str]) -> int:
    """Print a line per round, then the ratio; status 1 if the whole interval lies below the target."""
    parser = argparse.ArgumentParser(prog="python -m loopwise.calibrate.probe_cost", description=__doc__)
    parser.add_argument("--rounds", type=int, default=8, help="fresh pairs of servers; at least 2")
    parser.add_argument("--slices", type=int, default=8, help="slices of 0.4 s on each side of a round")
    parser.add_argument("--mode", choices=["async", "sync"], default="async")
    options = parser.parse_args(arguments)
    cases = {
        WITH: case_of(probe=True, mode=options.mode),
        WITHOUT: case_of(probe=False, mode=options.mode),
    }
    pinning = pin(cases[WITH], machine.core_numbers(), 1)
    rounds = []
    with tempfile.TemporaryDirectory(prefix="loopwise-") as folder, generators(Path(folder) / "log") as pool:
        for number in range(1, max(2, options.rounds) + 1):
            # The side that starts first alternates, too.
            sides = dict(list(cases.items())[:: 1 if number % 2 else -1])
            throughputs = measure_round(pool, sides, options.slices, pinning)
            rounds.append(throughputs)
            ratio = throughputs[WITH] / throughputs[WITHOUT]
            print(
                f"round {number}: {throughputs[WITH]:,.0f} ÷ {throughputs[WITHOUT]:,.0f} requests/s = {ratio:.4f}",
                flush=True,
            )
    over = paired_ratio([each[WITHOUT] for each in rounds], [each[WITH] for each in rounds], confidence=0.95)
    assert over.low is not None
    assert over.high is not None
    print(
        f"throughput with ÷ without the probe, noop/{options.mode}: {over.value:.4f} "
        f"[{over.low:.4f}, {over.high:.4f}], {len(rounds)} rounds; target: at least {TARGET:g}"
    )
    return int(over.high < TARGET)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except LoopwiseError as error:
        sys.exit(str(error))
