"""Kinds of request errors: the texts of the `error` column of samples."""

import errno
import ssl
from enum import StrEnum
from functools import cache
from typing import Self

from loopwise.results.columns import UNFINISHED


class ErrorKind(StrEnum):
    """Why a request failed. Its rows have status 0, but for ANSWERED; docs/schema.md lists the same kinds."""

    meaning: str
    errnos: tuple[int, ...]
    """Errors of the operating system that are of this kind."""

    REFUSED = "refused", "nobody listens there", errno.ECONNREFUSED, errno.ENOENT
    RESET = (
        "reset",
        "the peer reset the connection, or had closed it when more was to be sent",
        errno.ECONNRESET,
        errno.EPIPE,
    )
    CONNECT_TIMEOUT = (
        "connect_timeout",
        "no connection within `timeout_s`, or within the kernel's own limit",
        errno.ETIMEDOUT,
    )
    TIMEOUT = "timeout", "connected, but no complete answer within `timeout_s`"
    CLOSED = "closed", "the peer closed before the first byte of an answer"
    CLOSED_EARLY = "closed_early", "the peer closed in the middle of an answer"
    MALFORMED = "malformed", "what came is no HTTP/1.1 answer, or one that changes the protocol"
    UNSOLICITED_ANSWER = "unsolicited_answer", "more answers than requests"
    TLS = "tls", "the TLS handshake or the encryption failed"
    TLS_CERTIFICATE = (
        "tls_certificate",
        "the certificate was not accepted; SSL_CERT_FILE names one of your own",
    )
    NO_LOCAL_PORT = (
        "no_local_port",
        "this machine has no free port left to connect from",
        errno.EADDRNOTAVAIL,
    )
    TOO_MANY_FILES = "too_many_files", "the generator may open no more sockets", errno.EMFILE, errno.ENFILE
    BODY = "body", "the body of the answer is not what `expect_body` says"
    CAPTURE = "capture", "the answer has no value for a `capture`, whose JSON path follows: `capture $.token`"
    REDIRECT_REFUSED = (
        "redirect_refused",
        "a `StampedUser` was redirected too often, or to a host that is neither the target nor this machine",
    )
    UNDECODABLE = "undecodable", "the body is not what its Content-Encoding says (`StampedUser`)"
    UNFINISHED = (
        UNFINISHED,
        "cut off by the end of the run: not a failure, and in closed load outside the window",
    )

    def __new__(cls, name: str, meaning: str, *errnos: int) -> Self:
        """A kind that equals its name."""
        kind = str.__new__(cls, name)
        kind._value_ = name
        kind.meaning, kind.errnos = meaning, errnos
        return kind


ANSWERED = frozenset({ErrorKind.BODY, ErrorKind.CAPTURE, ErrorKind.REDIRECT_REFUSED, ErrorKind.UNDECODABLE})
"""Kinds whose rows have the status of the answer."""
_BY_ERRNO = {code: kind for kind in ErrorKind for code in kind.errnos}


def kind_of(error: OSError | int) -> str:
    """The kind of an error or errno; for one without a kind of its own, the errno's name in lower case."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return ErrorKind.TLS_CERTIFICATE
    if isinstance(error, ssl.SSLError):
        return ErrorKind.TLS
    code = (error if isinstance(error, int) else error.errno) or 0
    return _BY_ERRNO.get(code) or errno.errorcode.get(code, "unknown").lower()


@cache
def status_kind(status: int) -> str:
    """The kind of an answer whose status was not expected: `status_404`."""
    return f"status_{status}"


def capture_kind(path: str) -> str:
    """The kind of an answer without the value that is captured: `capture $.token`."""
    return f"{ErrorKind.CAPTURE} {path}"
