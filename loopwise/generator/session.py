"""One run of the generator: warm-up, window, drain."""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import gevent
import gevent.select
from locust.env import Environment
from locust.runners import STATE_RUNNING, STATE_SPAWNING

from loopwise.errors import GeneratorError, RunError
from loopwise.generator.locustfile import ScriptedTraffic
from loopwise.generator.pairs import PairTraffic, alternate
from loopwise.generator.pauses import Pauses
from loopwise.generator.protocol import Event, Order, Slice
from loopwise.generator.recorder import FLUSH_INTERVAL_S, Recorder
from loopwise.generator.traffic import DeclaredTraffic, Traffic
from loopwise.model import GeneratorFigures, ScriptFigures

TICK_S = 0.01
HANG_WAIT_MIN_S, HANG_WAIT_MAX_S = 2.0, 10.0
"""How long closed load waits for one more answer after its window, which is as long within these limits: a server that
hangs gives none, and one that is slow is not to be taken for it."""
ALL_CORES = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()

OnEvent = Callable[[Event], None]


def traffic_of(order: Order, recorder: Recorder) -> Traffic:
    """The traffic that an order asks for.

    Raises:
        GeneratorError: its Locust file can't be used.
        DataError: a file that its requests are made of can't be used.
        OSError: the target's host is unknown.
    """
    if order.rival is not None:
        return PairTraffic(order, recorder)
    return ScriptedTraffic(order, recorder) if order.scenario else DeclaredTraffic(order, recorder)


class Driver(Protocol):
    """Drives a run's users: in this process (LocalDriver), or in worker processes (workers.DistributedDriver)."""

    runner: Any
    """Locust's runner."""
    traffic: Traffic
    """What the runner spawns. Worker processes make theirs from the same order."""

    @property
    def users(self) -> int:
        """Locust users that are there."""

    @property
    def rows(self) -> int:
        """Rows recorded so far."""

    @property
    def errors(self) -> int:
        """Rows with an error so far."""

    @property
    def failure(self) -> str:
        """Why the run can't go on: one sentence, or nothing."""

    def is_warm(self) -> bool:
        """Every user has had an answer."""

    def is_drained(self) -> bool:
        """Nothing that was due is without its outcome."""

    def stop_arrivals(self) -> None:
        """Let nothing more become due; what is due already is still sent."""

    def flush(self) -> None:
        """Write what was recorded to disk."""

    def script(self) -> ScriptFigures | None:
        """Tasks and exceptions of a Locust file, in all processes."""

    def cpu_s(self) -> list[float]:
        """CPU seconds used so far, by process."""

    @property
    def pause_s(self) -> float:
        """Longest pause of a worker process between the last two times that `cpu_s` was asked for; 0 without any."""

    def close(self) -> None:
        """End the users and the stream."""


def open_unbuffered(path: str) -> BinaryIO:
    """A file whose bytes are the kernel's as soon as they are written: a killed process loses none of them."""
    return Path(path).open("wb", buffering=0)


class LocalDriver:
    """One process: Locust's local runner and one reactor."""

    pause_s = 0.0
    """The session notes its own pauses, which are this process's."""

    def __init__(self, order: Order) -> None:
        self._recorder = Recorder(open_unbuffered(order.samples))
        try:
            self.traffic = traffic_of(order, self._recorder)
        except RunError:
            self._recorder.close()
            raise
        self.is_warm, self.is_drained = self.traffic.is_warm, self.traffic.is_drained
        self.stop_arrivals, self.flush = self.traffic.stop_arrivals, self._recorder.flush
        self.script = self.traffic.script
        self._environment = environment = Environment(events=self.traffic.events)
        try:
            self.traffic.furnish(environment, "local")
            self.traffic.attach(environment)
            self.runner: Any = environment.create_local_runner()
            self.traffic.init(environment)
        except GeneratorError:
            self.traffic.close()
            self._recorder.close()
            raise

    @property
    def users(self) -> int:
        """Locust users that are there."""
        return int(self.runner.user_count)

    @property
    def rows(self) -> int:
        """Rows recorded so far."""
        return self._recorder.rows

    @property
    def errors(self) -> int:
        """Rows with an error so far."""
        return self._recorder.failures

    @property
    def failure(self) -> str:
        """Why the run can't go on: one sentence, or nothing."""
        return self.traffic.failure

    def cpu_s(self) -> list[float]:
        """CPU seconds used so far."""
        return [time.process_time()]

    def close(self) -> None:
        """End the users and the stream."""
        try:
            self.runner.quit()
            self.traffic.quit(self._environment)
            self.traffic.close()
        finally:
            self._recorder.close()


