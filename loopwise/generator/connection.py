"""One HTTP/1.1 connection of the reactor: request bytes out, answers in.

The arrival time of an answer is the kernel's: Linux stamps each segment on arrival (SO_TIMESTAMPING) and recvmsg
returns the stamp as ancillary data, so a generator that is late to read still reports when the bytes came.
"""

import _socket
import errno
import re
import struct
from collections.abc import Callable
from contextlib import suppress
from time import time_ns
from typing import Protocol

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from loopwise.generator.error_kinds import ErrorKind, kind_of, status_kind
from loopwise.generator.recorder import KERNEL_STAMP, RETRIED, USER_STAMP, Names, Row
from loopwise.generator.request import Request
from loopwise.generator.tls import TlsSocket
from loopwise.servers.origin import Origin

SO_TIMESTAMPING = 37
STAMP_FLAGS = 8 | 16  # SOF_TIMESTAMPING_RX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE (linux/net_tstamp.h)
READ_BYTES = 65_536
KNOWN_BYTES = 4096
"""An answer up to this length that comes for the third time running, byte for byte and in one segment, is not parsed
again: the parser, which was then where it is now, would say the same."""
ANCILLARY_BYTES = 128
"""Room for one SCM_TIMESTAMPING message: 16 bytes of header and three timespecs of 16."""
IDEMPOTENT = frozenset({b"GET", b"HEAD", b"PUT", b"DELETE", b"OPTIONS"})
"""Methods whose requests may be sent twice (RFC 9110, section 9.2.2)."""
QUEUE_FULL_S = 0.005
"""Pause before a Unix socket whose queue of connections is full is tried again: the kernel tells nothing of room."""
_timespec = struct.Struct("qq").unpack_from
_final_head = re.compile(rb"(?:HTTP/1\.[01] 1.*?\r\n\r\n)*+HTTP/1\.[01] [2-9](.*?)\r\n\r\n", re.DOTALL).match
"""The head of the final answer, after any 1xx."""


def keep_stamping() -> _socket.socket:
    """Return a socket to be held open as long as stamps are wanted.

    The kernel switches receive stamps on with the first socket that asks, a moment later, and off with the last:
    without one held open, the first answers of every run would have no stamp.
    """
    holder = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
    with suppress(OSError):
        holder.setsockopt(_socket.SOL_SOCKET, SO_TIMESTAMPING, STAMP_FLAGS)
    return holder


class Loop(Protocol):
    """The event loop that carries connections, as they see it; Reactor is the one."""

    errors: Names

    def open(self, owner: "Owner", request: Request | None, scheduled_ns: int | None = None) -> None:
        """Open a connection for the owner's request, after the current batch of events."""

    def call_later(self, delay_s: float, action: Callable[[], None]) -> None:
        """Run an action after a delay."""

    def keep(self, connection: "Connection") -> None:
        """Remember a connection that has its socket now."""

    def watch_connecting(self, connection: "Connection") -> None:
        """Call `writable` when the attempt to connect has ended."""

    def watch_reading(self, connection: "Connection") -> None:
        """Call `readable` when bytes arrive."""

    def watch_writing(self, connection: "Connection") -> None:
        """Call `writable`, too, when the socket takes more bytes."""

    def forget(self, connection: "Connection") -> None:
        """Drop a connection that closes."""


class Owner(Protocol):
    """Sends requests over a connection: a virtual user, or a schedule."""

    origin: Origin
    """Where its connections lead."""
    timeout_ns: int
    """How long a request may be without its complete answer."""
    connect_timeout_ns: int
    keeps_answers: bool
    """Whether connections keep the answers' headers and bodies, for a script that reads them."""

    @property
    def on_behalf_of(self) -> "Owner | None":
        """Whose request it is, if not its own."""

    @property
    def record(self) -> Callable[[Row], None]:
        """Takes the row of each request."""

    @property
    def progressed(self) -> Callable[["Connection"], None] | None:
        """Called when headers or a piece of a body have come, if answers are kept; None: not called."""

    def connected(self, connection: "Connection") -> None:
        """A connection that was opened without a request can carry one now."""

    def answered(self, connection: "Connection") -> None:
        """The request in flight has its answer; a row was recorded. The connection may be closed."""

    def failed(self, connection: "Connection", *, lost: bool) -> None:
        """The connection is gone; `lost`: and with it a request, whose row says why."""


