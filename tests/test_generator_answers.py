"""Reading answers: however the network cuts one into segments, its row is the same."""

import socket
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopwise.generator import connection as reading
from loopwise.generator.connection import Connection
from loopwise.generator.recorder import Names, Row
from loopwise.generator.request import Maker, Request
from loopwise.model import Endpoint
from loopwise.results.columns import SAMPLES as SCHEMA
from loopwise.servers.origin import Origin

END = None
"""Among segments: the peer closes."""


class Log:
    """A reactor and an owner at once: keeps rows and does nothing else."""

    keeps_answers = False
    progressed = None
    on_behalf_of = None

    def __init__(self, address: Any = ("127.0.0.1", 9)) -> None:
        self.origin = Origin("localhost", "localhost", socket.AF_INET, address, None)
        self.rows: list[dict[str, Any]] = []
        self.record: Callable[[Row], None] = self._keep
        self.opened: list[tuple[Any, Request | None, int | None]] = []
        self.later: list[Callable[[], None]] = []
        self.errors = Names()
        self.timeout_ns = self.connect_timeout_ns = 10**9

    def _keep(self, row: Row) -> None:
        self.rows.append(dict(zip(SCHEMA.names, row, strict=False)))

    def error_of(self, row: dict[str, Any]) -> str | None:
        return None if row["error"] is None else self.errors.texts[row["error"]]

    def open(self, owner: Any, request: Request | None, scheduled_ns: int | None = None) -> None:
        self.opened.append((owner, request, scheduled_ns))

    def call_later(self, _delay_s: float, action: Callable[[], None]) -> None:
        self.later.append(action)

    def keep(self, connection: Connection) -> None:
        """Nothing is remembered."""

    def watch_connecting(self, connection: Connection) -> None:
        """The test says when it is connected."""

    def watch_reading(self, connection: Connection) -> None:
        """The test says when there is something to read."""

    def watch_writing(self, connection: Connection) -> None:
        """The test says when there is room."""

    def forget(self, connection: Connection) -> None:
        """Nothing is remembered."""

    def connected(self, connection: Connection) -> None:
        """Connections are opened with a request."""

    def answered(self, connection: Connection) -> None:
        """The test sends the next request."""

    def failed(self, connection: Connection, *, lost: bool) -> None:
        """The test looks at the rows."""


def connection_of(log: Log, request: Request) -> Connection:
    return Connection(log, log, request, None, number=1)


def rows_of(answers: list[list[bytes | None]], request: Request) -> tuple[list[tuple[Any, ...]], bool]:
    """The rows (status, error, bytes) of answers given as segments, one request each; and whether one can go on."""
    log = Log()
    connection = connection_of(log, request)
    fake: Any = connection
    fake._send = len
    connection.is_open = True
    for segments in answers:
        if not connection.is_open:
            break
        connection.send(request, None)
        for segment in segments:
            fake._recvmsg = lambda *_, data=segment: (data or b"", [], 0, None)
            connection.readable()
            if connection.request is None:
                break
    is_open = connection.is_open
    connection.close()
    return [(row["status"], log.error_of(row), row["bytes"]) for row in log.rows], is_open


class Answer(NamedTuple):
    """The bytes of an answer, and whether the end of the stream ends it."""

    data: bytes
    ends_with_stream: bool


def request_of(endpoint: Endpoint) -> Request:
    return Maker(endpoint, "localhost", 0).request({})


