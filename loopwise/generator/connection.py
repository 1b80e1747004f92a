"""Request bytes out, answers in: one connection of the reactor.

The arrival time of an answer is the kernel's: Linux stamps each segment on arrival (SO_TIMESTAMPING) and recvmsg
hands the stamp over as ancillary data, so a generator that is late to read still reports when the bytes came.
"""

import _socket
import errno
import re
import ssl
import struct
from collections.abc import Callable
from contextlib import suppress
from time import time_ns
from typing import Protocol

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from loopwise.generator.recorder import Row
from loopwise.generator.request import Request
from loopwise.generator.response import Answer
from loopwise.generator.tls import TlsSocket

SO_TIMESTAMPING = 37
STAMP_FLAGS = 8 | 16  # SOF_TIMESTAMPING_RX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE (linux/net_tstamp.h)
READ_BYTES = 65_536
ANCILLARY_BYTES = 128
"""Room for one SCM_TIMESTAMPING message: 16 bytes of header and three timespecs of 16."""
KERNEL_STAMP, USER_STAMP = 0, 1  # numbers of recorder.Recorder.stamps
_timespec = struct.Struct("qq").unpack_from
_final_head = re.compile(rb"(?:HTTP/1\.[01] 1.*?\r\n\r\n)*+HTTP/1\.[01] [2-9](.*?)\r\n\r\n", re.DOTALL).match
"""The head of the answer proper, behind any 1xx that announce it."""

ERROR_KINDS = {
    errno.ECONNREFUSED: "refused",
    errno.ECONNRESET: "reset",
    errno.EPIPE: "reset",
    errno.ETIMEDOUT: "connect_timeout",
    errno.EADDRNOTAVAIL: "no_local_port",
    errno.EMFILE: "too_many_files",
}


def keep_stamping() -> _socket.socket:
    """Return a socket to be held as long as stamps are wanted.

    The kernel switches receive stamps on with the first socket that asks, a moment later, and off with the last:
    without one held open, the first answers of every run would have no stamp.
    """
    holder = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
    with suppress(OSError):
        holder.setsockopt(_socket.SOL_SOCKET, SO_TIMESTAMPING, STAMP_FLAGS)
    return holder


Address = tuple[str, int]
"""Numeric host and port."""


class Loop(Protocol):
    """The event loop that carries connections, as they see it; Reactor is one."""

    host: str
    tls: ssl.SSLContext | None
    timeout_ns: int

    def watch_reading(self, connection: "Connection") -> None:
        """Call `readable` when bytes arrive."""

    def watch_writing(self, connection: "Connection") -> None:
        """Call `writable` as well, when the socket takes more bytes."""

    def forget(self, connection: "Connection") -> None:
        """Drop a connection that closes."""

    def status_error(self, status: int) -> int:
        """Number of the error text for an answer whose status was not expected."""

    def record_error(self, kind: str, endpoint: int, connection: "Connection", *, length: int) -> None:
        """Record a request that got no complete answer."""


class Owner(Protocol):
    """Who sends requests over a connection: a virtual user, or a schedule."""

    address: Address | None
    """Where its connections lead; None: to the reactor's own target."""

    record: Callable[[Row], None]
    """Takes the row of each request."""
    keeps_answers: bool
    """Whether connections keep the answers' headers and bodies, for a script that reads them."""

    def connected(self, connection: "Connection") -> None:
        """A connection that was opened without a request can carry one now."""

    def answered(self, connection: "Connection") -> None:
        """The request in flight has its answer; a row was recorded. The connection may be closed."""

    def failed(self, connection: "Connection", *, lost: bool) -> None:
        """The connection is gone; `lost`: and with it a request, whose row says why."""


