"""Answers as a script sees them: like requests' Response, with Locust's `with` block."""

import json
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from http.cookies import CookieError, SimpleCookie
from types import TracebackType
from typing import Any, Self

from loopwise.generator.error_kinds import status_kind
from loopwise.generator.recorder import Row


class StampedResponse:
    """The answer to one request; status 0 if there was none.

    In a `with` block (catch_response=True) `success()` and `failure()` decide what the row says. Without either, an
    exception in the block is a failure, and so is a status of 400 and above.
    """

    def __init__(
        self,
        label: str,
        url: str,
        row: Row,
        *,
        headers: list[tuple[bytes, bytes]],
        body: bytes,
        error: str,
        context: Mapping[str, Any],
        on_finish: Callable[["StampedResponse", str | None], None],
    ) -> None:
        self.label = label
        self.url = url
        self.row = row
        self.status_code: int = row[5]
        self.content = body
        self.error = error
        """Kind of error if there was no answer: `refused`, `timeout`, …"""
        self.context = context
        self._raw_headers = headers
        self._on_finish = on_finish
        self._failure: str | None = None
        self._is_decided = False
        self._is_finished = False

    @cached_property
    def headers(self) -> dict[str, str]:
        """Headers by lower-case name; of repeated ones the last."""
        return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in self._raw_headers}

    @property
    def text(self) -> str:
        """The body as text, in the charset that its headers declare, else UTF-8."""
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
        """Name and value of each cookie that the answer sets; None for a cookie that it deletes."""
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
        self._failure, self._is_decided = None, True

    def failure(self, reason: object) -> None:
        """Record the request as a failure with this reason."""
        self._failure, self._is_decided = str(reason), True

    def finish(self) -> None:
        """Record the outcome, once."""
        if self._is_finished:
            return
        self._is_finished = True
        if not self._is_decided and not self.ok:
            self._failure = self.error or status_kind(self.status_code)
        self._on_finish(self, self._failure)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # GreenletExit is no Exception: a user that Locust stops in the block has not failed.
        if kind is not None and issubclass(kind, Exception) and not self._is_decided:
            self.failure(f"{kind.__name__}: {error}")
        self.finish()
