"""Several generator processes: Locust's master and workers, and the messages in which rows travel between them.

Locust's own messages spawn and stop the users. Four more go beside them:

    order   master → workers   what to generate, and which part of it
    mark    master → workers   report at once, with the CPU used so far
    finish  master → workers   close connections and report the last rows
    report  worker → master    a Report, and rows as a piece of an Arrow stream

Rows travel as messages, so that a worker needs no disk in common with the master: one on another host would do.
"""

import gc
import io
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import gevent
import locust
from locust.env import Environment

from loopwise.errors import GeneratorError
from loopwise.generator.pauses import Pauses
from loopwise.generator.protocol import WORKER_START_S, Order
from loopwise.generator.recorder import FLUSH_INTERVAL_S, Recorder
from loopwise.generator.session import traffic_of
from loopwise.generator.traffic import Traffic
from loopwise.model import ScriptFigures

ORDER, REPORT, MARK, FINISH = (f"loopwise_{name}" for name in ("order", "report", "mark", "finish"))
HOST = "127.0.0.1"
ANSWER_TIMEOUT_S = 20.0
TICK_S = 0.05
"""Often enough to notice half a second, seldom enough to cost nothing."""


@dataclass
class Report:
    """State of a worker; each message holds all of it."""

    users: int = 0
    rows: int = 0
    errors: int = 0
    cpu_s: float = 0.0
    is_warm: bool = False
    is_drained: bool = True
    marks: int = 0
    """Marks answered so far."""
    pause_s: float = 0.0
    """Longest time between the last two marks in which the worker did not run."""
    is_ready: bool = False
    """It has prepared its part of the order, or failed to."""
    is_finished: bool = False
    failure: str = ""
    script: dict[str, Any] | None = None
    """ScriptFigures of a Locust file."""


class Workers:
    """Worker processes and the master that commands them; they live through many runs of declared load.

    Args:
        processes: number of workers.
        events: Locust's event hooks for the master; None: fresh ones.
    """

    def __init__(self, processes: int, events: Any = None) -> None:
        self.count = processes
        self.environment = Environment(user_classes=[], events=events)
        self.runner: Any = self.environment.create_master_runner(HOST, 0)
        self._death = ""
        self._connected: set[str] = set()
        self.on_report: Callable[[str, Report, bytes], None] | None = None
        self.runner.register_message(REPORT, self._receive)
        address = f"{HOST}:{self.runner.server.port}"
        argv = [sys.executable, "-P", "-m", "loopwise.generator", "--join", address]
        self._processes = [subprocess.Popen(argv, stdin=subprocess.PIPE) for _ in range(processes)]
        # Locust counts a worker as ready when it has connected, which is before it knows our messages.
        self.wait(
            "the generator's workers to connect",
            lambda: len(self._connected) == processes,
            ANSWER_TIMEOUT_S + WORKER_START_S * processes,
        )

    def _receive(self, msg: Any, **_: Any) -> None:
        self._connected.add(msg.node_id)
        if self.on_report is not None:
            self.on_report(msg.node_id, Report(**msg.data["report"]), msg.data["stream"])

    def wait(self, purpose: str, until: Callable[[], bool], timeout_s: float = ANSWER_TIMEOUT_S) -> None:
        """Wait for the workers; no longer if they have quit.

        Raises:
            GeneratorError: one of them has ended, or it takes too long.
        """
        deadline_s = time.monotonic() + timeout_s
        while not until() and not self.have_quit:
            self.refuse_dead()
            if time.monotonic() > deadline_s:
                raise GeneratorError(f"waited {timeout_s:g} s for {purpose}; see generator.log")
            gevent.sleep(0.005)

    def refuse_dead(self) -> None:
        """Raise GeneratorError if a worker has ended; the others, which would continue their load, end with it."""
        status = next((status for process in self._processes if (status := process.poll())), 0)
        if status and not self._death:
            self._death = f"a generator worker ended with status {status}; see generator.log"
            self.close()
        if self._death:
            raise GeneratorError(self._death)

    @property
    def have_quit(self) -> bool:
        """A worker has ended as Locust's runner told it to: the script called `runner.quit()`, or the run is over."""
        return any(process.poll() == 0 for process in self._processes)

    def quit(self, traffic: Traffic) -> None:
        """Let Locust end its processes, with the events that it fires then."""
        traffic.quit(self.environment)
        deadline_s = time.monotonic() + ANSWER_TIMEOUT_S
        while any(process.poll() is None for process in self._processes) and time.monotonic() < deadline_s:
            gevent.sleep(0.01)
        self.close()

    @property
    def are_ready(self) -> bool:
        """All are alive and wait for users; after a failed run, some may not."""
        return all(process.poll() is None for process in self._processes) and len(self.ready()) == self.count

    def ready(self) -> list[str]:
        """Locust's ids of the workers that wait for users, in the order in which they connected."""
        return sorted((client.id for client in self.runner.clients.ready), key=self.runner.get_worker_index)

    def close(self) -> None:
        """End the processes; their stdin closes with ours, too, however we end."""
        for process in self._processes:
            process.kill()
            process.wait()
            if process.stdin is not None:
                process.stdin.close()