class Connection:
    """One HTTP/1.1 connection with at most one request in flight.

    Usually it is opened for a first request, which it sends once it is connected, so that a connection that can't be
    had is an error of the request that wanted it.
    """

    __slots__ = (
        "_feed", "_keep_alive", "_length", "_messages", "_parser", "_reactor", "_recvmsg", "_send", "_socket",
        "_start_of_answer", "_status", "_unsent", "answer", "deadline_ns", "fd", "is_open", "number", "owner",
        "request", "scheduled_ns", "sent_ns",
    )  # fmt: skip

    def __init__(
        self,
        reactor: Loop,
        owner: Owner,
        first: Request | None,
        scheduled_ns: int | None,
        *,
        number: int,
        family: int,
    ) -> None:
        self._reactor = reactor
        self.owner = owner
        self.request: Request | None = first
        self.scheduled_ns = scheduled_ns
        self.number = number
        plain = _socket.socket(family, _socket.SOCK_STREAM | _socket.SOCK_NONBLOCK)
        plain.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
        # Where the option does not exist (macOS), rows carry the user clock and say so in `stamp`.
        with suppress(OSError):
            plain.setsockopt(_socket.SOL_SOCKET, SO_TIMESTAMPING, STAMP_FLAGS)
        self._socket: _socket.socket | TlsSocket = plain
        if reactor.tls is not None:
            self._socket = TlsSocket(plain, reactor.tls, reactor.host)
            self._socket.on_established = self._send_after_handshake
        self.fd: int = self._socket.fileno()
        self._recvmsg = self._socket.recvmsg
        self._send = self._socket.send
        self._unsent = b""
        self.sent_ns = 0
        self.deadline_ns = 0
        self.is_open = False
        self.answer: Answer | None = None
        """The last answer's headers and body, where the owner keeps answers."""
        self._new_parser()

    def _new_parser(self) -> None:
        is_head = self.request is not None and self.request.head
        protocol: object = self
        if self.owner.keeps_answers or is_head:
            protocol = self.answer = Answer(self.on_message_complete, is_head=is_head)
        self._parser = HttpResponseParser(protocol)
        self._feed: Callable[[bytes], None] = self._parser.feed_data
        self._messages = 0
        self._status = 0
        self._length = 0
        self._start_of_answer = b""
        self._keep_alive = True

    def connect(self, address: Address) -> None:
        """Begin to connect; success and refusal alike come as events."""
        self.sent_ns = time_ns()
        self.deadline_ns = self.sent_ns + self._reactor.timeout_ns
        code = self._socket.connect_ex(address)
        if code not in {0, errno.EINPROGRESS}:  # told here, a failure isn't told again by an event
            self.fail(_kind(code))

    def _send_after_handshake(self, data: bytes) -> None:
        """The request goes out only now: the handshake before it is the connection's, not the request's."""
        self.sent_ns = time_ns()
        self._send_what_fits(data)

    def send(self, request: Request, scheduled_ns: int | None) -> None:
        """Send a request; the answer, or the failure, is told to the owner."""
        self.request = request
        self.scheduled_ns = scheduled_ns
        self._length = 0
        if request.head:
            self._new_parser()
        self.sent_ns = sent_ns = time_ns()
        self.deadline_ns = sent_ns + self._reactor.timeout_ns
        try:
            self._send_what_fits(request.data)
        except OSError as error:
            self.fail(_kind(error))

    def _send_what_fits(self, data: bytes) -> None:
        """Send; the rest follows when the socket takes more. Raises OSError."""
        try:
            count = self._send(data)
        except BlockingIOError:
            count = 0
        if count < len(data):
            self._unsent = data[count:]
            self._reactor.watch_writing(self)

    def writable(self) -> None:
        """The socket takes bytes again (or for the first time: it is connected)."""
        if not self.is_open:
            self._finish_connecting()
            return
        if self._unsent:
            try:
                self._unsent = self._unsent[self._send(self._unsent) :]
            except BlockingIOError:
                return
            except OSError as error:
                self.fail(_kind(error))
                return
        if not self._unsent:
            self._reactor.watch_reading(self)

    def _finish_connecting(self) -> None:
        code = self._socket.getsockopt(_socket.SOL_SOCKET, _socket.SO_ERROR)
        if code:
            self.fail(_kind(code))
            return
        self.is_open = True
        self._reactor.watch_reading(self)
        if self.request is None:
            self.owner.connected(self)
        else:
            self.send(self.request, self.scheduled_ns)

    def readable(self) -> None:
        """Bytes of an answer are there: the hot path."""
        try:
            data, ancillary, _, _ = self._recvmsg(READ_BYTES, ANCILLARY_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            self.fail(_kind(error))
            return
        read_ns = time_ns()
        if not data:
            self._end_of_stream(read_ns)
            return
        self._length += len(data)
        try:
            self._feed(data)
        except (HttpParserError, HttpParserUpgrade):
            self.fail("malformed")
            return
        if not self._messages:
            if self._length == len(data):
                self._start_of_answer = data
            elif self._length <= READ_BYTES:
                self._start_of_answer += data
            return
        if ancillary:
            seconds, nanoseconds = _timespec(ancillary[0][2])
            self._complete(seconds * 1_000_000_000 + nanoseconds, read_ns, KERNEL_STAMP)
        else:
            self._complete(read_ns, read_ns, USER_STAMP)

    def _complete(self, received_ns: int, read_ns: int, stamp: int) -> None:
        request = self.request
        if request is None or self._messages > 1:
            self.fail("unsolicited_answer")
            return
        self._messages = 0
        self.request = None
        status = self._status
        expected = request.expect_status
        good = 200 <= status < 300 if expected is None else status == expected
        self.owner.record(
            (
                self.scheduled_ns,
                self.sent_ns,
                received_ns,
                read_ns,
                request.endpoint,
                status,
                None if good else self._reactor.status_error(status),
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
        # A request that was answered before it was sent to its end leaves a connection that nothing can follow on.
        if self._unsent or not self._keep_alive:
            self.close()
        self.owner.answered(self)

    def _end_of_stream(self, read_ns: int) -> None:
        """The peer closed: that ends an answer without a length, and is an error in the middle of any other."""
        if self.request is not None and self._length and _ends_with_stream(self._start_of_answer):
            self._status = self._parser.get_status_code()
            self._keep_alive = False
            self._messages = 1
            self._complete(read_ns, read_ns, USER_STAMP)
            return
        self.fail("closed_early" if self._length else "closed")

    def fail(self, kind: str) -> None:
        """Record the request in flight as an error, close, and tell the owner."""
        request, self.request = self.request, None
        self.close()
        if request is not None:
            self._reactor.record_error(kind, request.endpoint, self, length=self._length)
        self.owner.failed(self, lost=request is not None)

    def close(self) -> None:
        """Close the socket; harmless when it is closed."""
        self.is_open = False
        self._reactor.forget(self)
        self._socket.close()

    def on_message_complete(self) -> None:
        """Called by httptools when an answer is whole."""
        status = self._parser.get_status_code()
        if status >= 200:  # 1xx announce the answer proper
            self._messages += 1
            self._status = status
            self._keep_alive = self._parser.should_keep_alive()


def _ends_with_stream(answer: bytes) -> bool:
    """Whether an answer that began so has neither a length nor chunks: then the end of the stream is its end."""
    head = _final_head(answer)
    names = head.group(1).lower() if head else b"\ncontent-length:"
    return b"\ncontent-length:" not in names and b"\ntransfer-encoding:" not in names


def _kind(error: OSError | int) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return "tls_certificate"
    if isinstance(error, ssl.SSLError):
        return "tls"
    code = error if isinstance(error, int) else error.errno
    return ERROR_KINDS.get(code or 0) or errno.errorcode.get(code or 0, "unknown").lower()
