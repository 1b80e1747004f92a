"""TLS for the reactor: a socket that encrypts, with the few methods that a connection uses.

The kernel stamps ciphertext, which need not end where the answer does: rows over TLS carry the user clock.
Certificates are verified; SSL_CERT_FILE names a bundle with a private authority.
"""

import _socket
import ssl
from collections.abc import Callable
from typing import Any

RECORD_BYTES = 16_384
"""Plaintext of one TLS record, which is encrypted and sent at a time."""


class TlsSocket:
    """Wraps a non-blocking socket.

    The handshake begins with the first bytes to send, which wait for its end.
    """

    def __init__(self, plain: _socket.socket, context: ssl.SSLContext, host: str) -> None:
        self._plain = plain
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self._is_established = False
        self._waiting = b""
        self._unsent = b""
        self._encrypted = 0
        self.on_established: Callable[[bytes], None] = lambda _: None
        """Called when the handshake is done, with the bytes that waited for it and are to be sent now."""
        self.fileno, self.close = plain.fileno, plain.close
        self.connect_ex, self.getsockopt = plain.connect_ex, plain.getsockopt

    def send(self, data: bytes) -> int:
        """Encrypt and send; returns how much of the data was taken.

        Raises:
            BlockingIOError: the socket is full; call again with the same data, whose start is already encrypted.
            OSError: the connection is broken.
        """
        if not self._is_established:
            self._waiting += data
            self._shake_hands()
            return len(data)
        if not self._encrypted:
            self._encrypted = self._tls.write(data[:RECORD_BYTES])
        self._flush()
        taken, self._encrypted = self._encrypted, 0
        return taken

    def recvmsg(self, count: int, ancillary_count: int) -> tuple[bytes, list[Any], int, None]:
        """Read and decrypt; never any ancillary data. Raises BlockingIOError, OSError."""
        del ancillary_count
        data = self._plain.recv(count)
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()
        if not self._is_established:
            self._shake_hands()
        pieces = []
        try:
            while piece := self._tls.read(count):
                pieces.append(piece)
        except ssl.SSLWantReadError:
            if not pieces:
                raise BlockingIOError from None
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            pass  # end of the stream; the connection sees whether it cut an answer off
        return b"".join(pieces), [], 0, None

    def _shake_hands(self) -> None:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            return
        self._is_established = True
        self._flush()
        waiting, self._waiting = self._waiting, b""
        self.on_established(waiting)

    def _flush(self) -> None:
        """Send all ciphertext; what the socket can't take now stays for the next time."""
        self._unsent += self._outgoing.read()
        while self._unsent:
            self._unsent = self._unsent[self._plain.send(self._unsent) :]
