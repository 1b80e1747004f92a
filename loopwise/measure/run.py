"""Measures one run on a server that is up: puts the load on it, and keeps what was recorded."""

from datetime import UTC, datetime

from loopwise.analysis.assess import assess
from loopwise.errors import RunError
from loopwise.generator.protocol import Order
from loopwise.measure.alone import ask_alone
from loopwise.measure.canary import idle_p99_ms
from loopwise.measure.testbed import Recording, Testbed, keep_partial_rows
from loopwise.model import Case, HostFigures, PlannedRun, Run
from loopwise.results.folder import STREAM, ResultFolder, seal_samples
from loopwise.servers.lifecycle import RunningServer
from loopwise.servers.pinning import Pinning

SERVER = "server"
"""Name of the only server in a run's recording."""


def begin(case: Case, planned: PlannedRun, position: int) -> Run:
    """Make the record of a run that begins now; it counts as failed until it is measured."""
    return Run(
        case=case,
        replicate=planned.replicate,
        attempt=planned.attempt,
        order=position,
        status="failed",
        started_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
    )


def fail(run: Run, error: RunError, result: ResultFolder) -> Run:
    """Complete the record of a run that failed; the rows written by then are kept."""
    keep_partial_rows(result.run_folder(run.case.case_id, run.replicate))
    return run.model_copy(update={"error": str(error)})


def measure(
    testbed: Testbed, run: Run, server: RunningServer, pinning: Pinning, *, holds: bool = False
) -> tuple[Run, float | None]:
    """Put the load on a server that is up, and complete the record that `begin` made.

    With `holds` the window opens only after the generator is told to go, following its event `warm`.

    Returns:
        The run with everything that was measured, and its throughput in requests a second.

    Raises:
        RunError: the generator died, fell silent or opened no window. What was recorded by then is in the run's folder.
    """
    result, case = testbed.result, run.case
    folder = result.run_folder(case.case_id, run.replicate)
    recording = Recording({SERVER: server})
    order = Order(
        url=server.url,
        endpoints=case.endpoints,
        scenario=case.scenario,
        options=case.options,
        load=case.load,
        seed=testbed.load_seed(case.case_id, run.replicate),
        samples=str(folder / STREAM),
        holds=holds,
        opens_ahead=server.opens_ahead,
        processes=testbed.experiment.suite.generator.processes,
        cores=pinning.generator,
    )
    idle = {"canary_idle_p99_ms": idle_p99_ms(case, server.url), "alone_ms": ask_alone(case, server.url)}
    try:
        testbed.load(recording, order)
    finally:  # whatever became of the load, the telemetry is kept
        telemetry = result.write_telemetry(folder, recording.samples(SERVER))
    rows = seal_samples(folder)
    run = run.model_copy(
        update={
            **idle,
            "window": recording.window(),
            "server": server.known(),
            "generator": recording.done.figures,
            "counts": {"rows": rows},
            "host": HostFigures(**recording.figures(SERVER), **recording.changes()),
            "workers": recording.workers(SERVER),
            "resources": recording.resources(SERVER),
            "waits_at": recording.waits_at(SERVER, case),
        }
    )
    return assess(run, result.samples(run), telemetry)
