"""Carrier of a run's StampedUsers: the reactor, places to send requests to, and the answers not judged yet."""

import ssl
from collections.abc import Hashable
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary, WeakSet

from gevent.lock import Semaphore
from geventhttpclient.client import HTTPClientPool
from locust.exception import LocustError

from loopwise.generator.exchange import Place
from loopwise.generator.hosts import is_loopback
from loopwise.generator.reactor import Reactor
from loopwise.generator.response import JudgedResponse
from loopwise.servers.origin import Origin, resolve


class Connections:
    """Connections of one user, or of all users with the same `client_pool`."""

    def __init__(self, limit: int) -> None:
        self.slots = Semaphore(limit)
        """A request takes one: a script with greenlets of its own waits when all are taken."""
        self.places: dict[Hashable, Place] = {}
        """By base URL, and how certificates are verified."""


class Carrier:
    """Shared by all StampedUsers of a run, which send their requests with it.

    Args:
        reactor: carries the requests.
        origin: of the target.
        url: of the target.
    """

    def __init__(self, reactor: Reactor, origin: Origin, url: str) -> None:
        self.reactor = reactor
        self.unjudged: WeakSet[JudgedResponse] = WeakSet()
        """Answers whose `with` block has not ended."""
        self._target = origin
        self._base = base_of(url)
        self._shared: WeakKeyDictionary[HTTPClientPool, Connections] = WeakKeyDictionary()

    def connections(self, pool: HTTPClientPool | None, concurrency: int) -> Connections:
        """Connections of a new user: its own, or those of the pool that it shares with others."""
        if pool is None:
            return Connections(concurrency)
        if pool not in self._shared:
            self._shared[pool] = Connections(int(pool.client_args.get("concurrency", concurrency)))
        return self._shared[pool]

    def origin_of(self, base: str, context: ssl.SSLContext | None) -> Origin:
        """The origin of a base URL; `context`: for TLS, in place of one that verifies certificates.

        Raises:
            LocustError: the host is neither the target nor loopback.
        """
        if base == self._base:
            origin = self._target
        else:
            host = urlsplit(base).hostname or ""
            if host != self._target.host and not is_loopback(host):
                raise LocustError(
                    f"{base}: a StampedUser sends to its host and to loopback only; its host is {self._base}"
                )
            origin = resolve(base)
        return origin if origin.tls is None or context is None else origin._replace(tls=context)

    def close(self) -> None:
        """Record the answers whose `with` block the end of the run cuts short, with the judgement made so far."""
        for response in list(self.unjudged):
            response.conclude()


def base_of(url: str) -> str:
    """Scheme, host and port of a URL, without credentials: `http://127.0.0.1:8000`."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}" if parts.netloc else url


def tls_context(verify: bool | str) -> ssl.SSLContext | None:
    """A context that verifies certificates by a bundle of authorities, or not at all; True: None, the usual one."""
    if verify is True:
        return None
    if verify:
        return ssl.create_default_context(cafile=str(verify))
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
