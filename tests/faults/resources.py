"""What the system refuses: room, permission, descriptors, a folder that is gone, a terminal that is gone."""

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from faults.commands import COMMANDS
from faults.fault import Fault, Ground
from faults.place import Ended, Place, again, resumed, said, sentence
from loopwise.results.room import ROOM_BYTES

STATUSES = frozenset({0, 1, 2, 3})
WAITING_S = 60.0
"""How long a command waits in its phase until the fault is done."""
ONE_SENTENCE = "works all the same, or ends with one sentence and 2 or 3"
QUICK = ("init", "blame", "check --ask", "report", "compare", "list", "doctor")
WRITING = ("run", "try", "duel", "init", "report", "compare", "calibrate", "selftest", "claims run")


@contextmanager
def place_of(ground: Ground) -> Iterator[Place]:
    """A place whose processes are ended in any case."""
    place = Place(ground)
    try:
        yield place
    finally:
        place.end_all()


@contextmanager
def disk(place: Place, name: str = "disk", *, more_mb: int = 24) -> Iterator[Path]:
    """A small disk of its own."""
    path = place.folder / name
    path.mkdir()
    size = ROOM_BYTES + more_mb * 1024**2
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", path], check=True)
    try:
        yield path
    finally:
        place.end_all()
        subprocess.run(["umount", "--lazy", path], check=False)


def fill(path: Path) -> Path:
    """Fill a disk to its last byte."""
    filler = path / "filler"
    with filler.open("wb", buffering=0) as sink:
        try:
            while True:
                sink.write(bytes(4096))
        except OSError:
            return filler


def judged(place: Place, ended: Ended, *, scratch: bool = True) -> list[str]:
    """What is wrong with a command that was refused something, and with what it left."""
    return said(ended, STATUSES) + sentence(ended) + place.leftovers(scratch=scratch)


def completed(place: Place, command: str) -> list[str]:
    """Go on, or do it again, once the cause is gone."""
    spec = COMMANDS[command]
    if spec.is_resumable:
        return resumed(place)
    if not spec.is_quick:
        return []
    return again(place, spec.line(place))


def at_phase(place: Place, command: str, phase: str, act: Callable[[], Any], **options: Any) -> Ended:
    """Carry out a command, and something else when it is in the phase."""
    spec = COMMANDS[command]
    process = place.launch(
        spec.line(place), hook=spec.phases[phase], nth=spec.nth.get(phase, 1), pause_s=WAITING_S, **options
    )
    if not place.await_phase(process):
        ended = place.wait(process)
        raise RuntimeError(f"the phase was not reached: {ended.output[-300:]}")
    act()
    place.go.touch()
    return place.wait(process)


def full(command: str, phase: str, ground: Ground) -> list[str]:
    """The disk of the result is full from a phase on."""
    with place_of(ground) as place, disk(place) as path:
        place.data = path
        ended = at_phase(place, command, phase, lambda: fill(path))
        problems = judged(place, ended)
        (path / "filler").unlink()
        return problems + completed(place, command)


def full_scratch(command: str, phase: str, ground: Ground) -> list[str]:
    """The disk of temporary files is full from a phase on."""
    with place_of(ground) as place, disk(place, "temporary", more_mb=0) as path:
        place.scratch = path
        ended = at_phase(place, command, phase, lambda: fill(path))
        problems = judged(place, ended, scratch=False)
        (path / "filler").unlink()
        return problems + completed(place, command)


def read_only(command: str, ground: Ground) -> list[str]:
    """The disk that the command writes to is read-only."""
    with place_of(ground) as place, disk(place) as path:
        place.data = path
        line = COMMANDS[command].line(place)
        subprocess.run(["mount", "-o", "remount,ro", path], check=True)
        problems = judged(place, place.run(*line))
        subprocess.run(["mount", "-o", "remount,rw", path], check=True)
        return problems