class Census:
    """Counts the users through the window."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._start_s = time.monotonic()
        self._total = self._count = 0
        self.gone_s: float | None = None
        """When the last user left, in seconds from the start; None: some are there."""

    def take(self) -> bool:
        """Count; returns False, so that it can be what a wait asks for."""
        users = self._driver.users
        self._total += users
        self._count += 1
        if users:
            self.gone_s = None
        elif self.gone_s is None:
            self.gone_s = time.monotonic() - self._start_s
        return False

    @property
    def mean(self) -> float:
        """Users on average."""
        return self._total / max(self._count, 1)


class Session:
    """Measures one order and reports its events to the harness."""

    def __init__(self, order: Order, driver: Driver, on_event: OnEvent) -> None:
        self._order = order
        self._driver = driver
        self._on_event = on_event
        self._flushed_s = time.monotonic()
        self._slices: tuple[Slice, ...] = ()
        self._pauses = Pauses(TICK_S)

    def run(self) -> Event:
        """Generate the whole run; returns the `done` event."""
        try:
            figures = self._measure()
        finally:
            self._driver.close()
        figures = figures.model_copy(update={"script": self._driver.script()})
        return Event(event="done", rows=self._driver.rows, figures=figures, slices=self._slices)

    def _measure(self) -> GeneratorFigures:
        driver = self._driver
        clock_offset_ns = time.time_ns() - time.monotonic_ns()
        self._warm_up()
        cpu_s, wall_s, rows = driver.cpu_s(), time.monotonic(), driver.rows
        self._pauses.begin()
        self._on_event(Event(event="window_opened", time_ns=time.time_ns(), warm=self._is_warm()))
        census = Census(driver)
        self._slices = self._window(census)
        self._pauses.note()
        self._on_event(Event(event="window_closed", time_ns=time.time_ns()))
        used_s = [after - before for before, after in zip(cpu_s, driver.cpu_s(), strict=True)]
        pause_s = driver.pause_s
        wall_s = time.monotonic() - wall_s
        rows = driver.rows - rows
        census.take()
        self._refuse_failure()
        users, wanted = driver.users, self._users_wanted()
        driver.stop_arrivals()
        self._drain()
        return GeneratorFigures(
            processes=len(used_s),
            cpu_s=sum(used_s),
            busiest_cpu_s=max(used_s),
            wall_s=wall_s,
            requests=rows,
            cores=os.cpu_count() or 1,
            pinned_to=self._order.cores,
            users=users,
            users_wanted=wanted,
            users_mean=census.mean,
            users_gone_s=census.gone_s,
            clock_step_ms=(time.time_ns() - time.monotonic_ns() - clock_offset_ns) / 1e6,
            longest_pause_s=max(self._pauses.longest_s, pause_s),
        )

    def _users_wanted(self) -> int:
        """The users that the load or a shape wants now; those that are there while Locust is spawning."""
        runner, traffic = self._driver.runner, self._driver.traffic
        if traffic.shape is None:
            return traffic.users
        return self._driver.users if runner.state == STATE_SPAWNING else int(runner.target_user_count)

    def _drain(self) -> None:
        """Open load: wait for all that was due. Closed load: wait for one more answer, which shows that it lives.

        After slices there is none to wait for: both sides are shut, and all that was sent is answered.
        """
        load, driver, start_s = self._order.load, self._driver, time.monotonic()
        if load.model == "closed" and driver.users and not self._slices:
            rows = driver.rows
            wait_s = min(load.timeout_s, max(HANG_WAIT_MIN_S, min(load.measure_s, HANG_WAIT_MAX_S)))
            self._wait("drain", start_s + wait_s, until=lambda: driver.rows > rows)
        self._wait("drain", start_s + load.timeout_s, until=driver.is_drained)

    def _warm_up(self) -> None:
        load, is_shaped = self._order.load, self._driver.traffic.shape is not None
        if is_shaped:  # its clock starts with its users: the window lies at the same place of it in every run
            self._hold()
        start_s = time.monotonic()
        self._start_users()
        self._wait("warm-up", start_s + load.warmup_s)
        if load.model == "closed":
            self._wait("warm-up", start_s + max(load.warmup_s, load.warmup_max_s), until=self._is_warm)
        if not is_shaped:
            self._hold()

    def _hold(self) -> None:
        """Wait for the harness, if the order says so."""
        if self._order.holds:
            self._on_event(Event(event="warm", time_ns=time.time_ns()))
            self._wait("warm-up", float("inf"), until=_may_go)

    def _start_users(self) -> None:
        """Let Locust spawn: by a shape, or all users at the load's spawn rate."""
        runner, traffic = self._driver.runner, self._driver.traffic
        if traffic.shape is not None:
            runner.start_shape()
        else:
            spawn_rate = self._order.load.spawn_rate or traffic.users
            gevent.spawn(runner.start, traffic.users, spawn_rate=spawn_rate)

    def _is_warm(self) -> bool:
        """All users have been spawned, and every one that is there has had an answer: a script may have ended some."""
        runner, traffic = self._driver.runner, self._driver.traffic
        is_complete = traffic.shape is not None or runner.state == STATE_RUNNING
        return is_complete and self._driver.is_warm()

    def _window(self, census: Census) -> tuple[Slice, ...]:
        """The measured part: one stretch, or the slices of a pair."""
        order, traffic = self._order, self._driver.traffic
        if order.rival is None or order.rival.slice_s is None:
            self._wait("window", time.monotonic() + order.load.measure_s, until=census.take)
            return ()
        assert isinstance(traffic, PairTraffic)

        def wait(duration_s: float, until: Callable[[], bool]) -> None:
            self._wait("window", time.monotonic() + duration_s, until)

        return tuple(alternate(traffic, order, wait))

    def _wait(self, phase: str, until_s: float, until: Callable[[], bool] = lambda: False) -> None:
        """Wait for a time of the monotonic clock or a condition; meanwhile flush, report progress and note pauses."""
        while (left_s := until_s - time.monotonic()) > 0 and not until():
            gevent.sleep(min(TICK_S, left_s))
            if phase == "window":
                self._pauses.note()
            if time.monotonic() - self._flushed_s >= FLUSH_INTERVAL_S:
                self._flushed_s = time.monotonic()
                self._driver.flush()
                if phase != "drain":
                    self._refuse_failure()
                rows, errors = self._driver.rows, self._driver.errors
                self._on_event(Event(event="progress", phase=phase, rows=rows, errors=errors))

    def _refuse_failure(self) -> None:
        """Raise GeneratorError if the load has ended."""
        if self._driver.failure:
            raise GeneratorError(self._driver.failure)


def _may_go() -> bool:
    """The harness sent GO, or is gone. Between orders it sends nothing else, so any line is GO."""
    readable, _, _ = gevent.select.select([sys.stdin.fileno()], [], [], 0)
    if readable:
        sys.stdin.readline()
    return bool(readable)


def run(order: Order, on_event: OnEvent, driver_of: Callable[[Order], Driver] = LocalDriver) -> None:
    """Generate one run; the last event is `done` or `failed`."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, order.cores or ALL_CORES)
    try:
        on_event(Session(order, driver_of(order), on_event).run())
    except RunError as error:
        on_event(Event(event="failed", message=str(error)))
    except OSError as error:
        on_event(Event(event="failed", message=f"the generator cannot run against {order.url}: {error}"))
