"""One request of a script and its answer, awaited by a greenlet."""

from collections.abc import Callable
from time import time_ns
from typing import NamedTuple

import gevent
from gevent.hub import Waiter

from loopwise.generator.connection import Connection
from loopwise.generator.error_kinds import ErrorKind
from loopwise.generator.failures import judged
from loopwise.generator.reactor import Reactor
from loopwise.generator.recorder import USER_STAMP, Row
from loopwise.generator.request import Request
from loopwise.servers.origin import Origin


class Place(NamedTuple):
    """Where requests of a script go, and the idle connections that lead there."""

    origin: Origin
    idle: list[Connection]


class Timeouts(NamedTuple):
    """How long a request waits, in nanoseconds."""

    connect_ns: int
    answer_ns: int

    def replaced(self, timeout_s: float | tuple[float | None, float | None]) -> "Timeouts":
        """Those that a script gives, in seconds: of both, or (to connect, to answer); None: as before."""
        given = timeout_s if isinstance(timeout_s, (tuple, list)) else (timeout_s, timeout_s)
        connect_s, answer_s = given
        return Timeouts(
            self.connect_ns if connect_s is None else int(connect_s * 1e9),
            self.answer_ns if answer_s is None else int(answer_s * 1e9),
        )


class Exchange:
    """One request and its answer, awaited by a greenlet: the owner of a connection for that time.

    A greenlet that is stopped while it waits leaves the request to the reactor: its row is recorded when the outcome is
    known.
    """

    __slots__ = (
        "_is_awaited",
        "_reactor",
        "_waiter",
        "connect_timeout_ns",
        "connection",
        "origin",
        "row",
        "timeout_ns",
    )

    keeps_answers = True
    on_behalf_of = None
    progressed: Callable[[Connection], None] | None = None

    def __init__(self, reactor: Reactor, origin: Origin, timeouts: Timeouts) -> None:
        self.origin = origin
        self.connect_timeout_ns, self.timeout_ns = timeouts
        self.connection: Connection | None = None
        self.row: Row | None = None
        self._reactor = reactor
        self._waiter: Waiter[None] = Waiter()
        self._is_awaited = True

    def send(self, request: Request, idle: list[Connection]) -> None:
        """Send over an idle connection, or a new one."""
        while idle:
            connection = idle.pop()
            if connection.is_open:
                connection.owner = self
                connection.send(request, None)
                return
        self._reactor.open(self, request)

    def wait(self, request: Request) -> Row:
        """Let other greenlets run until the outcome is known; returns its row, which is not recorded yet.

        A `gevent.Timeout` of the script ends the request as FastHttpUser's client does: it has failed.
        """
        self._await(request)
        assert self.row is not None
        return self.row

    def _await(self, request: Request) -> None:
        try:
            self._waiter.get()
        except gevent.Timeout:
            if self.row is None and not self._reactor.give_up(self, ErrorKind.TIMEOUT):
                now_ns = time_ns()
                error = self._reactor.errors.number(ErrorKind.TIMEOUT)
                self.record((None, now_ns, now_ns, now_ns, request.endpoint, 0, error, 0, None, USER_STAMP))
        except BaseException:
            self.leave()
            raise

    def leave(self) -> None:
        """Stop waiting: the row is recorded without a script's judgement, now or when it comes."""
        self._is_awaited = False
        if self.row is not None:
            self.record(self.row)

    def record(self, row: Row) -> None:
        """Owner: keep the row for the greenlet that waits."""
        if self._is_awaited and self._reactor.running:
            self.row = row
        else:
            self._reactor.recorder.append(judged(row, self._reactor.errors))

    def connected(self, connection: Connection) -> None:
        """Owner: not called, since each exchange opens its connection with a request."""

    def answered(self, connection: Connection) -> None:
        """Owner: the answer is complete."""
        if not self._is_awaited:
            connection.close()
        self.connection = connection
        self._wake()

    def failed(self, connection: Connection, *, lost: bool) -> None:
        """Owner: the connection is gone."""
        del connection
        if lost:
            self._wake()

    def _wake(self) -> None:
        if self._is_awaited:
            self._reactor.wake(self._waiter)