class Resent:
    """Owner of a request that is sent once more; its row tells of both attempts.

    A peer may close an idle connection while a request is on its way. As clients do, an idempotent request that got
    no byte of an answer is then sent over a new connection, once (RFC 9112, section 9.3.1).

    Args:
        owner: takes the connection over with the answer.
        sent_ns: of the first attempt, so that the lost time is part of the latency.
    """

    def __init__(self, owner: Owner, sent_ns: int) -> None:
        self.origin, self.keeps_answers, self.progressed = owner.origin, owner.keeps_answers, owner.progressed
        self.timeout_ns, self.connect_timeout_ns = owner.timeout_ns, owner.connect_timeout_ns
        self.record: Callable[[Row], None] = self._record
        self._owner = self.on_behalf_of = owner
        self._sent_ns = sent_ns

    def _record(self, row: Row) -> None:
        self._owner.record((row[0], self._sent_ns, *row[2:9], row[9] | RETRIED))

    def connected(self, connection: "Connection") -> None:
        """Owner: not called, since the connection is opened for the request."""

    def answered(self, connection: "Connection") -> None:
        """Owner: the rest is between the connection and the first owner."""
        connection.owner = self._owner
        self._owner.answered(connection)

    def failed(self, connection: "Connection", *, lost: bool) -> None:
        """Owner: the second attempt was the last."""
        self._owner.failed(connection, lost=lost)


class Answer:
    """Parser callbacks for answers whose headers and body are kept."""

    def __init__(self, connection: "Connection") -> None:
        self.headers: list[tuple[bytes, bytes]] = []
        self.body: list[bytes] = []
        self._connection = connection
        self.on_message_complete: Callable[[], None] = connection.on_message_complete

    def on_message_begin(self) -> None:
        """Forget the answer before this one."""
        self.headers, self.body = [], []

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header."""
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Tell an owner who wants to know."""
        progressed = self._connection.owner.progressed
        if progressed is not None:
            progressed(self._connection)

    def on_body(self, data: bytes) -> None:
        """Keep a piece of the body."""
        self.body.append(data)
        progressed = self._connection.owner.progressed
        if progressed is not None:
            progressed(self._connection)


class AnswerToHead(Answer):
    """Is complete after its headers, whatever length they announce."""

    def __init__(self, connection: "Connection") -> None:
        super().__init__(connection)
        self.on_message_complete = lambda: None

    def on_headers_complete(self) -> None:
        """Complete the answer."""
        self._connection.on_message_complete()


