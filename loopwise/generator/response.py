"""Answers as a script sees them: those of Locust's FastHttpUser, made of what the reactor received."""

import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import timedelta
from types import TracebackType
from typing import Any, NamedTuple

import brotli
from geventhttpclient.header import Headers
from locust.contrib.fasthttp import FastRequest, FastResponse, ResponseContextManager
from locust.exception import InterruptTaskSet, RescheduleTask, RescheduleTaskImmediately, StopTest, StopUser
from requests.cookies import RequestsCookieJar

from loopwise.generator.error_kinds import ErrorKind
from loopwise.generator.failures import exception_of, failure_text
from loopwise.generator.recorder import Recorder, Row
from loopwise.generator.request import Request
from loopwise.generator.streams import PIECE_BYTES, Stream

CONTROL_FLOW = (InterruptTaskSet, RescheduleTask, RescheduleTaskImmediately, StopTest, StopUser)
"""Exceptions that leave a `with` block and are no failure of the request; nor is GreenletExit, a BaseException."""
AUTO_WINDOW = 32 + zlib.MAX_WBITS
"""zlib recognizes by itself whether it is gzip or deflate."""
RawHeaders = list[tuple[bytes, bytes]]


class Sent(NamedTuple):
    """A request that a script sent."""

    request: Request
    method: str
    url: str
    name: str
    """Of its rows, without the method."""
    payload: str | bytes | None

    def as_request(self) -> FastRequest:
        """The request as Locust's client has it, with all headers that were sent."""
        head = self.request.data.partition(b"\r\n\r\n")[0].decode("latin-1")
        lines = (line.partition(":") for line in head.split("\r\n")[1:])
        headers = Headers((name, value.strip()) for name, _, value in lines)
        return FastRequest(self.url, method=self.method, headers=headers, payload=self.payload)


class Body:
    """Body of an answer, as geventhttpclient's responses read theirs: to the end, or in pieces."""

    message_complete = True
    version = "HTTP/1.1"

    def __init__(self, status: int, pieces: list[bytes]) -> None:
        self._status = status
        self._rest = b"".join(pieces)

    def get_code(self) -> int:
        """Status of the answer."""
        return self._status

    def read(self, length: int | None = None) -> bytes:
        """The next bytes, at most `length` of them; b"" at the end."""
        count = len(self._rest) if length is None else length
        taken, self._rest = self._rest[:count], self._rest[count:]
        return taken

    def pieces(self) -> Iterator[bytes]:
        """The rest, as one piece."""
        yield self.read()

    def readline(self) -> bytes:
        """The next line, with its end."""
        line, end, _ = self._rest.partition(b"\n")
        return self.read(len(line) + len(end))

    def __iter__(self) -> Iterator[bytes]:
        return iter(lambda: self.read(PIECE_BYTES), b"")

    def release(self) -> None:
        """Nothing is held."""


