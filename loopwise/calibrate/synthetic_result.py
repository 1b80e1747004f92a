"""Makes a result of any size without measuring: rows and telemetry from arithmetic and a seed."""

import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from loopwise.analysis.assess import assess
from loopwise.analysis.window import window_figures
from loopwise.measure.experiment import design
from loopwise.measure.run import begin
from loopwise.model import (
    VICTIM,
    Case,
    Experiment,
    GeneratorFigures,
    HostFigures,
    Run,
    ServerFacts,
    Suite,
    Window,
    Worker,
)
from loopwise.results.columns import KERNEL, Sample
from loopwise.results.columns import SAMPLES as SCHEMA
from loopwise.results.folder import STREAM, ResultFolder, seal_samples
from loopwise.suite import make_suite

USERS = 100
VICTIM_PATH, VICTIM_RPS = "/health", 20
REPLICATES = 5
BEGIN_NS = 1_700_000_000_000_000_000
SLOWNESS = {"async": 1.0, "sync": 1.3, "blocking": 4.0, "to_thread": 1.6, "process": 2.2}
"""Length of a mode's window relative to the fastest's; every run has the same number of rows."""


def make_result(folder: Path, *, runs: int, rows: int, seed: int = 1) -> ResultFolder:
    """Write a finished result.

    Args:
        folder: of the result.
        runs: how many; up to five replicates of a case, each mode on one worker, then on two, and so on.
        rows: in the window of each run.
        seed: of everything random.
    """
    replicates = min(REPLICATES, runs)
    suite = _suite(-(-runs // replicates), replicates)
    experiment = design(suite, seed=seed, label=None, name=folder.name)
    result = ResultFolder(folder)
    cases = {case.case_id: case for case in suite.cases}
    kept = experiment.plan[:runs]
    done = [planned.model_copy(update={"state": "ok"}) for planned in kept]
    experiment = experiment.model_copy(update={"plan": tuple(done), "finished_at": experiment.created_at})
    result.begin(experiment)
    for order, planned in enumerate(kept, start=1):
        run = begin(cases[planned.case_id], planned, order)
        _write_run(result, run, experiment, rows, seed + order)
    return result


def _suite(cases: int, replicates: int) -> Suite:
    workers = list(range(1, -(-cases // len(SLOWNESS)) + 1))
    document = {
        "name": "synthetic",
        "load": {"users": USERS, "warmup_s": 0.5, "measure_s": 5.0, "victim": VICTIM_PATH},
        "replicates": {"min": replicates, "max": replicates},
        "matrix": [
            {"workload": "sleep", "params": {"ms": 50}, "mode": list(SLOWNESS), "workers": [count]} for count in workers
        ],
        "compare": {"baseline": {"mode": "sync"}},
    }
    suite = make_suite(document, label="synthetic", folder=Path.cwd())
    return suite.model_copy(update={"cases": suite.cases[:cases]})


def _write_run(result: ResultFolder, run: Run, experiment: Experiment, rows: int, seed: int) -> None:
    case = run.case
    dice = np.random.default_rng(seed)
    window_s = 5.0 * SLOWNESS[case.mode] / (case.workers or 1) ** 0.8 * float(dice.lognormal(0, 0.02))
    start_ns = BEGIN_NS + run.order * 60_000_000_000
    window = Window(start_ns=start_ns, end_ns=start_ns + int(window_s * 1e9))
    folder = result.new_run_folder(case.case_id, run.replicate)
    _write_stream(folder / STREAM, _rows(case, window, rows, dice))
    seal_samples(folder)
    samples = list(_telemetry(case, window, random.Random(seed)))
    telemetry = result.write_telemetry(folder, samples)
    workers = range(2, 2 + (case.workers or 1))
    run = run.model_copy(
        update={
            "window": window,
            "server": ServerFacts(argv=("synthetic",), pids=tuple(workers), start_s=0.5),
            "generator": GeneratorFigures(
                cpu_s=window_s * 0.4,
                busiest_cpu_s=window_s * 0.4,
                wall_s=window_s,
                cores=experiment.environment["cores"],
                users=USERS,
                users_wanted=USERS,
            ),
            "host": HostFigures(**window_figures(samples, window.start_ns, window.end_ns)),
            "workers": tuple(Worker(pid=pid, requests=rows, share=1 / len(workers)) for pid in workers),
        }
    )
    done, _ = assess(run, result.samples(run), telemetry)
    result.write_run(done)


def _rows(case: Case, window: Window, rows: int, dice: np.random.Generator) -> pa.RecordBatch:
    """Rows of a closed load that obey Little's law, from a tenth of the window before it to a tenth after."""
    span_ns = window.end_ns - window.start_ns
    asked = VICTIM_RPS * span_ns / 1e9
    count = int((rows + asked) * 1.2)
    received_ns = window.start_ns - span_ns // 10 + np.sort(dice.integers(0, span_ns * 12 // 10, count))
    mean_ns = span_ns * USERS / rows
    took_ns = (mean_ns * dice.lognormal(-0.08, 0.4, count)).astype(np.int64)
    is_error = dice.random(count) < 0.001
    victims = dice.random(count) < asked / (rows + asked)
    took_ns[victims] //= 10
    sent_ns = received_ns - took_ns
    endpoints = [case.endpoints[0].name, f"{VICTIM}{VICTIM_PATH}"]
    columns = {
        "scheduled_ns": pa.array(sent_ns, mask=~victims),
        "sent_ns": sent_ns,
        "received_ns": received_ns,
        "read_ns": received_ns + dice.integers(5_000, 60_000, count),
        "endpoint": _texts(victims.astype(np.int32), endpoints),
        "status": np.where(is_error, 500, 200).astype(np.int16),
        "error": _texts(np.zeros(count, dtype=np.int32), ["status_500"], ~is_error),
        "bytes": np.full(count, 137, dtype=np.int64),
        "connection": (np.arange(count) % USERS + 1).astype(np.int32),
        "stamp": _texts(np.zeros(count, dtype=np.int32), [KERNEL]),
        "retried": pa.array(np.zeros(count, dtype=np.bool_)),
    }
    return pa.RecordBatch.from_arrays([pa.array(columns[name]) for name in SCHEMA.names], schema=SCHEMA)


def _texts(
    numbers: np.typing.NDArray[np.int32], texts: list[str], mask: np.typing.NDArray[np.bool_] | None = None
) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(numbers, mask=mask), pa.array(texts))


def _write_stream(path: Path, batch: pa.RecordBatch) -> None:
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, SCHEMA) as writer:
        writer.write_batch(batch)


def _telemetry(case: Case, window: Window, dice: random.Random) -> Iterator[Sample]:
    """Ten samples a second of a machine of two cores and of the server's processes."""
    steps = max(1, round(window.duration_s * 10))
    width_ns = (window.end_ns - window.start_ns) // steps
    served = 0
    for step in range(steps + 1):
        at_ns, at_s = window.start_ns + step * width_ns, step * width_ns / 1e9
        yield Sample(at_ns, 0, "host", 1.2 * at_s, steal_s=0.01 * at_s, total_s=2 * at_s)
        yield Sample(at_ns, 1, "server", 0.01 * at_s, rss_mb=20.0, threads=1, context_switches=step)
        for pid in range(2, 2 + (case.workers or 1)):
            lag_ms = dice.lognormvariate(0, 0.5)
            served += dice.randrange(900, 1100)
            yield Sample(
                at_ns,
                pid,
                "server",
                0.6 * at_s,
                rss_mb=60.0 + dice.random(),
                threads=41,
                context_switches=40 * step,
                probe={
                    "loop_lag_p50_ms": lag_ms / 3,
                    "loop_lag_p99_ms": lag_ms,
                    "loop_lag_max_ms": 2 * lag_ms,
                    "loop_stall_max_ms": lag_ms,
                    "loop_blocked_s": 0.0,
                    "loop_cpu_s": 0.5 * at_s,
                    "loop_wait_s": 0.0,
                    "limiter_max": 40,
                    "limiter_busy": dice.randrange(20, 41),
                    "limiter_queued": dice.randrange(0, 60),
                    "in_flight": USERS,
                    "requests_done": served,
                    "gc_pause_s": 0.0,
                    "gc_pause_max_ms": 0.1,
                    "probe_late_ms": 0.2,
                },
            )
