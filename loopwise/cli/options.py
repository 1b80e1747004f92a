"""Options that several commands share, the checks of their values, and the terminal."""

import json
import os
import re
import shlex
import sys
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from loopwise.errors import Interrupted, UsageError, writing
from loopwise.report.terminal.console import say
from loopwise.visible import message

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rich.console import Console

    from loopwise.results.folder import ResultFolder

SuiteName = Annotated[str, typer.Argument(help="Name of a suite in scenarios/, or a path.")]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a key of the suite: load.users=20; may be repeated."),
]
Remotes = Annotated[
    list[str] | None,
    typer.Option(metavar="HOST", help="Allow a url on this host besides loopback; may be repeated."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Out = Annotated[Path | None, typer.Option(metavar="RESULT", help="Folder of the result; default: below results/.")]
ReportFolder = Annotated[
    Path | None, typer.Option("--out", metavar="DIR", help="Folder for the report; default: below results/.")
]
Label = Annotated[str | None, typer.Option(metavar="TEXT", help="Ends the name of the result's folder.")]
Seed = Annotated[int | None, typer.Option(metavar="N", help="Seed of all orders and schedules; default: the suite's.")]
Quietly = Annotated[bool, typer.Option("--quiet", help="Print no progress, only where the report is.")]
NoReport = Annotated[bool, typer.Option("--no-report", help="Measure only; `report RESULT` makes the report later.")]
AppDir = Annotated[Path, typer.Option(metavar="D", help="Folder that the app is imported from.")]
Python = Annotated[
    Path | None, typer.Option(metavar="P", help="Interpreter that has the app's dependencies; default: ours.")
]

Cwd = Annotated[
    Path | None,
    typer.Option(
        metavar="D",
        help="The server's working directory; default: --app-dir, or the current one if only that has a .env.",
    ),
]
EnvFile = Annotated[Path | None, typer.Option(metavar="FILE", help="Lines NAME=VALUE for the app's environment.")]
IncludeUnsafe = Annotated[
    bool,
    typer.Option("--include-unsafe", help="Also choose endpoints that may change data: POST, DELETE, GET /reset."),
]

Headers = Annotated[
    list[str] | None,
    typer.Option("--header", metavar="'NAME: VALUE'", help="Header of every request; may be repeated."),
]
Body = Annotated[str | None, typer.Option("--body", metavar="JSON", help="Body of every request, sent as JSON.")]
ExpectStatus = Annotated[
    int | None,
    typer.Option("--expect-status", min=100, max=599, help="The status that counts as success; default: any 2xx."),
]
StartupTimeout = Annotated[
    float | None,
    typer.Option("--startup-timeout-s", min=0.1, max=3600, help="Give the app so long to start; default: the suite's."),
]


def request_of(headers: "Sequence[str] | None", body: str | None, expect_status: int | None) -> dict[str, Any]:
    """`headers`, `json` and `expect_status` of a suite's endpoint, as far as options give them.

    Raises:
        UsageError: a header without a name, or a body that is no JSON.
    """
    request: dict[str, Any] = {}
    for text in headers or ():
        name, colon, value = text.partition(":")
        if not colon or not name.strip():
            raise UsageError(f"--header: got {text!r}, allowed is 'NAME: VALUE'; correct it")
        request.setdefault("headers", {})[name.strip()] = value.strip()
    if body is not None:
        try:
            request["json"] = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise UsageError(f"--body: got {body!r}, which is no JSON ({error}); correct it") from None
    if expect_status is not None:
        request["expect_status"] = expect_status
    return request


def overrides_of(sets: "Sequence[str] | None", startup_timeout_s: float | None) -> list[str]:
    """The `--set` strings, and those for which other options are short."""
    short = [] if startup_timeout_s is None else [f"matrix.startup_timeout_s={float(startup_timeout_s)}"]
    return [*(sets or ()), *short]


def checked_label(label: str | None) -> str | None:
    """The label, which becomes part of a folder's name.

    Raises:
        UsageError: it can't be.
    """
    if label is not None and not re.fullmatch(r"[\w.-]{1,64}", label):
        raise UsageError(
            f"--label: got {label!r}, allowed are up to 64 letters, digits, dots, dashes and underscores; shorten it"
        )
    return label


def new_folder(out: Path | None, name: str, label: str | None = None) -> Path:
    """The path of a new result: `--out`, or results/NAME-UTC-LABEL.

    Raises:
        UsageError: something is there already.
    """
    from datetime import UTC, datetime

    from loopwise.paths import results_dir
    from loopwise.results.folder import result_name

    return unused(out or results_dir() / result_name(name, label, datetime.now(UTC)))


@contextmanager
def claimed(path: Path) -> "Iterator[ResultFolder]":
    """A new result's folder, made and locked, so that no other command measures there; not kept if it stays empty.

    Raises:
        UsageError: it can't be made, or something is there already.
    """
    from loopwise.results.folder import ResultFolder

    result, is_new = ResultFolder(path), not path.exists()
    try:
        with ExitStack() as stack:
            with writing("--out", path):
                path.mkdir(parents=True, exist_ok=True)
                stack.enter_context(result.locked())
            unused(path)  # another may have been quicker
            yield result
    finally:
        if is_new:
            with suppress(OSError):  # something is in it
                path.rmdir()


def unused(path: Path) -> Path:
    """The path, where no result and no other file is yet.

    Raises:
        UsageError: something is there already.
    """
    from loopwise.results.folder import EXPERIMENT
    from loopwise.results.lock import LOCK

    if (path / EXPERIMENT).exists():
        raise UsageError(
            f"--out: {path} holds a result already; go on with it by --resume {path}, or name another folder"
        )
    if path.exists() and (not path.is_dir() or any(each.name != LOCK for each in path.iterdir())):
        raise UsageError(f"--out: {path} exists and is not an empty folder; name another one")
    return path


def program() -> list[str]:
    """The words that start this program: `python bench.py`, or `loopwise`."""
    name = Path(sys.argv[0]).name
    return ["python", name] if name.endswith(".py") else [name]


def command_line() -> str:
    """The command line of this process, as one would type it again."""
    return shlex.join([*program(), *sys.argv[1:]])


def typed(*arguments: str | Path) -> str:
    """A command line that starts this program with other arguments, as one would type it here and now."""
    name = Path(sys.argv[0]).name
    # Of `python -m loopwise` and `../bench.py` the words before the arguments, as they were typed.
    words = sys.orig_argv[: len(sys.orig_argv) - len(sys.argv) + 1] if name.endswith(".py") else [name]
    return shlex.join([*words, *map(str, arguments)])


def begin_again(out: Path | None) -> str:
    """Name the command line of this process as what to do next; what is in the folder of `--out` is in its way."""
    return f"{f'delete {out} and ' if out is not None and out.exists() else ''}begin again with: {typed(*sys.argv[1:])}"


@contextmanager
def repeatable(kept: str) -> "Iterator[None]":
    """Say of a command that is interrupted in a `with` block what is kept, and that it can be given again.

    Raises:
        Interrupted: with that sentence.
    """
    try:
        yield
    except Interrupted as error:
        raise Interrupted(f"{error}: {kept}; then: {typed(*sys.argv[1:])}") from None


def ready_to_measure(*, says_busy: bool) -> None:
    """Raise the limit of open files, and say what of our variables and of this machine harms what is measured.

    Args:
        says_busy: whether a busy machine matters, and somebody reads along.
    """
    from loopwise.calibrate import doctor
    from loopwise.machine import raise_open_files_limit
    from loopwise.servers.variables import notes

    raise_open_files_limit()
    busy = doctor.busy_now() if says_busy else ""
    for sentence in filter(None, (*notes(os.environ), busy)):
        sys.stderr.write(message(f"note: {sentence}") + "\n")


def console() -> "Console":
    """The terminal; imported when something is printed, so that `--help` stays fast."""
    from loopwise.report.terminal.screen import Screen

    return Screen()


def teller(screen: "Console", style: str = "", *, silent: bool) -> "Callable[[str], None]":
    """A function that prints a line about each step, or nothing."""
    return (lambda _: None) if silent else (lambda line: say(screen, line, style))
