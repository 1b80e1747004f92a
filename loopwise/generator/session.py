"""One run: Locust's runner, warm-up, window, drain."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import gevent
from locust.env import Environment

from loopwise.errors import GeneratorError
from loopwise.generator.declared import ClosedUser, ScheduleUser, deal
from loopwise.generator.order import Event, Order
from loopwise.generator.reactor import Reactor
from loopwise.generator.recorder import FLUSH_INTERVAL_S, Recorder
from loopwise.generator.scripted import environment_for, forbid_strangers, record_requests
from loopwise.generator.stamped import REACTOR, StampedUser
from loopwise.model import VICTIM, Endpoint

TICK_S = 0.01
VICTIM_RATE_RPS = 20.0
VICTIM_CONNECTIONS = 64

Tell = Callable[[Event], None]


class Traffic(Protocol):
    """What a session drives: Locust's environment, and what is particular to how its requests are made."""

    environment: Environment
    users: int

    def is_warm(self) -> bool:
        """Every user has had an answer."""

    def is_drained(self) -> bool:
        """Nothing that was due is without its outcome."""

    def stop_arrivals(self) -> None:
        """Let nothing more become due; what is due already is still sent."""

    def close(self) -> None:
        """Release connections; what is in flight becomes a row."""


class DeclaredTraffic:
    """Endpoints on the reactor. Each run has classes of its own, so that nothing is shared between runs."""

    def __init__(self, order: Order, recorder: Recorder) -> None:
        load = order.load
        self._reactor = Reactor(order.url, recorder, load.timeout_s)
        self._unanswered: set[ClosedUser] = set()
        self._is_open = load.model == "open"
        requests = deal({e.name: e for e in order.endpoints}, self._reactor, order.seed)
        classes: list[Any] = []
        if self._is_open:
            classes.append(self._schedule("OpenLoad", requests, load.rate_rps, load, order.seed))
        else:
            attributes = {
                "abstract": False,
                "reactor": self._reactor,
                "requests": requests,
                "think_ns": int(load.think_s * 1e9),
                "unanswered": self._unanswered,
            }
            classes.append(type("ClosedLoad", (ClosedUser,), attributes))
        self.users = 1 if self._is_open else load.users
        if load.victim is not None:
            name = f"{VICTIM}{load.victim}"
            victim = deal({name: Endpoint(path=load.victim)}, self._reactor, order.seed)
            constant = load.model_copy(update={"arrivals": "constant", "max_connections": VICTIM_CONNECTIONS})
            classes.append(self._schedule("Victim", victim, VICTIM_RATE_RPS, constant, order.seed))
            self.users += 1
        self.environment = Environment(user_classes=classes, host=order.url)
        self._greenlet = gevent.spawn(self._reactor.run)

    def _schedule(self, name: str, requests: Iterator[Any], rate_rps: float, load: Any, seed: int) -> Any:
        attributes = {
            "abstract": False,
            "fixed_count": 1,
            "reactor": self._reactor,
            "requests": requests,
            "rate_rps": rate_rps,
            "arrivals": load.arrivals,
            "max_connections": load.max_connections,
            "seed": seed,
            "epoch_offset_ns": time.time_ns() - time.monotonic_ns(),
        }
        return type(name, (ScheduleUser,), attributes)

    def _schedules(self) -> list[ScheduleUser]:
        runner = self.environment.runner
        users = [] if runner is None else [record.args[0] for record in runner.user_greenlets]
        return [user for user in users if isinstance(user, ScheduleUser)]

    def is_warm(self) -> bool:
        """Every user has had an answer."""
        return not self._unanswered

    def is_drained(self) -> bool:
        """Open load waits for every request that was due; closed load has none that is due."""
        return not self._is_open or not (self._reactor.in_flight or any(s.unsent for s in self._schedules()))

    def stop_arrivals(self) -> None:
        """Let nothing more become due; what is due already is still sent."""
        for schedule in self._schedules():
            schedule.stopped = True

    def close(self) -> None:
        """End the loop and record what is in flight."""
        self._reactor.running = False
        self._greenlet.join()
        self._reactor.close()
        self._greenlet.get()  # an error inside the reactor is the run's error, never lost in a greenlet


