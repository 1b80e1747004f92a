"""`advise`: what to change about an app's endpoints, each change measured before anybody makes it."""

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from loopwise.cli.crash import crashes_logged
from loopwise.cli.options import (
    AppDir,
    Cwd,
    EnvFile,
    Headers,
    IncludeUnsafe,
    Json,
    Label,
    Out,
    Python,
    Quietly,
    Seed,
    Sets,
    StartupTimeout,
    begin_again,
    checked_label,
    claimed,
    command_line,
    console,
    new_folder,
    overrides_of,
    ready_to_measure,
    request_of,
    teller,
    typed,
)
from loopwise.errors import GATE_FAILED, Interrupted, RefusedError, UsageError, writing
from loopwise.report.terminal.console import print_json, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loopwise.advise.rows import AdviceRow
    from loopwise.advise.session import Adviser
    from loopwise.results.folder import ResultFolder

GAIN = re.compile(r"gain:\+(?P<percent>\d+(?:\.\d+)?)%")


def advise(
    app: Annotated[str, typer.Argument(metavar="APP", help="module:app, or module:factory().")],
    endpoint: Annotated[
        list[str] | None,
        typer.Option(
            metavar="'GET /x'",
            help="What to ask; may be repeated; default: what the app's OpenAPI document offers and changes nothing.",
        ),
    ] = None,
    app_dir: AppDir = Path(),
    python: Python = None,
    cwd: Cwd = None,
    env_file: EnvFile = None,
    users: Annotated[int, typer.Option(min=2, max=10_000, help="Users, each with one request in flight.")] = 10,
    workers: Annotated[
        str | None,
        typer.Option(metavar="1,2", help="Workers as the app is run, then counts to try; default: 1, and 2 to try."),
    ] = None,
    budget_s: Annotated[float, typer.Option(max=86_400, help="Seconds that everything may take, about.")] = 300.0,
    canary: Annotated[
        str | None,
        typer.Option(metavar="/health", help="A cheap path that is asked beside each load; default: one is chosen."),
    ] = None,
    header: Headers = None,
    include_unsafe: IncludeUnsafe = False,
    startup_timeout_s: StartupTimeout = None,
    set_: Sets = None,
    fail_on: Annotated[
        str | None, typer.Option(metavar="gain:+20%", help="Exit with 1 where a change surely gains as much.")
    ] = None,
    patch: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the advised edits as one diff, for `git apply`."),
    ] = None,
    out: Out = None,
    label: Label = None,
    seed: Seed = None,
    as_json: Json = False,
    quiet: Quietly = False,
) -> int:
    """Say what to change about an app's endpoints: def or async def, threads, processes, workers; all measured."""
    from loopwise.advise.decide import gains
    from loopwise.advise.endpoints import choose
    from loopwise.advise.planning import refuse_short
    from loopwise.advise.rows import plain
    from loopwise.advise.session import Adviser, Options
    from loopwise.generator.client import generators
    from loopwise.report.terminal.progress import Quiet
    from loopwise.results.files import refuse_unwritable
    from loopwise.suite.own_app import named_app, named_env_file
    from loopwise.suite.scaffold import trial_document

    refuse_short(budget_s)
    if patch is not None:
        refuse_unwritable("--patch", patch, is_file=True)
    least = None if fail_on is None else parse_gain(fail_on)
    counts = worker_counts(workers)
    request = request_of(header, None, None)
    refuse_other_than_app(app)
    label = checked_label(label)
    named = named_app("advise", app, app_dir, python, cwd)
    variables = named_env_file("advise", env_file)
    chosen = choose(named, variables, endpoint or (), include_unsafe=include_unsafe, logs_in=bool(header))
    document = trial_document(
        app,
        chosen.wanted,
        workers=str(counts[0]),
        users=users,
        app_dir=app_dir,
        python=python,
        cwd=cwd,
        env_file=env_file,
        request=request,
    )
    document["load"] |= {"warmup_s": 0.2, "measure_s": 1.0}
    screen, is_silent = console(), quiet or as_json
    ready_to_measure(says_busy=not is_silent)
    path = new_folder(out, "advise", label)
    with claimed(path) as result, crashes_logged(path), generators(result.generator_log) as pool:
        try:
            pool.warm_up()
            options = Options(budget_s, counts, canary, 1 if seed is None else seed)
            adviser = Adviser(result, pool, options, teller(screen, silent=is_silent), Quiet(), command_line())
            rows = adviser.advise(document, chosen, overrides_of(set_, startup_timeout_s))
            _write(result, rows, adviser, app, patch)
        except (Interrupted, RefusedError) as error:
            raise type(error)(f"{error}: {_what_is_kept(result, out)}") from None
    if as_json:
        print_json(plain(rows))
    else:
        _print(rows, adviser, patch, app_dir, path)
    advised = [row for row in rows if row.outcome == "advised" and row.metric == "throughput_rps"]
    return GATE_FAILED if least is not None and any(gains(row.ci_low, least) for row in advised) else 0