class DistributedDriver:
    """Drives the users in worker processes; see session.Driver."""

    def __init__(self, order: Order, workers: Workers) -> None:
        self._workers = workers
        self.runner = workers.runner
        self._reports = {worker: Report() for worker in workers.ready()}
        if len(self._reports) != workers.count:
            raise GeneratorError(
                f"{len(self._reports)} of {workers.count} generator workers are ready; see generator.log"
            )
        # Of the traffic made here only the plan is used: the workers make their own.
        self.traffic = traffic_of(order, Recorder(io.BytesIO()))
        self.traffic.close()
        self._marks = 0
        samples = Path(order.samples)
        self._streams = {
            worker: samples.with_suffix(f".{part}{samples.suffix}").open("wb")
            for part, worker in enumerate(self._reports)
        }
        self.traffic.furnish(workers.environment, "master")
        self.runner._users_dispatcher = None
        workers.on_report = self._receive
        for part, worker in enumerate(self._reports):
            data = order.model_copy(update={"part": part, "cores": ()}).model_dump_json()
            self.runner.send_message(ORDER, data, worker)
        self._wait("the workers to prepare", lambda report: report.is_ready)
        if self.failure:
            raise GeneratorError(self.failure)
        self.traffic.init(workers.environment)

    @property
    def _all(self) -> Collection[Report]:
        return self._reports.values()

    def _receive(self, worker: str, report: Report, stream: bytes) -> None:
        self._reports[worker] = report
        self._streams[worker].write(stream)

    def _wait(self, purpose: str, until: Callable[[Report], bool]) -> None:
        self._workers.wait(purpose, lambda: all(map(until, self._all)))

    def _mark(self, *, stop: bool = False) -> None:
        """Have every worker report at once, and wait for it."""
        self._marks += 1
        self.runner.send_message(MARK, {"mark": self._marks, "stop": stop})
        self._wait("the workers to report", lambda report: report.marks >= self._marks)

    @property
    def users(self) -> int:
        """Locust users by the workers' last reports, which are newer than what Locust's master knows."""
        return 0 if self._workers.have_quit else sum(report.users for report in self._all)

    def script(self) -> ScriptFigures | None:
        """Tasks and exceptions of a Locust file: the workers', and of the master, where its shape runs."""
        parts = [ScriptFigures(**report.script) for report in self._all if report.script is not None]
        own = self.traffic.script()
        return ScriptFigures.merged(parts if own is None else [own, *parts])

    @property
    def rows(self) -> int:
        """Rows that have arrived here."""
        return sum(report.rows for report in self._all)

    @property
    def errors(self) -> int:
        """Rows with an error among them."""
        return sum(report.errors for report in self._all)

    @property
    def failure(self) -> str:
        """Why a worker or a shape, which is asked here, can't go on: one sentence, or nothing."""
        return self.traffic.failure or next((report.failure for report in self._all if report.failure), "")

    def is_warm(self) -> bool:
        """The users of every worker have been answered."""
        return all(report.is_warm for report in self._all)

    def is_drained(self) -> bool:
        """Every worker reported, after the last mark, that nothing is due."""
        return all(report.is_drained for report in self._all)

    def stop_arrivals(self) -> None:
        """Stop arrivals in the workers; their reports from here on say whether they are drained."""
        self._mark(stop=True)

    def flush(self) -> None:
        """Write what has arrived to disk."""
        self._workers.refuse_dead()
        for stream in self._streams.values():
            stream.flush()

    def cpu_s(self) -> list[float]:
        """CPU seconds used so far, by worker."""
        self._mark()
        return [report.cpu_s for report in self._all]

    @property
    def pause_s(self) -> float:
        """Longest pause of a worker between the last two marks."""
        return max(report.pause_s for report in self._all)

    def close(self) -> None:
        """Stop the users, and collect the last rows."""
        try:
            self._workers.refuse_dead()
            if not self._workers.have_quit:
                self.runner.stop()
                self._workers.wait("the workers to stop", lambda: len(self._workers.ready()) == self._workers.count)
                self.runner.send_message(FINISH, None)
                self._wait("the workers' last rows", lambda report: report.is_finished)
            if self.traffic.events is not None:
                self._workers.quit(self.traffic)
        finally:
            for stream in self._streams.values():
                stream.close()


