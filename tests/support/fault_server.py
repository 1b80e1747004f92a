"""A server that misbehaves on purpose, by path, and counts its requests.

Threads and plain sockets, so that a behaviour is exactly the bytes, pauses and closes that are written here.
"""

import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

HOST = "127.0.0.1"
LARGE_BYTES = 5_000_000
LOST_S = 0.005
"""Time after which `/every-other` closes a connection instead of answering."""
FOREVER_S = 60.0
"""Longer than any test; a closed server ends the wait."""


class Request(NamedTuple):
    """A request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    head: bytes
    """As it was sent."""


class FaultServer:
    """Listens on a loopback port from `start` to `stop`; the port stays the same.

    Example:
        with FaultServer() as server:
            httpx.get(server.url + "/ok")
            assert server.seen == {"GET /ok": 1}
    """

    def __init__(self, answers: "dict[str, Behaviour] | None" = None, *, path: Path | None = None) -> None:
        self.seen: Counter[str] = Counter()
        """Requests that arrived whole, by method and path."""
        self.last: Request | None = None
        self.sent: set[tuple[bytes, bytes]] = set()
        """Distinct requests: head and body."""
        self.connections = 0
        self.used: set[socket.socket] = set()
        """Connections that have been answered on `/every-other`."""
        self.closing = threading.Event()
        self._answers = BEHAVIOURS | (answers or {})
        self._open: set[socket.socket] = set()
        self.lock = threading.Lock()
        self._path = path
        """Of a Unix socket to listen on instead of a port."""
        self._listener = socket.create_server((HOST, 0), backlog=512) if path is None else _unix_listener(path)
        self.port = 0 if path else int(self._listener.getsockname()[1])
        self._accept_from(self._listener)

    @property
    def url(self) -> str:
        """Base URL."""
        return f"unix:{self._path}" if self._path else f"http://{HOST}:{self.port}"

    def start(self) -> None:
        """Listen again after `stop`."""
        self.closing = threading.Event()
        self._listener = socket.create_server((HOST, self.port), backlog=512)
        self._accept_from(self._listener)

    def stop(self) -> None:
        """Reset every connection and stop listening, as a killed process does."""
        self.closing.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self.lock:
            for connection in list(self._open):
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> "FaultServer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _accept_from(self, listener: socket.socket) -> None:
        def accept() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    if self._path is None:
                        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    with self.lock:
                        self.connections += 1
                        self._open.add(connection)
                    threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        buffer = b""
        with suppress(OSError), connection:
            while (taken := _next_request(connection, buffer)) is not None:
                request, buffer = taken
                with self.lock:
                    self.seen[f"{request.method} {request.path}"] += 1
                    self.last = request
                    self.sent.add((request.head, request.body))
                if not self._answers[request.path](connection, request, self):
                    break
        with self.lock:
            self._open.discard(connection)


def _unix_listener(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen(512)
    return listener


def _next_request(connection: socket.socket, buffer: bytes) -> tuple[Request, bytes] | None:
    """The next request and the bytes after it; None at the end of the stream."""
    while b"\r\n\r\n" not in buffer:
        data = connection.recv(65_536)
        if not data:
            return None
        buffer += data
    head, _, buffer = buffer.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    method, path, _ = first.split(" ")
    length = int(headers.get("content-length", "0"))
    if path == "/unread":  # answers before it has read the body
        length = 0
    while len(buffer) < length:
        data = connection.recv(65_536)
        if not data:
            return None
        buffer += data
    return Request(method, path, headers, buffer[:length], head), buffer[length:]


Behaviour = Callable[[socket.socket, Request, FaultServer], bool]
"""Answers one request; returns whether the connection stays open."""


def says(*parts: bytes, stays_open: bool = True, pause_s: float = 0.0) -> Behaviour:
    """Send the parts, with a pause before each but the first."""

    def behave(connection: socket.socket, request: Request, server: FaultServer) -> bool:
        del request
        for number, part in enumerate(parts):
            if number and pause_s:
                server.closing.wait(pause_s)
            connection.sendall(part)
        return stays_open

    return behave


def after(pause_s: float, *parts: bytes) -> Behaviour:
    """Answer late."""
    return says(b"", b"".join(parts), pause_s=pause_s)


def _reset(connection: socket.socket, request: Request, server: FaultServer) -> bool:
    """Start an answer, then reset the connection (RST)."""
    del request, server
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
    time.sleep(0.01)  # RST overtakes bytes that the peer has not read
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return False


def _hangs(connection: socket.socket, request: Request, server: FaultServer) -> bool:
    del connection, request
    server.closing.wait(FOREVER_S)
    return False


def _streams(connection: socket.socket, request: Request, server: FaultServer) -> bool:
    """An answer without an end, as fast as it is read."""
    del request
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
    while not server.closing.is_set():
        connection.sendall(b"1000\r\n" + b"x" * 0x1000 + b"\r\n")
    return False


def _closes_every_other(connection: socket.socket, request: Request, server: FaultServer) -> bool:
    """The first request of a connection is answered; the second finds it closing, as when its idle time is over."""
    del request
    with server.lock:
        is_first = connection not in server.used
        server.used.add(connection)
    if is_first:
        connection.sendall(OK)
    else:
        server.closing.wait(LOST_S)
    return is_first


def _answers_once(connection: socket.socket, request: Request, server: FaultServer) -> bool:
    """Answer the server's first request, and close without an answer from then on."""
    if server.seen[f"{request.method} {request.path}"] > 1:
        return False
    connection.sendall(OK)
    return True


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
BEHAVIOURS: dict[str, Behaviour] = {
    "/ok": says(OK),
    "/slow": after(0.05, OK),
    "/hangs": _hangs,
    "/reset": _reset,
    "/closes": says(stays_open=False),
    "/closes-early": says(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", stays_open=False),
    "/chunks-end-early": says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", stays_open=False),
    "/early-hints-then-half": says(
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
        stays_open=False,
    ),
    "/half-a-head": says(b"HTTP/1.1 200 OK\r\nContent-", stays_open=False),
    "/malformed": says(b"HELLO WHO IS THERE\r\n\r\n", stays_open=False),
    "/upgrade": says(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n\x00\x00"),
    "/twice": says(OK + OK),
    "/goodbye": says(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", stays_open=False),
    "/http10": says(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", stays_open=False),
    "/chunked": says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n"),
    "/head": says(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n"),
    "/204": says(b"HTTP/1.1 204 No Content\r\n\r\n"),
    "/304": says(b"HTTP/1.1 304 Not Modified\r\nETag: x\r\nContent-Length: 5000\r\n\r\n"),
    "/early-hints": says(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", OK, pause_s=0.005),
    "/until-close": says(b"HTTP/1.1 200 OK\r\nX: y\r\n\r\n", b"all of it", stays_open=False, pause_s=0.005),
    "/until-close-split": says(b"HTTP/1.1 200 OK\r\nX", b": y\r\n\r\nall ", b"of it", stays_open=False, pause_s=0.005),
    "/large": says(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % LARGE_BYTES + b"x" * LARGE_BYTES),
    "/drip": says(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n", *[b"x"] * 8, pause_s=0.005),
    "/drips-for-ever": says(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", *[b"x"] * 99, pause_s=0.05),
    "/every-other": _closes_every_other,
    "/once": _answers_once,
    "/events": _streams,
    "/odd-charset": says(
        b"HTTP/1.1 500 Oops\r\nContent-Type: text/plain; charset=no-such\r\nContent-Length: 3\r\n\r\n\xff\xfe!"
    ),
    "/unread": says(
        b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno", b"", stays_open=False, pause_s=0.02
    ),
    "/not-found": says(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"),
    "/breaks": says(b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"),
}
"""Behaviours by path."""
