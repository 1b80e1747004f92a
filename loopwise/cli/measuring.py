"""Commands that measure a suite, or make and validate one."""

from pathlib import Path
from typing import Annotated

import typer

from loopwise.cli.options import (
    AppDir,
    Json,
    Label,
    Out,
    Python,
    Quietly,
    Remotes,
    Seed,
    Sets,
    checked_label,
    console,
)
from loopwise.errors import UsageError
from loopwise.report.terminal.console import print_json, say


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
    from loopwise.cli import commands

    if resume is not None:
        given = {"SUITE": suite, "--out": out, "--label": label, "--set": set_, "--seed": seed}
        extra = [name for name, value in given.items() if value is not None and value != []]
        if extra:
            raise UsageError(
                f"--resume goes on with a result as it was planned; leave out {', '.join(extra)}"
            )
        return commands.resume(console(), resume, quiet=quiet)
    if suite is None:
        raise UsageError("run: name a suite (see `bench.py list suites`), or give --resume DIR")
    from loopwise.suite import load_suite

    loaded = load_suite(suite, set_ or (), allow_remote=allow_remote or ())
    return commands.measure(console(), loaded, out=out, label=checked_label(label), seed=seed, quiet=quiet)


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
    from loopwise.cli import commands
    from loopwise.suite import make_suite
    from loopwise.suite.trial import trial_document

    document = trial_document(target, endpoint, workers=workers, users=users, app_dir=app_dir, python=python)
    suite = make_suite(
        document, label="try", folder=Path.cwd(), overrides=set_ or (), allow_remote=allow_remote or ()
    )
    return commands.measure(console(), suite, out=out, label=checked_label(label), seed=seed, quiet=quiet)


def init(
    folder: Annotated[Path, typer.Argument(metavar="[DIR]", help="Folder for suite.toml.")] = Path(),
    target: Annotated[
        str | None, typer.Option("--app", metavar="module:app", help="List this app's own endpoints.")
    ] = None,
    app_dir: AppDir = Path(),
    python: Python = None,
) -> int:
    """Write a commented suite to begin with."""
    from loopwise.suite.scaffold import write_suite

    path = write_suite(folder, target, app_dir=app_dir, python=python)
    text = f"wrote {path}; measure it with: bench.py run {path}"
    say(console(), text)
    return 0


def check(
    suite: Annotated[str, typer.Argument(help="Name of a suite in scenarios/, or a path.")],
    set_: Sets = None,
    seed: Seed = None,
    allow_remote: Remotes = None,
    as_json: Json = False,
) -> int:
    """Validate a suite and print its plan: cases, order, and the time it will take."""
    from loopwise.measure.outline import outline, outline_table
    from loopwise.servers.services import refuse_missing
    from loopwise.suite import load_suite

    loaded = load_suite(suite, set_ or (), allow_remote=allow_remote or ())
    refuse_missing({need for case in loaded.cases for need in case.needs})
    planned = outline(loaded, loaded.seed if seed is None else seed)
    if as_json:
        print_json(planned)
    else:
        console().print(outline_table(loaded, planned))
    return 0
