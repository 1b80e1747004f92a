"""From a packet capture to the requests and answers in it. Pure: bytes in, times out.

Source: the classic format of libpcap, `man 5 pcap-savefile`; link types, tcpdump.org/linktypes.html.
"""

import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from loopwise.errors import RunError

MAGIC: dict[bytes, tuple[str, int]] = {
    b"\x4d\x3c\xb2\xa1": ("<", 1),
    b"\xa1\xb2\x3c\x4d": (">", 1),
    b"\xd4\xc3\xb2\xa1": ("<", 1000),
    b"\xa1\xb2\xc3\xd4": (">", 1000),
}
"""First bytes of the file -> byte order, and nanoseconds per unit of a stamp's fraction."""
FILE_HEADER_BYTES = 24
LINK_HEADER_BYTES = {1: 14, 0: 4, 108: 4, 113: 16, 276: 20, 101: 0}
"""By link type: Ethernet (Linux's loopback, too), BSD loopback (two kinds), Linux SLL, SLL2, bare IP."""
IPV4, TCP = 4, 6
MIN_IP_BYTES, MIN_TCP_BYTES = 20, 20


class Segment(NamedTuple):
    """A TCP segment."""

    time_ns: int
    """Nanoseconds since the epoch."""
    source_port: int
    target_port: int
    payload_bytes: int


class Exchange(NamedTuple):
    """A request on the wire and its answer."""

    request_ns: int
    """Its first packet."""
    response_ns: int | None
    """The last packet of the answer; None: there was none."""


def read_segments(data: bytes) -> Iterator[Segment]:
    """Yield the TCP segments over IPv4 of a capture file, in its order. A record that is cut off ends it.

    Raises:
        RunError: it is no capture file, or of a link type that is not known.
    """
    if data[:4] not in MAGIC or len(data) < FILE_HEADER_BYTES:
        raise RunError(
            f"the packet capture begins with {data[:4].hex() or 'nothing'}, which is no pcap file; "
            "is that really tcpdump?"
        )
    order, unit_ns = MAGIC[data[:4]]
    link_type = struct.unpack_from(order + "I", data, 20)[0] & 0xFFFF
    if link_type not in LINK_HEADER_BYTES:
        known = ", ".join(map(str, sorted(LINK_HEADER_BYTES)))
        raise RunError(
            f"the packet capture has link type {link_type}, known are {known}; capture on loopback"
        )
    link_bytes = LINK_HEADER_BYTES[link_type]
    record, ports = struct.Struct(order + "IIII"), struct.Struct("!HH")
    offset = FILE_HEADER_BYTES
    while offset + record.size <= len(data):
        seconds, fraction, captured, _ = record.unpack_from(data, offset)
        ip = offset + record.size + link_bytes
        offset += record.size + captured
        if offset > len(data):
            return
        if ip + MIN_IP_BYTES + MIN_TCP_BYTES > offset or data[ip] >> 4 != IPV4 or data[ip + 9] != TCP:
            continue
        tcp = ip + (data[ip] & 0xF) * 4
        if tcp + MIN_TCP_BYTES > offset:
            continue
        # The IP header knows the length; the capture holds only the headers of long packets.
        payload = int.from_bytes(data[ip + 2 : ip + 4], "big") - (tcp - ip) - (data[tcp + 12] >> 4) * 4
        source, target = ports.unpack_from(data, tcp)
        yield Segment(seconds * 1_000_000_000 + fraction * unit_ns, source, target, payload)


def exchanges(segments: Iterable[Segment], server_port: int) -> list[Exchange]:
    """Pair requests with answers, per connection, in the order of their completion.

    A request is the client's first data after an answer (or on a new connection); its answer ends with the server's
    last data before the next request. That is right where a connection has one request in flight at most.
    """
    done: list[Exchange] = []
    open_requests: dict[int, tuple[int, int | None]] = {}
    for segment in segments:
        if segment.payload_bytes <= 0:
            continue
        if segment.target_port == server_port:
            port = segment.source_port
            known = open_requests.get(port)
            if known is None or known[1] is not None:
                if known is not None:
                    done.append(Exchange(*known))
                open_requests[port] = segment.time_ns, None
        elif segment.source_port == server_port and segment.target_port in open_requests:
            request_ns, _ = open_requests[segment.target_port]
            open_requests[segment.target_port] = request_ns, segment.time_ns
    done.extend(Exchange(*known) for known in open_requests.values())
    return done
