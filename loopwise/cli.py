"""The commands: parse, call, print. What they do is in commands.py; slow imports happen where they are used."""

import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from loopwise import cli_claims
from loopwise.errors import LoopwiseError, UsageError
from loopwise.interrupts import interruptible

if TYPE_CHECKING:
    from rich.console import Console


def _end(status: int) -> None:
    """What a command returns is the exit status."""
    raise typer.Exit(status)


app = typer.Typer(
    name="loopwise",
    result_callback=_end,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Should this FastAPI endpoint be def or async def, thread or process, and with how many workers? "
    "Measured, with intervals.",
    epilog="Exit status: 0 fine; 1 a gate failed; 2 the suite or the arguments are wrong; "
    "3 runs failed or are invalid; 130 interrupted (what was measured is kept).",
)

Sets = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Change a key of the suite: load.users=20; may be repeated."
    ),
]
Remotes = Annotated[
    list[str] | None,
    typer.Option(metavar="HOST", help="Allow a url on this host besides loopback; may be repeated."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Out = Annotated[
    Path | None, typer.Option(metavar="RESULT", help="Folder of the result; default: below results/.")
]
Label = Annotated[str | None, typer.Option(metavar="TEXT", help="Ends the name of the result's folder.")]
Seed = Annotated[
    int | None, typer.Option(metavar="N", help="Seed of all orders and schedules; default: the suite's.")
]
FailOn = Annotated[
    list[str] | None,
    typer.Option(
        metavar="METRIC:+N%", help="Exit with 1 where a metric surely changed by more; may be repeated."
    ),
]
JunitFile = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Write verdicts and gates as JUnit XML.")
]
MarkdownFile = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Write a comment for a pull request.")
]
Quietly = Annotated[bool, typer.Option("--quiet", help="Print no progress, only where the report is.")]
AppDir = Annotated[Path, typer.Option(metavar="D", help="Folder that the app is imported from.")]
Python = Annotated[
    Path | None, typer.Option(metavar="P", help="Interpreter that has the app's dependencies; default: ours.")
]


@app.command()
def run(
    suite: Annotated[str | None, typer.Argument(help="Name of a suite in scenarios/, or a path.")] = None,
    out: Out = None,
    label: Label = None,
    set_: Sets = None,
    seed: Seed = None,
    resume: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Go on with an interrupted result; measures nothing twice."),
    ] = None,
    allow_remote: Remotes = None,
    quiet: Quietly = False,
) -> int:
    """Measure a suite and report it."""
    from loopwise import commands

    if resume is not None:
        given = {"SUITE": suite, "--out": out, "--label": label, "--set": set_, "--seed": seed}
        extra = [name for name, value in given.items() if value is not None and value != []]
        if extra:
            raise UsageError(
                f"--resume goes on with a result as it was planned; leave out {', '.join(extra)}"
            )
        return commands.resume(_console(), resume, quiet=quiet)
    if suite is None:
        raise UsageError("run: name a suite (see `bench.py list suites`), or give --resume DIR")
    from loopwise.suite import load_suite

    loaded = load_suite(suite, set_ or (), allow_remote=allow_remote or ())
    return commands.measure(_console(), loaded, out=out, label=_checked_label(label), seed=seed, quiet=quiet)


@app.command(name="try")
def try_(
    target: Annotated[
        str, typer.Argument(metavar="APP|URL", help="module:app, or the URL of a running server.")
    ],
    endpoint: Annotated[list[str], typer.Option(metavar="'GET /x'", help="What to ask; may be repeated.")],
    workers: Annotated[str, typer.Option(metavar="1,2", help="Worker counts to compare.")] = "1",
    users: Annotated[int, typer.Option(help="Users, each with one request in flight.")] = 50,
    app_dir: AppDir = Path(),
    python: Python = None,
    out: Out = None,
    label: Label = None,
    set_: Sets = None,
    seed: Seed = None,
    allow_remote: Remotes = None,
    quiet: Quietly = False,
) -> int:
    """Measure an app of your own, or a server that runs, without writing a suite."""
    from loopwise import commands
    from loopwise.suite import make_suite
    from loopwise.trial import trial_document

    document = trial_document(target, endpoint, workers=workers, users=users, app_dir=app_dir, python=python)
    suite = make_suite(
        document, label="try", folder=Path.cwd(), overrides=set_ or (), allow_remote=allow_remote or ()
    )
    return commands.measure(_console(), suite, out=out, label=_checked_label(label), seed=seed, quiet=quiet)


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(metavar="[DIR]", help="Folder for suite.toml.")] = Path(),
    target: Annotated[
        str | None, typer.Option("--app", metavar="module:app", help="List this app's own endpoints.")
    ] = None,
    app_dir: AppDir = Path(),
    python: Python = None,
) -> int:
    """Write a commented suite to begin with."""
    from loopwise.init import write_suite

    path = write_suite(folder, target, app_dir=app_dir, python=python)
    text = f"wrote {path}; measure it with: bench.py run {path}"
    _console().print(text, markup=False, highlight=False, soft_wrap=True)
    return 0


