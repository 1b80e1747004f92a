"""Packet captures: reading them, pairing requests with answers, and where none can be made."""

import struct
from pathlib import Path

import pytest

from loopwise.calibrate import packets as capturing
from loopwise.calibrate.packets import Exchange, Segment, dropped_packets, exchanges, read_segments
from loopwise.errors import RunError

SERVER, CLIENT = 8000, 40_000
SECOND = 1_000_000_000


def packet(source: int, target: int, payload: int, *, options: int = 12, protocol: int = 6) -> bytes:
    """IPv4 and TCP headers, and a payload."""
    tcp_bytes = 20 + options
    total = 20 + tcp_bytes + payload
    ip = struct.pack("!BBHHHBBHII", 0x45, 0, total, 1, 0, 64, protocol, 0, 0x7F000001, 0x7F000001)
    tcp = struct.pack("!HHIIBBHHH", source, target, 1, 1, (tcp_bytes // 4) << 4, 0x18, 512, 0, 0)
    return ip + tcp + b"\0" * options + b"x" * payload


def capture_file(
    packets: list[tuple[int, bytes]], *, order: str = "<", nano: bool = True, link: int = 1, snap: int = 96
) -> bytes:
    """A capture of packets by time in ns."""
    magic = 0xA1B23C4D if nano else 0xA1B2C3D4
    data = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, snap, link)
    before = {1: b"\0" * 12 + b"\x08\x00", 0: b"\2\0\0\0", 113: b"\0" * 16, 276: b"\0" * 20, 101: b""}[link]
    for time_ns, content in packets:
        frame = before + content
        fraction = time_ns % SECOND // (1 if nano else 1000)
        data += struct.pack(order + "IIII", time_ns // SECOND, fraction, min(len(frame), snap), len(frame))
        data += frame[:snap]
    return data


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("nano", [True, False])
@pytest.mark.parametrize("link", [1, 0, 113, 276, 101])
def test_a_capture_is_read_in_any_byte_order_and_link_type(order: str, nano: bool, link: int) -> None:
    data = capture_file([(5 * SECOND + 7000, packet(CLIENT, SERVER, 300))], order=order, nano=nano, link=link)
    assert list(read_segments(data)) == [Segment(5 * SECOND + 7000, CLIENT, SERVER, 300)]


def test_payload_is_known_from_headers_alone() -> None:
    packets = [
        (1, packet(SERVER, CLIENT, 9000)),
        (2, packet(CLIENT, SERVER, 0)),
        (3, packet(1, 2, 5, options=0)),
    ]
    assert [s.payload_bytes for s in read_segments(capture_file(packets))] == [9000, 0, 5]


def test_what_is_not_tcp_over_ipv4_is_skipped() -> None:
    ipv6 = bytes([0x60]) + packet(1, 2, 30)[1:]
    packets = [(1, packet(1, 2, 8, protocol=17)), (2, ipv6), (3, b"\x45"), (4, packet(3, 4, 8))]
    assert [s.source_port for s in read_segments(capture_file(packets))] == [3]


def test_a_capture_that_is_cut_off_gives_its_whole_records() -> None:
    data = capture_file([(1, packet(1, 2, 8)), (2, packet(3, 4, 8))])
    assert [len(list(read_segments(data[:-cut]))) for cut in (1, 20, 100)] == [
        1,
        1,
        0 if len(data) < 224 else 1,
    ]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "begins with nothing"),
        (b"\x0a\x0d\x0d\x0a" + b"\0" * 40, "0a0d0d0a"),
        (capture_file([], link=101)[:20] + b"\x93\0\0\0", "link type 147"),
    ],
)
def test_what_is_no_capture_is_refused_in_a_sentence(data: bytes, said: str) -> None:
    with pytest.raises(RunError, match=said):
        list(read_segments(data))


def test_a_request_pairs_with_the_last_segment_of_its_answer() -> None:
    other = CLIENT + 1
    segments = [
        Segment(10, CLIENT, SERVER, 100),
        Segment(11, CLIENT, SERVER, 50),  # the request's second segment
        Segment(12, other, SERVER, 100),
        Segment(20, SERVER, CLIENT, 1000),
        Segment(21, CLIENT, SERVER, 0),  # an acknowledgement
        Segment(25, SERVER, CLIENT, 400),
        Segment(30, CLIENT, SERVER, 100),
        Segment(31, 1, 2, 100),  # somebody else's
        Segment(40, SERVER, other, 1000),
    ]
    assert exchanges(segments, SERVER) == [Exchange(10, 25), Exchange(30, None), Exchange(12, 40)]


def test_an_answer_to_nothing_is_no_exchange() -> None:
    assert exchanges([Segment(1, SERVER, CLIENT, 10)], SERVER) == []


@pytest.mark.parametrize(
    ("log", "dropped"),
    [
        ("8 packets captured\n8 packets received by filter\n0 packets dropped by kernel\n", 0),
        ("1 packet dropped by kernel\n", 1),
        ("3 packets dropped by kernel\n1251 packets dropped by kernel\n", 1251),
    ],
)
def test_dropped_packets_are_what_tcpdump_says_last(log: str, dropped: int) -> None:
    assert dropped_packets(log) == dropped


def test_a_capture_without_statistics_is_not_trusted() -> None:
    with pytest.raises(RunError, match="without its statistics"):
        dropped_packets("listening on lo\n")


def test_a_missing_tcpdump_is_named_with_a_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capturing, "find_program", lambda _: None)
    missing = capturing.obstacle(tmp_path)
    assert missing is not None
    assert (missing.tool, "apt install" in missing.remedy, "setcap" in missing.remedy) == (
        "tcpdump",
        True,
        True,
    )
    assert not list(tmp_path.iterdir())


def test_a_tcpdump_that_is_not_permitted_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "tcpdump"
    program.write_text('#!/bin/sh\necho "You don\'t have permission" >&2\nexit 1\n', encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setattr(capturing, "find_program", lambda _: str(program))
    missing = capturing.obstacle(tmp_path)
    assert missing is not None
    assert "You don't have permission" in missing.effect
