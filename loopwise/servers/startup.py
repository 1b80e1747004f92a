"""Wait until every worker of a server answers; a start that has failed is reported at once, with the reason."""

import json
import subprocess
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

import psutil

from loopwise.errors import ServerError
from loopwise.model import Server
from loopwise.servers import processes
from loopwise.servers.exchange import NoAnswerError, ask
from loopwise.servers.origin import Origin, resolve
from loopwise.servers.processes import READY_PATH
from loopwise.servers.spec import HOST
from loopwise.servers.specs import spec_of
from loopwise.servers.wire import encode

PROBE_ERROR = "loopwise_probe.AppError: "
"""Begins the probe's last line when the app can't be served."""
READY_ANSWER_S = 1.0
POLL_S = 0.02
REPEAT_S = 0.002
"""Pause after an answer of a worker that is known already: the others still start and need the CPU."""
SAMPLE_S = 0.5
"""Time between samples of the processes, each of which walks the whole process table."""
DEFAULT_S: float = Server.model_fields["startup_timeout_s"].default
LOADING_S = 300.0
"""With the default limit, an app that is busy may take so long: models of some GB are loaded in a minute or two."""
IDLE_S = 10.0
"""An app past the default limit that has done nothing for so long waits for something that doesn't come."""
BUSY_CPU = 0.05
"""Share of a core above which a process computes; one that asks every second for its database stays below."""
BUSY_BYTES_PER_S = 100_000
LIVES = 3
"""A worker that has been started so often, and ended each time, won't come up."""


def wait_ready(
    process: subprocess.Popen[str],
    server: Server,
    port: int,
    log: Path,
    python: str,
    *,
    hold: Callable[[], float] = lambda: 0.0,
) -> list[dict[str, Any]]:
    """Wait until every worker has answered a request over HTTP; returns each one's description of itself.

    The time spent in `hold` does not count as start-up time.

    Raises:
        ServerError: the server ended, reported that it can't serve the app, or was not ready in time.
    """
    workers: dict[int, dict[str, Any]] = {}
    patience = Patience(server.startup_timeout_s, time.monotonic())
    watch = Watch(process.pid, time.monotonic())
    origin = resolve(f"http://{HOST}:{port}")
    while len(workers) < server.workers:
        patience.extend(hold())
        worker = _worker_that_answers(origin)
        if worker is not None and worker["pid"] not in workers:
            workers[worker["pid"]] = worker
            continue
        _refuse_failed_start(process, server, log, python)
        if watch.has_worked(time.monotonic(), besides=workers):
            patience.note_work(time.monotonic())
        ended = watch.count_ended() if has_supervisor(server) else 0
        if not workers and ended >= LIVES * server.workers:
            raise ServerError(
                f"{server.name}: {ended} worker processes have ended one after the other, none has answered; "
                f"correct what ends them at import (os._exit, a signal, too little memory). {processes.quoted(log)}"
            )
        if patience.is_over(time.monotonic(), may_load=not ended):
            raise ServerError(_too_late(server, len(workers), ended, patience, log))
        time.sleep(POLL_S if worker is None else REPEAT_S)
    return list(workers.values())


def has_supervisor(server: Server) -> bool:
    """Whether the children of the server's first process are workers, and the app runs in them alone."""
    is_lone = server.workers == 1 and spec_of(server).lone_worker
    return not is_lone and "--preload" not in server.server_args


def longest_s(server: Server) -> float:
    """The longest time that a start may take."""
    return LOADING_S if server.startup_timeout_s == DEFAULT_S else server.startup_timeout_s


def _too_late(server: Server, ready: int, ended: int, patience: "Patience", log: Path) -> str:
    died = f" ({ended} worker processes ended meanwhile)" if ended else ""
    return (
        f"{server.name} was not ready within {int(patience.waited_s(time.monotonic()))} s: "
        f"{ready} of {server.workers} workers answered{died}; raise `startup_timeout_s` "
        f"(--startup-timeout-s) if the app needs longer to start. {processes.quoted(log)}"
    )


