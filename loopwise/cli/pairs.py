"""Commands that put servers side by side."""

from pathlib import Path
from typing import Annotated

import typer

from loopwise.cli.options import (
    FailOn,
    Json,
    JunitFile,
    Label,
    MarkdownFile,
    Out,
    Quietly,
    Seed,
    checked_label,
    console,
)


def duel(
    baseline: Annotated[
        str, typer.Argument(metavar="BASE", help="module:app, git:REVISION of --app, or a case of --suite.")
    ],
    candidate: Annotated[str, typer.Argument(metavar="CANDIDATE", help="What is set against it; as BASE.")],
    endpoint: Annotated[
        list[str] | None, typer.Option(metavar="'GET /x'", help="What to ask; may be repeated.")
    ] = None,
    app_: Annotated[
        str | None, typer.Option("--app", metavar="module:app", help="The app of a git revision.")
    ] = None,
    base_app_dir: Annotated[
        Path, typer.Option(metavar="D", help="Folder that BASE is imported from.")
    ] = Path(),
    candidate_app_dir: Annotated[
        Path | None, typer.Option(metavar="D", help="The same for CANDIDATE; default: as BASE.")
    ] = None,
    base_python: Annotated[
        Path | None, typer.Option(metavar="P", help="Interpreter with BASE's dependencies; default: ours.")
    ] = None,
    candidate_python: Annotated[
        Path | None, typer.Option(metavar="P", help="The same for CANDIDATE; default: as BASE.")
    ] = None,
    suite: Annotated[
        str | None, typer.Option(metavar="SUITE", help="BASE and CANDIDATE are its cases.")
    ] = None,
    fail_on: FailOn = None,
    margin: Annotated[
        float, typer.Option(min=0, max=0.5, help="Differences within it do not matter.")
    ] = 0.01,
    users: Annotated[int, typer.Option(min=1, max=10_000, help="Users of each side.")] = 16,
    seconds: Annotated[float, typer.Option(min=0.2, max=60, help="Load of a round that counts.")] = 3.0,
    rounds: Annotated[int, typer.Option(min=2, max=100, help="Rounds at most.")] = 10,
    out: Out = None,
    label: Label = None,
    seed: Seed = None,
    junit: JunitFile = None,
    markdown: MarkdownFile = None,
    as_json: Json = False,
    quiet: Quietly = False,
) -> int:
    """Two versions head to head: did my change cost anything? About half a minute."""
    from loopwise.cli import commands_pairs
    from loopwise.measure.duel import WARMUP_S, Effort
    from loopwise.measure.versions import Version

    sides = (
        Version(baseline, app_, base_app_dir, base_python),
        Version(candidate, app_, candidate_app_dir or base_app_dir, candidate_python or base_python),
    )
    load = {"users": users, "measure_s": seconds, "warmup_s": WARMUP_S}
    return commands_pairs.duel(
        console(),
        commands_pairs.Contestants(*sides, endpoint or (), suite, load),
        effort=Effort(seconds, min(Effort().rounds_min, rounds), rounds, Effort().half_width),
        margin=margin,
        seed=1 if seed is None else seed,
        label=checked_label(label),
        out=out,
        reports=commands_pairs.Reports(fail_on or (), junit, markdown, as_json, quiet),
    )


def selftest(
    pairs: Annotated[
        int | None, typer.Option(min=0, max=1000, help="Equal pairs of each of three workloads; default 14.")
    ] = None,
    repeats: Annotated[
        int | None,
        typer.Option(
            min=0, max=1000, help="Pairs of each injected difference, for two workloads; default 5."
        ),
    ] = None,
    duels: Annotated[
        int | None,
        typer.Option(min=0, max=1000, help="Duels of equal and of unequal sides; default 10 each."),
    ] = None,
    injected: Annotated[
        list[float] | None,
        typer.Option(
            min=0.1, max=100, metavar="PERCENT", help="Injected; default 3, 5, 10 and 20; may be repeated."
        ),
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(min=0.2, max=60, help="Window of a replicate, and of a round of slices; default 1.5."),
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="A few of each.")] = False,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder for the report; default: below results/.")
    ] = None,
    seed: Seed = None,
    as_json: Json = False,
) -> int:
    """Show the method at work here: false alarms on equal cases, and power to find injected differences."""
    from loopwise.cli import commands_pairs

    return commands_pairs.selftest(
        console(),
        pairs=pairs,
        repeats=repeats,
        duels=duels,
        injected=injected or (),
        window_s=seconds,
        is_quick=quick,
        seed=1 if seed is None else seed,
        out=out,
        as_json=as_json,
    )
