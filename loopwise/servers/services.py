"""Services behind workloads: started once per experiment, when a run first needs them, and always ended.

To add a service: a function for its command line, and a line in SERVICES. As soon as the program serves, it prints a
line of JSON: environment variables with its address for the target app. It ends on SIGTERM.
"""

import json
import os
import re
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from loopwise.errors import RunError, ServiceError, UsageError
from loopwise.paths import target_app_dir
from loopwise.servers import processes
from loopwise.servers.environment import inherited

SEED = "LOOPWISE_SEED"
"""Environment variable of the target app: seed of its requests to services."""
START_TIMEOUT_S = 30.0
END_GRACE_S = 8.0
"""postgres.py gives PostgreSQL five seconds, and then removes its folder."""
DEBIAN_POSTGRES = Path("/usr/lib/postgresql")
POSTGRES = Path(__file__).with_name("postgres.py")


@dataclass(frozen=True)
class Service:
    """A program that workloads need beside the server."""

    argv: Callable[[], list[str]]
    missing: Callable[[], str | None] = lambda: None
    """What is missing and how to install it, as the end of a sentence; None: nothing."""


def _upstream_argv() -> list[str]:
    return [sys.executable, "-m", "target_app.upstream"]


def _postgres_argv() -> list[str]:
    programs = postgres_programs()
    if programs is None:
        raise ServiceError(f"service postgres can't be started: {_postgres_missing()}")
    user = unprivileged_user() if os.geteuid() == 0 else None
    return [sys.executable, "-I", "-S", str(POSTGRES), str(programs), *([user] if user else [])]


def _postgres_missing() -> str | None:
    if postgres_programs() is None:
        return (
            "it needs initdb and postgres, on PATH or in /usr/lib/postgresql/*/bin; "
            "install PostgreSQL (Debian: sudo apt install postgresql)"
        )
    if os.geteuid() == 0 and unprivileged_user() is None:
        return "PostgreSQL refuses to run as root, and there is no user postgres or nobody; run it as another user"
    return None


def postgres_programs(debian: Path = DEBIAN_POSTGRES) -> Path | None:
    """Folder with both initdb and postgres: on PATH, or the newest of Debian's packages, which are not on PATH."""
    initdb = shutil.which("initdb")
    if initdb and (folder := Path(initdb).resolve().parent) and (folder / "postgres").exists():
        return folder
    versions = [folder for folder in debian.glob("*/bin") if (folder / "initdb").exists()]
    return max(versions, key=lambda folder: _number(folder.parent.name), default=None)


def _number(version: str) -> float:
    matched = re.match(r"\d+(\.\d+)?", version)
    return float(matched.group()) if matched else 0.0


def unprivileged_user() -> str | None:
    """User that PostgreSQL runs as if we are root."""
    import pwd  # noqa: PLC0415 - does not exist on Windows, where nobody is root

    names = {entry.pw_name for entry in pwd.getpwall()}
    return next((name for name in ("postgres", "nobody") if name in names), None)


SERVICES: dict[str, Service] = {
    "upstream": Service(_upstream_argv),
    "postgres": Service(_postgres_argv, _postgres_missing),
}


def refuse_missing(needs: Collection[str]) -> None:
    """Refuse, before anything is started, services that can't be.

    Raises:
        UsageError: a program is not installed.
    """
    for name in sorted(set(needs)):
        if why := SERVICES[name].missing():
            raise UsageError(f"service {name} can't be started: {why}, or leave the cases that need it out")


@dataclass
class Services:
    """The services of one experiment; leaving the `with` block ends them.

    Args:
        folder: for their logs, `NAME.log`.
    """

    folder: Path
    _running: dict[str, tuple[subprocess.Popen[str], dict[str, str]]] = field(default_factory=dict)

    def __enter__(self) -> "Services":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self._running:
            self._end(next(iter(self._running)))

    @contextmanager
    def during(self, needs: Collection[str], seed: str) -> Iterator[Mapping[str, str]]:
        """Provide services for one run, and check that they survived it.

        Args:
            needs: their names.
            seed: of the requests to them; the same for every case of a block.

        Yields:
            Environment variables for the target app; empty if nothing is needed.

        Raises:
            ServiceError: one did not start, or ended during the run; the next run restarts it.
        """
        variables = {SEED: seed} if needs else {}
        for name in needs:
            variables |= self._started(name)
        try:
            yield variables
        except RunError:
            self._refuse_ended(needs)  # a service's death is the cause of whatever failed after it
            raise
        self._refuse_ended(needs)

    def _started(self, name: str) -> dict[str, str]:
        if name in self._running and self._running[name][0].poll() is not None:
            self._end(name)  # it died between two runs: nothing is lost, and it is restarted
        if name not in self._running:
            process, log = self._start(name), self._log(name)
            self._running[name] = process, {}  # before it is ready, so that an interrupt ends it as well
            try:
                self._running[name] = process, _announced(name, process, log)
            except BaseException:
                self._end(name)
                raise
        return self._running[name][1]

    def _start(self, name: str) -> "subprocess.Popen[str]":
        folder = str(target_app_dir())
        path = os.pathsep.join(filter(None, [folder, os.environ.get("PYTHONPATH")]))
        return processes.start(
            SERVICES[name].argv(),
            log=self._log(name),
            env={**inherited(), "PYTHONPATH": path, "TMPDIR": tempfile.gettempdir()},
            cwd=folder,
            stdout=subprocess.PIPE,
        )

    def _refuse_ended(self, needs: Collection[str]) -> None:
        for name in needs:
            if name not in self._running:
                continue  # its death was raised for the other server of the pair
            process, _ = self._running[name]
            if process.poll() is not None:
                self._end(name)
                raise ServiceError(
                    f"service {name} ended with status {process.returncode} during the run, which is lost; "
                    f"the next run restarts it. {processes.quoted(self._log(name))}"
                ) from None

    def _end(self, name: str) -> None:
        processes.end(self._running[name][0], grace_s=END_GRACE_S)
        del self._running[name]

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}.log"


def _announced(name: str, process: "subprocess.Popen[str]", log: Path) -> dict[str, str]:
    """The variables that a service prints as soon as it serves.

    Raises:
        ServiceError: it ended, printed something else, or was not ready in time.
    """
    assert process.stdout is not None
    deadline_s, line = time.monotonic() + START_TIMEOUT_S, b""
    while not line.endswith(b"\n"):
        readable, _, _ = select.select([process.stdout], [], [], max(0.0, deadline_s - time.monotonic()))
        if not readable:
            raise ServiceError(
                f"service {name} was not ready within {START_TIMEOUT_S:g} s; is the machine overloaded? "
                f"{processes.quoted(log)}"
            )
        if not (part := os.read(process.stdout.fileno(), 4096)):
            break
        line += part
    with suppress(ValueError):
        variables = json.loads(line)
        if isinstance(variables, dict):
            return {str(key): str(value) for key, value in variables.items()}
    raise ServiceError(f"service {name} can't be started; correct what it reports. {processes.quoted(log)}")