class Connection:
    """One connection with at most one request in flight.

    Usually it is opened for a first request, which it sends once it is connected, so that a failure to connect is an
    error of the request that needed the connection.
    """

    __slots__ = (
        "_feed", "_keep_alive", "_known", "_last", "_length", "_loop", "_messages", "_parser", "_recvmsg", "_send",
        "_socket", "_start_of_answer", "_status", "_unsent", "answer", "fd", "is_open", "number", "owner", "request",
        "scheduled_ns", "sent_ns",
    )  # fmt: skip

    def __init__(
        self, loop: Loop, owner: Owner, first: Request | None, scheduled_ns: int | None, *, number: int
    ) -> None:
        self._loop = loop
        self.owner = owner
        self.request: Request | None = first
        self.scheduled_ns = scheduled_ns
        self.number = number
        self._unsent = b""
        self.sent_ns = 0
        self.fd = -1
        """Of its socket; -1: none yet, or none any more."""
        self.is_open = False
        self._status = 0
        self.answer: Answer | None = None
        """The last answer's headers and body, where the owner keeps answers."""
        self._new_parser()

    def _new_parser(self) -> None:
        is_head = self.request is not None and self.request.head
        callbacks: object = self
        if self.owner.keeps_answers or is_head:
            callbacks = self.answer = AnswerToHead(self) if is_head else Answer(self)
        self._parser = HttpResponseParser(callbacks)
        self._feed: Callable[[bytes], None] = self._parser.feed_data
        self._last = self._known = b""
        self._messages = 0
        self._length = 0
        self._start_of_answer = b""
        self._keep_alive = True

    def connect(self) -> None:
        """Begin to connect to the owner's origin; the outcome comes as an event."""
        self.sent_ns = time_ns()
        try:
            self._make_socket()
        except OSError as error:
            self.fail(kind_of(error))
            return
        self._loop.keep(self)
        self._reach()

    def _make_socket(self) -> None:
        """Raises OSError: this process may have no more."""
        origin = self.owner.origin
        plain = _socket.socket(origin.family, _socket.SOCK_STREAM | _socket.SOCK_NONBLOCK)
        if origin.family != _socket.AF_UNIX:
            plain.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
        # Where the option does not exist (macOS), rows carry the user clock and say so in `stamp`.
        with suppress(OSError):
            plain.setsockopt(_socket.SOL_SOCKET, SO_TIMESTAMPING, STAMP_FLAGS)
        self._socket: _socket.socket | TlsSocket = plain
        if origin.tls is not None:
            self._socket = TlsSocket(plain, origin.tls, origin.host)
            self._socket.on_established = self._send_after_handshake
        self.fd = self._socket.fileno()
        self._recvmsg = self._socket.recvmsg
        self._send = self._socket.send

    def _reach(self) -> None:
        if self.fd < 0:  # timed out while it waited for its next attempt
            return
        code = self._socket.connect_ex(self.owner.origin.address)
        if code in {0, errno.EINPROGRESS}:
            self._loop.watch_connecting(self)
        elif code == errno.EAGAIN:
            self._loop.call_later(QUEUE_FULL_S, self._reach)
        else:  # no event follows a failure that is returned here
            self.fail(kind_of(code))

    def _send_after_handshake(self, data: bytes) -> None:
        """Send the request; the handshake before it is the connection's time, not the request's."""
        self.sent_ns = time_ns()
        self._send_what_fits(data)

    def send(self, request: Request, scheduled_ns: int | None) -> None:
        """Send a request; its answer or failure is reported to the owner."""
        self.request = request
        self.scheduled_ns = scheduled_ns
        self._length = 0
        if request.head:
            self._new_parser()
        self.sent_ns = time_ns()
        try:
            self._send_what_fits(request.data)
        except OSError as error:
            self.fail(kind_of(error))

    def _send_what_fits(self, data: bytes) -> None:
        """Send; the rest follows when the socket takes more. Raises OSError."""
        try:
            count = self._send(data)
        except BlockingIOError:
            count = 0
        if count < len(data):
            self._unsent = data[count:]
            self._loop.watch_writing(self)

    def writable(self) -> None:
        """Event: the socket takes bytes again, or, the first time, is connected."""
        if not self.is_open:
            self._finish_connecting()
            return
        if self._unsent:
            try:
                self._unsent = self._unsent[self._send(self._unsent) :]
            except BlockingIOError:
                return
            except OSError as error:
                self.fail(kind_of(error))
                return
        if not self._unsent:
            self._loop.watch_reading(self)

    def _finish_connecting(self) -> None:
        code = self._socket.getsockopt(_socket.SOL_SOCKET, _socket.SO_ERROR)
        if code:
            self.fail(kind_of(code))
            return
        self.is_open = True
        self._loop.watch_reading(self)
        if self.request is None:
            self.owner.connected(self)
        else:
            self.send(self.request, self.scheduled_ns)

    def readable(self) -> None:
        """Event: bytes of an answer have arrived. The hot path."""
        try:
            data, ancillary, _, _ = self._recvmsg(READ_BYTES, ANCILLARY_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            self.fail(kind_of(error))
            return
        read_ns = time_ns()
        if not data:
            self._end_of_stream(read_ns)
            return
        self._length += len(data)
        if data == self._known and self._length == len(data):
            self._messages = 1
        else:
            try:
                self._feed(data)
            except (HttpParserError, HttpParserUpgrade):
                self.fail(ErrorKind.MALFORMED)
                return
            if not self._messages:
                if self._length == len(data):
                    self._start_of_answer = data
                elif self._length <= READ_BYTES:
                    self._start_of_answer += data
                return
            self._known = data if data == self._last and len(data) < KNOWN_BYTES and self.answer is None else b""
            self._last = data
        if ancillary:
            seconds, nanoseconds = _timespec(ancillary[0][2])
            self._complete(seconds * 1_000_000_000 + nanoseconds, read_ns, KERNEL_STAMP)
        else:
            self._complete(read_ns, read_ns, USER_STAMP)

    def _complete(self, received_ns: int, read_ns: int, stamp: int) -> None:
        request = self.request
        if request is None or self._messages > 1:
            self.fail(ErrorKind.UNSOLICITED_ANSWER)
            return
        self._messages = 0
        self.request = None
        status = self._status
        expected = request.expect_status
        good = 200 <= status < 300 if expected is None else status == expected
        fault = None if good else status_kind(status)
        if self.answer is not None and good and request.examine is not None:
            fault = request.examine(b"".join(self.answer.body))
        self.owner.record(
            (
                self.scheduled_ns,
                self.sent_ns,
                received_ns,
                read_ns,
                request.endpoint,
                status,
                None if fault is None else self._loop.errors.number(fault),
                self._length,
                self.number,
                stamp,
            )
        )
        if request.head:
            headers = self.answer.headers if self.answer is not None else []
            self._new_parser()  # llhttp waits for the body that an answer to HEAD announces and never has
            if self.answer is not None:
                self.answer.headers = headers  # for the script, which reads them after this
        # If the answer came before the whole request was sent, no other request can follow on this connection.
        if self._unsent or not self._keep_alive:
            self.close()
        self.owner.answered(self)

    def _end_of_stream(self, read_ns: int) -> None:
        """The peer closed: that ends an answer without a length, and is an error in the middle of any other."""
        if self.request is not None and self._length and _ends_with_stream(self._start_of_answer):
            self._end_answer(read_ns)
            return
        self.fail(ErrorKind.CLOSED_EARLY if self._length else ErrorKind.CLOSED)

    def let_go(self) -> None:
        """End the answer in flight where it is, as an answer, and close: its reader has had enough of it."""
        self._end_answer(time_ns())

    def _end_answer(self, now_ns: int) -> None:
        self._status = self._parser.get_status_code()
        self._keep_alive = False
        self._messages = 1
        self._complete(now_ns, now_ns, USER_STAMP)

    @property
    def status_so_far(self) -> int:
        """Status of the answer that is being read."""
        return int(self._parser.get_status_code())

    def fail(self, kind: str) -> None:
        """Record the request in flight as an error, close, and inform the owner; or send it once more."""
        request = self.request
        if request is not None and self._was_closed_in_idle(kind, request):
            self.request = None
            self.close()
            self._loop.open(Resent(self.owner, self.sent_ns), request, self.scheduled_ns)
            return
        is_lost = request is not None
        self._end(kind, self._length)
        self.owner.failed(self, lost=is_lost)

    def _was_closed_in_idle(self, kind: str, request: Request) -> bool:
        """Whether a reused connection ended without a byte for a request that may be sent twice."""
        return (
            self._status != 0
            and not self._length
            and kind in {ErrorKind.CLOSED, ErrorKind.RESET}
            and request.data.partition(b" ")[0] in IDEMPOTENT
        )

    def cut_off(self) -> None:
        """Record the request in flight as unfinished, and close: the run ends."""
        self._end(ErrorKind.UNFINISHED, 0)

    def _end(self, kind: str, length: int) -> None:
        """Close; a request in flight becomes a row, whose `received_ns` is the time of this."""
        request, self.request = self.request, None
        self.close()
        if request is None:
            return
        now_ns = time_ns()
        error = self._loop.errors.number(kind)
        row = (self.scheduled_ns, self.sent_ns, now_ns, now_ns, request.endpoint, 0, error, length)
        self.owner.record((*row, self.number, USER_STAMP))

    def close(self) -> None:
        """Close the socket; harmless when it is closed."""
        self.is_open = False
        if self.fd >= 0:
            self._loop.forget(self)
            self._socket.close()
            self.fd = -1  # the number may soon be another connection's

    def on_message_complete(self) -> None:
        """Parser callback: an answer is complete."""
        status = self._parser.get_status_code()
        if status >= 200:  # 1xx precede the final answer
            self._messages += 1
            self._status = status
            self._keep_alive = self._parser.should_keep_alive()


def _ends_with_stream(answer: bytes) -> bool:
    """Whether an answer that began so has neither a length nor chunks: then the end of the stream is its end."""
    head = _final_head(answer)
    names = head.group(1).lower() if head else b"\ncontent-length:"
    return b"\ncontent-length:" not in names and b"\ntransfer-encoding:" not in names