def limited(command: str, limit: str, ground: Ground) -> list[str]:
    """A limit of the process: size of files, open files, memory."""
    with place_of(ground) as place:
        problems = judged(place, place.run(*COMMANDS[command].line(place), prefix=["prlimit", limit]))
        return problems + completed(place, command)


def without(command: str, variables: dict[str, str | None], ground: Ground) -> list[str]:
    """A variable of the environment leads nowhere; `{folder}` in it is the place."""
    with place_of(ground) as place:
        (place.folder / "a-file").write_text("")
        env = {name: value and value.format(folder=place.folder) for name, value in variables.items()}
        return judged(place, place.run(*COMMANDS[command].line(place), env=env))


def no_temporary_folder(command: str, ground: Ground) -> list[str]:
    """Nowhere can a temporary file be made; the result can."""
    with place_of(ground) as place, disk(place) as path:
        place.data = path
        ro = 'for each in /tmp /var/tmp /usr/tmp .; do test ! -d "$each" || { mount --bind "$each" "$each"; '
        ro += 'mount -o remount,bind,ro "$each"; }; done; '
        script = f'{ro}mount --bind "{path}" "{path}"; cd "{place.folder}"; exec "$@"'
        env = {"TMPDIR": "/proc/nowhere"}
        prefix = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh"]
        return judged(place, place.run(*COMMANDS[command].line(place), prefix=prefix, env=env))


def gone(command: str, phase: str, how: str, ground: Ground) -> list[str]:
    """The result is deleted, moved or replaced while it is measured or read."""
    with place_of(ground) as place:
        target = place.finished if command == "report" else place.result

        def act() -> None:
            elsewhere = target.rename(target.with_name("elsewhere"))
            if how == "deleted":
                shutil.rmtree(elsewhere)  # by then nothing is written there any more
            elif how == "replaced by a file":
                target.write_text("mine")

        ended = at_phase(place, command, phase, act)
        problems = judged(place, ended)
        if target.is_dir() and ended.status == 0 and command != "report":
            problems.append("the result was made anew, without what had been measured")
        elif how != "deleted" and command != "report":
            shutil.rmtree(target, ignore_errors=True)
            target.unlink(missing_ok=True)
            target.with_name("elsewhere").rename(target)
            problems += completed(place, command)
        return problems


def taken(how: str, ground: Ground) -> list[str]:
    """The suite's port is taken by a server that says nothing, or that answers."""
    with place_of(ground) as place, socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        suite = place.folder / "small.toml"
        suite.write_text(f"{suite.read_text()}port = {port}\n")
        if how == "answers":
            listener.close()
            argv = ["python3", "-m", "http.server", "--bind", "127.0.0.1", str(port)]
            with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as other:
                ended = place.run("run", suite, "--out", place.result, "--quiet")
                other.kill()
        else:
            ended = place.run("run", suite, "--out", place.result, "--quiet")
        return judged(place, ended)


def odd_file(arguments: Sequence[str], make: str, ground: Ground) -> list[str]:
    """A pipe, a device or a folder where a file is named; `odd` in the arguments is its path."""
    with place_of(ground) as place:
        assert place.finished
        odd = place.folder / "odd"
        if make == "pipe":
            os.mkfifo(odd)
        elif make == "folder":
            odd.mkdir()
        else:
            odd.symlink_to(f"/dev/{make}")
        line = [str(odd) if word == "odd" else word for word in arguments]
        return judged(place, place.run(*line, bound_s=120))


def odd_stream(command: str, redirection: str, ground: Ground) -> list[str]:
    """stdin, stdout or stderr is closed, full, or read by nobody."""
    with place_of(ground) as place:
        prefix = ["bash", "-o", "pipefail", "-c", f'"$@" {redirection}', "bash"]
        return said(place.run(*COMMANDS[command].line(place), prefix=prefix), STATUSES | {128 + signal.SIGPIPE})