def _write(
    result: "ResultFolder", rows: "Sequence[AdviceRow]", adviser: "Adviser", app: str, patch: Path | None
) -> None:
    """Write the advice, the patch, and the report of the endpoints as written."""
    from loopwise.advise.page import write_page
    from loopwise.advise.rows import write_rows
    from loopwise.report.build import build
    from loopwise.results.files import write_atomically
    from loopwise.results.folder import EXPERIMENT

    with writing("--out", result.path):
        write_rows(result.path, rows)
        write_page(result.path, rows, app=app, canary=adviser.canary, command=command_line())
    if patch is not None and adviser.patch:
        with writing("--patch", patch, is_file=True):
            write_atomically(patch, adviser.patch)
    if (result.path / EXPERIMENT).exists():
        build(result)


def _print(rows: "Sequence[AdviceRow]", adviser: "Adviser", patch: Path | None, app_dir: Path, path: Path) -> None:
    from loopwise.advise.words import lines
    from loopwise.results.folder import ADVICE_PAGE

    screen = console()
    for line in lines(rows, adviser.canary):
        say(screen, line)
    if patch is not None and adviser.patch:
        apply = shlex.join(["git", "-C", str(app_dir), "apply", str(patch.absolute())])
        say(screen, f"patch: {patch}; apply it by: {apply}")
    elif patch is not None:
        say(screen, f"no edit is advised, so {patch} is not written")
    say(screen, f"page: {path / ADVICE_PAGE}")


def refuse_other_than_app(text: str) -> None:
    """Refuse what has not the form of an app.

    Raises:
        UsageError: it has not.
    """
    from loopwise.suite.locations import APP_TARGET, meant_url

    if meant_url(text):
        raise UsageError(
            f"advise: {text} is a server that runs, and advise starts the app itself, as written and changed; name "
            "module:app"
        )
    if not re.fullmatch(APP_TARGET, text):
        raise UsageError(f"advise: got {text!r}, allowed is module:attribute or module:factory(); correct it")


def worker_counts(text: str | None) -> tuple[int, ...]:
    """Worker counts from `1,2`, the app's own first.

    Raises:
        UsageError: it is no list of numbers.
    """
    from loopwise.machine import cores

    if text is None:
        return (1, 2) if cores() > 1 else (1,)
    try:
        counts = tuple(dict.fromkeys(int(part) for part in text.split(",")))
    except ValueError:
        counts = ()
    if not counts or min(counts) < 1:
        raise UsageError(f"--workers: got {text!r}, allowed are numbers from 1 and commas; write 1,2")
    return counts


def parse_gain(text: str) -> float:
    """Read `gain:+20%` as 0.2.

    Raises:
        UsageError: it has another form.
    """
    match = GAIN.fullmatch(text.replace(" ", ""))
    if match is None:
        raise UsageError(f"--fail-on: got {text!r}, allowed is gain:+N%; write for example gain:+20%")
    return float(match["percent"]) / 100


def _what_is_kept(result: "ResultFolder", out: Path | None) -> str:
    """Say what of an advice that ended early is kept."""
    from loopwise.analysis.wording import count
    from loopwise.errors import ResultError
    from loopwise.results.folder import ADVICE, ROUNDS

    if (result.path / ADVICE).exists():
        return f"the advice is kept; its report: {typed('report', result.path)}"
    try:
        runs = sum(planned.state != "planned" for planned in result.experiment().plan)
    except ResultError:
        return f"nothing is kept; {begin_again(out)}"
    rounds = sum(1 for _ in result.path.glob(f"*/{ROUNDS}"))
    seen, again = typed("report", result.path), begin_again(out)
    kept = f"{count(runs, 'run')} and {count(rounds, 'round')} are kept, and give no advice"
    return f"{kept}; see the runs with: {seen}, or {again}"
