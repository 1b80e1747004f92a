"""Requests of a blame pass: a bounded number per endpoint, each with a deadline, each on a connection of its own.

A connection of its own, since an endpoint that fails can make the server reset a kept one under another's request.
"""

import base64
import json
import os
import re
import socket
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, NamedTuple

from loopwise.model import Endpoint
from loopwise.servers.exchange import NoAnswerError, ask
from loopwise.servers.expectations import Expectation
from loopwise.servers.feeds import first_row
from loopwise.servers.origin import resolve
from loopwise.servers.templates import Template
from loopwise.servers.wire import encode, endpoint_bytes

CONCURRENCY = 4
"""Requests in flight in the second half: enough that callbacks of several requests meet."""
BUDGET_S = 30.0
"""An endpoint that is slow is asked fewer times than was wanted."""
ENDPOINT_HEADER = "x-loopwise-endpoint"
FIRST = "first:"
"""Begins the mark of an endpoint's first request, which is not counted unless it is the only one."""
WEBSOCKET = "WS"
"""Method of an endpoint that is a WebSocket."""
TEXT, CLOSE = 0x1, 0x8
"""Opcodes of a WebSocket's frames."""
LISTEN_S = 1.0
"""Time for which a WebSocket is kept open and its messages are read."""


class Attempt(NamedTuple):
    """One request and what came of it."""

    status: int | None
    """None: no answer began."""
    failure: str = ""
    """Why there is no status."""
    in_time: bool = True
    """False: it was given up at its deadline; with a status: the answer began and did not end."""
    body: bytes = b""

    @property
    def outcome(self) -> str:
        """The status, or why there is none."""
        return self.failure if self.status is None else str(self.status)


@dataclass
class Attempts:
    """The requests of one endpoint."""

    counted: list[Attempt] = field(default_factory=list)
    """All but the first one."""
    seconds: float = 0.0
    given_up: Attempt | None = None
    """The request after which the endpoint was given up."""

    @property
    def outcomes(self) -> dict[str, int]:
        """Status, or why there is none -> requests."""
        outcomes = [attempt.outcome for attempt in self.counted]
        return {outcome: outcomes.count(outcome) for outcome in sorted(set(outcomes))}


