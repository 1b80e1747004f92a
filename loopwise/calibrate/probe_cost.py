"""Measures the cost of the probe: `python -m loopwise.calibrate.probe_cost`, throughput with ÷ without it.

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
MIN_ROUNDS = 2
RPS = "throughput_rps"
METRICS = {RPS: "throughput", "cpu_ms_per_request": "CPU per request"}
"""CPU of the whole round, in which each side is idle half of the time: the probe is at work then, too."""
SLICE_S = 0.4
LOAD = Load(users=16, warmup_s=0.1, warmup_max_s=2.0, timeout_s=5.0)


def case_of(*, probe: bool, workload: str, mode: str) -> Case:
    """Make a case of a cheap route: of `noop`, where a microsecond more shows most, or of one that the hooks watch."""
    return Case(
        case_id=f"{workload}-{mode}-{'with' if probe else 'without'}-probe",
        workload=workload,
        mode=mode,
        server=Server(probe=probe),
        endpoints=(Endpoint(path=f"/{workload}/{mode}"),),
        load=LOAD,
    )


def main(arguments: list[str]) -> int:
    """Print a line per round, then the ratios; status 1 if throughput's whole interval lies below the target."""
    parser = argparse.ArgumentParser(prog="python -m loopwise.calibrate.probe_cost", description=__doc__)
    parser.add_argument("--rounds", type=int, default=8, help="fresh pairs of servers; at least 2")
    parser.add_argument("--slices", type=int, default=8, help="slices of 0.4 s on each side of a round")
    parser.add_argument("--mode", choices=["async", "sync"], default="async")
    parser.add_argument("--workload", choices=["noop", "sqlite"], default="noop", help="sqlite: in async, aiosqlite")
    options = parser.parse_args(arguments)
    workload, mode = options.workload, options.mode
    without, with_probe = (case_of(probe=probe, workload=workload, mode=mode) for probe in (False, True))
    pair = Pair(without, with_probe, pairing="slices", slice_s=SLICE_S, slices=2 * options.slices)
    found: dict[str, list[list[float]]] = {metric: [] for metric in METRICS}
    with tempfile.TemporaryDirectory(prefix="loopwise-") as folder:
        result = ResultFolder(Path(folder))
        suite = Suite(name="probe_cost", cases=(without, with_probe))
        experiment = design(suite, seed=None, label=None, name=suite.name)
        with Services(result.path) as services, generators(result.generator_log) as pool:
            testbed = Testbed(result, experiment, pool, services)
            for number in range(1, max(2, options.rounds) + 1):
                done = measure_round(testbed, pair, number)
                if done.status == "failed":
                    raise RunError(f"round {number}: {done.status}: {done.error}")
                if done.status != "ok":
                    print(f"round {number} is left out: {done.error}", flush=True)
                    continue
                for metric, values in found.items():
                    values.append([getattr(done, name).metrics[TOTAL][metric] for name in SIDES])
                first, second = found[RPS][-1]
                print(f"round {number}: {second:,.0f} ÷ {first:,.0f} requests/s = {second / first:.4f}", flush=True)
    if len(found[RPS]) < MIN_ROUNDS:
        raise RunError(f"only {len(found[RPS])} rounds could be used; run it while nothing else runs")
    ratios = {metric: paired_ratio(*zip(*values, strict=True), confidence=0.95) for metric, values in found.items()}
    for metric, ratio in ratios.items():
        print(
            f"{METRICS[metric]} with ÷ without the probe, {workload}/{mode}: {ratio.value:.4f} "
            f"[{ratio.low:.4f}, {ratio.high:.4f}], {len(found[metric])} rounds"
        )
    print(f"target of throughput: at least {TARGET:g}")
    return int((ratios[RPS].high or 0.0) < TARGET)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except LoopwiseError as error:
        sys.exit(str(error))
