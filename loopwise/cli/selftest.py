"""`selftest`: false alarms and power of the verdicts on this machine."""

import json
from pathlib import Path
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
    typed,
)
from loopwise.errors import FAILED_RUNS, Interrupted
from loopwise.report.terminal.console import print_json, say

BLOCKS = "blocks"
"""Folder of the result in which all pairs are measured."""


def selftest(
    pairs: Annotated[
        int | None, typer.Option(min=0, max=1000, help="Equal pairs of each of three workloads; default 14.")
    ] = None,
    repeats: Annotated[
        int | None,
        typer.Option(min=0, max=1000, help="Pairs of each injected difference, for two workloads; default 5."),
    ] = None,
    duels: Annotated[
        int | None,
        typer.Option(min=0, max=1000, help="Duels of equal and of unequal sides; default 10 each."),
    ] = None,
    injected: Annotated[
        list[float] | None,
        typer.Option(min=0.1, max=100, metavar="PERCENT", help="Injected; default 3, 5, 10 and 20; may be repeated."),
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(min=0.2, max=60, help="Window of a replicate, and of a round of slices; default 1.5."),
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="A few of each.")] = False,
    out: ReportFolder = None,
    seed: Seed = None,
    as_json: Json = False,
) -> int:
    """Show the method at work here: false alarms on equal cases, and power to find injected differences."""
    from loopwise.generator.client import generators
    from loopwise.selftest import rates
    from loopwise.selftest.trials import DIFFERENCES, FULL, QUICK, run_blocks, run_duels, trials

    effort, seed = QUICK if quick else FULL, 1 if seed is None else seed
    counts = {"pairs": pairs, "repeats": repeats, "duels": duels}
    effort = effort._replace(**{name: count for name, count in counts.items() if count is not None})
    if seconds is not None:
        effort = effort._replace(measure_s=seconds)
    folder = new_folder(out, "selftest")
    screen = console()
    tell = teller(screen, "dim", silent=as_json)

    outcomes = []
    try:
        with claimed(folder), crashes_logged(folder), generators(folder / "generator.log") as pool:
            ready_to_measure(says_busy=not as_json)
            differences = tuple(percent / 100 for percent in injected or ()) or DIFFERENCES
            chosen = trials(effort.pairs, effort.repeats, differences)
            if chosen:
                outcomes += run_blocks(chosen, effort, folder / BLOCKS, pool, seed=seed, tell=tell)
            outcomes += run_duels(effort, folder / "duels", pool, seed=seed, tell=tell)
    except Interrupted as error:
        raise Interrupted(f"{error}: {_what_is_kept(folder / BLOCKS)}; {begin_again(out)}") from None
    found = rates.rates_of(outcomes)
    rates.write(folder, found, outcomes)
    if as_json:
        print_json(json.loads((folder / rates.JSON).read_text(encoding="utf-8")))
    else:
        screen.print(rates.tables(found))
        say(screen, f"report: {folder / rates.MARKDOWN}")
    is_whole = all(each.verdict is not None and each.verdict.verdict != "invalid" for each in outcomes)
    return 0 if is_whole else FAILED_RUNS


def _what_is_kept(blocks: Path) -> str:
    """Say what is left of a self-test that ended early, and which command shows it."""
    from loopwise.results.folder import ResultFolder

    result = ResultFolder(blocks)
    count = len(result.runs()[0])
    if not count:
        return "no run is complete"
    kept = "1 run is kept" if count == 1 else f"{count} runs are kept"
    return f"{kept}, and rates need all; see them with: {typed('report', blocks)}"
