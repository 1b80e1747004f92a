"""What a run's requests come from: declared endpoints on the reactor, or a Locust file."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import gevent
import locust
from locust.env import Environment

from loopwise.generator.arrivals import Stretch, stretches
from loopwise.generator.livestats import feed
from loopwise.generator.locustfile import forbid_strangers, load_script, record_requests
from loopwise.generator.protocol import Order
from loopwise.generator.reactor import Reactor
from loopwise.generator.recorder import Recorder
from loopwise.generator.request import Request
from loopwise.generator.stamped_user import REACTOR, StampedUser
from loopwise.generator.users import ClosedUser, ScheduleUser, deal
from loopwise.model import VICTIM, Endpoint, Load

VICTIM_RATE_RPS = 20.0
VICTIM_CONNECTIONS = 64
PART_CONNECTIONS = 10_000_000
"""Connection numbers of one generator process; those of the next begin behind them."""


class Traffic(Protocol):
    """What Locust's runner spawns for a run, and what is to be known of it."""

    user_classes: list[Any]
    users: int
    """Locust users to spawn, over all generator processes; the victim probe and each schedule are one each."""
    shape: Any
    events: Any

    def attach(self, environment: Environment) -> None:
        """Join Locust's environment before its users begin."""

    def is_warm(self) -> bool:
        """Every user has had an answer."""

    def is_drained(self) -> bool:
        """Nothing that was due is without its outcome."""

    def stop_arrivals(self) -> None:
        """Let nothing more become due; what is due already is still sent."""

    def close(self) -> None:
        """Release connections; what is in flight becomes a row."""


class ReactorTraffic:
    """The reactor, its greenlet and the victim probe: what both kinds of traffic stand on."""

    events: Any = None
    """Locust's event hooks; None: fresh ones."""

    def __init__(self, order: Order, recorder: Recorder) -> None:
        self._order = order
        self._schedules: list[ScheduleUser] = []
        self.reactor = Reactor(
            order.url, recorder, order.load.timeout_s, first_connection=order.part * PART_CONNECTIONS
        )
        self._greenlet = gevent.spawn(self.reactor.run)

    def _victim(self, path: str) -> Any:
        """The victim probe as a Locust user: twenty requests a second, whatever else goes on."""
        probe = Endpoint(path=path)
        requests = deal([(f"{VICTIM}{path}", probe)], self.reactor, self._order.seed)
        load = Load(model="open", arrivals="constant", max_connections=VICTIM_CONNECTIONS)
        rate = [Stretch(float("inf"), VICTIM_RATE_RPS, VICTIM_RATE_RPS)]
        victim = self._schedule("Victim", requests, rate, load, 1)
        # What the victim measures is the wait for the loop, not for accept(), which a blocked loop rarely calls.
        victim.opened_beforehand = VICTIM_CONNECTIONS
        return victim

    def _schedule(
        self, name: str, requests: Iterator[Request], rate: list[Stretch], load: Load, count: int
    ) -> Any:
        attributes = {
            "abstract": False,
            "fixed_count": count,
            "reactor": self.reactor,
            "requests": requests,
            "rate": rate,
            "arrivals": load.arrivals,
            "max_connections": max(1, load.max_connections // count),
            "new_connection_per_request": load.new_connection_per_request,
            "opened_beforehand": 0,
            "seed": self._order.seed + self._order.part,
            "phase": self._order.part / count,
            "epoch_offset_ns": time.time_ns() - time.monotonic_ns(),
            "begun": self._schedules,
        }
        return type(name, (ScheduleUser,), attributes)

    def close(self) -> None:
        """End the loop and record what is in flight; an error inside the reactor is raised here, never lost."""
        self.reactor.running = False
        self._greenlet.join()
        self.reactor.close()
        self._greenlet.get()


class DeclaredTraffic(ReactorTraffic):
    """Endpoints on the reactor. Each run has user classes of its own, so that nothing is shared between runs."""

    shape = None

    def __init__(self, order: Order, recorder: Recorder) -> None:
        super().__init__(order, recorder)
        load = order.load
        self._unanswered: set[ClosedUser] = set()
        self._is_open = load.model == "open"
        requests = deal([(e.name, e) for e in order.endpoints], self.reactor, order.seed + order.part)
        if self._is_open:
            rate = [
                Stretch(s.duration_s, s.from_rps / order.processes, s.to_rps / order.processes)
                for s in stretches(load)
            ]
            self.user_classes = [self._schedule("OpenLoad", requests, rate, load, order.processes)]
            self.users = order.processes
        else:
            self.user_classes = [self._population(requests, load)]
            self.users = load.users
        if load.victim is not None:
            self.user_classes.append(self._victim(load.victim))
            self.users += 1

    def _population(self, requests: Iterator[Request], load: Load) -> Any:
        attributes = {
            "abstract": False,
            "reactor": self.reactor,
            "requests": requests,
            "think_ns": int(load.think_s * 1e9),
            "new_connection_per_request": load.new_connection_per_request,
            "unanswered": self._unanswered,
        }
        return type("ClosedLoad", (ClosedUser,), attributes)

    def attach(self, environment: Environment) -> None:
        """Feed Locust's statistics from the rows."""
        recorder = self.reactor.recorder
        recorder.on_flush = lambda batch: feed(environment.stats, recorder, batch)

    def is_warm(self) -> bool:
        """Every user has had an answer."""
        return not self._unanswered

    def is_drained(self) -> bool:
        """Open load waits for every request that was due; closed load has none that is due."""
        if not self._is_open:
            return True
        return all(schedule.is_served for schedule in self._schedules) and not self.reactor.in_flight

    def stop_arrivals(self) -> None:
        """Let nothing more become due; what is due already is still sent."""
        for schedule in self._schedules:
            schedule.stop_arrivals()


class ScriptedTraffic(ReactorTraffic):
    """A Locust file; what its users do is theirs. StampedUsers find the reactor in the environment."""

    events = locust.events

    def __init__(self, order: Order, recorder: Recorder) -> None:
        assert order.scenario is not None
        forbid_strangers(order.url)
        self.user_classes, self.shape = load_script(Path(order.scenario))
        self.users = order.load.users
        super().__init__(order, recorder)
        is_stamped = any(issubclass(user_class, StampedUser) for user_class in self.user_classes)
        # Beside the script's users and not among them: a shape of the script counts its own.
        self._probe: ScheduleUser | None = None
        self.reactor.running = is_stamped or order.load.victim is not None

    def attach(self, environment: Environment) -> None:
        """Listen to Locust's request event; feed Locust's statistics with what that does not tell."""
        setattr(environment, REACTOR, self.reactor)
        recorder = self.reactor.recorder
        record_requests(environment, recorder)
        recorder.on_flush = lambda batch: feed(environment.stats, recorder, batch)
        victim = self._order.load.victim
        if victim is not None and self._order.part == 0:
            self._probe = self._victim(victim)(environment)
            self._probe.begin()

    def close(self) -> None:
        """Stop the victim probe, too."""
        if self._probe is not None:
            self._probe.stopped = True
            self._probe.end()
        super().close()

    def is_warm(self) -> bool:
        """A script's users may pause as they like: warm-up is over when its time is."""
        return True

    def is_drained(self) -> bool:
        """Users stop where they are."""
        return True

    def stop_arrivals(self) -> None:
        """Users decide for themselves."""