class ScriptedTraffic:
    """A Locust file; what its users do is theirs. StampedUsers find the reactor in the environment."""

    def __init__(self, order: Order, recorder: Recorder) -> None:
        assert order.scenario is not None
        forbid_strangers(order.url)
        self.users = order.load.users
        self.environment = environment_for(Path(order.scenario), order.url)
        self._reactor = Reactor(order.url, recorder, order.load.timeout_s)
        setattr(self.environment, REACTOR, self._reactor)
        self._greenlet: gevent.Greenlet[..., None] | None = None
        if any(issubclass(user_class, StampedUser) for user_class in self.environment.user_classes):
            self._greenlet = gevent.spawn(self._reactor.run)
        record_requests(self.environment, recorder)

    def is_warm(self) -> bool:
        """A script's users may pause as they like: warm-up is over when its time is."""
        return True

    def is_drained(self) -> bool:
        """Users stop where they are."""
        return True

    def stop_arrivals(self) -> None:
        """Users decide for themselves."""

    def close(self) -> None:
        """Locust has ended its users by now; what StampedUsers left in flight becomes rows."""
        self._reactor.running = False
        if self._greenlet is not None:
            self._greenlet.join()
        self._reactor.close()
        if self._greenlet is not None:
            self._greenlet.get()


class Session:
    """Measures one order, telling the harness what happens."""

    def __init__(self, order: Order, tell: Tell) -> None:
        self._order = order
        self._tell = tell
        self._recorder = Recorder(Path(order.samples))
        self._flushed_s = time.monotonic()

    def run(self) -> Event:
        """Generate the whole run; returns the `done` event.

        Raises:
            GeneratorError: the scenario can't be used; the run has not begun.
        """
        try:
            make = ScriptedTraffic if self._order.scenario else DeclaredTraffic
            traffic: Traffic = make(self._order, self._recorder)
            runner = traffic.environment.create_local_runner()
            try:
                return self._measure(traffic, runner)
            finally:
                runner.quit()
                traffic.close()
        finally:
            self._recorder.close()

    def _measure(self, traffic: Traffic, runner: Any) -> Event:
        load = self._order.load
        clock_offset_ns = time.time_ns() - time.monotonic_ns()
        start_s = time.monotonic()
        if traffic.environment.shape_class is not None:
            runner.start_shape()
        else:
            runner.start(traffic.users, spawn_rate=traffic.users)
        self._wait("warm-up", start_s + load.warmup_s)
        self._wait("warm-up", start_s + max(load.warmup_s, load.warmup_max_s), until=traffic.is_warm)
        cpu_s, wall_s = time.process_time(), time.monotonic()
        self._tell(Event(event="window_opened", time_ns=time.time_ns(), warm=traffic.is_warm()))
        rows = self._recorder.rows
        self._wait("window", time.monotonic() + load.measure_s)
        self._tell(Event(event="window_closed", time_ns=time.time_ns()))
        figures = {
            "cpu_s": time.process_time() - cpu_s,
            "wall_s": time.monotonic() - wall_s,
            "requests": self._recorder.rows - rows,
            "cores": os.cpu_count() or 1,
            "users": runner.user_count,
            "users_wanted": traffic.users,
        }
        traffic.stop_arrivals()
        self._wait("drain", time.monotonic() + load.timeout_s, until=traffic.is_drained)
        figures["clock_step_ms"] = (time.time_ns() - time.monotonic_ns() - clock_offset_ns) / 1e6
        return Event(event="done", rows=self._recorder.rows, figures=figures)

    def _wait(self, phase: str, until_s: float, until: Callable[[], bool] = lambda: False) -> None:
        """Let the run go on until a time of the monotonic clock or an event, flushing and telling progress."""
        while (left_s := until_s - time.monotonic()) > 0 and not until():
            gevent.sleep(min(TICK_S, left_s))
            if time.monotonic() - self._flushed_s >= FLUSH_INTERVAL_S:
                self._flushed_s = time.monotonic()
                self._recorder.flush()
                rows, errors = self._recorder.rows, self._recorder.failures
                self._tell(Event(event="progress", phase=phase, rows=rows, errors=errors))


def run(order: Order, tell: Tell) -> None:
    """Generate one run; ends by telling `done` or `failed`."""
    try:
        tell(Session(order, tell).run())
    except GeneratorError as error:
        tell(Event(event="failed", message=str(error)))
    except OSError as error:
        host = urlsplit(order.url).netloc
        tell(Event(event="failed", message=f"the generator cannot run against {host}: {error}"))
