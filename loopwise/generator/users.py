"""Declared users on the reactor: virtual users of closed load, and schedules of open load.

Each is a Locust user that costs no greenlet. A run makes subclasses of its own, so that nothing is shared between runs.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from itertools import islice
from time import monotonic_ns, time_ns
from typing import Any, Self

from locust import User

from loopwise.generator.arrivals import Stretch, arrival_times
from loopwise.generator.connection import Connection
from loopwise.generator.error_kinds import ErrorKind
from loopwise.generator.reactor import Reactor
from loopwise.generator.recorder import USER_STAMP
from loopwise.generator.request import Request
from loopwise.generator.supply import Supply
from loopwise.model import Arrivals
from loopwise.servers.origin import Origin

RETRY_S = 0.1
"""Pause before a failed connection is opened anew, so that a dead server is not stormed."""
SETTLE_S = 0.1
"""Time between opening connections and the first requests. A server's event loop accepts connections between its
other work (uvloop: one per iteration), so users who connect to a loop that is already blocked may wait for minutes."""


class RecordUser(User):
    """A Locust user whose requests the reactor carries.

    Locust's runner spawns, counts and stops it like any user; for that it stands in its own place where Locust
    expects a greenlet (`args`, `name`).
    """

    abstract = True
    tasks = [print]  # noqa: RUF012 - Locust warns of users without any; these are never run

    reactor: Reactor
    origin: Origin
    supply: Supply
    new_connection_per_request: bool
    progressed = None
    on_behalf_of = None

    @classmethod
    def with_attributes(cls, name: str, **attributes: Any) -> type[Self]:
        """A subclass for one run, to be spawned by Locust."""
        return type(name, (cls,), {"abstract": False, **attributes})

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self.record = self.reactor.recorder.append
        self.requests: Iterator[Request] = self.supply.of_user()
        self.keeps_answers = self.supply.keeps_answers
        self.timeout_ns = self.connect_timeout_ns = self.reactor.timeout_ns
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
    """A virtual user of closed load: one connection, at most one request in flight, a pause after each answer."""

    abstract = True
    think_ns: int
    opens_ahead: bool
    """Whether the connection is opened before the first request."""
    unanswered: set["ClosedUser"]
    """Users of the run without a first answer; warm-up lasts until it is empty."""

    _connection: Connection | None = None

    def begin(self) -> None:
        """Open the connection, and send the first request when all users have had time to open theirs."""
        self.unanswered.add(self)
        if self.opens_ahead:
            self.reactor.open(self, None)
            self.reactor.call_later(SETTLE_S, self._send_next)
        else:
            self._send_next()

    def end(self) -> None:
        """Send nothing more; a connection without a request in flight is closed."""
        self.unanswered.discard(self)
        if self._connection is not None and self._connection.request is None:
            self._connection.close()

    def connected(self, connection: Connection) -> None:
        """Owner: keep the connection for the first request, unless that already went over another."""
        if self._connection is None and not self.stopped:
            self._connection = connection
        else:
            connection.close()

    def answered(self, connection: Connection) -> None:
        """Owner: pause, then send the next request."""
        self._connection = connection
        if self.unanswered:
            self.unanswered.discard(self)
        if self.new_connection_per_request:
            connection.close()
        if self.stopped:
            connection.close()
            return
        if self.think_ns:
            self.reactor.call_at(monotonic_ns() + self.think_ns, self._send_next)
        elif connection.is_open:
            request = next(self.requests, None)
            if request is not None:  # None: a feed's unique rows are all sent, and the run ends
                connection.send(request, None)
        else:
            self._send_next()

    def failed(self, connection: Connection, *, lost: bool) -> None:
        """Owner: go on over a new connection, after a pause. A user who thinks opens it after thinking."""
        del connection
        self._connection = None
        self.unanswered.discard(self)
        if lost:
            self.reactor.call_later(RETRY_S, self._send_next)

    def _send_next(self) -> None:
        if self.stopped:
            return
        connection, request = self._connection, next(self.requests, None)
        if request is None:
            self.unanswered.discard(self)
        elif connection is not None and connection.is_open:
            connection.send(request, None)
        else:
            self.reactor.open(self, request)


class ScheduleUser(RecordUser):
    """Open load as one Locust user: requests at drawn times, independent of the answers.

    A request that is due takes an idle connection, or a new one, or (at `max_connections`) waits in line; its row
    keeps when it was due.
    """

    abstract = True
    rate: Sequence[Stretch]
    arrivals: Arrivals
    max_connections: int
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
    """Nothing that is due after this time of the monotonic clock is sent."""

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
        """Record requests that were due and are still in line as unfinished: none is dropped."""
        now_ns = time_ns()
        error = self.reactor.errors.number(ErrorKind.UNFINISHED)
        for request in islice(self.requests, len(self._line)):
            due_ns, endpoint = self._line.popleft(), request.endpoint
            self.record((due_ns, now_ns, now_ns, now_ns, endpoint, 0, error, 0, None, USER_STAMP))

    @property
    def is_served(self) -> bool:
        """All that was due before `over_ns` has been sent."""
        return self._next_due_ns > self.over_ns and not self._line

    def stop_arrivals(self) -> None:
        """Send what is due until now, even if its timer has not run yet, and nothing more."""
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
        try:
            while line and idle:
                connection = idle.pop()
                if connection.is_open:
                    connection.send(next(self.requests), line.popleft())
            while line and self._open < self.max_connections:
                self.reactor.open(self, next(self.requests), line.popleft())
                self._open += 1
        except StopIteration:  # a feed's unique rows are all sent: the run ends
            line.clear()

    def connected(self, connection: Connection) -> None:
        """Owner: a connection opened beforehand is ready."""
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
        """Owner: one connection fewer. The line is served in the reactor's next step, not deeper in this call."""
        self._open -= 1
        if not lost and connection in self._idle:
            self._idle.remove(connection)
        if self._line:
            self.reactor.call_at(0, self._serve_line)
