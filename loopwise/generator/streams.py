"""Answers that a script reads while they come (stream=True).

The request event is fired when the headers have come, as FastHttpUser does. The row is recorded when the last byte has
come, or when the script has had enough: a service time never ends before its answer.
"""

from collections.abc import Iterator
from time import time_ns

from gevent.hub import Waiter
from gevent.lock import Semaphore

from loopwise.generator.connection import Connection
from loopwise.generator.exchange import Exchange, Place, Timeouts
from loopwise.generator.failures import exception_of, judged
from loopwise.generator.reactor import Reactor
from loopwise.generator.recorder import USER_STAMP, Row
from loopwise.generator.request import Request

PIECE_BYTES = 4096


class Stream(Exchange):
    """A request, and the body of its answer as it comes; to be read as geventhttpclient's responses are."""

    version = "HTTP/1.1"

    def __init__(self, reactor: Reactor, place: Place, slots: Semaphore, timeouts: Timeouts) -> None:
        super().__init__(reactor, place.origin, timeouts)
        self.headers: list[tuple[bytes, bytes]] | None = None
        self._idle = place.idle
        self._patience_ns = timeouts.answer_ns
        self._slots = slots
        self._status = 0
        self._pieces: list[bytes] = []
        self._rest = bytearray()
        self._is_settled = False

    def wait(self, request: Request) -> Row:
        """Wait for the headers; returns the row as it is so far."""
        self._await(request)
        if self.row is not None:
            return self.row
        connection = self.connection
        assert connection is not None
        now_ns = time_ns()
        row = (None, connection.sent_ns, now_ns, now_ns, request.endpoint, self._status)
        return (*row, None, 0, connection.number, USER_STAMP)

    def progressed(self, connection: Connection) -> None:
        """Owner: the headers have come, or a piece of the body."""
        if self.headers is None:
            self._begin(connection)
        self.timeout_ns = time_ns() - connection.sent_ns + self._patience_ns  # from now, for the next piece
        self._wake()

    def _begin(self, connection: Connection) -> None:
        status = connection.status_so_far
        if status >= 200 and connection.answer is not None:  # 1xx precede the final answer
            self.connection, self._status = connection, status
            self.headers, self._pieces = connection.answer.headers, connection.answer.body

    def record(self, row: Row) -> None:
        """Owner: the answer has ended."""
        self.row = row
        self._slots.release()
        if self._is_settled or not self._reactor.running:
            self._reactor.recorder.append(judged(row, self._reactor.errors))

    def answered(self, connection: Connection) -> None:
        """Owner: keep the connection for the next request."""
        if self.headers is None:
            self._begin(connection)
        if connection.is_open:
            self._idle.append(connection)
        self._wake()

    def settle(self) -> None:
        """No script will judge it: the row is recorded when the answer ends."""
        self._is_settled = True
        if self.row is not None:
            self._reactor.recorder.append(judged(self.row, self._reactor.errors))

    leave = settle

    def end(self) -> Row:
        """End the answer where it is, if it has not ended; returns its row, which is not recorded yet."""
        if self.row is None:
            assert self.connection is not None
            self.connection.let_go()
        assert self.row is not None
        return self.row

    def release(self) -> None:
        """Read no more; the connection is closed if the answer has not ended."""
        if self.row is None and self.connection is not None and self._reactor.running:
            self.end()

    @property
    def message_complete(self) -> bool:
        """The answer has ended."""
        return self.row is not None

    def get_code(self) -> int:
        """Status of the answer."""
        return self._status

    def read(self, length: int | None = None) -> bytes:
        """The next bytes: as many as asked for, fewer at the end; None: all.

        Raises:
            HTTPParseError, OSError, RetriesExceeded: the answer broke off; as FastHttpUser's client has it.
        """
        while self.row is None and (length is None or len(self._rest) + sum(map(len, self._pieces)) < length):
            self._wait_for_more()
        self._gather()
        count = len(self._rest) if length is None else length
        if self.row is not None and self.row[6] is not None and not self.row[5] and len(self._rest) < max(count, 1):
            raise exception_of(self._reactor.errors.texts[self.row[6]], 0, "")
        taken = bytes(self._rest[:count])
        del self._rest[:count]
        return taken

    def pieces(self) -> Iterator[bytes]:
        """The rest as it comes. Raises as `read` does."""
        while self.row is None or self._pieces or self._rest:
            self._gather()
            if self._rest:
                yield self.read(len(self._rest))
            else:
                self._wait_for_more()
        self.read(0)

    def readline(self) -> bytes:
        """The next line, with its end."""
        self._gather()
        while b"\n" not in self._rest and self.row is None:
            self._wait_for_more()
            self._gather()
        return self.read(self._rest.find(b"\n") + 1 or None)

    def __iter__(self) -> Iterator[bytes]:
        return iter(lambda: self.read(PIECE_BYTES), b"")

    def _gather(self) -> None:
        self._rest += b"".join(self._pieces)
        self._pieces.clear()

    def _wait_for_more(self) -> None:
        self._waiter = Waiter()
        self._is_awaited = True
        try:
            self._waiter.get()
        finally:
            self._is_awaited = False

    def _wake(self) -> None:
        if self._is_awaited:
            self._is_awaited = False
            self._reactor.wake(self._waiter)
