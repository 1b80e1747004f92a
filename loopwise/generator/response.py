"""An answer: what is kept of it, and what a script sees (like requests' Response, with Locust's `with`)."""

import json
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from http.cookies import CookieError, SimpleCookie
from types import TracebackType
from typing import Any

from loopwise.generator.recorder import Row

Finish = Callable[["StampedResponse", str | None, Mapping[str, Any]], None]


class Answer:
    """What httptools calls where more than the end of an answer matters.

    An answer to HEAD is whole after its headers, whatever length they announce.
    """

    def __init__(self, on_complete: Callable[[], None], *, is_head: bool) -> None:
        self.headers: list[tuple[bytes, bytes]] = []
        self.body: list[bytes] = []
        if is_head:
            self.on_headers_complete = on_complete
        else:
            self.on_message_complete = on_complete

    def on_message_begin(self) -> None:
        """Forget the answer before this one."""
        self.headers, self.body = [], []

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header."""
        self.headers.append((name, value))

    def on_body(self, data: bytes) -> None:
        """Keep a piece of the body."""
        self.body.append(data)


class StampedResponse:
    """The answer to one request; status 0 where there was none.

    In a `with` block (catch_response=True) `success()` and `failure()` decide what the row says; without either, an
    exception in the block is a failure, and so is a status of 400 and above.
    """

    def __init__(
        self, label: str, url: str, row: Row, *, headers: list[tuple[bytes, bytes]], body: bytes, error: str
    ) -> None:
        self.label = label
        self.url = url
        self.row = row
        self.status_code: int = row[5]
        self.content = body
        self.error = error
        """Kind of the failure where there was no answer: `refused`, `timeout`, …"""
        self._raw_headers = headers
        self._verdict: str | None = None
        self._is_decided = False
        self._finish: Finish | None = None
        self._context: Mapping[str, Any] = {}

    @cached_property
    def headers(self) -> dict[str, str]:
        """Headers by lower-case name; of repeated ones the last."""
        return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in self._raw_headers}

    @property
    def text(self) -> str:
        """The body as text, in the charset it declares, else UTF-8."""
        declared = next((value for name, value in self._raw_headers if name.lower() == b"content-type"), b"")
        charset = declared.lower().partition(b"charset=")[2].partition(b";")[0].strip().decode("latin-1")
        try:
            return self.content.decode(charset or "utf-8", errors="replace")
        except LookupError:
            return self.content.decode(errors="replace")

    def json(self) -> Any:
        """The body as JSON. Raises ValueError."""
        return json.loads(self.content)

    @property
    def ok(self) -> bool:
        """An answer with a status below 400."""
        return 0 < self.status_code < 400

    @property
    def elapsed_ms(self) -> float:
        """Service time: sent → last byte arrived."""
        return (self.row[2] - self.row[1]) / 1e6

    def set_cookies(self) -> Iterator[tuple[str, str | None]]:
        """Cookies the answer sets: name and value; None: it takes the cookie back."""
        for name, value in self._raw_headers:
            if name.lower() != b"set-cookie":
                continue
            try:
                cookie = SimpleCookie(value.decode("latin-1"))
            except CookieError:
                continue
            for key, morsel in cookie.items():
                yield key, None if morsel["max-age"] == "0" else morsel.value

    def success(self) -> None:
        """Record the request as a success, whatever its status."""
        self._verdict, self._is_decided = None, True

    def failure(self, reason: object) -> None:
        """Record the request as a failure with this reason."""
        self._verdict, self._is_decided = str(reason), True

    def prepare(self, finish: Finish, context: Mapping[str, Any]) -> None:
        """Client: who records the outcome."""
        self._finish, self._context = finish, context

    def finish(self) -> None:
        """Record the outcome; once."""
        if not self._is_decided and not self.ok:
            self._verdict = self.error or f"status_{self.status_code}"
        finish, self._finish = self._finish, None
        if finish is not None:
            finish(self, self._verdict, self._context)

    def __enter__(self) -> "StampedResponse":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # A user that Locust stops in here (GreenletExit, which is no Exception) is nobody's failure.
        if kind is not None and issubclass(kind, Exception) and not self._is_decided:
            self.failure(f"{kind.__name__}: {error}")
        self.finish()
