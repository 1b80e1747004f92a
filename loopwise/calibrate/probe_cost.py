"""Measures the cost of the probe: `python -m loopwise.calibrate.probe_cost`, throughput with ÷ without it on `noop`.

A round is a fresh pair of servers on the same cores, one with the probe and one without, loaded by turns in short
slices; the interval is over rounds.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from loopwise.analysis.stats import paired_ratio
from loopwise.errors import LoopwiseError, RunError
from loopwise.generator.client import generators
from loopwise.measure.experiment import design
from loopwise.measure.pairs import Pair, measure_round
from loopwise.measure.testbed import Testbed
from loopwise.model import SIDES, TOTAL, Case, Endpoint, Load, Server, Suite
from loopwise.results.folder import ResultFolder
from loopwise.servers.services import Services

TARGET = 0.98
SLICE_S = 0.4
LOAD = Load(users=16, warmup_s=0.1, warmup_max_s=2.0, timeout_s=5.0)


def case_of(*, probe: bool, mode: str) -> Case:
    """Make a case of the cheapest route, where a microsecond more shows most."""
    return Case(
        case_id=f"noop-{mode}-{'with' if probe else 'without'}-probe",
        workload="noop",
        mode=mode,
        server=Server(probe=probe),
        endpoints=(Endpoint(path=f"/noop/{mode}"),),
        load=LOAD,
    )


def main(arguments: list[str]) -> int:
    """Print a line per round, then the ratio; status 1 if the whole interval lies below the target."""
    parser = argparse.ArgumentParser(prog="python -m loopwise.calibrate.probe_cost", description=__doc__)
    parser.add_argument("--rounds", type=int, default=8, help="fresh pairs of servers; at least 2")
    parser.add_argument("--slices", type=int, default=8, help="slices of 0.4 s on each side of a round")
    parser.add_argument("--mode", choices=["async", "sync"], default="async")
    options = parser.parse_args(arguments)
    without, with_probe = (case_of(probe=probe, mode=options.mode) for probe in (False, True))
    pair = Pair(without, with_probe, pairing="slices", slice_s=SLICE_S, slices=2 * options.slices)
    throughputs: list[list[float]] = []
    with tempfile.TemporaryDirectory(prefix="loopwise-") as folder:
        result = ResultFolder(Path(folder))
        suite = Suite(name="probe_cost", cases=(without, with_probe))
        experiment = design(suite, seed=None, label=None, name=suite.name)
        with Services(result.path) as services, generators(result.generator_log) as pool:
            testbed = Testbed(result, experiment, pool, services)
            for number in range(1, max(2, options.rounds) + 1):
                done = measure_round(testbed, pair, number)
                if done.status != "ok":
                    raise RunError(f"round {number}: {done.status}: {done.error}")
                sides = [getattr(done, name).metrics[TOTAL]["throughput_rps"] for name in SIDES]
                throughputs.append(sides)
                print(
                    f"round {number}: {sides[1]:,.0f} ÷ {sides[0]:,.0f} requests/s = {sides[1] / sides[0]:.4f}",
                    flush=True,
                )
    baseline, candidate = zip(*throughputs, strict=True)
    ratio = paired_ratio(baseline, candidate, confidence=0.95)
    assert ratio.low is not None
    assert ratio.high is not None
    print(
        f"throughput with ÷ without the probe, noop/{options.mode}: {ratio.value:.4f} "
        f"[{ratio.low:.4f}, {ratio.high:.4f}], {len(throughputs)} rounds; target: at least {TARGET:g}"
    )
    return int(ratio.high < TARGET)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except LoopwiseError as error:
        sys.exit(str(error))
