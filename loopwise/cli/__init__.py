"""The command line: a module per command, and `main`, which turns every failure into a sentence and an exit status."""

import io
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from loopwise import __version__
from loopwise.cli import (
    advise,
    blame,
    calibrate,
    check,
    claims,
    compare,
    doctor,
    duel,
    init,
    list_,
    report,
    run,
    selftest,
    try_,
)
from loopwise.cli.crash import crashes_logged
from loopwise.errors import Interrupted, LoopwiseError, Unread, UsageError
from loopwise.interrupts import interruptible
from loopwise.report.terminal.console import guarded_output, print_text
from loopwise.visible import message

COMMANDS: dict[str, Callable[..., int]] = {
    "run": run.run,
    "try": try_.try_,
    "advise": advise.advise,
    "init": init.init,
    "check": check.check,
    "report": report.report,
    "compare": compare.compare,
    "duel": duel.duel,
    "selftest": selftest.selftest,
    "list": list_.list_,
    "doctor": doctor.doctor,
    "calibrate": calibrate.calibrate,
    "blame": blame.blame,
}
"""By name, in the order of `--help`; each returns its exit status."""


def _exit(status: int, version: bool) -> None:
    """Exit with the status that a command returned."""
    del version
    raise typer.Exit(status)


app = typer.Typer(
    name="loopwise",
    result_callback=_exit,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Should this FastAPI endpoint be def or async def, thread or process, and with how many workers? "
    "Measured, with intervals.",
    epilog="Exit status: 0 fine; 1 a gate failed; 2 the suite or the arguments are wrong; "
    "3 runs failed or are invalid; 70 a fault of Loopwise itself; 130 interrupted (what was measured is kept); "
    "141 nobody reads the output.",
)
for _name, _command in COMMANDS.items():
    app.command(name=_name)(_command)
app.add_typer(claims.app)


def _print_version(is_wanted: bool) -> None:
    if is_wanted:
        print_text(f"loopwise {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version, and end.")
    ] = False,
) -> None:
    del version


def _refuse_unreadable(arguments: Sequence[str]) -> None:
    """Refuse arguments that are not valid UTF-8: the files of a result could not record them."""
    for text in arguments:
        try:
            text.encode()
        except UnicodeEncodeError:
            got = ascii(os.fsencode(text))[1:]
            raise UsageError(f"an argument is not valid UTF-8: {got[:60]}; rename the file, or correct it") from None


def _make_temporary_folder_absolute() -> None:
    """Make TMPDIR absolute: servers run in other folders, from where a relative one leads elsewhere."""
    for name in ("TMPDIR", "TEMP", "TMP"):
        if folder := os.environ.get(name):
            os.environ[name] = str(Path(folder).absolute())


def main() -> None:
    """Run the command line; every failure is one sentence and an exit status (errors.py)."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # `×` in an ASCII locale must not be fatal
    with guarded_output():
        try:
            with interruptible(), crashes_logged():
                _refuse_unreadable(sys.argv[1:])
                _make_temporary_folder_absolute()
                app()
        except (LoopwiseError, Interrupted) as error:
            with suppress(OSError, AttributeError, Unread):  # the terminal, or whoever read this, is gone
                sys.stderr.write(message(f"{'' if isinstance(error, Interrupted) else 'error: '}{error}") + "\n")
            sys.exit(error.exit_status)
        except Unread as error:
            sys.exit(error.exit_status)
