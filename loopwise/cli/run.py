"""`run`: measure a suite, or go on with an interrupted result."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from loopwise.cli.crash import crashes_logged
from loopwise.cli.options import (
    Label,
    NoReport,
    Out,
    Quietly,
    Remotes,
    Seed,
    Sets,
    checked_label,
    claimed,
    command_line,
    console,
    new_folder,
    ready_to_measure,
    typed,
)
from loopwise.cli.report import make_report
from loopwise.errors import FAILED_RUNS, Interrupted, RefusedError, ResultError, UsageError, writing
from loopwise.report.terminal.console import say

if TYPE_CHECKING:
    from loopwise.model import Experiment, Suite
    from loopwise.results.folder import ResultFolder


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
    trust: Annotated[
        bool, typer.Option("--trust", help="Resume a result that you did not make on this machine.")
    ] = False,
    quiet: Quietly = False,
    no_report: NoReport = False,
) -> int:
    """Measure a suite and report it."""
    from loopwise.results.folder import ResultFolder
    from loopwise.suite import load_suite
    from loopwise.suite.resumed import resumable

    if resume is not None:
        given = {"SUITE": suite, "--out": out, "--label": label, "--set": set_, "--seed": seed}
        extra = [name for name, value in given.items() if value is not None and value != []]
        if extra:
            raise UsageError(f"--resume goes on with a result as it was planned; leave out {', '.join(extra)}")
        result = ResultFolder(resume)
        result.experiment()  # refuses what is no result before a lock is put there
        with ExitStack() as stack:
            with writing("--resume", resume):
                stack.enter_context(result.locked())
            experiment = resumable(result.experiment(), resume, trust=trust, allow_remote=allow_remote or ())
            return execute(result, experiment, quiet=quiet, report=not no_report)
    if trust:
        raise UsageError("--trust is about a result that is resumed; leave it out, or add --resume DIR")
    if suite is None:
        raise UsageError("run: name a suite (see `bench.py list suites`), or give --resume DIR")
    loaded = load_suite(suite, set_ or (), allow_remote=allow_remote or ())
    return measure(loaded, out=out, label=checked_label(label), seed=seed, quiet=quiet, report=not no_report)


def measure(
    suite: "Suite", *, out: Path | None, label: str | None, seed: int | None, quiet: bool, report: bool = True
) -> int:
    """Run a suite into a new result folder, and report it unless told otherwise."""
    from loopwise.generator.client import refuse_scripts
    from loopwise.measure.experiment import design
    from loopwise.servers.services import refuse_missing

    path = new_folder(out, suite.name, label)
    refuse_missing({need for case in suite.cases for need in case.needs})
    refuse_scripts(suite)
    with claimed(path) as result:
        experiment = design(suite, seed=seed, label=label, name=path.resolve().name, command=command_line())
        with _resumable(result, experiment), writing("--out", path):
            result.write_experiment(experiment)
        return execute(result, experiment, quiet=quiet, report=report)


def execute(result: "ResultFolder", experiment: "Experiment", *, quiet: bool, report: bool) -> int:
    """Measure the planned runs that an experiment still lacks, and report it unless told otherwise."""
    with _resumable(result, experiment):
        experiment = _carry_out(result, experiment, quiet=quiet)
    if report:
        make_report(result.path, quiet=quiet)
    else:
        say(console(), f"result: {result.path}; its report: bench.py report {result.path}")
    bad = sum(planned.state in {"failed", "invalid"} for planned in experiment.plan)
    return FAILED_RUNS if bad else 0


def _carry_out(result: "ResultFolder", experiment: "Experiment", *, quiet: bool) -> "Experiment":
    from loopwise.generator.client import generators
    from loopwise.measure.experiment import Execution
    from loopwise.measure.prestart import DEPTH
    from loopwise.model.naming import shown_names
    from loopwise.report.terminal.progress import watching
    from loopwise.servers.services import refuse_missing

    ready_to_measure(says_busy=not quiet)
    names = shown_names(experiment.suite.cases)
    refuse_missing({need for case in experiment.suite.cases for need in case.needs})
    with crashes_logged(result.path), generators(result.generator_log) as pool:
        pool.warm_up()
        with watching(console(), quiet=quiet, names=names) as watcher:
            return Execution(result, experiment, pool, watcher, ahead=DEPTH).run()


@contextmanager
def _resumable(result: "ResultFolder", experiment: "Experiment") -> Iterator[None]:
    """Say of measuring that ends early in a `with` block what is kept, and how to go on.

    Raises:
        Interrupted, RefusedError: with that sentence.
    """
    try:
        yield
    except (Interrupted, RefusedError) as error:
        raise type(error)(f"{error}: {_how_to_go_on(result, experiment)}") from None


def _how_to_go_on(result: "ResultFolder", experiment: "Experiment") -> str:
    """Say how much of a result that ended early is kept, and which commands go on with it."""
    from loopwise.suite.resumed import remote_hosts

    try:
        done = sum(planned.state != "planned" for planned in result.experiment().plan)
    except ResultError:
        return "nothing is kept"
    allowed = [word for host in remote_hosts(experiment.suite) for word in ("--allow-remote", host)]
    resume, report = typed("run", "--resume", result.path, *allowed), typed("report", result.path)
    return f"{done} of {len(experiment.plan)} runs are kept; go on with: {resume}, or see them with: {report}"
