"""The commands: parse, call, print. What they do is in commands*.py; slow imports happen where they are used."""

import io
import sys
from collections.abc import Callable

import typer

from loopwise.cli import claims, instruments, measuring, pairs, reading
from loopwise.cli.interrupts import interruptible
from loopwise.errors import LoopwiseError

COMMANDS: dict[str, Callable[..., int]] = {
    "run": measuring.run,
    "try": measuring.try_,
    "init": measuring.init,
    "check": measuring.check,
    "report": reading.report,
    "compare": reading.compare,
    "duel": pairs.duel,
    "selftest": pairs.selftest,
    "list": reading.list_,
    "doctor": instruments.doctor,
    "calibrate": instruments.calibrate,
    "blame": instruments.blame,
}
"""By name, in the order of `--help`; each returns its exit status."""


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
for _name, _command in COMMANDS.items():
    app.command(name=_name)(_command)
app.add_typer(claims.app)


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
