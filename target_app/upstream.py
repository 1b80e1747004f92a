"""The service behind workload `upstream`: `python -m target_app.upstream` answers on loopback after a delay.

    GET /wait?ms=50&sigma=0.5&seed=1&number=7&token=abc   ->   {"token": "abc", "waited_ms": 41.8}

`sigma` 0 waits `ms`; above 0 the wait is log-normal with the mean `ms`. The draw follows from `seed` and `number`
alone, so that the n-th request of a run waits equally long in every mode. When it listens it prints one line of JSON,
the environment variable that tells others where. Standard library, and uvloop if there: a request costs some 20 µs.
"""

import asyncio
import hashlib
import json
import math
import signal
from statistics import NormalDist
from typing import cast
from urllib.parse import parse_qsl

URL = "LOOPWISE_UPSTREAM"
"""The environment variable with the service's base URL."""
BACKLOG = 16_384
LONGEST_HEAD = 64 * 1024
_NORMAL = NormalDist()


def drawn_ms(mean_ms: float, sigma: float, seed: str, number: str) -> float:
    """Draw the wait of a numbered request.

    Args:
        mean_ms: of the distribution, whatever sigma.
        sigma: standard deviation of the wait's logarithm; 0: every wait is the mean.
        seed: decides all waits together.
        number: decides which of them.
    """
    if sigma == 0:
        return mean_ms
    digest = hashlib.blake2b(f"{seed}/{number}".encode(), digest_size=8).digest()
    uniform = (int.from_bytes(digest) + 0.5) / 2**64
    # exp(mu + sigma z) has the mean exp(mu + sigma**2 / 2).
    return mean_ms * math.exp(sigma * _NORMAL.inv_cdf(uniform) - sigma**2 / 2)


class Service(asyncio.Protocol):
    """Protocol of one connection, whose requests are answered one after the other."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._unread = b""
        self._waiting = False
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport that answers go to."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by class

    def connection_lost(self, _error: Exception | None) -> None:
        """Drop the transport; answers due later are discarded."""
        self._transport = None

    def data_received(self, data: bytes) -> None:
        """Buffer data and start on a request once its head is complete."""
        self._unread += data
        if not self._waiting:
            self._next()

    def _next(self) -> None:
        head, end, rest = self._unread.partition(b"\r\n\r\n")
        if not end:
            if len(self._unread) > LONGEST_HEAD and self._transport:
                self._transport.abort()
            return
        self._unread = rest
        try:
            wait_ms, body = _parse(head)
        except (ValueError, KeyError) as error:
            self._answer("400 Bad Request", json.dumps({"detail": f"can't be understood: {error}"}))
            return
        self._waiting = True
        if wait_ms > 0:
            self._loop.call_later(wait_ms / 1000, self._answer, "200 OK", body)
        else:
            self._answer("200 OK", body)

    def _answer(self, status: str, body: str) -> None:
        self._waiting = False
        if self._transport is None:
            return
        text = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
        self._transport.write(text.encode())
        if self._unread:
            self._next()


def _parse(head: bytes) -> tuple[float, str]:
    """Parse a request head into its wait in ms and its answer."""
    method, target, _ = head.partition(b"\r\n")[0].decode("ascii").split(" ")
    path, _, query = target.partition("?")
    if (method, path) != ("GET", "/wait"):
        raise ValueError(f"{method} {path}, allowed is GET /wait")
    asked = dict(parse_qsl(query))
    wait_ms = drawn_ms(float(asked["ms"]), float(asked["sigma"]), asked["seed"], asked["number"])
    if not (math.isfinite(wait_ms) and wait_ms >= 0):
        raise ValueError(f"a wait of {wait_ms} ms")
    return wait_ms, json.dumps({"token": asked["token"], "waited_ms": round(wait_ms, 3)})


async def serve() -> None:
    """Listen on a free loopback port, print its address, and serve until SIGTERM."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    server = await loop.create_server(Service, "127.0.0.1", 0, backlog=BACKLOG)
    port = server.sockets[0].getsockname()[1]
    print(json.dumps({URL: f"http://127.0.0.1:{port}"}), flush=True)
    await ended.wait()
    server.close()


def main() -> None:
    """Serve, on uvloop where it is installed: it halves the cost of a request."""
    try:
        import uvloop  # optional
    except ImportError:
        asyncio.run(serve())
    else:
        uvloop.run(serve())


if __name__ == "__main__":
    main()
