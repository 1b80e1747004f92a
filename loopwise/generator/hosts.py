"""Hosts that a script's requests may go to: the target's, and loopback."""

import ipaddress
import socket
from functools import lru_cache


@lru_cache(256)
def is_loopback(host: str) -> bool:
    """Whether all addresses of a host are this machine's loopback; False of an unknown host."""
    try:
        addresses = {str(info[4][0]) for info in socket.getaddrinfo(host, None)}
    except OSError:
        return False
    return all(is_loopback_address(address) for address in addresses)


def is_loopback_address(address: str) -> bool:
    """Whether an IP address, which may have a zone, is loopback."""
    return ipaddress.ip_address(address.partition("%")[0]).is_loopback