@app.command()
def check(
    suite: Annotated[str, typer.Argument(help="Name of a suite in scenarios/, or a path.")],
    set_: Sets = None,
    seed: Seed = None,
    allow_remote: Remotes = None,
    as_json: Json = False,
) -> int:
    """Validate a suite and print its plan: cases, order, and the time it will take."""
    from loopwise.services import refuse_missing
    from loopwise.suite import load_suite
    from loopwise.suite.outline import outline, outline_table

    loaded = load_suite(suite, set_ or (), allow_remote=allow_remote or ())
    refuse_missing({need for case in loaded.cases for need in case.needs})
    planned = outline(loaded, loaded.seed if seed is None else seed)
    if as_json:
        _print_json(planned)
    else:
        _console().print(outline_table(loaded, planned))
    return 0


@app.command()
def report(
    result: Annotated[Path, typer.Argument(help="Folder that `run` made.")],
    export: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FORMAT[,FORMAT…]",
            help="Write RESULT/exports/ as well: csv, json, parquet, markdown, hgrm, locust, k6; may be repeated.",
        ),
    ] = None,
    as_json: Json = False,
) -> int:
    """(Re)build charts, tables and report.html of a result; nothing is measured again."""
    from loopwise import commands

    return commands.report(_console(), result, as_json=as_json, formats=export or ())


@app.command()
def compare(
    base: Annotated[Path, typer.Argument(help="Result to compare with.")],
    other: Annotated[list[Path], typer.Argument(help="Results to compare.")],
    fail_on: FailOn = None,
    allow_different: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY", help="Compare although this differs: cores, versions.uvicorn, …; may be repeated."
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder for charts of the ratios.")] = None,
    junit: JunitFile = None,
    markdown: MarkdownFile = None,
    as_json: Json = False,
) -> int:
    """Overlay results: a verdict for every case they share."""
    from loopwise import commands

    return commands.compare(
        _console(),
        base,
        other,
        fail_on=fail_on or (),
        allow_different=allow_different or (),
        out=out,
        junit_file=junit,
        markdown_file=markdown,
        as_json=as_json,
    )


@app.command()
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
    from loopwise import commands_pairs
    from loopwise.duel import WARMUP_S, Effort
    from loopwise.versions import Version

    sides = (
        Version(baseline, app_, base_app_dir, base_python),
        Version(candidate, app_, candidate_app_dir or base_app_dir, candidate_python or base_python),
    )
    load = {"users": users, "measure_s": seconds, "warmup_s": WARMUP_S}
    return commands_pairs.duel(
        _console(),
        commands_pairs.Contestants(*sides, endpoint or (), suite, load),
        effort=Effort(seconds, min(Effort().rounds_min, rounds), rounds, Effort().half_width),
        margin=margin,
        seed=1 if seed is None else seed,
        label=_checked_label(label),
        out=out,
        reports=commands_pairs.Reports(fail_on or (), junit, markdown, as_json, quiet),
    )


@app.command()
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
    from loopwise import commands_pairs

    return commands_pairs.selftest(
        _console(),
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


@app.command(name="list")
def list_(
    what: Annotated[
        str,
        typer.Argument(
            metavar="[suites|workloads|modes|features|servers|combinations|refusals|results]",
            help="What to list.",
        ),
    ] = "suites",
    as_json: Json = False,
) -> int:
    """List what there is to choose from."""
    from loopwise.listing import LISTINGS, listing_table

    if what not in LISTINGS:
        raise UsageError(f"list: got {what!r}, allowed are {', '.join(LISTINGS)}; choose one of them")
    rows = LISTINGS[what]()
    if as_json:
        _print_json(rows)
    else:
        _console().print(listing_table(what, rows))
    return 0


@app.command()
def doctor(as_json: Json = False) -> int:
    """Tell whether this machine is fit to measure: one line per check, with the remedy."""
    from loopwise.doctor import diagnose, diagnosis_table, is_fit

    found = diagnose()
    if as_json:
        _print_json([symptom._asdict() for symptom in found])
    else:
        _console().print(diagnosis_table(found))
    return 0 if is_fit(found) else 1


@app.command()
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
    from loopwise import commands

    return commands.calibrate(
        _console(),
        out=out,
        is_quick=quick,
        window_s=seconds,
        seed=1 if seed is None else seed,
        as_json=as_json,
    )


@app.command()
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
    from loopwise import commands

    if loop not in {"auto", "asyncio", "uvloop"}:
        raise UsageError(f"--loop: got {loop!r}, allowed are auto, asyncio, uvloop; choose one of them")
    return commands.blame(
        _console(),
        target,
        endpoint or (),
        app_dir=app_dir,
        python=python,
        loop=loop,
        requests=requests,
        threshold_ms=threshold_ms,
        as_json=as_json,
    )


app.add_typer(cli_claims.app)


def _checked_label(label: str | None) -> str | None:
    import re

    if label is not None and not re.fullmatch(r"[\w.-]{1,64}", label):
        raise UsageError(
            f"--label: got {label!r}, allowed are up to 64 letters, digits, dots, dashes and underscores; shorten it"
        )
    return label


def _console() -> "Console":
    from rich.console import Console

    return Console()


def _print_json(document: object) -> None:
    import json

    sys.stdout.write(json.dumps(document, indent=2) + "\n")


def main() -> None:
    """Run the command line; every failure is one sentence and an exit status (errors.py)."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # `×` where the locale is ASCII is no reason to end
    try:
        with interruptible():
            app()
    except LoopwiseError as error:
        _say(str(error))
        sys.exit(error.exit_status)


def _say(sentence: str) -> None:
    sys.stderr.write(f"{'' if sentence.startswith('interrupted') else 'error: '}{sentence}\n")


if __name__ == "__main__":
    main()