REQUESTS = {method: request_of(Endpoint(method=method, path="/")) for method in ("GET", "HEAD")}
NAMES = st.sampled_from([b"Content-Length", b"content-length", b"CONTENT-LENGTH"])
HEADERS = st.lists(
    st.tuples(
        st.sampled_from([b"X-A", b"Date", b"Content-Type", b"X-Content-Length"]),
        st.from_regex(rb"[a-z0-9 ]{0,12}", fullmatch=True),
    ),
    max_size=4,
)
EARLY = st.lists(
    st.sampled_from([b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"]),
    max_size=2,
)
FRAMINGS = st.sampled_from(["length", "chunks", "stream"])


def chunked(body: bytes, size: int) -> bytes:
    """The body in chunks, with a trailer."""
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\nX-Sum: 1\r\n\r\n"


@st.composite
def whole_answers(draw: st.DrawFn, method: str) -> Answer:
    """Answers as servers give them: any framing, any status, with and without 1xx before them."""
    status = draw(st.sampled_from([200, 201, 204, 304, 302, 404, 500]))
    body = draw(st.binary(max_size=60))
    framing = draw(FRAMINGS)
    lines = [b"%s: %s" % header for header in draw(HEADERS)]
    is_bodiless = status in {204, 304} or method == "HEAD"
    ends_with_stream = framing == "stream" and not is_bodiless
    if framing == "length" and status != 204:
        lines.append(b"%s: %d" % (draw(NAMES), len(body)))
    elif framing == "chunks" and status != 204:
        lines.append(b"Transfer-Encoding: chunked")
        body = chunked(body, draw(st.integers(1, 20)))
    if is_bodiless:
        body = b""
    head = b"\r\n".join([b"HTTP/1.1 %d Some Words" % status, *lines, b"", b""])
    return Answer(b"".join(draw(EARLY)) + head + body, ends_with_stream)


@st.composite
def cut(draw: st.DrawFn, data: bytes) -> list[bytes]:
    """The data in segments."""
    places = sorted(draw(st.sets(st.integers(1, max(1, len(data) - 1)), max_size=8)))
    return [part for begin, end in zip([0, *places], [*places, len(data)], strict=True) if (part := data[begin:end])]


@pytest.mark.parametrize("method", REQUESTS)
@given(data=st.data())
def test_any_split_of_answers_over_segments_gives_the_same_rows(method: str, data: st.DataObject) -> None:
    answers = data.draw(st.lists(whole_answers(method), min_size=1, max_size=3))
    whole: list[list[bytes | None]] = [[answer.data] + [END] * answer.ends_with_stream for answer in answers]
    split: list[list[bytes | None]] = [
        [*data.draw(cut(answer.data)), *[END] * answer.ends_with_stream] for answer in answers
    ]
    rows, is_open = rows_of(split, REQUESTS[method])
    assert (rows, is_open) == rows_of(whole, REQUESTS[method])
    statuses = [int(answer.data.rpartition(b" Some Words")[0][-3:]) for answer in answers]
    assert [status for status, _, _ in rows] == statuses[: len(rows)]
    assert all(error is None or error == f"status_{status}" for status, error, _ in rows)
    assert rows[0][2] == len(answers[0].data)


@given(data=st.data())
def test_an_answer_that_stops_before_its_end_is_never_a_success(data: st.DataObject) -> None:
    answer = data.draw(whole_answers("GET").filter(lambda answer: not answer.ends_with_stream))
    stop = data.draw(st.integers(1, len(answer.data) - 1))
    segments: list[bytes | None] = [*data.draw(cut(answer.data[:stop])), END]
    rows, is_open = rows_of([segments], REQUESTS["GET"])
    assert [(status, error) for status, error, _ in rows] == [(0, "closed_early")]
    assert not is_open


@given(st.binary(min_size=1, max_size=60).filter(lambda data: not b"HTTP/1.1 200".startswith(data[:12])))
def test_no_bytes_whatever_break_the_parser(data: bytes) -> None:
    rows, _ = rows_of([[data, END]], REQUESTS["GET"])
    assert len(rows) == 1
    assert rows[0][1] is not None


REPEATED = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    # The second segment of this one is the first answer, as a body.
    b"HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTT",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nX: ",
]


@given(
    st.lists(
        st.tuples(st.sampled_from([0, 0, 0, *range(len(REPEATED))]), st.sampled_from([None, None, None, 4, 40])),
        min_size=1,
        max_size=12,
    )
)
def test_answers_that_repeat_are_read_like_any_other(chosen: list[tuple[int, int | None]]) -> None:
    answers: list[list[bytes | None]] = [
        [REPEATED[index]] if cut is None else [REPEATED[index][:cut], REPEATED[index][cut:]] for index, cut in chosen
    ]
    rows = rows_of(answers, REQUESTS["GET"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "KNOWN_BYTES", 0)
        assert rows == rows_of(answers, REQUESTS["GET"])


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


def test_a_connection_is_not_reused_after_an_early_answer(
    listener: socket.socket,
) -> None:
    upload = request_of(Endpoint(method="POST", json_body="x" * 30_000_000, expect_status=413))
    log = Log(listener.getsockname())
    connection = connection_of(log, upload)
    connection.connect()
    peer, _ = listener.accept()
    with peer:
        connection.writable()
        connection.writable()
        peer.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        connection.readable()
    assert [(row["status"], log.error_of(row)) for row in log.rows] == [(413, None)]
    assert not connection.is_open