class StampedResponse(FastResponse):
    """The answer to one request; status 0 if there was none.

    Without catch_response=True, `success()` and `failure()` raise LocustError, as with FastHttpUser.

    Args:
        sent: the request.
        row: as the reactor made it.
        raw_headers: None without an answer.
        body: pieces of the body, or a Stream.
    """

    error: Exception | None = None
    """As FastHttpUser has it: LocustBadStatusCode, ConnectionRefusedError, …"""
    error_kind = ""
    """Kind of the error as in the rows: `status_404`, `refused`, `timeout`, …"""
    status_code: int = 0
    _headers: Headers | None = None
    _hops: Sequence["StampedResponse"] = ()
    _is_recorded = False

    def __init__(self, sent: Sent, row: Row, raw_headers: RawHeaders | None, body: Any) -> None:
        self._sent = sent
        self.row = row
        self.raw_headers = raw_headers
        self.body = body
        self.status_code = row[5]

    @property
    def _response(self) -> Any:
        """The answer as geventhttpclient's classes read it; None without one."""
        if self.raw_headers is None:
            return None
        if isinstance(self.body, list):
            self.body = Body(self.status_code, self.body)
        return self.body

    @property
    def headers(self) -> Headers | None:
        """By name in any case; of repeated ones a list. None without an answer."""
        raw = self.raw_headers
        if self._headers is None and raw is not None:
            self._headers = Headers((name.decode("latin-1"), value.decode("latin-1")) for name, value in raw)
        return self._headers

    @property
    def content(self) -> bytes | None:
        """The body, decompressed; None without an answer."""
        if self.raw_headers is None:
            return None
        return super().content if self.body else b""

    @property
    def length(self) -> int:
        """Bytes of the body as Locust counts them: decompressed, of a stream as announced; 0 without an answer."""
        if self.is_streamed:
            announced = self.headers.get("Content-Length") if self.headers else None
            return int(announced) if isinstance(announced, str) else 0
        if self.error_kind == ErrorKind.UNDECODABLE:
            return 0
        return len(self.content or b"")

    @property
    def ok(self) -> bool:
        """An answer with a status below 400; FastHttpUser's says so without an answer, too."""
        return 0 < self.status_code < 400

    def __len__(self) -> int:
        return self.length

    @property
    def is_streamed(self) -> bool:
        """The script reads the body while it comes."""
        return isinstance(self.body, Stream)

    @property
    def request(self) -> FastRequest:
        """The request that was sent."""
        return self._sent.as_request()

    @property
    def url(self) -> str:
        """URL of the request; after redirects, of the last one."""
        return self._sent.url

    @property
    def cookies(self) -> RequestsCookieJar:
        """Cookies that this answer sets."""
        jar = RequestsCookieJar()
        if self.raw_headers is not None:
            jar.extract_cookies(self, self.request)
        return jar

    @property
    def history(self) -> list["StampedResponse"]:
        """The redirects that led here."""
        return list(self._hops)

    def iter_lines(self, chunk_size: int = 512, decode_unicode: bool = False) -> Iterator[Any]:
        """The lines of the body while they come, as bytes or text; as HttpUser's answers have it."""
        del chunk_size
        decompress, rest = self._decompressor(), b""
        for piece in self._response.pieces():
            *lines, rest = (rest + decompress(piece)).split(b"\n")
            yield from (self._line(line, decode_unicode) for line in lines)
        if rest:
            yield self._line(rest, decode_unicode)

    def _line(self, line: bytes, is_text: bool) -> str | bytes:
        line = line.removesuffix(b"\r")
        return line.decode(str(self.encoding or "utf-8"), errors="replace") if is_text else line

    def _decompressor(self) -> Callable[[bytes], bytes]:
        """Decompresses the pieces of the body as they come."""
        encoding = self.headers.get("Content-Encoding") if self.headers else None
        if encoding == "br":
            process: Callable[[bytes], bytes] = brotli.Decompressor().process
            return process
        return zlib.decompressobj(AUTO_WINDOW).decompress if encoding in {"gzip", "deflate"} else bytes

    @property
    def elapsed_ms(self) -> float:
        """Service time: sent → last byte arrived."""
        return (self.row[2] - self.row[1]) / 1e6

    @property
    def elapsed(self) -> timedelta:
        """Service time."""
        return timedelta(milliseconds=self.elapsed_ms)

    def came_after(self, hops: list["StampedResponse"]) -> None:
        """Note the redirects that led here."""
        self._hops = hops

    def fail(self, kind: str, error: Exception | None = None) -> None:
        """Note why the request has failed; `error`: in place of the exception that belongs to the kind."""
        self.error_kind = kind
        self.error = error or exception_of(kind, self.status_code, self.url)

    def decode(self) -> None:
        """Decompress the body; one that can't be is a failure."""
        try:
            _ = self.content
        except Exception as error:  # zlib.error, brotli.error, or ValueError of an unknown encoding
            self.fail(ErrorKind.UNDECODABLE, error)

    def lose(self, kind: str, error: Exception) -> None:
        """Fail, and be to the script as if no answer had come; the row keeps its status."""
        self.fail(kind, error)
        self.status_code, self.raw_headers, self._headers = 0, None, None

    def record(self, recorder: Recorder) -> None:
        """Record the row as FastHttpUser judges it; that of a stream when it ends."""
        self._is_recorded = True
        if isinstance(self.body, Stream):
            self.body.settle()
        else:
            self._append(recorder, self.error_kind or None)

    def _append(self, recorder: Recorder, error: str | None) -> None:
        row = self.row
        if error is None and row[6] is None:
            recorder.append(row)
        else:
            recorder.append((*row[:6], None if error is None else recorder.errors.number(error), *row[7:]))


class JudgedResponse(StampedResponse, ResponseContextManager):
    """An answer of catch_response=True: `success()` and `failure()` in its `with` block decide what the row says.

    Without either: FastHttpUser's rules, and an exception in the block is a failure of the row. The request has its row
    however the block ends, and also if there is none.
    """

    _catch_response = True

    def __init__(self, sent: Sent, row: Row, raw_headers: RawHeaders | None, body: Any) -> None:
        StampedResponse.__init__(self, sent, row, raw_headers, body)

    def begin(self, recorder: Recorder, meta: dict[str, Any], fire: Callable[[dict[str, Any]], None]) -> None:
        """Wait for the script's judgement; then record the row, and fire Locust's event."""
        self._recorder, self.request_meta, self._fire = recorder, meta, fire

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        try:
            return bool(super().__exit__(kind, error, trace))
        finally:
            is_failure = isinstance(error, Exception) and not isinstance(error, CONTROL_FLOW)
            self.conclude(f"{type(error).__name__}: {error}" if is_failure else None)

    def _report_request(self) -> None:
        self.conclude()
        self._fire(self.request_meta)

    def conclude(self, unless_judged: str | None = None) -> None:
        """Record the row with the judgement made so far, once; `unless_judged`: the failure if there is none."""
        if self._is_recorded:
            return
        self._is_recorded = True
        if isinstance(self.body, Stream):
            self.row = self.body.end()
        self._append(self._recorder, self._judgement(unless_judged))

    def _judgement(self, unless_judged: str | None) -> str | None:
        """Text of the row's error; None for a success."""
        result, status, error = self._manual_result, *self.row[5:7]
        if result is not None:
            return failure_text(result, status or -1) if isinstance(result, Exception) else None
        exception = self.request_meta["exception"]
        if exception is not self.error:  # ResponseError, raised in the block
            return failure_text(exception, status or -1)
        broke_off = self._recorder.errors.texts[error] if error is not None and not status else None
        return unless_judged or self.error_kind or broke_off

    def __del__(self) -> None:
        with suppress(AttributeError):  # was never begun
            self.conclude()
