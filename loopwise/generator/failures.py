"""Failed requests: the exceptions that Locust's FastHttpUser has for them, and the texts of their rows."""

import errno
import os
import ssl
from collections.abc import Callable

from geventhttpclient._parser import HTTPParseError
from geventhttpclient.response import HTTPConnectionClosed
from geventhttpclient.useragent import RetriesExceeded
from locust.contrib.fasthttp import LocustBadStatusCode, LocustUserAgent
from locust.exception import CatchResponseError, ResponseError
from requests.exceptions import HTTPError

from loopwise.generator.error_kinds import ErrorKind, status_kind
from loopwise.generator.recorder import Names, Row

SUCCESSES = LocustUserAgent.valid_response_codes
"""Statuses that are no failure of themselves."""


def _too_late(url: str) -> Exception:
    return RetriesExceeded(url, 0, original=TimeoutError("timed out"))


_EXCEPTIONS: dict[str, Callable[[str], Exception]] = {
    ErrorKind.CONNECT_TIMEOUT: _too_late,
    ErrorKind.TIMEOUT: _too_late,
    ErrorKind.UNFINISHED: _too_late,
    ErrorKind.CLOSED: lambda _: HTTPConnectionClosed("connection closed."),
    ErrorKind.CLOSED_EARLY: lambda _: HTTPParseError("connection closed before the end of the answer"),
    ErrorKind.MALFORMED: lambda _: HTTPParseError("no HTTP/1.1 answer"),
    ErrorKind.UNSOLICITED_ANSWER: lambda _: HTTPParseError("more answers than requests"),
    ErrorKind.TLS: lambda _: ssl.SSLError("the TLS handshake or the encryption failed"),
    ErrorKind.TLS_CERTIFICATE: lambda _: ssl.SSLCertVerificationError("the certificate was not accepted"),
}
_ERRNOS = {str(kind): kind.errnos[0] for kind in ErrorKind if kind.errnos}


def exception_of(kind: str, status: int, url: str) -> Exception:
    """The exception that FastHttpUser would have for a request that failed with this kind of error."""
    if status:
        return LocustBadStatusCode(url, code=status)
    if kind in _EXCEPTIONS:
        return _EXCEPTIONS[kind](url)
    code = _ERRNOS.get(kind) or getattr(errno, kind.upper(), None)
    return OSError(kind) if code is None else OSError(code, os.strerror(code))  # its class follows from the number


def failure_text(exception: object, status: int) -> str:
    """Text of the error column: the status that a client refused, or else the script's words.

    An exception without an answer is named by its type: its text may differ from request to request.
    """
    if status and isinstance(exception, HTTPError | LocustBadStatusCode):
        return status_kind(status)
    if isinstance(exception, Exception) and not (status or isinstance(exception, (CatchResponseError, ResponseError))):
        return ErrorKind.TOO_MANY_FILES if _is_out_of_files(exception) else type(exception).__name__
    return str(exception) or type(exception).__name__


def _is_out_of_files(exception: BaseException) -> bool:
    """Whether the system refused a client a descriptor; clients wrap its error in those of their own."""
    found: BaseException | None = exception
    while found is not None:
        if isinstance(found, OSError) and found.errno in ErrorKind.TOO_MANY_FILES.errnos:
            return True
        found = found.__cause__ or found.__context__
    return False


def judged(row: Row, errors: Names) -> Row:
    """The row as FastHttpUser judges its status; one without an answer keeps its error."""
    status = row[5]
    if not status or (row[6] is None and status in SUCCESSES):
        return row
    return (*row[:6], None if status in SUCCESSES else errors.number(status_kind(status)), *row[7:])