@dataclass
class Patience:
    """How long a start may take: `startup_timeout_s`; with its default longer, while the app is busy."""

    limit_s: float
    began_s: float
    worked_s: float | None = None
    """When the app was last seen to work."""

    def extend(self, seconds: float) -> None:
        """Leave out time in which the server was suspended."""
        self.began_s += seconds
        if self.worked_s is not None:
            self.worked_s += seconds

    def note_work(self, now_s: float) -> None:
        """The app computes, reads or writes."""
        self.worked_s = now_s

    def waited_s(self, now_s: float) -> float:
        """Time since the start."""
        return now_s - self.began_s

    def is_over(self, now_s: float, *, may_load: bool) -> bool:
        """Whether to give up.

        Args:
            now_s: by the clock of `began_s`.
            may_load: its processes are those that it began with, so that work means progress.
        """
        if self.waited_s(now_s) <= self.limit_s:
            return False
        works = self.worked_s is not None and now_s - self.worked_s <= IDLE_S
        return not (self.limit_s == DEFAULT_S and may_load and works and self.waited_s(now_s) <= LOADING_S)


@dataclass
class Watch:
    """A starting server's processes: do they work, and have workers ended?"""

    root: int
    sampled_s: float
    """When they were last sampled."""
    ended: int = 0
    """Workers that have ended."""
    _workers: set[int] = field(default_factory=set)
    _work: dict[int, tuple[float, int]] = field(default_factory=dict)

    def count_ended(self) -> int:
        """How many workers have ended; called often, for the life of some is short.

        A child that is another program by now was none: it was seen between fork and exec.
        """
        children = _children(self.root)
        self.ended += len(self._workers - children.keys())
        self._workers = {pid for pid, is_worker in children.items() if is_worker}
        return self.ended

    def has_worked(self, now_s: float, *, besides: Collection[int] = ()) -> bool:
        """Whether any process has computed, read or written since the last sample; at most one sample per SAMPLE_S.

        Args:
            now_s: by any clock.
            besides: processes that don't count: workers that are ready, which only answer us.
        """
        passed_s = now_s - self.sampled_s
        if passed_s < SAMPLE_S:
            return False
        self.sampled_s = now_s
        family = processes.family(self.root)
        work = {each.pid: done for each in family if each.pid not in besides and (done := _work_of(each)) is not None}
        steps = [(now, self._work[pid]) for pid, now in work.items() if pid in self._work]
        self._work = work
        cpu_s = sum(now[0] - before[0] for now, before in steps)
        size = sum(now[1] - before[1] for now, before in steps)
        return cpu_s > BUSY_CPU * passed_s or size > BUSY_BYTES_PER_S * passed_s


def _children(root: int) -> dict[int, bool]:
    """Children of a process, and whether each runs the same program: workers do, and what an app calls does not.

    What is called runs the same program, too, from vfork to exec. Its parent waits for that in state D, so a child that
    is found the same before and after is no worker while it does.
    """
    found = {}
    with suppress(OSError):  # it has ended
        program = Path(f"/proc/{root}/exe").readlink()
        for pid in Path(f"/proc/{root}/task/{root}/children").read_text().split():
            exe = Path(f"/proc/{pid}/exe")
            with suppress(OSError):
                found[int(pid)] = exe.readlink() == program and not _waits(root) and exe.readlink() == program
    return found


def _waits(pid: int) -> bool:
    """Whether a thread of a process is in uninterruptible sleep."""
    states = (path.read_text().rpartition(")")[2].split()[0] for path in Path(f"/proc/{pid}/task").glob("*/stat"))
    return "D" in states


def _work_of(process: psutil.Process) -> tuple[float, int] | None:
    """CPU seconds, and bytes that were read and written, whether from a disk or not; None: it has ended."""
    try:
        cpu, transfers = process.cpu_times(), process.io_counters()
    except psutil.Error:
        return None
    from_disk = transfers.read_bytes + transfers.write_bytes  # of mapped files, too
    return cpu.user + cpu.system, max(from_disk, transfers.read_chars + transfers.write_chars)


def _worker_that_answers(origin: Origin) -> dict[str, Any] | None:
    """The description of the worker that accepted the connection; None while none is ready."""
    request = encode("GET", READY_PATH, {"Host": origin.host_header, "Connection": "close"})
    try:
        answer = ask(origin, request, timeout_s=READY_ANSWER_S)
    except NoAnswerError:
        return None
    return json.loads(answer.body) if answer.status == HTTPStatus.OK else None


def _refuse_failed_start(process: subprocess.Popen[str], server: Server, log: Path, python: str) -> None:
    """Raise as soon as it is clear that no worker will ever answer."""
    lines = processes.last_lines(log, 400)
    if PROBE_ERROR in lines:  # supervisors restart a failing worker for ever
        raise ServerError(lines.rpartition(PROBE_ERROR)[2].splitlines()[0])
    if process.poll() is not None:
        raise ServerError(
            f"the server ended with status {process.returncode} before it answered; "
            f"{spec_of(server).remedy(server, python, lines) or 'correct what it says'}. {processes.quoted(log)}"
        )