class Client:
    """Asks a server's endpoints.

    Args:
        url: base URL.
        timeout_s: deadline of a request, from its start to the end of its answer.
        values: of `{name}` in endpoints; feeds and captures of a journey add theirs.
    """

    def __init__(self, url: str, timeout_s: float, values: dict[str, Any] | None = None) -> None:
        self._values = {} if values is None else values
        self._origin = resolve(url)
        self._timeout_s = timeout_s

    def ask(self, endpoint: Endpoint, number: int, requests: int, is_alive: Callable[[], bool]) -> Attempts:
        """Request an endpoint, half one by one and half concurrently, until one request is given up.

        The first pays for imports and connections of the app's own, and is not counted. `is_alive` is asked after an
        answer that failed.
        """
        began_s = time.monotonic()
        attempts = Attempts()

        def once(_: int) -> None:
            if attempts.given_up is None and time.monotonic() - began_s < BUDGET_S:
                attempt = self.request(endpoint, str(number))
                attempts.counted.append(attempt)
                if is_last(attempt):
                    attempts.given_up = attempt

        def is_last(attempt: Attempt) -> bool:
            return not attempt.in_time or (attempt.status is None and not is_alive())

        self._values |= first_row(endpoint.feed) if endpoint.feed else {}
        first = self.request(endpoint, f"{FIRST}{number}")
        self._values |= Expectation(endpoint).capture(first.body)[0] if first.body else {}
        if is_last(first):
            attempts.given_up = first
        else:
            for index in range(requests - requests // 2):
                once(index)
            with ThreadPoolExecutor(CONCURRENCY) as pool:
                list(pool.map(once, range(requests // 2)))
        attempts.seconds = time.monotonic() - began_s
        return attempts

    def request(self, endpoint: Endpoint, mark: str) -> Attempt:
        """Make one request."""
        headers = {**endpoint.headers, ENDPOINT_HEADER: mark}
        if endpoint.method == WEBSOCKET:
            return self._listen(endpoint, headers)
        marked = endpoint.model_copy(update={"headers": headers})
        try:
            request = Template(marked, self._origin.host_header).fill(self._values)
            answer = ask(self._origin, request, timeout_s=self._timeout_s)
        except KeyError as error:
            return Attempt(None, f"no value for {{{error.args[0]}}}, which an earlier step did not give")
        except NoAnswerError as error:
            return Attempt(error.status, error.what, in_time=not error.is_late)
        return Attempt(answer.status, body=answer.body)

    def is_free(self, path: str, timeout_s: float = 1.0) -> bool:
        """Whether the server's loop answers a request."""
        request = endpoint_bytes(Endpoint(path=path), self._origin.host_header)
        with suppress(NoAnswerError):
            return ask(self._origin, request, timeout_s=timeout_s).status == HTTPStatus.OK
        return False

    def _listen(self, endpoint: Endpoint, headers: Mapping[str, str]) -> Attempt:
        """Open a WebSocket, send the endpoint's body as a message if there is one, and read for a while."""
        key = base64.b64encode(os.urandom(16)).decode()
        upgrade = {"Host": self._origin.host_header, "Connection": "Upgrade", "Upgrade": "websocket"}
        upgrade |= {"Sec-WebSocket-Key": key, "Sec-WebSocket-Version": "13"}
        try:
            with socket.create_connection(self._origin.address, timeout=self._timeout_s) as connection:
                connection.sendall(encode("GET", endpoint.path, upgrade, headers))
                head = connection.recv(65_536)
                answer = re.match(rb"HTTP/1\.\d (\d{3})", head)
                if answer is None:
                    return Attempt(None, "no HTTP")
                status = int(answer[1])
                if status == HTTPStatus.SWITCHING_PROTOCOLS:
                    self._read_messages(connection, endpoint, head)
                return Attempt(status)
        except TimeoutError:
            return Attempt(None, f"no answer within {self._timeout_s:g} s", in_time=False)
        except OSError as error:
            return Attempt(None, f"no answer ({error.strerror or error})")

    @staticmethod
    def _read_messages(connection: socket.socket, endpoint: Endpoint, head: bytes) -> None:
        if endpoint.json_body is not None:
            connection.sendall(_frame(TEXT, json.dumps(endpoint.json_body).encode()))
        deadline_s = time.monotonic() + LISTEN_S
        data = head.partition(b"\r\n\r\n")[2]
        with suppress(TimeoutError):
            while (left_s := deadline_s - time.monotonic()) > 0:
                opcode, data = _first_frame(data)
                if opcode == CLOSE:
                    break
                if opcode is None:
                    connection.settimeout(left_s)
                    received = connection.recv(65_536)
                    if not received:
                        return
                    data += received
        connection.sendall(_frame(CLOSE, (1000).to_bytes(2, "big")))


def _frame(opcode: int, payload: bytes) -> bytes:
    """A frame of a WebSocket's client (RFC 6455, 5.2), masked by zeros."""
    size = len(payload)
    length = bytes([0x80 | size])
    if size >= 126:
        marker, octets = (126, 2) if size < 65_536 else (127, 8)
        length = bytes([0x80 | marker]) + size.to_bytes(octets, "big")
    return bytes([0x80 | opcode]) + length + bytes(4) + payload


def _first_frame(data: bytes) -> tuple[int | None, bytes]:
    """Opcode of the first frame from a server, and the bytes after it; None: it is not complete."""
    if len(data) < 2:
        return None, data
    size, start = data[1] & 0x7F, 2
    if size >= 126:
        start += 2 if size == 126 else 8
        size = int.from_bytes(data[2:start], "big")
    return (None, data) if len(data) < start + size else (data[0] & 0xF, data[start + size :])
