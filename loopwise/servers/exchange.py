"""One request and its complete answer, outside of any load."""

import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from loopwise.servers.origin import Origin

READ_BYTES = 65_536
KEPT_BYTES = 16_777_216
"""Of a body; the rest is read and dropped."""


class NoAnswerError(Exception):
    """No complete answer.

    Args:
        what: such as `no complete answer within 2 s`.
        advice: what to do about it.
        is_late: it did not come in time.
        status: of an answer that began; None: none did.
    """

    def __init__(self, what: str, advice: str, *, is_late: bool = False, status: int | None = None) -> None:
        super().__init__(f"{what}; {advice}")
        self.what, self.advice, self.is_late, self.status = what, advice, is_late, status


class Answer(NamedTuple):
    """An answer whose last byte has arrived."""

    status: int
    reason: str
    body: bytes
    """At most KEPT_BYTES."""
    server: str = ""
    """Its header Server: who answered."""
    duration_s: float = 0.0
    """From connecting to the last byte."""
    content_type: str = ""
    """Its header Content-Type."""

    @property
    def text(self) -> str:
        """The body as one line of UTF-8, whatever charset it claims."""
        return " ".join(self.body.decode(errors="replace").split())


class _EndlessAnswerError(TimeoutError):
    """The time is over, and an answer has begun."""

    def __init__(self, status: int) -> None:
        super().__init__()
        self.status = status


class _Parser:
    """Callbacks of httptools; of informational answers nothing is kept."""

    def __init__(self, *, is_head: bool) -> None:
        self._is_head = is_head
        self._parser = HttpResponseParser(self)
        self.feed = self._parser.feed_data
        self.on_message_begin()

    def on_message_begin(self) -> None:
        self.reason, self.server, self.content_type = b"", "", ""
        self.body = bytearray()
        self.names: set[bytes] = set()
        self.is_complete = self.has_head = False

    def on_status(self, reason: bytes) -> None:
        self.reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        self.names.add(name.lower())
        if name.lower() == b"server":
            self.server = value.decode("latin-1")
        elif name.lower() == b"content-type":
            self.content_type = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self.has_head = self.status >= 200
        self.is_complete = self._is_head and self.has_head

    def on_body(self, data: bytes) -> None:
        if len(self.body) < KEPT_BYTES:
            self.body += data

    def on_message_complete(self) -> None:
        self.is_complete = self.has_head

    @property
    def status(self) -> int:
        return self._parser.get_status_code()

    @property
    def ends_with_stream(self) -> bool:
        """The answer has neither a length nor chunks."""
        return self.has_head and not self.names & {b"content-length", b"transfer-encoding"}


def ask(origin: Origin, request: bytes, *, timeout_s: float) -> Answer:
    """Send a request over a connection of its own, and read its answer to the end.

    Args:
        origin: where to.
        request: its bytes, from `wire`.
        timeout_s: for all of it, from connecting to the last byte.

    Raises:
        NoAnswerError: no complete answer in time.
    """
    started_s = time.monotonic()
    try:
        with _connected(origin, started_s + timeout_s) as connection:
            answer = _exchange(connection, request, started_s + timeout_s)
        return answer._replace(duration_s=time.monotonic() - started_s)
    except TimeoutError as error:
        raise NoAnswerError(
            f"no complete answer within {timeout_s:g} s",
            "one that never ends, such as server-sent events, can't be measured; a slow one needs a longer timeout_s",
            is_late=True,
            status=error.status if isinstance(error, _EndlessAnswerError) else None,
        ) from None
    except ssl.SSLCertVerificationError as error:
        raise NoAnswerError(
            f"the certificate was not accepted ({error.verify_message})",
            "if it or its authority is your own, name the file: SSL_CERT_FILE=/path/to/authority.pem",
        ) from None
    except OSError as error:
        raise NoAnswerError(
            f"no answer ({error.strerror or error})", "is the server up, and the address right?"
        ) from None


def time_answers(origin: Origin, request: bytes, *, most: int, most_s: float) -> list[float]:
    """Send a request again and again over one connection; seconds of each answer, up to one that fails.

    Raises:
        OSError: no connection.
    """
    deadline_s = time.monotonic() + most_s
    times_s: list[float] = []
    with _connected(origin, deadline_s) as connection, suppress(OSError, NoAnswerError):
        while len(times_s) < most:
            sent_s = time.monotonic()
            if not 200 <= _exchange(connection, request, deadline_s).status < 300:
                break
            times_s.append(time.monotonic() - sent_s)
    return times_s


@contextmanager
def _connected(origin: Origin, deadline_s: float) -> Iterator[socket.socket]:
    """A connection for the duration of a `with` block. Raises OSError: there is none in time."""
    with socket.socket(origin.family, socket.SOCK_STREAM) as plain:
        plain.settimeout(_left_s(deadline_s))
        plain.connect(origin.address)
        if origin.tls is None:
            yield plain
            return
        with origin.tls.wrap_socket(plain, server_hostname=origin.host) as encrypted:
            yield encrypted


def _exchange(connection: socket.socket, request: bytes, deadline_s: float) -> Answer:
    parser = _Parser(is_head=request.startswith(b"HEAD "))
    connection.settimeout(_left_s(deadline_s))
    connection.sendall(request)
    while not parser.is_complete:
        try:
            connection.settimeout(_left_s(deadline_s))
            data = connection.recv(READ_BYTES)
        except TimeoutError:
            if parser.has_head:
                raise _EndlessAnswerError(parser.status) from None
            raise
        if not data:
            if parser.ends_with_stream:
                break
            raise NoAnswerError("the connection was closed before the answer was complete", "see the server's log")
        try:
            parser.feed(data)
        except (HttpParserError, HttpParserUpgrade):
            if not parser.is_complete:
                raise NoAnswerError(
                    "the answer is no HTTP/1.1 or changes the protocol", "name a plain HTTP endpoint"
                ) from None
    return Answer(
        parser.status,
        parser.reason.decode("latin-1"),
        bytes(parser.body),
        parser.server,
        content_type=parser.content_type,
    )


def _left_s(deadline_s: float) -> float:
    """Time to the deadline. Raises TimeoutError: there is none left."""
    left_s = deadline_s - time.monotonic()
    if left_s <= 0:
        raise TimeoutError
    return left_s
