"""Two servers under the same closed load of one generator: both at once (a duel), or in turns (slices)."""

from collections.abc import Callable
from time import time_ns
from typing import Any

from loopwise.generator.connection import Connection
from loopwise.generator.protocol import ABBA, Order, Slice
from loopwise.generator.recorder import Recorder
from loopwise.generator.traffic import Traffic
from loopwise.generator.users import ClosedUser, ScheduleUser
from loopwise.model import SIDES, Endpoint, SideName
from loopwise.servers.origin import resolve


class Side:
    """The users of one side, who can all be paused: they finish what is in flight and wait."""

    def __init__(self, name: SideName) -> None:
        self.name = name
        self.unanswered: set[ClosedUser] = set()
        """Users without an answer since the side was last opened."""
        self.users: set[SlicedUser] = set()
        self.parked: list[SlicedUser] = []
        self.is_shut = False

    @property
    def is_settled(self) -> bool:
        """Every user has been answered since the side was opened: the queue that they form has its length."""
        return not self.unanswered

    @property
    def is_drained(self) -> bool:
        """Nothing is in flight, and nobody will send."""
        return len(self.parked) == len(self.users)

    def open(self) -> None:
        """Let all users go on."""
        self.is_shut = False
        self.unanswered |= self.users
        parked, self.parked = self.parked, []
        for user in parked:
            user.go_on()


class SlicedUser(ClosedUser):
    """A virtual user of closed load who waits while its side is shut."""

    abstract = True
    side: Side

    def begin(self) -> None:
        """Join the side."""
        self.side.users.add(self)
        super().begin()

    def end(self) -> None:
        """Leave the side."""
        super().end()
        self.side.users.discard(self)

    def go_on(self) -> None:
        """Send the next request, or wait for the side to be opened."""
        self._send_next()

    def answered(self, connection: Connection) -> None:
        """Owner: as a user of closed load, unless the side is shut."""
        if not self.side.is_shut:
            super().answered(connection)
            return
        self._connection = connection
        self.unanswered.discard(self)
        if self.new_connection_per_request:
            connection.close()
        self.side.parked.append(self)

    def _send_next(self) -> None:
        if self.side.is_shut and not self.stopped:
            self.side.parked.append(self)
            return
        super()._send_next()


class SlicedCanary(ScheduleUser):
    """The canary of a side, which sends while its side is open."""

    abstract = True
    side: Side

    def _due(self, due_ns: int) -> None:
        if self.side.is_shut and not self.stopped:
            self._arm()
        else:
            super()._due(due_ns)


class PairTraffic(Traffic):
    """The same closed load on two servers. Rows carry the side's name before the endpoint's, also the canary's."""

    def __init__(self, order: Order, recorder: Recorder) -> None:
        super().__init__(order, recorder)
        rival = order.rival
        assert rival is not None
        self.sides = {name: Side(name) for name in SIDES}
        self.user_classes = [
            self._side_users("baseline", order.url, order.endpoints),
            self._side_users("candidate", rival.url, rival.endpoints),
        ]
        self.users = 2 * order.load.users
        if rival.has_canary and order.load.victim is not None:
            self.user_classes += [
                self._canary(order.load.victim, name, base=SlicedCanary, origin=resolve(url), side=self.sides[name])
                for name, url in zip(SIDES, (order.url, rival.url), strict=True)
            ]
            self.users += 2

    def _side_users(self, name: SideName, url: str, endpoints: tuple[Endpoint, ...]) -> Any:
        origin, side = resolve(url), self.sides[name]
        named = [(f"{name} {endpoint.name}", endpoint) for endpoint in endpoints]
        return self._closed(
            SlicedUser,
            name.capitalize(),
            fixed_count=self._order.load.users,
            origin=origin,
            # The same seed for both: each side gets the same sequence of a mix.
            supply=self._supply(named, origin),
            side=side,
            unanswered=side.unanswered,
        )

    def attach(self, environment: Any) -> None:
        """Leave Locust's statistics empty: they know one host."""

    def is_warm(self) -> bool:
        """Every user of both sides has had an answer."""
        return all(side.is_settled for side in self.sides.values())


Wait = Callable[[float, Callable[[], bool]], None]
"""Waits so many seconds, or until something is true."""


def alternate(traffic: PairTraffic, order: Order, wait: Wait) -> list[Slice]:
    """Load the two sides in turns; returns the stretches that count.

    A slice opens one side, waits until all its users have been answered once, counts for `slice_s`, shuts the side
    and waits until nothing of it is in flight. So what one side left behind never falls into the other's time.
    """
    rival = order.rival
    assert rival is not None
    assert rival.slice_s is not None
    patience_s = order.load.timeout_s
    for side in traffic.sides.values():
        side.is_shut = True
    wait(patience_s, lambda: all(side.is_drained for side in traffic.sides.values()))
    first = SIDES.index(rival.first)
    slices = []
    for turn in range(rival.slices):
        side = traffic.sides[SIDES[(first + ABBA[turn % len(ABBA)]) % 2]]
        slices.append(_slice(side, rival.slice_s, patience_s, wait))
    return slices


def _slice(side: Side, slice_s: float, patience_s: float, wait: Wait) -> Slice:
    side.open()
    wait(patience_s, lambda: side.is_settled)
    start_ns = time_ns()
    wait(slice_s, lambda: False)
    end_ns = time_ns()
    side.is_shut = True
    wait(patience_s, lambda: side.is_drained)
    return Slice(side.name, start_ns, end_ns)
