"""Where requests go: a base URL, resolved once to an address."""

import socket
import ssl
from contextlib import suppress
from typing import Any, NamedTuple
from urllib.parse import urlsplit

UNIX = "unix:"
"""Begins the URL of a server on a Unix socket: `unix:/run/app.sock`."""
ATTEMPT_S = 2.0
"""Time for each address of a host with several to accept a connection."""


class Origin(NamedTuple):
    """Scheme, host and port of a URL, and how to connect to them."""

    host: str
    host_header: str
    family: int
    """Of the socket: AF_INET, AF_INET6 or AF_UNIX."""
    address: Any
    """Of the socket, in the form of its family."""
    tls: ssl.SSLContext | None
    """None: no encryption."""


def resolve(url: str) -> Origin:
    """The origin of a base URL such as `http://127.0.0.1:8000` or `unix:/run/app.sock`.

    Of a host with several addresses (`localhost` is ::1 and 127.0.0.1) it is the first that accepts a connection,
    tried in the system's order (RFC 8305, without the race); if none does, the first.

    Raises:
        OSError: the host is unknown.
    """
    if url.startswith(UNIX):
        return Origin("localhost", "localhost", socket.AF_UNIX, url.removeprefix(UNIX), None)
    parts = urlsplit(url)
    host = parts.hostname or "127.0.0.1"
    # SSL_CERT_FILE counts. Made only if needed, for it reads every certificate authority.
    tls = ssl.create_default_context() if parts.scheme == "https" else None
    port = parts.port or (443 if tls else 80)
    found = dict.fromkeys((int(info[0]), info[4]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    family, address = next(iter(found))
    if len(found) > 1:
        with suppress(OSError), socket.create_connection((host, port), timeout=ATTEMPT_S) as first:
            family, address = int(first.family), first.getpeername()
    header = parts.netloc if parts.netloc.isascii() else parts.netloc.encode("idna").decode()
    return Origin(host, header, family, address, tls)
