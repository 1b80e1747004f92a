"""Commands about the machine, the generator, and the lines that hold the event loop."""

from pathlib import Path
from typing import Annotated

import typer

from loopwise.cli.options import AppDir, Json, Python, Seed, console
from loopwise.errors import UsageError
from loopwise.report.terminal.console import print_json


def doctor(as_json: Json = False) -> int:
    """Tell whether this machine is fit to measure: one line per check, with the remedy."""
    from loopwise.calibrate.doctor import diagnose, diagnosis_table, is_fit

    found = diagnose()
    if as_json:
        print_json([symptom._asdict() for symptom in found])
    else:
        console().print(diagnosis_table(found))
    return 0 if is_fit(found) else 1


def calibrate(
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder for the report; default: below results/.")
    ] = None,
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
    from loopwise.cli import commands

    return commands.calibrate(
        console(),
        out=out,
        is_quick=quick,
        window_s=seconds,
        seed=1 if seed is None else seed,
        as_json=as_json,
    )


def blame(
    target: Annotated[
        str,
        typer.Argument(metavar="APP|SUITE", help="module:app; or a suite's name in scenarios/, or its path."),
    ],
    endpoint: Annotated[
        list[str] | None,
        typer.Option(
            metavar="'GET /x'", help="What to ask; default: the app's GET routes without parameters."
        ),
    ] = None,
    app_dir: AppDir = Path(),
    python: Python = None,
    loop: Annotated[
        str, typer.Option(metavar="[auto|asyncio|uvloop]", help="The server's event loop.")
    ] = "auto",
    requests: Annotated[int, typer.Option(min=1, max=1000, help="Requests per endpoint.")] = 20,
    threshold_ms: Annotated[
        float, typer.Option(min=1, max=10_000, help="A callback that is shorter is nobody's fault.")
    ] = 5.0,
    as_json: Json = False,
) -> int:
    """Name the lines that hold the event loop, most time first; an untimed pass of its own."""
    from loopwise.cli import commands

    if loop not in {"auto", "asyncio", "uvloop"}:
        raise UsageError(f"--loop: got {loop!r}, allowed are auto, asyncio, uvloop; choose one of them")
    return commands.blame(
        console(),
        target,
        endpoint or (),
        app_dir=app_dir,
        python=python,
        loop=loop,
        requests=requests,
        threshold_ms=threshold_ms,
        as_json=as_json,
    )
