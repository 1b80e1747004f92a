"""Where requests go: a base URL, resolved once to an address."""

import socket
import ssl
from typing import NamedTuple
from urllib.parse import urlsplit

Address = tuple[str, int]
"""Numeric host and port."""


class Origin(NamedTuple):
    """Scheme, host and port of a URL, and how to connect to them."""

    host: str
    host_header: str
    family: int
    """Of the socket: AF_INET or AF_INET6."""
    address: Address
    tls: ssl.SSLContext | None
    """None: no encryption."""


def resolve(url: str) -> Origin:
    """The origin of a base URL such as `http://127.0.0.1:8000`. Raises OSError: the host is unknown."""
    parts = urlsplit(url)
    host = parts.hostname or "127.0.0.1"
    tls = ssl.create_default_context() if parts.scheme == "https" else None
    port = parts.port or (443 if tls else 80)
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    return Origin(host, parts.netloc, int(family), (str(address[0]), int(address[1])), tls)
