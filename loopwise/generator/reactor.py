"""One epoll loop over all connections of a generator process.

The loop runs in a greenlet of its own and keeps the thread for a few milliseconds at a time; in between gevent's hub
gets a turn, where Locust's runner lives. So a request costs no greenlet switch.
"""

import heapq
import select
from collections.abc import Callable
from time import monotonic_ns, time_ns
from typing import Any

import gevent
from gevent import monkey
from gevent.hub import Waiter

from loopwise.generator.connection import Connection, Owner, Resent
from loopwise.generator.error_kinds import ErrorKind
from loopwise.generator.recorder import Recorder
from loopwise.generator.request import Request

HUB_INTERVAL_NS = 5_000_000
"""How long the reactor keeps the thread before gevent's hub gets a turn; Locust's runner needs no more turns."""
HUB_TURN_S = 1e-6
"""Not 0: sleep(0) runs what is ready, but checks timers and sockets only every fiftieth time."""
SPIN_NS = 150_000
"""select() wakes up to this late (timer slack and scheduling), so the last stretch before a due time is polled."""
SWEEP_NS = 100_000_000
"""How often connections are checked for overdue answers."""
MAX_EVENTS = 1024

# gevent hides epoll; the reactor needs the real one.
_epoll: Callable[[], Any] = monkey.get_original("select", "epoll")
_select: Callable[..., tuple[list[int], list[int], list[int]]] = monkey.get_original("select", "select")


