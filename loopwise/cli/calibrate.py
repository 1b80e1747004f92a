"""`calibrate`: prove the load generator on this machine."""

from typing import Annotated

import typer

from loopwise.cli.crash import crashes_logged
from loopwise.cli.options import (
    Json,
    ReportFolder,
    Seed,
    begin_again,
    claimed,
    console,
    new_folder,
    ready_to_measure,
    teller,
)
from loopwise.errors import FAILED_RUNS, Interrupted
from loopwise.report.terminal.console import print_json, say


def calibrate(
    out: ReportFolder = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Shorter windows and fewer rounds: under 40 s, less exact.")
    ] = False,
    seconds: Annotated[
        float | None,
        typer.Option(min=0.1, max=60, help="Length of a measured window; default 1.5: two minutes in all."),
    ] = None,
    seed: Seed = None,
    as_json: Json = False,
) -> int:
    """Prove the load generator on this machine: its price, its latencies against packets, its schedule."""
    from loopwise.calibrate import calibration
    from loopwise.calibrate.report import MARKDOWN, tables, write

    folder = new_folder(out, "calibrate")
    effort = calibration.QUICK if quick else calibration.FULL
    if seconds is not None:
        effort = effort._replace(window_s=seconds)
    screen = console()
    try:
        with claimed(folder), crashes_logged(folder):
            ready_to_measure(says_busy=not as_json)
            found = calibration.calibrate(
                effort, seed=1 if seed is None else seed, tell=teller(screen, "dim", silent=as_json)
            )
            write(found, folder)
    except Interrupted as error:
        raise Interrupted(f"{error}: a calibration is kept as a whole only; {begin_again(out)}") from None
    if as_json:
        print_json(found.model_dump(mode="json"))
    else:
        screen.print(tables(found))
        say(screen, f"report: {folder / MARKDOWN}")
    return FAILED_RUNS if found.problems else 0
