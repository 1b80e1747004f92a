"""Declared load on the reactor: endpoints with weights, asked by users (closed) or by a schedule (open)."""

from collections import deque
from collections.abc import Iterator, Sequence
from time import monotonic_ns, time_ns
from typing import Any

import numpy as np
from locust import User

from loopwise.generator.arrivals import Stretch, arrival_times
from loopwise.generator.connection import USER_STAMP, Address, Connection
from loopwise.generator.reactor import Reactor
from loopwise.generator.request import Request, prepare
from loopwise.model import Arrivals, Endpoint
from loopwise.results.columns import UNFINISHED

RETRY_S = 0.1
"""Pause before a failed connection is opened anew, so that a dead server is not stormed."""
SETTLE_S = 0.1
"""Connections are open this long before the first requests. A server's event loop accepts connections between its
other work (uvloop: one per iteration), so users who connect to a loop that is blocked already may wait for minutes."""
DECK = 65_536
"""Endpoints of a mix are dealt from a prepared deck of about this size, so that no request costs a draw."""


def deal(
    endpoints: Sequence[tuple[str, Endpoint]], reactor: Reactor, seed: int, *, host: str | None = None
) -> Iterator[Request]:
    """Yield the endless sequence of requests of a mix, each endpoint in exact proportion to its weight.

    Weights 3 and 1 give one of the second in each four from the first on: the shares of a short run are exact, too.

    Args:
        endpoints: each with the name that its rows carry.
        reactor: the target's host and the recorder are its.
        seed: the same seed gives the same sequence.
        host: of the Host header, where requests go elsewhere than to the reactor's own target.
    """
    number = reactor.recorder.endpoints.number
    requests = [prepare(each, host or reactor.host_header, number(name)) for name, each in endpoints]
    if len(requests) == 1:
        while True:
            yield requests[0]
    weights = np.array([endpoint.weight for _, endpoint in endpoints])
    hand = np.repeat(np.arange(len(weights)), weights // np.gcd.reduce(weights))
    hands = np.tile(hand, (max(1, DECK // hand.size), 1))
    order = np.random.default_rng(seed).permuted(hands, axis=1).ravel().tolist()
    while True:
        for index in order:
            yield requests[index]


class RecordUser(User):
    """A Locust user that costs no greenlet: a record whose requests the reactor carries.

    Locust's runner spawns, counts and stops it like any user; for that it stands in its own place where Locust
    expects a greenlet (`args`, `name`).
    """

    abstract = True
    tasks = [print]  # noqa: RUF012 - Locust warns of users without any; these are never run

    reactor: Reactor
    address: Address | None = None
    keeps_answers = False

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self.record = self.reactor.recorder.append
        self.args = (self,)
        self.name = type(self).__name__
        self.stopped = False

    def start(self, group: Any) -> Any:
        """Join the runner's users and begin."""
        self._greenlet: Any = self
        self._group: Any = group
        group.add(self)
        self.begin()
        return self

    def stop(self, force: bool = False) -> bool:
        """Leave at once; a request in flight stays with the reactor, which records it."""
        del force
        self.stopped = True
        self.end()
        self._group.discard(self)
        return True

    def begin(self) -> None:
        """Send the first request, or start a schedule."""
        raise NotImplementedError

    def end(self) -> None:
        """Send nothing more."""


class ClosedUser(RecordUser):
    """A virtual user of closed load: one connection, one request in flight at most, a pause after each answer."""

    abstract = True
    requests: Iterator[Request]
    think_ns: int
    new_connection_per_request: bool
    unanswered: set["ClosedUser"]
    """Users of the run that have not had their first answer yet; warm-up lasts until it is empty."""

    _connection: Connection | None = None

    def begin(self) -> None:
        """Open the connection, and send the first request when all users had time for theirs."""
        self.unanswered.add(self)
        if self.new_connection_per_request:
            self._send_next()
        else:
            self.reactor.open(self, None)
            self.reactor.call_later(SETTLE_S, self._send_next)

    def end(self) -> None:
        """Send nothing more."""
        self.unanswered.discard(self)

    def connected(self, connection: Connection) -> None:
        """Owner: keep the connection for the first request, unless that went over another by now."""
        if self._connection is None:
            self._connection = connection
        else:
            connection.close()

    def answered(self, connection: Connection) -> None:
        """Owner: think, then send the next request."""
        self._connection = connection
        if self.unanswered:
            self.unanswered.discard(self)
        if self.new_connection_per_request:
            connection.close()
        if self.stopped:
            return
        if self.think_ns:
            self.reactor.call_at(monotonic_ns() + self.think_ns, self._send_next)
        elif connection.is_open:
            connection.send(next(self.requests), None)
        else:
            self.reactor.open(self, next(self.requests))

    def failed(self, connection: Connection, *, lost: bool) -> None:
        """Owner: after a pause, go on over a new connection. A user that thinks opens it when it has thought."""
        del connection
        self._connection = None
        self.unanswered.discard(self)
        if lost:
            self.reactor.call_later(RETRY_S, self._send_next)

    def _send_next(self) -> None:
        if self.stopped:
            return
        connection = self._connection
        if connection is not None and connection.is_open:
            connection.send(next(self.requests), None)
        else:
            self.reactor.open(self, next(self.requests))


class ScheduleUser(RecordUser):
    """Open load as one Locust user: requests at drawn times, whatever the answers do.

    A request that is due takes an idle connection, or a new one, or (at `max_connections`) waits in line; its row
    keeps when it was due.
    """

    abstract = True
    requests: Iterator[Request]
    rate: Sequence[Stretch]
    arrivals: Arrivals
    max_connections: int
    new_connection_per_request: bool
    seed: int
    epoch_offset_ns: int
    """time_ns() − monotonic_ns(), fixed once per run, so that due times form one steady clock."""
    phase: float
    """Part of a gap by which constant arrivals are shifted, so that those of several processes interleave."""
    opened_beforehand: int
    """Connections that are open before the first request is due."""
    begun: list["ScheduleUser"]
    """The run's schedules that have begun."""
    over_ns: float = float("inf")
    """Nothing that is due after this time of the monotonic clock is asked for."""

    def begin(self) -> None:
        """Start the schedule now, or when the connections opened beforehand have settled."""
        self.begun.append(self)
        self._idle: list[Connection] = []
        self._open = self.opened_beforehand
        self._line: deque[int] = deque()
        self._times = arrival_times(self.rate, self.arrivals, self.seed, self.phase)
        for _ in range(self.opened_beforehand):
            self.reactor.open(self, None)
        self._start_ns = monotonic_ns() + (int(SETTLE_S * 1e9) if self.opened_beforehand else 0)
        self._arm()

    def end(self) -> None:
        """Record what was due and is still in line: cut off by the end of the run, but never dropped."""
        now_ns = time_ns()
        error = self.reactor.recorder.errors.number(UNFINISHED)
        while self._line:
            due_ns, endpoint = self._line.popleft(), next(self.requests).endpoint
            self.record((due_ns, now_ns, now_ns, now_ns, endpoint, 0, error, 0, None, USER_STAMP))

    @property
    def is_served(self) -> bool:
        """All that was due before `over_ns` has been sent."""
        return self._next_due_ns > self.over_ns and not self._line

    def stop_arrivals(self) -> None:
        """Ask for what is due until now, though its time may be a moment behind, and for nothing more."""
        self.over_ns = monotonic_ns()

    def _arm(self) -> None:
        self._next_due_ns = due_ns = self._start_ns + next(self._times)
        self.reactor.call_at(due_ns, lambda: self._due(due_ns))

    def _due(self, due_ns: int) -> None:
        if self.stopped or due_ns > self.over_ns:
            return
        self._line.append(due_ns + self.epoch_offset_ns)
        self._arm()
        self._serve_line()

    def _serve_line(self) -> None:
        line, idle = self._line, self._idle
        while line and idle:
            connection = idle.pop()
            if connection.is_open:
                connection.send(next(self.requests), line.popleft())
        while line and self._open < self.max_connections:
            self._open += 1
            self.reactor.open(self, next(self.requests), line.popleft())

    def connected(self, connection: Connection) -> None:
        """Owner: a connection opened beforehand is there."""
        self._idle.append(connection)

    def answered(self, connection: Connection) -> None:
        """Owner: the connection is free for the next in line."""
        if self.new_connection_per_request:
            connection.close()
        if connection.is_open:
            self._idle.append(connection)
        else:
            self._open -= 1
        if self._line:
            self._serve_line()

    def failed(self, connection: Connection, *, lost: bool) -> None:
        """Owner: one connection fewer; the line goes on in the reactor's next step, not deeper in this call."""
        self._open -= 1
        if not lost and connection in self._idle:
            self._idle.remove(connection)
        if self._line:
            self.reactor.call_at(0, self._serve_line)
