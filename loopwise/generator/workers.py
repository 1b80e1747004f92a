"""Several generator processes: Locust's master with its workers, and what they say to each other about rows.

Locust's own messages spawn and stop the users. Four more go beside them:

    order   master → workers   what to generate, and which part of it
    report  worker → master    rows as a piece of an Arrow stream, and how far the worker is
    mark    master → workers   report at once, with the CPU used so far
    finish  master → workers   close connections and report the last rows

Rows travel as messages, so that a worker needs no disk in common with the master: one on another host would do.
"""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gevent
from locust.env import Environment

from loopwise.errors import GeneratorError
from loopwise.generator.protocol import Order
from loopwise.generator.traffic import Traffic

ORDER, REPORT, MARK, FINISH = (f"loopwise_{name}" for name in ("order", "report", "mark", "finish"))
HOST = "127.0.0.1"
ANSWER_TIMEOUT_S = 20.0


class Report:
    """What a worker said last."""

    def __init__(self) -> None:
        self.rows = 0
        self.errors = 0
        self.cpu_s = 0.0
        self.warm = False
        self.drained = True
        self.marks = 0
        """Marks answered so far."""
        self.is_ready = False
        self.is_finished = False
        self.failure = ""


class Workers:
    """Worker processes and the master that commands them; they live through many runs."""

    def __init__(self, processes: int) -> None:
        self.count = processes
        self.environment = Environment(user_classes=[])
        self.runner: Any = self.environment.create_master_runner(HOST, 0)
        self._death = ""
        self._listening: set[str] = set()
        self.on_report: Callable[[str, dict[str, Any]], None] | None = None
        self.runner.register_message(REPORT, self._hear)
        port = self.runner.server.port
        argv = [sys.executable, "-m", "loopwise.generator.worker", HOST, str(port)]
        self._processes = [subprocess.Popen(argv, stdin=subprocess.PIPE) for _ in range(processes)]
        # Locust counts a worker as ready when it has connected, which is before it knows our messages.
        self.wait("the generator's workers to connect", lambda: len(self._listening) == processes)

    def _hear(self, msg: Any, **_: Any) -> None:
        if msg.data.get("is_listening"):
            self._listening.add(msg.node_id)
        elif self.on_report is not None:
            self.on_report(msg.node_id, msg.data)

    def wait(self, what: str, until: Callable[[], bool]) -> None:
        """Wait for the workers.

        Raises:
            GeneratorError: one of them has ended, or it takes too long.
        """
        deadline_s = time.monotonic() + ANSWER_TIMEOUT_S
        while not until():
            self.refuse_dead()
            if time.monotonic() > deadline_s:
                raise GeneratorError(f"waited {ANSWER_TIMEOUT_S:g} s for {what}; see generator.log")
            gevent.sleep(0.005)

    def refuse_dead(self) -> None:
        """Raise GeneratorError if a worker has ended; the others, which would go on with their load, end with it."""
        statuses = [process.poll() for process in self._processes]
        status = next((status for status in statuses if status is not None), None)
        if status is not None and not self._death:
            self._death = f"a generator worker ended with status {status}; see generator.log"
            self.close()
        if self._death:
            raise GeneratorError(self._death)

    @property
    def are_ready(self) -> bool:
        """All live and wait for users; after a run that failed, some may not."""
        return all(process.poll() is None for process in self._processes) and len(self.ready()) == self.count

    def ready(self) -> list[str]:
        """Workers that wait for users, by Locust's id, in their order of arrival."""
        return sorted((client.id for client in self.runner.clients.ready), key=self.runner.get_worker_index)

    def close(self) -> None:
        """End the processes; their stdin closes with ours, too, however we end."""
        for process in self._processes:
            process.kill()
            process.wait()
            if process.stdin is not None:
                process.stdin.close()


class RemoteTraffic:
    """The traffic as the master sees it: through the workers' reports."""

    def __init__(self, local: Traffic, reports: dict[str, Report], stop: Callable[[], None]) -> None:
        self.user_classes = local.user_classes
        self.users = local.users
        self.shape = local.shape
        self.events = local.events
        self._reports = reports
        self._stop = stop

    def attach(self, environment: Environment) -> None:
        """The workers attach theirs."""

    def is_warm(self) -> bool:
        """Every worker said that its users have been answered."""
        return all(report.warm for report in self._reports.values())

    def is_drained(self) -> bool:
        """Every worker said, after the last mark, that nothing is due."""
        return all(report.drained for report in self._reports.values())

    def stop_arrivals(self) -> None:
        """Ask the workers; their next reports tell whether they are drained."""
        self._stop()

    def close(self) -> None:
        """The workers close theirs."""


class Distributed:
    """A crew of several processes; see session.Crew."""

    def __init__(self, order: Order, workers: Workers, local: Traffic) -> None:
        self._workers = workers
        self.runner = workers.runner
        self._reports = {worker: Report() for worker in workers.ready()}
        if len(self._reports) != workers.count:
            raise GeneratorError(
                f"{len(self._reports)} of {workers.count} generator workers are ready; see generator.log"
            )
        self._marks = 0
        self._samples = Path(order.samples)
        self._streams = {
            worker: self._samples.with_suffix(f".{part}{self._samples.suffix}").open("wb")
            for part, worker in enumerate(self._reports)
        }
        self.traffic: Traffic = RemoteTraffic(local, self._reports, lambda: self._mark(stop=True))
        environment = workers.environment
        environment.user_classes = local.user_classes
        environment.shape_class = local.shape
        environment.host = order.url
        self.runner._users_dispatcher = None
        workers.on_report = self._hear
        for part, worker in enumerate(self._reports):
            data = order.model_copy(update={"part": part, "cores": ()}).model_dump_json()
            self.runner.send_message(ORDER, {"order": data}, worker)
        workers.wait("the workers to prepare", lambda: all(r.is_ready for r in self._reports.values()))
        failure = next((r.failure for r in self._reports.values() if r.failure), "")
        if failure:
            raise GeneratorError(failure)

    def _hear(self, worker: str, data: dict[str, Any]) -> None:
        report = self._reports[worker]
        for name, value in data.items():
            if name == "stream":
                self._streams[worker].write(value)
            else:
                setattr(report, name, value)

    def _mark(self, *, stop: bool = False) -> None:
        """Have every worker report at once, and wait for it."""
        self._marks += 1
        self.runner.send_message(MARK, {"mark": self._marks, "stop": stop})
        self._workers.wait(
            "the workers to report", lambda: all(r.marks >= self._marks for r in self._reports.values())
        )

    @property
    def rows(self) -> int:
        """Rows that have arrived here."""
        return sum(report.rows for report in self._reports.values())

    @property
    def errors(self) -> int:
        """Rows with an error among them."""
        return sum(report.errors for report in self._reports.values())

    def flush(self) -> None:
        """Bring what has arrived to disk."""
        self._workers.refuse_dead()
        for stream in self._streams.values():
            stream.flush()

    def cpu_s(self) -> list[float]:
        """CPU seconds used so far, by worker."""
        self._mark()
        return [report.cpu_s for report in self._reports.values()]

    def close(self) -> None:
        """Stop the users, collect the last rows."""
        try:
            self._workers.refuse_dead()
            self.runner.stop()
            self._workers.wait(
                "the workers to stop", lambda: len(self._workers.ready()) == self._workers.count
            )
            self.runner.send_message(FINISH, None)
            self._workers.wait(
                "the workers' last rows", lambda: all(r.is_finished for r in self._reports.values())
            )
        finally:
            for stream in self._streams.values():
                stream.close()
