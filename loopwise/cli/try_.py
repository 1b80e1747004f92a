"""`try`: measure an app or a running server without writing a suite."""

from pathlib import Path
from typing import Annotated

import typer

from loopwise.cli.options import (
    AppDir,
    Body,
    Cwd,
    EnvFile,
    ExpectStatus,
    Headers,
    Label,
    NoReport,
    Out,
    Python,
    Quietly,
    Remotes,
    Seed,
    Sets,
    StartupTimeout,
    checked_label,
    overrides_of,
    request_of,
)
from loopwise.cli.run import measure


def try_(
    target: Annotated[str, typer.Argument(metavar="APP|URL", help="module:app, or the URL of a running server.")],
    endpoint: Annotated[list[str], typer.Option(metavar="'GET /x'", help="What to ask; may be repeated.")],
    workers: Annotated[str, typer.Option(metavar="1,2", help="Worker counts to compare.")] = "1",
    mode: Annotated[
        str, typer.Option(metavar="own,sync,async", help="Modes to compare; own: as the app is written.")
    ] = "own",
    patch: Annotated[
        list[str] | None,
        typer.Option(metavar="FILE", help="Diff to measure beside the app as written; may be repeated."),
    ] = None,
    users: Annotated[int, typer.Option(help="Users, each with one request in flight.")] = 50,
    app_dir: AppDir = Path(),
    python: Python = None,
    cwd: Cwd = None,
    env_file: EnvFile = None,
    header: Headers = None,
    body: Body = None,
    expect_status: ExpectStatus = None,
    startup_timeout_s: StartupTimeout = None,
    out: Out = None,
    label: Label = None,
    set_: Sets = None,
    seed: Seed = None,
    allow_remote: Remotes = None,
    quiet: Quietly = False,
    no_report: NoReport = False,
) -> int:
    """Measure an app of your own, or a server that runs, without writing a suite."""
    from loopwise.suite import make_suite
    from loopwise.suite.scaffold import trial_document

    document = trial_document(
        target,
        endpoint,
        workers=workers,
        mode=mode,
        patches=patch or (),
        users=users,
        app_dir=app_dir,
        python=python,
        cwd=cwd,
        env_file=env_file,
        request=request_of(header, body, expect_status),
    )
    overrides = overrides_of(set_, startup_timeout_s)
    suite = make_suite(document, label="try", folder=Path.cwd(), overrides=overrides, allow_remote=allow_remote or ())
    return measure(suite, out=out, label=checked_label(label), seed=seed, quiet=quiet, report=not no_report)