class Reactor:
    """Carries all requests of one run.

    Args:
        recorder: where rows go.
        timeout_s: a request without a complete answer after this time fails with `timeout`.
        first_connection: connections are numbered from here.
    """

    def __init__(self, recorder: Recorder, timeout_s: float, first_connection: int = 0) -> None:
        self.recorder = recorder
        self.errors = recorder.errors
        self.timeout_ns = int(timeout_s * 1e9)
        self._epoll = _epoll()
        self._connections: dict[int, Connection] = {}
        self._to_open: list[tuple[Owner, Request | None, int | None]] = []
        self._timers: list[tuple[int, int, Callable[[], None]]] = []
        self._serial = 0
        self._opened = first_connection
        self._next_sweep_ns = 0
        self._hub_due_ns = 0
        self._has_woken = False
        self.running = True
        """Set to False to end `run`, or to keep it from beginning."""

    def open(self, owner: Owner, request: Request | None, scheduled_ns: int | None = None) -> None:
        """Open a connection for the owner's request, or for a later one, after the current batch of events.

        Not at once: a closed socket's number may be reused while events of the old one are still in the batch.
        """
        self._to_open.append((owner, request, scheduled_ns))

    def call_at(self, due_ns: int, action: Callable[[], None]) -> None:
        """Run an action at a time of the monotonic clock, in nanoseconds."""
        self._serial += 1
        heapq.heappush(self._timers, (due_ns, self._serial, action))

    def call_later(self, delay_s: float, action: Callable[[], None]) -> None:
        """Run an action after a delay."""
        self.call_at(monotonic_ns() + int(delay_s * 1e9), action)

    def run(self) -> None:
        """Carry requests until `running` is False. To be spawned as a greenlet."""
        while self.running:
            if monotonic_ns() >= self._hub_due_ns:
                gevent.sleep(HUB_TURN_S)
                self._hub_due_ns = monotonic_ns() + HUB_INTERVAL_NS
            elif self._has_woken:
                self._has_woken = False
                gevent.sleep(0)
            if not self.step():
                due_ns = self._hub_due_ns
                self._wait_until(min(due_ns, self._timers[0][0]) if self._timers else due_ns)

    def wake(self, waiter: "Waiter[None]") -> None:
        """Resume a greenlet after the current batch of events."""
        gevent.get_hub().loop.run_callback(waiter.switch, None)
        self._has_woken = True

    def step(self) -> bool:
        """Handle everything that is due now, without waiting; returns whether anything had happened to a connection."""
        connections = self._connections
        events = self._epoll.poll(0, MAX_EVENTS)
        for fd, event in events:
            connection = connections.get(fd)
            if connection is None:
                continue
            if event == select.EPOLLIN:
                connection.readable()
            elif event & select.EPOLLOUT or not connection.is_open:
                connection.writable()
            else:
                connection.readable()
        if self._timers:
            self._run_timers()
        if self._to_open:
            self._open_all()
        if monotonic_ns() >= self._next_sweep_ns:
            self._fail_overdue()
        return bool(events)

    def _wait_until(self, due_ns: int) -> None:
        """Wait for an event or for a time of the monotonic clock; near the time, return at once and so spin."""
        wait_ns = due_ns - monotonic_ns()
        if wait_ns > SPIN_NS:
            _select([self._epoll.fileno()], [], [], (wait_ns - SPIN_NS) / 1e9)

    def _run_timers(self) -> None:
        timers = self._timers
        now_ns = monotonic_ns()
        while timers and timers[0][0] <= now_ns:
            heapq.heappop(timers)[2]()

    def _open_all(self) -> None:
        wanted, self._to_open = self._to_open, []
        for owner, request, scheduled_ns in wanted:
            self._opened += 1
            Connection(self, owner, request, scheduled_ns, number=self._opened).connect()

    def _fail_overdue(self) -> None:
        """Fail what is overdue; the next sweep comes with the next deadline, if that is sooner than usual."""
        now_ns, wait_ns = time_ns(), SWEEP_NS
        for connection in list(self._connections.values()):
            if connection.request is None:
                continue
            owner = connection.owner
            left_ns = (
                connection.sent_ns - now_ns + (owner.timeout_ns if connection.is_open else owner.connect_timeout_ns)
            )
            if left_ns < 0:
                connection.fail(ErrorKind.TIMEOUT if connection.is_open else ErrorKind.CONNECT_TIMEOUT)
            else:
                wait_ns = min(wait_ns, left_ns + 1)
        self._next_sweep_ns = monotonic_ns() + wait_ns

    def give_up(self, owner: Owner, kind: ErrorKind) -> bool:
        """Fail the owner's request in flight; returns False if it was not sent yet, and then never is."""
        for connection in self._connections.values():
            if owner in {connection.owner, connection.owner.on_behalf_of} and connection.request is not None:
                connection.fail(kind)
                return True
        self._to_open = [wanted for wanted in self._to_open if owner not in {wanted[0], wanted[0].on_behalf_of}]
        return False

    def keep(self, connection: Connection) -> None:
        """Remember a connection that has its socket now."""
        self._connections[connection.fd] = connection

    def watch_connecting(self, connection: Connection) -> None:
        """Report when the attempt to connect has ended."""
        self._epoll.register(connection.fd, select.EPOLLOUT)

    def watch_reading(self, connection: Connection) -> None:
        """Report when bytes arrive."""
        self._epoll.modify(connection.fd, select.EPOLLIN)

    def watch_writing(self, connection: Connection) -> None:
        """Report, too, when the socket takes more bytes."""
        self._epoll.modify(connection.fd, select.EPOLLIN | select.EPOLLOUT)

    def forget(self, connection: Connection) -> None:
        """Drop a connection that closes; epoll drops a closed socket by itself."""
        self._connections.pop(connection.fd, None)

    @property
    def in_flight(self) -> int:
        """Requests that have been sent, or wait for their connection, and have no answer yet."""
        waiting = sum(request is not None for _, request, _ in self._to_open)
        return waiting + sum(connection.request is not None for connection in self._connections.values())

    def close(self) -> None:
        """Close every connection; requests that are in flight, or were due, are recorded as `unfinished`."""
        self.running = False
        for owner, request, scheduled_ns in self._to_open:
            if scheduled_ns is not None or isinstance(owner, Resent):
                Connection(self, owner, request, scheduled_ns, number=self._opened).cut_off()
        for connection in list(self._connections.values()):
            connection.cut_off()
        self._epoll.close()