def odd_folder(command: str, name: str, ground: Ground) -> list[str]:
    """The working directory has an odd name, or is gone."""
    with place_of(ground) as place:
        folder = place.folder / os.fsdecode(name.encode("latin-1"))
        folder.mkdir()
        for each in ("plain.py", "small.toml", "sliced.toml"):
            shutil.copy(place.folder / each, folder)
        line = COMMANDS[command].line(place)
        if name == "gone":
            return judged(place, place.run(*line, prefix=["sh", "-c", 'rm -r "$PWD"; exec "$@"', "sh"], cwd=folder))
        return judged(place, place.run(*line, cwd=folder))


def foreign(name: str, make: str, line: Sequence[str], ground: Ground) -> list[str]:
    """Something of somebody else's lies where a file or a folder of the result belongs."""
    with place_of(ground) as place:
        path = place.finished / name
        if path.is_dir():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
        if make == "folder":
            (path / "mine").mkdir(parents=True)
        else:
            path.write_text("mine")
        ended = place.run(*line, str(place.finished))
        kept = (path / "mine").is_dir() if make == "folder" else path.read_text() == "mine"
        return judged(place, ended) + ([] if kept or ended.status == 0 else [f"{name} was destroyed"])


FULL = {
    "run": (*COMMANDS["run"].phases,),
    "run with slices": (*COMMANDS["run with slices"].phases,),
    "duel": ("server starts", "window", "recording", "round closes"),
    "init": ("writing",),
    "report": (*COMMANDS["report"].phases,),
    "compare": ("charts",),
    "calibrate": ("load",),
    "selftest": ("window",),
    "claims run": ("window",),
}
PREPARED = {"plan", "generator starts"}
ENVIRONMENTS: dict[str, dict[str, str | None]] = {
    "TMPDIR is missing": {"TMPDIR": "/proc/nowhere"},
    "TMPDIR is a file": {"TMPDIR": "{folder}/a-file"},
    "TMPDIR is relative": {"TMPDIR": "scratch"},
    "HOME is missing": {"HOME": "/proc/nowhere", "XDG_STATE_HOME": None},
    "HOME is a file": {"HOME": "{folder}/a-file", "XDG_STATE_HOME": None},
    "no HOME": {"HOME": None, "XDG_STATE_HOME": None},
    "XDG_STATE_HOME is a file": {"XDG_STATE_HOME": "{folder}/a-file"},
    "ASCII locale": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"},
    "terminal of one column": {"COLUMNS": "1", "LINES": "1", "TERM": "dumb"},
    "COLUMNS is no number": {"COLUMNS": "wide", "TERM": ""},
    "empty PATH": {"PATH": "/proc/nowhere"},
    "TZ is unknown": {"TZ": "Nowhere/Else"},
}
ODD_FILES: list[tuple[str, Sequence[str], Sequence[str]]] = [
    ("check", ["check", "odd"], ("pipe", "zero", "null", "folder")),
    ("run", ["run", "odd"], ("pipe", "zero")),
    ("run --resume", ["run", "--resume", "odd"], ("pipe", "zero", "folder")),
    ("report", ["report", "odd"], ("pipe", "zero", "folder")),
    ("init --env-file", ["init", "fresh", "--app", "plain:app", "--env-file", "odd"], ("pipe", "zero", "folder")),
    ("init --python", ["init", "fresh", "--app", "plain:app", "--python", "odd"], ("pipe", "null", "folder")),
    ("init --app-dir", ["init", "fresh", "--app", "plain:app", "--app-dir", "odd"], ("pipe", "null", "folder")),
    (
        "blame --sarif",
        ["blame", "plain:app", "--endpoint", "GET /", "--requests", "1", "--sarif", "odd"],
        ("full", "folder"),
    ),
    ("compare --junit", ["compare", "finished", "finished", "--junit", "odd"], ("full", "folder")),
    ("compare --markdown", ["compare", "finished", "finished", "--markdown", "odd"], ("full", "folder")),
    ("compare --out", ["compare", "finished", "finished", "--out", "odd"], ("null", "pipe")),
    ("list --html", ["list", "results", "--html", "--out", "odd"], ("full", "folder")),
]
STREAMS = {
    "stdin is closed": "<&-",
    "stdout is closed": ">&-",
    "stderr is closed": "2>&-",
    "all are closed": "<&- >&- 2>&-",
    "stdout is full": ">/dev/full",
    "stdout and stderr are full": ">/dev/full 2>&1",
    "its reader goes away": "| head -n 1",
}
FOREIGN = [
    *((name, "folder") for name in ("report.html", "summary.csv", "summary.json", "verdicts.json", "crash.log")),
    *((name, "file") for name in ("charts", "exports")),
    *((name, "folder") for name in ("generator.log", ".lock")),
]


