"""Traffic of one run: the Locust users that make its requests, and the reactor that carries them.

Declared endpoints are here; locustfile.py makes traffic from a Locust file, pairs.py for two servers side by side.
"""

import time
from collections.abc import Sequence
from typing import Any, Literal

import gevent
from locust.env import Environment

from loopwise.generator.arrivals import Stretch, stretches
from loopwise.generator.livestats import feed
from loopwise.generator.protocol import Order
from loopwise.generator.reactor import Reactor
from loopwise.generator.recorder import Recorder
from loopwise.generator.shape import DeclaredShape
from loopwise.generator.supply import Supply
from loopwise.generator.users import ClosedUser, ScheduleUser
from loopwise.model import VICTIM, Endpoint, Load, ScriptFigures
from loopwise.servers.origin import Origin, resolve

CANARY_RATE_RPS = 20.0
CANARY_CONNECTIONS = 64
Role = Literal["local", "master", "worker"]
"""Of a generator process: alone, or one of several."""
PART_CONNECTIONS = 10_000_000
"""Connection numbers of one generator process; those of the next begin behind them."""


class Traffic:
    """Base of all traffic: the reactor in its greenlet, and the canary probe.

    Args:
        order: the run.
        recorder: where rows go.
    """

    user_classes: list[Any]
    """For Locust's runner to spawn."""
    users: int
    """Locust users to spawn, over all generator processes; the canary probe and each schedule are one each."""
    shape: Any = None
    """A script's LoadTestShape, or a DeclaredShape: it decides how many users there are."""
    events: Any = None
    """Locust's event hooks; None: fresh ones."""
    _probe: ScheduleUser | None = None

    def __init__(self, order: Order, recorder: Recorder) -> None:
        self._order = order
        self._schedules: list[ScheduleUser] = []
        self._supplies: list[Supply] = []
        self.origin = resolve(order.url)
        first = order.part * PART_CONNECTIONS
        self.reactor = Reactor(recorder, order.load.timeout_s, first_connection=first)
        self._greenlet = gevent.spawn(self.reactor.run)

    def furnish(self, environment: Environment, role: Role) -> None:
        """Tell Locust's environment what to run, before anything is spawned in it."""
        del role
        environment.user_classes = self.user_classes
        environment.shape_class = self.shape
        environment.host = self._order.url
        if self.shape is not None:
            self.shape.runner = environment.runner

    def init(self, environment: Environment) -> None:
        """Fire Locust's event `init`: environment and runner are ready."""
        hooks: Any = environment.events
        hooks.init.fire(environment=environment, runner=environment.runner, web_ui=None)

    def quit(self, environment: Environment) -> None:
        """Fire the events with which Locust ends a process, where somebody may listen."""

    def attach(self, environment: Environment) -> None:
        """Join Locust's environment before its users begin: its statistics are fed from the rows."""
        recorder = self.reactor.recorder
        recorder.on_flush = lambda batch: feed(environment.stats, recorder, batch)

    def is_warm(self) -> bool:
        """Every user has had an answer."""
        return True

    def script(self) -> ScriptFigures | None:
        """Tasks and exceptions of a Locust file in this process; None: there is none."""
        return None

    def is_drained(self) -> bool:
        """Nothing that was due is without its outcome. Closed load has no due times: users stop where they are."""
        return True

    def stop_arrivals(self) -> None:
        """Let nothing more become due; what is due already is still sent."""

    def close(self) -> None:
        """End the loop and record what is in flight. An error inside the reactor is raised here, never lost."""
        if self._probe is not None:
            self._probe.stopped = True
            self._probe.end()
        self.reactor.running = False
        self._greenlet.join()
        self.reactor.close()
        self._greenlet.get()

    @property
    def failure(self) -> str:
        """Why the run can't go on: one sentence, or nothing."""
        return next((supply.failure for supply in self._supplies if supply.failure), "")

    def _supply(self, endpoints: Sequence[tuple[str, Endpoint]], origin: Origin) -> Supply:
        """The requests of endpoints, each with the name that its rows carry."""
        number = self.reactor.recorder.endpoints.number
        numbered = [(number(name), endpoint) for name, endpoint in endpoints]
        supply = Supply(numbered, origin.host_header, self._order)
        self._supplies.append(supply)
        return supply

    def _closed(self, base: type[ClosedUser], name: str, **attributes: Any) -> Any:
        """A class of virtual users; `attributes` are those that the load does not tell."""
        load = self._order.load
        return base.with_attributes(
            name,
            reactor=self.reactor,
            think_ns=int(load.think_s * 1e9),
            new_connection_per_request=load.new_connection_per_request,
            opens_ahead=self._order.opens_ahead and not load.new_connection_per_request,
            **attributes,
        )

    def _schedule(
        self, name: str, supply: Supply, rate: list[Stretch], load: Load, count: int, **attributes: Any
    ) -> Any:
        """A class of schedules, `count` of which share the load; `attributes` replace what it has otherwise."""
        base = attributes.pop("base", ScheduleUser)
        return base.with_attributes(
            name,
            fixed_count=count,
            reactor=self.reactor,
            origin=attributes.pop("origin", self.origin),
            supply=supply,
            rate=rate,
            arrivals=load.arrivals,
            max_connections=max(1, load.max_connections // count),
            new_connection_per_request=load.new_connection_per_request,
            opened_beforehand=0,
            seed=self._order.seed + self._order.part,
            phase=self._order.part / count,
            epoch_offset_ns=time.time_ns() - time.monotonic_ns(),
            begun=self._schedules,
            **attributes,
        )

    def _canary(self, path: str, whose: str = "", **attributes: Any) -> Any:
        """The canary probe as a class of one Locust user: twenty requests a second, whatever else goes on.

        Args:
            path: what it asks.
            whose: side of a pair; precedes the name that its rows carry.
            attributes: as in `_schedule`.
        """
        name = f"{VICTIM}{path}"
        supply = self._supply(
            [(f"{whose} {name}" if whose else name, Endpoint(path=path))], attributes.get("origin", self.origin)
        )
        load = Load(model="open", arrivals="constant", max_connections=CANARY_CONNECTIONS)
        rate = [Stretch(float("inf"), CANARY_RATE_RPS, CANARY_RATE_RPS)]
        # Locust spawns user classes by name in ASCII order: in lower case, this one connects after the load. Before it,
        # its connections would fall to workers of the server while they are idle, and leave some without load.
        canary = self._schedule(f"canary{whose}", supply, rate, load, 1, **attributes)
        # The canary measures the wait for the event loop, not for accept(), which a blocked loop rarely calls.
        canary.opened_beforehand = CANARY_CONNECTIONS if self._order.opens_ahead else 0
        return canary

    def _begin_probe(self, environment: Environment) -> None:
        """Start the canary probe, if any, beside Locust's users: a shape counts these."""
        path = self._order.load.victim
        if path is not None and self._order.part == 0:
            self._probe = self._canary(path)(environment)
            self._probe.begin()


class DeclaredTraffic(Traffic):
    """Declared endpoints, requested by virtual users (closed load) or by a schedule (open load)."""

    def __init__(self, order: Order, recorder: Recorder) -> None:
        load = order.load
        if load.shape is not None:
            self.shape = DeclaredShape(load.shape)
        super().__init__(order, recorder)
        self._unanswered: set[ClosedUser] = set()
        supply = self._supply([(endpoint.name, endpoint) for endpoint in order.endpoints], self.origin)
        if load.model == "open":
            rate = [
                Stretch(s.duration_s, s.from_rps / order.processes, s.to_rps / order.processes) for s in stretches(load)
            ]
            self.user_classes = [self._schedule("OpenLoad", supply, rate, load, order.processes)]
            self.users = order.processes
        else:
            shared = {"origin": self.origin, "supply": supply, "unanswered": self._unanswered}
            self.user_classes = [self._closed(ClosedUser, "ClosedLoad", **shared)]
            self.users = load.users
        if load.victim is not None and self.shape is None:
            self.user_classes.append(self._canary(load.victim))
            self.users += 1

    def attach(self, environment: Environment) -> None:
        """Feed Locust's statistics; the canary probe is none of a shape's users."""
        super().attach(environment)
        if self.shape is not None:
            self._begin_probe(environment)

    @property
    def failure(self) -> str:
        """Why the run can't go on: one sentence, or nothing."""
        return (self.shape.failure if self.shape is not None else "") or super().failure

    def is_warm(self) -> bool:
        """Every user has had an answer."""
        return not self._unanswered

    def is_drained(self) -> bool:
        """Open load waits for every request that was due."""
        if self._order.load.model == "closed":
            return True
        return all(schedule.is_served for schedule in self._schedules) and not self.reactor.in_flight

    def stop_arrivals(self) -> None:
        """Let nothing more become due; what is due already is still sent."""
        for schedule in self._schedules:
            schedule.stop_arrivals()