class Worker:
    """Carries out its part of a master's orders; Locust's worker runner spawns the users."""

    def __init__(self, host: str, port: int) -> None:
        self._environment = Environment(user_classes=[], events=locust.events)
        self._report = Report()
        self._recorder: Recorder | None = None
        self._traffic: Traffic | None = None
        self._finished: Traffic | None = None
        self._pauses = Pauses(TICK_S)
        self._sink = io.BytesIO()
        self._runner: Any = self._environment.create_worker_runner(host, port)
        for name, act in ((ORDER, self._prepare), (MARK, self._mark), (FINISH, self._finish)):
            self._runner.register_message(name, lambda msg, act=act, **_: act(msg.data))
        self._send()

    def serve(self) -> None:
        """Report until Locust's runner quits; then send the last rows, and let the script end, too."""
        gevent.spawn(self._tick)
        while not self._runner.greenlet.join(timeout=FLUSH_INTERVAL_S):
            if self._recorder is not None:
                self._send()
        script = self._traffic or self._finished
        if self._recorder is not None:
            self._finish(None)
        if script is not None:
            script.quit(self._environment)

    def _tick(self) -> None:
        while True:
            gevent.sleep(TICK_S)
            self._pauses.note()

    def _prepare(self, data: str) -> None:
        order = Order.model_validate_json(data)
        self._sink, self._report = io.BytesIO(), Report(is_ready=True)
        try:
            recorder = Recorder(self._sink)
            traffic = traffic_of(order, recorder)
            traffic.furnish(self._environment, "worker")
            traffic.attach(self._environment)
            traffic.init(self._environment)
        except GeneratorError as error:
            self._report.failure = str(error)
        except Exception as error:
            traceback.print_exc()
            self._report.failure = str(error)
        else:
            self._recorder, self._traffic = recorder, traffic
        self._send()

    def _mark(self, data: dict[str, Any]) -> None:
        self._pauses.note()
        self._report.marks, self._report.pause_s = data["mark"], self._pauses.longest_s
        self._pauses.begin()
        if data["stop"] and self._traffic is not None:
            self._traffic.stop_arrivals()
        self._send()

    def _finish(self, data: None) -> None:
        """After Locust has stopped the users: what is still in flight becomes rows, and all rows go out."""
        del data
        if self._traffic is not None and self._recorder is not None:
            self._traffic.close()
            self._recorder.end()
        self._report.is_finished = True
        self._send()
        self._finished, self._traffic, self._recorder = self._traffic, None, None
        gc.collect()

    def _send(self) -> None:
        """Report, with the rows since the last report."""
        recorder, traffic, report = self._recorder, self._traffic, self._report
        if recorder is not None and traffic is not None:
            recorder.flush()
            report.rows, report.errors = recorder.written, recorder.failures
            report.is_warm, report.is_drained = traffic.is_warm(), traffic.is_drained()
            script = traffic.script()
            report.script = None if script is None else script.model_dump()
            report.cpu_s, report.users = time.process_time(), self._runner.user_count
            report.failure = traffic.failure
        stream = self._sink.getvalue()
        self._sink.seek(0)
        self._sink.truncate()
        self._runner.send_message(REPORT, {"report": asdict(report), "stream": stream})