def _fault(kind: str, command: str, phase: str, do: Callable[[Ground], list[str]], **more: Any) -> Fault:
    return Fault("resource", kind, command, phase, ONE_SENTENCE, do, **more)


def faults() -> list[Fault]:
    """Every refusal, at every command that may meet it."""
    found = []
    for command, phases in FULL.items():
        for phase in phases:
            found.append(_fault("disk full", command, phase, partial(full, command, phase), needs_mounts=True))
    for command in ("run", "duel", "blame"):
        for phase in COMMANDS[command].phases:
            if phase not in PREPARED:
                do = partial(full_scratch, command, phase)
                found.append(_fault("disk of temporary files full", command, phase, do, needs_mounts=True))
    for command in WRITING:
        found.append(_fault("read-only disk", command, "", partial(read_only, command), needs_mounts=True))
    for command in ("run", "check --ask", "init", "blame", "report", "compare", "list"):
        do = partial(no_temporary_folder, command)
        found.append(_fault("no temporary folder", command, "", do, needs_mounts=True))
    for command in ("run", "init", "report", "compare", "duel"):
        for size in (0, 4096, 100_000):
            do = partial(limited, command, f"--fsize={size}")
            found.append(_fault("limit of the size of files", command, f"{size} bytes", do))
    for command in ("run", *QUICK):
        for count in (10, 16, 24, 40, 64):
            do = partial(limited, command, f"--nofile={count}:{count}")
            found.append(_fault("limit of open files", command, f"{count} files", do))
    for kind, variables in ENVIRONMENTS.items():
        for command in ("run", "init", "report", "list"):
            found.append(_fault(kind, command, "", partial(without, command, variables)))
    for how in ("deleted", "moved", "replaced by a file"):
        for phase in ("server starts", "window", "recording", "run closes", "charts", "page"):
            found.append(_fault(f"result {how}", "run", phase, partial(gone, "run", phase, how)))
        for phase in ("reading", "charts", "page"):
            found.append(_fault(f"result {how}", "report", phase, partial(gone, "report", phase, how)))
    found += [_fault(f"port taken, {how}", "run", "", partial(taken, how)) for how in ("says nothing", "answers")]
    for command, line, makes in ODD_FILES:
        for make in makes:
            what = make if make in {"pipe", "folder"} else f"/dev/{make}"
            found.append(_fault(f"{what} instead of a file", command, "", partial(odd_file, line, make)))
    for kind, redirection in STREAMS.items():
        for command in ("run", "report", "list", "doctor", "blame"):
            found.append(_fault(kind, command, "", partial(odd_stream, command, redirection)))
    for name in ("a b", "$(x) 'y' \"z\"", "\xff", "line\nbreak", "é", "gone"):
        for command in ("run", "init", "report", "blame"):
            kind = "working directory is gone" if name == "gone" else "working directory of an odd name"
            found.append(
                _fault(kind, command, "" if name == "gone" else ascii(name), partial(odd_folder, command, name))
            )
    for name, make in FOREIGN:
        for command, line in (("report", ["report"]), ("run --resume", ["run", "--resume"])):
            found.append(_fault("foreign file in a result", command, name, partial(foreign, name, make, line)))
    return found
