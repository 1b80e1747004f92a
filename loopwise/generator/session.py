"""One run: Locust's runner, warm-up, window, drain."""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, Protocol
from urllib.parse import urlsplit

import gevent
import gevent.select
from locust.env import Environment

from loopwise.errors import GeneratorError
from loopwise.generator.kinds import traffic_of
from loopwise.generator.pairs import PairTraffic, alternate
from loopwise.generator.protocol import Event, Figures, Order, Slice
from loopwise.generator.recorder import FLUSH_INTERVAL_S, Recorder
from loopwise.generator.traffic import Traffic

TICK_S = 0.01
ALL_CORES = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()

Tell = Callable[[Event], None]


class Crew(Protocol):
    """Who makes the load: this process alone, or a master with its workers (distributed.py)."""

    runner: Any
    """Locust's runner."""
    traffic: Traffic

    @property
    def rows(self) -> int:
        """Rows recorded so far."""

    @property
    def errors(self) -> int:
        """Rows with an error so far."""

    def flush(self) -> None:
        """Bring what was recorded to disk."""

    def cpu_s(self) -> list[float]:
        """CPU seconds used so far, by process."""

    def close(self) -> None:
        """End the users and the stream."""


def open_unbuffered(path: str) -> BinaryIO:
    """A file whose bytes are the kernel's as soon as they are written: a killed process loses none of them."""
    return Path(path).open("wb", buffering=0)


class Alone:
    """One process: Locust's local runner and one reactor."""

    def __init__(self, order: Order) -> None:
        self._recorder = Recorder(open_unbuffered(order.samples))
        try:
            self.traffic = traffic_of(order, self._recorder)
        except GeneratorError:
            self._recorder.close()
            raise
        environment = Environment(
            user_classes=self.traffic.user_classes,
            shape_class=self.traffic.shape,
            host=order.url,
            events=self.traffic.events,
        )
        self.traffic.attach(environment)
        self.runner: Any = environment.create_local_runner()
        hook: Any = environment.events.init
        hook.fire(environment=environment, runner=self.runner, web_ui=None)

    @property
    def rows(self) -> int:
        """Rows recorded so far."""
        return self._recorder.rows

    @property
    def errors(self) -> int:
        """Rows with an error so far."""
        return self._recorder.failures

    def flush(self) -> None:
        """Write what was recorded."""
        self._recorder.flush()

    def cpu_s(self) -> list[float]:
        """CPU seconds used so far."""
        return [time.process_time()]

    def close(self) -> None:
        """End the users and the stream."""
        try:
            self.runner.quit()
            self.traffic.close()
        finally:
            self._recorder.close()


class Session:
    """Measures one order, telling the harness what happens."""

    def __init__(self, order: Order, crew: Crew, tell: Tell) -> None:
        self._order = order
        self._crew = crew
        self._tell = tell
        self._flushed_s = time.monotonic()
        self._slices: tuple[Slice, ...] = ()

    def run(self) -> Event:
        """Generate the whole run; returns the `done` event."""
        try:
            figures = self._measure()
        finally:
            self._crew.close()
        return Event(event="done", rows=self._crew.rows, figures=figures, slices=self._slices)

    def _measure(self) -> Figures:
        load, traffic = self._order.load, self._crew.traffic
        clock_offset_ns = time.time_ns() - time.monotonic_ns()
        start_s = time.monotonic()
        self._start_users()
        self._wait("warm-up", start_s + load.warmup_s)
        if load.model == "closed":
            self._wait("warm-up", start_s + max(load.warmup_s, load.warmup_max_s), until=self._is_warm)
        if self._order.holds:
            self._tell(Event(event="warm", time_ns=time.time_ns()))
            self._wait("warm-up", float("inf"), until=_is_told_to_go)
        cpu_s, wall_s, rows = self._crew.cpu_s(), time.monotonic(), self._crew.rows
        self._tell(Event(event="window_opened", time_ns=time.time_ns(), warm=self._is_warm()))
        self._slices = self._window()
        self._tell(Event(event="window_closed", time_ns=time.time_ns()))
        used_s = [after - before for before, after in zip(cpu_s, self._crew.cpu_s(), strict=True)]
        wall_s = time.monotonic() - wall_s
        rows = self._crew.rows - rows
        users = self._crew.runner.user_count
        traffic.stop_arrivals()
        self._wait("drain", time.monotonic() + load.timeout_s, until=traffic.is_drained)
        return Figures(
            processes=len(used_s),
            cpu_s=sum(used_s),
            busiest_cpu_s=max(used_s),
            wall_s=wall_s,
            requests=rows,
            cores=os.cpu_count() or 1,
            pinned_to=self._order.cores,
            users=users,
            users_wanted=users if traffic.shape is not None else traffic.users,
            clock_step_ms=(time.time_ns() - time.monotonic_ns() - clock_offset_ns) / 1e6,
        )

    def _window(self) -> tuple[Slice, ...]:
        """The measured part: one stretch, or the slices of a pair."""
        order, traffic = self._order, self._crew.traffic
        if order.rival is None or order.rival.slice_s is None:
            self._wait("window", time.monotonic() + order.load.measure_s)
            return ()
        assert isinstance(traffic, PairTraffic)

        def wait(duration_s: float, until: Callable[[], bool]) -> None:
            self._wait("window", time.monotonic() + duration_s, until)

        return tuple(alternate(traffic, order, wait))

    def _start_users(self) -> None:
        """Let Locust spawn: by the script's shape, or all users at the asked rate."""
        runner, traffic = self._crew.runner, self._crew.traffic
        if traffic.shape is not None:
            runner.start_shape()
        else:
            spawn_rate = self._order.load.spawn_rate or traffic.users
            gevent.spawn(runner.start, traffic.users, spawn_rate=spawn_rate)

    def _is_warm(self) -> bool:
        """All users are there and every one has had an answer."""
        traffic = self._crew.traffic
        is_complete = traffic.shape is not None or self._crew.runner.user_count >= traffic.users
        return is_complete and traffic.is_warm()

    def _wait(self, phase: str, until_s: float, until: Callable[[], bool] = lambda: False) -> None:
        """Let the run go on until a time of the monotonic clock or an event, flushing and telling progress."""
        while (left_s := until_s - time.monotonic()) > 0 and not until():
            gevent.sleep(min(TICK_S, left_s))
            if time.monotonic() - self._flushed_s >= FLUSH_INTERVAL_S:
                self._flushed_s = time.monotonic()
                self._crew.flush()
                rows, errors = self._crew.rows, self._crew.errors
                self._tell(Event(event="progress", phase=phase, rows=rows, errors=errors))


def _is_told_to_go() -> bool:
    """The harness said GO, or is gone. Between orders it says nothing else, so any line is that one."""
    readable, _, _ = gevent.select.select([sys.stdin.fileno()], [], [], 0)
    if readable:
        sys.stdin.readline()
    return bool(readable)


def run(order: Order, tell: Tell, crew_of: Callable[[Order], Crew] = Alone) -> None:
    """Generate one run; ends by telling `done` or `failed`."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, order.cores or ALL_CORES)
    try:
        tell(Session(order, crew_of(order), tell).run())
    except GeneratorError as error:
        tell(Event(event="failed", message=str(error)))
    except OSError as error:
        host = urlsplit(order.url).netloc
        tell(Event(event="failed", message=f"the generator cannot run against {host}: {error}"))
